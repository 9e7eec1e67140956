/*
 * kind_enwik8: the first 100,000,000 bytes of a dump of Wikipedia, or a shorter start of them: the
 * file itself, its zip, or a folder that holds either. Split as the authors do, into 90, 5 and 5
 * million bytes, or the same proportions.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/data/kind.h"
#include "core/data/zip.h"

struct enwik8 {
    struct vq_file file;
    struct vq_zip *zip; /* instead of the file */
    size_t member;
    uint64_t from; /* the split's first byte */
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The member "enwik8", or the only one. */
static enum vq_status find_member(struct enwik8 *e, const char *path, struct vq_err *err)
{
    size_t files = 0, found = 0;
    for (size_t i = 0; i < vq_zip_count(e->zip); i++) {
        const char *name = vq_zip_name(e->zip, i);
        size_t n = strlen(name);
        if (n > 0 && name[n - 1] == '/')
            continue;
        e->member = i;
        files++;
        if (strcmp(base_name(name), "enwik8"))
            continue;
        found = i + 1;
        break;
    }
    if (found || files == 1)
        return VQ_OK;
    return vq_fail(err, VQ_EINVAL, "%s: expected an archive of the one file enwik8, found %zu",
                   path, files);
}

static enum vq_status open_bytes(struct enwik8 *e, const char *path, uint64_t *size,
                                 struct vq_err *err)
{
    enum vq_status st = vq_file_open(&e->file, path, err);
    if (st)
        return st;
    *size = e->file.size;
    if (!vq_files_match(path, ".zip") && (*size < 4 || memcmp(e->file.data, "PK\3\4", 4)))
        return VQ_OK;
    vq_file_close(&e->file);
    st = vq_zip_open(&e->zip, path, err);
    if (!st)
        st = find_member(e, path, err);
    if (!st)
        *size = vq_zip_size(e->zip, e->member);
    return st;
}

/* The file in a folder, the caller's to free; NULL when there is none, or memory is out. */
static char *inside(const char *folder)
{
    static const char *const names[] = {"enwik8", "enwik8.zip"};
    for (size_t i = 0; i < 2; i++) {
        struct vq_file f;
        char *path = vq_files_join(folder, names[i]);
        if (path && vq_file_open(&f, path, NULL) == VQ_OK) {
            vq_file_close(&f);
            return path;
        }
        free(path);
    }
    return NULL;
}

static enum vq_status open_enwik8(struct vq_docs *d, const struct vq_docs_options *o,
                                  struct vq_err *err)
{
    uint64_t size, to;
    char *path = vq_files_is_folder(d->path) ? inside(d->path) : vq_strdup(d->path);
    struct enwik8 *e = d->impl = vq_calloc(1, sizeof(*e));
    enum vq_status st = VQ_OK;
    if (!e)
        st = vq_nomem(err, d->path, 1, sizeof(*e));
    else if (!path)
        st = vq_fail(err, VQ_ENOTFOUND, "%s: holds neither enwik8 nor enwik8.zip", d->path);
    if (!st)
        st = open_bytes(e, path, &size, err);
    if (!st && size == 0)
        st = vq_fail(err, VQ_EINVAL, "%s: the file is empty", path);
    if (!st)
        st = vq_docs_reserve(d, 1, err);
    free(path);
    if (st)
        return st;
    vq_split_cut(size, o->split, &e->from, &to);
    d->start[1] = to - e->from;
    return VQ_OK;
}

static void close_enwik8(struct vq_docs *d)
{
    struct enwik8 *e = d->impl;
    vq_file_close(&e->file);
    vq_zip_free(e->zip);
    free(e);
}

static enum vq_status read_enwik8(struct vq_docs *d, size_t doc, uint64_t offset, size_t n,
                                  void *dst, const struct vq_cancel *cancel, struct vq_err *err)
{
    (void)doc;
    struct enwik8 *e = d->impl;
    if (e->zip)
        return vq_zip_read(e->zip, e->member, e->from + offset, n, dst, cancel, err);
    memcpy(dst, e->file.data + e->from + offset, n);
    return VQ_OK;
}

static bool matches(const char *path, bool is_folder)
{
    if (!is_folder)
        return !strncmp(base_name(path), "enwik8", 6) || vq_files_match(path, ".zip");
    char *file = inside(path);
    free(file);
    return file != NULL;
}

const struct vq_data_kind vq_data_enwik8 = {
    .name = "enwik8",
    .help = "the file enwik8, a start of it, or enwik8.zip; splits are 90, 5 and 5 % of it",
    .is_text = true,
    .matches = matches,
    .open = open_enwik8,
    .close = close_enwik8,
    .read = read_enwik8,
};
