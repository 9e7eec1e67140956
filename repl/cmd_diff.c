/*
 * The command diff: runs beside each other.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "repl/cmds.h"
#include "repl/compare.h"
#include "repl/out_private.h"
#include "repl/runlog.h"
#include "repl/runs.h"

enum { LEAST_WIDTH = 12 }; /* of a text beside another */

/* One sample of one run. */
struct drawn {
    size_t run;
    int64_t index;
    char *text; /* or the path of a picture */
    size_t len;
};

struct diff {
    struct sh *sh;
    struct sh_compare c;
    char ids[SH_MAX_COMPARED][VQ_RUN_ID_SIZE];
    struct drawn *drawn;
    size_t n_drawn;
    bool all, failed;
    size_t run; /* whose samples are being read */
    size_t left_out;
};

/* ---- the table ---- */

/* Column names: "a", "delta", and with more than two runs "delta_b". */
static const char *letter(size_t i, char buf[16])
{
    snprintf(buf, 16, "%c", (int)('a' + i));
    return buf;
}

static const char *beside(const struct diff *d, const char *what, size_t i, char buf[16])
{
    if (d->c.n == 2)
        snprintf(buf, 16, "%s", what);
    else
        snprintf(buf, 16, "%s_%c", what, (int)('a' + i));
    return buf;
}

static void announce(struct diff *d)
{
    struct vq_text columns = {0}, spare = {0};
    char name[16];
    vq_text_puts(&columns, "attribute");
    for (size_t i = 0; i < d->c.n; i++)
        vq_text_printf(&columns, " %s", letter(i, name));
    for (size_t i = 1; i < d->c.n; i++) {
        vq_text_printf(&columns, " %s", beside(d, "delta", i, name));
        vq_text_printf(&columns, " %s", beside(d, "percent", i, name));
    }
    /* On a narrow screen the values come first, then percents. */
    for (size_t i = 1; i < d->c.n && d->c.n > 2; i++)
        vq_text_printf(&spare, "%s ", beside(d, "delta", i, name));
    for (size_t i = 1; i < d->c.n && d->c.n > 2; i++)
        vq_text_printf(&spare, "%s ", beside(d, "percent", i, name));
    sh_list(d->sh, columns.failed ? "attribute" : columns.data);
    sh_columns_whole(d->sh, "attribute");
    sh_columns_spare(d->sh, spare.data ? spare.data : "");
    d->failed = columns.failed || spare.failed;
    vq_text_release(&columns);
    vq_text_release(&spare);
}

/* What the i-th run's number has over the first one's, exactly where both are whole. */
static void put_delta(struct diff *d, const struct sh_compare_row *row, size_t i)
{
    char name[16];
    double from, to;
    int64_t whole;
    if (!sh_as_number(&row->v[0], &from) || !sh_as_number(&row->v[i], &to))
        return;
    if (row->v[0].kind == VQ_VALUE_INT && row->v[i].kind == VQ_VALUE_INT &&
        !__builtin_sub_overflow(row->v[i].i, row->v[0].i, &whole))
        sh_int(d->sh, beside(d, "delta", i, name), whole);
    else
        sh_f64(d->sh, beside(d, "delta", i, name), to - from);
    if (from != 0 && isfinite(from))
        sh_f64(d->sh, beside(d, "percent", i, name), 100.0 * (to - from) / fabs(from));
}

static void put_row(struct diff *d, const struct sh_compare_row *row)
{
    char name[16];
    bool seed = strcmp(row->name, "seed") == 0;
    sh_row(d->sh);
    sh_str(d->sh, "attribute", row->name);
    for (size_t i = 0; i < d->c.n; i++) {
        if (seed && row->v[i].text)
            sh_uint(d->sh, letter(i, name), strtoull(row->v[i].text, NULL, 10));
        else
            sh_put_value(d->sh, letter(i, name), &row->v[i]);
    }
    for (size_t i = 1; i < d->c.n; i++)
        put_delta(d, row, i);
}

/* ---- samples ---- */

