/*
 * session: the attention state of B sequences that move in step through one engine, and the
 * position they have reached. State after n tokens: the last min(n, M) positions' codes and
 * values, and the aggregate (count and mean value per code) of everything older. Its size does not
 * depend on n.
 *
 * The blocks in which tokens are fed do not matter: window keys, keys that leave the window inside
 * a block and the aggregate enter one softmax, which is exactly the softmax over all the past.
 *
 * Nothing is committed until a block has passed through all modules: a cancelled or failed feed
 * leaves the session at the end of the last whole block.
 */
#ifndef VQ_CORE_MODEL_SESSION_H
#define VQ_CORE_MODEL_SESSION_H

#include "core/model/engine.h"

struct vq_session;

/* An empty state of `batch` sequences. The engine must outlive it. */
enum vq_status vq_session_new(struct vq_session **out, const struct vq_engine *e, int batch,
                              struct vq_err *err);
void vq_session_free(struct vq_session *s);
void vq_session_reset(struct vq_session *s);
/* A copy with `batch` sequences: of the same batch, or any batch from a session of one sequence.
 * The source is untouched. */
enum vq_status vq_session_fork(struct vq_session **out, const struct vq_session *s, int batch,
                               struct vq_err *err);
/* A session of sequence `row` alone, copied. VQ_EINVAL when there is no such. */
enum vq_status vq_session_row(struct vq_session **out, const struct vq_session *s, int row,
                              struct vq_err *err);

const struct vq_engine *vq_session_engine(const struct vq_session *s);
int vq_session_batch(const struct vq_session *s);
int64_t vq_session_position(const struct vq_session *s); /* tokens fed so far */
uint64_t vq_session_bytes(const struct vq_session *s);   /* memory held, scratch included */
/* What vq_session_bytes() will be of B sequences on e once they were fed in whole blocks and all
 * their logits were asked for: the most that it gets to. */
uint64_t vq_session_size(const struct vq_engine *e, int batch);

/* What tokens fed one at a time took of the state, all B sequences, since the session was made. */
struct vq_state_reads {
    uint64_t bytes; /* needed: rows of values that have a weight (all with VQ_SKIP_NONE), the codes
                       of the window, the counts of the aggregate */
    uint64_t rows;  /* of values, in window and aggregate, */
    uint64_t skipped; /* of which so many were not read */
};
struct vq_state_reads vq_session_reads(const struct vq_session *s);

/* Where a block stands, as observers see it. */
struct vq_block {
    int batch;             /* B */
    int n;                 /* tokens per sequence in this block */
    int64_t position;      /* absolute position of the block's first token */
    const int32_t *tokens; /* [B, n] */
};

/* What a module did in a block. Arrays are borrowed during the call. */
struct vq_module_view {
    int module;           /* layer * 2 + (attn - 1) */
    const int32_t *codes; /* [B, H, n] shortcodes z */
    const float *keys;    /* normalised, scaled keys before quantisation: [H, K] of row r at
                             keys + r * key_stride */
    size_t key_stride;
    const float *branch; /* [B * n, D] what the module adds to the residual stream */
    const float *stream; /* [B * n, D] the residual stream after adding it */
    const float *gates;  /* gates after their SiLU: [H, V] of row r at gates + r * key_stride */

    /* The softmax of query t of sequence b, head h at weights + ((b * H + h) * n + t) *
     * weight_stride: n_keys keys one by one, at positions first_key and up (0 where the query does
     * not see them; those further back than M carry no position term, as in the aggregate), then
     * the S codes of the aggregate as it stood before the block. */
    const float *weights;
    size_t weight_stride;
    size_t n_keys;
    int64_t first_key;
    const int32_t *key_codes; /* of key j at key_codes + (b * H + h) * key_code_stride + j */
    size_t key_code_stride;
    const int64_t *count; /* [B, H, S] members of each code of the aggregate */
    bool aggregate;       /* false without agg_cache: the S weights are not there */
};

/* Callbacks, each may be NULL. Rows of [B * n, ...] arrays are b * n + t. */
struct vq_observer {
    void *ud;
    void (*embedded)(void *ud, const struct vq_block *b, const float *x); /* [B * n, D] */
    void (*module)(void *ud, const struct vq_block *b, const struct vq_module_view *v);
    /* Logits after e_scale [B * n, N]; NULL here spares the output product but for the last
     * token of the feed. Returning non-VQ_OK stops after this block, which stays committed. */
    enum vq_status (*logits)(void *ud, const struct vq_block *b, const float *logits,
                             struct vq_err *err);
    /* After a block is committed. */
    void (*committed)(void *ud, const struct vq_block *b);
};

