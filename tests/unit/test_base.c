/* The small parts of core/base: arenas, half-precision numbers, random numbers, hashes, UTF-8. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/file.h"
#include "core/base/half.h"
#include "core/base/hash.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/base/utf8.h"

/* The value binary16 stands for, by its definition. */
static double f16_value(uint16_t h)
{
    int exponent = h >> 10 & 31, rest = h & 1023;
    double size = exponent == 31 ? (rest ? (double)NAN : (double)INFINITY)
                  : exponent     ? ldexp(1024 + rest, exponent - 25)
                                 : ldexp(rest, -24);
    return h & 0x8000 ? -size : size;
}

static void half_round_trips(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 65536; i++) {
        uint16_t h = (uint16_t)i;
        float b = vq_bf16_to_f32(h), f = vq_f16_to_f32(h);
        if (isnan(b)) {
            assert_int_equal(vq_f32_to_bf16(b), h | 0x0040);
        } else {
            assert_int_equal(vq_f32_to_bf16(b), h);
            assert_int_equal(vq_f32_to_bits(b), i << 16);
        }
        if (isnan(f)) {
            assert_int_equal(vq_f32_to_f16(f), h | 0x0200);
            assert_true(isnan(f16_value(h)));
        } else {
            assert_int_equal(vq_f32_to_f16(f), h);
            assert_true((double)f == f16_value(h));
            assert_int_equal(signbit(f) != 0, h >> 15);
        }
    }
}

static void half_rounding(void **state)
{
    (void)state;
    static const struct {
        uint32_t x;
        uint16_t bf16, f16;
    } cases[] = {
        {0x7f800001, 0x7fc0, 0x7e00}, /* a NaN whose payload is all in the bits cut off */
        {0xff800001, 0xffc0, 0xfe00}, {0x7fffffff, 0x7fff, 0x7fff},
        {0x7f800000, 0x7f80, 0x7c00}, {0xff800000, 0xff80, 0xfc00},
        {0x7f7fffff, 0x7f80, 0x7c00}, /* FLT_MAX rounds up to infinity */
        {0x3f808000, 0x3f80, 0x3c04}, /* bf16 tie, down to even */
        {0x3f818000, 0x3f82, 0x3c0c}, /* bf16 tie, up to even */
        {0x3f808001, 0x3f81, 0x3c04}, {0x477fefff, 0x4780, 0x7bff}, /* just under 65520 */
        {0x477ff000, 0x4780, 0x7c00}, /* 65520 is a tie, and 65504 is odd */
        {0x3f801000, 0x3f80, 0x3c00}, /* f16 tie, down to even */
        {0x3f803000, 0x3f80, 0x3c02}, /* f16 tie, up to even */
        {0x33000000, 0x3300, 0x0000}, /* 2^-25, half of the least: to even, which is zero */
        {0x33000001, 0x3300, 0x0001}, {0x33c00000, 0x33c0, 0x0002},
        {0x387fe000, 0x3880, 0x0400}, /* the greatest subnormal and a half rounds to normal */
        {0x387fc000, 0x3880, 0x03ff}, {0x80000001, 0x8000, 0x8000},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(vq_f32_to_bf16(vq_bits_to_f32(cases[i].x)), cases[i].bf16);
        assert_int_equal(vq_f32_to_f16(vq_bits_to_f32(cases[i].x)), cases[i].f16);
    }
}

/* No neighbour is nearer, and of two as near the even one is taken. */
static void half_nearest(void **state)
{
    (void)state;
    struct vq_rng r;
    vq_rng_init(&r, 3, 0);
    for (int i = 0; i < 200000; i++) {
        double x = ldexp(1 + vq_rng_unit(&r), (int)vq_rng_below(&r, 42) - 27);
        float f = (float)x;
        uint16_t h = vq_f32_to_f16(f);
        if (h >= 0x7bff)
            continue;
        double own = fabs(f16_value(h) - (double)f);
        double up = fabs(f16_value((uint16_t)(h + 1)) - (double)f);
        double down = h ? fabs(f16_value((uint16_t)(h - 1)) - (double)f) : INFINITY;
        assert_true(own <= up && own <= down);
        assert_true((own != up && own != down) || h % 2 == 0);
    }
}

