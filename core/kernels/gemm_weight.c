/*
 * gemm_weight: weights into and out of the packed form that gemm_kernel.h describes, in the three
 * formats. Packing is done once per model, spread over the pool; unpacking serves inspection and
 * back-ends that want plain matrices.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/half.h"
#include "core/base/mem.h"
#include "core/kernels/gemm_kernel.h"

#define HALF (VQ_NR / 2)

static const char *const format_names[] = {
    [VQ_WEIGHT_F32] = "f32",
    [VQ_WEIGHT_BF16] = "bf16",
    [VQ_WEIGHT_INT8] = "int8",
};

#define N_FORMATS (sizeof(format_names) / sizeof(format_names[0]))
_Static_assert(N_FORMATS == VQ_WEIGHT_INT8 + 1, "every format has a name");

const char *vq_weight_format_name(enum vq_weight_format f)
{
    return (size_t)f < N_FORMATS ? format_names[f] : "unknown";
}

bool vq_weight_format_parse(const char *name, enum vq_weight_format *out)
{
    for (size_t i = 0; i < N_FORMATS; i++) {
        if (!strcmp(name, format_names[i])) {
            *out = (enum vq_weight_format)i;
            return true;
        }
    }
    return false;
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* A panel's row of w: itself, or a copy with zeros where w has no columns. Loops over a whole width
 * become vectors. */
static const float *whole_row(float *copy, const float *w, size_t cols)
{
    if (cols >= VQ_NR)
        return w;
    memset(copy, 0, VQ_NR * sizeof(float));
    memcpy(copy, w, cols * sizeof(float));
    return copy;
}

static void pack_f32(float *dst, size_t kc, size_t cols, const float *w, size_t ldw)
{
    float copy[VQ_NR];
    for (size_t k = 0; k < kc; k++)
        memcpy(dst + k * VQ_NR, whole_row(copy, w + k * ldw, cols), sizeof(copy));
}

static void pack_bf16(uint32_t *dst, size_t kc, size_t cols, const float *w, size_t ldw)
{
    float copy[VQ_NR];
    for (size_t k = 0; k < kc; k++) {
        const float *row = whole_row(copy, w + k * ldw, cols);
        for (size_t j = 0; j < HALF; j++) {
            uint32_t lo = vq_f32_to_bf16(row[j]), hi = vq_f32_to_bf16(row[j + HALF]);
            dst[k * HALF + j] = lo | hi << 16;
        }
    }
}

/* The scales of a group of n inputs. A column with a value that is not finite gets NaN: products
 * show it, rather than a clipped number. */
static void group_scales(float *scale, size_t n, size_t cols, const float *w, size_t ldw)
{
    float copy[VQ_NR], top[VQ_NR] = {0};
    for (size_t k = 0; k < n; k++) {
        const float *row = whole_row(copy, w + k * ldw, cols);
        for (size_t c = 0; c < VQ_NR; c++) {
            float size = fabsf(row[c]);
            top[c] = size > top[c] ? size : top[c]; /* NaN stays */
            top[c] = size <= FLT_MAX ? top[c] : NAN;
        }
    }
    for (size_t c = 0; c < VQ_NR; c++)
        scale[c] = top[c] / 127.0f;
}

/* A row of a group, into every second byte. The magic number rounds to nearest even as it is added,
 * and leaves the integer in the lowest bits. */
static void quantise_row(unsigned char *dst, const float *row, const float *scale)
{
    const float magic = 12582912.0f;
    for (size_t c = 0; c < VQ_NR; c++) {
        float x = row[c] / (scale[c] > 0.0f ? scale[c] : 1.0f);
        uint32_t q;
        x = x > 127.0f ? 127.0f : x;
        x = (x > -127.0f ? x : -127.0f) + magic;
        memcpy(&q, &x, sizeof(q));
        dst[2 * c] = (unsigned char)q;
    }
}

/* A group of n inputs: its scales, then its rows two by two. */
static void pack_int8(unsigned char *dst, size_t n, size_t cols, const float *w, size_t ldw)
{
    float copy[VQ_NR], scale[VQ_NR];
    unsigned char *rows = dst + sizeof(scale);
    memset(dst, 0, vq_block_bytes(VQ_WEIGHT_INT8, n));
    group_scales(scale, n, cols, w, ldw);
    memcpy(dst, scale, sizeof(scale));
    for (size_t k = 0; k < n; k++)
        quantise_row(rows + k / 2 * 2 * VQ_NR + k % 2, whole_row(copy, w + k * ldw, cols), scale);
}

/* The same from numbers that are quantised already. */
static void pack_quantised(unsigned char *dst, size_t n, size_t cols, const int8_t *q, size_t ldq,
                           const float *scale)
{
    unsigned char *rows = dst + VQ_NR * sizeof(*scale);
    memset(dst, 0, vq_block_bytes(VQ_WEIGHT_INT8, n));
    memcpy(dst, scale, min_size(cols, VQ_NR) * sizeof(*scale));
    for (size_t k = 0; k < n; k++)
        for (size_t c = 0; c < min_size(cols, VQ_NR); c++)
            rows[k / 2 * 2 * VQ_NR + k % 2 + 2 * c] = (unsigned char)q[k * ldq + c];
}

