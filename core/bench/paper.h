/*
 * paper: the paper's own comparison (Lingle, arXiv 2309.16354, section 4.4) on this machine:
 * Transformer-VQ against quadratic models of the same shape with the same kernels, at growing
 * lengths. The dense one is the paper's rival; the blocked one, which skips what the causal mask
 * would throw away, is the honest one. Forward and backward are those of training, with gradients
 * through the whole sequence, one sequence at a time; generation is of one sequence whose past is
 * that long.
 *
 * Repeats of the models take turns, so that what else runs on the machine meets all of them; a
 * figure is the median. What would take a quadratic model too long is extrapolated: time grows as
 * a n + b n^2, through the two longest lengths measured; through one alone, or where noise leaves a
 * or b below 0, with a / b from counts of operations. So that this holds for the first length too,
 * shorter ones (1/64, 1/16, 1/4 of it, in whole blocks) are tried before, as many as are needed to
 * know; only the shortest is run whatever it takes.
 */
#ifndef VQ_CORE_BENCH_PAPER_H
#define VQ_CORE_BENCH_PAPER_H

#include "core/model/config.h"
#include "core/train/grad.h"

enum vq_paper_work { VQ_PAPER_FORWARD, VQ_PAPER_TRAIN, VQ_PAPER_GENERATE, VQ_PAPER_WORKS };
const char *vq_paper_work_name(enum vq_paper_work w); /* "forward", "forward+backward", ... */
#define VQ_PAPER_MODELS (VQ_ATTENTION_BLOCKED + 1)

struct vq_paper_options {
    const struct vq_gemm *gemm; /* NULL: the default */
    struct vq_pool *pool;       /* NULL: serial */
    const size_t *lengths;      /* [n_length], rising, multiples of block_len */
    size_t n_length;
    int repeats;
    double limit;    /* seconds that one run of a quadratic model may be expected to take */
    double sample;   /* seconds that a repeat lasts, at least */
    uint64_t memory; /* bytes of a workspace beyond which forward passes are done again instead */
    const struct vq_cancel *cancel;
    void *ud;
    /* Before each measurement; may be NULL. */
    void (*progress)(void *ud, enum vq_paper_work w, enum vq_attention model, size_t length);
};

struct vq_paper_cell {
    double seconds; /* of one token: the median; NaN where nothing is known */
    int repeats;    /* 0: extrapolated */
};

struct vq_paper {
    size_t n_length;
    /* [n_length]. Generation has one quadratic model: a single query leaves nothing to skip. */
    struct vq_paper_cell (*at)[VQ_PAPER_WORKS][VQ_PAPER_MODELS];
    bool recomputed; /* some workspace went beyond `memory` */
};

/* Tokens per second of a cell. */
static inline double vq_paper_rate(const struct vq_paper *p, size_t length, enum vq_paper_work w,
                                   enum vq_attention model)
{
    return 1.0 / p->at[length][w][model].seconds;
}

/* Measures everything. VQ_EINVAL for lengths that do not suit the configuration, VQ_ENOMEM naming
 * the bytes, VQ_ECANCELLED. Dropout is off. Release in any case. */
enum vq_status vq_paper_run(struct vq_paper *out, const struct vq_settings *s,
                            const struct vq_paper_options *o, struct vq_err *err);
void vq_paper_release(struct vq_paper *p);

/* seconds(n) = a n + b n^2 through two measurements n1 < n2; through the second alone, with a / b =
 * balance, where n1 is 0 or a or b would be negative. */
double vq_paper_extrapolate(double balance, double n1, double seconds1, double n2, double seconds2,
                            double n);

#endif
