/*
 * From one vocabulary to another: which id is made of which, what is refused, and the parameters
 * under the new ids, bit for bit, as floats and as int8 with scales.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/model/quantise.h"
#include "core/model/renumber.h"

#define MODEL "tests/data/vocab/google_test_model.model"

static struct vq_err err;

static void ok(enum vq_status status)
{
    if (status != VQ_OK)
        fail_msg("%s", err.msg);
}

static struct vq_vocab *must(const char *spec, int n)
{
    struct vq_vocab *v;
    if (vq_vocab_open(&v, spec, n, &err) != VQ_OK)
        fail_msg("%s: %s", spec, err.msg);
    return v;
}

static enum vq_status map_of(struct vq_vocab_map *map, const char *from, const char *to, int n)
{
    struct vq_vocab *a = must(from, n), *b = must(to, n);
    enum vq_status status = vq_vocab_map(map, a, b, &err);
    vq_vocab_free(a);
    vq_vocab_free(b);
    return status;
}

static struct vq_vocab_map must_map(const char *from, const char *to)
{
    struct vq_vocab_map map;
    if (map_of(&map, from, to, 0) != VQ_OK)
        fail_msg("%s", err.msg);
    return map;
}

static void refused(const char *from, const char *to, int n, const char *why)
{
    struct vq_vocab_map map;
    assert_int_equal(map_of(&map, from, to, n), VQ_EUNSUPPORTED);
    assert_null(map.from);
    if (!strstr(err.msg, why))
        fail_msg("'%s' does not contain '%s'", err.msg, why);
}

/* Special ids stay, each channel takes what all channels shared. */
static void one_to_three(void **state)
{
    (void)state;
    static const char *const specs[] = {"image64", "bytes"};
    for (size_t k = 0; k < 2; k++) {
        struct vq_vocab_map map = must_map(specs[k], "rgb64");
        assert_int_equal(map.n, 771);
        assert_int_equal(map.left, 0);
        for (int id = 0; id < 771; id++)
            assert_int_equal(map.from[id], id < 3 ? id : 3 + (id - 3) % 256);
        vq_vocab_map_release(&map);
    }
}

static void one_to_one(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"bytes", "image64"}, {"image64", "bytes"}, {"rgb64", "rgb64"}, {MODEL, MODEL}};
    for (size_t k = 0; k < 4; k++) {
        struct vq_vocab_map map = must_map(pairs[k][0], pairs[k][1]);
        assert_int_equal(map.left, 0);
        for (size_t id = 0; id < map.n; id++)
            assert_int_equal(map.from[id], id);
        vq_vocab_map_release(&map);
    }
}

static void refusals(void **state)
{
    (void)state;
    refused("rgb64", "image64", 0,
            "ids of rgb64 would fall together in 256 of the 259 ids of image64: 3 (r0) and 259 "
            "(g0) in 3 (0)");
    refused("rgb64", "bytes", 0, "259 (g0) in 3 (\\x00)");
    refused("bytes", MODEL, 0,
            "id 1 (<s>) of " MODEL " has no counterpart in bytes; of its 1000 ids 929 have none");
    refused(MODEL, "bytes", 0, "id 0 (<pad>) of bytes has no counterpart");
    refused("ids", "bytes", 259, "ids to bytes: ids without bytes");
    refused("bytes", "ids", 259, "bytes to ids: ids without bytes");
}

static void out_of_memory(void **state)
{
    (void)state;
    struct vq_vocab *a = must("image64", 0), *b = must("rgb64", 0);
    struct vq_vocab_map map;
    for (long nth = 1; nth <= 3; nth++) {
        vq_mem_fail_at(nth);
        assert_int_equal(vq_vocab_map(&map, a, b, &err), VQ_ENOMEM);
        assert_null(map.from);
    }
    vq_mem_fail_at(0);
    vq_vocab_free(a);
    vq_vocab_free(b);
}

/* A tensor [259, 5], [259] or [70, 259] of numbers that tell where they were. */
static struct vq_tensor tensor_of(const char *name, enum vq_dtype dtype, int rank, int64_t rows,
                                  int64_t cols)
{
    struct vq_tensor t = {.name = name, .dtype = dtype, .rank = rank, .is_param = true};
    t.shape[0] = rows;
    t.shape[1] = cols;
    t.count = (size_t)(rows * (rank > 1 ? cols : 1));
    t.bytes = t.count * vq_dtype_size(dtype);
    uint8_t *data = malloc(t.bytes);
    for (size_t i = 0; i < t.count; i++) {
        uint16_t half = (uint16_t)(i * 7 + 1);
        float x = (float)i + 0.5f;
        if (dtype == VQ_F32)
            memcpy(data + i * sizeof(x), &x, sizeof(x));
        else
            memcpy(data + i * sizeof(half), &half, sizeof(half));
    }
    t.data = data;
    return t;
}

