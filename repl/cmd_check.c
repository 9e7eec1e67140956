/*
 * The command check: whether a checkpoint file is whole, byte by byte.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/inspect/audit.h"
#include "repl/cmds.h"
#include "repl/models.h"
#include "repl/out.h"
#include "repl/part.h"

struct checking {
    struct sh *sh;
    const struct sh_args *a;
    char *path; /* of the file */
    struct vq_file f;
    struct vq_audit audit;
    char refusal[VQ_ERR_LEN]; /* why the file does not open as a checkpoint; "" */
};

static void show_progress(void *ud, uint64_t bytes)
{
    const struct checking *c = ud;
    sh_progress(c->sh, "%llu of %llu MB", (unsigned long long)(bytes >> 20),
                (unsigned long long)(c->f.size >> 20));
}

static void describe(const struct checking *c)
{
    const struct vq_audit *a = &c->audit;
    struct sh *sh = c->sh;
    bool failed = vq_audit_failed(a) || *c->refusal;
    uint64_t nan = 0, inf = 0;
    for (size_t i = 0; i < a->n_tensor; i++) {
        nan += a->tensor[i].nan;
        inf += a->tensor[i].inf;
    }
    sh_record(sh);
    sh_str(sh, "path", c->path);
    sh_str(sh, "format", *a->format ? a->format : NULL);
    sh_uint(sh, "bytes", a->size);
    sh_uint(sh, "structure", a->structure);
    sh_uint(sh, "data", a->data);
    sh_uint(sh, "unclaimed", a->unclaimed);
    sh_uint(sh, "overlapping", a->overlapping);
    sh_uint(sh, "tensors", a->n_tensor);
    sh_uint(sh, "gaps", a->found[VQ_AUDIT_GAP]);
    sh_uint(sh, "overlaps", a->found[VQ_AUDIT_OVERLAP]);
    sh_uint(sh, "out_of_order", a->found[VQ_AUDIT_ORDER]);
    sh_uint(sh, "unaligned", a->found[VQ_AUDIT_ALIGNMENT]);
    sh_uint(sh, "nan", nan);
    sh_uint(sh, "inf", inf);
    sh_uint(sh, "codes", a->codes);
    sh_uint(sh, "dead", a->dead);
    sh_bool(sh, "sound", !failed);
}

static void put_finding(struct sh_part *p, bool wrong, const char *kind, uint64_t offset,
                        const char *what)
{
    sh_part_row(p);
    sh_part_str(p, "severity", wrong ? "wrong" : "note");
    sh_part_str(p, "kind", kind);
    sh_part_uint(p, "offset", offset);
    sh_part_str(p, "what", what);
}

/* The first --top findings of a kind, and how many more there are. */
static void list_kind(const struct checking *c, struct sh_part *p, enum vq_audit_kind kind)
{
    const struct vq_audit *a = &c->audit;
    uint64_t top = (uint64_t)sh_opt_int(c->a, "top"), shown = 0;
    char more[64];
    for (size_t i = 0; i < a->n_finding && shown < top; i++) {
        const struct vq_audit_finding *f = &a->finding[i];
        if (f->kind != kind)
            continue;
        put_finding(p, vq_audit_is_wrong(kind), vq_audit_kind_name(kind), f->offset, f->what);
        shown++;
    }
    if (a->found[kind] <= shown)
        return;
    snprintf(more, sizeof(more), "and %llu more", (unsigned long long)(a->found[kind] - shown));
    put_finding(p, vq_audit_is_wrong(kind), vq_audit_kind_name(kind), 0, more);
}

static void list_findings(const struct checking *c, struct sh_part *p)
{
    sh_part_list(p, "findings", "severity kind offset what");
    if (*c->refusal)
        put_finding(p, true, "refused", 0, c->refusal);
    for (int k = 0; k < VQ_AUDIT_KINDS; k++) {
        enum vq_audit_kind kind = (enum vq_audit_kind)k;
        if (vq_audit_is_wrong(kind) || kind == VQ_AUDIT_DEAD || sh_opt_flag(c->a, "notes"))
            list_kind(c, p, kind);
    }
}

static void list_dtypes(const struct checking *c, struct sh_part *p)
{
    const struct vq_audit *a = &c->audit;
    sh_part_list(p, "dtypes", "dtype tensors elements bytes");
    for (int d = 0; d < VQ_NONE; d++) {
        uint64_t tensors = 0, bytes = 0;
        for (size_t i = 0; i < a->n_tensor; i++) {
            tensors += a->tensor[i].dtype == (enum vq_dtype)d;
            bytes += a->tensor[i].dtype == (enum vq_dtype)d ? a->tensor[i].bytes : 0;
        }
        if (!tensors)
            continue;
        sh_part_row(p);
        sh_part_str(p, "dtype", vq_dtype_name((enum vq_dtype)d));
        sh_part_uint(p, "tensors", tensors);
        sh_part_uint(p, "elements", bytes / vq_dtype_size((enum vq_dtype)d));
        sh_part_uint(p, "bytes", bytes);
    }
}

