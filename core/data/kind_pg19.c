/*
 * kind_pg19: books, as the PG-19 set has them: folders train, validation and test of .txt files,
 * each a document that ends with eos. They are taken by name, with numbers compared as numbers.
 */
#include "core/base/mem.h"
#include "core/data/kind.h"

static enum vq_status open_books(struct vq_docs *d, const struct vq_docs_options *o,
                                 struct vq_err *err)
{
    if (!vq_split_folders(d->path))
        return vq_fail(err, VQ_EINVAL, "%s: expected folders train, validation and test of books",
                       d->path);
    return vq_text_open(d, o, err);
}

static bool matches(const char *path, bool is_folder)
{
    return is_folder && vq_split_folders(path) && vq_files_any(path, VQ_TEXT_FILES);
}

const struct vq_data_kind vq_data_pg19 = {
    .name = "pg19",
    .help = "a folder with folders train, validation and test of books, eos after each",
    .is_text = true,
    .eos = true,
    .matches = matches,
    .open = open_books,
    .close = vq_text_close,
    .read = vq_text_read,
    .file = vq_text_file,
};