struct vq_feed_options {
    int block; /* tokens per block, capped by the engine's choice; 0: that choice */
    const struct vq_observer *observe; /* or NULL */
    const struct vq_cancel *cancel;    /* or NULL; polled between modules */
    int no_logits;                     /* 1: do not compute even the last logits */
};

/* Feeds tokens[B, n] (row stride `stride` >= n). Ids outside the vocabulary are VQ_EINVAL before
 * anything is changed. options may be NULL. */
enum vq_status vq_session_feed(struct vq_session *s, const int32_t *tokens, size_t n, size_t stride,
                               const struct vq_feed_options *options, struct vq_err *err);

/* Logits after the last token, [B, N]; NULL at position 0 and after no_logits. Borrowed until the
 * next call that changes s. */
const float *vq_session_logits(const struct vq_session *s);

/*
 * The state of one module of one sequence, folded so that the window holds the last min(n, M)
 * positions. Borrowed until s changes.
 */
struct vq_cache_view {
    int64_t position;    /* n */
    int window;          /* positions in the window, min(n, M) */
    int64_t first;       /* absolute position of the window's oldest */
    const int32_t *code; /* [H][stride] codes of the window, oldest first */
    size_t code_stride;
    const float *value; /* [H][value_stride] values: row t at value + h * value_stride + t * V */
    size_t value_stride;
    const int64_t *count; /* [H, S] lower */
    const float *mean;    /* [H, S, V] upper_div_lower */
};
/* value and mean are copies as floats, in `room` of vq_session_cache_floats(s) floats, whatever
 * format the session keeps them in (means as they are kept, not as queries see them rounded); NULL
 * when room is. */
void vq_session_cache(const struct vq_session *s, int module, int b, float *room,
                      struct vq_cache_view *out);
size_t vq_session_cache_floats(const struct vq_session *s);

/*
 * The softmax of the last query fed, of one module, head and sequence: over `window` keys at
 * absolute positions first..first+window-1 (distance 0..M, the query's own included), then over
 * the S codes of the aggregate. weight sums to 1; score is the logit before the softmax (of a
 * code: with log n added); empty codes have weight 0 and score -inf. VQ_ENOTFOUND when no token
 * was fed since the session was made or its state loaded.
 */
struct vq_attention_view {
    int64_t query; /* absolute position of the query */
    int window;
    int64_t first;
    const float *score;     /* [window + S] */
    const float *weight;    /* [window + S] */
    const int32_t *code;    /* [window] codes of the window keys */
    const int64_t *count;   /* [S] members of each code in the aggregate as that query saw it */
    const float *query_vec; /* [K] the query q, before u and v are added */
};
enum vq_status vq_session_attention(const struct vq_session *s, int module, int head, int b,
                                    struct vq_attention_view *out, struct vq_err *err);

/* Tokens to go into a state file: the last n of each sequence, [B, n] without gaps, -1 where they
 * are not known. */
struct vq_state_tokens {
    const int32_t *ids;
    size_t n;
};

/* Saves the state as safetensors (of constant size but for the tokens), with `sha256` of the
 * model's file (may be "") in its metadata. Tensors, with the authors' names for the state: xl_z
 * int32 [n_layer, 2, B, H, M] (unfilled slots hold S, filled ones are the last), xl_v [.., M, V] as
 * the session keeps values: f32, bf16, or int8 with xl_v_scale f32 [.., M, strips] (V cut into
 * strips of equal width, a multiple of 64 of at most 256), agg_lower int64 [.., S],
 * agg_upper_div_lower f32
 * [.., S, V], pos_offset int64 [], logits f32 [B, N] (absent when there are none), and with
 * `tokens` (or NULL) tokens int32 [B, n]. */
enum vq_status vq_session_save(const struct vq_session *s, const char *path, const char *sha256,
                               const struct vq_state_tokens *tokens, uint64_t *bytes,
                               struct vq_err *err);
/* A new session of the batch that the file holds, on an engine of the same shapes and, when both
 * are known, of the same model file. Values in another format than the engine's are converted. */
enum vq_status vq_session_load(struct vq_session **out, const struct vq_engine *e, const char *path,
                               const char *sha256, struct vq_err *err);
/* The tokens that the state file of s holds, ids [B, n]: the caller frees *ids, NULL with *n 0 when
 * the file has none. Ids that are neither of the vocabulary nor -1 are VQ_EFORMAT. */
enum vq_status vq_session_load_tokens(const struct vq_session *s, const char *path, int32_t **ids,
                                      size_t *n, struct vq_err *err);

#endif