/* Rows of `size` bytes are those of the map. */
static void check_rows(const struct vq_tensor *out, const struct vq_tensor *t,
                       const struct vq_vocab_map *map, size_t size)
{
    assert_int_equal(out->shape[0], map->n);
    assert_int_equal(out->bytes, map->n * size);
    for (size_t i = 0; i < map->n; i++)
        assert_memory_equal(out->data + i * size, t->data + (size_t)map->from[i] * size, size);
}

static void rows_are_copies(void **state)
{
    (void)state;
    static const enum vq_dtype dtypes[] = {VQ_F32, VQ_BF16};
    struct vq_vocab_map map = must_map("image64", "rgb64");
    for (size_t k = 0; k < 2; k++) {
        struct vq_tensor out, t = tensor_of("token_embedder/embs", dtypes[k], 2, 259, 5);
        size_t size = vq_dtype_size(t.dtype);
        ok(vq_renumber(&out, &t, &map, &err));
        assert_int_equal(out.dtype, t.dtype);
        assert_int_equal(out.shape[1], 5);
        check_rows(&out, &t, &map, 5 * size);
        free((void *)(uintptr_t)out.data);
        /* The same in pieces, as Flax files have large arrays. */
        const struct vq_span pieces[] = {{t.data, 100 * size}, {t.data + 100 * size, 1195 * size}};
        struct vq_tensor chunked = t;
        chunked.data = NULL;
        chunked.chunks = pieces;
        chunked.n_chunk = 2;
        ok(vq_renumber(&out, &chunked, &map, &err));
        assert_int_equal(out.n_chunk, 0);
        check_rows(&out, &t, &map, 5 * size);
        free((void *)(uintptr_t)out.data);
        free((void *)(uintptr_t)t.data);
        t = tensor_of(k ? "token_embedder/bias_out" : "out_proj/bias", dtypes[k], 1, 259, 0);
        ok(vq_renumber(&out, &t, &map, &err));
        check_rows(&out, &t, &map, size);
        free((void *)(uintptr_t)out.data);
        free((void *)(uintptr_t)t.data);
    }
    vq_vocab_map_release(&map);
}

/* Columns of an output matrix; as int8 it is what quantising the renumbered floats gives. */
static void columns_are_copies(void **state)
{
    (void)state;
    enum { K = 70, N = 259 };
    struct vq_pool *pool;
    struct vq_vocab_map map = must_map("bytes", "rgb64");
    struct vq_tensor out, small, small_out, late, t = tensor_of("out_proj/kernel", VQ_F32, 2, K, N);
    ok(vq_pool_new(&pool, 1, &err));
    ok(vq_renumber(&out, &t, &map, &err));
    assert_true(out.shape[0] == K && out.shape[1] == 771 && out.count == K * 771);
    for (size_t k = 0; k < K; k++)
        for (size_t i = 0; i < map.n; i++) {
            float x;
            memcpy(&x, out.data + (k * map.n + i) * sizeof(x), sizeof(x));
            assert_true(x == (float)(k * N + (size_t)map.from[i]) + 0.5f);
        }
    ok(vq_quantise(&small, &t, pool, &err));
    ok(vq_renumber(&small_out, &small, &map, &err));
    ok(vq_quantise(&late, &out, pool, &err));
    assert_int_equal(vq_tensor_scales(&small_out), 2 * 771);
    assert_int_equal(small_out.count, late.count);
    assert_memory_equal(small_out.data, late.data, late.count);
    assert_memory_equal(small_out.scale, late.scale, 2 * 771 * sizeof(float));
    const struct vq_tensor *all[] = {&out, &small, &small_out, &late, &t};
    for (size_t i = 0; i < 5; i++)
        free((void *)(uintptr_t)all[i]->data);
    vq_pool_free(pool);
    vq_vocab_map_release(&map);
}

static void tensors_refused(void **state)
{
    (void)state;
    struct vq_vocab_map map = must_map("bytes", "rgb64");
    struct vq_tensor out, t = tensor_of("token_embedder/embs", VQ_F32, 2, 200, 5);
    assert_true(vq_renumbered("out_proj/kernel") && !vq_renumbered("out_ln/g"));
    assert_int_equal(vq_renumber(&out, &t, &map, &err), VQ_ESHAPE);
    assert_non_null(strstr(err.msg, "token_embedder/embs: expected more than 258 ids along axis 0, "
                                    "found [200, 5]"));
    assert_null(out.data);
    t.name = "out_ln/g";
    assert_int_equal(vq_renumber(&out, &t, &map, &err), VQ_EINVAL);
    free((void *)(uintptr_t)t.data);
    t = tensor_of("token_embedder/embs", VQ_F32, 2, 259, 5);
    vq_mem_fail_at(1);
    assert_int_equal(vq_renumber(&out, &t, &map, &err), VQ_ENOMEM);
    vq_mem_fail_at(0);
    assert_null(out.data);
    free((void *)(uintptr_t)t.data);
    vq_vocab_map_release(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_to_three),    cmocka_unit_test(one_to_one),
        cmocka_unit_test(refusals),        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(rows_are_copies), cmocka_unit_test(columns_are_copies),
        cmocka_unit_test(tensors_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
