/*
 * err: the one error value of core and viz.
 *
 * A fallible function returns enum vq_status (0 is success), takes `struct vq_err *err` last, and
 * fills it on failure only. `err` may be NULL. Results go through an `out` pointer that is set to
 * NULL first. Messages are lower case without a full stop; they name the thing, what was expected,
 * what was found, and the next step where there is one. The layer that knows the file adds it with
 * vq_err_prefix().
 */
#ifndef VQ_CORE_BASE_ERR_H
#define VQ_CORE_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

enum vq_status {
    VQ_OK = 0,
    VQ_EINVAL,       /* an argument or a setting is out of its range */
    VQ_ENOMEM,       /* memory for a size the user controls is not there */
    VQ_EIO,          /* the operating system refused a read or a write */
    VQ_EFORMAT,      /* a file is not what it claims to be */
    VQ_ESHAPE,       /* a tensor has another shape or dtype than the model needs */
    VQ_ENOTFOUND,    /* a named thing does not exist */
    VQ_ECANCELLED,   /* the caller's cancel callback said stop; nothing was changed */
    VQ_EUNSUPPORTED, /* valid, but this build or this program does not do it */
    VQ_EBUSY,        /* another process holds it */
    VQ_ENUM          /* sound input led to a number that is not finite, or to no choice at all */
};

#define VQ_ERR_LEN 768

struct vq_err {
    enum vq_status code;
    char msg[VQ_ERR_LEN];
};

/* Fills err (if not NULL) with code and the formatted message; returns code. */
enum vq_status vq_fail(struct vq_err *err, enum vq_status code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* vq_fail with ": strerror(errnum)" appended; code is VQ_ENOTFOUND for ENOENT, VQ_ENOMEM for
 * ENOMEM, else VQ_EIO. */
enum vq_status vq_fail_errno(struct vq_err *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the message of a filled err. */
void vq_err_prefix(struct vq_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A short lower-case name: "out of memory", "bad format", ... Never NULL. */
const char *vq_status_name(enum vq_status code);

/* Polled by long operations between pieces of work of at most some 50 ms; true means stop. */
struct vq_cancel {
    bool (*poll)(void *ud);
    void *ud;
};

/* c may be NULL. */
static inline bool vq_cancelled(const struct vq_cancel *c)
{
    return c && c->poll && c->poll(c->ud);
}

#endif
