#include "repl/probing.h"

#include <stdlib.h>
#include <string.h>

#include "core/kernels/vec.h"
#include "core/model/readout.h"
#include "repl/attn_run.h"
#include "repl/out.h"

static enum sh_rc pick_positions(struct sh_probing *p, const struct sh_args *a, const char *span)
{
    int64_t n = (int64_t)p->t.over.cols;
    if (span) {
        if (sh_span_parse(span, n, &p->from, &p->to))
            return SH_OK;
        return sh_bad_arg(p->sh, sh_opt_word(a, "span"),
                          "expected positions A-B inside 0 to %lld, found '%s'", (long long)n - 1,
                          span);
    }
    p->from = sh_opt_given(a, "pos") ? sh_opt_int(a, "pos") : -1;
    p->from += p->from < 0 ? n : 0;
    p->to = p->from;
    if (p->from >= 0 && p->from < n)
        return SH_OK;
    return sh_bad_arg(p->sh, sh_opt_word(a, "pos"), "there are %lld tokens, from 0", (long long)n);
}

enum sh_rc sh_probe(struct sh_probing *p, const struct sh_args *a, const char *span)
{
    struct vq_err err = {0};
    const struct vq_config *c = vq_model_config(p->m->model);
    p->rows = vq_config_modules(c) + 1;
    p->N = (size_t)c->n_vocab;
    p->D = (size_t)c->d_model;
    enum sh_rc rc = sh_tokens_pick(p->sh, a, p->m, SH_AS_FED, &p->t);
    if (rc == SH_OK)
        rc = sh_tokens_row(p->sh, a, &p->t);
    if (rc == SH_OK)
        rc = pick_positions(p, a, span);
    if (rc != SH_OK)
        return rc;
    const struct vq_probe_options o = {.from = p->from, .to = p->to};
    struct sh_tokens until = p->t; /* what comes later cannot matter */
    until.over.cols = (size_t)p->to + 1;
    enum vq_status status = vq_probe_new(&p->probe, c, &o, &err);
    if (status == VQ_OK && !(p->engine = sh_model_engine(p->sh, p->m, &err)))
        status = err.code;
    if (status == VQ_OK)
        status = sh_tokens_run(p->sh, p->m, &until, vq_probe_observer(p->probe), &err);
    return status == VQ_OK ? SH_OK : sh_fail(p->sh, &err);
}

void sh_probe_release(struct sh_probing *p)
{
    vq_probe_free(p->probe);
    sh_tokens_release(&p->t);
}

enum vq_status sh_probe_lens(const struct sh_probing *p, int64_t position, float *out,
                             struct vq_err *err)
{
    enum vq_status status =
        vq_readout_logits(p->engine, vq_probe_streams(p->probe, position), p->rows, out, err);
    for (size_t i = 0; status == VQ_OK && i < p->rows; i++)
        vq_vec_default()->log_softmax(out + i * p->N, p->N);
    return status;
}

enum vq_status sh_probe_parts(const struct sh_probing *p, int64_t position, float *out,
                              struct vq_err *err)
{
    const float *streams = vq_probe_streams(p->probe, position);
    return vq_readout_parts(p->engine, vq_probe_parts(p->probe, position), p->rows,
                            streams + (p->rows - 1) * p->D, out, err);
}

int32_t sh_probe_next(const struct sh_probing *p, int64_t position)
{
    return (size_t)position + 1 < p->t.over.cols ? sh_tokens_input(&p->t, (size_t)position + 1)
                                                 : -1;
}

const char *sh_probe_row(size_t row, char buf[32])
{
    return row ? sh_module_name((int)row - 1, -1, buf) : "embedding";
}

int32_t sh_token_id(struct sh *sh, const struct vq_vocab *v, const char *text, int word)
{
    char piece[64];
    int32_t *ids, id;
    size_t n;
    struct vq_err err = {0};
    for (id = 0; id < vq_vocab_size(v); id++)
        if (strcmp(vq_vocab_piece(v, id, piece, sizeof(piece)), text) == 0)
            return id;
    if (vq_vocab_encode(v, text, strlen(text), &ids, &n, &err) != VQ_OK) {
        sh_bad_arg(sh, word, "no token is shown as '%s'; the special ones are <pad>, <eos>, <unk>",
                   text);
        return -1;
    }
    id = n == 1 ? ids[0] : -1;
    free(ids);
    if (id < 0)
        sh_bad_arg(sh, word, "'%s' is %zu tokens; one is expected", text, n);
    return id;
}