static void list_tensors(const struct checking *c, struct sh_part *p)
{
    const struct vq_audit *a = &c->audit;
    sh_part_list(p, "layout", "name dtype shape begin end bytes chunks aligned nan inf");
    for (size_t i = 0; sh_opt_flag(c->a, "tensors") && i < a->n_tensor; i++) {
        const struct vq_audit_tensor *t = &a->tensor[i];
        struct vq_tensor shape = {.rank = t->rank};
        char buf[160];
        memcpy(shape.shape, t->shape, sizeof(shape.shape));
        sh_part_row(p);
        sh_part_str(p, "name", t->name);
        sh_part_str(p, "dtype", vq_dtype_name(t->dtype));
        sh_part_str(p, "shape", vq_tensor_shape(&shape, buf, sizeof(buf)));
        sh_part_uint(p, "begin", t->begin);
        sh_part_uint(p, "end", t->end);
        sh_part_uint(p, "bytes", t->bytes);
        sh_part_uint(p, "chunks", t->chunks);
        sh_part_str(p, "aligned", t->aligned ? "yes" : "no");
        sh_part_uint(p, "nan", t->nan);
        sh_part_uint(p, "inf", t->inf);
    }
}

static enum sh_rc report(const struct checking *c)
{
    describe(c);
    struct sh_part p = sh_parts_begin(c->sh);
    list_findings(c, &p);
    list_dtypes(c, &p);
    list_tensors(c, &p);
    enum sh_rc rc = sh_parts_end(&p);
    if (rc == SH_OK && (vq_audit_failed(&c->audit) || *c->refusal))
        rc = sh_failf(c->sh, "%s: something is wrong with this file", c->path);
    return rc;
}

/* The path of a loaded model's name, else the argument. */
static const char *path_of(const struct checking *c)
{
    const struct sh_model *m = sh_model_find(c->sh, sh_arg(c->a, 0));
    return m ? m->path : sh_arg(c->a, 0);
}

static enum sh_rc check(struct checking *c)
{
    struct vq_err err = {0};
    struct vq_ckpt *ckpt;
    const struct vq_audit_options o = {
        .cancel = sh_cancel(c->sh), .ud = c, .progress = show_progress};
    enum vq_status status = vq_ckpt_file(&c->path, path_of(c), &err);
    if (status == VQ_OK)
        status = vq_file_open(&c->f, c->path, &err);
    if (status == VQ_OK)
        status = vq_audit_bytes(&c->audit, c->f.data, c->f.size, &o, &err);
    sh_progress_clear(c->sh);
    if (status != VQ_OK)
        return sh_fail(c->sh, &err);
    /* What the audit has no words for, opening may still refuse. */
    if (!vq_audit_failed(&c->audit)) {
        if (vq_ckpt_open(&ckpt, c->path, &err) == VQ_OK)
            vq_ckpt_free(ckpt);
        else
            memcpy(c->refusal, err.msg, sizeof(c->refusal));
    }
    return report(c);
}

static enum sh_rc run_check(struct sh *sh, const struct sh_args *a)
{
    struct checking c = {.sh = sh, .a = a};
    enum sh_rc rc = check(&c);
    vq_audit_release(&c.audit);
    vq_file_close(&c.f);
    free(c.path);
    return rc;
}

static const struct sh_opt check_opts[] = {
    {.name = "tensors", .kind = SH_FLAG, .help = "list every tensor and the bytes it lies in"},
    {.name = "top",
     .letter = 'n',
     .kind = SH_INT,
     .def = "10",
     .min = 0,
     .max = VQ_AUDIT_MOST,
     .help = "findings of each kind to show"},
    {.name = "notes", .kind = SH_FLAG, .help = "list what is odd but not wrong, too"},
    SH_OPT_END};
static const char *const check_examples[] = {
    "check samples/models/text-small.safetensors",
    "check samples/models/text-small.safetensors --tensors --notes", NULL};
const struct sh_cmd cmd_check = {
    .name = "check",
    .group = "inspect",
    .args = "FILE",
    .summary = "account for every byte of a checkpoint file, and look at every number",
    .detail =
        "For safetensors and for both of the authors' Flax layouts; FILE may be a folder as `load` "
        "takes it, or the name of a loaded model. structure is what describes tensors (headers, "
        "names, lengths), data their numbers, unclaimed what belongs to neither; the three sum to "
        "bytes. Wrong are: gaps, overlaps, bytes outside the file or behind the last tensor, sizes "
        "that do not fit shape and dtype, two tensors of one name, NaN and infinities, and "
        "anything "
        "that `load` would refuse; then the exit status is 1. Order, alignment and dead codes "
        "(count at most 0.01) are notes.",
    .examples = check_examples,
    .min_args = 1,
    .max_args = 1,
    .kinds = {SH_PATH},
    .opts = check_opts,
    .run = run_check,
};
