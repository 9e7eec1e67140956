/*
 * bench paper: Transformer-VQ against quadratic models of the same shape, as a table, a picture and
 * a run.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/bench/paper.h"
#include "repl/bench.h"
#include "repl/curves.h"
#include "repl/out.h"
#include "repl/picture.h"
#include "repl/plot.h"
#include "repl/runlog.h"
#include "repl/terminal.h"
#include "repl/training.h"

#define COLUMNS                                                                                    \
    "path tokens vq dense blocked vq_over_dense vq_over_blocked extrapolated tokens_per_second "   \
    "repeats preset dtype run"
#define HIDDEN      "tokens_per_second repeats preset dtype run"
#define MAX_LENGTHS 16
#define MEMORY      8e9 /* bytes of a workspace, or half of the machine's */
#define SAMPLE      0.25

struct report {
    struct sh *sh;
    const struct sh_args *a;
    struct vq_settings settings;
    size_t lengths[MAX_LENGTHS], n;
    struct vq_paper paper;
};

static const size_t usual_lengths[] = {2048, 8192, 32768, 131072};

static enum sh_rc read_lengths(struct report *r)
{
    size_t given = sh_opt_count(r->a, "length"), L = (size_t)r->settings.v.block_len;
    bool quick = sh_opt_flag(r->a, "quick");
    r->n = given ? given : quick ? 2 : sizeof(usual_lengths) / sizeof(*usual_lengths);
    if (r->n > MAX_LENGTHS)
        return sh_bad_arg(r->sh, sh_opt_word(r->a, "length"), "at most %d lengths", MAX_LENGTHS);
    for (size_t i = 0; i < r->n; i++) {
        int64_t n = 0;
        if (given && sh_parse_int(sh_opt_nth(r->a, "length", i), &n))
            r->lengths[i] = (size_t)n;
        else
            r->lengths[i] = quick ? 2 * L * (i + 1) : usual_lengths[i];
    }
    return SH_OK;
}

static void show_progress(void *ud, enum vq_paper_work w, enum vq_attention model, size_t length)
{
    sh_progress(ud, "%s of %zu tokens, %s", vq_paper_work_name(w), length,
                vq_attention_name(model));
}

static uint64_t memory_limit(void)
{
    double half = (double)sh_machine_memory() / 2.0;
    return (uint64_t)(half < MEMORY ? half : MEMORY);
}

static enum vq_status measure(struct report *r, struct vq_err *err)
{
    bool quick = sh_opt_flag(r->a, "quick");
    const struct vq_paper_options o = {
        .gemm = vq_gemm_find(r->sh->set.gemm),
        .pool = sh_pool(r->sh, err),
        .lengths = r->lengths,
        .n_length = r->n,
        .repeats = quick ? 1 : (int)sh_opt_int(r->a, "repeats"),
        .limit = sh_opt_real(r->a, "patience"),
        .sample = quick ? 0.0 : SAMPLE,
        .memory = memory_limit(),
        .cancel = sh_cancel(r->sh),
        .ud = r->sh,
        .progress = show_progress,
    };
    if (!o.pool)
        return err->code;
    enum vq_status status = vq_paper_run(&r->paper, &r->settings, &o, err);
    sh_progress_clear(r->sh);
    return status;
}

/* "dense blocked", "" where all was measured. */
static const char *extrapolated(const struct report *r, size_t i, enum vq_paper_work w)
{
    const struct vq_paper_cell *c = r->paper.at[i][w];
    bool dense = !c[VQ_ATTENTION_DENSE].repeats, blocked = !c[VQ_ATTENTION_BLOCKED].repeats;
    return dense && blocked ? "dense blocked" : dense ? "dense" : blocked ? "blocked" : "";
}

static void record(const struct report *r, size_t i, enum vq_paper_work w, const char *what,
                   double value)
{
    char key[96];
    snprintf(key, sizeof(key), "%s %zu %s", vq_paper_work_name(w), r->lengths[i], what);
    sh_run_result_f64(r->sh, key, value);
}

static void add_row(const struct report *r, size_t i, enum vq_paper_work w)
{
    struct sh *sh = r->sh;
    double vq = vq_paper_rate(&r->paper, i, w, VQ_ATTENTION_CODES);
    double dense = vq_paper_rate(&r->paper, i, w, VQ_ATTENTION_DENSE);
    double blocked = vq_paper_rate(&r->paper, i, w, VQ_ATTENTION_BLOCKED);
    sh_row(sh);
    sh_str(sh, "path", vq_paper_work_name(w));
    sh_uint(sh, "tokens", r->lengths[i]);
    sh_f64(sh, "vq", vq);
    sh_f64(sh, "dense", dense);
    sh_f64(sh, "blocked", blocked);
    sh_f64(sh, "vq_over_dense", vq / dense);
    sh_f64(sh, "vq_over_blocked", vq / blocked);
    sh_str(sh, "extrapolated", extrapolated(r, i, w));
    sh_f64(sh, "tokens_per_second", vq);
    sh_int(sh, "repeats", r->paper.at[i][w][VQ_ATTENTION_CODES].repeats);
    sh_str(sh, "preset", r->settings.preset[0] ? r->settings.preset : NULL);
    sh_str(sh, "dtype", r->settings.v.dtype);
    sh_str(sh, "run", sh_run_id(sh));
    record(r, i, w, "vq", vq);
    record(r, i, w, "dense", dense);
    record(r, i, w, "blocked", blocked);
    record(r, i, w, "vq_over_dense", vq / dense);
    record(r, i, w, "vq_over_blocked", vq / blocked);
    for (int m = 0; m < VQ_PAPER_MODELS; m++) {
        char name[64];
        snprintf(name, sizeof(name), "%s %s", vq_paper_work_name(w),
                 vq_attention_name((enum vq_attention)m));
        sh_run_metric(sh, name, (int64_t)r->lengths[i],
                      vq_paper_rate(&r->paper, i, w, (enum vq_attention)m));
    }
}

