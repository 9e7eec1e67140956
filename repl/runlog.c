#include "repl/runlog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/kernels/gemm.h"
#include "core/store/store.h"
#include "repl/cmds.h"
#include "repl/out.h"
#include "repl/split.h"

struct sh_log {
    char *path;
    bool record;
    bool warned; /* one warning for the whole session is enough */
    struct vq_store *store;
    struct vq_run *run;     /* being recorded, or NULL */
    struct sh_model *model; /* of the run, while its hash is not recorded */
    int files;
    char id[VQ_RUN_ID_SIZE];
    char last[VQ_RUN_ID_SIZE]; /* stays when the run has ended */
    char message[VQ_ERR_LEN];  /* of the command's failure */
};

/* $VQSH_DB, else below $XDG_DATA_HOME, else below ~/.local/share; NULL without a home. */
static char *default_path(void)
{
    const char *db = getenv("VQSH_DB"), *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    struct vq_text path = {0};
    if (db && *db)
        vq_text_puts(&path, db);
    else if (data && *data)
        vq_text_printf(&path, "%s/vqsh/runs.db", data);
    else if (home && *home)
        vq_text_printf(&path, "%s/.local/share/vqsh/runs.db", home);
    return path.data;
}

struct sh_log *sh_log_new(const char *path, bool record)
{
    struct sh_log *log = vq_calloc(1, sizeof(*log));
    if (!log)
        return NULL;
    log->path = path ? vq_strdup(path) : default_path();
    log->record = record;
    return log;
}

void sh_log_free(struct sh *sh)
{
    if (!sh->log)
        return;
    vq_run_free(sh->log->run);
    vq_store_close(sh->log->store);
    free(sh->log->path);
    free(sh->log);
    sh->log = NULL;
}

const char *sh_store_path(const struct sh *sh)
{
    return sh->log->path ? sh->log->path : "";
}

static void say_notes(struct sh *sh, const char *notes)
{
    while (*notes) {
        size_t n = strcspn(notes, "\n");
        sh_note(sh, "%.*s", (int)n, notes);
        notes += n + (notes[n] == '\n');
    }
}

struct vq_store *sh_store(struct sh *sh, struct vq_err *err)
{
    struct sh_log *log = sh->log;
    if (log->store)
        return log->store;
    if (!log->path) {
        vq_fail(err, VQ_ENOTFOUND, "no place for the run database: set VQSH_DB or use --db FILE");
        return NULL;
    }
    struct vq_store_options options = {.readonly = sh->set.read_only};
    if (vq_store_open(&log->store, log->path, &options, err))
        return NULL;
    say_notes(sh, vq_store_note(log->store));
    return log->store;
}

enum vq_status sh_store_reopen(struct sh *sh, struct vq_err *err)
{
    if (!sh->log)
        return VQ_OK;
    if (sh->log->run)
        return vq_fail(err, VQ_EINVAL, "a run is being recorded");
    vq_store_close(sh->log->store);
    sh->log->store = NULL;
    return VQ_OK;
}

bool sh_recording(const struct sh *sh)
{
    return sh->log->record && !sh->set.read_only;
}

const char *sh_run_last(const struct sh *sh)
{
    return sh->log->last;
}

void sh_run_forget(struct sh *sh)
{
    sh->log->last[0] = '\0';
}

void sh_log_message(struct sh *sh, const char *msg)
{
    snprintf(sh->log->message, sizeof(sh->log->message), "%s", msg);
}

/* Recording goes wrong: say so once and let the work go on. */
static void give_up(struct sh *sh, const struct vq_err *err)
{
    if (!sh->log->warned)
        sh_warn(sh, "this run is not recorded: %s", err->msg);
    sh->log->warned = true;
}

/* Adds a member to the object that t holds, unless the object has it. */
static void add_member(struct vq_text *t, const char *name, const char *value)
{
    char key[32];
    snprintf(key, sizeof(key), "\"%s\":", name);
    if (t->len < 2 || t->data[t->len - 1] != '}' || strstr(t->data, key))
        return;
    t->data[--t->len] = '\0';
    vq_text_puts(t, t->data[t->len - 1] == '{' ? "" : ",");
    vq_text_puts(t, key);
    vq_text_json_string(t, value, strlen(value));
    vq_text_puts(t, "}");
}

/* The JSON settings of a run: what the command said, or its arguments, and how the arithmetic was
 * done. */
static char *settings_of(struct sh *sh, const struct sh_model *m, const char *json)
{
    struct vq_text t = {0};
    const struct vq_gemm *gemm = vq_gemm_find(sh->set.gemm);
    if (json)
        vq_text_puts(&t, json);
    else if (sh->args)
        sh_args_to_json(sh->args, &t);
    if (m) {
        add_member(&t, "weights", vq_weight_format_name(m->weights));
        add_member(&t, "state", vq_weight_format_name(m->state));
        add_member(&t, "skip", vq_skip_name(m->skip));
    }
    add_member(&t, "gemm", vq_gemm_name(gemm ? gemm : vq_gemm_default()));
    if (t.failed)
        vq_text_release(&t);
    return t.data;
}

