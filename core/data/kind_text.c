/*
 * kind_text: text files, one or a folder of them; and reading text files for the other kinds whose
 * documents they are.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/data/kind.h"

struct texts {
    struct vq_files files;
    uint64_t *from;      /* [files.n] where each file's part of the split begins */
    struct vq_file open; /* the file read last, mapped */
    size_t which;        /* its number, when there is one */
};

/* A list of the one file that `path` is. */
static enum vq_status one_file(struct vq_files *f, const char *path, struct vq_err *err)
{
    struct vq_file file;
    enum vq_status st = vq_file_open(&file, path, err);
    if (st)
        return st;
    uint64_t size = file.size;
    vq_file_close(&file);
    if (size == 0)
        return vq_fail(err, VQ_EINVAL, "%s: the file is empty", path);
    f->at = vq_alloc(1, sizeof(*f->at));
    char *copy = f->at ? vq_strdup(path) : NULL;
    if (!copy)
        return vq_nomem(err, path, 1, sizeof(*f->at));
    f->at[0] = (struct vq_files_item){copy, size};
    f->n = f->cap = 1;
    return VQ_OK;
}

enum vq_status vq_text_open(struct vq_docs *d, const struct vq_docs_options *o, struct vq_err *err)
{
    bool shared = true;
    struct texts *t = d->impl = vq_calloc(1, sizeof(*t));
    if (!t)
        return vq_nomem(err, d->path, 1, sizeof(*t));
    enum vq_status st = vq_files_is_folder(d->path)
                            ? vq_split_files(&t->files, d, o->split, VQ_TEXT_FILES, &shared, err)
                            : one_file(&t->files, d->path, err);
    if (!st)
        st = vq_docs_reserve(d, t->files.n, err);
    if (st)
        return st;
    t->from = vq_alloc(t->files.n, sizeof(*t->from));
    if (!t->from)
        return vq_nomem(err, d->path, t->files.n, sizeof(*t->from));
    for (size_t i = 0; i < t->files.n; i++) {
        uint64_t from = 0, to = t->files.at[i].size;
        if (shared)
            vq_split_cut(to, o->split, &from, &to);
        t->from[i] = from;
        d->start[i + 1] = d->start[i] + (to - from);
    }
    return VQ_OK;
}

void vq_text_close(struct vq_docs *d)
{
    struct texts *t = d->impl;
    vq_file_close(&t->open);
    vq_files_release(&t->files);
    free(t->from);
    free(t);
}

const char *vq_text_file(const struct vq_docs *d, size_t doc)
{
    const struct texts *t = d->impl;
    return t->files.at[doc].path;
}

/* Maps a document's file, which must be what it was when its size was taken. */
static enum vq_status turn_to(struct texts *t, size_t doc, struct vq_err *err)
{
    const struct vq_files_item *item = &t->files.at[doc];
    if (t->open.data && t->which == doc)
        return VQ_OK;
    vq_file_close(&t->open);
    enum vq_status st = vq_file_open(&t->open, item->path, err);
    if (st)
        return st;
    t->which = doc;
    if (t->open.size == item->size)
        return VQ_OK;
    st = vq_fail(err, VQ_EFORMAT,
                 "%s: has changed since it was opened: expected %" PRIu64 " bytes, found %zu",
                 item->path, item->size, t->open.size);
    vq_file_close(&t->open);
    return st;
}

enum vq_status vq_text_read(struct vq_docs *d, size_t doc, uint64_t offset, size_t n, void *dst,
                            const struct vq_cancel *cancel, struct vq_err *err)
{
    (void)cancel;
    struct texts *t = d->impl;
    enum vq_status st = turn_to(t, doc, err);
    if (!st)
        memcpy(dst, t->open.data + t->from[doc] + offset, n);
    return st;
}

/* Whether a file may be text: not when its first bytes say that it is something else. */
static bool may_be_text(const char *path)
{
    struct vq_file f;
    if (vq_file_open(&f, path, NULL) != VQ_OK)
        return true; /* opening it says why not */
    const char *what = vq_file_sniff(f.data, f.size);
    bool may =
        !what || f.size == 0 || !strcmp(what, "a text file") || !strcmp(what, "an HTML page");
    vq_file_close(&f);
    return may;
}

static bool matches(const char *path, bool is_folder)
{
    return is_folder ? vq_files_any(path, VQ_TEXT_FILES) : may_be_text(path);
}

const struct vq_data_kind vq_data_text = {
    .name = "text",
    .help = "a text file, or a folder of " VQ_TEXT_FILES " files; splits are folders, or 90, 5 "
            "and 5 % of each file",
    .is_text = true,
    .matches = matches,
    .open = vq_text_open,
    .close = vq_text_close,
    .read = vq_text_read,
    .file = vq_text_file,
};
