/*
 * The command export: arrays as numpy files, and (export_runs.c) the run database as tables.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/inspect/export.h"
#include "repl/cmds.h"
#include "repl/export_runs.h"
#include "repl/input.h"
#include "repl/out.h"
#include "repl/query.h"
#include "repl/tracked.h"

static void over_progress(void *ud, uint64_t done, uint64_t total)
{
    sh_progress(ud, "%llu of %llu tokens", (unsigned long long)done, (unsigned long long)total);
}

/* The tokens to run: those given, as targets; else those of the session, as they were fed. */
static enum sh_rc find_tokens(struct sh *sh, const struct sh_args *a, struct sh_model *m,
                              struct sh_input *in, struct vq_over *over)
{
    struct vq_err err = {0};
    struct sh_history h;
    if (sh_input_given(a)) {
        enum sh_rc rc = sh_input_read(sh, a, vq_model_vocab(m->model), in);
        if (rc == SH_OK && (in->rows == 0 || in->cols == 0))
            rc = sh_failf(sh, "the input is empty");
        *over = (struct vq_over){
            .tokens = in->tokens, .rows = in->rows, .cols = in->cols, .targets = true};
        return rc;
    }
    if (sh_history_to_run(m, &h, &err) != VQ_OK)
        return sh_fail(sh, &err);
    in->tokens = vq_alloc(h.rows * h.n, sizeof(*in->tokens));
    if (!in->tokens)
        return sh_failf(sh, "out of memory");
    for (size_t r = 0; r < h.rows; r++)
        memcpy(in->tokens + r * h.n, h.tokens + r * h.stride, h.n * sizeof(*in->tokens));
    in->rank = h.rows > 1 ? 2 : 1;
    *over = (struct vq_over){.tokens = in->tokens, .rows = h.rows, .cols = h.n};
    return SH_OK;
}

static enum sh_rc report(struct sh *sh, const char *path, const struct vq_export_result *r)
{
    struct vq_text shape = {0};
    vq_text_puts(&shape, "[");
    for (int i = 0; i < r->rank; i++)
        vq_text_printf(&shape, "%s%zu", i ? "," : "", r->shape[i]);
    vq_text_puts(&shape, "]");
    sh_record(sh);
    sh_str(sh, "path", path);
    if (!shape.failed)
        sh_json(sh, "shape", shape.data);
    sh_str(sh, "dtype", vq_npy_type_name(r->type));
    vq_text_release(&shape);
    return sh_end(sh);
}

static enum sh_rc write_array(struct sh *sh, const struct sh_args *a, struct vq_export_source *s)
{
    struct vq_err err = {0};
    struct vq_export_result result;
    enum vq_status status = vq_export(sh_arg(a, 0), sh_arg(a, 1), s, &result, &err);
    sh_progress_clear(sh);
    return status == VQ_OK ? report(sh, sh_arg(a, 1), &result) : sh_fail(sh, &err);
}

/* What the kind is made from, then the file. */
static enum sh_rc export_array(struct sh *sh, const struct sh_args *a, struct sh_model *m,
                               const struct vq_export_kind *kind)
{
    struct vq_err err = {0};
    struct sh_input in = {0};
    struct vq_over over = {0};
    struct vq_export_source s = {.model = m->model, .cancel = sh_cancel(sh)};
    enum sh_rc rc = SH_OK;
    if (kind->needs & VQ_EXPORT_SESSION && !(s.session = sh_model_session(sh, m, &err)))
        return sh_fail(sh, &err);
    if (kind->needs & VQ_EXPORT_TOKENS) {
        if (!(s.engine = sh_model_engine(sh, m, &err)))
            return sh_fail(sh, &err);
        rc = find_tokens(sh, a, m, &in, &over);
        over.cancel = sh_cancel(sh);
        over.ud = sh;
        over.progress = over_progress;
        s.over = &over;
        s.flat = in.rank == 1;
    }
    if (rc == SH_OK)
        rc = write_array(sh, a, &s);
    sh_input_release(&in);
    return rc;
}

