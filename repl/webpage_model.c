/*
 * webpage_model: a model on a page. What is told is a table of headings, commands and charts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"
#include "repl/out.h"
#include "repl/pick.h"
#include "repl/runlog.h"
#include "repl/split.h"
#include "repl/webpage_parts.h"

#define MOST_SAMPLED 10 /* runs whose samples are shown */

enum item_kind { SECTION, HEADING, SAY, COMMAND, PLOT, FOLD, UNFOLD };

/* In the texts of commands and charts, @ stands for the file of --over. */
struct item {
    enum item_kind kind;
    const char *text, *caption;
};

static const struct item general[] = {
    {SECTION, "Model", NULL},
    {COMMAND, "info", NULL},
    {SECTION, "Codebooks", NULL},
    {SAY,
     "One row for each attention module and head. Counts are the moving averages that training "
     "kept: a code is dead when its own has all but vanished.",
     NULL},
    {COMMAND, "codebook", NULL},
    {PLOT, "usage all", "How often each code was used in training."},
    {PLOT, "perplexity all", "How many codes are in even use, by layer and attention."},
    {PLOT, "lorenz all", "The share of all use that the least used codes carry."},
    {HEADING, "How codes lie", NULL},
    {PLOT, "similarity", "Cosines between the codes of the first module, like codes together."},
    {PLOT, "map", "The same codes on their two widest directions, sized by use."},
    {FOLD, "Dead codes", NULL},
    {COMMAND, "codebook --dead", NULL},
    {UNFOLD, NULL, NULL},
    {SECTION, "Tensors", NULL},
    {FOLD, "All tensors of the checkpoint", NULL},
    {COMMAND, "tensors", NULL},
    {UNFOLD, NULL, NULL},
};

static const struct item reading[] = {
    {COMMAND, "codebook --over @", NULL},
    {PLOT, "usage all --over @", "Which codes its tokens fall on."},
    {PLOT, "surprise --file @", "How unexpected its tokens are."},
    {PLOT, "mass all --file @", "The weight of attention that lies on the compressed past."},
    {PLOT, "distance all --file @", "How far back attention looks."},
    {PLOT, "gates all --file @", "How far gates are closed."},
};

/* `text` with every @ replaced by the file, quoted. */
static bool fill_in(const char *text, const char *over, struct vq_text *to)
{
    for (; *text; text++) {
        if (*text == '@')
            sh_split_quote(over, strlen(over), to);
        else
            vq_text_put(to, text, 1);
    }
    return !to->failed;
}

static void put_item(struct sh_webpage *w, const struct item *i, const char *text)
{
    switch (i->kind) {
    case SECTION:
        sh_webpage_section(w, text);
        break;
    case HEADING:
        sh_webpage_heading(w, text);
        break;
    case SAY:
        sh_webpage_say(w, "%s", text);
        break;
    case COMMAND:
        sh_webpage_command(w, text);
        break;
    case PLOT:
        sh_webpage_plot(w, text, i->caption);
        break;
    case FOLD:
        sh_webpage_fold(w, text);
        break;
    case UNFOLD:
        sh_webpage_unfold(w);
        break;
    }
}

static void put_items(struct sh_webpage *w, const struct item *items, size_t n, const char *over)
{
    for (size_t i = 0; i < n && w->rc == SH_OK; i++) {
        struct vq_text text = {0};
        if (items[i].text && !fill_in(items[i].text, over ? over : "", &text))
            w->rc = sh_failf(w->sh, "out of memory");
        else
            put_item(w, &items[i], text.data ? text.data : "");
        vq_text_release(&text);
    }
}

static bool keep_run(void *ud, const char *id, const struct vq_value *values)
{
    (void)values;
    return sh_run_ids_add(ud, id);
}

/* Runs that were made with this very file. */
static void put_runs(struct sh_webpage *w, const char *hex)
{
    struct vq_err err = {0};
    struct sh_run_ids ids = {0};
    char filter[160], command[320];
    size_t total = 0;
    struct vq_store *store = sh_store(w->sh, &err);
    snprintf(filter, sizeof(filter), "sha256=%s", hex);
    struct vq_listing l = {.filter = filter, .limit = 1};
    if (!store || vq_store_list(store, &l, keep_run, &ids, &total, NULL, NULL, &err) != VQ_OK ||
        !total) {
        sh_run_ids_release(&ids);
        return; /* a page about a model does not need a run database */
    }
    sh_webpage_section(w, "Runs of this model");
    snprintf(command, sizeof(command),
             "runs '%s' -n 0 --columns id,started,seconds,status,command,seed,name,tags,results",
             filter);
    sh_webpage_command(w, command);
    snprintf(filter, sizeof(filter), "sha256=%s and sample!=none", hex);
    l.limit = MOST_SAMPLED;
    ids.n = 0;
    if (vq_store_list(store, &l, keep_run, &ids, &total, NULL, NULL, &err) == VQ_OK && total) {
        sh_webpage_section(w, "What it drew");
        if (total > ids.n)
            sh_webpage_say(w, "The newest %zu of %zu runs with samples.", ids.n, total);
        for (size_t i = 0; i < ids.n; i++)
            sh_webpage_samples(w, store, ids.v[i]);
    }
    sh_run_ids_release(&ids);
}

void sh_webpage_model(struct sh_webpage *w, struct sh_model *m, const char *over)
{
    const char *hex = NULL;
    struct vq_err err;
    put_items(w, general, sizeof(general) / sizeof(general[0]), NULL);
    if (over && w->rc == SH_OK) {
        sh_webpage_section(w, "Reading a text or picture");
        sh_webpage_say(w, "What the model does with %s.", over);
        put_items(w, reading, sizeof(reading) / sizeof(reading[0]), over);
    }
    if (w->rc == SH_OK && sh_model_hash(w->sh, m, true, &hex, &err) == VQ_OK && hex)
        put_runs(w, hex);
}
