/*
 * The command replay: a recorded run once more, and whether the same came out.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/kernels/gemm.h"
#include "repl/cmds.h"
#include "repl/find_model.h"
#include "repl/models.h"
#include "repl/replay.h"
#include "repl/runlog.h"
#include "repl/runs.h"

struct replaying {
    struct sh *sh;
    const struct sh_args *a;
    struct vq_run_info *run, *again;
    struct sh_model *model;    /* loaded for this, or NULL */
    struct sh_model *current;  /* what was current before */
    struct sh_settings before; /* the session's settings */
    char *folder;              /* where files go */
    bool keep;                 /* the folder stays */
    struct vq_text line;
};

/* ---- the model ---- */

/* One member of the recorded configuration as --set takes it: "key=value". */
static char *as_setting(const struct vq_json_node *n)
{
    struct vq_text t = {0};
    enum vq_json_kind kind = vq_json_kind(n);
    vq_text_printf(&t, "%s=", vq_json_key(n));
    if (kind == VQ_JSON_STRING)
        vq_text_puts(&t, vq_json_string(n));
    else if (kind == VQ_JSON_NUMBER)
        vq_text_json_f64(&t, vq_json_number(n));
    else if (kind == VQ_JSON_BOOL)
        vq_text_puts(&t, vq_json_bool(n) ? "1" : "0");
    else
        vq_text_puts(&t, "none");
    if (t.failed)
        vq_text_release(&t);
    return t.data;
}

static bool has_config(const struct vq_model *m, const char *config)
{
    struct vq_text t = {0};
    vq_settings_to_json(vq_model_settings(m), &t);
    bool same = !t.failed && strcmp(t.data, config) == 0;
    vq_text_release(&t);
    return same;
}

/* Opens the file with every value of the recorded configuration given, as --set would. */
static enum vq_status open_with(struct vq_model **out, const char *path, const char *config,
                                struct vq_err *err)
{
    struct vq_json *doc;
    char *set[VQ_CONFIG_MAX_FIELDS];
    size_t n = 0;
    enum vq_status status = vq_json_parse(&doc, config, strlen(config), err);
    if (status != VQ_OK)
        return status;
    for (const struct vq_json_node *m = vq_json_first(vq_json_root(doc));
         m && n < VQ_CONFIG_MAX_FIELDS && status == VQ_OK; m = vq_json_next(m)) {
        if (vq_config_field_find(vq_json_key(m)) < 0)
            continue;
        set[n] = as_setting(m);
        if (!set[n++])
            status = vq_nomem(err, "configuration", 1, 1);
    }
    struct vq_model_options o = {.set = (const char *const *)set, .n_set = n};
    if (status == VQ_OK)
        status = vq_model_open(out, path, &o, err);
    while (n > 0)
        free(set[--n]);
    vq_json_free(doc);
    return status;
}

/* The member of the recorded settings, as text; "" when there is none. */
struct wanted {
    const char *key;
    char text[64];
};

static bool find_setting(void *ud, const char *key, const struct vq_value *v, const char *json)
{
    struct wanted *w = ud;
    if (strcmp(key, w->key) == 0)
        snprintf(w->text, sizeof(w->text), "%s", v->kind == VQ_VALUE_TEXT ? v->text : json);
    return true;
}

static const char *setting_of(struct replaying *r, const char *key, struct wanted *w)
{
    struct vq_err err;
    *w = (struct wanted){.key = key};
    vq_store_settings(sh_store(r->sh, &err), r->run->id, find_setting, w, NULL);
    return w->text;
}

/* The new run is recorded under the model's first name, though another model that is loaded may
 * have it now: this one is gone before a name is looked for again. */
static void take_name(struct replaying *r)
{
    char *name = *r->run->model_name ? vq_strdup(r->run->model_name) : NULL;
    if (!name)
        return;
    free(r->model->name);
    r->model->name = name;
}

/* Runs from before there were other formats say nothing of them. */
static void formats_of(struct replaying *r, struct vq_engine_options *out)
{
    struct wanted weights, state, skip;
    const char *skipped = setting_of(r, "skip", &skip);
    const char *kept = setting_of(r, "state", &state);
    sh_engine_options(out, setting_of(r, "weights", &weights), *kept ? kept : "f32",
                      *skipped ? skipped : "zero");
}

