/*
 * webpage_model: a model on a page: what it is, how its codebooks are used and lie, what it does
 * with a text, and the runs that were made with it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/inspect/codebook.h"
#include "repl/out.h"
#include "repl/runlog.h"
#include "repl/runs.h"
#include "repl/webpage_parts.h"

#define MOST_RUNS    200 /* of this model, in one table */
#define MOST_SAMPLED 10  /* runs whose samples are shown */
#define MOST_MAPS    6   /* module-heads whose codes are drawn */
#define MOST_GROUPS  64

struct model_page {
    struct sh *sh;
    struct sh_model *m;
    struct sh_heads heads;
    char *modules; /* "0.1,0.2", or "all" */
    struct sh_reading reading;
    struct vq_store *store;
    char filter[160], filter_sampled[192];
    struct sh_run_ids runs, sampled;
    size_t used, dead; /* codes of the heads */
    double perplexity; /* mean of theirs */
};

static const struct vq_config *config(const struct model_page *p)
{
    return vq_model_config(p->m->model);
}

/* ---- the model ---- */

static void put_glance(struct sh_webpage *w, const struct model_page *p)
{
    const struct vq_config *c = config(p);
    char n[32];
    int64_t step = vq_ckpt_step(vq_model_ckpt(p->m->model));
    sh_webpage_tiles(w);
    sh_webpage_tile(w, "parameters", "%s", sh_thousands(vq_model_params(p->m->model), n));
    if (step >= 0)
        sh_webpage_tile(w, "steps", "%s", sh_thousands((size_t)step, n));
    sh_webpage_tile(w, "layers", "%lld", (long long)c->n_layer);
    sh_webpage_tile(w, "width", "%lld", (long long)c->d_model);
    sh_webpage_tile(w, "codes", "%lld", (long long)c->n_code);
    sh_webpage_tile(w, "codes dead", "%zu of %zu", p->dead, p->used + p->dead);
    sh_webpage_tile(w, "mean perplexity", "%.1f", p->perplexity);
    sh_webpage_tile(w, "window", "%lld", (long long)c->mem_len);
    sh_webpage_tiles_end(w);
}

static void put_facts(struct sh_webpage *w, const struct model_page *p)
{
    const struct vq_ckpt *c = vq_model_ckpt(p->m->model);
    struct vq_err err;
    const char *hex = NULL;
    sh_webpage_facts(w);
    sh_webpage_fact(w, "name", p->m->name);
    sh_webpage_fact(w, "file", vq_ckpt_path(c));
    sh_webpage_factf(w, "format", "%s, %zu bytes", vq_ckpt_format(c), vq_ckpt_size(c));
    if (sh_model_hash(p->sh, p->m, true, &hex, &err) == VQ_OK)
        sh_webpage_fact(w, "SHA-256", hex);
    sh_webpage_fact(w, "vocabulary", vq_vocab_spec(vq_model_vocab(p->m->model)));
    sh_webpage_fact(w, "preset", vq_model_settings(p->m->model)->preset);
    sh_webpage_fact(w, "configuration from", vq_model_config_path(p->m->model));
    sh_webpage_fact(w, "weights prepared as", vq_weight_format_name(p->m->weights));
    sh_webpage_facts_end(w);
}

/* ---- parameters by group ---- */

struct group {
    const char *name; /* of len bytes */
    size_t len, tensors;
    uint64_t count;
};

/* What a tensor does in its module ("kvg_proj"), or outside of any ("out_proj"). */
static void group_name(const char *tensor, struct group *g)
{
    const char *name = tensor;
    if (strncmp(name, "transformer_layers_", 19) == 0)
        for (int i = 0; i < 2 && strchr(name, '/'); i++)
            name = strchr(name, '/') + 1;
    *g = (struct group){.name = name, .len = strcspn(name, "/")};
}

static size_t find_groups(const struct vq_ckpt *c, struct group *groups)
{
    size_t n = 0;
    for (size_t i = 0; i < vq_ckpt_count(c); i++) {
        const struct vq_tensor *t = vq_ckpt_at(c, i);
        struct group g;
        size_t at = 0;
        if (!t->is_param)
            continue;
        group_name(t->name, &g);
        while (at < n && (groups[at].len != g.len || memcmp(groups[at].name, g.name, g.len) != 0))
            at++;
        if (at == MOST_GROUPS)
            continue;
        if (at == n)
            groups[n++] = g;
        groups[at].tensors++;
        groups[at].count += t->count;
    }
    return n;
}

