#include "repl/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/npy.h"
#include "core/base/text.h"
#include "core/data/files.h"
#include "core/data/image.h"

#define IMAGE_SIDE 64

bool sh_input_given(const struct sh_args *a)
{
    return sh_opt_given(a, "text") || sh_opt_given(a, "file") || sh_opt_given(a, "tokens");
}

void sh_input_release(struct sh_input *in)
{
    free(in->tokens);
    *in = (struct sh_input){0};
}

enum vq_status sh_input_text(const struct vq_vocab *v, const char *text, size_t size,
                             struct sh_input *out, struct vq_err *err)
{
    *out = (struct sh_input){.rows = 1, .rank = 1, .text_bytes = size, .is_text = true};
    return vq_vocab_encode(v, text, size, &out->tokens, &out->cols, err);
}

static enum vq_status read_stdin(struct vq_text *out, struct vq_err *err)
{
    char buf[1 << 16];
    for (;;) {
        ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));
        if (n < 0 && errno == EINTR)
            return vq_fail(err, VQ_ECANCELLED, "interrupted while reading standard input");
        if (n < 0)
            return vq_fail_errno(err, errno, "standard input");
        if (n == 0)
            break;
        vq_text_put(out, buf, (size_t)n);
    }
    return out->failed ? vq_nomem(err, "standard input", out->len, 1) : VQ_OK;
}

static enum vq_status read_picture(const struct vq_vocab *v, const char *path, struct sh_input *out,
                                   struct vq_err *err)
{
    uint8_t *rgb;
    enum vq_status status = vq_image_load_square(path, IMAGE_SIDE, &rgb, err);
    if (status != VQ_OK)
        return status;
    status = sh_input_text(v, (const char *)rgb, (size_t)IMAGE_SIDE * IMAGE_SIDE * 3, out, err);
    free(rgb);
    return status;
}

/* By name, too: a picture that is damaged, or in a format that is not read, must not be taken for
 * the bytes of one. */
static bool is_picture(const char *path, const struct vq_file *f)
{
    return vq_image_begins(f->data, f->size) ||
           vq_files_match(path, VQ_IMAGE_FILES " .tif .tiff .webp");
}

enum vq_status sh_input_file(const struct vq_vocab *v, const char *path, struct sh_input *out,
                             struct vq_err *err)
{
    struct vq_text text = {0};
    struct vq_file f = {0};
    enum vq_status status;
    *out = (struct sh_input){0};
    if (strcmp(path, "-") == 0) {
        status = read_stdin(&text, err);
        if (status == VQ_OK)
            status = sh_input_text(v, text.data ? text.data : "", text.len, out, err);
        vq_text_release(&text);
        return status;
    }
    if ((status = vq_file_open(&f, path, err)) != VQ_OK)
        return status;
    if (vq_vocab_is_image(v) && is_picture(path, &f))
        status = read_picture(v, path, out, err);
    else
        status = sh_input_text(v, (const char *)f.data, f.size, out, err);
    vq_file_close(&f);
    if (status != VQ_OK && err && !strstr(err->msg, path))
        vq_err_prefix(err, "%s", path);
    return status;
}

enum vq_status sh_input_tokens(const struct vq_vocab *v, const char *path, struct sh_input *out,
                               struct vq_err *err)
{
    *out = (struct sh_input){0};
    enum vq_status status =
        vq_npy_read_tokens(path, &out->tokens, &out->rows, &out->cols, &out->rank, err);
    for (size_t i = 0; status == VQ_OK && i < out->rows * out->cols; i++)
        if (out->tokens[i] < 0 || out->tokens[i] >= vq_vocab_size(v))
            status =
                vq_fail(err, VQ_EINVAL, "%s: element %zu: expected an id from 0 to %d, found %d",
                        path, i, vq_vocab_size(v) - 1, (int)out->tokens[i]);
    return status;
}

enum sh_rc sh_input_read(struct sh *sh, const struct sh_args *a, const struct vq_vocab *v,
                         struct sh_input *out)
{
    static const char *const names[] = {"text", "file", "tokens"};
    const char *name = NULL;
    *out = (struct sh_input){0};
    for (size_t i = 0; i < 3; i++) {
        if (!sh_opt_given(a, names[i]))
            continue;
        if (name)
            return sh_bad_arg(sh, sh_opt_word(a, names[i]), "give one of --text, --file, --tokens");
        name = names[i];
    }
    if (!name)
        return sh_bad_arg(sh, 0,
                          "nothing to read: give --text TEXT, --file FILE or --tokens F.npy");
    struct vq_err err = {0};
    const char *value = sh_opt_text(a, name);
    enum vq_status status = strcmp(name, "text") == 0
                                ? sh_input_text(v, value, strlen(value), out, &err)
                            : strcmp(name, "file") == 0 ? sh_input_file(v, value, out, &err)
                                                        : sh_input_tokens(v, value, out, &err);
    if (status == VQ_OK)
        return SH_OK;
    sh_input_release(out);
    return sh_fail(sh, &err);
}

enum vq_status sh_input_lead_with_eos(struct sh_input *in, struct vq_err *err)
{
    int32_t *ids = vq_realloc(in->tokens, in->cols + 1, sizeof(*ids));
    if (!ids)
        return vq_nomem(err, "tokens", in->cols + 1, sizeof(*ids));
    memmove(ids + 1, ids, in->cols * sizeof(*ids));
    ids[0] = VQ_EOS;
    in->tokens = ids;
    in->cols++;
    return VQ_OK;
}

void sh_input_go_on(struct sh_input *in, const struct vq_vocab *v, uint64_t place)
{
    if (in->is_text)
        vq_vocab_move(v, place, in->tokens, in->cols);
}
