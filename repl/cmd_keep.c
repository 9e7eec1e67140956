/*
 * Commands that keep recorded runs in order: tag, untag, name, note, rm, undo, purge.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/store/when.h"
#include "repl/cmds.h"
#include "repl/editor.h"
#include "repl/runlog.h"
#include "repl/runs.h"
#include "repl/split.h"

/* ---- tag, untag ---- */

/* Says which tags the run has now. */
static enum sh_rc report_tags(struct sh *sh, struct vq_store *store, const char *id, size_t changed)
{
    struct vq_err err = {0};
    struct vq_run_info *info;
    if (vq_store_run(store, id, &info, &err) != VQ_OK)
        return sh_fail(sh, &err);
    sh_ack(sh, "run %s: %s%s%s", id, changed ? "" : "nothing changed, ",
           *info->tags ? "tags " : "no tags", info->tags);
    sh_str(sh, "id", id);
    sh_uint(sh, "changed", changed);
    sh_str(sh, "tags", *info->tags ? info->tags : NULL);
    free(info);
    return sh_end(sh);
}

typedef enum vq_status (*tag_change)(struct vq_store *store, const char *id, const char *tag,
                                     bool *changed, struct vq_err *err);

static enum sh_rc change_tags(struct sh *sh, const struct sh_args *a, tag_change change)
{
    struct vq_err err = {0};
    char id[VQ_RUN_ID_SIZE];
    size_t n = 0;
    enum sh_rc rc = sh_run_find(sh, a, 0, id);
    if (rc != SH_OK)
        return rc;
    struct vq_store *store = sh_store(sh, &err);
    for (int i = 1; i < sh_arg_count(a); i++) {
        bool changed = false;
        enum vq_status status = change(store, id, sh_arg(a, i), &changed, &err);
        if (status == VQ_EINVAL)
            return sh_bad_arg(sh, sh_arg_word(a, i), "%s", err.msg);
        if (status != VQ_OK)
            return sh_fail(sh, &err);
        n += changed;
    }
    return report_tags(sh, store, id, n);
}

static enum sh_rc run_tag(struct sh *sh, const struct sh_args *a)
{
    return change_tags(sh, a, vq_store_tag);
}

static enum sh_rc run_untag(struct sh *sh, const struct sh_args *a)
{
    return change_tags(sh, a, vq_store_untag);
}

static const char *const tag_examples[] = {"tag -1 best", "tag -1 best paper", NULL};
const struct sh_cmd cmd_tag = {
    .name = "tag",
    .group = "runs",
    .args = "RUN TAG...",
    .summary = "give a run tags to find it by",
    .detail = "A tag holds no white space and no commas. `runs tag=best` lists the runs that have "
              "it.",
    .examples = tag_examples,
    .min_args = 2,
    .max_args = -1,
    .kinds = {SH_RUN, SH_TAG},
    .needs = SH_NEED_STORE,
    .run = run_tag,
};

static const char *const untag_examples[] = {"untag -1 best", NULL};
const struct sh_cmd cmd_untag = {
    .name = "untag",
    .group = "runs",
    .args = "RUN TAG...",
    .summary = "take tags off a run",
    .examples = untag_examples,
    .min_args = 2,
    .max_args = -1,
    .kinds = {SH_RUN, SH_TAG},
    .needs = SH_NEED_STORE,
    .run = run_untag,
};

/* ---- name ---- */

static enum sh_rc run_name(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    char id[VQ_RUN_ID_SIZE];
    const char *name = sh_arg(a, 1) ? sh_arg(a, 1) : "";
    enum sh_rc rc = sh_run_find(sh, a, 0, id);
    if (rc != SH_OK)
        return rc;
    struct vq_store *store = sh_store(sh, &err);
    if (vq_store_rename(store, id, name, strlen(name), &err) != VQ_OK)
        return sh_fail(sh, &err);
    sh_ack(sh, "run %s %s%s", id, *name ? "is called " : "has no name", name);
    sh_str(sh, "id", id);
    sh_str(sh, "name", *name ? name : NULL);
    return sh_end(sh);
}

