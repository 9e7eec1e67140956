#include "repl/tokens.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/data/files.h"
#include "core/data/image.h"
#include "repl/out.h"
#include "repl/tracked.h"

/* What a trace may take for the tokens it remembers. */
#define TRACE_BYTES ((size_t)256 << 20)

static void show_progress(void *ud, uint64_t done, uint64_t total)
{
    sh_progress(ud, "%llu of %llu tokens", (unsigned long long)done, (unsigned long long)total);
}

void sh_tokens_release(struct sh_tokens *t)
{
    sh_input_release(&t->in);
    *t = (struct sh_tokens){0};
}

/* Makes t->in ready to run. */
static enum vq_status settle(struct sh *sh, enum sh_tokens_as as, struct sh_tokens *t,
                             struct vq_err *err)
{
    if (t->in.rows * t->in.cols == 0)
        return vq_fail(err, VQ_EINVAL, "the input is empty");
    if (as == SH_AS_FED && t->in.is_text && sh_input_lead_with_eos(&t->in, err) != VQ_OK)
        return err->code;
    t->over = (struct vq_over){.tokens = t->in.tokens,
                               .rows = t->in.rows,
                               .cols = t->in.cols,
                               .targets = as == SH_AS_TARGETS && !t->session,
                               .cancel = sh_cancel(sh),
                               .ud = sh,
                               .progress = show_progress};
    return VQ_OK;
}

static enum vq_status take_history(const struct sh_model *m, struct sh_tokens *t,
                                   struct vq_err *err)
{
    struct sh_history h;
    enum vq_status status = sh_history_to_run(m, &h, err);
    if (status != VQ_OK)
        return status;
    t->session = true;
    t->in = (struct sh_input){.rows = h.rows, .cols = h.n, .rank = h.rows > 1 ? 2 : 1};
    t->in.tokens = vq_alloc(h.rows * h.n, sizeof(*t->in.tokens));
    if (!t->in.tokens)
        return vq_nomem(err, "tokens", h.rows * h.n, sizeof(*t->in.tokens));
    for (size_t r = 0; r < h.rows; r++)
        memcpy(t->in.tokens + r * h.n, h.tokens + r * h.stride, h.n * sizeof(*t->in.tokens));
    return VQ_OK;
}

static enum sh_rc finish(struct sh *sh, enum sh_tokens_as as, enum vq_status status,
                         struct sh_tokens *t, struct vq_err *err)
{
    if (status == VQ_OK)
        status = settle(sh, as, t, err);
    if (status == VQ_OK)
        return SH_OK;
    sh_tokens_release(t);
    return sh_fail(sh, err);
}

enum sh_rc sh_tokens_session(struct sh *sh, struct sh_model *m, struct sh_tokens *out)
{
    struct vq_err err = {0};
    *out = (struct sh_tokens){0};
    return finish(sh, SH_AS_FED, take_history(m, out, &err), out, &err);
}

enum sh_rc sh_tokens_pick(struct sh *sh, const struct sh_args *a, struct sh_model *m,
                          enum sh_tokens_as as, struct sh_tokens *out)
{
    struct vq_err err = {0};
    if (!sh_input_given(a))
        return sh_tokens_session(sh, m, out);
    *out = (struct sh_tokens){0};
    enum sh_rc rc = sh_input_read(sh, a, vq_model_vocab(m->model), &out->in);
    return rc == SH_OK ? finish(sh, as, VQ_OK, out, &err) : rc;
}

enum sh_rc sh_tokens_text(struct sh *sh, struct sh_model *m, const char *text, enum sh_tokens_as as,
                          struct sh_tokens *out)
{
    struct vq_err err = {0};
    *out = (struct sh_tokens){0};
    return finish(sh, as,
                  sh_input_text(vq_model_vocab(m->model), text, strlen(text), &out->in, &err), out,
                  &err);
}

/* ---- folders of pictures ---- */

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Appends a picture's tokens as one more row; a file that is no picture is passed over. */
static enum vq_status add_picture(const struct vq_vocab *v, const char *path, struct sh_input *to,
                                  struct vq_err *err)
{
    struct vq_file f;
    struct sh_input one;
    if (is_folder(path) || vq_file_open(&f, path, err) != VQ_OK)
        return VQ_OK;
    bool picture = vq_image_begins(f.data, f.size) || vq_files_match(path, VQ_IMAGE_FILES);
    vq_file_close(&f);
    if (!picture)
        return VQ_OK;
    enum vq_status status = sh_input_file(v, path, &one, err);
    if (status != VQ_OK)
        return status;
    int32_t *grown = vq_realloc(to->tokens, (to->rows + 1) * one.cols, sizeof(*grown));
    if (grown) {
        memcpy(grown + to->rows * one.cols, one.tokens, one.cols * sizeof(*grown));
        to->tokens = grown;
        to->cols = one.cols; /* the same for every picture */
        to->rows++;
    } else {
        status = vq_nomem(err, "pictures", to->rows + 1, one.cols * sizeof(*grown));
    }
    sh_input_release(&one);
    return status;
}

