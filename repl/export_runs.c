#include "repl/export_runs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/store/dump.h"
#include "repl/out.h"
#include "repl/runlog.h"
#include "repl/runs.h"

bool sh_is_run_export(const char *what)
{
    return sh_in_choices(SH_EXPORT_RUNS_CHOICES, what);
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static const char *const format_names[] = {"csv", "json", "jsonl", "markdown"};

/* --as; else what the name says; for standard output --format, where it is one of these. */
static enum vq_dump_format format_of(const struct sh *sh, const struct sh_args *a)
{
    const char *path = sh_arg(a, 1);
    const char *as = sh_opt_text(a, "as");
    for (int i = 0; as && i < 4; i++)
        if (strcmp(as, format_names[i]) == 0)
            return (enum vq_dump_format)i;
    if (strcmp(path, "-") == 0)
        return sh_out_format(sh) == SH_JSON       ? VQ_DUMP_JSON
               : sh_out_format(sh) == SH_JSONL    ? VQ_DUMP_JSONL
               : sh_out_format(sh) == SH_MARKDOWN ? VQ_DUMP_MARKDOWN
                                                  : VQ_DUMP_CSV;
    return ends_with(path, ".json")                            ? VQ_DUMP_JSON
           : ends_with(path, ".jsonl")                         ? VQ_DUMP_JSONL
           : ends_with(path, ".md") || ends_with(path, ".mkd") ? VQ_DUMP_MARKDOWN
                                                               : VQ_DUMP_CSV;
}

/* A wrong filter gets its caret. */
static enum sh_rc fail(struct sh *sh, const struct sh_args *a, const struct vq_listing_place *place,
                       const struct vq_err *err)
{
    if (place->part == VQ_LISTING_FILTER)
        return sh_bad_arg_at(sh, sh_opt_word(a, "where"), place->at, "%s", err->msg);
    return sh_fail(sh, err);
}

/* Sends a file where results go, as it is. */
static enum sh_rc put_file(struct sh *sh, const char *path)
{
    struct vq_err err = {0};
    struct vq_file f;
    if (vq_file_open(&f, path, &err) != VQ_OK)
        return sh_fail(sh, &err);
    enum sh_rc rc = sh_out_file(sh, (const char *)f.data, f.size);
    vq_file_close(&f);
    return rc;
}

/* "-": to where results go, once all of it could be had. */
static enum sh_rc export_to_results(struct sh *sh, const struct sh_args *a, struct vq_store *store,
                                    const struct vq_dump *dump)
{
    struct vq_err err = {0};
    struct vq_listing_place place = {0};
    const char *tmp = getenv("TMPDIR");
    char path[4096];
    size_t rows;
    snprintf(path, sizeof(path), "%s/vqsh-export-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    int fd = mkstemp(path);
    if (fd < 0)
        return sh_failf(sh, "%s: cannot make a file for the rows", path);
    close(fd);
    enum sh_rc rc = vq_store_export(store, dump, path, &rows, &place, &err) == VQ_OK
                        ? put_file(sh, path)
                        : fail(sh, a, &place, &err);
    unlink(path);
    return rc;
}

static enum sh_rc export_table(struct sh *sh, const struct sh_args *a, struct vq_store *store)
{
    struct vq_err err = {0};
    struct vq_listing_place place = {0};
    struct vq_dump dump = {.kind = strcmp(sh_arg(a, 0), "runs") == 0      ? VQ_DUMP_RUNS
                                   : strcmp(sh_arg(a, 0), "metrics") == 0 ? VQ_DUMP_METRICS
                                                                          : VQ_DUMP_SAMPLES,
                           .format = format_of(sh, a),
                           .filter = sh_opt_text(a, "where"),
                           .cancel = sh_cancel(sh)};
    size_t rows;
    if (strcmp(sh_arg(a, 1), "-") == 0)
        return export_to_results(sh, a, store, &dump);
    if (vq_store_export(store, &dump, sh_arg(a, 1), &rows, &place, &err) != VQ_OK)
        return fail(sh, a, &place, &err);
    sh_record(sh);
    sh_str(sh, "path", sh_arg(a, 1));
    sh_str(sh, "format", format_names[dump.format]);
    sh_uint(sh, "rows", rows);
    return sh_end(sh);
}

static enum sh_rc export_events(struct sh *sh, const struct sh_args *a, struct vq_store *store)
{
    struct vq_err err = {0};
    struct vq_listing_place place = {0};
    struct vq_events_report r;
    if (sh_opt_given(a, "as"))
        return sh_bad_arg(sh, sh_opt_word(a, "as"), "event files have one format");
    if (strcmp(sh_arg(a, 1), "-") == 0)
        return sh_bad_arg(sh, sh_arg_word(a, 1), "event files need a folder");
    if (vq_store_events(store, sh_opt_text(a, "where"), sh_arg(a, 1), &r, &place, sh_cancel(sh),
                        &err) != VQ_OK)
        return fail(sh, a, &place, &err);
    sh_record(sh);
    sh_str(sh, "path", sh_arg(a, 1));
    sh_uint(sh, "runs", r.runs);
    sh_uint(sh, "points", r.points);
    sh_uint(sh, "samples", r.samples);
    return sh_end(sh);
}

enum sh_rc sh_export_runs(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct vq_store *store = sh_store(sh, &err);
    if (!store)
        return sh_fail(sh, &err);
    return strcmp(sh_arg(a, 0), "tensorboard") == 0 ? export_events(sh, a, store)
                                                    : export_table(sh, a, store);
}
