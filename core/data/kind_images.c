/*
 * kind_images: folders of picture files, each made 64x64 RGB by vq_image_load_square() when its
 * turn comes. Splits are folders, or 90, 5 and 5 % of the pictures by name.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/data/image.h"
#include "core/data/kind.h"

struct images {
    struct vq_files files;
    uint64_t first; /* file of the split's first picture */
    uint8_t *rgb;   /* the picture decoded last, if any */
    size_t which;   /* its number */
};

static enum vq_status open_images(struct vq_docs *d, const struct vq_docs_options *o,
                                  struct vq_err *err)
{
    bool shared;
    uint64_t to;
    struct images *m = d->impl = vq_calloc(1, sizeof(*m));
    if (!m)
        return vq_nomem(err, d->path, 1, sizeof(*m));
    if (!vq_files_is_folder(d->path))
        return vq_fail(err, VQ_EINVAL, "%s: expected a folder of pictures", d->path);
    enum vq_status st = vq_split_files(&m->files, d, o->split, VQ_IMAGE_FILES, &shared, err);
    if (st)
        return st;
    to = m->files.n;
    if (shared)
        vq_split_cut(to, o->split, &m->first, &to);
    return vq_docs_equal(d, (size_t)(to - m->first), VQ_IMAGE_BYTES, err);
}

static void close_images(struct vq_docs *d)
{
    struct images *m = d->impl;
    vq_files_release(&m->files);
    free(m->rgb);
    free(m);
}

static const char *file_of(const struct vq_docs *d, size_t doc)
{
    const struct images *m = d->impl;
    return m->files.at[m->first + doc].path;
}

static enum vq_status read_images(struct vq_docs *d, size_t doc, uint64_t offset, size_t n,
                                  void *dst, const struct vq_cancel *cancel, struct vq_err *err)
{
    (void)cancel;
    struct images *m = d->impl;
    if (!m->rgb || m->which != doc) {
        uint8_t *rgb;
        enum vq_status st = vq_image_load_square(file_of(d, doc), VQ_IMAGE_SIDE, &rgb, err);
        if (st)
            return st;
        free(m->rgb);
        m->rgb = rgb;
        m->which = doc;
    }
    memcpy(dst, m->rgb + offset, n);
    return VQ_OK;
}

static bool matches(const char *path, bool is_folder)
{
    return is_folder && vq_files_any(path, VQ_IMAGE_FILES);
}

const struct vq_data_kind vq_data_images = {
    .name = "images",
    .help = "a folder of pictures, made 64x64; splits are folders, or 90, 5 and 5 % by name",
    .matches = matches,
    .open = open_images,
    .close = close_images,
    .read = read_images,
    .file = file_of,
};
