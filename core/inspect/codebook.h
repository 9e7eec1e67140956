/*
 * codebook: what can be said about one head's codebook C[S,K] and the counts of its codes: how
 * many codes are in use and how evenly, how long their vectors are, how near they lie to each
 * other. Everything is computed in double from plain arrays; a picture or a table of it is the
 * caller's business.
 *
 * Counts come in two kinds that only differ in `clip`. Those of a checkpoint (c_count) are moving
 * averages, never quite 0, and the model itself uses max(c_count, 0.01): pass VQ_COUNT_CLIP, and
 * entropy and usage are those the authors log. Observed counts are whole numbers: pass 0.
 *
 * Pairwise work is O(S^2 K): 4 ms at S = 512, K = 128. It polls cancel every few milliseconds.
 */
#ifndef VQ_CORE_INSPECT_CODEBOOK_H
#define VQ_CORE_INSPECT_CODEBOOK_H

#include <stddef.h>

#include "core/base/err.h"

/* The model's lower bound on c_count: C = c_sum / max(c_count, 0.01). */
#define VQ_COUNT_CLIP 0.01
/* Outside [1, 10^6] the authors count a code's usage as out of bounds (c_thresh_oob). */
#define VQ_COUNT_LOW  1.0
#define VQ_COUNT_HIGH 1e6

struct vq_stat {
    double min, mean, max;
};

struct vq_counts {
    size_t codes;         /* S */
    size_t dead;          /* codes with count <= clip; they keep no information */
    size_t used;          /* the others */
    double total;         /* sum of the counts as given */
    struct vq_stat count; /* of the counts as given */
    struct vq_stat usage; /* of max(count, clip): c_usage_min, _mean, _max */
    double entropy;       /* nats, of max(count, clip) normalised to sum 1: c_entropy; 0 when all
                             counts are 0 */
    double perplexity;    /* exp(entropy): how many equally used codes would be as even */
    size_t out_of_bounds; /* usage below VQ_COUNT_LOW or above VQ_COUNT_HIGH: c_thresh_oob */
};

/* Summary of count[S], S >= 1. */
void vq_counts_summary(struct vq_counts *out, const double *count, size_t S, double clip);

/* Entropy in nats of max(count, clip) normalised; 0 when all are 0. */
double vq_counts_entropy(const double *count, size_t S, double clip);

/*
 * Lengths and pairwise relations of the S vectors. sim (cosine) and dist (Euclidean) run over the
 * S (S - 1) / 2 pairs of distinct codes, NaN when there is none. The cosine with a zero vector is
 * 0.
 */
struct vq_geometry {
    struct vq_stat norm; /* c_norm_min, _mean, _max */
    struct vq_stat sim;  /* c_sim_min, _mean, _max */
    struct vq_stat dist; /* c_dist_min, _mean, _max */
};
enum vq_status vq_codebook_geometry(struct vq_geometry *out, const float *C, size_t S, size_t K,
                                    const struct vq_cancel *cancel, struct vq_err *err);

/* |a - b| of two vectors [K]. */
double vq_code_distance(const float *a, const float *b, size_t K);

/* How two codes are compared: by distance (nearest first) or by cosine (most alike first). */
enum vq_metric_kind { VQ_BY_DISTANCE, VQ_BY_COSINE };

struct vq_code_pair {
    size_t a, b; /* a < b in lists of pairs; a is the code asked for in lists of neighbours */
    double dist, sim;
};

/* The *n nearest pairs of all, nearest first, ties by (a, b); pairs[*n]. On return *n is how many
 * there are, at most S (S - 1) / 2. */
enum vq_status vq_codebook_pairs(struct vq_code_pair *pairs, size_t *n, enum vq_metric_kind by,
                                 const float *C, size_t S, size_t K, const struct vq_cancel *cancel,
                                 struct vq_err *err);

/* The neighbours of one code, nearest first, ties by number: pairs[*n]; on return *n is how many
 * there are, at most S - 1. VQ_EINVAL when code is not below S. */
enum vq_status vq_codebook_neighbours(struct vq_code_pair *pairs, size_t *n, size_t code,
                                      enum vq_metric_kind by, const float *C, size_t S, size_t K,
                                      struct vq_err *err);

/* The whole symmetric matrix into out[S,S]: distances with 0 on the diagonal, or cosines with 1
 * (0 for a zero vector). */
enum vq_status vq_codebook_matrix(float *out, enum vq_metric_kind by, const float *C, size_t S,
                                  size_t K, const struct vq_cancel *cancel, struct vq_err *err);

/* Norms |C_s| into out[S]. */
void vq_codebook_norms(double *out, const float *C, size_t S, size_t K);

/*
 * An order of the codes in which like ones stand together, for pictures of matrices and rows of
 * bars: the leaves of a clustering by average linkage, joined so that the ends that meet are the
 * nearer ones. order[S] becomes a permutation of 0..S-1. O(S^2) steps; memory 4 S^2 bytes
 * (64 MB at S = 4096), VQ_ENOMEM when that is not to be had.
 */
enum vq_status vq_codebook_order(size_t *order, enum vq_metric_kind by, const float *C, size_t S,
                                 size_t K, const struct vq_cancel *cancel, struct vq_err *err);

#endif
