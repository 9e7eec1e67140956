/*
 * kind_imagenet64: downsampled ImageNet at 64x64, as it is handed out: npz archives whose array
 * `data` is uint8 [N, 12288], each row a picture in planes (all of red, of green, of blue). One
 * archive, or a folder of them.
 *
 * The authors train on the first 1,200,000 pictures of the official training set, validate on the
 * rest of it (81,167) and test on the official validation set: here the archives whose names begin
 * with "val". The training pictures are taken by name of archive (batch 2 before 10), of a smaller
 * set the same part of them. Without official validation pictures the splits are 90, 5 and 5 %.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/npy.h"
#include "core/data/kind.h"
#include "core/data/zip.h"

#define TRAIN_PART 1200000u /* of */
#define TRAIN_ALL  1281167u
#define PLANE      (VQ_IMAGE_SIDE * VQ_IMAGE_SIDE)

struct archive {
    struct vq_zip *zip;
    const char *path;
    size_t member;  /* the array */
    uint64_t start; /* of its elements in the member */
    uint64_t n;     /* pictures */
};

struct imagenet {
    struct vq_files files;
    struct archive *at; /* [n] of the set that the split is part of */
    size_t n;
    uint64_t first; /* picture of the split */
    bool read;      /* rgb is picture `which` */
    size_t which;
    uint8_t planes[VQ_IMAGE_BYTES], rgb[VQ_IMAGE_BYTES];
};

static bool is_official_validation(const char *path)
{
    const char *slash = strrchr(path, '/');
    return !strncmp(slash ? slash + 1 : path, "val", 3);
}

/* The array's header, from the member's first n of `size` bytes. */
static enum vq_status take_header(struct archive *a, const uint8_t *head, size_t n, uint64_t size,
                                  struct vq_err *err)
{
    struct vq_npy array;
    size_t start;
    enum vq_status st = vq_npy_header(&array, &start, head, n, err);
    if (!st)
        st = vq_npy_check_size(&array, size - start, err);
    if (st)
        return st;
    if (array.type != VQ_NPY_U8 || array.rank != 2 || array.shape[1] != VQ_IMAGE_BYTES)
        return vq_fail(err, VQ_ESHAPE, "expected uint8 [N, %d], found %s of rank %d, rows of %zu",
                       VQ_IMAGE_BYTES, vq_npy_type_name(array.type), array.rank,
                       array.rank > 1 ? array.shape[array.rank - 1] : 0);
    a->start = start;
    a->n = array.shape[0];
    return VQ_OK;
}

static enum vq_status read_header(struct archive *a, struct vq_err *err)
{
    uint64_t size = vq_zip_size(a->zip, a->member);
    size_t n = size < VQ_NPY_HEADER ? (size_t)size : VQ_NPY_HEADER;
    uint8_t *head = vq_alloc(n, 1);
    if (!head)
        return vq_nomem(err, a->path, n, 1);
    enum vq_status st = vq_zip_head(a->zip, a->member, n, head, err);
    if (!st) {
        st = take_header(a, head, n, size, err);
        if (st)
            vq_err_prefix(err, "%s: member %s", a->path, vq_zip_name(a->zip, a->member));
    }
    free(head);
    return st;
}

static enum vq_status open_archive(struct archive *a, const char *path, struct vq_err *err)
{
    a->path = path;
    enum vq_status st = vq_zip_open(&a->zip, path, err);
    if (st)
        return st;
    while (a->member < vq_zip_count(a->zip) && strcmp(vq_zip_name(a->zip, a->member), "data.npy"))
        a->member++;
    if (a->member == vq_zip_count(a->zip))
        return vq_fail(err, VQ_EFORMAT, "%s: holds no array named data", path);
    return read_header(a, err);
}

/* Opens the archives of the set that is, or is not, the official validation set. */
static enum vq_status open_set(struct imagenet *m, bool validation, struct vq_err *err)
{
    enum vq_status st = VQ_OK;
    m->at = vq_calloc(m->files.n, sizeof(*m->at));
    if (!m->at)
        return vq_nomem(err, "archives", m->files.n, sizeof(*m->at));
    for (size_t i = 0; !st && i < m->files.n; i++)
        if (is_official_validation(m->files.at[i].path) == validation)
            st = open_archive(&m->at[m->n++], m->files.at[i].path, err);
    return st;
}

