/*
 * webpage_run: one recorded run on a page, and where pages come from.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "repl/html.h"
#include "repl/runlog.h"
#include "repl/runs.h"
#include "repl/runview.h"
#include "repl/split.h"
#include "repl/webpage_parts.h"

#define LN2          0.69314718055994530942
#define MOST_SAMPLES 64                /* of one run */
#define MOST_BYTES   ((size_t)1 << 15) /* of one text */

static void fail(struct sh_webpage *w, const struct vq_err *err)
{
    if (w->rc == SH_OK)
        w->rc = sh_fail(w->sh, err);
}

/* ---- samples ---- */

struct samples {
    struct sh_webpage *w;
    const struct vq_run_info *run;
    size_t seen;
    bool pictures; /* a row of them is open */
};

/* The beginning of a text, cut between characters. */
static size_t shown_bytes(const struct vq_sample *s)
{
    size_t n = s->len < MOST_BYTES ? s->len : MOST_BYTES;
    while (n < s->len && n > 0 && ((unsigned char)s->text[n] & 0xc0) == 0x80)
        n--;
    return n;
}

/* "sample 0, seed 11, 220 tokens, 1.003 bits per token" */
static void describe(const struct vq_sample *s, size_t shown, struct vq_text *to)
{
    vq_text_printf(to, "sample %" PRId64 ", seed %" PRIu64, s->index, s->seed);
    if (s->tokens > 0)
        vq_text_printf(to, ", %" PRId64 " tokens", s->tokens);
    if (s->tokens > 0 && isfinite(s->nats))
        vq_text_printf(to, ", %.3f bits per token", s->nats / LN2 / (double)s->tokens);
    if (s->text && shown < s->len)
        vq_text_printf(to, "; the first %zu of %zu bytes", shown, s->len);
}

static void put_picture(struct samples *p, const struct vq_sample *s, const char *caption)
{
    char *path = sh_run_path(p->run, s->path);
    if (!p->pictures)
        sh_webpage_pictures(p->w);
    p->pictures = true;
    sh_webpage_picture(p->w, path ? path : s->path, caption);
    free(path);
}

static void end_pictures(struct samples *p)
{
    if (p->pictures)
        sh_webpage_pictures_end(p->w);
    p->pictures = false;
}

static bool put_sample(void *ud, const struct vq_sample *s)
{
    struct samples *p = ud;
    struct vq_text caption = {0};
    if (++p->seen > MOST_SAMPLES)
        return true;
    size_t n = s->text ? shown_bytes(s) : 0;
    describe(s, n, &caption);
    if (s->text)
        end_pictures(p);
    if (s->text && caption.data)
        sh_webpage_text(p->w, caption.data, s->text, n);
    else if (s->path && caption.data)
        put_picture(p, s, caption.data);
    vq_text_release(&caption);
    return p->w->rc == SH_OK;
}

static void put_samples(struct sh_webpage *w, struct vq_store *store, const struct vq_run_info *run)
{
    struct vq_err err = {0};
    struct samples p = {.w = w, .run = run};
    if (vq_store_samples(store, run->id, put_sample, &p, &err) != VQ_OK)
        fail(w, &err);
    end_pictures(&p);
    if (p.seen > MOST_SAMPLES)
        sh_webpage_say(w, "The first %d of %zu samples; 'run %s' shows all.", MOST_SAMPLES, p.seen,
                       run->id);
}

void sh_webpage_samples(struct sh_webpage *w, struct vq_store *store, const char *id)
{
    struct vq_err err = {0};
    struct vq_run_info *run = NULL;
    char when[32], *heading = NULL;
    if (w->rc != SH_OK)
        return;
    if (vq_store_run(store, id, &run, &err) != VQ_OK) {
        fail(w, &err);
        return;
    }
    if (asprintf(&heading, "%s, %s", *run->name ? run->name : id,
                 sh_utc(run->started_at, when, sizeof(when))) < 0)
        heading = NULL;
    sh_webpage_heading(w, heading ? heading : id);
    sh_webpage_facts(w);
    sh_webpage_fact(w, "command", run->command_line);
    sh_webpage_facts_end(w);
    put_samples(w, store, run);
    free(heading);
    free(run);
}

