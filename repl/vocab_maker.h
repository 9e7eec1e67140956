/*
 * vocab_maker: making a vocabulary in a process of its own, since the library that does it cannot
 * be stopped: the process can. It is this program, called with SH_VOCAB_MAKER as its first word;
 * what it made, or why not, comes back through a pipe, so that it leaves no file behind.
 */
#ifndef VQ_REPL_VOCAB_MAKER_H
#define VQ_REPL_VOCAB_MAKER_H

#include "core/vocab/train.h"

#define SH_VOCAB_MAKER "--make-vocab"

/* As vq_vocab_train(), and VQ_ECANCELLED within a moment of t->cancel; VQ_EIO when the process
 * ended before its time. */
enum vq_status sh_vocab_make(const struct vq_vocab_training *t, char **model, size_t *size,
                             struct vq_vocab_trained *result, struct vq_err *err);

/* The process: words are those after SH_VOCAB_MAKER. Returns its exit status. */
int sh_vocab_maker_main(int argc, char **argv);

#endif
