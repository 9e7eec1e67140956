/*
 * The command eval: the task's metric on a data set.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/train/eval.h"
#include "repl/cmds.h"
#include "repl/models.h"
#include "repl/out.h"
#include "repl/part.h"
#include "repl/runlog.h"
#include "repl/training.h"

struct evaluating {
    struct sh *sh;
    const struct sh_args *args;
    struct sh_model *m;
    enum vq_split split;
    struct vq_batches batches;
    struct vq_data *data; /* the batches' own */
    struct vq_eval_result result;
    uint64_t bytes, words; /* that the metrics divide by; 0: unknown */
    double start;
};

static void show_progress(void *ud, uint64_t tokens, double nats)
{
    const struct evaluating *e = ud;
    double seconds = sh_now() - e->start;
    sh_progress(e->sh, "%llu tokens, %.4f nats per token, %.0f tokens/s",
                (unsigned long long)tokens, nats / (double)(tokens ? tokens : 1),
                (double)tokens / (seconds > 0 ? seconds : 1e-9));
}

static enum vq_status open_data(struct evaluating *e, struct vq_err *err)
{
    const struct sh_args *a = e->args;
    const struct vq_model *m = e->m->model;
    const struct vq_data_options o = {
        .vocab = vq_model_vocab(m),
        .split = e->split,
        .batch = (size_t)sh_opt_int(a, "batch"),
        .sequence_len = sh_opt_given(a, "length") ? (size_t)sh_opt_int(a, "length")
                                                  : (size_t)vq_model_config(m)->sequence_len,
        .pool = sh_pool(e->sh, err),
        .cancel = sh_cancel(e->sh)};
    return o.pool ? vq_batches_data(&e->batches, sh_opt_text(a, "data"), &o, &e->data, err)
                  : err->code;
}

/* The bytes and words of the raw text, when all of it was read; else those of the tokens. */
static enum vq_status measure_text(struct evaluating *e, struct vq_err *err)
{
    const struct vq_eval_result *r = &e->result;
    struct vq_data_info info = vq_data_info(e->data);
    bool text = info.is_text && r->words;
    e->bytes = r->whole && info.bytes ? info.bytes : r->all.bytes;
    e->words = text ? r->words : 0;
    return text && r->whole ? vq_data_words(e->data, &e->words, err) : VQ_OK;
}

static double bits_per_byte(double nats, uint64_t bytes)
{
    return nats / log(2.0) / (double)bytes;
}

static void record_results(const struct evaluating *e)
{
    struct sh *sh = e->sh;
    const struct vq_eval_part *all = &e->result.all;
    sh_run_result_text(sh, "split", vq_split_name(e->split));
    sh_run_result_int(sh, "tokens", (int64_t)all->tokens);
    sh_run_result_f64(sh, "nats_per_token", all->nats / (double)all->tokens);
    if (e->bytes)
        sh_run_result_f64(sh, "bits_per_byte", bits_per_byte(all->nats, e->bytes));
    if (e->words) {
        sh_run_result_int(sh, "words", (int64_t)e->words);
        sh_run_result_f64(sh, "word_perplexity", exp(all->nats / (double)e->words));
    }
    sh_run_result_f64(sh, "tokens_per_second", (double)all->tokens / e->result.seconds);
}

static void list_ranges(const struct evaluating *e, struct sh_part *p)
{
    const struct vq_eval_result *r = &e->result;
    sh_part_list(p, "by_position", "from to tokens nats_per_token bits_per_byte");
    for (size_t i = 0; i < VQ_EVAL_RANGES; i++) {
        const struct vq_eval_part *part = &r->range[i];
        int64_t from, to, end = (int64_t)e->batches.length;
        vq_eval_range_at(i, &from, &to);
        if (!part->tokens)
            continue;
        sh_part_row(p);
        sh_part_int(p, "from", from);
        sh_part_int(p, "to", (to < end ? to : end) - 1);
        sh_part_uint(p, "tokens", part->tokens);
        sh_part_f64(p, "nats_per_token", part->nats / (double)part->tokens);
        if (part->bytes)
            sh_part_f64(p, "bits_per_byte", bits_per_byte(part->nats, part->bytes));
    }
}

