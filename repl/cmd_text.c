/*
 * Commands between text and token ids: tokenize, detokenize.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "repl/cmds.h"
#include "repl/input.h"
#include "repl/models.h"
#include "repl/out.h"

static enum sh_rc list_tokens(struct sh *sh, const struct vq_vocab *v, const int32_t *ids, size_t n)
{
    char piece[64];
    sh_list(sh, "position id token");
    for (size_t i = 0; i < n; i++) {
        sh_row(sh);
        sh_uint(sh, "position", i);
        sh_int(sh, "id", ids[i]);
        sh_str(sh, "token", vq_vocab_piece(v, ids[i], piece, sizeof(piece)));
    }
    return sh_end(sh);
}

static enum sh_rc run_tokenize(struct sh *sh, const struct sh_args *a)
{
    const struct vq_vocab *v = vq_model_vocab(sh_model_current(sh)->model);
    struct sh_input in;
    if (sh_arg_count(a)) {
        struct vq_err err = {0};
        if (sh_input_given(a))
            return sh_bad_arg(sh, sh_arg_word(a, 0), "give TEXT or an option, not both");
        if (sh_input_text(v, sh_arg(a, 0), strlen(sh_arg(a, 0)), &in, &err) != VQ_OK)
            return sh_fail(sh, &err);
    } else {
        enum sh_rc rc = sh_input_read(sh, a, v, &in);
        if (rc != SH_OK)
            return rc;
    }
    enum sh_rc rc = list_tokens(sh, v, in.tokens, in.rows * in.cols);
    sh_input_release(&in);
    return rc;
}

static const struct sh_opt tokenize_opts[] = {SH_INPUT_OPTS, SH_OPT_END};
static const char *const tokenize_examples[] = {"tokenize \"Call me Ishmael.\"",
                                                "tokenize --file README.md", NULL};
const struct sh_cmd cmd_tokenize = {
    .name = "tokenize",
    .group = "text",
    .args = "[TEXT]",
    .summary = "show the token ids of a text",
    .detail =
        "Nothing is added: the eos that begins a sequence belongs to `feed` and `score`. Models "
        "of pictures show those of --file PICTURE.",
    .examples = tokenize_examples,
    .max_args = 1,
    .kinds = {SH_TEXT},
    .needs = SH_NEED_MODEL,
    .opts = tokenize_opts,
    .run = run_tokenize,
};

static enum sh_rc show_text(struct sh *sh, const struct vq_vocab *v, const int32_t *ids, size_t n)
{
    struct vq_err err = {0};
    char *text;
    size_t size;
    if (vq_vocab_decode(v, ids, n, &text, &size, &err) != VQ_OK)
        return sh_fail(sh, &err);
    if (sh_out_is_text(sh)) {
        sh_out_bytes(sh, text, size);
        sh_out_bytes_end(sh);
        free(text);
        return SH_OK;
    }
    sh_record(sh);
    sh_uint(sh, "tokens", n);
    sh_uint(sh, "bytes", size);
    sh_bytes(sh, "text", text, size);
    free(text);
    return sh_end(sh);
}

/* The ids given as positionals, in new memory; NULL after reporting. */
static int32_t *ids_of(struct sh *sh, const struct sh_args *a, const struct vq_vocab *v,
                       enum sh_rc *rc)
{
    size_t n = (size_t)sh_arg_count(a);
    int32_t *ids = vq_alloc(n, sizeof(*ids));
    *rc = ids ? SH_OK : sh_failf(sh, "out of memory");
    for (size_t i = 0; *rc == SH_OK && i < n; i++) {
        int64_t id = sh_arg_value(a, (int)i)->i;
        if (id < 0 || id >= vq_vocab_size(v))
            *rc = sh_bad_arg(sh, sh_arg_word(a, (int)i), "expected an id from 0 to %d",
                             vq_vocab_size(v) - 1);
        ids[i] = (int32_t)id;
    }
    if (*rc == SH_OK)
        return ids;
    free(ids);
    return NULL;
}

static enum sh_rc run_detokenize(struct sh *sh, const struct sh_args *a)
{
    const struct vq_vocab *v = vq_model_vocab(sh_model_current(sh)->model);
    struct vq_err err = {0};
    struct sh_input in = {0};
    enum sh_rc rc = SH_OK;
    if (sh_opt_given(a, "tokens") == (sh_arg_count(a) > 0))
        return sh_bad_arg(sh, 0, "give token ids, or --tokens F.npy");
    if (sh_arg_count(a)) {
        in = (struct sh_input){.rows = 1, .cols = (size_t)sh_arg_count(a)};
        in.tokens = ids_of(sh, a, v, &rc);
    } else if (sh_input_tokens(v, sh_opt_text(a, "tokens"), &in, &err) != VQ_OK) {
        rc = sh_fail(sh, &err);
    }
    if (rc == SH_OK)
        rc = show_text(sh, v, in.tokens, in.rows * in.cols);
    sh_input_release(&in);
    return rc;
}

static const struct sh_opt detokenize_opts[] = {
    {.name = "tokens", .kind = SH_PATH, .value = "F.npy", .help = "int32 token ids, [T] or [B,T]"},
    SH_OPT_END};
static const char *const detokenize_examples[] = {"detokenize 70 100 111 111", NULL};
const struct sh_cmd cmd_detokenize = {
    .name = "detokenize",
    .group = "text",
    .args = "[ID...]",
    .summary = "show the text of token ids",
    .detail = "Special ids (pad, eos, unk) give nothing.",
    .examples = detokenize_examples,
    .max_args = -1,
    .kinds = {SH_INT},
    .needs = SH_NEED_MODEL | SH_NEED_TEXT,
    .opts = detokenize_opts,
    .run = run_detokenize,
};