/* ---- what is recorded of one run ---- */

static void put_facts(struct sh_webpage *w, const struct vq_run_info *r)
{
    char when[32];
    sh_webpage_facts(w);
    sh_webpage_fact(w, "id", r->id);
    sh_webpage_fact(w, "command", r->command_line);
    sh_webpage_fact(w, "status", vq_run_status_name(r->status));
    sh_webpage_fact(w, "error", r->error);
    sh_webpage_fact(w, "started", sh_utc(r->started_at, when, sizeof(when)));
    sh_webpage_fact(w, "ended", sh_utc(r->ended_at, when, sizeof(when)));
    if (r->has_seed)
        sh_webpage_factf(w, "seed", "%" PRIu64, r->seed);
    sh_webpage_fact(w, "model", r->model_name);
    sh_webpage_fact(w, "its file", r->model_path);
    sh_webpage_fact(w, "SHA-256", r->model_sha256);
    sh_webpage_fact(w, "tags", r->tags);
    sh_webpage_fact(w, "version", r->version);
    sh_webpage_factf(w, "threads", "%" PRId64, r->threads);
    sh_webpage_factf(w, "process", "%" PRId64 " on %s", r->pid, r->host);
    sh_webpage_fact(w, "folder", r->cwd);
    sh_webpage_facts_end(w);
}

static void text_cell(struct sh_webpage *w, const char *text)
{
    sh_webpage_cell(w, &(struct vq_value){VQ_VALUE_TEXT, .text = text, .len = strlen(text)});
}

static void int_cell(struct sh_webpage *w, int64_t i)
{
    sh_webpage_cell(w, &(struct vq_value){.kind = VQ_VALUE_INT, .i = i});
}

static void real_cell(struct sh_webpage *w, double d)
{
    sh_webpage_cell(w, &(struct vq_value){.kind = VQ_VALUE_REAL, .d = d});
}

/* A table that begins with its first row and is none without one. */
struct rows {
    struct sh_webpage *w;
    const char *caption;
    const char *const *columns;
    const bool *numbers;
    size_t n;
    bool begun;
};

static void begin_row(struct rows *r)
{
    if (!r->begun) {
        sh_webpage_table(r->w, r->caption);
        sh_webpage_columns(r->w, r->columns, r->numbers, r->n);
        r->begun = true;
    }
    sh_webpage_row(r->w);
}

static void end_rows(struct rows *r)
{
    if (r->begun)
        sh_webpage_table_end(r->w);
}

static bool put_result(void *ud, const char *key, const struct vq_value *v)
{
    struct rows *r = ud;
    begin_row(r);
    text_cell(r->w, key);
    sh_webpage_cell(r->w, v);
    sh_webpage_row_end(r->w);
    return r->w->rc == SH_OK;
}

static bool put_metric(void *ud, const struct vq_metric_info *m)
{
    struct rows *r = ud;
    begin_row(r);
    text_cell(r->w, m->name);
    int_cell(r->w, m->points);
    int_cell(r->w, m->first_step);
    int_cell(r->w, m->last_step);
    real_cell(r->w, m->last);
    real_cell(r->w, m->min);
    real_cell(r->w, m->max);
    sh_webpage_row_end(r->w);
    return r->w->rc == SH_OK;
}

static bool put_member(void *ud, const char *key, const struct vq_value *v, const char *json)
{
    struct rows *r = ud;
    bool word = strcmp(json, "true") == 0 || strcmp(json, "false") == 0;
    begin_row(r);
    text_cell(r->w, key);
    if (word)
        text_cell(r->w, json);
    else
        sh_webpage_cell(r->w, v);
    sh_webpage_row_end(r->w);
    return r->w->rc == SH_OK;
}

static bool put_note(void *ud, double time, const char *text, size_t len)
{
    struct rows *r = ud;
    begin_row(r);
    sh_webpage_moment(r->w, time);
    sh_webpage_cell(r->w, &(struct vq_value){VQ_VALUE_TEXT, .text = text, .len = len});
    sh_webpage_row_end(r->w);
    return r->w->rc == SH_OK;
}

