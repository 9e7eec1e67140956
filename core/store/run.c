/*
 * Writing runs. Everything but metric points goes to the file at once, each in a short transaction
 * of its own; points gather in memory (at 50,000 a second a transaction each would be all the
 * program does). A failed transaction leaves the gathered points where they are.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/store/internal.h"
#include "core/store/stats.h"

#define FLUSH_POINTS  8192       /* written together; some 20 ms of work */
#define FLUSH_MS      1000       /* points wait no longer than this */
#define FLUSH_WAIT_MS 100        /* how long a flush on the way waits for another writer */
#define POINTS_MAX    (1u << 20) /* gathered at most while the file cannot be written to */
#define ID_TRIES      16

struct point {
    uint32_t name; /* index into names */
    int64_t step;
    double time;
    double value;
};

struct metric_name {
    char *name;
    int64_t id; /* in metric_names; 0 until a transaction that knows it has been committed */
    struct vq_stats batch; /* of the points being written */
};

struct vq_run {
    struct vq_store *store;
    char id[VQ_RUN_ID_SIZE];
    bool ended;
    struct point *points;
    size_t n_points, room;
    struct metric_name *names;
    size_t n_names;
    int64_t seq;        /* of the first gathered point */
    int64_t flushed_at; /* steady clock, ms; also after a failure */
};

static const char *const status_names[] = {
    [VQ_RUN_RUNNING] = "running", [VQ_RUN_FINISHED] = "finished",
    [VQ_RUN_FAILED] = "failed",   [VQ_RUN_INTERRUPTED] = "interrupted",
    [VQ_RUN_CRASHED] = "crashed",
};

_Static_assert(sizeof(status_names) / sizeof(status_names[0]) == VQ_RUN_STATUSES,
               "every status has a name");

const char *vq_run_status_name(enum vq_run_status status)
{
    return (unsigned)status < VQ_RUN_STATUSES ? status_names[status] : "unknown";
}

bool vq_run_status_parse(const char *name, enum vq_run_status *out)
{
    for (unsigned i = 0; i < VQ_RUN_STATUSES; i++) {
        if (strcmp(name, status_names[i]) != 0)
            continue;
        *out = (enum vq_run_status)i;
        return true;
    }
    return false;
}

double vq_store_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

const char *vq_real_kind(double value)
{
    return isnan(value) ? "nan" : isfinite(value) ? "real" : value > 0 ? "inf" : "-inf";
}

double vq_real_of(struct vq_stmt *s, const char *kind, int column)
{
    if (strcmp(kind, "nan") == 0)
        return NAN;
    if (strcmp(kind, "inf") == 0)
        return INFINITY;
    return strcmp(kind, "-inf") == 0 ? -INFINITY : vq_column_real(s, column);
}

/* 40 bits of milliseconds since 2025 and 10 bits of chance, most significant first. */
static void make_id(char id[VQ_RUN_ID_SIZE], double now)
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    const double epoch = 1735689600.0;
    uint64_t ms = now > epoch ? (uint64_t)((now - epoch) * 1000.0) : 0;
    uint16_t chance;
    if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) != (ssize_t)sizeof(chance))
        chance = (uint16_t)(getpid() * 40503u + (unsigned)clock());
    uint64_t bits = (ms & ((UINT64_C(1) << 40) - 1)) << 10 | (chance & 1023u);
    for (int i = VQ_RUN_ID_SIZE - 2; i >= 0; i--, bits >>= 5)
        id[i] = digits[bits & 31];
    id[VQ_RUN_ID_SIZE - 1] = '\0';
}

static void bind_spec(struct vq_stmt *s, const struct vq_run_spec *spec)
{
    if (spec->name_len)
        vq_stmt_bytes(s, 2, spec->name, spec->name_len);
    else
        vq_stmt_text(s, 2, spec->name && spec->name[0] ? spec->name : NULL);
    vq_stmt_text(s, 3, spec->command);
    vq_stmt_text(s, 4, spec->command_line ? spec->command_line : "");
    vq_stmt_text(s, 6, spec->model_name);
    vq_stmt_text(s, 7, spec->model_path);
    vq_stmt_text(s, 8, spec->model_sha256);
    if (spec->has_seed)
        vq_stmt_u64(s, 9, spec->seed);
    vq_stmt_int(s, 10, spec->threads);
    vq_stmt_text(s, 11, spec->version);
    vq_stmt_text(s, 17, spec->config);
    vq_stmt_text(s, 18, spec->settings);
}

