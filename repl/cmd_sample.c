/*
 * The command sample: texts to the screen, pictures to PNG files (sample_image.c).
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/store/store.h"
#include "repl/cmds.h"
#include "repl/input.h"
#include "repl/out.h"
#include "repl/query.h"
#include "repl/runlog.h"
#include "repl/sampling.h"
#include "repl/speed.h"
#include "repl/tracked.h"

#define TEXT_LENGTH 512

char *sh_sample_path(const struct sh_sampling *s, const char *base, const char *name,
                     const char *suffix)
{
    const char *out = sh_opt_given(s->args, "out") ? sh_opt_text(s->args, "out") : base;
    size_t len = strlen(out), cut = len, extra = strlen(suffix);
    struct stat st;
    char *path = NULL;
    bool folder = len > 0 && (out[len - 1] == '/' || (stat(out, &st) == 0 && S_ISDIR(st.st_mode)));
    if (folder) {
        const char *slash = out[len - 1] == '/' ? "" : "/";
        const char *stem = strcmp(name, "sheet") == 0 ? "" : *name ? "sample-" : "sample";
        return asprintf(&path, "%s%s%s%s%s", out, slash, stem, name, suffix) < 0 ? NULL : path;
    }
    /* A suffix of the user's own stays the last thing in the name. */
    const char *dot = strrchr(out, '.'), *slash = strrchr(out, '/');
    const char *tail = suffix;
    if (sh_opt_given(s->args, "out") && dot && dot != out && (!slash || dot > slash + 1)) {
        cut = (size_t)(dot - out);
        tail = extra && strcmp(dot, suffix) == 0 ? suffix : dot;
    } else if (extra == 0) {
        tail = "";
    }
    return asprintf(&path, "%.*s%s%s%s", (int)cut, out, *name ? "-" : "", name, tail) < 0 ? NULL
                                                                                          : path;
}

/* ---- drawing ---- */

static void show_progress(struct sh_sampling *s)
{
    double seconds = sh_now() - s->start;
    double rate = (double)(s->steps * s->n) / (seconds > 0 ? seconds : 1e-9);
    double left = (double)((s->length - s->steps) * s->n) / (rate > 0 ? rate : 1e-9);
    if (!s->stream)
        sh_progress(s->sh, "%zu of %zu tokens, %.1f tokens/s, %.0f s left", s->steps, s->length,
                    rate, left);
}

/* What one id adds to a text: its bytes, or where ids have none its number. */
static size_t text_of(const struct sh_sampling *s, size_t index, int32_t id, char *buf, size_t len)
{
    if (vq_vocab_is_text(s->vocab))
        return vq_vocab_bytes(s->vocab, id, buf, len);
    return (size_t)snprintf(buf, len, "%s%d", index ? " " : "", (int)id);
}

static enum vq_status take_token(void *ud, int b, size_t index, int32_t id, double nats,
                                 struct vq_err *err)
{
    struct sh_sampling *s = ud;
    struct sh_drawn *d = &s->drawn[b];
    char bytes[256];
    if (s->image) {
        sh_image_put(s, (size_t)b, id);
    } else {
        size_t n = text_of(s, index, id, bytes, sizeof(bytes));
        vq_text_put(&d->text, bytes, n);
        if (d->text.failed)
            return vq_nomem(err, "text", d->text.len + n, 1);
        if (s->stream)
            sh_out_bytes(s->sh, bytes, n);
    }
    d->tokens[index] = id;
    d->n = index + 1;
    d->nats += nats;
    s->steps = index + 1 > s->steps ? index + 1 : s->steps;
    show_progress(s);
    return VQ_OK;
}

/* eos and the prompt, or the present state with --continue; in one sequence, before it is spread
 * over the batch. */
static enum vq_status begin(struct sh_sampling *s, struct vq_session **out, struct vq_err *err)
{
    const struct vq_feed_options o = {.cancel = sh_cancel(s->sh)};
    const int32_t eos = VQ_EOS;
    struct sh_input in = {0};
    enum vq_status status = VQ_OK;
    struct vq_session *one = NULL;
    const struct vq_engine *e = sh_model_engine(s->sh, s->m, err);
    if (!e)
        return err->code;
    if (s->go_on)
        status = vq_session_row(&one, s->m->session, s->row, err);
    else if ((status = vq_session_new(&one, e, 1, err)) == VQ_OK)
        status = vq_session_feed(one, &eos, 1, 1, &o, err);
    if (status == VQ_OK && s->image)
        status = sh_image_prompt(s, &in.tokens, &in.cols, err);
    else if (status == VQ_OK && sh_opt_given(s->args, "prompt"))
        status = sh_input_text(s->vocab, sh_opt_text(s->args, "prompt"),
                               strlen(sh_opt_text(s->args, "prompt")), &in, err);
    else if (status == VQ_OK && sh_opt_given(s->args, "prompt-file"))
        status = sh_input_file(s->vocab, sh_opt_text(s->args, "prompt-file"), &in, err);
    if (status == VQ_OK && in.cols)
        status = vq_session_feed(one, in.tokens, in.cols, in.cols, &o, err);
    sh_input_release(&in);
    *out = one;
    if (status == VQ_OK && s->n > 1) {
        status = vq_session_fork(out, one, (int)s->n, err);
        vq_session_free(one);
    }
    return status;
}