static const char *const name_examples[] = {"name -1 baseline", "name -1", NULL};
const struct sh_cmd cmd_name = {
    .name = "name",
    .group = "runs",
    .args = "RUN [NAME]",
    .summary = "give a run a name, or take it away",
    .detail = "A name is a label: several runs may have one. Where it is only one run's, it stands "
              "for the run wherever RUN is taken.",
    .examples = name_examples,
    .min_args = 1,
    .max_args = 2,
    .kinds = {SH_RUN, SH_TEXT},
    .needs = SH_NEED_STORE,
    .run = run_name,
};

/* ---- note ---- */

struct notes {
    size_t n, want; /* the one wanted, counted from 1 */
    struct vq_text text;
};

static bool find_note(void *ud, double time, const char *text, size_t len)
{
    struct notes *k = ud;
    (void)time;
    if (++k->n == k->want)
        vq_text_put(&k->text, text, len);
    return true;
}

/* The text to note: the argument, or from the editor, which begins with the present note. */
static enum sh_rc take_note(struct sh *sh, const struct sh_args *a, const struct notes *k,
                            struct vq_text *out)
{
    struct vq_err err = {0};
    if (sh_arg(a, 1) && !sh_opt_flag(a, "edit")) {
        vq_text_puts(out, sh_arg(a, 1));
        return SH_OK;
    }
    if (!sh->interactive && !sh_opt_flag(a, "edit"))
        return sh_bad_arg(sh, sh->words->n, "give the text, or --edit for $EDITOR");
    const char *text = sh_arg(a, 1) ? sh_arg(a, 1) : k->text.data ? k->text.data : "";
    size_t len = sh_arg(a, 1) ? strlen(text) : k->text.len;
    return sh_edit(sh, text, len, out, &err) == VQ_OK ? SH_OK : sh_fail(sh, &err);
}

static enum sh_rc write_note(struct sh *sh, struct vq_store *store, const char *id,
                             const struct notes *k, const struct vq_text *text)
{
    struct vq_err err = {0};
    enum vq_status status = VQ_OK;
    const char *done = "noted";
    if (k->want) {
        done = text->len ? "changed" : "deleted";
        status =
            vq_store_note_set(store, id, k->want, text->data ? text->data : "", text->len, &err);
    } else if (text->len) {
        status = vq_store_note_add(store, id, text->data, text->len, &err);
    } else {
        done = "nothing noted";
    }
    if (status != VQ_OK)
        return sh_fail(sh, &err);
    size_t left = k->n + (!k->want && text->len) - (k->want && !text->len);
    sh_ack(sh, "run %s: %s, %zu note%s", id, done, left, left == 1 ? "" : "s");
    sh_str(sh, "id", id);
    sh_uint(sh, "notes", left);
    return sh_end(sh);
}

static enum sh_rc run_note(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct notes k = {.want = (size_t)sh_opt_int(a, "number")};
    struct vq_text text = {0};
    char id[VQ_RUN_ID_SIZE];
    enum sh_rc rc = sh_run_find(sh, a, 0, id);
    if (rc != SH_OK)
        return rc;
    struct vq_store *store = sh_store(sh, &err);
    if (vq_store_notes(store, id, find_note, &k, &err) != VQ_OK)
        rc = sh_fail(sh, &err);
    else if (k.want > k.n)
        rc = sh_bad_arg(sh, sh_opt_word(a, "number"), "run %s has %zu note%s", id, k.n,
                        k.n == 1 ? "" : "s");
    if (rc == SH_OK)
        rc = take_note(sh, a, &k, &text);
    if (rc == SH_OK)
        rc = text.failed ? sh_failf(sh, "out of memory") : write_note(sh, store, id, &k, &text);
    vq_text_release(&k.text);
    vq_text_release(&text);
    return rc;
}