static void bind_self(struct vq_stmt *s, const struct vq_proc *self)
{
    vq_stmt_text(s, 12, self->host);
    vq_stmt_text(s, 13, self->boot_id);
    vq_stmt_int(s, 14, self->pid);
    vq_stmt_int(s, 15, self->start);
    char *cwd = getcwd(NULL, 0);
    vq_stmt_text(s, 16, cwd);
    free(cwd);
}

/* Inside a transaction: takes ids until one is free. */
static enum vq_status insert_run(struct vq_run *run, struct vq_stmt *s, struct vq_err *err)
{
    for (int i = 0; i < ID_TRIES; i++) {
        double now = vq_store_now();
        make_id(run->id, now);
        vq_stmt_text(s, 1, run->id);
        vq_stmt_real(s, 5, now);
        enum vq_status status = vq_stmt_run(s, err);
        if (status != VQ_OK || vq_db_changes(run->store->db) == 1)
            return status;
    }
    return vq_fail(err, VQ_EBUSY, "%s: found no free id for the run", run->store->path);
}

static enum vq_status record(struct vq_run *run, const struct vq_run_spec *spec, struct vq_err *err)
{
    struct vq_stmt *s;
    enum vq_status status = vq_stmt_prepare(
        &s, run->store->db,
        "INSERT INTO runs(id, name, command, command_line, status, started_at, model_name,"
        " model_path, model_sha256, seed, threads, version, host, boot_id, pid, pid_start, cwd,"
        " config, settings)"
        " VALUES(?1,?2,?3,?4,'running',?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)"
        " ON CONFLICT(id) DO NOTHING",
        err);
    if (status != VQ_OK)
        return status;
    bind_spec(s, spec);
    bind_self(s, &run->store->self);
    status = vq_store_begin(run->store, err);
    if (status == VQ_OK)
        status = vq_db_end(run->store->db, insert_run(run, s, err), err);
    vq_stmt_free(s);
    return status;
}

enum vq_status vq_run_begin(struct vq_store *store, const struct vq_run_spec *spec,
                            struct vq_run **out, struct vq_err *err)
{
    *out = NULL;
    if (!spec->command || !spec->command[0])
        return vq_fail(err, VQ_EINVAL, "a run needs the kind of its command");
    if (spec->name_len && memchr(spec->name, '\0', spec->name_len))
        return vq_fail(err, VQ_EINVAL, "a run's name cannot hold a NUL byte");
    struct vq_run *run = vq_calloc(1, sizeof(*run));
    if (!run)
        return vq_nomem(err, "run", 1, sizeof(*run));
    run->store = store;
    run->flushed_at = vq_db_now_ms();
    enum vq_status status = record(run, spec, err);
    if (status != VQ_OK) {
        run->ended = true; /* nothing was recorded, so nothing is to be ended */
        vq_run_free(run);
        return status;
    }
    *out = run;
    return VQ_OK;
}

const char *vq_run_id(const struct vq_run *run)
{
    return run->id;
}

static enum vq_status still_running(const struct vq_run *run, struct vq_err *err)
{
    if (!run->ended)
        return VQ_OK;
    return vq_fail(err, VQ_EINVAL, "run %s has ended; nothing can be added", run->id);
}

/* One statement in a transaction of its own. Takes ownership of s. */
static enum vq_status write_one(struct vq_store *store, struct vq_stmt *s, struct vq_err *err)
{
    enum vq_status status = vq_store_begin(store, err);
    if (status == VQ_OK)
        status = vq_db_end(store->db, vq_stmt_run(s, err), err);
    vq_stmt_free(s);
    return status;
}