static enum vq_status draw(struct sh_sampling *s, struct vq_err *err)
{
    struct vq_session *session = NULL;
    const struct vq_generate_options o = {.sampler = s->sampler,
                                          .seed = s->seed,
                                          .length = s->length,
                                          .stop_at_eos = !s->image,
                                          .bytes = s->image ? s->vocab : NULL,
                                          .place = s->given,
                                          .cancel = sh_cancel(s->sh),
                                          .ud = s,
                                          .token = take_token};
    enum vq_status status = begin(s, &session, err);
    const struct vq_state_reads before =
        session ? vq_session_reads(session) : (struct vq_state_reads){0};
    s->start = sh_now();
    if (status == VQ_OK)
        status = vq_generate(session, &o, err);
    double seconds = sh_now() - s->start;
    sh_progress_clear(s->sh);
    if (session && s->steps > 0)
        sh_speed_limit_note(s->sh, s->m, session, &before, s->steps, seconds);
    vq_session_free(session);
    return status;
}

/* ---- results ---- */

/* Writes the texts that --out asks for, bytes as drawn. */
static enum vq_status save_texts(struct sh_sampling *s, struct vq_err *err)
{
    char name[32];
    enum vq_status status = VQ_OK;
    for (size_t b = 0; status == VQ_OK && b < s->n && sh_opt_given(s->args, "out"); b++) {
        struct sh_drawn *d = &s->drawn[b];
        snprintf(name, sizeof(name), "%zu", b);
        d->path = sh_sample_path(s, "", s->n > 1 ? name : "", ".txt");
        if (!d->path)
            return vq_nomem(err, "file name", 1, 1);
        status = vq_file_replace(d->path, d->text.len ? d->text.data : "", d->text.len, err);
        if (status == VQ_OK)
            sh_run_file(s->sh, "text", d->path);
    }
    return status;
}

struct totals {
    size_t tokens;
    double bits_per_token; /* NaN without tokens */
};

static struct totals sum_up(const struct sh_sampling *s)
{
    struct totals t = {0};
    double nats = 0.0;
    for (size_t b = 0; b < s->n; b++) {
        nats += s->drawn[b].nats;
        t.tokens += s->drawn[b].n;
    }
    t.bits_per_token = t.tokens ? nats / 0.69314718055994531 / (double)t.tokens : NAN;
    return t;
}

static void record(struct sh_sampling *s)
{
    const struct totals t = sum_up(s);
    sh_run_result_int(s->sh, "tokens", (int64_t)t.tokens);
    if (t.tokens)
        sh_run_result_f64(s->sh, "bits_per_token", t.bits_per_token);
    for (size_t b = 0; b < s->n; b++) {
        const struct sh_drawn *d = &s->drawn[b];
        const struct vq_sample sample = {.index = (int64_t)b,
                                         .seed = s->seed + b,
                                         .text = s->image ? NULL : d->text.data,
                                         .len = d->text.len,
                                         .path = d->path,
                                         .tokens = (int64_t)d->n,
                                         .nats = d->nats};
        sh_run_sample(s->sh, &sample);
    }
}

/* Texts that were not streamed, one after the other. */
static void print_texts(struct sh_sampling *s)
{
    for (size_t b = 0; !s->image && !s->stream && b < s->n; b++) {
        sh_note(s->sh, "sample %zu, seed %llu:", b, (unsigned long long)(s->seed + b));
        sh_out_bytes(s->sh, s->drawn[b].text.data, s->drawn[b].text.len);
        sh_out_bytes_end(s->sh);
    }
}

