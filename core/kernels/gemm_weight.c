/*
 * gemm_weight: weights into and out of the packed form that gemm_kernel.h describes, in the three
 * formats. Packing is done once per model, spread over the pool; unpacking serves inspection and
 * back-ends that want plain matrices.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/half.h"
#include "core/base/mem.h"
#include "core/kernels/gemm_kernel.h"

#define HALF       (VQ_NR / 2)
#define INT8_WORDS (VQ_NR_INT8 / 4)  /* in a row of an int8 group */
#define HUGE_BYTES ((size_t)4 << 20) /* from here on large pages are asked for */

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
static const float *whole_row(float *copy, const float *w, size_t cols, size_t width)
{
    if (cols >= width)
        return w;
    memset(copy, 0, width * sizeof(float));
    memcpy(copy, w, cols * sizeof(float));
    return copy;
}

static void pack_f32(float *dst, size_t kc, size_t cols, const float *w, size_t ldw)
{
    float copy[VQ_NR];
    for (size_t k = 0; k < kc; k++)
        memcpy(dst + k * VQ_NR, whole_row(copy, w + k * ldw, cols, VQ_NR), sizeof(copy));
}

static void pack_bf16(uint32_t *dst, size_t kc, size_t cols, const float *w, size_t ldw)
{
    float copy[VQ_NR];
    for (size_t k = 0; k < kc; k++) {
        const float *row = whole_row(copy, w + k * ldw, cols, VQ_NR);
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
    float copy[VQ_NR_INT8], top[VQ_NR_INT8] = {0};
    for (size_t k = 0; k < n; k++) {
        const float *row = whole_row(copy, w + k * ldw, cols, VQ_NR_INT8);
        for (size_t c = 0; c < VQ_NR_INT8; c++) {
            float size = fabsf(row[c]);
            top[c] = size > top[c] ? size : top[c]; /* NaN stays */
            top[c] = size <= FLT_MAX ? top[c] : NAN;
        }
    }
    for (size_t c = 0; c < VQ_NR_INT8; c++)
        scale[c] = top[c] / 127.0f;
}

/* A row of a group as bytes in words. The magic number rounds to nearest even as it is added, and
 * leaves the integer in the lowest bits. */
static void quantise_row(uint32_t *dst, const float *row, const float *scale)
{
    const float magic = 12582912.0f;
    uint32_t q[VQ_NR_INT8];
    for (size_t c = 0; c < VQ_NR_INT8; c++) {
        float x = row[c] / (scale[c] > 0.0f ? scale[c] : 1.0f);
        x = x > 127.0f ? 127.0f : x;
        x = (x > -127.0f ? x : -127.0f) + magic;
        memcpy(&q[c], &x, sizeof(q[c]));
    }
    for (size_t j = 0; j < INT8_WORDS; j++)
        dst[j] = (q[j] & 255u) | (q[j + INT8_WORDS] & 255u) << 8 |
                 (q[j + 2 * INT8_WORDS] & 255u) << 16 | q[j + 3 * INT8_WORDS] << 24;
}

static void pack_int8(unsigned char *dst, size_t kc, size_t cols, const float *w, size_t ldw)
{
    float copy[VQ_NR_INT8], scale[VQ_NR_INT8];
    for (size_t k0 = 0; k0 < kc; k0 += VQ_INT8_GROUP) {
        size_t n = min_size(VQ_INT8_GROUP, kc - k0);
        float *stored = (float *)(void *)dst;
        uint32_t *rows = (uint32_t *)(void *)(stored + VQ_NR_INT8);
        group_scales(scale, n, cols, w + k0 * ldw, ldw);
        for (size_t c = 0; c < VQ_NR_INT8; c++)
            stored[c] = scale[c] / VQ_INT8_LIFT;
        for (size_t k = 0; k < n; k++)
            quantise_row(rows + k * INT8_WORDS,
                         whole_row(copy, w + (k0 + k) * ldw, cols, VQ_NR_INT8), scale);
        dst += vq_block_bytes(VQ_WEIGHT_INT8, n);
    }
}

struct packing {
    struct vq_weight *w;
    const float *src;
    size_t lds;
};

static void pack_panel(void *ud, size_t p, int worker)
{
    (void)worker;
    const struct packing *j = ud;
    const struct vq_weight *w = j->w;
    size_t cols = w->N - p * w->width;
    for (size_t k0 = 0; k0 < w->K; k0 += VQ_KC) {
        size_t kc = min_size(VQ_KC, w->K - k0);
        void *dst = w->data + (vq_block(w, k0, kc, p) - w->data);
        const float *src = j->src + k0 * j->lds + p * w->width;
        switch (w->format) {
        case VQ_WEIGHT_F32:
            pack_f32(dst, kc, cols, src, j->lds);
            break;
        case VQ_WEIGHT_BF16:
            pack_bf16(dst, kc, cols, src, j->lds);
            break;
        case VQ_WEIGHT_INT8:
            pack_int8(dst, kc, cols, src, j->lds);
            break;
        }
    }
}

/* Bytes of all blocks of one panel row of w; false on overflow. */
static bool data_bytes(const struct vq_weight *w, size_t *bytes)
{
    size_t full = w->K / VQ_KC;
    size_t cells;
    if (!vq_mul_ok(w->K, 4 * VQ_NR_INT8, &cells))
        return false;
    size_t panel = full * vq_block_bytes(w->format, VQ_KC);
    if (w->K % VQ_KC)
        panel += vq_block_bytes(w->format, w->K % VQ_KC);
    return vq_mul_ok(panel, w->panels, bytes);
}

/* Large pages spare a page walk every 4 KB of the stream; where there are none nothing is lost. */
static void ask_large_pages(void *data, size_t bytes)
{
    if (bytes < HUGE_BYTES)
        return;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)data + page - 1) / page * page;
    uintptr_t to = ((uintptr_t)data + bytes) / page * page;
    madvise((void *)from, to - from, MADV_HUGEPAGE);
}