void vq_int8_quantise(size_t n, size_t cols, const float *w, size_t ldw, int8_t *q, size_t ldq,
                      float *scale)
{
    float copy[VQ_NR], scales[VQ_NR];
    unsigned char row[2 * VQ_NR];
    for (size_t c = 0; c < cols; c += VQ_NR) {
        size_t width = min_size(cols - c, VQ_NR);
        group_scales(scales, n, width, w + c, ldw);
        memcpy(scale + c, scales, width * sizeof(*scale));
        for (size_t k = 0; k < n; k++) {
            quantise_row(row, whole_row(copy, w + k * ldw + c, width), scales);
            for (size_t j = 0; j < width; j++)
                q[k * ldq + c + j] = (int8_t)row[2 * j];
        }
    }
}

/* Packing goes by groups of VQ_INT8_GROUP inputs and runs of PACK_COLS columns: pieces that fit a
 * cache, and enough of them for all threads. */
#define PACK_COLS 256

struct packing {
    struct vq_weight *w;
    const struct vq_weight_source *from;
    size_t k0; /* the block whose groups are packed */
    size_t runs;
};

/* Where the group that begins with input k0 + in_block lies in panel p. */
static unsigned char *group_at(const struct vq_weight *w, size_t k0, size_t in_block, size_t p)
{
    return w->data + (vq_block(w, k0, p) - w->data) + vq_block_bytes(w->format, in_block);
}

static void pack_floats(const struct packing *j, size_t in_block, size_t n, size_t c0, size_t cols)
{
    _Alignas(64) float x[VQ_INT8_GROUP * PACK_COLS];
    const struct vq_weight *w = j->w;
    j->from->read(j->from->ud, j->k0 + in_block, n, c0, cols, x, PACK_COLS);
    for (size_t c = 0; c < cols; c += VQ_NR) {
        void *dst = group_at(w, j->k0, in_block, (c0 + c) / VQ_NR);
        switch (w->format) {
        case VQ_WEIGHT_F32:
            pack_f32(dst, n, cols - c, x + c, PACK_COLS);
            break;
        case VQ_WEIGHT_BF16:
            pack_bf16(dst, n, cols - c, x + c, PACK_COLS);
            break;
        case VQ_WEIGHT_INT8:
            pack_int8(dst, n, cols - c, x + c, PACK_COLS);
            break;
        }
    }
}

static void pack_groups(const struct packing *j, size_t in_block, size_t n, size_t c0, size_t cols)
{
    int8_t q[VQ_INT8_GROUP * PACK_COLS];
    float scale[PACK_COLS];
    j->from->read_int8(j->from->ud, j->k0 + in_block, n, c0, cols, q, PACK_COLS, scale);
    for (size_t c = 0; c < cols; c += VQ_NR)
        pack_quantised(group_at(j->w, j->k0, in_block, (c0 + c) / VQ_NR), n, cols - c, q + c,
                       PACK_COLS, scale + c);
}

static void pack_task(void *ud, size_t task, int worker)
{
    (void)worker;
    const struct packing *j = ud;
    const struct vq_weight *w = j->w;
    size_t in_block = task / j->runs * VQ_INT8_GROUP, c0 = task % j->runs * PACK_COLS;
    size_t n = min_size(VQ_INT8_GROUP, w->K - j->k0 - in_block);
    size_t cols = min_size(PACK_COLS, w->N - c0);
    if (w->format == VQ_WEIGHT_INT8 && j->from->read_int8)
        pack_groups(j, in_block, n, c0, cols);
    else
        pack_floats(j, in_block, n, c0, cols);
}

/* Block by block, so that the source may let go of what has been read. */
static void pack_all(struct vq_weight *w, const struct vq_weight_source *from, struct vq_pool *pool)
{
    struct packing j = {.w = w, .from = from, .runs = (w->N + PACK_COLS - 1) / PACK_COLS};
    for (; j.k0 < w->K; j.k0 += VQ_KC) {
        size_t kc = min_size(VQ_KC, w->K - j.k0);
        size_t groups = (kc + VQ_INT8_GROUP - 1) / VQ_INT8_GROUP;
        vq_pool_run(pool, groups * j.runs, pack_task, &j);
        if (from->done)
            from->done(from->ud, j.k0, kc);
    }
}

/* Sets the sizes of w's data; false on overflow. */
static bool data_bytes(struct vq_weight *w)
{
    size_t cells;
    if (!vq_mul_ok(w->K, 8 * VQ_NR, &cells))
        return false;
    w->panel_bytes = w->K / VQ_KC * vq_block_bytes(w->format, VQ_KC);
    if (w->K % VQ_KC)
        w->panel_bytes += vq_block_bytes(w->format, w->K % VQ_KC);
    w->panels = w->N / VQ_NR + (w->N % VQ_NR != 0);
    return vq_mul_ok(w->panel_bytes, w->panels, &w->bytes);
}