static void rng_values(void **state)
{
    (void)state;
    /* The authors' own first outputs from this state. */
    struct vq_rng r = {{1, 2, 3, 4}};
    static const uint64_t reference[] = {11520, 0, 1509978240, 1215971899390074240};
    for (size_t i = 0; i < 4; i++)
        assert_true(vq_rng_u64(&r) == reference[i]);
    /* Saved runs replay by seed: these may never change. */
    static const uint64_t ours[2][4] = {
        {0x19e479e2aaa77bfb, 0x5e3efe753be27527, 0xc3ed7125b780200a, 0x85b911e2152f876e},
        {0x0cee3ac9ad457c96, 0x719a1abe9d3f4270, 0x7256f0ab739bfce7, 0xd49ded12f8b0071a}};
    for (uint64_t stream = 0; stream < 2; stream++) {
        vq_rng_init(&r, 42, stream);
        for (size_t i = 0; i < 4; i++)
            assert_true(vq_rng_u64(&r) == ours[stream][i]);
    }
    vq_rng_init(&r, 0, 0);
    assert_true(vq_rng_unit(&r) == 0.9817508439859699);
    double x = vq_rng_normal(&r);
    assert_true(fabs(x - 0.57650722536629284) < 1e-14);
    struct vq_rng a, b;
    vq_rng_init(&a, 1, 2);
    vq_rng_init(&b, 2, 1);
    assert_true(vq_rng_u64(&a) != vq_rng_u64(&b));
}

static void rng_moments(void **state)
{
    (void)state;
    enum { N = 200000 };
    struct vq_rng r;
    vq_rng_init(&r, 7, 1);
    double sum = 0, square = 0, nsum = 0, nsquare = 0, nfourth = 0;
    size_t bins[10] = {0};
    for (int i = 0; i < N; i++) {
        double u = vq_rng_unit(&r), z = vq_rng_normal(&r);
        assert_true(u >= 0 && u < 1 && isfinite(z));
        sum += u;
        square += u * u;
        nsum += z;
        nsquare += z * z;
        nfourth += z * z * z * z;
        bins[(int)(u * 10)]++;
    }
    assert_true(fabs(sum / N - 0.5) < 0.004 && fabs(square / N - 1.0 / 3) < 0.004);
    assert_true(fabs(nsum / N) < 0.012 && fabs(nsquare / N - 1) < 0.02);
    assert_true(fabs(nfourth / N - 3) < 0.15);
    for (int i = 0; i < 10; i++)
        assert_in_range(bins[i], N / 10 - 700, N / 10 + 700);
}

static void rng_below(void **state)
{
    (void)state;
    struct vq_rng r;
    vq_rng_init(&r, 9, 0);
    assert_int_equal(vq_rng_below(&r, 0), 0);
    assert_int_equal(vq_rng_below(&r, 1), 0);
    size_t bins[6] = {0}, low = 0;
    for (int i = 0; i < 60000; i++)
        bins[vq_rng_below(&r, 6)]++;
    for (int i = 0; i < 6; i++)
        assert_in_range(bins[i], 9500, 10500);
    /* With a plain remainder the lower half of this range would come up twice as often. */
    uint64_t n = UINT64_MAX / 3 * 2;
    for (int i = 0; i < 20000; i++)
        low += vq_rng_below(&r, n) < n / 2;
    assert_in_range(low, 9700, 10300);
}

