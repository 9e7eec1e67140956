/*
 * sampling: what `sample` keeps while it draws, shared by its text half (cmd_sample.c) and its
 * picture half (sample_image.c).
 */
#ifndef VQ_REPL_SAMPLING_H
#define VQ_REPL_SAMPLING_H

#include "core/base/text.h"
#include "core/model/generate.h"
#include "repl/models.h"
#include "repl/opt.h"

#define SH_IMAGE_SIDE  64
#define SH_IMAGE_ROW   ((size_t)SH_IMAGE_SIDE * 3)
#define SH_IMAGE_BYTES ((size_t)SH_IMAGE_SIDE * SH_IMAGE_ROW)

/* One sequence being drawn. */
struct sh_drawn {
    int32_t *tokens; /* [length] */
    size_t n;        /* drawn so far */
    double nats;
    struct vq_text text; /* raw bytes; texts only */
    uint8_t *rgb;        /* [SH_IMAGE_BYTES]; pictures only */
    char *path;          /* file it was written to, or NULL */
};

struct sh_sampling {
    struct sh *sh;
    struct sh_model *m;
    const struct vq_vocab *vocab;
    const struct sh_args *args;
    bool image, stream;
    size_t n, length;
    bool go_on;   /* from the session's state (--continue) */
    int row;      /* of that session */
    size_t given; /* bytes of the picture that the prompt or the session fixed */
    uint64_t seed;
    struct vq_sampler sampler;
    struct sh_drawn *drawn; /* [n] */
    size_t shown_rows;      /* of the pictures, in the terminal */
    uint8_t *strip;         /* the pictures shown, side by side, as they grow */
    size_t strip_n;         /* how many */
    double start;           /* sh_now() at the first draw */
    size_t steps;           /* drawn by the first sequence */
};

/* Finds how much of the pictures is given, and shortens s->length to what is left of them. */
enum vq_status sh_image_plan(struct sh_sampling *s, struct vq_err *err);
/* Fills in what is given: the first rows of --prompt-image, or what the session was fed; *ids are
 * the tokens to feed after eos, the caller's to free, NULL and 0 without a prompt. */
enum vq_status sh_image_prompt(struct sh_sampling *s, int32_t **ids, size_t *n, struct vq_err *err);
/* Takes the next byte of picture b, and shows rows that have become whole. */
void sh_image_put(struct sh_sampling *s, size_t b, int32_t id);
/* Shows what is left, writes one PNG each and the contact sheet; paths go to drawn[].path and
 * *sheet (the caller's to free). */
enum vq_status sh_image_save(struct sh_sampling *s, char **sheet, struct vq_err *err);

/* The path of sequence b: --out (base when not given) with "-<b>" before the suffix when there are
 * several, or a file inside it when it is a folder. The caller frees it; NULL when out of memory.
 */
char *sh_sample_path(const struct sh_sampling *s, const char *base, const char *name,
                     const char *suffix);

#endif