/* attn: of the query that --pos asks for, of all modules or of one. */
static enum sh_rc export_attn(struct sh *sh, const struct sh_args *a, struct sh_model *m)
{
    struct sh_query q;
    enum sh_rc rc = sh_query_find(sh, a, m, &q);
    if (rc != SH_OK)
        return rc;
    struct vq_export_source s = {.model = m->model, .cancel = sh_cancel(sh), .session = q.session};
    const struct sh_value *module = sh_opt_value(a, "module");
    if (module) {
        s.one_module = true;
        s.module = module->mods[0].module;
    }
    rc = write_array(sh, a, &s);
    sh_query_release(&q);
    return rc;
}

static enum sh_rc run_export(struct sh *sh, const struct sh_args *a)
{
    struct sh_model *m = sh_model_current(sh);
    const struct vq_export_kind *kind = vq_export_find(sh_arg(a, 0));
    if (sh_is_run_export(sh_arg(a, 0)))
        return sh_export_runs(sh, a);
    if (!m)
        return sh_failf(sh, "no model is loaded: load PATH loads one");
    if (!kind)
        return sh_bad_arg(sh, sh_arg_word(a, 0), "expected one of %s", a->cmd->pos_choices);
    if (strcmp(sh_arg(a, 1), "-") == 0)
        return sh_bad_arg(sh, sh_arg_word(a, 1), "an array needs a file; ./- is one of that name");
    if (sh_input_given(a) && !(kind->needs & VQ_EXPORT_TOKENS))
        return sh_bad_arg(sh, sh_arg_word(a, 0), "%s is not made from tokens", kind->name);
    return strcmp(kind->name, "attn") == 0 ? export_attn(sh, a, m) : export_array(sh, a, m, kind);
}

static const struct sh_opt export_opts[] = {
    SH_INPUT_OPTS,
    SH_QUERY_OPTS,
    {.name = "module", .kind = SH_MODULE, .help = "attn: of this module alone"},
    SH_EXPORT_RUNS_OPTS,
    SH_OPT_END};
static const char *const export_examples[] = {
    "export codebook codebook.npy",
    "export logprobs logprobs.npy --text \"Call me Ishmael.\"",
    "export cache.lower lower.npy",
    "export runs runs.csv",
    "export metrics metrics.jsonl --where \"command=train and started>30d\"",
    "export tensorboard logs",
    NULL};
const struct sh_cmd cmd_export = {
    .name = "export",
    .group = "export",
    .args = "WHAT OUT",
    .summary = "write an array as a numpy file, or runs, metrics, samples as tables",
    .detail =
        "codebook        [n_layer,2,H,S,K]    the codes\n"
        "cache.lower     [n_layer,2,B,H,S]    counts of the aggregate\n"
        "cache.upper     [n_layer,2,B,H,S,V]  its mean values\n"
        "cache.window    [n_layer,2,B,H,M]    codes of the window, unfilled slots n_code; also "
        "cache.window.k and cache.window.v\n"
        "attn            [n_layer,2,B,H,M+1+S]  softmax of one query: window, then codes\n"
        "codes           [n_layer,2,B,H,T]    code of every token\n"
        "logits, logprobs  [B,T,n_vocab]\n\n"
        "codes, logits and logprobs run the session's tokens again as they were fed, or those of "
        "--text, --file, --tokens as `score` does: the inputs are eos and all but the last. attn "
        "with --pos is of --row alone: B is 1.\n\n"
        "runs, metrics, samples   all of them, or those of --where, as CSV, JSON, JSON lines or "
        "Markdown; all but Markdown come back with `import`, and nothing is lost on the way; OUT "
        "may be - for standard output\n"
        "tensorboard              OUT is a folder: an event file for each run, with metrics, "
        "results, texts and pictures",
    .examples = export_examples,
    .min_args = 2,
    .max_args = 2,
    .kinds = {SH_CHOICE, SH_OUTPATH},
    .pos_choices = SH_EXPORT_RUNS_CHOICES
    " logprobs logits codes codebook cache.lower cache.upper cache.window "
    "cache.window.k cache.window.v attn",
    .opts = export_opts,
    .run = run_export,
};