/* How flat Transformer-VQ is: the longest length against 8192, or else the nearest shorter one. */
static void note_flatness(const struct report *r)
{
    size_t from = 0, to = r->n - 1;
    for (size_t i = 0; i < to; i++)
        if (r->lengths[i] <= 8192)
            from = i;
    if (from == to)
        return;
    double share[VQ_PAPER_WORKS];
    for (int w = 0; w < VQ_PAPER_WORKS; w++)
        share[w] = 100.0 * vq_paper_rate(&r->paper, to, (enum vq_paper_work)w, VQ_ATTENTION_CODES) /
                   vq_paper_rate(&r->paper, from, (enum vq_paper_work)w, VQ_ATTENTION_CODES);
    sh_note(
        r->sh,
        "Transformer-VQ at %zu tokens runs at %.0f %% (forward), %.0f %% (forward+backward) and "
        "%.0f %% (generation) of its rate at %zu",
        r->lengths[to], share[VQ_PAPER_FORWARD], share[VQ_PAPER_TRAIN], share[VQ_PAPER_GENERATE],
        r->lengths[from]);
}

static void describe(const struct report *r)
{
    const struct vq_config *c = &r->settings.v;
    sh_note(
        r->sh,
        "tokens/s of %lld layer%s of %s (d_model %lld, d_k %lld, d_v %lld, n_code %lld, mem_len "
        "%lld), %s, one sequence; dense: the whole T x T; blocked: what the causal mask leaves; "
        "in generation the two are one",
        (long long)c->n_layer, c->n_layer == 1 ? "" : "s",
        r->settings.preset[0] ? r->settings.preset : "a model", (long long)c->d_model,
        (long long)c->d_k, (long long)c->d_v, (long long)c->n_code, (long long)c->mem_len,
        c->dtype);
    if (r->paper.recomputed)
        sh_note(r->sh,
                "some lengths would have needed more than %.0f GB: their forward passes were "
                "done again instead",
                (double)memory_limit() * 1e-9);
}

/* ---- the picture ---- */

#define MAX_CURVES 5 /* the ratios; of one kind of work there are at most three */

/* One line of the picture; the last `guessed` of its points are extrapolated. */
struct line {
    struct sh_curve curve;
    size_t guessed;
};

static bool is_guess(const struct report *r, size_t i, enum vq_paper_work w, enum vq_attention m)
{
    return !r->paper.at[i][w][m].repeats;
}

/* In generation the quadratic models are one. */
static const char *rival_name(enum vq_paper_work w, enum vq_attention model)
{
    return w == VQ_PAPER_GENERATE ? "quadratic" : vq_attention_name(model);
}

/* The lines of one panel. Returns how many. */
static size_t curves_of(const struct report *r, enum vq_paper_work w, struct line *lines)
{
    size_t n = 0;
    for (int m = 0; m < VQ_PAPER_MODELS; m++) {
        enum vq_attention model = (enum vq_attention)m;
        struct sh_curve *c = &lines[n].curve;
        if (w == VQ_PAPER_GENERATE && model == VQ_ATTENTION_DENSE)
            continue;
        c->name = vq_strdup(m ? rival_name(w, model) : "Transformer-VQ");
        for (size_t i = 0; i < r->n; i++) {
            sh_curve_add(c, (double)r->lengths[i], vq_paper_rate(&r->paper, i, w, model));
            lines[n].guessed += is_guess(r, i, w, model);
        }
        n++;
    }
    return n;
}

/* How often Transformer-VQ goes into the others, for all kinds of work. */
static size_t ratios_of(const struct report *r, struct line *lines)
{
    size_t n = 0;
    for (int w = 0; w < VQ_PAPER_WORKS; w++) {
        for (int m = VQ_ATTENTION_DENSE; m < VQ_PAPER_MODELS; m++) {
            enum vq_attention model = (enum vq_attention)m;
            enum vq_paper_work work = (enum vq_paper_work)w;
            struct sh_curve *c = &lines[n].curve;
            if (work == VQ_PAPER_GENERATE && model == VQ_ATTENTION_DENSE)
                continue;
            if (asprintf(&c->name, "%s, %s", vq_paper_work_name(work), rival_name(work, model)) < 0)
                c->name = NULL;
            for (size_t i = 0; i < r->n; i++) {
                sh_curve_add(c, (double)r->lengths[i],
                             vq_paper_rate(&r->paper, i, work, VQ_ATTENTION_CODES) /
                                 vq_paper_rate(&r->paper, i, work, model));
                lines[n].guessed += is_guess(r, i, work, model);
            }
            n++;
        }
    }
    return n;
}

