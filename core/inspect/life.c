#include "core/inspect/life.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

void vq_life_codes(struct vq_life_code *out, size_t S, const int32_t *codes, int64_t n, int64_t M)
{
    for (size_t s = 0; s < S; s++)
        out[s] = (struct vq_life_code){0, -1, -1};
    for (int64_t p = 0; p < n - M; p++) {
        struct vq_life_code *c = &out[codes[p]];
        c->oldest = c->count++ ? c->oldest : p;
        c->newest = p;
    }
}

static int more_frequent(const void *a, const void *b)
{
    const struct vq_token_count *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

enum vq_status vq_life_tokens(struct vq_token_count **list, size_t *count, const int32_t *codes,
                              const int32_t *tokens, int64_t n, int64_t M, int32_t code,
                              size_t n_vocab, struct vq_err *err)
{
    size_t kept = 0;
    *list = NULL;
    *count = 0;
    struct vq_token_count *all = vq_calloc(n_vocab, sizeof(*all));
    if (!all)
        return vq_nomem(err, "counts of tokens", n_vocab, sizeof(*all));
    for (int64_t p = 0; p < n - M; p++) {
        all[tokens[p]].of++;
        all[tokens[p]].count += codes[p] == code;
    }
    for (size_t i = 0; i < n_vocab; i++)
        if (all[i].count)
            all[kept++] = (struct vq_token_count){(int32_t)i, all[i].count, all[i].of};
    qsort(all, kept, sizeof(*all), more_frequent);
    *list = all;
    *count = kept;
    return VQ_OK;
}

void vq_life_counts(float *out, size_t S, size_t columns, const int32_t *codes, int64_t n,
                    int64_t M)
{
    int64_t p = 0;
    for (size_t c = 0; c < columns; c++) {
        int64_t fed = (int64_t)((double)n * (double)(c + 1) / (double)columns);
        for (size_t s = 0; s < S; s++)
            out[s * columns + c] = c > 0 ? out[s * columns + c - 1] : 0.0f;
        for (; p < fed - M; p++)
            out[(size_t)codes[p] * columns + c] += 1.0f;
    }
}