/* Loads the run's model afresh, so that no state of this session is in it. */
static enum sh_rc load_model(struct replaying *r)
{
    struct vq_err err = {0};
    struct vq_model *model = NULL;
    char *path = NULL, name[64];
    struct vq_engine_options how;
    if (!*r->run->model_path)
        return SH_OK;
    if (!*r->run->model_sha256)
        return sh_failf(r->sh, "the hash of its model was not recorded, so nothing tells whether "
                               "the model is still the same");
    enum vq_status status = sh_find_model(r->sh, r->run, &path, &err);
    formats_of(r, &how);
    if (status == VQ_OK)
        status = vq_model_open(&model, path, NULL, &err);
    if (status == VQ_OK && *r->run->config && !has_config(model, r->run->config)) {
        vq_model_free(model);
        status = open_with(&model, path, r->run->config, &err);
    }
    snprintf(name, sizeof(name), "replay-%s", r->run->id);
    if (status == VQ_OK)
        status = sh_model_add(r->sh, model, path, name, &how, &r->model, &err);
    if (status != VQ_OK)
        vq_model_free(model);
    else
        take_name(r);
    free(path);
    return status == VQ_OK ? SH_OK : sh_fail(r->sh, &err);
}

/* ---- settings ---- */

/* The session's settings as they were, as far as the run tells. A back-end that this machine does
 * not have is said, and replay goes on: the outcome shows whether it mattered. */
static void restore_settings(struct replaying *r)
{
    static const char *const names[][2] = {
        {"temperature", "temperature"}, {"top_p", "top-p"}, {"top_k", "top-k"}};
    struct sh_settings *set = &r->sh->set;
    struct wanted w;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = setting_of(r, names[i][0], &w);
        if (*value)
            sh_setting_set(r->sh, names[i][1], value, NULL);
    }
    const char *gemm = setting_of(r, "gemm", &w);
    if (*gemm && vq_gemm_find(gemm))
        snprintf(set->gemm, sizeof(set->gemm), "%s", gemm);
    else if (*gemm)
        sh_warn(r->sh, "the matrix back-end %s is not here; another may round otherwise", gemm);
    if (r->run->has_seed)
        snprintf(set->seed, sizeof(set->seed), "%llu", (unsigned long long)r->run->seed);
    if (r->run->threads > 0 && r->run->threads <= 256)
        set->threads = r->run->threads;
}

/* ---- files ---- */

