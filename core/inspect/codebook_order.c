/*
 * vq_codebook_order: average-linkage clustering by chains of nearest neighbours (Murtagh 1983): a
 * chain of clusters, each the nearest of the one before, ends in two that are nearest to each
 * other; they merge, and the chain goes on from what is left. For a linkage such as the average
 * this gives the same tree as always merging the closest pair, in O(S^2).
 *
 * Each cluster carries its codes as a linked list; on a merge the two lists are turned so that the
 * nearer of their ends meet.
 */
#include "core/inspect/codebook.h"

#include <math.h>
#include <stdlib.h>

#include "core/base/mem.h"

#define NONE ((size_t)-1)

/* A cluster is named by one of its codes; the other of two merged ones is no longer alive. */
struct tree {
    const float *C;
    size_t S, K;
    float *gap;          /* [S, S] average distance between clusters */
    size_t *size;        /* codes in the cluster; 0: merged into another */
    size_t *head, *tail; /* ends of the cluster's list */
    size_t *next;        /* [S] successor in the list, or NONE */
    size_t *chain;
    size_t depth;
};

static enum vq_status tree_init(struct tree *t, const float *C, size_t S, size_t K,
                                struct vq_err *err)
{
    size_t cells;
    *t = (struct tree){.C = C, .S = S, .K = K};
    if (!vq_mul_ok(S, S, &cells) || !(t->gap = vq_alloc(cells, sizeof(*t->gap))))
        return vq_nomem(err, "distances between codes", S, S * sizeof(*t->gap));
    t->size = vq_alloc(S, sizeof(*t->size));
    t->head = vq_alloc(S, sizeof(*t->head));
    t->tail = vq_alloc(S, sizeof(*t->tail));
    t->next = vq_alloc(S, sizeof(*t->next));
    t->chain = vq_alloc(S, sizeof(*t->chain));
    if (!t->size || !t->head || !t->tail || !t->next || !t->chain)
        return vq_nomem(err, "clusters of codes", S, 5 * sizeof(size_t));
    for (size_t s = 0; s < S; s++) {
        t->size[s] = 1;
        t->head[s] = t->tail[s] = s;
        t->next[s] = NONE;
    }
    return VQ_OK;
}

static void tree_release(struct tree *t)
{
    free(t->gap);
    free(t->size);
    free(t->head);
    free(t->tail);
    free(t->next);
    free(t->chain);
}

/* The living cluster nearest to c; on a tie `prefer`, so that a chain cannot run in circles. */
static size_t nearest(const struct tree *t, size_t c, size_t prefer)
{
    size_t best = prefer;
    float gap = prefer == NONE ? INFINITY : t->gap[c * t->S + prefer];
    for (size_t s = 0; s < t->S; s++) {
        if (!t->size[s] || s == c)
            continue;
        if (best == NONE || t->gap[c * t->S + s] < gap) {
            best = s;
            gap = t->gap[c * t->S + s];
        }
    }
    return best;
}

static double ends_gap(const struct tree *t, size_t a, size_t b)
{
    double sum = 0.0;
    for (size_t k = 0; k < t->K; k++) {
        double d = (double)t->C[a * t->K + k] - t->C[b * t->K + k];
        sum += d * d;
    }
    return sum;
}

static void turn(struct tree *t, size_t c)
{
    size_t before = NONE, at = t->head[c];
    while (at != NONE) {
        size_t after = t->next[at];
        t->next[at] = before;
        before = at;
        at = after;
    }
    at = t->head[c];
    t->head[c] = t->tail[c];
    t->tail[c] = at;
}

/* Appends b's list to a's, either turned so that the tail of a and the head of b are as near as
 * can be. */
static void join_lists(struct tree *t, size_t a, size_t b)
{
    double as_is = ends_gap(t, t->tail[a], t->head[b]),
           turn_b = ends_gap(t, t->tail[a], t->tail[b]);
    double turn_a = ends_gap(t, t->head[a], t->head[b]), both = ends_gap(t, t->head[a], t->tail[b]);
    if (fmin(turn_a, both) < fmin(as_is, turn_b)) {
        turn(t, a);
        as_is = turn_a;
        turn_b = both;
    }
    if (turn_b < as_is)
        turn(t, b);
    t->next[t->tail[a]] = t->head[b];
    t->tail[a] = t->tail[b];
}

/* A rounded average may fall below both of its parts; then a cluster could enter the chain twice.
 */
static float average(float a, float wa, float b, float wb)
{
    return fmaxf((wa * a + wb * b) / (wa + wb), fminf(a, b));
}

static void merge(struct tree *t, size_t a, size_t b)
{
    float wa = (float)t->size[a], wb = (float)t->size[b];
    join_lists(t, a, b);
    for (size_t s = 0; s < t->S; s++) {
        float gap = average(t->gap[a * t->S + s], wa, t->gap[b * t->S + s], wb);
        t->gap[a * t->S + s] = t->gap[s * t->S + a] = gap;
    }
    t->size[a] += t->size[b];
    t->size[b] = 0;
}

static size_t first_alive(const struct tree *t)
{
    size_t s = 0;
    while (!t->size[s])
        s++;
    return s;
}

static enum vq_status grow(struct tree *t, const struct vq_cancel *cancel, struct vq_err *err)
{
    for (size_t left = t->S; left > 1;) {
        if (vq_cancelled(cancel))
            return vq_fail(err, VQ_ECANCELLED, "cancelled while ordering codes");
        if (!t->depth)
            t->chain[t->depth++] = first_alive(t);
        size_t top = t->chain[t->depth - 1];
        size_t before = t->depth > 1 ? t->chain[t->depth - 2] : NONE;
        size_t near = nearest(t, top, before);
        if (near != before) {
            t->chain[t->depth++] = near;
            continue;
        }
        merge(t, before, top);
        t->depth -= 2;
        left--;
    }
    return VQ_OK;
}

/* Cosines become 1 - cosine, which falls as likeness rises. */
static void cosines_to_gaps(float *gap, size_t cells)
{
    for (size_t i = 0; i < cells; i++)
        gap[i] = 1.0f - gap[i];
}

enum vq_status vq_codebook_order(size_t *order, enum vq_metric_kind by, const float *C, size_t S,
                                 size_t K, const struct vq_cancel *cancel, struct vq_err *err)
{
    struct tree t;
    enum vq_status rc = VQ_OK;
    if (S == 0)
        return VQ_OK;
    rc = tree_init(&t, C, S, K, err);
    if (!rc)
        rc = vq_codebook_matrix(t.gap, by, C, S, K, cancel, err);
    if (rc)
        goto done;
    if (by == VQ_BY_COSINE)
        cosines_to_gaps(t.gap, S * S);
    rc = grow(&t, cancel, err);
    if (rc)
        goto done;
    size_t at = t.head[first_alive(&t)];
    for (size_t i = 0; i < S; i++, at = t.next[at])
        order[i] = at;
done:
    tree_release(&t);
    return rc;
}
