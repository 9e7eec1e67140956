/*
 * What two runs of the same left behind.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/data/image.h"
#include "repl/compare.h"
#include "repl/replay.h"
#include "repl/runview.h"
#include "repl/sampling.h"

struct comparing {
    struct vq_store *store;
    const struct vq_run_info *a, *b;
    struct sh_replay_report *out;
};

/* ---- differences ---- */

static void differ(struct sh_replay_report *r, const char *what, const char *was, const char *is)
{
    struct sh_difference *grown = vq_realloc(r->v, r->n + 1, sizeof(*grown));
    if (!grown) {
        r->failed = true;
        return;
    }
    r->v = grown;
    r->v[r->n] = (struct sh_difference){vq_strdup(what), vq_strdup(was), vq_strdup(is)};
    r->failed = r->failed || !r->v[r->n].what || !r->v[r->n].was || !r->v[r->n].is;
    r->n++;
}

void sh_replay_release(struct sh_replay_report *r)
{
    for (size_t i = 0; i < r->n; i++) {
        free(r->v[i].what);
        free(r->v[i].was);
        free(r->v[i].is);
    }
    free(r->v);
    *r = (struct sh_replay_report){0};
}

static const char *shown(const struct vq_value *v, char *buf, size_t len)
{
    struct vq_text t = {0};
    if (v->kind == VQ_VALUE_INT)
        snprintf(buf, len, "%" PRId64, v->i);
    else if (v->kind == VQ_VALUE_REAL)
        vq_text_json_f64(&t, v->d);
    else if (v->kind == VQ_VALUE_NULL)
        snprintf(buf, len, "nothing");
    else
        snprintf(buf, len, "%.*s", v->len < 60 ? (int)v->len : 60, v->text);
    if (t.data)
        snprintf(buf, len, "%s", t.data);
    vq_text_release(&t);
    return buf;
}

/* ---- results and files ---- */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* What no two runs have in common. */
static bool is_time(const char *name)
{
    return ends_with(name, "seconds") || ends_with(name, "per_second") || ends_with(name, "_ms");
}

/* What a bench measured is as little the same twice. */
static bool is_measured(const struct comparing *c, const struct vq_value *v)
{
    return v->kind == VQ_VALUE_REAL && strcmp(c->a->command, "bench") == 0;
}

/* A result that names a file: "npy", "image 2". */
static bool is_file(const char *key)
{
    static const char *const kinds[] = {"npy", "image", "text", "checkpoint", "vocab"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t n = strlen(kinds[i]);
        if (strncmp(key, kinds[i], n) == 0 &&
            (key[n] == '\0' ||
             (key[n] == ' ' && strspn(key + n + 1, "0123456789") == strlen(key + n + 1))))
            return true;
    }
    return false;
}

static bool same_bytes(const char *a, const char *b)
{
    struct vq_file x, y = {0};
    if (vq_file_open(&x, a, NULL) != VQ_OK)
        return false;
    bool same = vq_file_open(&y, b, NULL) == VQ_OK && x.size == y.size &&
                memcmp(x.data, y.data, x.size) == 0;
    vq_file_close(&x);
    vq_file_close(&y);
    return same;
}

/* A picture carries the id of its run, so its bytes differ; the pixels must not. A sheet of them is
 * looked at as one square, which any difference of pixels changes. */
static bool same_pixels(const char *a, const char *b)
{
    uint8_t *x = NULL, *y = NULL;
    bool same = vq_image_load_square(a, SH_IMAGE_SIDE, &x, NULL) == VQ_OK &&
                vq_image_load_square(b, SH_IMAGE_SIDE, &y, NULL) == VQ_OK &&
                memcmp(x, y, SH_IMAGE_BYTES) == 0;
    free(x);
    free(y);
    return same;
}