static enum sh_rc list_groups(struct sh *sh, void *ud)
{
    const struct model_page *p = ud;
    struct group groups[MOST_GROUPS];
    size_t n = find_groups(vq_model_ckpt(p->m->model), groups);
    double all = (double)vq_model_params(p->m->model);
    sh_list(sh, "group tensors parameters percent");
    for (size_t i = 0; i < n; i++) {
        sh_row(sh);
        sh_bytes(sh, "group", groups[i].name, groups[i].len);
        sh_uint(sh, "tensors", groups[i].tensors);
        sh_uint(sh, "parameters", groups[i].count);
        sh_f64(sh, "percent", 100.0 * (double)groups[i].count / all);
    }
    return sh_end(sh);
}

static void put_model(struct sh_webpage *w, void *ud)
{
    struct model_page *p = ud;
    put_glance(w, p);
    sh_webpage_beside(w);
    put_facts(w, p);
    sh_webpage_list(w, "Parameters by what they do, of all layers together.", list_groups, p);
    sh_webpage_beside_end(w);
}

/* ---- configuration ---- */

static enum sh_rc list_config(struct sh *sh, void *ud)
{
    const struct model_page *p = ud;
    const struct vq_settings *s = vq_model_settings(p->m->model);
    char text[256];
    sh_list(sh, "name value from meaning");
    for (size_t i = 0; i < vq_config_field_count(); i++) {
        const struct vq_config_field *f = vq_config_field_at(i);
        sh_row(sh);
        sh_str(sh, "name", f->name);
        sh_str(sh, "value", vq_settings_text(s, i, text, sizeof(text)));
        sh_str(sh, "from", vq_origin_name((enum vq_origin)s->origin[i]));
        sh_str(sh, "meaning", f->help);
    }
    return sh_end(sh);
}

static void put_config(struct sh_webpage *w, void *ud)
{
    sh_webpage_say(w, "Where values come from: shapes (read off the tensors), preset, config (the "
                      "file beside the checkpoint, or its own metadata), set (--set), default "
                      "(nobody said).");
    sh_webpage_list(w, NULL, list_config, ud);
}

/* ---- codebooks ---- */

static void put_plot(struct sh_webpage *w, const struct model_page *p, const char *what,
                     const char *size, const char *caption)
{
    char *shown = NULL, *arguments = NULL;
    if (asprintf(&shown, "%s %s", what, p->modules) < 0)
        shown = NULL;
    if (shown && asprintf(&arguments, "%s %s", shown, size) < 0)
        arguments = NULL;
    if (arguments)
        sh_webpage_plot(w, arguments, shown, caption);
    else if (w->rc == SH_OK)
        w->rc = sh_failf(w->sh, "out of memory");
    free(shown);
    free(arguments);
}

void sh_webpage_size_over_codes(size_t n, char size[64])
{
    size_t rows = n < 3 ? 3 : n < 40 ? n : 40;
    snprintf(size, 64, "--width 1120 --height %zu", 170 + 26 * rows);
}

static void put_codebook(struct sh_webpage *w, const struct model_page *p)
{
    char *command = NULL;
    if (asprintf(&command, "codebook %s", p->modules) < 0)
        command = NULL;
    if (command)
        sh_webpage_command(w, command, NULL);
    free(command);
}

static void put_codebooks(struct sh_webpage *w, void *ud)
{
    struct model_page *p = ud;
    char size[64];
    sh_webpage_say(w,
                   "A row for each attention module and head. Counts are the moving averages "
                   "that training kept; a code is dead when its own has all but vanished. "
                   "Perplexity is how many codes would be as even if all were used alike, gini 0 "
                   "for even use and near 1 for one code alone.");
    put_codebook(w, p);
    sh_webpage_size_over_codes(p->heads.n, size);
    put_plot(w, p, "usage", size, "How often each code was used in training.");
    sh_webpage_beside(w);
    put_plot(w, p, "perplexity", "--width 720 --height 420",
             "Codes in even use, by layer and attention.");
    put_plot(w, p, "lorenz", "--width 720 --height 420",
             "The share of all use that the least used codes carry.");
    sh_webpage_beside_end(w);
}

