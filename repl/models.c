#include "repl/models.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/hash.h"
#include "core/base/mem.h"
#include "repl/out.h"
#include "repl/tracked.h"

struct sh_models {
    struct sh_model *first, *current;
};

/* A thread that hashes one file. `done`, `hex` and `err` are guarded by the lock. */
struct sh_hash {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char *path;
    atomic_bool stop, hold;
    bool done;
    char hex[VQ_SHA256_HEX];
    struct vq_err err;
};

struct sh_models *sh_models_new(void)
{
    return vq_calloc(1, sizeof(struct sh_models));
}

struct sh_model *sh_model_current(const struct sh *sh)
{
    return sh->models->current;
}

struct sh_model *sh_model_first(const struct sh *sh)
{
    return sh->models->first;
}

struct sh_model *sh_model_find(const struct sh *sh, const char *name)
{
    struct sh_model *m = sh->models->first;
    while (m && strcmp(m->name, name) != 0)
        m = m->next;
    return m;
}

size_t sh_model_count(const struct sh *sh)
{
    size_t n = 0;
    for (struct sh_model *m = sh->models->first; m; m = m->next)
        n++;
    return n;
}

bool sh_model_prepared(const struct sh *sh)
{
    for (struct sh_model *m = sh->models->first; m; m = m->next) {
        if (m->engine)
            return true;
    }
    return false;
}

/* The part of a path that names the model: its last component, or the one above when that is
 * checkpoint, checkpoint_N or a config's folder; without the ending of a file. */
static void base_name(const char *path, char *buf, size_t len)
{
    char full[4096];
    char *real = realpath(path, NULL);
    snprintf(full, sizeof(full), "%s", real ? real : path);
    free(real);
    for (;;) {
        char *slash = strrchr(full, '/');
        char *last = slash ? slash + 1 : full;
        if (*last && strncmp(last, "checkpoint", 10) != 0) {
            char *dot = strrchr(last, '.');
            if (dot > last)
                *dot = '\0';
            snprintf(buf, len, "%.*s", (int)len - 1, last);
            return;
        }
        if (!slash || slash == full)
            break;
        *slash = '\0';
    }
    snprintf(buf, len, "model");
}

const char *sh_model_name_for(const struct sh *sh, const char *path, char *buf, size_t len)
{
    char base[200];
    base_name(path, base, sizeof(base));
    for (char *p = base; *p; p++) {
        if ((unsigned char)*p <= ' ' || strchr("'\"\\;", *p))
            *p = '-';
    }
    snprintf(buf, len, "%s", base);
    for (int i = 2; sh_model_find(sh, buf); i++)
        snprintf(buf, len, "%s-%d", base, i);
    return buf;
}

bool sh_engine_options(struct vq_engine_options *out, const char *weights, const char *state,
                       const char *skip)
{
    *out = (struct vq_engine_options){0};
    if (!vq_weight_format_parse(weights, &out->weights))
        return false;
    out->state = out->weights;
    if (strcmp(state, "auto") != 0 && !vq_weight_format_parse(state, &out->state))
        return false;
    out->skip = out->state == VQ_WEIGHT_F32 ? VQ_SKIP_ZERO : VQ_SKIP_LIGHT;
    return strcmp(skip, "auto") == 0 || vq_skip_parse(skip, &out->skip);
}

enum vq_status sh_model_add(struct sh *sh, struct vq_model *model, const char *path,
                            const char *name, const struct vq_engine_options *how,
                            struct sh_model **out, struct vq_err *err)
{
    char buf[256];
    *out = NULL;
    if (!name)
        name = sh_model_name_for(sh, path, buf, sizeof(buf));
    for (const char *p = name; *p; p++) {
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return vq_fail(err, VQ_EINVAL, "the name of a model holds no blanks");
    }
    if (!*name)
        return vq_fail(err, VQ_EINVAL, "the name of a model is empty");
    if (sh_model_find(sh, name))
        return vq_fail(err, VQ_EINVAL, "a model named %s is loaded already", name);
    struct sh_model *m = vq_calloc(1, sizeof(*m));
    if (m) {
        m->name = vq_strdup(name);
        m->path = vq_strdup(path);
    }
    if (!m || !m->name || !m->path) {
        free(m ? m->name : NULL);
        free(m ? m->path : NULL);
        free(m);
        return vq_nomem(err, "a model", 1, sizeof(*m));
    }
    m->model = model;
    m->weights = how->weights;
    m->state = how->state;
    m->skip = how->skip;
    struct sh_model **end = &sh->models->first;
    while (*end)
        end = &(*end)->next;
    *end = sh->models->current = *out = m;
    return VQ_OK;
}