static const struct sh_opt note_opts[] = {
    {.name = "edit", .letter = 'e', .kind = SH_FLAG, .help = "open $VISUAL or $EDITOR on it"},
    {.name = "number",
     .letter = 'n',
     .kind = SH_INT,
     .min = 1,
     .max = 1e9,
     .help = "change this note"},
    SH_OPT_END};
static const char *const note_examples[] = {"note -1 \"the first that beats the baseline\"",
                                            "note -1 --number 1 \"no, the second\"", NULL};
const struct sh_cmd cmd_note = {
    .name = "note",
    .group = "runs",
    .args = "RUN [TEXT]",
    .summary = "add a note to a run, or change one",
    .detail = "Without TEXT the editor opens ($VISUAL, $EDITOR or vi); leaving it with an empty "
              "file notes nothing. `run` lists a run's notes, `runs note~TEXT` finds them.",
    .examples = note_examples,
    .min_args = 1,
    .max_args = 2,
    .kinds = {SH_RUN, SH_TEXT},
    .needs = SH_NEED_STORE,
    .opts = note_opts,
    .run = run_note,
};

/* ---- rm, undo, purge ---- */

struct ids {
    char (*v)[VQ_RUN_ID_SIZE];
    size_t n, room;
    bool failed;
};

static bool add_id(struct ids *ids, const char *id)
{
    if (ids->n == ids->room) {
        size_t room = ids->room ? 2 * ids->room : 16;
        void *grown = vq_realloc(ids->v, room, sizeof(*ids->v));
        ids->failed = !grown;
        if (!grown)
            return false;
        ids->v = grown;
        ids->room = room;
    }
    snprintf(ids->v[ids->n++], VQ_RUN_ID_SIZE, "%s", id);
    return true;
}

static bool has_id(const struct ids *ids, const char *id)
{
    for (size_t i = 0; i < ids->n; i++)
        if (strcmp(ids->v[i], id) == 0)
            return true;
    return false;
}

static bool add_listed(void *ud, const char *id, const struct vq_value *values)
{
    (void)values;
    return add_id(ud, id);
}

/* The runs that the arguments name, and those of --where. */
static enum sh_rc collect(struct sh *sh, const struct sh_args *a, struct ids *ids)
{
    struct vq_err err = {0};
    struct vq_listing_place place;
    struct vq_listing l = {.filter = sh_opt_text(a, "where")};
    struct vq_store *store = sh_store(sh, &err);
    char id[VQ_RUN_ID_SIZE];
    if (sh_arg_count(a) == 0 && !l.filter)
        return sh_bad_arg(sh, sh->words->n, "which? give runs, or --where FILTER");
    for (int i = 0; i < sh_arg_count(a); i++) {
        enum sh_rc rc = sh_run_find(sh, a, i, id);
        if (rc != SH_OK)
            return rc;
        if (!has_id(ids, id))
            add_id(ids, id);
    }
    if (l.filter) {
        enum vq_status status =
            vq_store_list(store, &l, add_listed, ids, NULL, &place, sh_cancel(sh), &err);
        if (status != VQ_OK && place.part == VQ_LISTING_FILTER)
            return sh_bad_arg_at(sh, sh_opt_word(a, "where"), place.at, "%s", err.msg);
        if (status != VQ_OK)
            return sh_fail(sh, &err);
    }
    return ids->failed ? sh_failf(sh, "out of memory") : SH_OK;
}