static void put_maps(struct sh_webpage *w, void *ud)
{
    struct model_page *p = ud;
    char name[32], what[64], arguments[128];
    int H = (int)config(p)->n_head;
    if (p->heads.n > MOST_MAPS)
        sh_webpage_say(w, "The first %d of %zu codebooks; --modules picks others.", MOST_MAPS,
                       p->heads.n);
    sh_webpage_say(w, "Cosines between codes, like ones side by side; and the codes on their two "
                      "widest directions, sized by use.");
    sh_webpage_beside(w);
    for (size_t i = 0; i < p->heads.n && i < MOST_MAPS; i++) {
        sh_module_name(p->heads.v[i].module, H > 1 ? p->heads.v[i].head : -1, name);
        snprintf(what, sizeof(what), "similarity %s", name);
        snprintf(arguments, sizeof(arguments), "%s --width 720 --height 560", what);
        sh_webpage_plot(w, arguments, what, NULL);
        snprintf(what, sizeof(what), "map %s", name);
        snprintf(arguments, sizeof(arguments), "%s --width 720 --height 560", what);
        sh_webpage_plot(w, arguments, what, NULL);
    }
    sh_webpage_beside_end(w);
}

/* ---- dead codes ---- */

static bool any_dead(const void *ud)
{
    return ((const struct model_page *)ud)->dead > 0;
}

/* The numbers of the dead, ranges as "3-7". */
static void dead_numbers(const float *count, size_t S, struct vq_text *to)
{
    for (size_t s = 0; s < S; s++) {
        size_t end = s;
        if (count[s] > VQ_COUNT_CLIP)
            continue;
        while (end + 1 < S && count[end + 1] <= VQ_COUNT_CLIP)
            end++;
        vq_text_printf(to, "%s%zu", to->len ? ", " : "", s);
        if (end > s)
            vq_text_printf(to, "-%zu", end);
        s = end;
    }
}

static enum sh_rc list_dead(struct sh *sh, void *ud)
{
    const struct model_page *p = ud;
    struct vq_err err = {0};
    struct sh_codebook book = {0};
    char name[32];
    enum vq_status status = VQ_OK;
    sh_list(sh, "module head codes");
    for (size_t i = 0; status == VQ_OK && i < p->heads.n; i++) {
        struct sh_mod at = p->heads.v[i];
        struct vq_text codes = {0};
        status = sh_codebook_read(p->m, at.module, &book, &err);
        if (status == VQ_OK)
            dead_numbers(book.count + (size_t)at.head * book.S, book.S, &codes);
        if (codes.len) {
            sh_row(sh);
            sh_str(sh, "module", sh_module_name(at.module, -1, name));
            sh_int(sh, "head", at.head);
            sh_bytes(sh, "codes", codes.data, codes.len);
        }
        vq_text_release(&codes);
    }
    sh_codebook_release(&book);
    return status == VQ_OK ? sh_end(sh) : sh_fail(sh, &err);
}

static void put_dead(struct sh_webpage *w, void *ud)
{
    sh_webpage_say(w, "Codes whose count is at most 0.01, the model's own bound. 'codebook --dead "
                      "--over FILE' tells how far keys are from them.");
    sh_webpage_list(w, NULL, list_dead, ud);
}

/* ---- a text, runs, tensors ---- */

static bool is_reading(const void *ud)
{
    return ((const struct model_page *)ud)->reading.path != NULL;
}

static void put_reading(struct sh_webpage *w, void *ud)
{
    struct model_page *p = ud;
    sh_webpage_reading(w, p->m, &p->reading, &p->heads, p->modules);
}

static void put_meanings(struct sh_webpage *w, void *ud)
{
    struct model_page *p = ud;
    sh_webpage_meanings(w, p->m, &p->reading, &p->heads);
}

static bool any_run(const void *ud)
{
    return ((const struct model_page *)ud)->runs.n > 0;
}

static void put_runs(struct sh_webpage *w, void *ud)
{
    struct model_page *p = ud;
    sh_webpage_say(w, "Recorded with this very file, newest first.");
    sh_webpage_overview(w, p->store, &p->runs, 0);
}

static bool any_sample(const void *ud)
{
    return ((const struct model_page *)ud)->sampled.n > 0;
}

static void put_samples(struct sh_webpage *w, void *ud)
{
    struct model_page *p = ud;
    if (p->sampled.total > p->sampled.n)
        sh_webpage_say(w, "The newest %zu of %zu runs with samples.", p->sampled.n,
                       p->sampled.total);
    for (size_t i = 0; i < p->sampled.n; i++)
        sh_webpage_samples(w, p->store, p->sampled.v[i]);
}

static void put_tensors(struct sh_webpage *w, void *ud)
{
    (void)ud;
    sh_webpage_fold(w, NULL, "All tensors of the model", false);
    sh_webpage_command(w, "tensors", NULL);
    sh_webpage_unfold(w);
}

static void put_origin(struct sh_webpage *w, void *ud)
{
    sh_webpage_origin(w, ((struct model_page *)ud)->m);
}