enum vq_status vq_weight_new(struct vq_weight **out, enum vq_weight_format format, size_t K,
                             size_t N, const float *w, size_t ldw, struct vq_pool *pool,
                             struct vq_err *err)
{
    *out = NULL;
    if ((size_t)format >= N_FORMATS)
        return vq_fail(err, VQ_EINVAL, "unknown weight format %d", (int)format);
    if (ldw < N)
        return vq_fail(err, VQ_EINVAL, "weight rows of %zu numbers have a stride of %zu", N, ldw);
    struct vq_weight *p = vq_alloc(1, sizeof(*p));
    if (!p)
        return vq_nomem(err, "weight", 1, sizeof(*p));
    *p = (struct vq_weight){.format = format, .K = K, .N = N};
    p->width = format == VQ_WEIGHT_INT8 ? VQ_NR_INT8 : VQ_NR;
    p->panels = N / p->width + (N % p->width != 0);
    bool fits = data_bytes(p, &p->bytes);
    p->data = fits ? vq_alloc_aligned(p->bytes) : NULL;
    if (!p->data) {
        size_t bytes = p->bytes;
        vq_weight_free(p);
        return fits ? vq_nomem(err, "packed weight", bytes, 1)
                    : vq_fail(err, VQ_ENOMEM, "packed weight: %zu x %zu overflows", K, N);
    }
    ask_large_pages(p->data, p->bytes);
    struct packing j = {.w = p, .src = w, .lds = ldw};
    vq_pool_run(pool, p->panels, pack_panel, &j);
    *out = p;
    return VQ_OK;
}

void vq_weight_free(struct vq_weight *w)
{
    if (!w)
        return;
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

/* Bytes at the top of their words, as kernels take them. */
static void unpack_int8_row(float *row, const uint32_t *words, const float *scale)
{
    for (size_t c = 0; c < VQ_NR_INT8; c++) {
        uint32_t shift = 24 - (uint32_t)(c / INT8_WORDS) * 8;
        int32_t top = (int32_t)((words[c % INT8_WORDS] << shift) & 0xff000000u);
        row[c] = (float)top * scale[c];
    }
}

void vq_block_unpack(enum vq_weight_format f, size_t kc, const void *block, float *dst, size_t ldd,
                     size_t cols)
{
    float row[VQ_NR_INT8];
    for (size_t k = 0; k < kc; k++) {
        const unsigned char *group =
            (const unsigned char *)block + k / VQ_INT8_GROUP * VQ_GROUP_BYTES;
        const float *scale = (const float *)(const void *)group;
        const uint32_t *words = (const uint32_t *)(const void *)(scale + VQ_NR_INT8);
        if (f == VQ_WEIGHT_F32)
            unpack_f32_row(row, (const float *)block + k * VQ_NR);
        else if (f == VQ_WEIGHT_BF16)
            unpack_bf16_row(row, (const uint32_t *)block + k * HALF);
        else
            unpack_int8_row(row, words + k % VQ_INT8_GROUP * INT8_WORDS, scale);
        memcpy(dst + k * ldd, row, cols * sizeof(float));
    }
}

void vq_weight_unpack(const struct vq_weight *w, float *dst)
{
    for (size_t k0 = 0; k0 < w->K; k0 += VQ_KC) {
        size_t kc = min_size(VQ_KC, w->K - k0);
        for (size_t p = 0; p < w->panels; p++)
            vq_block_unpack(w->format, kc, vq_block(w, k0, kc, p), dst + k0 * w->N + p * w->width,
                            w->N, min_size(w->width, w->N - p * w->width));
    }
}