void sh_model_use(struct sh *sh, struct sh_model *m)
{
    sh->models->current = m;
}

static void hash_free(struct sh_hash *h)
{
    if (!h)
        return;
    atomic_store(&h->stop, true);
    pthread_join(h->thread, NULL);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->changed);
    free(h->path);
    free(h);
}

void sh_model_drop_engine(struct sh_model *m)
{
    sh_tracked_free(m->tracked);
    m->tracked = NULL;
    while (m->states)
        sh_state_drop(m, m->states->name);
    vq_session_free(m->session);
    vq_engine_free(m->engine);
    m->session = NULL;
    m->engine = NULL;
}

void sh_model_unload(struct sh *sh, struct sh_model *m)
{
    struct sh_model **at = &sh->models->first, *last = NULL;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    for (struct sh_model *p = sh->models->first; p; p = p->next)
        last = p;
    if (sh->models->current == m)
        sh->models->current = last;
    hash_free(m->hash);
    sh_model_drop_engine(m);
    vq_model_free(m->model);
    free(m->name);
    free(m->path);
    free(m);
}

void sh_models_free(struct sh *sh)
{
    if (!sh->models)
        return;
    while (sh->models->first)
        sh_model_unload(sh, sh->models->first);
    free(sh->models);
    sh->models = NULL;
}

/* Asked between pieces of the file. While weights are prepared the hash stands still: all
 * processors are wanted, and nobody waits for it. */
static bool stop_hash(void *ud)
{
    struct sh_hash *h = ud;
    const struct timespec moment = {.tv_nsec = 2000000};
    while (atomic_load(&h->hold) && !atomic_load(&h->stop))
        nanosleep(&moment, NULL);
    return atomic_load(&h->stop);
}

static void *hash_main(void *ud)
{
    struct sh_hash *h = ud;
    struct vq_cancel cancel = {.poll = stop_hash, .ud = h};
    struct vq_err err = {.code = VQ_OK};
    char hex[VQ_SHA256_HEX] = "";
    vq_sha256_file(h->path, hex, &cancel, &err);
    pthread_mutex_lock(&h->lock);
    memcpy(h->hex, hex, sizeof(hex));
    h->err = err;
    h->done = true;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

static enum vq_status start_hash(struct sh_model *m, struct vq_err *err)
{
    if (m->hash)
        return VQ_OK;
    struct sh_hash *h = vq_calloc(1, sizeof(*h));
    char *path = vq_strdup(vq_ckpt_path(vq_model_ckpt(m->model)));
    if (!h || !path) {
        free(h);
        free(path);
        return vq_nomem(err, "a hash", 1, sizeof(*h));
    }
    h->path = path;
    atomic_init(&h->stop, false);
    atomic_init(&h->hold, false);
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->changed, NULL);
    int failed = pthread_create(&h->thread, NULL, hash_main, h);
    if (failed) {
        pthread_mutex_destroy(&h->lock);
        pthread_cond_destroy(&h->changed);
        free(path);
        free(h);
        return vq_fail_errno(err, failed, "cannot start a thread");
    }
    m->hash = h;
    return VQ_OK;
}

/* Waits until the hash is done or the user wants to stop. Called with the lock held. */
static void await_hash(struct sh *sh, struct sh_hash *h)
{
    while (!h->done && !vq_cancelled(sh_cancel(sh))) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 50000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        pthread_cond_timedwait(&h->changed, &h->lock, &until);
    }
}