/* Two files by the names that the runs gave them. */
static void compare_files(struct comparing *c, const char *what, const char *was, const char *is)
{
    struct vq_file there;
    char *a = sh_run_path(c->a, was), *b = sh_run_path(c->b, is);
    if (!a || !b) {
        c->out->failed = true;
    } else if (vq_file_open(&there, a, NULL) != VQ_OK) {
        c->out->gone++;
    } else {
        vq_file_close(&there);
        c->out->files++;
        bool picture = ends_with(a, ".png");
        if (!(picture ? same_pixels(a, b) : same_bytes(a, b)))
            differ(c->out, what, was, picture ? "other pixels" : "other bytes");
    }
    free(a);
    free(b);
}

static void compare_row(struct comparing *c, const struct sh_compare_row *row)
{
    char what[300], was[80], is[80];
    const struct vq_value *a = &row->v[0], *b = &row->v[1];
    snprintf(what, sizeof(what), "result %s", row->name);
    /* An older version may not have recorded it. */
    if (is_time(row->name) || a->kind == VQ_VALUE_NULL || is_measured(c, a))
        return;
    if (is_file(row->name) && a->kind == VQ_VALUE_TEXT && b->kind == VQ_VALUE_TEXT) {
        compare_files(c, what, a->text, b->text);
        return;
    }
    c->out->results++;
    if (!sh_same_value(a, b))
        differ(c->out, what, shown(a, was, sizeof(was)), shown(b, is, sizeof(is)));
}

/* ---- metrics ---- */

struct points {
    struct {
        int64_t step;
        double value;
    } * v;
    size_t n, room;
    bool failed;
};

static bool keep_point(void *ud, int64_t step, double time, double value)
{
    struct points *p = ud;
    (void)time;
    if (p->n == p->room) {
        size_t room = p->room ? 2 * p->room : 256;
        void *grown = vq_realloc(p->v, room, sizeof(*p->v));
        p->failed = !grown;
        if (!grown)
            return false;
        p->v = grown;
        p->room = room;
    }
    p->v[p->n].step = step;
    p->v[p->n++].value = value;
    return true;
}

static bool same_real(double a, double b)
{
    return memcmp(&a, &b, sizeof(a)) == 0 || (isnan(a) && isnan(b));
}

static enum vq_status compare_metric(struct comparing *c, const char *name, struct vq_err *err)
{
    struct points a = {0}, b = {0};
    char what[300], was[80], is[80];
    size_t at = 0;
    enum vq_status status = vq_store_points(c->store, c->a->id, name, keep_point, &a, err);
    if (status == VQ_OK)
        status = vq_store_points(c->store, c->b->id, name, keep_point, &b, err);
    c->out->failed = c->out->failed || a.failed || b.failed;
    while (at < a.n && at < b.n && a.v[at].step == b.v[at].step &&
           same_real(a.v[at].value, b.v[at].value))
        at++;
    c->out->points += a.n;
    if (status == VQ_OK && (at < a.n || at < b.n)) {
        int64_t step = at < a.n ? a.v[at].step : b.v[at].step;
        snprintf(what, sizeof(what), "metric %.200s from step %" PRId64, name, step);
        shown(&(struct vq_value){.kind = at < a.n ? VQ_VALUE_REAL : VQ_VALUE_NULL,
                                 .d = at < a.n ? a.v[at].value : 0},
              was, sizeof(was));
        shown(&(struct vq_value){.kind = at < b.n ? VQ_VALUE_REAL : VQ_VALUE_NULL,
                                 .d = at < b.n ? b.v[at].value : 0},
              is, sizeof(is));
        differ(c->out, what, was, is);
    }
    free(a.v);
    free(b.v);
    return status;
}

/* ---- samples ---- */

struct drawn {
    struct kept {
        struct vq_sample s;
        char *text, *path;
    } * v;
    size_t n;
    bool failed;
};

static bool keep_sample(void *ud, const struct vq_sample *s)
{
    struct drawn *d = ud;
    struct kept *grown = vq_realloc(d->v, d->n + 1, sizeof(*grown));
    d->v = grown ? grown : d->v;
    d->failed = !grown;
    if (!grown)
        return false;
    d->v[d->n] = (struct kept){.s = *s,
                               .text = s->text ? vq_copy_bytes(s->text, s->len) : NULL,
                               .path = s->path ? vq_strdup(s->path) : NULL};
    d->failed = (s->text && !d->v[d->n].text) || (s->path && !d->v[d->n].path);
    d->n++;
    return !d->failed;
}