static enum sh_rc list_samples(struct sh_sampling *s, const char *sheet)
{
    struct sh *sh = s->sh;
    sh_list(sh, s->image ? "index tokens seed path text nats sheet run"
                         : "index tokens seed path text nats run");
    if (s->image)
        sh_columns_hidden(sh, "text sheet run"); /* the closing note tells the last two */
    for (size_t b = 0; b < s->n; b++) {
        const struct sh_drawn *d = &s->drawn[b];
        sh_row(sh);
        sh_uint(sh, "index", b);
        sh_uint(sh, "tokens", d->n);
        sh_uint(sh, "seed", s->seed + b);
        sh_str(sh, "path", d->path);
        if (s->image)
            sh_str(sh, "sheet", sheet);
        else
            sh_bytes(sh, "text", d->text.len ? d->text.data : "", d->text.len);
        sh_f64(sh, "nats", d->nats);
        sh_str(sh, "run", sh_run_id(sh));
    }
    return sh_end(sh);
}

/* For people: what it takes to draw the same again. */
static void closing_note(const struct sh_sampling *s, const char *sheet)
{
    const struct totals t = sum_up(s);
    sh_note(s->sh, "%zu tokens, %.3f bits per token, seed %llu%s%s%s%s", t.tokens,
            t.tokens ? t.bits_per_token : 0.0, (unsigned long long)s->seed,
            sh_run_id(s->sh) ? ", run " : "", sh_run_id(s->sh) ? sh_run_id(s->sh) : "",
            sheet ? ", contact sheet " : "", sheet ? sheet : "");
}

static enum sh_rc report(struct sh_sampling *s)
{
    struct vq_err err = {0};
    char *sheet = NULL;
    enum vq_status status = s->image ? sh_image_save(s, &sheet, &err) : save_texts(s, &err);
    record(s);
    if (s->stream)
        sh_out_bytes_end(s->sh);
    enum sh_rc rc = SH_OK;
    if (status != VQ_OK)
        rc = sh_fail(s->sh, &err);
    else if (s->image || !sh_out_is_text(s->sh))
        rc = list_samples(s, sheet);
    else
        print_texts(s);
    closing_note(s, sheet);
    free(sheet);
    return rc;
}

/* ---- the command ---- */

static enum vq_status reserve(struct sh_sampling *s, struct vq_err *err)
{
    s->drawn = vq_calloc(s->n, sizeof(*s->drawn));
    if (!s->drawn)
        return vq_nomem(err, "samples", s->n, sizeof(*s->drawn));
    for (size_t b = 0; b < s->n; b++) {
        struct sh_drawn *d = &s->drawn[b];
        d->tokens = vq_alloc(s->length, sizeof(*d->tokens));
        d->rgb = s->image ? vq_alloc(SH_IMAGE_BYTES, 1) : NULL;
        if (!d->tokens || (s->image && !d->rgb))
            return vq_nomem(err, "samples", s->length, sizeof(*d->tokens));
        if (s->image)
            memset(d->rgb, 0x80, SH_IMAGE_BYTES);
    }
    if (!s->image || !sh_out_terminal(s->sh))
        return VQ_OK;
    size_t fit = ((size_t)sh_out_columns(s->sh) + 1) / (SH_IMAGE_SIDE + 1);
    s->strip_n = fit < 1 ? 1 : fit < s->n ? fit : s->n;
    size_t width = s->strip_n * (SH_IMAGE_SIDE + 1) - 1;
    s->strip = vq_calloc(SH_IMAGE_SIDE * width, 3);
    return s->strip ? VQ_OK : vq_nomem(err, "preview", width, 3);
}

static void release(struct sh_sampling *s)
{
    for (size_t b = 0; s->drawn && b < s->n; b++) {
        free(s->drawn[b].tokens);
        free(s->drawn[b].rgb);
        free(s->drawn[b].path);
        vq_text_release(&s->drawn[b].text);
    }
    free(s->drawn);
    free(s->strip);
}

static void set_sampler(struct sh_sampling *s)
{
    const struct sh_args *a = s->args;
    const struct sh_settings *set = &s->sh->set;
    vq_sampler_default(&s->sampler);
    s->sampler.temperature =
        sh_opt_given(a, "temperature") ? sh_opt_real(a, "temperature") : set->temperature;
    s->sampler.top_p = sh_opt_given(a, "top-p") ? sh_opt_real(a, "top-p") : set->top_p;
    s->sampler.top_k = sh_opt_given(a, "top-k") ? sh_opt_int(a, "top-k") : set->top_k;
    if (strcmp(sh_opt_text(a, "top-p-rule"), "reference") == 0)
        s->sampler.rule = VQ_TOP_P_REFERENCE;
}

/* Before hours of drawing: is there a folder that files can go to? One that is named as a folder is
 * made. */