enum vq_status sh_model_hash(struct sh *sh, struct sh_model *m, bool wait, const char **hex,
                             struct vq_err *err)
{
    *hex = NULL;
    enum vq_status status = start_hash(m, err);
    if (status)
        return status;
    struct sh_hash *h = m->hash;
    pthread_mutex_lock(&h->lock);
    if (wait)
        await_hash(sh, h);
    if (h->done && h->err.code != VQ_OK)
        status = vq_fail(err, h->err.code, "%s", h->err.msg);
    else if (h->done)
        *hex = h->hex;
    else if (wait)
        status = vq_fail(err, VQ_ECANCELLED, "interrupted");
    pthread_mutex_unlock(&h->lock);
    return status;
}

const struct vq_engine *sh_model_engine(struct sh *sh, struct sh_model *m, struct vq_err *err)
{
    if (m->engine)
        return m->engine;
    struct vq_engine_options options = {
        .weights = m->weights,
        .state = m->state,
        .skip = m->skip,
        .gemm = vq_gemm_find(sh->set.gemm),
        .pool = sh_pool(sh, err),
        .cancel = sh_cancel(sh),
    };
    if (!options.pool)
        return NULL;
    sh_progress(sh, "preparing the weights of %s", m->name);
    double start = sh_now();
    if (m->hash)
        atomic_store(&m->hash->hold, true);
    enum vq_status status = vq_engine_new(&m->engine, m->model, &options, err);
    if (m->hash)
        atomic_store(&m->hash->hold, false);
    start_hash(m, NULL);
    sh_progress_clear(sh);
    if (status)
        return NULL;
    sh_timing_note(sh, "%.3f s of it preparing weights", sh_now() - start);
    return m->engine;
}

struct vq_session *sh_model_session(struct sh *sh, struct sh_model *m, struct vq_err *err)
{
    if (m->session)
        return m->session;
    const struct vq_engine *e = sh_model_engine(sh, m, err);
    if (e)
        vq_session_new(&m->session, e, 1, err);
    return m->session;
}

int64_t sh_model_position(const struct sh_model *m)
{
    return m->session ? vq_session_position(m->session) : 0;
}

void sh_model_set_session(struct sh_model *m, struct vq_session *s, struct sh_tracked *tracked)
{
    if (m->session != s)
        vq_session_free(m->session);
    if (m->tracked != tracked)
        sh_tracked_free(m->tracked);
    m->session = s;
    m->tracked = tracked;
}

struct sh_state *sh_state_find(const struct sh_model *m, const char *name)
{
    struct sh_state *st = m->states;
    while (st && strcmp(st->name, name) != 0)
        st = st->next;
    return st;
}

enum vq_status sh_state_keep(struct sh_model *m, const char *name, struct vq_session *s,
                             struct sh_tracked *tracked, struct vq_err *err)
{
    struct sh_state *st = sh_state_find(m, name);
    if (st) {
        vq_session_free(st->session);
        sh_tracked_free(st->tracked);
        st->session = s;
        st->tracked = tracked;
        return VQ_OK;
    }
    st = vq_calloc(1, sizeof(*st));
    char *copy = vq_strdup(name);
    if (!st || !copy) {
        free(st);
        free(copy);
        return vq_nomem(err, "a state", 1, sizeof(*st));
    }
    *st = (struct sh_state){.name = copy, .session = s, .tracked = tracked};
    struct sh_state **end = &m->states;
    while (*end)
        end = &(*end)->next;
    *end = st;
    return VQ_OK;
}

bool sh_state_drop(struct sh_model *m, const char *name)
{
    for (struct sh_state **at = &m->states; *at; at = &(*at)->next) {
        struct sh_state *st = *at;
        if (strcmp(st->name, name) != 0)
            continue;
        *at = st->next;
        vq_session_free(st->session);
        sh_tracked_free(st->tracked);
        free(st->name);
        free(st);
        return true;
    }
    return false;
}