static void hashes(void **state)
{
    (void)state;
    char hex[VQ_SHA256_HEX];
    assert_int_equal(vq_sha256("abc", 3, hex, NULL), VQ_OK);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(vq_sha256("", 0, hex, NULL), VQ_OK);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static bool stop_at_third(void *ud)
{
    return ++*(int *)ud == 3;
}

static void file_hashes(void **state)
{
    (void)state;
    char folder[] = "/tmp/vqsh-base-XXXXXX", path[64], hex[VQ_SHA256_HEX];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/million-a", folder);
    size_t n = 5000000;
    char *text = malloc(n);
    memset(text, 'a', n);
    struct vq_err err = {0};
    assert_int_equal(vq_file_replace(path, text, 1000000, &err), VQ_OK);
    assert_int_equal(vq_sha256_file(path, hex, NULL, &err), VQ_OK);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    assert_int_equal(vq_file_replace(path, text, n, &err), VQ_OK);
    free(text);
    int polls = 0;
    struct vq_cancel cancel = {stop_at_third, &polls};
    assert_int_equal(vq_sha256_file(path, hex, &cancel, &err), VQ_ECANCELLED);
    assert_string_equal(hex, "");
    assert_int_equal(polls, 3);
    assert_int_equal(vq_sha256_file(folder, hex, NULL, &err), VQ_EINVAL);
    assert_non_null(strstr(err.msg, "expected a file"));
    vq_mem_fail_at(1);
    assert_int_equal(vq_sha256_file(path, hex, NULL, &err), VQ_ENOMEM);
    vq_mem_fail_at(0);
    unlink(path);
    assert_int_equal(vq_sha256_file(path, hex, NULL, &err), VQ_ENOTFOUND);
    rmdir(folder);
}

static void utf8_every_code_point(void **state)
{
    (void)state;
    for (uint32_t cp = 0; cp <= 0x110000; cp++) {
        char bytes[4];
        uint32_t back;
        size_t n = vq_utf8_put(cp, bytes);
        bool scalar = cp < 0xd800 || (cp > 0xdfff && cp < 0x110000);
        assert_int_equal(vq_utf8_next(bytes, n, &back), n);
        assert_int_equal(back, scalar ? cp : VQ_UTF8_REPLACEMENT);
        for (size_t cut = 0; cut < n; cut++)
            assert_int_equal(vq_utf8_next(bytes, cut, &back), 0);
    }
}

static void utf8_ill_formed(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        int result;
    } cases[] = {
        {"\x80", -1},
        {"\xbf"
         "a",
         -1},
        {"\xc0\x80", -1},
        {"\xc1\xbf", -1},
        {"\xe0\x9f\xbf", -1},
        {"\xed\xa0\x80", -1},
        {"\xf0\x8f\xbf\xbf", -1},
        {"\xf4\x90\x80\x80", -1},
        {"\xf5", -1},
        {"\xff", -1},
        {"\xc3(", -1},
        {"\xe2\x82(", -2},
        {"\xf0\x9f\x98(", -3},
        {"\xf0\x9f\xc3\xa9", -2},
        {"\xc3", 0},
        {"\xe2\x82", 0},
        {"\xf0\x9f\x98", 0},
        {"\xed\x9f\xbf", 3},
        {"\xee\x80\x80", 3},
        {"\xf4\x8f\xbf\xbf", 4},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t cp = 0;
        assert_int_equal(vq_utf8_next(cases[i].bytes, strlen(cases[i].bytes), &cp),
                         cases[i].result);
        if (cases[i].result < 0)
            assert_int_equal(cp, VQ_UTF8_REPLACEMENT);
    }
    assert_int_equal(vq_utf8_check("aé€😀", 10), 10);
    assert_int_equal(vq_utf8_check("aé\xff"
                                   "b",
                                   5),
                     3);
    assert_int_equal(vq_utf8_check("aé\xe2\x82", 5), 3);
    assert_int_equal(vq_utf8_check("a\0b", 3), 3);
}

static void utf8_widths(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t columns;
    } cases[] = {
        {"", 0},
        {"abc", 3},
        {"aé", 2},
        {"日本語", 6},
        {"ｱ", 1},
        {"Ａ", 2},
        {"e\u0301", 1},
        {"\u0301", 0},
        {"가", 2},
        {"\u1100\u1161\u11a8", 2},
        {"😀", 2},
        {"👍🏽", 2},
        {"❤", 1},
        {"❤\ufe0f", 2},
        {"#\ufe0f\u20e3", 2},
        {"👩‍👩‍👧‍👦", 2},
        {"👩‍🚀x", 3},
        {"🇩🇪", 2},
        {"▁the", 4},
        {"a\u200bb", 2},
        {"a\u200db", 2},
        {"\xff", 1},
        {"a\xe2\x82", 2},
        {"\xe2\x82z", 2},
        {"\u00ad", 1},
        {"🏴\U000e0067\U000e0062\U000e007f", 2},
        {"กำ", 2},
        {"\U00020000", 2},
        {"½°", 2},
        {"│█", 2},
        {"a\nb", 2},
        {"🙂🙂", 4},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (vq_utf8_width(cases[i].text, strlen(cases[i].text)) != cases[i].columns)
            fail_msg("\"%s\": expected %zu columns, found %zu", cases[i].text, cases[i].columns,
                     vq_utf8_width(cases[i].text, strlen(cases[i].text)));
    assert_int_equal(vq_utf8_cp_width('a'), 1);
    assert_int_equal(vq_utf8_cp_width(0x7f), 0);
    assert_int_equal(vq_utf8_cp_width(0x36f), 0);
    assert_int_equal(vq_utf8_cp_width(0x370), 1);
    assert_int_equal(vq_utf8_cp_width(0x115f), 2);
    assert_int_equal(vq_utf8_cp_width(0x3fffd), 2);
    assert_int_equal(vq_utf8_cp_width(0x10ffff), 1);
}

static void utf8_fit(void **state)
{
    (void)state;
    const char *text = "a日e\u0301👩‍🚀z"; /* 1, 2, 1, 2 and 1 columns */
    static const size_t bytes[] = {0, 1, 1, 4, 7, 7, 18, 19}, widths[] = {0, 1, 1, 3, 4, 4, 6, 7};
    for (size_t columns = 0; columns < 8; columns++) {
        size_t width = 99;
        assert_int_equal(vq_utf8_fit(text, strlen(text), columns, &width), bytes[columns]);
        assert_int_equal(width, widths[columns]);
    }
    assert_int_equal(vq_utf8_fit(text, strlen(text), 100, NULL), 19);
}