static enum sh_rc report(const struct evaluating *e)
{
    struct sh *sh = e->sh;
    const struct vq_eval_part *all = &e->result.all;
    double per_token = all->nats / (double)all->tokens;
    record_results(e);
    sh_record(sh);
    sh_str(sh, "split", vq_split_name(e->split));
    sh_uint(sh, "tokens", all->tokens);
    if (e->words)
        sh_uint(sh, "words", e->words);
    else
        sh_null(sh, "words");
    sh_f64(sh, "nats_per_token", per_token);
    if (e->bytes)
        sh_f64(sh, "bits_per_byte", bits_per_byte(all->nats, e->bytes));
    else
        sh_null(sh, "bits_per_byte");
    sh_f64(sh, "perplexity", exp(per_token));
    if (e->words)
        sh_f64(sh, "word_perplexity", exp(all->nats / (double)e->words));
    else
        sh_null(sh, "word_perplexity");
    sh_f64(sh, "tokens_per_second", (double)all->tokens / e->result.seconds);
    sh_uint(sh, "bytes", e->bytes);
    sh_uint(sh, "sequences", e->result.sequences);
    sh_str(sh, "run", sh_run_id(sh));
    if (!sh_opt_flag(e->args, "by-position"))
        return sh_end(sh);
    struct sh_part p = sh_parts_begin(sh);
    list_ranges(e, &p);
    return sh_parts_end(&p);
}

static enum vq_status evaluate(struct evaluating *e, struct vq_err *err)
{
    const struct vq_engine *engine = sh_model_engine(e->sh, e->m, err);
    const struct vq_eval_options o = {.vocab = vq_model_vocab(e->m->model),
                                      .limit = (uint64_t)sh_opt_int(e->args, "limit"),
                                      .cancel = sh_cancel(e->sh),
                                      .ud = e,
                                      .progress = show_progress};
    enum vq_status status = engine ? open_data(e, err) : err->code;
    e->start = sh_now();
    if (status == VQ_OK)
        status = vq_eval_run(&e->result, engine, &e->batches, &o, err);
    if (status == VQ_OK)
        status = measure_text(e, err);
    sh_progress_clear(e->sh);
    if (status == VQ_OK && e->result.all.tokens == 0)
        status = vq_fail(err, VQ_EINVAL, "every target is pad: there is nothing to judge");
    return status;
}

static enum sh_rc run_eval(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct evaluating e = {.sh = sh, .args = a, .m = sh_model_current(sh)};
    if (!sh_opt_given(a, "data"))
        return sh_bad_arg(sh, 0, "what should be judged? give --data PATH");
    if (vq_split_find(&e.split, sh_opt_text(a, "split"), &err) != VQ_OK)
        return sh_bad_arg(sh, sh_opt_word(a, "split"), "%s", err.msg);
    sh_run_begin(sh, e.m, NULL, NULL);
    enum vq_status status = evaluate(&e, &err);
    enum sh_rc rc = status == VQ_OK ? report(&e) : sh_fail(sh, &err);
    vq_batches_release(&e.batches);
    return rc;
}

static const struct sh_opt eval_opts[] = {
    {.name = "data", .letter = 'd', .kind = SH_PATH, .value = "PATH", .help = "data set"},
    {.name = "split",
     .kind = SH_TEXT,
     .value = "SPLIT",
     .def = "validation",
     .help = "train, validation or test"},
    {.name = "batch",
     .letter = 'b',
     .kind = SH_INT,
     .def = "8",
     .min = 1,
     .max = 1 << 16,
     .help = "sequences at a time"},
    {.name = "length",
     .letter = 'l',
     .kind = SH_INT,
     .min = 1,
     .max = 1e9,
     .help = "tokens of a sequence (default: sequence_len)"},
    {.name = "limit",
     .kind = SH_INT,
     .def = "0",
     .min = 0,
     .max = 1e18,
     .help = "stop after so many tokens (0: read all)"},
    {.name = "by-position",
     .kind = SH_FLAG,
     .help = "also by position in the sequence: 0-63, 64-255, 256-1023, ..."},
    SH_OPT_END};
static const char *const eval_examples[] = {
    "eval --data README.md --split train --limit 2000 --length 512", NULL};
const struct sh_cmd cmd_eval = {
    .name = "eval",
    .group = "judge",
    .args = "--data PATH",
    .summary = "judge the model on a data set: bits per byte, perplexity",
    .detail =
        "Sequences come in order, each from an empty state, in constant memory. bits_per_byte "
        "divides by the bytes of the text (of a picture: its dimensions), word_perplexity by its "
        "words: of the raw text when all of it is read, of what the tokens stand for under "
        "--limit. The session that `feed` moves is not touched. Recorded as a run.",
    .list = sh_data_kinds,
    .examples = eval_examples,
    .needs = SH_NEED_MODEL,
    .opts = eval_opts,
    .run = run_eval,
};
