/*
 * The commands import and merge: runs from elsewhere.
 */
#include "core/store/dump.h"
#include "repl/cmds.h"
#include "repl/out.h"
#include "repl/runlog.h"
#include "repl/runs.h"

static enum sh_rc run_import(struct sh *sh, const struct sh_args *a)
{
    static const char *const kinds[] = {"runs", "metrics", "samples"};
    struct vq_err err = {0};
    struct vq_intake in;
    char count[32], known[32];
    struct vq_store *store = sh_store(sh, &err);
    if (vq_store_import(store, sh_arg(a, 0), &in, sh_cancel(sh), &err) != VQ_OK)
        return sh_fail(sh, &err);
    size_t n = in.runs + in.metrics + in.samples;
    sh_ack(sh, "%s %s imported, %s there already", sh_thousands(n, count), kinds[in.kind],
           sh_thousands(in.known, known));
    sh_str(sh, "path", sh_arg(a, 0));
    sh_str(sh, "kind", kinds[in.kind]);
    sh_uint(sh, "imported", n);
    sh_uint(sh, "known", in.known);
    return sh_end(sh);
}

static const char *const import_examples[] = {"import runs.csv", NULL};
const struct sh_cmd cmd_import = {
    .name = "import",
    .group = "runs",
    .args = "FILE",
    .summary = "read runs, metrics or samples that export wrote",
    .detail = "CSV, JSON or JSON lines; format and kind are found by looking. Import runs before "
              "their metrics and samples. What is there already is left as it is, so importing "
              "twice does no harm. All of the file or nothing: an error names file and line.",
    .examples = import_examples,
    .min_args = 1,
    .max_args = 1,
    .kinds = {SH_PATH},
    .needs = SH_NEED_STORE,
    .run = run_import,
};

static enum sh_rc run_merge(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct vq_intake in;
    char count[32], known[32];
    struct vq_store *store = sh_store(sh, &err);
    if (vq_store_merge(store, sh_arg(a, 0), &in, sh_cancel(sh), &err) != VQ_OK)
        return sh_fail(sh, &err);
    if (in.conflicts)
        sh_warn(sh, "%zu run%s left out: the same id is another run here", in.conflicts,
                in.conflicts == 1 ? "" : "s");
    sh_ack(sh, "%s new run%s, %s known", sh_thousands(in.runs, count), in.runs == 1 ? "" : "s",
           sh_thousands(in.known + in.refreshed, known));
    sh_str(sh, "path", sh_arg(a, 0));
    sh_uint(sh, "runs", in.runs);
    sh_uint(sh, "metrics", in.metrics);
    sh_uint(sh, "samples", in.samples);
    sh_uint(sh, "known", in.known);
    sh_uint(sh, "refreshed", in.refreshed);
    sh_uint(sh, "conflicts", in.conflicts);
    return sh_end(sh);
}

static const char *const merge_examples[] = {"merge laptop.db", NULL};
const struct sh_cmd cmd_merge = {
    .name = "merge",
    .group = "runs",
    .args = "FILE.db",
    .summary = "copy the runs of another run database that are not here yet",
    .detail = "With results, metrics, samples, tags and notes; the other file is only read. Runs "
              "are known by their ids, so merging again brings what is new. Tags and notes of "
              "known runs come together; a run that had been copied while it was running is "
              "brought up to date.",
    .examples = merge_examples,
    .min_args = 1,
    .max_args = 1,
    .kinds = {SH_PATH},
    .needs = SH_NEED_STORE,
    .run = run_merge,
};