enum vq_status vq_run_model_sha256(struct vq_run *run, const char *sha256, struct vq_err *err)
{
    struct vq_stmt *s;
    enum vq_status status = still_running(run, err);
    if (status == VQ_OK)
        status = vq_stmt_prepare(&s, run->store->db,
                                 "UPDATE runs SET model_sha256 = ?2 WHERE id = ?1", err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(s, 1, run->id);
    vq_stmt_text(s, 2, sha256);
    return write_one(run->store, s, err);
}

static enum vq_status prepare_result(struct vq_run *run, const char *key, const char *kind,
                                     struct vq_stmt **s, struct vq_err *err)
{
    enum vq_status status = still_running(run, err);
    if (status != VQ_OK)
        return status;
    if (!key || !key[0])
        return vq_fail(err, VQ_EINVAL, "a result needs a key");
    status = vq_stmt_prepare(s, run->store->db,
                             "INSERT INTO results(run, key, kind, value) VALUES(?1, ?2, ?3, ?4)"
                             " ON CONFLICT(run, key)"
                             " DO UPDATE SET kind = excluded.kind, value = excluded.value",
                             err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(*s, 1, run->id);
    vq_stmt_text(*s, 2, key);
    vq_stmt_text(*s, 3, kind);
    return VQ_OK;
}

enum vq_status vq_run_result_int(struct vq_run *run, const char *key, int64_t value,
                                 struct vq_err *err)
{
    struct vq_stmt *s;
    enum vq_status status = prepare_result(run, key, "int", &s, err);
    if (status != VQ_OK)
        return status;
    vq_stmt_int(s, 4, value);
    return write_one(run->store, s, err);
}

enum vq_status vq_run_result_real(struct vq_run *run, const char *key, double value,
                                  struct vq_err *err)
{
    struct vq_stmt *s;
    enum vq_status status = prepare_result(run, key, vq_real_kind(value), &s, err);
    if (status != VQ_OK)
        return status;
    vq_stmt_real(s, 4, value);
    return write_one(run->store, s, err);
}

enum vq_status vq_run_result_text(struct vq_run *run, const char *key, const char *text, size_t len,
                                  struct vq_err *err)
{
    struct vq_stmt *s;
    enum vq_status status = prepare_result(run, key, "text", &s, err);
    if (status != VQ_OK)
        return status;
    vq_stmt_bytes(s, 4, text, len);
    return write_one(run->store, s, err);
}

enum vq_status vq_run_sample(struct vq_run *run, const struct vq_sample *sample, struct vq_err *err)
{
    struct vq_stmt *s;
    enum vq_status status = still_running(run, err);
    if (status != VQ_OK)
        return status;
    status = vq_stmt_prepare(&s, run->store->db,
                             "INSERT INTO samples(run, idx, seed, text, bytes, path, tokens,"
                             " nats_kind, nats) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                             err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(s, 1, run->id);
    vq_stmt_int(s, 2, sample->index);
    vq_stmt_u64(s, 3, sample->seed);
    if (sample->text)
        vq_stmt_blob(s, 4, sample->text, sample->len);
    vq_stmt_int(s, 5, sample->text ? (int64_t)sample->len : 0);
    vq_stmt_text(s, 6, sample->path);
    vq_stmt_int(s, 7, sample->tokens);
    vq_stmt_text(s, 8, vq_real_kind(sample->nats));
    vq_stmt_real(s, 9, sample->nats);
    return write_one(run->store, s, err);
}

static enum vq_status name_index(struct vq_run *run, const char *name, uint32_t *out,
                                 struct vq_err *err)
{
    for (size_t i = 0; i < run->n_names; i++) {
        if (strcmp(run->names[i].name, name) != 0)
            continue;
        *out = (uint32_t)i;
        return VQ_OK;
    }
    if (run->n_names % 16 == 0) {
        void *grown = vq_realloc(run->names, run->n_names + 16, sizeof(*run->names));
        if (!grown)
            return vq_nomem(err, "metric names", run->n_names + 16, sizeof(*run->names));
        run->names = grown;
    }
    char *copy = vq_strdup(name);
    if (!copy)
        return vq_nomem(err, "metric name", strlen(name), 1);
    *out = (uint32_t)run->n_names;
    run->names[run->n_names++] = (struct metric_name){.name = copy, .id = 0};
    return VQ_OK;
}

static enum vq_status make_room(struct vq_run *run, struct vq_err *err)
{
    if (run->n_points < run->room)
        return VQ_OK;
    size_t room = run->room ? run->room * 2 : 256;
    void *grown = vq_realloc(run->points, room, sizeof(*run->points));
    if (!grown)
        return vq_nomem(err, "metric points", room, sizeof(*run->points));
    run->points = grown;
    run->room = room;
    return VQ_OK;
}

/* Inside a transaction: the row of one name, made if it is new. */
static enum vq_status look_up_name(struct vq_db *db, const char *name, int64_t *id,
                                   struct vq_err *err)
{
    struct vq_stmt *s = NULL;
    bool row = false;
    enum vq_status status = vq_stmt_prepare(
        &s, db, "INSERT INTO metric_names(name) VALUES(?1) ON CONFLICT(name) DO NOTHING", err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(s, 1, name);
    status = vq_stmt_run(s, err);
    vq_stmt_free(s);
    if (status != VQ_OK)
        return status;
    status = vq_stmt_prepare(&s, db, "SELECT id FROM metric_names WHERE name = ?1", err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(s, 1, name);
    status = vq_stmt_step(s, &row, err);
    if (status == VQ_OK)
        *id = vq_column_int(s, 0);
    vq_stmt_free(s);
    return status;
}

static enum vq_status look_up_names(struct vq_run *run, struct vq_err *err)
{
    enum vq_status status = VQ_OK;
    for (size_t i = 0; i < run->n_names && status == VQ_OK; i++) {
        run->names[i].batch = (struct vq_stats){0};
        if (run->names[i].id == 0)
            status = look_up_name(run->store->db, run->names[i].name, &run->names[i].id, err);
    }
    return status;
}

static enum vq_status merge_stats(struct vq_run *run, struct vq_err *err)
{
    enum vq_status status = VQ_OK;
    for (size_t i = 0; i < run->n_names && status == VQ_OK; i++)
        if (run->names[i].batch.points > 0)
            status = vq_stats_merge(run->store->db, run->id, run->names[i].id, &run->names[i].batch,
                                    err);
    return status;
}

/* Ids of names from a transaction that was rolled back may come to mean another name. */
static void forget_names(struct vq_run *run)
{
    for (size_t i = 0; i < run->n_names; i++)
        run->names[i].id = 0;
}

/* Inside a transaction. */
static enum vq_status insert_points(struct vq_run *run, struct vq_err *err)
{
    enum vq_status status = look_up_names(run, err);
    if (status != VQ_OK)
        return status;
    struct vq_stmt *s;
    status = vq_stmt_prepare(&s, run->store->db,
                             "INSERT INTO metrics(run, name, step, seq, time, kind, value)"
                             " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                             err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(s, 1, run->id);
    for (size_t i = 0; i < run->n_points && status == VQ_OK; i++) {
        const struct point *p = &run->points[i];
        const int64_t seq = run->seq + (int64_t)i;
        vq_stats_add(&run->names[p->name].batch, p->step, seq, p->time, p->value);
        vq_stmt_int(s, 2, run->names[p->name].id);
        vq_stmt_int(s, 3, p->step);
        vq_stmt_int(s, 4, seq);
        vq_stmt_real(s, 5, p->time);
        vq_stmt_text(s, 6, vq_real_kind(p->value));
        vq_stmt_real(s, 7, p->value);
        status = vq_stmt_run(s, err);
    }
    vq_stmt_free(s);
    return status == VQ_OK ? merge_stats(run, err) : status;
}

/* After a transaction with insert_points has ended. */
static void settle_points(struct vq_run *run, enum vq_status status)
{
    run->flushed_at = vq_db_now_ms();
    if (status != VQ_OK) {
        forget_names(run);
        return;
    }
    run->seq += (int64_t)run->n_points;
    run->n_points = 0;
}

static enum vq_status flush(struct vq_run *run, unsigned wait_ms, struct vq_err *err)
{
    if (run->n_points == 0)
        return VQ_OK;
    enum vq_status status = vq_db_begin(run->store->db, wait_ms, err);
    if (status == VQ_OK)
        status = vq_db_end(run->store->db, insert_points(run, err), err);
    settle_points(run, status);
    return status;
}

enum vq_status vq_run_metric(struct vq_run *run, const char *name, int64_t step, double value,
                             struct vq_err *err)
{
    uint32_t index = 0;
    enum vq_status status = still_running(run, err);
    if (status == VQ_OK && (!name || !name[0]))
        status = vq_fail(err, VQ_EINVAL, "a metric needs a name");
    if (status == VQ_OK && run->n_points >= POINTS_MAX)
        status = flush(run, run->store->busy_ms, err);
    if (status == VQ_OK)
        status = name_index(run, name, &index, err);
    if (status == VQ_OK)
        status = make_room(run, err);
    if (status != VQ_OK)
        return status;
    run->points[run->n_points++] =
        (struct point){.name = index, .step = step, .time = vq_store_now(), .value = value};
    /* By count only at multiples, or a file that cannot be written to would be tried at each. */
    bool due = run->n_points % FLUSH_POINTS == 0 || vq_db_now_ms() - run->flushed_at >= FLUSH_MS;
    if (!due)
        return VQ_OK;
    struct vq_err why = {0};
    status = flush(run, FLUSH_WAIT_MS, &why);
    if (status == VQ_EBUSY)
        return VQ_OK;
    if (status != VQ_OK && err)
        *err = why;
    return status;
}

enum vq_status vq_run_flush(struct vq_run *run, struct vq_err *err)
{
    enum vq_status status = still_running(run, err);
    return status == VQ_OK ? flush(run, run->store->busy_ms, err) : status;
}

/* Inside a transaction. */
static enum vq_status update_end(struct vq_run *run, enum vq_run_status how, const char *error,
                                 struct vq_err *err)
{
    struct vq_stmt *s;
    enum vq_status status = vq_stmt_prepare(
        &s, run->store->db, "UPDATE runs SET status = ?2, error = ?3, ended_at = ?4 WHERE id = ?1",
        err);
    if (status != VQ_OK)
        return status;
    vq_stmt_text(s, 1, run->id);
    vq_stmt_text(s, 2, vq_run_status_name(how));
    vq_stmt_text(s, 3, error);
    vq_stmt_real(s, 4, vq_store_now());
    status = vq_stmt_run(s, err);
    vq_stmt_free(s);
    if (status == VQ_OK && vq_db_changes(run->store->db) == 0)
        status = vq_fail(err, VQ_ENOTFOUND, "run %s was removed meanwhile", run->id);
    return status;
}

static enum vq_status end_run(struct vq_run *run, enum vq_run_status how, const char *error,
                              struct vq_err *err)
{
    enum vq_status status = vq_store_begin(run->store, err);
    if (status != VQ_OK)
        return status;
    status = update_end(run, how, error, err);
    if (status == VQ_OK)
        status = insert_points(run, err);
    status = vq_db_end(run->store->db, status, err);
    settle_points(run, status);
    run->ended = status == VQ_OK;
    return status;
}

enum vq_status vq_run_finish(struct vq_run *run, enum vq_run_status status, const char *error,
                             struct vq_err *err)
{
    enum vq_status running = still_running(run, err);
    if (running != VQ_OK)
        return running;
    if (status != VQ_RUN_FINISHED && status != VQ_RUN_FAILED && status != VQ_RUN_INTERRUPTED)
        return vq_fail(err, VQ_EINVAL, "a run cannot be ended as %s", vq_run_status_name(status));
    return end_run(run, status, error, err);
}

void vq_run_free(struct vq_run *run)
{
    if (!run)
        return;
    if (!run->ended)
        end_run(run, VQ_RUN_FAILED, "abandoned: it was not ended", NULL);
    for (size_t i = 0; i < run->n_names; i++)
        free(run->names[i].name);
    free(run->names);
    free(run->points);
    free(run);
}
