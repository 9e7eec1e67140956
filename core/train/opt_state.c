#include "core/train/opt_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/train/optim_private.h"

#define CHAIN    "opt_state/inner_states/main/inner_state"
#define CODEBOOK "opt_state/inner_states/codebook/inner_state"
#define NAME     192 /* the longest: chain, number, moment, and a parameter of 95 */

/* ---- out ---- */

/* The next tensor of the list, under the formatted name and without data. */
__attribute__((format(printf, 2, 3))) static struct vq_tensor_out *add(struct vq_opt_state *s,
                                                                       const char *fmt, ...)
{
    char *name = s->names + s->n * NAME;
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, NAME, fmt, args);
    va_end(args);
    struct vq_tensor_out *t = &s->at[s->n++];
    *t = (struct vq_tensor_out){.name = name, .dtype = VQ_NONE};
    return t;
}

static void set_count(struct vq_tensor_out *t, const int32_t *count)
{
    t->dtype = VQ_I32;
    t->data = count;
}

static void add_moments(struct vq_opt_state *s, const struct vq_optim *o, int at)
{
    for (size_t m = 0; m < o->kind->n_moments; m++) {
        for (size_t i = 0; i < o->layout->n; i++) {
            const struct vq_param *p = &o->layout->at[i];
            struct vq_tensor_out *t =
                add(s, CHAIN "/%d/0/%s/%s", at, o->kind->moment[m].name, p->name);
            if (p->is_codebook)
                continue;
            const struct vq_slot *slot = vq_optim_slot(o, p, m);
            t->dtype = o->kind->moment[m].dtype;
            t->rank = slot->rank;
            memcpy(t->shape, slot->shape, sizeof(slot->shape));
            t->data = slot->data;
        }
    }
}

enum vq_status vq_opt_state_list(struct vq_opt_state *out, const struct vq_optim *o,
                                 struct vq_err *err)
{
    size_t most = o->kind->n_moments * o->layout->n + (size_t)o->kind->empties + 6;
    *out = (struct vq_opt_state){.at = vq_alloc(most, sizeof(*out->at)),
                                 .names = vq_alloc(most, NAME)};
    if (!out->at || !out->names) {
        vq_opt_state_release(out);
        return vq_nomem(err, "the names of the optimiser's state", most, NAME);
    }
    int at = 0;
    add(out, CODEBOOK "/0");
    add(out, CODEBOOK "/1");
    if (o->grad_clip > 0.0)
        add(out, CHAIN "/%d", at++);
    set_count(add(out, CHAIN "/%d/0/count", at), &o->count);
    add_moments(out, o, at);
    for (int i = 1; i <= o->kind->empties; i++)
        add(out, CHAIN "/%d/%d", at, i);
    set_count(add(out, CHAIN "/%d/count", at + 1), &o->schedule_count);
    if (o->wd_lam > 0.0)
        add(out, CHAIN "/%d/inner_state", at + 2);
    return VQ_OK;
}

void vq_opt_state_release(struct vq_opt_state *s)
{
    free(s->at);
    free(s->names);
    *s = (struct vq_opt_state){0};
}

/* ---- in ---- */

/* The optimiser's place in the checkpoint's chain; -1 when there is none. */
static int find_optimiser(const struct vq_ckpt *c)
{
    char name[NAME];
    for (int at = 0; at < 2; at++) {
        snprintf(name, sizeof(name), CHAIN "/%d/0/count", at);
        if (vq_ckpt_find(c, name))
            return at;
    }
    return -1;
}

static const struct vq_tensor *find_moment(const struct vq_ckpt *c, int at, const char *moment,
                                           const char *param, char name[NAME])
{
    snprintf(name, NAME, CHAIN "/%d/0/%s/%s", at, moment, param);
    return vq_ckpt_find(c, name);
}

/* The optimiser whose moments the checkpoint holds, by the names below the first parameter. */
static const char *whose(const struct vq_ckpt *c, const struct vq_optim *o, int at)
{
    char name[NAME];
    const char *first = o->layout->at[0].name;
    if (find_moment(c, at, "v_row", first, name))
        return vq_optim_adafactor.name;
    if (find_moment(c, at, "nu", first, name))
        return vq_optim_adamw.name;
    return find_moment(c, at, "mu", first, name) ? vq_optim_lion.name : "another optimiser";
}