static bool keep_sample(void *ud, const struct vq_sample *s)
{
    struct diff *d = ud;
    const char *text = s->text ? s->text : s->path ? s->path : "";
    size_t len = s->text ? s->len : strlen(text);
    struct drawn *grown = vq_realloc(d->drawn, d->n_drawn + 1, sizeof(*grown));
    char *copy = grown ? vq_copy_bytes(text, len) : NULL;
    d->drawn = grown ? grown : d->drawn;
    d->failed = d->failed || !copy;
    if (copy)
        d->drawn[d->n_drawn++] = (struct drawn){d->run, s->index, copy, len};
    return copy != NULL;
}

static const struct drawn *sample_of(const struct diff *d, size_t run, int64_t index)
{
    for (size_t i = 0; i < d->n_drawn; i++)
        if (d->drawn[i].run == run && d->drawn[i].index == index)
            return &d->drawn[i];
    return NULL;
}

static bool same_samples(const struct diff *d, int64_t index)
{
    const struct drawn *a = sample_of(d, 0, index);
    for (size_t i = 1; i < d->c.n; i++) {
        const struct drawn *b = sample_of(d, i, index);
        if (!a || !b || a->len != b->len || memcmp(a->text, b->text, a->len) != 0)
            return false;
    }
    return true;
}

/* Whether drawn[i] is the first with its index, so that each index is shown once. */
static bool is_first(const struct diff *d, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (d->drawn[k].index == d->drawn[i].index)
            return false;
    return true;
}

static void sample_row(struct diff *d, int64_t index)
{
    char name[32], column[16];
    snprintf(name, sizeof(name), "sample.%" PRId64, index);
    sh_row(d->sh);
    sh_str(d->sh, "attribute", name);
    for (size_t i = 0; i < d->c.n; i++) {
        const struct drawn *s = sample_of(d, i, index);
        if (s)
            sh_bytes(d->sh, letter(i, column), s->text, s->len);
    }
}

/* The next line of a text, at most `width` wide: up to a newline, else to the last blank that
 * fits. *s and *n move past it. */
static size_t take_line(const char **s, size_t *n, size_t width, const char **line)
{
    const char *nl = memchr(*s, '\n', *n);
    size_t whole = nl ? (size_t)(nl - *s) : *n;
    size_t fits = vq_utf8_fit(*s, whole, width, NULL), skip = fits;
    *line = *s;
    if (fits < whole) {
        size_t cut = fits;
        while (cut > 0 && (*s)[cut] != ' ')
            cut--;
        fits = cut ? cut : fits ? fits : 1;
        skip = fits + (cut > 0);
    } else {
        skip = whole + (nl != NULL);
    }
    *s += skip;
    *n -= skip;
    return fits;
}

/* The texts of one sample in columns. */
static void side_by_side(struct diff *d, int64_t index, size_t width, struct vq_text *out)
{
    struct vq_text clean[SH_MAX_COMPARED];
    const char *at[SH_MAX_COMPARED];
    size_t left[SH_MAX_COMPARED];
    bool more = true;
    memset(clean, 0, sizeof(clean));
    vq_text_printf(out, "\nsample %" PRId64 "\n", index);
    for (size_t i = 0; i < d->c.n; i++) {
        const struct drawn *s = sample_of(d, i, index);
        sh_clean_text(s ? s->text : "", s ? s->len : 0, true, &clean[i]);
        at[i] = clean[i].data ? clean[i].data : "";
        left[i] = clean[i].len;
        vq_text_printf(out, "%s%-*s", i ? " | " : "", i + 1 < d->c.n ? (int)width : 0, d->ids[i]);
    }
    vq_text_puts(out, "\n");
    while (more) {
        more = false;
        size_t start = out->len;
        for (size_t i = 0; i < d->c.n; i++) {
            const char *line = "";
            size_t n = left[i] ? take_line(&at[i], &left[i], width, &line) : 0;
            size_t shown = vq_utf8_width(line, n);
            vq_text_puts(out, i ? " | " : "");
            vq_text_put(out, line, n);
            for (; i + 1 < d->c.n && shown < width; shown++)
                vq_text_puts(out, " ");
            more = more || left[i] > 0;
        }
        while (out->len > start && out->data[out->len - 1] == ' ')
            out->len--;
        if (out->len > start)
            vq_text_puts(out, "\n");
    }
    for (size_t i = 0; i < d->c.n; i++)
        vq_text_release(&clean[i]);
}

