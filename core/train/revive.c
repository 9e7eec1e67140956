#include "core/train/revive.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/kernels/vec.h"

#define CLIP 0.01f /* the least count a sum is divided by */
#define FAR  1e30  /* squared distance from no code at all: all keys are then as likely */
#define NEAR 1e-6  /* of the squared lengths: what rounding leaves of a distance of 0 */

enum vq_status vq_key_sample_new(struct vq_key_sample **out, size_t cap, size_t H, size_t K,
                                 struct vq_err *err)
{
    size_t floats;
    *out = NULL;
    struct vq_key_sample *s = vq_alloc(1, sizeof(*s));
    if (s) {
        *s = (struct vq_key_sample){.H = H, .K = K, .cap = cap};
        if (vq_mul_ok(cap, H, &floats) && vq_mul_ok(floats, K, &floats))
            s->keys = vq_alloc_f32(floats);
    }
    if (!s || !s->keys) {
        vq_key_sample_free(s);
        return vq_nomem(err, "a sample of keys", cap, H * K * sizeof(float));
    }
    *out = s;
    return VQ_OK;
}

void vq_key_sample_free(struct vq_key_sample *s)
{
    if (s)
        free(s->keys);
    free(s);
}

void vq_key_sample_reset(struct vq_key_sample *s)
{
    s->n = 0;
    s->seen = 0;
}

void vq_key_sample_add(struct vq_key_sample *s, const float *keys, size_t ld, size_t n,
                       struct vq_rng *rng)
{
    size_t width = s->H * s->K;
    for (size_t i = 0; i < n; i++) {
        s->seen++;
        size_t slot = s->n < s->cap ? s->n++ : (size_t)vq_rng_below(rng, s->seen);
        if (slot < s->cap)
            memcpy(s->keys + slot * width, keys + i * ld, width * sizeof(*keys));
    }
}

/* One head at work. */
struct head {
    float *c_sum, *c_count; /* [S, K], [S] */
    const uint64_t *used;   /* [S] */
    const float *keys;      /* first of n, ld apart */
    size_t S, K, n, ld;
    double floor;
    const struct vq_vec *vec;
    float *centre; /* [K] scratch */
    double *far;   /* [n] squared distance of each key from the nearest living code */
};

static bool dead(const struct head *h, size_t s)
{
    return h->used[s] == 0 && (double)h->c_count[s] < h->floor;
}

/* Lowers the distances by what code s offers. */
static void serve(struct head *h, size_t s)
{
    float count = h->c_count[s] > CLIP ? h->c_count[s] : CLIP;
    for (size_t k = 0; k < h->K; k++)
        h->centre[k] = h->c_sum[s * h->K + k] / count;
    double norm = (double)h->vec->dot(h->centre, h->centre, h->K);
    for (size_t i = 0; i < h->n; i++) {
        const float *key = h->keys + i * h->ld;
        double squares = norm + (double)h->vec->dot(key, key, h->K);
        double d = squares - 2.0 * (double)h->vec->dot(key, h->centre, h->K);
        d = d > NEAR * squares ? d : 0.0;
        h->far[i] = d < h->far[i] ? d : h->far[i];
    }
}

/* A key drawn by its distance; n when all are served. */
static size_t draw(const struct head *h, struct vq_rng *rng)
{
    double total = 0.0;
    for (size_t i = 0; i < h->n; i++)
        total += h->far[i];
    if (!(total > 0.0) || !isfinite(total))
        return h->n;
    double at = vq_rng_unit(rng) * total;
    size_t last = h->n;
    for (size_t i = 0; i < h->n && at >= 0.0; i++) {
        if (h->far[i] > 0.0)
            last = i;
        at -= h->far[i];
    }
    return last;
}

static size_t revive_head(struct head *h, struct vq_rng *rng)
{
    size_t n_dead = 0, revived = 0;
    for (size_t i = 0; i < h->n; i++)
        h->far[i] = FAR;
    for (size_t s = 0; s < h->S; s++)
        n_dead += dead(h, s);
    for (size_t s = 0; s < h->S && n_dead > 0; s++)
        if (!dead(h, s))
            serve(h, s);
    for (size_t s = 0; s < h->S && revived < n_dead; s++) {
        if (!dead(h, s))
            continue;
        size_t key = draw(h, rng);
        if (key == h->n)
            break;
        memcpy(h->c_sum + s * h->K, h->keys + key * h->ld, h->K * sizeof(*h->c_sum));
        h->c_count[s] = 1.0f;
        serve(h, s);
        revived++;
    }
    return revived;
}

enum vq_status vq_revive_codes(float *c_sum, float *c_count, const uint64_t *used, size_t S,
                               double floor, const struct vq_key_sample *sample, struct vq_rng *rng,
                               size_t *revived, struct vq_err *err)
{
    size_t K = sample->K;
    struct head h = {.S = S,
                     .K = K,
                     .n = sample->n,
                     .ld = sample->H * K,
                     .floor = floor,
                     .vec = vq_vec_default(),
                     .centre = vq_alloc_f32(K),
                     .far = vq_alloc(sample->n, sizeof(double))};
    enum vq_status st = VQ_OK;
    *revived = 0;
    if (!h.centre || !h.far)
        st = vq_nomem(err, "distances of keys", sample->n, sizeof(double));
    for (size_t i = 0; !st && i < sample->H; i++) {
        h.c_sum = c_sum + i * S * K;
        h.c_count = c_count + i * S;
        h.used = used + i * S;
        h.keys = sample->keys + i * K;
        *revived += revive_head(&h, rng);
    }
    free(h.centre);
    free(h.far);
    return st;
}
