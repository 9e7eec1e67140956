/*
 * files: which files a folder holds, for sources that are folders.
 */
#ifndef VQ_CORE_DATA_FILES_H
#define VQ_CORE_DATA_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

struct vq_files {
    size_t n, cap;
    struct vq_files_item {
        char *path;
        uint64_t size;
    } * at;
};

/*
 * The regular files below `folder`, at any depth up to 8, whose names end in one of the extensions
 * (separated by spaces, dots included, upper or lower case), by name with numbers compared as
 * numbers. Names that begin with a dot are passed over; links are followed. `most` > 0 stops at so
 * many. None is no error. VQ_ENOTFOUND, VQ_EIO, VQ_EINVAL (no folder), VQ_ENOMEM.
 */
enum vq_status vq_files_list(struct vq_files *out, const char *folder, const char *extensions,
                             size_t most, struct vq_err *err);
void vq_files_release(struct vq_files *f); /* f may be zeroed; leaves it zeroed */

/* Whether `path` ends in one of the extensions. */
bool vq_files_match(const char *path, const char *extensions);

bool vq_files_is_folder(const char *path);
/* folder + "/" + name, the caller's to free; NULL when memory is out. */
char *vq_files_join(const char *folder, const char *name);

#endif