static enum sh_rc make_folder(struct replaying *r)
{
    const char *given = sh_opt_text(r->a, "out"), *tmp = getenv("TMPDIR");
    char path[4096];
    if (given && mkdir(given, 0777) != 0 && rmdir(given) != 0)
        return sh_bad_arg(r->sh, sh_opt_word(r->a, "out"),
                          "expected a folder that is new or empty");
    if (given && mkdir(given, 0777) != 0 && access(given, W_OK) != 0)
        return sh_failf(r->sh, "%s: cannot make the folder", given);
    snprintf(path, sizeof(path), "%s/vqsh-replay-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    r->keep = given != NULL;
    r->folder = given ? realpath(given, NULL) : mkdtemp(path) ? vq_strdup(path) : NULL;
    return r->folder ? SH_OK : sh_failf(r->sh, "cannot make a folder for the files");
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

/* ---- doing it ---- */

/* Runs the line with its results going nowhere; they are recorded. */
static enum sh_rc run_line(struct replaying *r)
{
    struct sh *sh = r->sh;
    struct sh_out *out = sh->out;
    FILE *nowhere = fopen("/dev/null", "we");
    sh->out = nowhere ? sh_out_new(nowhere, stderr) : NULL;
    enum sh_rc rc = SH_ERR;
    sh_run_forget(sh);
    if (sh->out) {
        const struct sh_cmd *cmd = sh->cmd;
        bool keep_going = sh->keep_going;
        sh->keep_going = false;
        rc = sh_exec_text(sh, r->line.data, r->line.len, NULL);
        sh->keep_going = keep_going;
        sh->cmd = cmd;
        sh_out_free(sh->out);
    }
    sh->out = out;
    if (nowhere)
        fclose(nowhere);
    return rc;
}

static enum sh_rc do_again(struct replaying *r)
{
    struct vq_err err = {0};
    char id[VQ_RUN_ID_SIZE], tag[32];
    enum sh_rc rc = run_line(r);
    struct vq_store *store = sh_store(r->sh, &err);
    snprintf(id, sizeof(id), "%s", sh_run_last(r->sh));
    if (rc == SH_INTERRUPTED)
        return rc;
    if (rc != SH_OK)
        return sh_failf(r->sh, "run %s cannot be done again", r->run->id);
    if (!*id)
        return sh_failf(r->sh, "the replay was not recorded, so it cannot be compared");
    snprintf(tag, sizeof(tag), "replay:%s", r->run->id);
    vq_store_tag(store, id, tag, NULL, NULL);
    return vq_store_run(store, id, &r->again, &err) == VQ_OK ? SH_OK : sh_fail(r->sh, &err);
}

static enum sh_rc report(struct replaying *r, const struct sh_replay_report *c)
{
    struct sh *sh = r->sh;
    sh_record(sh);
    sh_str(sh, "run", r->run->id);
    sh_str(sh, "replay", r->again->id);
    sh_str(sh, "command", r->run->command);
    sh_bool(sh, "bit_equal", c->n == 0);
    sh_uint(sh, "results", c->results);
    sh_uint(sh, "points", c->points);
    sh_uint(sh, "samples", c->samples);
    sh_uint(sh, "files", c->files);
    sh_uint(sh, "gone", c->gone);
    struct sh_part p = sh_parts_begin(sh);
    sh_part_list(&p, "differences", "what was is");
    for (size_t i = 0; i < c->n; i++) {
        sh_part_row(&p);
        sh_part_str(&p, "what", c->v[i].what);
        sh_part_str(&p, "was", c->v[i].was);
        sh_part_str(&p, "is", c->v[i].is);
    }
    enum sh_rc rc = sh_parts_end(&p);
    if (strcmp(r->run->command, "bench") == 0)
        sh_note(sh, "speeds are measured anew, not compared: diff %s %s shows them", r->run->id,
                r->again->id);
    if (c->gone)
        sh_note(sh, "%zu file%s of the first run %s gone and not compared", c->gone,
                c->gone == 1 ? "" : "s", c->gone == 1 ? "is" : "are");
    if (rc != SH_OK || c->n == 0)
        return rc;
    return sh_failf(sh, "%zu thing%s came out differently%s", c->n, c->n == 1 ? "" : "s",
                    strcmp(r->run->version, VQSH_VERSION) != 0 ? " (another version recorded it)"
                                                               : "");
}

static enum sh_rc compare(struct replaying *r)
{
    struct vq_err err = {0};
    struct sh_replay_report c;
    enum vq_status status =
        sh_replay_compare(r->sh, sh_store(r->sh, &err), r->run, r->again, &c, &err);
    enum sh_rc rc = status == VQ_OK ? report(r, &c) : sh_fail(r->sh, &err);
    sh_replay_release(&c);
    return rc;
}

static enum sh_rc check_run(struct replaying *r)
{
    if (!sh_recording(r->sh) || vq_store_readonly(sh_store(r->sh, NULL)))
        return sh_failf(r->sh, "a replay is recorded to be compared: not with --no-log or a "
                               "read-only database");
    if (r->run->status != VQ_RUN_FINISHED)
        return sh_failf(r->sh, "run %s is %s: only what finished can be compared", r->run->id,
                        vq_run_status_name(r->run->status));
    return SH_OK;
}

static void tidy_up(struct replaying *r)
{
    if (r->model)
        sh_model_unload(r->sh, r->model);
    if (r->current)
        sh_model_use(r->sh, r->current);
    r->sh->set = r->before;
    if (r->folder && !r->keep)
        nftw(r->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(r->folder);
    free(r->run);
    free(r->again);
    vq_text_release(&r->line);
}

static enum sh_rc run_replay(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct replaying r = {.sh = sh, .a = a, .current = sh_model_current(sh), .before = sh->set};
    char id[VQ_RUN_ID_SIZE];
    enum sh_rc rc = sh_run_find(sh, a, 0, id);
    if (rc != SH_OK)
        return rc;
    if (vq_store_run(sh_store(sh, &err), id, &r.run, &err) != VQ_OK)
        return sh_fail(sh, &err);
    rc = check_run(&r);
    if (rc == SH_OK) {
        restore_settings(&r);
        rc = load_model(&r);
    }
    if (rc == SH_OK)
        rc = make_folder(&r);
    if (rc == SH_OK)
        rc = sh_replay_line(sh, r.run, r.folder, &r.line);
    if (rc == SH_OK)
        rc = do_again(&r);
    if (rc == SH_OK)
        rc = compare(&r);
    tidy_up(&r);
    return rc;
}

static const struct sh_opt replay_opts[] = {
    {.name = "out",
     .letter = 'o',
     .kind = SH_OUTPATH,
     .value = "FOLDER",
     .help = "keep the files it writes there (default: they are removed)"},
    SH_OPT_END};
static const char *const replay_examples[] = {"replay -1", NULL};
const struct sh_cmd cmd_replay = {
    .name = "replay",
    .group = "runs",
    .args = "RUN",
    .summary = "do a recorded run once more and say whether the same came out",
    .detail =
        "The same command line, on the model of the same SHA-256 (where it was, among those "
        "loaded, or below the folders of `set model-path`; a file that has changed is refused), "
        "with the recorded seed, settings, threads and matrix back-end. Files that it reads are "
        "found by the folder it ran in; what it writes goes elsewhere, never over the first "
        "files. The new run is recorded with the tag replay:ID.\n\n"
        "Compared are results but for times and what bench measures, metrics point by point, "
        "samples and files byte by byte, pictures pixel by pixel; files of the first run that are "
        "gone are counted as such. Exit status 1 when something differs.",
    .examples = replay_examples,
    .min_args = 1,
    .max_args = 1,
    .kinds = {SH_RUN},
    .needs = SH_NEED_STORE,
    .opts = replay_opts,
    .run = run_replay,
};
