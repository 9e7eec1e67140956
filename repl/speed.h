/*
 * speed: what `timing on` adds after commands that move tokens one by one or in blocks: the rate,
 * and how near it comes to what this machine's memory could give.
 */
#ifndef VQ_REPL_SPEED_H
#define VQ_REPL_SPEED_H

#include "repl/models.h"

/* Notes tokens/s for `tokens` moved through s in `seconds`. */
void sh_speed_note(struct sh *sh, struct sh_model *m, const struct vq_session *s, size_t tokens,
                   double seconds);

/* The same for generation, where each step of a batch reads all weights and what it needs of the
 * state: the bytes that one step touches, the rows of values that it skips, the rate that makes,
 * and the machine's measured read bandwidth (some 0.1 s). `before` is what had been read before the
 * steps. Does nothing unless timing is on. */
void sh_speed_limit_note(struct sh *sh, struct sh_model *m, const struct vq_session *s,
                         const struct vq_state_reads *before, size_t steps, double seconds);

#endif