size_t vq_weight_size(enum vq_weight_format format, size_t K, size_t N)
{
    struct vq_weight w = {.format = format, .K = K, .N = N};
    return data_bytes(&w) ? w.bytes : SIZE_MAX;
}

enum vq_status vq_weight_from(struct vq_weight **out, enum vq_weight_format format, size_t K,
                              size_t N, const struct vq_weight_source *from, struct vq_pool *pool,
                              struct vq_arena *arena, struct vq_err *err)
{
    *out = NULL;
    if ((size_t)format >= N_FORMATS)
        return vq_fail(err, VQ_EINVAL, "unknown weight format %d", (int)format);
    struct vq_weight *p = vq_alloc(1, sizeof(*p));
    if (!p)
        return vq_nomem(err, "weight", 1, sizeof(*p));
    *p = (struct vq_weight){.format = format, .K = K, .N = N};
    bool fits = data_bytes(p);
    p->borrowed = arena != NULL;
    if (fits)
        p->data = arena ? vq_arena_alloc(arena, p->bytes, 1) : vq_alloc_aligned(p->bytes);
    if (!p->data) {
        size_t bytes = p->bytes;
        vq_weight_free(p);
        return fits ? vq_nomem(err, "packed weight", bytes, 1)
                    : vq_fail(err, VQ_ENOMEM, "packed weight: %zu x %zu overflows", K, N);
    }
    pack_all(p, from, pool);
    *out = p;
    return VQ_OK;
}

struct plain {
    const float *w;
    size_t ldw;
};

static void read_plain(const void *ud, size_t k, size_t n, size_t c, size_t cols, float *dst,
                       size_t ldd)
{
    const struct plain *p = ud;
    for (size_t i = 0; i < n; i++)
        memcpy(dst + i * ldd, p->w + (k + i) * p->ldw + c, cols * sizeof(*dst));
}

enum vq_status vq_weight_new(struct vq_weight **out, enum vq_weight_format format, size_t K,
                             size_t N, const float *w, size_t ldw, struct vq_pool *pool,
                             struct vq_arena *arena, struct vq_err *err)
{
    const struct plain plain = {w, ldw};
    const struct vq_weight_source from = {.ud = &plain, .read = read_plain};
    *out = NULL;
    if (ldw < N)
        return vq_fail(err, VQ_EINVAL, "weight rows of %zu numbers have a stride of %zu", N, ldw);
    return vq_weight_from(out, format, K, N, &from, pool, arena, err);
}

void vq_weight_free(struct vq_weight *w)
{
    if (!w)
        return;
    if (!w->borrowed)
        free(w->data);
    free(w);
}

size_t vq_weight_bytes(const struct vq_weight *w)
{
    return w->bytes;
}

size_t vq_weight_rows(const struct vq_weight *w)
{
    return w->K;
}

size_t vq_weight_cols(const struct vq_weight *w)
{
    return w->N;
}

static void unpack_f32_row(float *row, const float *block)
{
    memcpy(row, block, VQ_NR * sizeof(float));
}

static void unpack_bf16_row(float *row, const uint32_t *words)
{
    for (size_t j = 0; j < HALF; j++) {
        row[j] = vq_bf16_to_f32((uint16_t)words[j]);
        row[j + HALF] = vq_bf16_to_f32((uint16_t)(words[j] >> 16));
    }
}

static void unpack_int8_row(float *row, const unsigned char *bytes, const float *scale)
{
    for (size_t c = 0; c < VQ_NR; c++)
        row[c] = (float)(signed char)bytes[2 * c] * scale[c];
}

void vq_block_unpack(enum vq_weight_format f, size_t kc, const void *block, float *dst, size_t ldd,
                     size_t cols)
{
    float row[VQ_NR];
    for (size_t k = 0; k < kc; k++) {
        const unsigned char *group =
            (const unsigned char *)block + k / VQ_INT8_GROUP * VQ_GROUP_BYTES;
        const float *scale = (const float *)(const void *)group;
        const unsigned char *bytes = group + VQ_NR * sizeof(*scale);
        size_t in = k % VQ_INT8_GROUP;
        if (f == VQ_WEIGHT_F32)
            unpack_f32_row(row, (const float *)block + k * VQ_NR);
        else if (f == VQ_WEIGHT_BF16)
            unpack_bf16_row(row, (const uint32_t *)block + k * HALF);
        else
            unpack_int8_row(row, bytes + in / 2 * 2 * VQ_NR + in % 2, scale);
        memcpy(dst + k * ldd, row, cols * sizeof(float));
    }
}

void vq_weight_unpack(const struct vq_weight *w, float *dst)
{
    for (size_t k0 = 0; k0 < w->K; k0 += VQ_KC) {
        size_t kc = min_size(VQ_KC, w->K - k0);
        for (size_t p = 0; p < w->panels; p++)
            vq_block_unpack(w->format, kc, vq_block(w, k0, p), dst + k0 * w->N + p * VQ_NR, w->N,
                            min_size(VQ_NR, w->N - p * VQ_NR));
    }
}
