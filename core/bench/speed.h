/*
 * speed: how fast an engine reads and writes, beside how fast this machine could let it. Limits
 * and figures are measured in turn, since either swings with what else runs on the machine: a
 * figure means something only as a share of the limit beside it.
 */
#ifndef VQ_CORE_BENCH_SPEED_H
#define VQ_CORE_BENCH_SPEED_H

#include "core/model/session.h"

/* What the machine gives to the threads of a pool. */
struct vq_limits {
    double read;         /* bytes per second from memory */
    double f32, int8;    /* operations per second of products, */
    double bf16;         /* 0: no instructions for them */
    const char *backend; /* that gave f32 */
};
/* Takes some 0.5 s. VQ_ENOMEM. */
enum vq_status vq_limits_measure(struct vq_limits *out, struct vq_pool *pool, struct vq_err *err);

/* A measurement. */
struct vq_speed {
    uint64_t tokens;
    double seconds;
    double bytes;           /* that had to come from memory; 0: so few that memory is no limit */
    uint64_t rows, skipped; /* of values: see struct vq_state_reads */
    double flops;           /* of products */
    double read;            /* the memory's rate around the measurement */
};

/* Tokens per second that a limit of `flops` operations a second and the memory's rate allow: the
 * slower of both. */
double vq_speed_limit(const struct vq_speed *s, double flops);

struct vq_speed_options {
    size_t tokens;  /* to read; or to write, at least, by each sequence */
    double seconds; /* of writing, at least */
    const struct vq_cancel *cancel;
};

/* A session of one sequence that has read `depth` random tokens; 0: so many that the window is full
 * and the aggregate has one for each code. */
enum vq_status vq_speed_session(struct vq_session **out, const struct vq_engine *e, size_t depth,
                                const struct vq_cancel *cancel, struct vq_err *err);
/* Reading: feeds the session, of one sequence, some random tokens in blocks of its own choice. */
enum vq_status vq_speed_read(struct vq_speed *out, struct vq_session *s,
                             const struct vq_speed_options *o, struct vq_err *err);
/* Writing: tokens one by one, logits included, drawing them not: `batch` copies of the session, of
 * one sequence, move in step. */
enum vq_status vq_speed_write(struct vq_speed *out, const struct vq_session *s, int batch,
                              const struct vq_speed_options *o, struct vq_err *err);

#endif