static enum sh_rc discard(struct sh *sh, const struct sh_args *a, const struct ids *ids)
{
    struct vq_err err = {0};
    char count[32];
    const char **v = vq_alloc(ids->n, sizeof(*v));
    if (!v)
        return sh_failf(sh, "out of memory");
    for (size_t i = 0; i < ids->n; i++)
        v[i] = ids->v[i];
    enum vq_status status =
        vq_store_discard(sh_store(sh, &err), v, ids->n, sh_opt_flag(a, "force"), &err);
    free(v);
    if (status == VQ_EINVAL)
        return sh_failf(sh, "%s, or give --force", err.msg);
    if (status != VQ_OK)
        return sh_fail(sh, &err);
    sh_ack(sh, "%s run%s removed%s", sh_thousands(ids->n, count), ids->n == 1 ? "" : "s",
           ids->n ? "; undo brings back what was removed last" : "");
    sh_uint(sh, "removed", ids->n);
    return sh_end(sh);
}

static enum sh_rc run_rm(struct sh *sh, const struct sh_args *a)
{
    struct ids ids = {0};
    enum sh_rc rc = collect(sh, a, &ids);
    if (rc == SH_OK)
        rc = discard(sh, a, &ids);
    free(ids.v);
    return rc;
}

static const struct sh_opt rm_opts[] = {
    {.name = "where", .letter = 'w', .kind = SH_FILTER, .help = "all runs that pass (help runs)"},
    {.name = "force", .kind = SH_FLAG, .help = "also runs that are still running"},
    SH_OPT_END};
static const char *const rm_examples[] = {"rm -1", "rm --where \"status=failed and started<30d\"",
                                          NULL};
const struct sh_cmd cmd_rm = {
    .name = "rm",
    .group = "runs",
    .args = "[RUN...]",
    .summary = "remove runs, until undo or purge",
    .detail = "Removed runs are hidden, not deleted: `runs --removed` lists them, `undo` brings "
              "them back, `purge` deletes them for good. Files that they wrote stay.",
    .examples = rm_examples,
    .max_args = -1,
    .kinds = {SH_RUN},
    .needs = SH_NEED_STORE,
    .opts = rm_opts,
    .run = run_rm,
};

/* A removed run, by id or name. */
static enum sh_rc find_removed(struct sh *sh, const struct sh_args *a, int i,
                               char id[VQ_RUN_ID_SIZE])
{
    struct vq_err err = {0};
    enum vq_status status = vq_store_find_removed(sh_store(sh, &err), sh_arg(a, i), id, &err);
    if (status == VQ_OK)
        return SH_OK;
    if (status != VQ_ENOTFOUND && status != VQ_EINVAL)
        return sh_fail(sh, &err);
    sh_bad_arg(sh, sh_arg_word(a, i), "%s", err.msg);
    return SH_ERR;
}

static enum sh_rc run_undo(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    char id[VQ_RUN_ID_SIZE], count[32];
    size_t n = 0, more = 0;
    struct vq_store *store = sh_store(sh, &err);
    if (sh_arg_count(a) == 0 && vq_store_restore(store, NULL, &n, &err) != VQ_OK)
        return sh_fail(sh, &err);
    for (int i = 0; i < sh_arg_count(a); i++) {
        enum sh_rc rc = find_removed(sh, a, i, id);
        if (rc != SH_OK)
            return rc;
        if (vq_store_restore(store, id, &more, &err) != VQ_OK)
            return sh_fail(sh, &err);
        n += more;
    }
    sh_ack(sh, "%s run%s brought back", n ? sh_thousands(n, count) : "no", n == 1 ? "" : "s");
    sh_uint(sh, "restored", n);
    return sh_end(sh);
}

static const char *const undo_examples[] = {"undo", NULL};
const struct sh_cmd cmd_undo = {
    .name = "undo",
    .group = "runs",
    .args = "[RUN...]",
    .summary = "bring back the runs that rm removed last, or those given",
    .examples = undo_examples,
    .max_args = -1,
    .kinds = {SH_TEXT},
    .needs = SH_NEED_STORE,
    .run = run_undo,
};

static bool no_more(void *ud, const char *id, const struct vq_value *values)
{
    (void)ud;
    (void)id;
    (void)values;
    return false;
}