static enum sh_rc check_out(struct sh *sh, const struct sh_args *a)
{
    const char *out = sh_opt_text(a, "out"), *slash = strrchr(out, '/');
    char *folder = slash ? vq_strndup(out, (size_t)(slash - out) + 1) : vq_strdup(".");
    enum sh_rc rc = SH_OK;
    if (folder && slash && !slash[1])
        mkdir(folder, 0777);
    if (!folder)
        rc = sh_failf(sh, "out of memory");
    else if (access(folder, W_OK | X_OK) != 0)
        rc = sh_bad_arg(sh, sh_opt_word(a, "out"), "cannot write in %s: %s", folder,
                        strerror(errno));
    free(folder);
    return rc;
}

/* Options that make no sense for this model or together. */
static enum sh_rc check_options(struct sh *sh, const struct sh_args *a, const struct vq_vocab *v)
{
    static const char *const of_text[] = {"prompt", "prompt-file"};
    bool image = vq_vocab_is_image(v);
    if (sh_opt_given(a, "prompt") && sh_opt_given(a, "prompt-file"))
        return sh_bad_arg(sh, sh_opt_word(a, "prompt-file"), "give one prompt");
    for (size_t i = 0; i < 2; i++)
        if (sh_opt_given(a, of_text[i]) && !vq_vocab_is_text(v))
            return sh_bad_arg(sh, sh_opt_word(a, of_text[i]), "this model's vocabulary (%s) %s",
                              vq_vocab_kind(v), "takes no text: it samples without a prompt");
    if (image && (sh_opt_given(a, "prompt") || sh_opt_given(a, "prompt-file")))
        return sh_bad_arg(sh, 0, "this model paints: give --prompt-image FILE");
    if (!image && sh_opt_given(a, "prompt-image"))
        return sh_bad_arg(sh, sh_opt_word(a, "prompt-image"), "this model writes: give --prompt");
    if (sh_opt_given(a, "prompt-image") && sh_opt_flag(a, "continue"))
        return sh_bad_arg(sh, sh_opt_word(a, "continue"), "give --continue or --prompt-image");
    return sh_opt_given(a, "out") ? check_out(sh, a) : SH_OK;
}

/* Whether to go on from the session, and from which of its sequences. */
static enum sh_rc check_continue(struct sh_sampling *s)
{
    struct vq_err err = {0};
    if (sh_opt_given(s->args, "row") && !sh_opt_flag(s->args, "continue"))
        return sh_bad_arg(s->sh, sh_opt_word(s->args, "row"), "--row goes with --continue");
    s->go_on = sh_opt_flag(s->args, "continue") && sh_model_position(s->m) > 0;
    if (!s->go_on)
        return SH_OK;
    const struct vq_session *session = sh_model_session(s->sh, s->m, &err);
    return session ? sh_row_pick(s->sh, s->args, session, &s->row) : sh_fail(s->sh, &err);
}

/* All that the outcome depends on beside the model, for the run's record. */
static void begin_run(struct sh_sampling *s)
{
    static const char *const prompts[] = {"prompt", "prompt-file", "prompt-image"};
    struct vq_text t = {0};
    vq_text_printf(&t, "{\"n\":%zu,\"length\":%zu,\"temperature\":", s->n, s->length);
    vq_text_json_f64(&t, s->sampler.temperature);
    vq_text_puts(&t, ",\"top_p\":");
    vq_text_json_f64(&t, s->sampler.top_p);
    vq_text_printf(&t, ",\"top_p_rule\":\"%s\",\"top_k\":%lld,\"weights\":\"%s\"",
                   sh_opt_text(s->args, "top-p-rule"), (long long)s->sampler.top_k,
                   vq_weight_format_name(s->m->weights));
    for (size_t i = 0; i < sizeof(prompts) / sizeof(prompts[0]); i++) {
        const char *prompt = sh_opt_text(s->args, prompts[i]);
        if (!prompt)
            continue;
        vq_text_printf(&t, ",\"%s\":", prompts[i]);
        vq_text_json_string(&t, prompt, strlen(prompt));
    }
    if (sh_opt_given(s->args, "prompt-image"))
        vq_text_printf(&t, ",\"rows\":%lld", (long long)sh_opt_int(s->args, "rows"));
    vq_text_printf(&t, ",\"continue\":%s", sh_opt_flag(s->args, "continue") ? "true" : "false");
    if (s->row)
        vq_text_printf(&t, ",\"row\":%d", s->row);
    vq_text_puts(&t, "}");
    sh_run_begin(s->sh, s->m, &s->seed, t.failed ? NULL : t.data);
    vq_text_release(&t);
}

