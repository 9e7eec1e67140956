#include "repl/array.h"

#include "core/base/text.h"
#include "repl/out.h"

enum sh_rc sh_array_write(struct sh *sh, const char *path, enum vq_npy_type type, int rank,
                          const size_t *shape, const void *data)
{
    struct vq_err err = {0};
    struct vq_text text = {0};
    if (vq_npy_write(path, type, rank, shape, data, &err) != VQ_OK)
        return sh_fail(sh, &err);
    vq_text_puts(&text, "[");
    for (int i = 0; i < rank; i++)
        vq_text_printf(&text, "%s%zu", i ? "," : "", shape[i]);
    vq_text_puts(&text, "]");
    sh_record(sh);
    sh_str(sh, "path", path);
    if (!text.failed)
        sh_json(sh, "shape", text.data);
    sh_str(sh, "dtype", vq_npy_type_name(type));
    vq_text_release(&text);
    return sh_end(sh);
}