static const char mixed[] = "aé€😀\xff"
                            "b\xc3"
                            "c\xe2\x82"
                            "d\xf0\x9f\x98"
                            "\xc3\xa9\xed\xa0\x80"
                            "\xf0\x9f\xe2\x82\xac"
                            "\0z\xf0\x9f\x98";
#define FFFD "\xef\xbf\xbd"
static const char cleaned[] = "aé€😀" FFFD "b" FFFD "c" FFFD "d" FFFD "é" FFFD FFFD FFFD FFFD "€"
                              "\0z" FFFD;

/* Three pieces, cut at every pair of places: the output is the same whatever the cuts. */
static void utf8_stream_cuts(void **state)
{
    (void)state;
    size_t n = sizeof(mixed) - 1;
    for (size_t i = 0; i <= n; i++)
        for (size_t j = i; j <= n; j++) {
            struct vq_utf8_stream st = {0};
            struct vq_text out = {0};
            vq_utf8_stream_put(&st, mixed, i, &out);
            assert_int_equal(vq_utf8_check(out.data ? out.data : "", out.len), out.len);
            vq_utf8_stream_put(&st, mixed + i, j - i, &out);
            vq_utf8_stream_put(&st, mixed + j, n - j, &out);
            assert_int_equal(st.n_held, 3);
            vq_utf8_stream_flush(&st, &out);
            vq_utf8_stream_flush(&st, &out);
            assert_int_equal(out.len, sizeof(cleaned) - 1);
            assert_memory_equal(out.data, cleaned, out.len);
            vq_text_release(&out);
        }
}

static void utf8_stream_bytes(void **state)
{
    (void)state;
    struct vq_utf8_stream st = {0};
    struct vq_text out = {0};
    const char *smile = "😀";
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(out.len, 0);
        vq_utf8_stream_put(&st, smile + i, 1, &out);
    }
    assert_string_equal(out.data, smile);
    for (size_t i = 0; i < sizeof(mixed) - 1; i++)
        vq_utf8_stream_put(&st, mixed + i, 1, &out);
    vq_utf8_stream_flush(&st, &out);
    assert_int_equal(out.len, 4 + sizeof(cleaned) - 1);
    assert_memory_equal(out.data + 4, cleaned, sizeof(cleaned) - 1);
    vq_text_release(&out);
}

/* Pieces are zeroed, aligned, apart, of any size; sizes that overflow and memory that is out are
 * NULL, and the arena goes on. */
static void arena_pieces(void **state)
{
    (void)state;
    enum { N = 60 };
    struct vq_arena *a = vq_arena_new((size_t)1 << 20);
    unsigned char *piece[N];
    assert_non_null(a);
    for (size_t i = 0; i < N; i++) {
        size_t n = i * 997 % 41 * 10007;
        if (i == 30)
            assert_null(vq_arena_alloc(a, SIZE_MAX / 2, 3));
        if (i == 31)
            assert_null(vq_arena_alloc(a, SIZE_MAX - 100, 1));
        piece[i] = vq_arena_alloc(a, n, 1);
        assert_non_null(piece[i]);
        assert_int_equal((uintptr_t)piece[i] % 64, 0);
        for (size_t j = 0; j < n; j++)
            assert_int_equal(piece[i][j], 0);
        memset(piece[i], (int)i + 1, n);
    }
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < i * 997 % 41 * 10007; j++)
            assert_int_equal(piece[i][j], i + 1);
    }
    vq_mem_fail_at(1);
    void *failed = vq_arena_alloc(a, (size_t)3 << 20, 1);
    vq_mem_fail_at(0);
    assert_null(failed);
    assert_non_null(vq_arena_alloc(a, (size_t)3 << 20, 1));
    vq_arena_free(a);
    vq_arena_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_round_trips),  cmocka_unit_test(half_rounding),
        cmocka_unit_test(half_nearest),      cmocka_unit_test(arena_pieces),
        cmocka_unit_test(rng_values),        cmocka_unit_test(rng_moments),
        cmocka_unit_test(rng_below),         cmocka_unit_test(hashes),
        cmocka_unit_test(file_hashes),       cmocka_unit_test(utf8_every_code_point),
        cmocka_unit_test(utf8_ill_formed),   cmocka_unit_test(utf8_widths),
        cmocka_unit_test(utf8_fit),          cmocka_unit_test(utf8_stream_cuts),
        cmocka_unit_test(utf8_stream_bytes),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