static enum sh_rc run_sample(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct sh_model *m = sh_model_current(sh);
    const struct vq_vocab *v = vq_model_vocab(m->model);
    enum sh_rc rc = check_options(sh, a, v);
    if (rc != SH_OK)
        return rc;
    struct sh_sampling s = {.sh = sh, .m = m, .vocab = v, .args = a};
    s.image = vq_vocab_is_image(v);
    s.n = (size_t)sh_opt_int(a, "n");
    s.length = sh_opt_given(a, "length") ? (size_t)sh_opt_int(a, "length")
               : s.image                 ? SH_IMAGE_BYTES
                                         : TEXT_LENGTH;
    s.seed = sh_seed(sh, sh_opt_seed(a, "seed"));
    s.stream = s.n == 1 && !s.image && sh_out_is_text(sh);
    if ((rc = check_continue(&s)) != SH_OK)
        return rc;
    set_sampler(&s);
    if (s.image && sh_image_plan(&s, &err) != VQ_OK)
        return sh_fail(sh, &err);
    begin_run(&s);
    enum vq_status status = reserve(&s, &err);
    if (status == VQ_OK)
        status = draw(&s, &err);
    if (status == VQ_OK) {
        rc = report(&s);
    } else {
        if (s.steps > 0)
            report(&s); /* what was drawn before it stopped is kept */
        rc = sh_fail(sh, &err);
    }
    release(&s);
    return rc;
}

static const struct sh_opt sample_opts[] = {
    {.name = "n",
     .kind = SH_INT,
     .def = "1",
     .min = 1,
     .max = 4096,
     .help = "how many, drawn together"},
    {.name = "length",
     .letter = 'l',
     .kind = SH_INT,
     .min = 1,
     .max = 1e9,
     .help = "tokens each (default: 512, or a whole picture)"},
    {.name = "temperature",
     .letter = 'T',
     .kind = SH_REAL,
     .min = 0,
     .max = 1e6,
     .help = "0: always the likeliest (default: set temperature)"},
    {.name = "top-p",
     .letter = 'p',
     .kind = SH_REAL,
     .min = 0,
     .max = 1,
     .help = "nucleus; 1 keeps everything (default: set top_p)"},
    {.name = "top-p-rule",
     .kind = SH_CHOICE,
     .def = "exact",
     .choices = "exact reference",
     .help = "reference: the authors' rule, which cuts 1e-4 even at p = 1"},
    {.name = "top-k",
     .letter = 'k',
     .kind = SH_INT,
     .min = 0,
     .max = 1e9,
     .help = "the likeliest K only; 0: all (default: set top_k)"},
    {.name = "seed",
     .letter = 's',
     .kind = SH_SEED,
     .help = "sequence i uses seed + i (default: set seed)"},
    {.name = "prompt", .kind = SH_TEXT, .value = "TEXT", .help = "text to go on from"},
    {.name = "prompt-file", .kind = SH_PATH, .help = "the same from a file"},
    {.name = "prompt-image", .kind = SH_PATH, .help = "picture to go on from"},
    {.name = "rows",
     .kind = SH_INT,
     .def = "32",
     .min = 0,
     .max = SH_IMAGE_SIDE - 1,
     .help = "rows of --prompt-image that are given"},
    {.name = "continue", .kind = SH_FLAG, .help = "go on from the state that `feed` made"},
    SH_ROW_OPT,
    {.name = "out",
     .letter = 'o',
     .kind = SH_OUTPATH,
     .value = "PATH",
     .help = "file for the texts or pictures, or folder: DIR/ is made if need be"},
    SH_OPT_END};
static const char *const sample_examples[] = {
    "sample --prompt \"Call me Ishmael.\" --length 200 --seed 7",
    "sample -n 4 --length 64 --temperature 0.8 --seed 1", "sample --top-p 0.9 --length 100", NULL};
const struct sh_cmd cmd_sample = {
    .name = "sample",
    .group = "sample",
    .args = "",
    .summary = "write text, or paint 64x64 pictures to PNG files",
    .detail = "A sequence starts from eos and an empty state; the session that `feed` moves is not "
              "touched (--continue starts from a copy of it). The seed is printed and repeats the "
              "draw.\n\n"
              "Text is streamed as it comes, in whole characters on a terminal; --out keeps the "
              "raw bytes. Pictures become one PNG each and a contact sheet; special ids are never "
              "drawn, nor ids of another channel than the next. Files of several samples get -0, "
              "-1, ... in their names. Recorded as a run "
              "with its samples. Ctrl-C keeps what was drawn.",
    .examples = sample_examples,
    .needs = SH_NEED_MODEL,
    .opts = sample_opts,
    .run = run_sample,
};