static void release_drawn(struct drawn *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->v[i].text);
        free(d->v[i].path);
    }
    free(d->v);
}

static void compare_sample(struct comparing *c, const struct kept *a, const struct kept *b)
{
    char what[64], was[80], is[80];
    size_t at = 0;
    snprintf(what, sizeof(what), "sample %" PRId64, a->s.index);
    c->out->samples++;
    while (a->text && b->text && at < a->s.len && at < b->s.len && a->text[at] == b->text[at])
        at++;
    if (a->text && b->text && (at < a->s.len || at < b->s.len)) {
        snprintf(was, sizeof(was), "%zu bytes, the same up to byte %zu", a->s.len, at);
        snprintf(is, sizeof(is), "%zu bytes", b->s.len);
        differ(c->out, what, was, is);
    } else if (a->s.seed != b->s.seed || a->s.tokens != b->s.tokens || !a->text != !b->text) {
        snprintf(was, sizeof(was), "%" PRId64 " tokens, seed %" PRIu64, a->s.tokens, a->s.seed);
        snprintf(is, sizeof(is), "%" PRId64 " tokens, seed %" PRIu64, b->s.tokens, b->s.seed);
        differ(c->out, what, was, is);
    } else if (!same_real(a->s.nats, b->s.nats)) {
        snprintf(was, sizeof(was), "%.17g nats", a->s.nats);
        snprintf(is, sizeof(is), "%.17g nats", b->s.nats);
        differ(c->out, what, was, is);
    } else if (a->path && b->path && !a->text) {
        compare_files(c, what, a->path, b->path);
    }
}

static enum vq_status compare_samples(struct comparing *c, struct vq_err *err)
{
    struct drawn a = {0}, b = {0};
    char was[40], is[40];
    enum vq_status status = vq_store_samples(c->store, c->a->id, keep_sample, &a, err);
    if (status == VQ_OK)
        status = vq_store_samples(c->store, c->b->id, keep_sample, &b, err);
    c->out->failed = c->out->failed || a.failed || b.failed;
    for (size_t i = 0; status == VQ_OK && i < a.n && i < b.n; i++)
        compare_sample(c, &a.v[i], &b.v[i]);
    if (status == VQ_OK && a.n != b.n) {
        snprintf(was, sizeof(was), "%zu", a.n);
        snprintf(is, sizeof(is), "%zu", b.n);
        differ(c->out, "number of samples", was, is);
    }
    release_drawn(&a);
    release_drawn(&b);
    return status;
}

/* ---- all of it ---- */

enum vq_status sh_replay_compare(struct sh *sh, struct vq_store *store, const struct vq_run_info *a,
                                 const struct vq_run_info *b, struct sh_replay_report *out,
                                 struct vq_err *err)
{
    struct comparing c = {store, a, b, out};
    struct sh_compare table = {0};
    (void)sh;
    *out = (struct sh_replay_report){0};
    enum vq_status status = sh_compare_add(&table, store, a->id, err);
    if (status == VQ_OK)
        status = sh_compare_add(&table, store, b->id, err);
    for (size_t i = 0; status == VQ_OK && i < table.n_rows; i++) {
        const struct sh_compare_row *row = &table.rows[i];
        if (row->of == SH_OF_RESULTS)
            compare_row(&c, row);
        if (row->of == SH_OF_METRICS && !row->detail && !is_time(row->name))
            status = compare_metric(&c, row->name + strlen("metric."), err);
    }
    sh_compare_release(&table);
    if (status == VQ_OK)
        status = compare_samples(&c, err);
    if (status == VQ_OK && out->failed)
        status = vq_fail(err, VQ_ENOMEM, "out of memory for the comparison");
    return status;
}
