/*
 * The command compare: two loaded models side by side: tensors, codebooks, and what they make of
 * the same text.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/inspect/compare.h"
#include "core/inspect/drift.h"
#include "repl/array.h"
#include "repl/cmds.h"
#include "repl/models.h"
#include "repl/out.h"
#include "repl/runs.h"
#include "repl/part.h"
#include "repl/pick.h"
#include "repl/surprising.h"

#define BITS (1.0 / 0.69314718055994530942)

struct comparing {
    struct sh *sh;
    const struct sh_args *a;
    struct sh_model *first, *second;
    struct vq_tensor_diff *tensor;
    size_t n_tensor;
    struct vq_drift *drift; /* [modules * H], or NULL where the codebooks have other shapes */
    size_t n_drift;
    struct sh_surprising sa, sb; /* of the same text; not filled without one */
    bool text;
};

/* ---- tensors ---- */

static enum vq_status compare_tensors(struct comparing *x, struct vq_err *err)
{
    const struct vq_ckpt *a = vq_model_ckpt(x->first->model), *b = vq_model_ckpt(x->second->model);
    enum vq_status status = vq_tensor_pairs(&x->tensor, &x->n_tensor, a, b, err);
    for (size_t i = 0; status == VQ_OK && i < x->n_tensor; i++) {
        struct vq_tensor_diff *t = &x->tensor[i];
        sh_progress(x->sh, "tensor %zu of %zu", i + 1, x->n_tensor);
        if (vq_cancelled(sh_cancel(x->sh)))
            status = vq_fail(err, VQ_ECANCELLED, "interrupted");
        else if (t->relation == VQ_TENSOR_BOTH)
            status = vq_tensor_compare(t, t->a, t->b, err);
    }
    sh_progress_clear(x->sh);
    return status;
}

/* A screen gets what differs, unless --all asks for the rest. */
static bool listed(const struct comparing *x, const struct vq_tensor_diff *t)
{
    return !sh_for_people(x->sh) || sh_opt_flag(x->a, "all") || t->relation != VQ_TENSOR_BOTH || !t->equal;
}

static void list_tensors(const struct comparing *x, struct sh_part *p)
{
    sh_part_list(p, "tensors", "name in shape max_abs mean_abs rms cosine equal");
    for (size_t i = 0; i < x->n_tensor; i++) {
        const struct vq_tensor_diff *t = &x->tensor[i];
        const struct vq_tensor *one = t->a ? t->a : t->b;
        char shape[256], other[128];
        if (!listed(x, t))
            continue;
        sh_part_row(p);
        sh_part_str(p, "name", one->name);
        sh_part_str(p, "in", vq_tensor_relation_name(t->relation));
        vq_tensor_shape(one, shape, sizeof(shape) / 2);
        if (t->relation == VQ_TENSOR_SHAPES) {
            size_t used = strlen(shape);
            snprintf(shape + used, sizeof(shape) - used, " and %s",
                     vq_tensor_shape(t->b, other, sizeof(other)));
        }
        sh_part_str(p, "shape", shape);
        if (t->relation != VQ_TENSOR_BOTH)
            continue;
        sh_part_f64(p, "max_abs", t->max_abs);
        sh_part_f64(p, "mean_abs", t->mean_abs);
        sh_part_f64(p, "rms", t->rms_a);
        sh_part_f64(p, "cosine", t->cosine);
        sh_part_str(p, "equal", t->equal ? "yes" : "no");
    }
}

/* ---- codebooks ---- */

static bool same_books(const struct vq_config *a, const struct vq_config *b)
{
    return a->n_layer == b->n_layer && a->n_head == b->n_head && a->n_code == b->n_code &&
           a->d_k == b->d_k;
}

/* One module's codebook and counts of a model, [H, S, K] and [H, S]. */
static enum vq_status read_book(const struct vq_model *m, int module, float *C, float *count,
                                struct vq_err *err)
{
    enum vq_status status = vq_model_codebook(m, module, C, err);
    return status == VQ_OK ? vq_model_read(m, module, "quantizer/c_count", count, err) : status;
}