static enum sh_rc show_samples(struct diff *d)
{
    struct vq_text out = {0};
    size_t columns = (size_t)sh_out_columns(d->sh), bars = 3 * (d->c.n - 1);
    size_t width = columns > bars ? (columns - bars) / d->c.n : 0;
    for (size_t i = 0; i < d->n_drawn; i++)
        if (is_first(d, i) && (d->all || !same_samples(d, d->drawn[i].index)))
            side_by_side(d, d->drawn[i].index, width < LEAST_WIDTH ? LEAST_WIDTH : width, &out);
    enum sh_rc rc = SH_OK;
    if (out.failed)
        rc = sh_failf(d->sh, "out of memory");
    else if (out.len)
        rc = sh_out_text(d->sh, out.data, out.len);
    vq_text_release(&out);
    return rc;
}

/* ---- the command ---- */

static enum vq_status read_runs(struct diff *d, const struct sh_args *a, struct vq_err *err)
{
    struct vq_store *store = sh_store(d->sh, err);
    enum vq_status status = VQ_OK;
    for (int i = 0; status == VQ_OK && i < sh_arg_count(a); i++) {
        status = sh_compare_add(&d->c, store, d->ids[i], err);
        d->run = (size_t)i;
        if (status == VQ_OK && sh_opt_flag(a, "samples"))
            status = vq_store_samples(store, d->ids[i], keep_sample, d, err);
    }
    if (status == VQ_OK && d->failed)
        status = vq_nomem(err, "samples", d->n_drawn, sizeof(*d->drawn));
    return status;
}

static enum sh_rc show(struct diff *d)
{
    announce(d);
    for (size_t i = 0; i < d->c.n_rows; i++) {
        const struct sh_compare_row *row = &d->c.rows[i];
        if (d->all || sh_compare_is_news(&d->c, i) || strcmp(row->name, "id") == 0)
            put_row(d, row);
        else
            d->left_out++;
    }
    bool people = sh_for_people(d->sh);
    for (size_t i = 0; i < d->n_drawn && !people; i++)
        if (is_first(d, i) && (d->all || !same_samples(d, d->drawn[i].index)))
            sample_row(d, d->drawn[i].index);
    enum sh_rc rc = d->failed ? sh_failf(d->sh, "out of memory") : sh_end(d->sh);
    if (rc == SH_OK && people && d->n_drawn)
        rc = show_samples(d);
    if (rc == SH_OK && d->left_out)
        sh_note(d->sh,
                "%zu more attribute%s the same, or minimum and maximum of a metric; --all "
                "shows them",
                d->left_out, d->left_out == 1 ? " is" : "s are");
    return rc;
}

static enum sh_rc run_diff(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct diff *d = vq_calloc(1, sizeof(*d));
    if (!d)
        return sh_failf(sh, "out of memory");
    d->sh = sh;
    d->all = sh_opt_flag(a, "all");
    enum sh_rc rc = SH_OK;
    for (int i = 0; rc == SH_OK && i < sh_arg_count(a); i++)
        rc = sh_run_find(sh, a, i, d->ids[i]);
    if (rc == SH_OK)
        rc = read_runs(d, a, &err) == VQ_OK ? show(d) : sh_fail(sh, &err);
    sh_compare_release(&d->c);
    for (size_t i = 0; i < d->n_drawn; i++)
        free(d->drawn[i].text);
    free(d->drawn);
    free(d);
    return rc;
}

static const struct sh_opt diff_opts[] = {
    {.name = "all", .kind = SH_FLAG, .help = "also what is the same"},
    {.name = "samples", .kind = SH_FLAG, .help = "the texts they drew, side by side"},
    SH_OPT_END};
static const char *const diff_examples[] = {"diff -2 -1", "diff -2 -1 --all",
                                            "diff -2 -1 --samples", NULL};
const struct sh_cmd cmd_diff = {
    .name = "diff",
    .group = "runs",
    .args = "A B [C...]",
    .summary = "compare runs: what differs, by how much, in percent",
    .detail = "Attributes have the names that filters and columns know (help runs). delta and "
              "percent are of B over A; with more runs delta_b, delta_c, ... of each over the "
              "first. Curves beside each other: plot metric --run A --run B.",
    .examples = diff_examples,
    .min_args = 2,
    .max_args = SH_MAX_COMPARED,
    .kinds = {SH_RUN},
    .needs = SH_NEED_STORE,
    .opts = diff_opts,
    .run = run_diff,
};
