/*
 * input: the tokens that a command is given as --text, --file or --tokens (or as a picture, for
 * models of pictures). One place, so that every command takes the same things.
 */
#ifndef VQ_REPL_INPUT_H
#define VQ_REPL_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "core/vocab/vocab.h"
#include "repl/opt.h"

struct sh_input {
    int32_t *tokens; /* [rows, cols], owned */
    size_t rows, cols;
    int rank;          /* of the .npy file: 1 or 2; 1 otherwise */
    size_t text_bytes; /* bytes of the text; 0 when the tokens did not come from a text */
    bool is_text;
};

/* The rows of an option table that name an input. */
#define SH_INPUT_OPTS                                                                              \
    {.name = "text", .letter = 't', .kind = SH_TEXT, .value = "TEXT", .help = "the text itself"},  \
        {.name = "file",                                                                           \
         .letter = 'f',                                                                            \
         .kind = SH_PATH,                                                                          \
         .help = "a text file (- is standard input), or a picture for models of pictures"},        \
    {                                                                                              \
        .name = "tokens", .kind = SH_PATH, .value = "F.npy",                                       \
        .help = "int32 token ids, [T] or [B,T]"                                                    \
    }

/* True when one of the three was given. */
bool sh_input_given(const struct sh_args *a);

/* Reads the one that was given; SH_USAGE when none or several were. Token ids are checked against
 * the vocabulary. Reports its own errors. Release with sh_input_release() after SH_OK. */
enum sh_rc sh_input_read(struct sh *sh, const struct sh_args *a, const struct vq_vocab *v,
                         struct sh_input *out);
void sh_input_release(struct sh_input *in);

/* Puts eos in front of the only row, as a text at the start of a sequence has it in training. */
enum vq_status sh_input_lead_with_eos(struct sh_input *in, struct vq_err *err);

/* Makes a text that was read the continuation of a document of which `place` bytes are there. */
void sh_input_go_on(struct sh_input *in, const struct vq_vocab *v, uint64_t place);

/* Encodes text or reads a file's tokens, for options of other names. */
enum vq_status sh_input_text(const struct vq_vocab *v, const char *text, size_t size,
                             struct sh_input *out, struct vq_err *err);
enum vq_status sh_input_file(const struct vq_vocab *v, const char *path, struct sh_input *out,
                             struct vq_err *err);
enum vq_status sh_input_tokens(const struct vq_vocab *v, const char *path, struct sh_input *out,
                               struct vq_err *err);

#endif