static enum vq_status read_folder(const struct vq_vocab *v, const char *path, struct sh_input *to,
                                  struct vq_err *err)
{
    struct dirent **list;
    enum vq_status status = VQ_OK;
    if (!vq_vocab_is_image(v))
        return vq_fail(err, VQ_EINVAL, "%s: a folder; only models of pictures look at folders",
                       path);
    int n = scandir(path, &list, NULL, by_name);
    if (n < 0)
        return vq_fail_errno(err, errno, "%s", path);
    *to = (struct sh_input){.rank = 2};
    for (int i = 0; i < n; i++) {
        struct vq_text name = {0};
        vq_text_printf(&name, "%s/%s", path, list[i]->d_name);
        if (status == VQ_OK)
            status = name.failed ? vq_nomem(err, "a name", strlen(path), 1)
                                 : add_picture(v, name.data, to, err);
        vq_text_release(&name);
        free(list[i]);
    }
    free(list);
    if (status == VQ_OK && to->rows == 0)
        status = vq_fail(err, VQ_ENOTFOUND, "%s: a folder without pictures", path);
    return status;
}

enum vq_status sh_tokens_over(struct sh *sh, struct sh_model *m, const char *path,
                              struct sh_tokens *out, struct vq_err *err)
{
    const struct vq_vocab *v = vq_model_vocab(m->model);
    size_t len = strlen(path);
    bool npy = len > 4 && strcmp(path + len - 4, ".npy") == 0;
    *out = (struct sh_tokens){0};
    enum vq_status status = is_folder(path) ? read_folder(v, path, &out->in, err)
                            : npy           ? sh_input_tokens(v, path, &out->in, err)
                                            : sh_input_file(v, path, &out->in, err);
    if (status == VQ_OK && out->in.rows * out->in.cols == 0)
        status = vq_fail(err, VQ_EINVAL, "%s: holds no tokens", path);
    if (status == VQ_OK)
        status = settle(sh, SH_AS_TARGETS, out, err);
    if (status != VQ_OK)
        sh_tokens_release(out);
    return status;
}

/* ---- running ---- */

enum sh_rc sh_tokens_row(struct sh *sh, const struct sh_args *a, struct sh_tokens *t)
{
    size_t row = (size_t)sh_opt_int(a, "row");
    if (row >= t->over.rows)
        return sh_bad_arg(sh, sh_opt_word(a, "row"), "there are %zu sequence(s), from 0",
                          t->over.rows);
    t->over.tokens += row * t->over.cols;
    t->over.rows = 1;
    return SH_OK;
}

int32_t sh_tokens_input(const struct sh_tokens *t, size_t i)
{
    if (!t->over.targets)
        return t->over.tokens[i];
    return i ? t->over.tokens[i - 1] : VQ_EOS;
}

enum vq_status sh_tokens_run(struct sh *sh, struct sh_model *m, const struct sh_tokens *t,
                             const struct vq_observer *observe, struct vq_err *err)
{
    const struct vq_engine *e = sh_model_engine(sh, m, err);
    enum vq_status status = e ? vq_over_run(&t->over, e, observe, err) : err->code;
    sh_progress_clear(sh);
    return status;
}

enum vq_status sh_tokens_trace(struct sh *sh, struct sh_model *m, const struct sh_tokens *t,
                               struct vq_trace **out, struct vq_err *err)
{
    const struct vq_config *c = vq_model_config(m->model);
    size_t heads = vq_config_modules(c) * (size_t)c->n_head, all = t->over.rows * t->over.cols;
    size_t most = TRACE_BYTES / (heads * 8 + 12);
    most = most > VQ_TRACE_RING ? most : VQ_TRACE_RING;
    const struct vq_trace_options o = {.ring = all < most ? all : most};
    const struct vq_engine *e = sh_model_engine(sh, m, err);
    *out = NULL;
    enum vq_status status = e ? vq_over_trace(out, &t->over, m->model, e, &o, err) : err->code;
    sh_progress_clear(sh);
    return status;
}

enum sh_rc sh_trace_pick(struct sh *sh, const struct sh_args *a, struct sh_model *m,
                         struct vq_trace **out, bool *owned)
{
    struct vq_err err = {0};
    struct sh_tokens t;
    *owned = sh_opt_given(a, "over");
    *out = sh_trace(m);
    if (!*owned)
        return SH_OK;
    *out = NULL;
    enum vq_status status = sh_tokens_over(sh, m, sh_opt_text(a, "over"), &t, &err);
    if (status != VQ_OK)
        return sh_fail(sh, &err);
    status = sh_tokens_trace(sh, m, &t, out, &err);
    sh_tokens_release(&t);
    return status == VQ_OK ? SH_OK : sh_fail(sh, &err);
}

void sh_put_token(struct sh *sh, const struct vq_vocab *v, int32_t id)
{
    char piece[64];
    if (id >= 0)
        sh_str(sh, "token", vq_vocab_piece(v, id, piece, sizeof(piece)));
    else
        sh_null(sh, "token");
}
