#include "core/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const status_names[] = {
    [VQ_OK] = "ok",
    [VQ_EINVAL] = "bad argument",
    [VQ_ENOMEM] = "out of memory",
    [VQ_EIO] = "input/output error",
    [VQ_EFORMAT] = "bad format",
    [VQ_ESHAPE] = "wrong shape",
    [VQ_ENOTFOUND] = "not found",
    [VQ_ECANCELLED] = "cancelled",
    [VQ_EUNSUPPORTED] = "unsupported",
    [VQ_EBUSY] = "busy",
    [VQ_ENUM] = "not a number",
};

_Static_assert(sizeof(status_names) / sizeof(status_names[0]) == VQ_ENUM + 1,
               "every status has a name");

const char *vq_status_name(enum vq_status code)
{
    return (unsigned)code <= VQ_ENUM ? status_names[code] : "unknown status";
}

enum vq_status vq_fail(struct vq_err *err, enum vq_status code, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
        va_end(ap);
        err->code = code;
    }
    return code;
}

enum vq_status vq_fail_errno(struct vq_err *err, int errnum, const char *fmt, ...)
{
    enum vq_status code = errnum == ENOENT ? VQ_ENOTFOUND : errnum == ENOMEM ? VQ_ENOMEM : VQ_EIO;
    if (!err)
        return code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);
    size_t used = strlen(err->msg);
    char text[128];
    const char *why = strerror_r(errnum, text, sizeof(text));
    snprintf(err->msg + used, sizeof(err->msg) - used, ": %s", why);
    err->code = code;
    return code;
}

void vq_err_prefix(struct vq_err *err, const char *fmt, ...)
{
    if (!err)
        return;
    char old[VQ_ERR_LEN];
    memcpy(old, err->msg, sizeof(old));
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);
    size_t used = strlen(err->msg), rest = strlen(old);
    if (used + 2 + rest >= sizeof(err->msg))
        rest = used + 3 < sizeof(err->msg) ? sizeof(err->msg) - used - 3 : 0;
    if (rest == 0)
        return;
    memcpy(err->msg + used, ": ", 2);
    memcpy(err->msg + used + 2, old, rest);
    err->msg[used + 2 + rest] = '\0';
}