static void put_tables(struct sh_webpage *w, struct vq_store *store, const char *id)
{
    static const char *const result[] = {"result", "value"}, *const note[] = {"time", "note"};
    static const char *const metric[] = {"metric", "points", "first_step", "last_step",
                                         "last",   "min",    "max"};
    static const bool numbers[] = {false, true, true, true, true, true, true};
    struct vq_err err = {0};
    struct rows notes = {w, "notes", note, NULL, 2, false};
    struct rows results = {w, "results", result, numbers, 2, false};
    struct rows metrics = {w, "metrics", metric, numbers, 7, false};
    enum vq_status status = vq_store_notes(store, id, put_note, &notes, &err);
    end_rows(&notes);
    if (status == VQ_OK)
        status = vq_store_results(store, id, put_result, &results, &err);
    end_rows(&results);
    if (status == VQ_OK)
        status = vq_store_metrics(store, id, put_metric, &metrics, &err);
    end_rows(&metrics);
    if (status != VQ_OK)
        fail(w, &err);
}

static bool any_member(void *ud, const char *key, const struct vq_value *v, const char *json)
{
    (void)key, (void)v, (void)json;
    *(bool *)ud = true;
    return false;
}

typedef enum vq_status (*members)(struct vq_store *store, const char *id, vq_member_row row,
                                  void *ud, struct vq_err *err);

static void put_members(struct sh_webpage *w, struct vq_store *store, const char *id,
                        const char *summary, members of)
{
    static const char *const columns[] = {"name", "value"};
    struct vq_err err = {0};
    struct rows rows = {w, NULL, columns, NULL, 2, false};
    bool any = false;
    if (of(store, id, any_member, &any, &err) != VQ_OK)
        fail(w, &err);
    if (!any || w->rc != SH_OK)
        return;
    sh_webpage_fold(w, NULL, summary, false);
    if (of(store, id, put_member, &rows, &err) != VQ_OK)
        fail(w, &err);
    end_rows(&rows);
    sh_webpage_unfold(w);
}

void sh_webpage_run(struct sh_webpage *w, struct vq_store *store, const char *id, bool open)
{
    struct vq_err err = {0};
    struct vq_run_info *run = NULL;
    char when[32], anchor[32], *summary = NULL;
    if (w->rc != SH_OK)
        return;
    if (vq_store_run(store, id, &run, &err) != VQ_OK) {
        fail(w, &err);
        return;
    }
    if (asprintf(&summary, "%s%s%s, %s, %s, %s", run->name, *run->name ? " " : "", id, run->command,
                 vq_run_status_name(run->status), sh_utc(run->started_at, when, sizeof(when))) < 0)
        summary = NULL;
    snprintf(anchor, sizeof(anchor), "run-%s", id);
    sh_webpage_fold(w, anchor, summary ? summary : id, open);
    put_facts(w, run);
    put_tables(w, store, id);
    put_members(w, store, id, "Settings", vq_store_settings);
    put_members(w, store, id, "Configuration of the model", vq_store_config);
    put_samples(w, store, run);
    sh_webpage_unfold(w);
    free(summary);
    free(run);
}

/* ---- where the page comes from ---- */

void sh_webpage_origin(struct sh_webpage *w, struct sh_model *m)
{
    const struct sh_words *words = w->sh->words;
    struct vq_err err;
    const char *hex = NULL;
    char host[256] = "", *line = NULL;
    gethostname(host, sizeof(host) - 1);
    if (words && words->end > words->start)
        line = vq_strndup(w->sh->text + words->start, words->end - words->start);
    sh_webpage_facts(w);
    sh_webpage_fact(w, "command", line);
    sh_webpage_factf(w, "program", "vqsh %s, %d threads, on %s", VQSH_VERSION, sh_threads(w->sh),
                     host);
    if (m && sh_model_hash(w->sh, m, true, &hex, &err) == VQ_OK && hex)
        sh_webpage_factf(w, "model", "%s, SHA-256 %s", vq_ckpt_path(vq_model_ckpt(m->model)), hex);
    sh_webpage_fact(w, "run database", sh_store_path(w->sh));
    sh_webpage_facts_end(w);
    free(line);
}
