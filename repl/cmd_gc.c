/*
 * The command gc: pictures of runs that are gone for good.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "repl/cmds.h"
#include "repl/runlog.h"
#include "repl/runs.h"
#include "viz/png.h"

struct orphan {
    char *path, *run;
    bool used;
};

struct orphans {
    struct orphan *v;
    size_t n;
    bool failed;
};

static bool keep_orphan(void *ud, const char *path, const char *run, bool used)
{
    struct orphans *o = ud;
    struct orphan *grown = vq_realloc(o->v, o->n + 1, sizeof(*grown));
    if (grown) {
        o->v = grown;
        o->v[o->n] = (struct orphan){vq_strdup(path), vq_strdup(run), used};
        o->n++;
    }
    o->failed = !grown || !o->v[o->n - 1].path || !o->v[o->n - 1].run;
    return !o->failed;
}

static void release_orphans(struct orphans *o)
{
    for (size_t i = 0; i < o->n; i++) {
        free(o->v[i].path);
        free(o->v[i].run);
    }
    free(o->v);
}

/* Why a file is not to be deleted; NULL: it is a picture that this run wrote. *size is its size. */
static const char *reason_to_keep(const struct orphan *o, size_t *size)
{
    struct vq_file f;
    char *run = NULL;
    *size = 0;
    if (o->used)
        return "another run names it";
    if (access(o->path, F_OK) != 0)
        return "gone";
    if (vq_file_open(&f, o->path, NULL) != VQ_OK)
        return "unreadable";
    *size = f.size;
    bool ours =
        viz_png_text(&run, f.data, f.size, "run", NULL) == VQ_OK && strcmp(run, o->run) == 0;
    free(run);
    vq_file_close(&f);
    return ours ? NULL : "not of this run any more";
}

/* What became of one file, as a row; *bytes and *deleted are counted up. */
static enum vq_status collect_file(struct sh *sh, const struct orphan *o, bool dry, size_t *deleted,
                                   size_t *bytes, struct vq_err *err)
{
    size_t size;
    const char *keep = reason_to_keep(o, &size), *what = keep  ? keep
                                                         : dry ? "to delete"
                                                               : "deleted";
    enum vq_status status = VQ_OK;
    if (!keep && !dry && unlink(o->path) != 0)
        what = keep = strerror(errno);
    /* One that another run names may be an orphan later, and one that stays may go then. */
    bool done = !keep || strcmp(keep, "gone") == 0 || strncmp(keep, "not of", 6) == 0;
    if (done && !dry)
        status = vq_store_orphan_forget(sh_store(sh, err), o->path, err);
    sh_row(sh);
    sh_str(sh, "path", o->path);
    sh_str(sh, "run", o->run);
    sh_uint(sh, "bytes", size);
    sh_str(sh, "what", what);
    *deleted += !keep;
    *bytes += keep ? 0 : size;
    return status;
}

static enum sh_rc run_gc(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct orphans o = {0};
    bool dry = sh_opt_flag(a, "dry-run");
    size_t deleted = 0, bytes = 0;
    struct vq_store *store = sh_store(sh, &err);
    enum vq_status status = vq_store_readonly(store) && !dry
                                ? vq_fail(&err, VQ_EUNSUPPORTED, "the run database is read-only")
                                : vq_store_orphans(store, keep_orphan, &o, &err);
    if (status == VQ_OK && o.failed)
        status = vq_fail(&err, VQ_ENOMEM, "out of memory");
    sh_list(sh, "path run bytes what");
    for (size_t i = 0; status == VQ_OK && i < o.n; i++)
        status = collect_file(sh, &o.v[i], dry, &deleted, &bytes, &err);
    release_orphans(&o);
    if (status != VQ_OK)
        return sh_fail(sh, &err);
    sh_note(sh, "%zu picture%s of %.1f MB %s", deleted, deleted == 1 ? "" : "s",
            (double)bytes / 1e6, dry ? "would be deleted" : "deleted");
    return sh_end(sh);
}

static const struct sh_opt gc_opts[] = {
    {.name = "dry-run", .kind = SH_FLAG, .help = "list them, delete nothing"}, SH_OPT_END};
static const char *const gc_examples[] = {"gc --dry-run", "gc", NULL};
const struct sh_cmd cmd_gc = {
    .name = "gc",
    .group = "runs",
    .args = "",
    .summary = "delete the picture files of runs that were purged",
    .detail = "A file is deleted only when it is a PNG whose own text chunk names the purged run, "
              "and no run that is left names the file.",
    .examples = gc_examples,
    .needs = SH_NEED_STORE,
    .opts = gc_opts,
    .run = run_gc,
};