static bool same_shape(const struct vq_tensor *t, const struct vq_slot *s)
{
    return t->rank == s->rank &&
           (s->rank == 0 || !memcmp(t->shape, s->shape, (size_t)s->rank * sizeof(*s->shape)));
}

static enum vq_status check_moment(const struct vq_optim *o, const struct vq_ckpt *c, int at,
                                   size_t m, const struct vq_param *p, struct vq_err *err)
{
    char name[NAME], shape[64], want[64];
    enum vq_dtype dtype = o->kind->moment[m].dtype;
    const struct vq_slot *s = vq_optim_slot(o, p, m);
    const struct vq_tensor *t = find_moment(c, at, o->kind->moment[m].name, p->name, name);
    if (!t)
        return vq_fail(err, VQ_ESHAPE, "the optimiser's state lacks %s", name);
    if (t->dtype == dtype && same_shape(t, s))
        return VQ_OK;
    struct vq_tensor expected = {.rank = s->rank};
    memcpy(expected.shape, s->shape, sizeof(s->shape));
    return vq_fail(err, VQ_ESHAPE, "%s: expected %s %s, found %s %s", name, vq_dtype_name(dtype),
                   vq_tensor_shape(&expected, want, sizeof(want)), vq_dtype_name(t->dtype),
                   vq_tensor_shape(t, shape, sizeof(shape)));
}

static enum vq_status read_count(const struct vq_ckpt *c, int at, const char *leaf, int32_t *count,
                                 struct vq_err *err)
{
    char name[NAME];
    int64_t n = -1;
    snprintf(name, sizeof(name), CHAIN "/%d%s/count", at, leaf);
    const struct vq_tensor *t = vq_ckpt_find(c, name);
    if (t && t->count == 1 && t->dtype == VQ_I64) {
        vq_tensor_read_raw(t, &n);
    } else if (t && t->count == 1 && t->dtype == VQ_I32) {
        int32_t i;
        vq_tensor_read_raw(t, &i);
        n = i;
    }
    if (n < 0 || n > INT32_MAX)
        return vq_fail(err, VQ_ESHAPE, "%s: expected one integer of 0 or more", name);
    *count = (int32_t)n;
    return VQ_OK;
}

static void read_moments(struct vq_optim *o, const struct vq_ckpt *c, int at)
{
    char name[NAME];
    for (size_t i = 0; i < o->layout->n; i++) {
        const struct vq_param *p = &o->layout->at[i];
        for (size_t m = 0; m < o->kind->n_moments && !p->is_codebook; m++)
            vq_tensor_read_raw(find_moment(c, at, o->kind->moment[m].name, p->name, name),
                               vq_optim_slot(o, p, m)->data);
    }
}

enum vq_status vq_opt_state_load(struct vq_optim *o, const struct vq_ckpt *c, struct vq_err *err)
{
    int32_t count, schedule_count;
    int at = find_optimiser(c);
    if (at < 0)
        return vq_fail(err, VQ_ENOTFOUND, "%s: holds no optimiser state", vq_ckpt_path(c));
    const char *theirs = whose(c, o, at);
    if (strcmp(theirs, o->kind->name))
        return vq_fail(err, VQ_ESHAPE,
                       "%s: holds the optimiser state of %s; the configuration's optimizer is %s",
                       vq_ckpt_path(c), theirs, o->kind->name);
    enum vq_status st = read_count(c, at, "/0", &count, err);
    if (!st)
        st = read_count(c, at + 1, "", &schedule_count, err);
    for (size_t i = 0; !st && i < o->layout->n; i++)
        for (size_t m = 0; !st && m < o->kind->n_moments && !o->layout->at[i].is_codebook; m++)
            st = check_moment(o, c, at, m, &o->layout->at[i], err);
    if (st) {
        vq_err_prefix(err, "%s", vq_ckpt_path(c));
        return st;
    }
    read_moments(o, c, at);
    o->count = count;
    o->schedule_count = schedule_count;
    return VQ_OK;
}