static char *config_text(const struct vq_settings *config)
{
    struct vq_text t = {0};
    if (config)
        vq_settings_to_json(config, &t);
    if (t.failed)
        vq_text_release(&t);
    return t.data;
}

static void begin(struct sh *sh, struct sh_model *m, const struct vq_settings *configuration,
                  const uint64_t *seed, const char *settings_json)
{
    struct sh_log *log = sh->log;
    struct vq_err err = {.code = VQ_OK};
    const char *hex = NULL;
    log->id[0] = '\0';
    log->message[0] = '\0';
    log->files = 0;
    if (!sh_recording(sh) || !sh->cmd)
        return;
    struct vq_store *store = sh_store(sh, &err);
    if (!store) {
        give_up(sh, &err);
        return;
    }
    if (m)
        sh_model_hash(sh, m, false, &hex, NULL);
    char *line = vq_strndup(sh->text + sh->words->start, sh->words->end - sh->words->start);
    char *settings = settings_of(sh, m, settings_json), *config = config_text(configuration);
    struct vq_run_spec spec = {
        .command = sh->cmd->name,
        .command_line = line,
        .model_name = m ? m->name : NULL,
        .model_path = m ? vq_ckpt_path(vq_model_ckpt(m->model)) : NULL,
        .model_sha256 = hex,
        .config = config,
        .settings = settings,
        .has_seed = seed != NULL,
        .seed = seed ? *seed : 0,
        .threads = sh_threads(sh),
        .version = VQSH_VERSION,
    };
    log->model = m && !hex ? m : NULL;
    if (vq_run_begin(store, &spec, &log->run, &err))
        give_up(sh, &err);
    else
        snprintf(log->id, sizeof(log->id), "%s", vq_run_id(log->run));
    memcpy(log->last, log->id, sizeof(log->last));
    free(line);
    free(settings);
    free(config);
}

void sh_run_begin(struct sh *sh, struct sh_model *m, const uint64_t *seed,
                  const char *settings_json)
{
    begin(sh, m, m ? vq_model_settings(m->model) : NULL, seed, settings_json);
}

void sh_run_begin_new(struct sh *sh, const struct vq_settings *config, const uint64_t *seed)
{
    begin(sh, NULL, config, seed, NULL);
}

const char *sh_run_id(const struct sh *sh)
{
    return sh->log->id[0] ? sh->log->id : NULL;
}

static void check(struct sh *sh, enum vq_status status, const struct vq_err *err)
{
    if (status)
        give_up(sh, err);
}

void sh_run_result_int(struct sh *sh, const char *key, int64_t v)
{
    struct vq_err err;
    if (sh->log->run)
        check(sh, vq_run_result_int(sh->log->run, key, v, &err), &err);
}

void sh_run_result_f64(struct sh *sh, const char *key, double v)
{
    struct vq_err err;
    if (sh->log->run)
        check(sh, vq_run_result_real(sh->log->run, key, v, &err), &err);
}

void sh_run_result_text(struct sh *sh, const char *key, const char *v)
{
    struct vq_err err;
    if (sh->log->run)
        check(sh, vq_run_result_text(sh->log->run, key, v, strlen(v), &err), &err);
}

void sh_run_metric(struct sh *sh, const char *name, int64_t step, double v)
{
    struct vq_err err;
    if (sh->log->run)
        check(sh, vq_run_metric(sh->log->run, name, step, v, &err), &err);
}

void sh_run_sample(struct sh *sh, const struct vq_sample *sample)
{
    struct vq_err err;
    if (sh->log->run)
        check(sh, vq_run_sample(sh->log->run, sample, &err), &err);
}

void sh_run_file(struct sh *sh, const char *kind, const char *path)
{
    char key[64];
    int n = ++sh->log->files;
    if (n == 1)
        snprintf(key, sizeof(key), "%s", kind);
    else
        snprintf(key, sizeof(key), "%s %d", kind, n);
    sh_run_result_text(sh, key, path);
}

/* A model that was not hashed when the run began is by now, or is waited for. */
static void record_hash(struct sh *sh)
{
    struct sh_log *log = sh->log;
    struct vq_err err;
    const char *hex;
    if (!log->model || sh_model_hash(sh, log->model, true, &hex, &err) || !hex)
        return;
    check(sh, vq_run_model_sha256(log->run, hex, &err), &err);
}

void sh_run_end(struct sh *sh, enum sh_rc rc)
{
    struct sh_log *log = sh->log;
    struct vq_err err;
    enum vq_run_status status = rc == SH_OK            ? VQ_RUN_FINISHED
                                : rc == SH_INTERRUPTED ? VQ_RUN_INTERRUPTED
                                                       : VQ_RUN_FAILED;
    if (!log->run)
        return;
    record_hash(sh);
    check(sh, vq_run_finish(log->run, status, log->message[0] ? log->message : NULL, &err), &err);
    vq_run_free(log->run);
    log->run = NULL;
    log->model = NULL;
}

void sh_run_close(struct sh *sh, enum sh_rc rc)
{
    sh_run_end(sh, rc);
    sh->log->id[0] = '\0';
}