static enum vq_status compare_books(struct comparing *x, struct vq_err *err)
{
    const struct vq_config *c = vq_model_config(x->first->model);
    size_t H = (size_t)c->n_head, S = (size_t)c->n_code, K = (size_t)c->d_k;
    if (!same_books(c, vq_model_config(x->second->model)))
        return VQ_OK;
    float *a = vq_alloc_f32(H * S * K), *na = vq_alloc_f32(H * S);
    float *b = vq_alloc_f32(H * S * K), *nb = vq_alloc_f32(H * S);
    x->n_drift = vq_config_modules(c) * H;
    x->drift = vq_calloc(x->n_drift, sizeof(*x->drift));
    enum vq_status status =
        a && na && b && nb && x->drift ? VQ_OK : vq_nomem(err, "two codebooks", 2 * H * S, K);
    for (size_t i = 0; status == VQ_OK && i < x->n_drift; i++) {
        size_t h = i % H;
        if (h == 0)
            status = read_book(x->first->model, (int)(i / H), a, na, err);
        if (h == 0 && status == VQ_OK)
            status = read_book(x->second->model, (int)(i / H), b, nb, err);
        if (status == VQ_OK)
            vq_drift_codes(&x->drift[i], NULL, a + h * S * K, na + h * S, b + h * S * K, nb + h * S,
                           S, K);
    }
    free(a);
    free(na);
    free(b);
    free(nb);
    return status;
}

static void list_books(const struct comparing *x, struct sh_part *p)
{
    int H = (int)vq_model_config(x->first->model)->n_head;
    char name[32];
    sh_part_list(p, "codebooks",
                 "module head alive died born moved_mean moved_max sim_mean usage_distance");
    for (size_t i = 0; i < x->n_drift; i++) {
        const struct vq_drift *d = &x->drift[i];
        sh_part_row(p);
        sh_part_str(p, "module", sh_module_name((int)i / H, -1, name));
        sh_part_int(p, "head", (int)i % H);
        sh_part_uint(p, "alive", d->alive);
        sh_part_uint(p, "died", d->died);
        sh_part_uint(p, "born", d->born);
        sh_part_f64(p, "moved_mean", d->moved.mean);
        sh_part_f64(p, "moved_max", d->moved.max);
        sh_part_f64(p, "sim_mean", d->sim_mean);
        sh_part_f64(p, "usage_distance", d->usage_distance);
    }
}

/* ---- the same text ---- */

static enum sh_rc score_both(struct comparing *x)
{
    x->text = sh_input_given(x->a);
    if (!x->text)
        return SH_OK;
    const struct vq_config *a = vq_model_config(x->first->model);
    const struct vq_config *b = vq_model_config(x->second->model);
    if (a->n_vocab != b->n_vocab)
        return sh_failf(x->sh, "%s has %lld tokens, %s %lld: they cannot read the same text",
                        x->first->name, (long long)a->n_vocab, x->second->name,
                        (long long)b->n_vocab);
    x->sa = (struct sh_surprising){.sh = x->sh, .m = x->first};
    x->sb = (struct sh_surprising){.sh = x->sh, .m = x->second};
    enum sh_rc rc = sh_surprise(&x->sa, x->a, NULL);
    if (rc == SH_OK)
        rc = sh_surprise(&x->sb, x->a, NULL);
    if (rc != SH_OK || (x->sa.rows == x->sb.rows && x->sa.n == x->sb.n))
        return rc;
    return sh_failf(x->sh, "the vocabularies cut the text into %zu and %zu tokens", x->sa.n,
                    x->sb.n);
}

static double bits_of(const struct sh_surprising *s)
{
    double nats = 0.0;
    size_t n = 0;
    for (size_t i = 0; i < s->rows * s->n; i++) {
        nats += s->v[i].nats;
        n += s->v[i].rank > 0;
    }
    return n ? nats * BITS / (double)n : NAN;
}

