/*
 * Runs as event files for TensorBoard: a folder for each run, one file in it.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/store/dump.h"
#include "core/store/internal.h"
#include "core/store/tfevents.h"

struct dumping {
    struct vq_store *store;
    const char *dir;
    struct vq_events_report *out;
    const struct vq_cancel *cancel;
    struct vq_tfevents file;
    const char *id;
    const char *metric;    /* whose points are being written */
    double started, ended; /* of the run; ended is never NaN */
    char *cwd;
    size_t rows;
    enum vq_status status;
    struct vq_err *err;
};

static bool going_on(struct dumping *d)
{
    if (d->status == VQ_OK && ++d->rows % 1024 == 0 && vq_cancelled(d->cancel))
        d->status = vq_fail(d->err, VQ_ECANCELLED, "cancelled");
    return d->status == VQ_OK;
}

static bool put_point(void *ud, int64_t step, double time, double value)
{
    struct dumping *d = ud;
    d->status = vq_tfevents_scalar(&d->file, time, step, d->metric, value, d->err);
    d->out->points++;
    return going_on(d);
}

struct names {
    char **v;
    size_t n;
    bool failed;
};

static bool keep_name(void *ud, const struct vq_metric_info *m)
{
    struct names *names = ud;
    char **grown = vq_realloc(names->v, names->n + 1, sizeof(*grown));
    char *copy = grown ? vq_strdup(m->name) : NULL;
    names->v = grown ? grown : names->v;
    names->failed = !copy;
    if (copy)
        names->v[names->n++] = copy;
    return copy != NULL;
}

static void put_metrics(struct dumping *d)
{
    struct names names = {0};
    d->status = vq_store_metrics(d->store, d->id, keep_name, &names, d->err);
    if (d->status == VQ_OK && names.failed)
        d->status = vq_nomem(d->err, "names", names.n, sizeof(char *));
    for (size_t i = 0; d->status == VQ_OK && i < names.n; i++) {
        d->metric = names.v[i];
        enum vq_status status = vq_store_points(d->store, d->id, d->metric, put_point, d, d->err);
        d->status = d->status == VQ_OK ? status : d->status;
    }
    for (size_t i = 0; i < names.n; i++)
        free(names.v[i]);
    free(names.v);
}

static bool put_result(void *ud, const char *key, const struct vq_value *v)
{
    struct dumping *d = ud;
    char tag[300];
    snprintf(tag, sizeof(tag), "result/%s", key);
    if (v->kind == VQ_VALUE_INT || v->kind == VQ_VALUE_REAL)
        d->status = vq_tfevents_scalar(&d->file, d->ended, 0, tag,
                                       v->kind == VQ_VALUE_INT ? (double)v->i : v->d, d->err);
    else
        d->status = vq_tfevents_text(&d->file, d->ended, 0, tag, v->text, v->len, d->err);
    return going_on(d);
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* A picture that is no longer there, or no PNG, is left out. */
static enum vq_status put_picture(struct dumping *d, const struct vq_sample *s, const char *tag)
{
    struct vq_file png;
    char *path = NULL;
    if (asprintf(&path, "%s%s%s", s->path[0] == '/' ? "" : d->cwd, s->path[0] == '/' ? "" : "/",
                 s->path) < 0)
        return vq_nomem(d->err, "a path", strlen(s->path), 1);
    enum vq_status status = vq_file_open(&png, path, NULL);
    free(path);
    if (status != VQ_OK)
        return VQ_OK;
    if (png.size > 24 && memcmp(png.data, "\x89PNG\r\n\x1a\n", 8) == 0) {
        status = vq_tfevents_png(&d->file, d->ended, s->index, tag, png.data, png.size,
                                 be32(png.data + 16), be32(png.data + 20), d->err);
        d->out->samples++;
    }
    vq_file_close(&png);
    return status;
}

static bool put_sample(void *ud, const struct vq_sample *s)
{
    struct dumping *d = ud;
    char tag[40];
    snprintf(tag, sizeof(tag), "sample/%" PRId64, s->index);
    if (s->text) {
        d->status = vq_tfevents_text(&d->file, d->ended, s->index, tag, s->text, s->len, d->err);
        d->out->samples++;
    } else if (s->path) {
        d->status = put_picture(d, s, tag);
    }
    return going_on(d);
}

/* DIR/ID[-NAME]/events.out.tfevents.SECONDS.vqsh: the same run exported again replaces its file. */
static char *file_path(const struct dumping *d, const char *name)
{
    char label[64], *path = NULL;
    size_t n = 0;
    for (; name[n] && n < sizeof(label) - 2; n++) {
        char c = name[n];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     c == '.' || c == '_' || c == '-';
        label[n + 1] = plain ? c : '_';
    }
    label[0] = '-';
    label[n ? n + 1 : 0] = '\0';
    return asprintf(&path, "%s/%s%s/events.out.tfevents.%010lld.vqsh", d->dir, d->id, label,
                    (long long)d->started) < 0
               ? NULL
               : path;
}

static void write_file(struct dumping *d, const char *path)
{
    d->status = vq_make_folders(path, 0777, d->err);
    if (d->status == VQ_OK)
        d->status = vq_tfevents_open(&d->file, path, d->started, d->err);
    if (d->status != VQ_OK)
        return;
    put_metrics(d);
    enum vq_status status = VQ_OK;
    if (d->status == VQ_OK)
        status = vq_store_results(d->store, d->id, put_result, d, d->err);
    if (d->status == VQ_OK && status == VQ_OK)
        status = vq_store_samples(d->store, d->id, put_sample, d, d->err);
    d->status = d->status == VQ_OK ? status : d->status;
    if (d->status == VQ_OK)
        d->status = vq_tfevents_commit(&d->file, d->err);
    else
        vq_tfevents_abort(&d->file);
    d->out->files += d->status == VQ_OK;
}

enum { NAME, STARTED, ENDED, CWD, N_COLUMNS };

static bool put_run(void *ud, const char *id, const struct vq_value *values)
{
    struct dumping *d = ud;
    char *name = vq_strdup(values[NAME].text ? values[NAME].text : "");
    d->cwd = vq_strdup(values[CWD].text ? values[CWD].text : "");
    d->id = id;
    d->started = values[STARTED].d;
    d->ended = values[ENDED].kind == VQ_VALUE_REAL ? values[ENDED].d : d->started;
    char *path = name && d->cwd ? file_path(d, name) : NULL;
    if (path)
        write_file(d, path);
    else
        d->status = vq_nomem(d->err, "a path", 1, 1);
    d->out->runs++;
    free(path);
    free(name);
    free(d->cwd);
    return d->status == VQ_OK;
}

enum vq_status vq_store_events(struct vq_store *store, const char *filter, const char *dir,
                               struct vq_events_report *out, struct vq_listing_place *place,
                               const struct vq_cancel *cancel, struct vq_err *err)
{
    static const char *const columns[N_COLUMNS] = {"name", "started", "ended", "cwd"};
    const struct vq_listing listing = {
        .filter = filter, .columns = columns, .n_columns = N_COLUMNS};
    struct dumping d = {.store = store, .dir = dir, .out = out, .cancel = cancel, .err = err};
    *out = (struct vq_events_report){0};
    enum vq_status status = vq_store_list(store, &listing, put_run, &d, NULL, place, cancel, err);
    return status == VQ_OK ? d.status : status;
}
