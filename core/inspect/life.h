/*
 * life: how the aggregate of one module and head came to be, told from the codes of all positions
 * so far: which positions went into a code, since when, and how counts grew. Plain arrays: codes[n]
 * are those of positions 0..n-1, M is mem_len; the aggregate then holds positions 0..n-M-1.
 */
#ifndef VQ_CORE_INSPECT_LIFE_H
#define VQ_CORE_INSPECT_LIFE_H

#include <stdint.h>

#include "core/inspect/trace.h"

struct vq_life_code {
    int64_t count;          /* positions in the code */
    int64_t oldest, newest; /* the first and the last of them; -1 when there are none */
};
/* All S codes into out[S]. */
void vq_life_codes(struct vq_life_code *out, size_t S, const int32_t *codes, int64_t n, int64_t M);

/* The tokens of the positions in one code, most frequent first, ties by id; tokens[n] are ids below
 * n_vocab. `of` counts the token over the whole aggregate. *list is the caller's to free, *count
 * long. VQ_ENOMEM. */
enum vq_status vq_life_tokens(struct vq_token_count **list, size_t *count, const int32_t *codes,
                              const int32_t *tokens, int64_t n, int64_t M, int32_t code,
                              size_t n_vocab, struct vq_err *err);

/*
 * Counts over time: out[S, columns], where column c shows the aggregate after
 * n (c + 1) / columns tokens (rounded down). columns is at least 1.
 */
void vq_life_counts(float *out, size_t S, size_t columns, const int32_t *codes, int64_t n,
                    int64_t M);

#endif