/* Bits per byte are bits per token times tokens per byte. */
static void put_bits(const struct comparing *x)
{
    struct sh *sh = x->sh;
    double a = bits_of(&x->sa), b = bits_of(&x->sb), bytes = (double)x->sa.t.in.text_bytes;
    double n = (double)(x->sa.rows * x->sa.n);
    sh_uint(sh, "tokens", x->sa.rows * x->sa.n);
    sh_f64(sh, "bits_per_token_a", a);
    sh_f64(sh, "bits_per_token_b", b);
    if (bytes > 0) {
        sh_f64(sh, "bits_per_byte_a", a * n / bytes);
        sh_f64(sh, "bits_per_byte_b", b * n / bytes);
    }
}

/* b's log-probability of a token less a's, in bits. */
static double change_at(const struct comparing *x, size_t i)
{
    return (x->sa.v[i].nats - x->sb.v[i].nats) * BITS;
}

/* Text around a token. */
static void put_before(const struct comparing *x, struct sh_part *p, size_t i)
{
    const struct vq_vocab *v = vq_model_vocab(x->first->model);
    size_t at = i % x->sa.n, from = at > 16 ? at - 16 : 0;
    struct vq_text text = {0};
    char piece[64];
    for (size_t k = from; k < at; k++)
        vq_text_puts(
            &text, vq_vocab_piece(v, sh_surprise_target(&x->sa, i - at + k), piece, sizeof(piece)));
    sh_part_bytes(p, "before", text.data ? text.data : "", text.len);
    vq_text_release(&text);
}

static void list_disagreement(const struct comparing *x, struct sh_part *p, size_t i)
{
    const struct vq_vocab *v = vq_model_vocab(x->first->model);
    char piece[64];
    sh_part_row(p);
    if (x->sa.rows > 1)
        sh_part_uint(p, "row", i / x->sa.n);
    sh_part_int(p, "position", x->sa.first + (int64_t)(i % x->sa.n));
    put_before(x, p, i);
    sh_part_str(p, "token", vq_vocab_piece(v, sh_surprise_target(&x->sa, i), piece, sizeof(piece)));
    sh_part_f64(p, "bits_a", x->sa.v[i].nats * BITS);
    sh_part_f64(p, "bits_b", x->sb.v[i].nats * BITS);
    sh_part_f64(p, "change", change_at(x, i));
    sh_part_str(p, "best_a", vq_vocab_piece(v, x->sa.v[i].best, piece, sizeof(piece)));
    sh_part_str(p, "best_b", vq_vocab_piece(v, x->sb.v[i].best, piece, sizeof(piece)));
}

static enum vq_status list_disagreements(const struct comparing *x, struct sh_part *p,
                                         struct vq_err *err)
{
    size_t n = x->sa.rows * x->sa.n, k = (size_t)sh_opt_int(x->a, "top");
    k = k < n ? k : n;
    float *change = vq_alloc(n, sizeof(*change));
    size_t *best = vq_alloc(k, sizeof(*best));
    enum vq_status status = change && best ? VQ_OK : vq_nomem(err, "changes", n, sizeof(*change));
    for (size_t i = 0; status == VQ_OK && i < n; i++)
        change[i] = fabsf((float)change_at(x, i));
    if (status == VQ_OK)
        vq_largest(best, k, change, n);
    sh_part_list(p, "disagreements",
                 x->sa.rows > 1 ? "row position before token bits_a bits_b change best_a best_b"
                                : "position before token bits_a bits_b change best_a best_b");
    for (size_t i = 0; status == VQ_OK && i < k && change[best[i]] > 0.0f; i++)
        list_disagreement(x, p, best[i]);
    free(change);
    free(best);
    return status;
}

/* ---- the command ---- */

static void describe(const struct comparing *x)
{
    struct sh *sh = x->sh;
    size_t count[4] = {0}, equal = 0;
    for (size_t i = 0; i < x->n_tensor; i++) {
        count[x->tensor[i].relation]++;
        equal += x->tensor[i].relation == VQ_TENSOR_BOTH && x->tensor[i].equal;
    }
    sh_record(sh);
    sh_str(sh, "a", x->first->name);
    sh_str(sh, "b", x->second->name);
    sh_uint(sh, "tensors", x->n_tensor);
    sh_uint(sh, "equal", equal);
    sh_uint(sh, "differ", count[VQ_TENSOR_BOTH] - equal);
    sh_uint(sh, "other_shapes", count[VQ_TENSOR_SHAPES]);
    sh_uint(sh, "only_a", count[VQ_TENSOR_ONLY_A]);
    sh_uint(sh, "only_b", count[VQ_TENSOR_ONLY_B]);
    if (x->text)
        put_bits(x);
}