static enum vq_status draw_curves(const struct viz_chart *chart, struct line *lines, size_t n,
                                  struct viz_canvas **out, struct vq_err *err)
{
    struct viz_series s[MAX_CURVES] = {{.name = NULL}};
    enum vq_status status = VQ_OK;
    for (size_t i = 0; i < n; i++) {
        struct sh_curve *c = &lines[i].curve;
        if (c->failed || !c->name)
            status = vq_nomem(err, "curves", n, sizeof(*c));
        s[i] = (struct viz_series){.name = c->name,
                                   .x = viz_f64(c->x, c->n),
                                   .y = viz_f64(c->y, c->n),
                                   .marks = true,
                                   .rings = lines[i].guessed};
    }
    if (!status)
        status = viz_plot_lines(out, chart, s, n, err);
    for (size_t i = 0; i < n; i++)
        sh_curve_release(&lines[i].curve);
    return status;
}

/* Rates of one kind of work; the last panel has the ratios. */
static enum vq_status draw_panel(const struct report *r, int panel, struct viz_canvas **out,
                                 struct vq_err *err)
{
    struct line lines[MAX_CURVES] = {{.guessed = 0}};
    char subtitle[160];
    const struct vq_config *v = &r->settings.v;
    bool ratios = panel == VQ_PAPER_WORKS;
    snprintf(subtitle, sizeof(subtitle),
             "%lld layer%s of %s, %s, one sequence, %d threads; rings are extrapolated",
             (long long)v->n_layer, v->n_layer == 1 ? "" : "s",
             r->settings.preset[0] ? r->settings.preset : "a model", v->dtype,
             vq_pool_threads(sh_pool(r->sh, err)));
    const struct viz_chart chart = {.title = ratios ? "Transformer-VQ's rate over the others'"
                                                    : vq_paper_work_name((enum vq_paper_work)panel),
                                    .subtitle = subtitle,
                                    .xlabel = "tokens of the sequence",
                                    .ylabel = ratios ? "times as fast" : "tokens/s",
                                    .log_x = true,
                                    .log_y = true,
                                    .height = 420};
    size_t n = ratios ? ratios_of(r, lines) : curves_of(r, (enum vq_paper_work)panel, lines);
    return draw_curves(&chart, lines, n, out, err);
}

/* All panels below each other, to --out. */
static enum vq_status draw(const struct report *r, struct vq_err *err)
{
    struct viz_canvas *all = NULL;
    struct sh_notes notes;
    enum vq_status status = VQ_OK;
    const char *path = sh_opt_text(r->a, "out");
    for (int i = 0; !status && i <= VQ_PAPER_WORKS; i++) {
        struct viz_canvas *panel = NULL, *above = all;
        status = draw_panel(r, i, &panel, err);
        if (!status && above) {
            all = NULL;
            status = sh_plot_stack(&all, above, panel, err);
        } else if (!status) {
            all = panel;
        }
    }
    sh_notes_begin(&notes, r->sh, NULL);
    sh_notes_add(&notes, "Title", "Transformer-VQ against quadratic models");
    if (!status)
        status = sh_picture_write(all, path, &notes, err);
    if (!status) {
        sh_terminal_canvas(r->sh, all);
        sh_run_file(r->sh, "image", path);
    }
    viz_canvas_free(all);
    return status;
}

enum sh_rc sh_bench_paper(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct report r = {.sh = sh, .a = a};
    const char *path = sh_opt_text(a, "out");
    if (path && !sh_picture_path(path))
        return sh_bad_arg(sh, sh_opt_word(a, "out"),
                          "a picture's name ends in .png or .svg; found '%s'", path);
    enum vq_status status = sh_bench_settings(&r.settings, a, "enwik8", &err);
    if (status != VQ_OK)
        return sh_fail(sh, &err);
    /* Layers are alike: one says what all would. */
    if (!sh_bench_was_set(&r.settings, "n_layer"))
        r.settings.v.n_layer = 1;
    enum sh_rc rc = read_lengths(&r);
    if (rc != SH_OK)
        return rc;
    status = measure(&r, &err);
    if (status == VQ_OK) {
        describe(&r);
        sh_list(sh, COLUMNS);
        sh_columns_hidden(sh, HIDDEN);
        for (int w = 0; w < VQ_PAPER_WORKS; w++)
            for (size_t i = 0; i < r.n; i++)
                add_row(&r, i, (enum vq_paper_work)w);
        note_flatness(&r);
        if (sh_opt_given(a, "out"))
            status = draw(&r, &err);
    }
    vq_paper_release(&r.paper);
    return status == VQ_OK ? sh_end(sh) : sh_fail(sh, &err);
}