static enum vq_status list_archives(struct vq_files *out, const char *path, struct vq_err *err)
{
    if (vq_files_is_folder(path)) {
        enum vq_status st = vq_files_list(out, path, ".npz", 0, err);
        if (!st && out->n == 0)
            st = vq_fail(err, VQ_EINVAL, "%s: holds no .npz archive", path);
        return st;
    }
    out->at = vq_alloc(1, sizeof(*out->at));
    char *copy = out->at ? vq_strdup(path) : NULL;
    if (!copy)
        return vq_nomem(err, path, 1, sizeof(*out->at));
    out->at[0] = (struct vq_files_item){copy, 0};
    out->n = out->cap = 1;
    return VQ_OK;
}

/* Floor of n * TRAIN_PART / TRAIN_ALL. */
static uint64_t training_part(uint64_t n)
{
    return n / TRAIN_ALL * TRAIN_PART + n % TRAIN_ALL * TRAIN_PART / TRAIN_ALL;
}

/* [*from, *to) of the n pictures of the set. */
static void cut(uint64_t n, bool has_validation, enum vq_split split, uint64_t *from, uint64_t *to)
{
    *from = 0;
    *to = n;
    if (!has_validation)
        vq_split_cut(n, split, from, to);
    else if (split == VQ_TRAIN)
        *to = training_part(n);
    else if (split == VQ_VALIDATION)
        *from = training_part(n);
}

static enum vq_status open_imagenet(struct vq_docs *d, const struct vq_docs_options *o,
                                    struct vq_err *err)
{
    struct imagenet *m = d->impl = vq_calloc(1, sizeof(*m));
    if (!m)
        return vq_nomem(err, d->path, 1, sizeof(*m));
    enum vq_status st = list_archives(&m->files, d->path, err);
    if (st)
        return st;
    uint64_t n = 0, to;
    size_t validation = 0;
    for (size_t i = 0; i < m->files.n; i++)
        validation += is_official_validation(m->files.at[i].path);
    st = open_set(m, validation && o->split == VQ_TEST, err);
    if (st)
        return st;
    for (size_t i = 0; i < m->n; i++)
        n += m->at[i].n;
    cut(n, validation > 0, o->split, &m->first, &to);
    return vq_docs_equal(d, (size_t)(to - m->first), VQ_IMAGE_BYTES, err);
}

static void close_imagenet(struct vq_docs *d)
{
    struct imagenet *m = d->impl;
    for (size_t i = 0; i < m->n; i++)
        vq_zip_free(m->at[i].zip);
    free(m->at);
    vq_files_release(&m->files);
    free(m);
}

/* The archive of a picture of the split, and its number there. */
static struct archive *locate(struct imagenet *m, size_t doc, uint64_t *picture)
{
    struct archive *a = m->at;
    for (*picture = m->first + doc; *picture >= a->n; a++)
        *picture -= a->n;
    return a;
}

static void interleave(uint8_t *rgb, const uint8_t *planes)
{
    for (size_t i = 0; i < PLANE; i++)
        for (size_t c = 0; c < 3; c++)
            rgb[i * 3 + c] = planes[c * PLANE + i];
}

static enum vq_status read_imagenet(struct vq_docs *d, size_t doc, uint64_t offset, size_t n,
                                    void *dst, const struct vq_cancel *cancel, struct vq_err *err)
{
    struct imagenet *m = d->impl;
    if (!m->read || m->which != doc) {
        uint64_t picture;
        const struct archive *a = locate(m, doc, &picture);
        m->read = false;
        enum vq_status st = vq_zip_read(a->zip, a->member, a->start + picture * VQ_IMAGE_BYTES,
                                        VQ_IMAGE_BYTES, m->planes, cancel, err);
        if (st)
            return st;
        interleave(m->rgb, m->planes);
        m->read = true;
        m->which = doc;
    }
    memcpy(dst, m->rgb + offset, n);
    return VQ_OK;
}

static bool matches(const char *path, bool is_folder)
{
    return is_folder ? vq_files_any(path, ".npz") : vq_files_match(path, ".npz");
}

const struct vq_data_kind vq_data_imagenet64 = {
    .name = "imagenet64",
    .help = "npz archives of downsampled ImageNet, one or a folder; the authors' splits",
    .matches = matches,
    .open = open_imagenet,
    .close = close_imagenet,
    .read = read_imagenet,
};