static enum sh_rc report(const struct comparing *x)
{
    struct vq_err err = {0};
    describe(x);
    struct sh_part p = sh_parts_begin(x->sh);
    list_tensors(x, &p);
    list_books(x, &p);
    if (x->text && list_disagreements(x, &p, &err) != VQ_OK) {
        sh_parts_drop(&p);
        return sh_fail(x->sh, &err);
    }
    return sh_parts_end(&p);
}

/* Changes in bits f32 [T] or [rows, T]. */
static enum sh_rc write_changes(const struct comparing *x)
{
    const size_t shape[] = {x->sa.rows, x->sa.n};
    bool batch = x->sa.t.in.rank == 2;
    float *v = vq_alloc(shape[0] * shape[1], sizeof(*v));
    if (!v)
        return sh_failf(x->sh, "out of memory");
    for (size_t i = 0; i < shape[0] * shape[1]; i++)
        v[i] = (float)change_at(x, i);
    enum sh_rc rc = sh_array_write(x->sh, sh_opt_text(x->a, "out"), VQ_NPY_F32, batch ? 2 : 1,
                                   shape + !batch, v);
    free(v);
    return rc;
}

static enum sh_rc compare(struct comparing *x)
{
    struct vq_err err = {0};
    if (sh_opt_given(x->a, "out") && !sh_input_given(x->a))
        return sh_bad_arg(x->sh, sh_opt_word(x->a, "out"),
                          "--out writes changes over a text: give --text, --file or --tokens");
    enum sh_rc rc = score_both(x);
    if (rc != SH_OK)
        return rc;
    if (sh_opt_given(x->a, "out"))
        return write_changes(x);
    enum vq_status status = compare_tensors(x, &err);
    if (status == VQ_OK)
        status = compare_books(x, &err);
    return status == VQ_OK ? report(x) : sh_fail(x->sh, &err);
}

static enum sh_rc run_compare(struct sh *sh, const struct sh_args *a)
{
    struct comparing x = {.sh = sh,
                          .a = a,
                          .first = sh_model_find(sh, sh_arg(a, 0)),
                          .second = sh_model_find(sh, sh_arg(a, 1))};
    enum sh_rc rc = compare(&x);
    sh_surprise_release(&x.sa);
    sh_surprise_release(&x.sb);
    free(x.tensor);
    free(x.drift);
    return rc;
}

static const struct sh_opt compare_opts[] = {
    SH_INPUT_OPTS,
    {.name = "top",
     .letter = 'n',
     .kind = SH_INT,
     .def = "10",
     .min = 1,
     .max = 1e6,
     .help = "places of the text to show where they disagree most"},
    {.name = "all", .kind = SH_FLAG, .help = "list equal tensors on a screen, too"},
    SH_ARRAY_OPT,
    SH_OPT_END};
static const char *const compare_examples[] = {
    "compare text-small text-small", "compare text-small text-small --file README.md --top 5",
    NULL};
const struct sh_cmd cmd_compare = {
    .name = "compare",
    .group = "inspect",
    .args = "A B [--text TEXT | --file FILE | --tokens F.npy]",
    .summary = "compare two loaded models: tensors, codebooks, and a text they both read",
    .detail =
        "Tensors are paired by name (in: both, a, b, or shapes when these differ): max_abs and "
        "mean_abs are of |b - a|, rms is a's own, cosine between the two. Codebooks are "
        "compared code by code as `codebook --against` does, where the shapes agree. With a "
        "text both models score it; disagreements are the tokens whose log-probability "
        "differs most: change is b's minus a's in bits, positive where b knows better.\n\n"
        "--out writes these changes as float32 [T] or [B,T].",
    .examples = compare_examples,
    .min_args = 2,
    .max_args = 2,
    .kinds = {SH_MODEL, SH_MODEL},
    .needs = SH_NEED_MODEL,
    .opts = compare_opts,
    .run = run_compare,
};