static enum sh_rc count_removed(struct sh *sh, double before)
{
    struct vq_err err = {0};
    char filter[64], count[32];
    size_t n = 0;
    struct vq_listing l = {.removed = true};
    if (isfinite(before)) {
        snprintf(filter, sizeof(filter), "removed<%lld", (long long)before);
        l.filter = filter;
    }
    if (vq_store_list(sh_store(sh, &err), &l, no_more, NULL, &n, NULL, sh_cancel(sh), &err) !=
        VQ_OK)
        return sh_fail(sh, &err);
    sh_ack(sh, "%s run%s would be deleted for good", sh_thousands(n, count), n == 1 ? "" : "s");
    sh_uint(sh, "purged", 0);
    sh_uint(sh, "removed", n);
    return sh_end(sh);
}

static enum sh_rc purge(struct sh *sh, const struct sh_args *a, double before)
{
    struct vq_err err = {0};
    char id[VQ_RUN_ID_SIZE], count[32];
    size_t n = 0, more = 0;
    enum vq_status status = VQ_OK;
    struct vq_store *store = sh_store(sh, &err);
    if (sh_arg_count(a) == 0)
        status = vq_store_purge(store, NULL, before, &n, &err);
    for (int i = 0; status == VQ_OK && i < sh_arg_count(a); i++) {
        enum sh_rc rc = find_removed(sh, a, i, id);
        if (rc != SH_OK)
            return rc;
        status = vq_store_purge(store, id, before, &more, &err);
        n += more;
    }
    if (status == VQ_OK && sh_opt_flag(a, "compact"))
        status = vq_store_compact(store, &err);
    if (status != VQ_OK)
        return sh_fail(sh, &err);
    sh_ack(sh, "%s run%s deleted for good%s", sh_thousands(n, count), n == 1 ? "" : "s",
           n ? "; gc deletes the pictures they left" : "");
    sh_uint(sh, "purged", n);
    return sh_end(sh);
}

static enum sh_rc run_purge(struct sh *sh, const struct sh_args *a)
{
    double before = INFINITY, ago;
    const char *text = sh_opt_text(a, "older");
    if (text && !vq_duration_parse(text, strlen(text), &ago))
        return sh_bad_arg(sh, sh_opt_word(a, "older"), "--older takes a time such as 30d or 12h");
    if (text && sh_arg_count(a) > 0)
        return sh_bad_arg(sh, sh_opt_word(a, "older"), "give runs or --older, not both");
    if (text)
        before = sh_wall() - ago;
    if (!sh_opt_flag(a, "dry-run"))
        return purge(sh, a, before);
    if (sh_arg_count(a) > 0)
        return sh_bad_arg(sh, sh_opt_word(a, "dry-run"), "--dry-run counts what no run is named");
    return count_removed(sh, before);
}

static const struct sh_opt purge_opts[] = {
    {.name = "older",
     .kind = SH_TEXT,
     .value = "TIME",
     .help = "only what was removed longer ago than this: 30d, 12h"},
    {.name = "dry-run", .kind = SH_FLAG, .help = "say how many it would be"},
    {.name = "compact",
     .kind = SH_FLAG,
     .help = "give the space back to the file system, which rewrites the whole file"},
    SH_OPT_END};
static const char *const purge_examples[] = {"purge --dry-run", "purge --older 30d", NULL};
const struct sh_cmd cmd_purge = {
    .name = "purge",
    .group = "runs",
    .args = "[RUN...]",
    .summary = "delete removed runs for good, all of them or those given",
    .detail = "Only runs that `rm` removed before; there is no way back. Pictures that they wrote "
              "are remembered for `gc`.",
    .examples = purge_examples,
    .max_args = -1,
    .kinds = {SH_TEXT},
    .needs = SH_NEED_STORE,
    .opts = purge_opts,
    .run = run_purge,
};