static const struct sh_webpage_part parts[] = {
    {"model", "Model", NULL, put_model, false},
    {"configuration", "Configuration", NULL, put_config, false},
    {"codebooks", "Codebooks", NULL, put_codebooks, false},
    {"lie", "How codes lie", NULL, put_maps, false},
    {"dead", "Dead codes", any_dead, put_dead, true},
    {"reading", "Reading", is_reading, put_reading, false},
    {"meanings", "What codes mean", is_reading, put_meanings, false},
    {"runs", "Runs", any_run, put_runs, false},
    {"samples", "Samples", any_sample, put_samples, true},
    {"tensors", "Tensors", NULL, put_tensors, false},
    {"page", "About this page", NULL, put_origin, true},
};

/* ---- what there is ---- */

/* "0.1,2.2:1", or "all". */
static enum sh_rc name_modules(struct model_page *p, bool given)
{
    struct vq_text to = {0};
    char name[32];
    if (!given)
        vq_text_puts(&to, "all");
    for (size_t i = 0; given && i < p->heads.n; i++)
        vq_text_printf(&to, "%s%s", i ? "," : "",
                       sh_module_name(p->heads.v[i].module,
                                      config(p)->n_head > 1 ? p->heads.v[i].head : -1, name));
    p->modules = to.data;
    return to.failed ? sh_failf(p->sh, "out of memory") : SH_OK;
}

static enum vq_status count_codes(struct model_page *p, struct vq_err *err)
{
    struct sh_codebook book = {0};
    size_t S = (size_t)config(p)->n_code;
    double *count = vq_alloc(S, sizeof(*count));
    enum vq_status status = count ? VQ_OK : vq_nomem(err, "counts", S, sizeof(*count));
    for (size_t i = 0; status == VQ_OK && i < p->heads.n; i++) {
        struct vq_counts sum;
        status = sh_codebook_read(p->m, p->heads.v[i].module, &book, err);
        for (size_t s = 0; status == VQ_OK && s < S; s++)
            count[s] = book.count[(size_t)p->heads.v[i].head * S + s];
        if (status != VQ_OK)
            break;
        vq_counts_summary(&sum, count, S, VQ_COUNT_CLIP);
        p->used += sum.used;
        p->dead += sum.dead;
        p->perplexity += sum.perplexity / (double)p->heads.n;
    }
    sh_codebook_release(&book);
    free(count);
    return status;
}

/* Runs that were made with this very file. A page about a model does not need a run database. */
static enum vq_status find_runs(struct model_page *p, struct vq_err *err)
{
    const char *hex = NULL;
    const struct vq_cancel *cancel = sh_cancel(p->sh);
    if (sh_model_hash(p->sh, p->m, true, &hex, err) != VQ_OK)
        return err->code;
    p->store = sh_store(p->sh, NULL);
    if (!p->store || !hex)
        return VQ_OK;
    snprintf(p->filter, sizeof(p->filter), "sha256=%s", hex);
    snprintf(p->filter_sampled, sizeof(p->filter_sampled), "%s and sample!=none", p->filter);
    const struct vq_listing all = {.filter = p->filter, .limit = MOST_RUNS};
    const struct vq_listing sampled = {.filter = p->filter_sampled, .limit = MOST_SAMPLED};
    enum vq_status status = sh_run_ids_list(&p->runs, p->store, &all, cancel, NULL, err);
    if (status == VQ_OK)
        status = sh_run_ids_list(&p->sampled, p->store, &sampled, cancel, NULL, err);
    return status;
}

void sh_webpage_model(struct sh_webpage *w, const struct sh_args *a, struct sh_model *m)
{
    struct model_page p = {.sh = w->sh, .m = m, .reading.fd = -1};
    struct vq_err err = {0};
    if (w->rc == SH_OK)
        w->rc = sh_heads_option(w->sh, a, "modules", m, &p.heads);
    if (w->rc == SH_OK)
        w->rc = name_modules(&p, sh_opt_given(a, "modules"));
    if (w->rc == SH_OK)
        w->rc = sh_reading_open(w->sh, a, m, &p.reading);
    if (w->rc == SH_OK && (count_codes(&p, &err) != VQ_OK || find_runs(&p, &err) != VQ_OK))
        w->rc = sh_fail(w->sh, &err);
    if (w->rc == SH_OK)
        sh_webpage_parts(w, parts, sizeof(parts) / sizeof(parts[0]), &p);
    sh_reading_release(&p.reading);
    sh_run_ids_release(&p.runs);
    sh_run_ids_release(&p.sampled);
    sh_heads_release(&p.heads);
    free(p.modules);
}
