/*
 * Data sets of text and of ready tokens: splits, packing with eos, orders that a seed repeats,
 * places that can be taken up, pieces made in groups, and what is refused.
 */
#include "tests/unit/test_data.h"

#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/base/text.h"

/* 100 bytes 0, 1, 2, ... of a text file. */
static const char *hundred(void)
{
    char text[100];
    for (int i = 0; i < 100; i++)
        text[i] = (char)i;
    put("hundred.txt", text, sizeof(text));
    return in("hundred.txt");
}

/* Three books of training, one each of the others. */
static const char *books(void)
{
    static const char *const folders[] = {"books", "books/train", "books/validation", "books/test",
                                          "books/train/more"};
    for (size_t i = 0; i < 5; i++)
        if (access(in(folders[i]), F_OK) != 0)
            put_folder(folders[i]);
    put_text("books/train/2.txt", "de f");
    put_text("books/train/1.txt", "abc");
    put_text("books/train/more/10.txt", "g");
    put_text("books/train/.hidden.txt", "no");
    put_text("books/train/notes.pdf", "no");
    put_text("books/validation/7.txt", "one book");
    put_text("books/test/8.txt", "");
    put_text("books/test/9.TXT", "x");
    return in("books");
}

static void test_splits_and_padding(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {90, 5, 5}, from[] = {0, 90, 95};
    const char *path = hundred();
    for (int split = VQ_TRAIN; split <= VQ_TEST; split++) {
        for (size_t B = 1; B <= 7; B += 3) {
            struct vq_data_options o = options(bytes, (enum vq_split)split, B, 4);
            struct vq_data *d = must_open(path, &o);
            struct vq_data_info info = vq_data_info(d);
            size_t n, rows;
            int32_t *t = all_tokens(d, &o, &n), again[28];
            assert_string_equal(info.kind, "text");
            assert_true(info.is_text && info.documents == 1 && info.bytes == sizes[split]);
            assert_int_equal(info.sequences, (sizes[split] + 3) / 4);
            assert_int_equal(n, info.sequences * 4);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(t[i], i < sizes[split] ? (int)(from[split] + i) + 3 : VQ_PAD);
            assert_ok(vq_data_next(d, again, NULL, &rows, &err), &err);
            assert_int_equal(rows, 0);
            for (size_t i = 0; i < B * 4; i++)
                assert_int_equal(again[i], VQ_PAD);
            free(t);
            vq_data_free(d);
        }
    }
}

/* Books by number, eos after each, packed; folders below a split's are part of it. */
static void test_books(void **state)
{
    (void)state;
    static const char want[] = "abc|de f|g|";
    const char *path = books();
    for (size_t T = 1; T <= 13; T++) {
        struct vq_data_options o = options(bytes, VQ_TRAIN, 2, T);
        struct vq_data *d = must_open(path, &o);
        struct vq_data_info info = vq_data_info(d);
        size_t n;
        uint64_t words;
        int32_t *t = all_tokens(d, &o, &n);
        assert_string_equal(info.kind, "pg19");
        assert_true(info.documents == 3 && info.bytes == 8 && info.sequences == (11 + T - 1) / T);
        assert_int_equal(n, info.sequences * T);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(t[i], i >= 11          ? VQ_PAD
                                   : want[i] == '|' ? VQ_EOS
                                                    : want[i] + VQ_N_SPECIAL);
        assert_ok(vq_data_words(d, &words, &err), &err);
        assert_int_equal(words, 4);
        free(t);
        vq_data_free(d);
    }
    struct vq_data_options o = options(bytes, VQ_VALIDATION, 1, 20);
    struct vq_data *d = must_open(path, &o);
    assert_int_equal(vq_data_info(d).documents, 1);
    vq_data_free(d);
    o.split = VQ_TEST; /* an empty book is a book; an extension may be in capitals */
    d = must_open(path, &o);
    assert_int_equal(vq_data_info(d).documents, 2);
    size_t n;
    int32_t *t = all_tokens(d, &o, &n);
    assert_true(t[0] == VQ_EOS && t[1] == 'x' + 3 && t[2] == VQ_EOS && t[3] == VQ_PAD);
    free(t);
    vq_data_free(d);
}

/* A folder of files without folders for splits: each file is cut. "text:" says no eos. */
static void test_folder(void **state)
{
    (void)state;
    put_folder("folder");
    put_text("folder/a.txt", "0123456789012345678");
    put_text("folder/b.md", "abcdefghij");
    char spec[300];
    snprintf(spec, sizeof(spec), "text:%s", in("folder"));
    static const char *const want[] = {"01234567890123456abcdefghi", "7", "8j"};
    for (int split = VQ_TRAIN; split <= VQ_TEST; split++) {
        struct vq_data_options o = options(bytes, (enum vq_split)split, 1, 1);
        struct vq_data *d = must_open(split ? spec : in("folder"), &o);
        size_t n;
        int32_t *t = all_tokens(d, &o, &n);
        assert_int_equal(n, strlen(want[split]));
        for (size_t i = 0; i < n; i++)
            assert_int_equal(t[i], want[split][i] + 3);
        free(t);
        vq_data_free(d);
    }
    books();
    snprintf(spec, sizeof(spec), "text:%s", in("books"));
    struct vq_data_options o = options(bytes, VQ_TRAIN, 1, 8);
    struct vq_data *d = must_open(spec, &o);
    assert_int_equal(vq_data_info(d).sequences, 1);
    vq_data_free(d);
}

static void test_enwik8(void **state)
{
    (void)state;
    /* The same text as a file, in an archive beside another file, and in a folder. */
    struct vq_text lines = {0};
    vq_text_puts(&lines, "<mediawiki>\n");
    for (int i = 0; i < 100; i++)
        vq_text_printf(&lines, "line %d of a page\n", i);
    const char *text = lines.data;
    size_t size = lines.len;
    put("enwik8-start", text, size);
    put_folder("wiki");
    put("wiki/enwik8", text, size);
    const char *const paths[] = {in("enwik8-start"), "tests/data/data/enwik8.zip", in("wiki")};
    for (size_t k = 0; k < 3; k++) {
        uint64_t at = 0;
        for (int split = VQ_TRAIN; split <= VQ_TEST; split++) {
            struct vq_data_options o = options(bytes, (enum vq_split)split, 3, 16);
            struct vq_data *d = must_open(paths[k], &o);
            size_t n;
            int32_t *t = all_tokens(d, &o, &n);
            uint64_t part = vq_data_info(d).bytes;
            assert_string_equal(vq_data_info(d).kind, "enwik8");
            for (size_t i = 0; i < part; i++)
                assert_int_equal(t[i], (uint8_t)text[at + i] + 3);
            at += part;
            assert_int_equal(at, split == VQ_TRAIN        ? size * 9 / 10
                                 : split == VQ_VALIDATION ? size * 95 / 100
                                                          : size);
            free(t);
            vq_data_free(d);
        }
    }
    vq_text_release(&lines);
}

/* ---- order ---- */

/* Each epoch holds every sequence once, in an order of its own, and batches go on across the
 * epochs' ends. */
static void test_epochs(void **state)
{
    (void)state;
    enum { N = 23, EPOCHS = 4 };
    struct vq_data_options o = options(bytes, VQ_TRAIN, 5, 4);
    uint64_t order[EPOCHS * N + 5], sequence[5];
    o.shuffled = true;
    o.seed = 3;
    struct vq_data *d = must_open(hundred(), &o);
    int32_t t[5 * 4];
    size_t rows, n = 0;
    while (n < EPOCHS * N) {
        assert_ok(vq_data_next(d, t, sequence, &rows, &err), &err);
        assert_int_equal(rows, 5);
        for (size_t b = 0; b < 5; b++) {
            assert_int_equal(t[b * 4], (int)sequence[b] * 4 + 3);
            order[n++] = sequence[b];
        }
    }
    for (size_t e = 0; e < EPOCHS; e++) {
        uint32_t seen = 0;
        for (size_t i = 0; i < N; i++)
            seen |= 1u << order[e * N + i];
        assert_int_equal(seen, (1u << N) - 1);
        for (size_t f = 0; f < e; f++)
            assert_memory_not_equal(order + e * N, order + f * N, N * sizeof(*order));
    }
    vq_data_free(d);
    o.seed = 4;
    d = must_open(in("hundred.txt"), &o);
    assert_ok(vq_data_next(d, t, sequence, &rows, &err), &err);
    assert_memory_not_equal(sequence, order, sizeof(sequence));
    vq_data_free(d);
}

/* From every place the same batches follow as did the first time, whatever was read before. */
static void resumes(const char *spec, struct vq_data_options o, size_t steps)
{
    size_t size = o.batch * o.sequence_len, rows;
    int32_t *first = malloc(steps * size * sizeof(*first)), *t = malloc(size * sizeof(*t));
    struct vq_data_state *place = malloc(steps * sizeof(*place));
    size_t *n = malloc(steps * sizeof(*n));
    struct vq_data *d = must_open(spec, &o);
    for (size_t i = 0; i < steps; i++) {
        place[i] = vq_data_tell(d);
        assert_ok(vq_data_next(d, first + i * size, NULL, &n[i], &err), &err);
    }
    assert_true(place[steps - 1].epoch > 0);
    o.seed += 1; /* the place brings its own */
    struct vq_data *other = must_open(spec, &o);
    for (size_t k = 0; k < steps; k++) {
        size_t from = k * 7 % steps; /* forwards and backwards */
        assert_ok(vq_data_seek(other, &place[from], &err), &err);
        struct vq_data_state told = vq_data_tell(other);
        assert_memory_equal(&told, &place[from], sizeof(told));
        for (size_t i = from; i < steps && i < from + 9; i++) {
            assert_ok(vq_data_next(other, t, NULL, &rows, &err), &err);
            assert_int_equal(rows, n[i]);
            assert_memory_equal(t, first + i * size, size * sizeof(*t));
        }
    }
    vq_data_free(d);
    vq_data_free(other);
    free(first);
    free(t);
    free(place);
    free(n);
}

static void test_resume(void **state)
{
    (void)state;
    struct vq_data_options o = options(bytes, VQ_TRAIN, 3, 4);
    for (int shuffled = 0; shuffled < 2; shuffled++) {
        o.shuffled = shuffled;
        o.vocab = bytes;
        resumes(hundred(), o, 40);
        resumes(books(), o, 20);
        o.vocab = pieces;
        for (o.group_bytes = 0; o.group_bytes < 9; o.group_bytes++)
            resumes(in("books"), o, 30);
    }
}

static void test_bad_places(void **state)
{
    (void)state;
    struct vq_data_options o = options(bytes, VQ_TRAIN, 1, 4);
    int32_t t[4], first[4];
    size_t rows;
    o.shuffled = true;
    for (int k = 0; k < 2; k++) {
        o.vocab = k ? pieces : bytes;
        struct vq_data *d = must_open(k ? books() : hundred(), &o);
        struct vq_data_state good = vq_data_tell(d), bad;
        assert_ok(vq_data_next(d, first, NULL, &rows, &err), &err);
        assert_ok(vq_data_seek(d, &good, &err), &err);
        bad = good;
        bad.elements++;
        assert_int_equal(vq_data_seek(d, &bad, &err), VQ_EINVAL);
        assert_says(&err, "not the data", k ? "books" : "hundred.txt");
        bad = good;
        bad.index = 1000;
        assert_int_equal(vq_data_seek(d, &bad, &err), VQ_EINVAL);
        bad = good;
        bad.group = UINT64_MAX;
        bad.seed = 77;
        assert_int_equal(vq_data_seek(d, &bad, &err), VQ_EINVAL);
        assert_says(&err, "no such place");
        assert_ok(vq_data_next(d, t, NULL, &rows, &err), &err);
        assert_memory_equal(t, first, sizeof(t)); /* still where it was */
        vq_data_free(d);
    }
}

/* ---- pieces ---- */

/* Lines of words, so that pieces can be told from the text: n bytes of them, as documents. */
static void put_books(size_t books_n, size_t lines)
{
    char name[64];
    struct vq_rng r;
    vq_rng_init(&r, 5, 5);
    put_folder("many");
    put_folder("many/train");
    for (size_t b = 0; b < books_n; b++) {
        struct vq_text text = {0};
        for (size_t i = 0; i < lines * (b + 1); i++) {
            for (size_t w = vq_rng_below(&r, 9); w > 0; w--)
                vq_text_printf(&text, "%s ",
                               (const char *[]){"the", "code", "b\xc3\xa4r", "of", "keys",
                                                "x9"}[vq_rng_below(&r, 6)]);
            vq_text_puts(&text, "end\n");
        }
        snprintf(name, sizeof(name), "many/train/%zu.txt", b);
        put(name, text.data, text.len);
        vq_text_release(&text);
    }
}

/* What one pass should give: every document's ids and eos, end to end, then pad. */
static int32_t *packed(size_t books_n, size_t *n)
{
    int32_t *all = NULL;
    char name[64];
    *n = 0;
    for (size_t b = 0; b < books_n; b++) {
        char *text = malloc(1 << 20);
        int32_t *ids_of;
        size_t n_ids;
        snprintf(name, sizeof(name), "many/train/%zu.txt", b);
        FILE *f = fopen(in(name), "rb");
        size_t size = fread(text, 1, 1 << 20, f);
        fclose(f);
        assert_ok(vq_vocab_encode(pieces, text, size, &ids_of, &n_ids, &err), &err);
        all = realloc(all, (*n + n_ids + 1) * sizeof(*all));
        memcpy(all + *n, ids_of, n_ids * sizeof(*all));
        *n += n_ids;
        all[(*n)++] = VQ_EOS;
        free(ids_of);
        free(text);
    }
    return all;
}

static void test_pieces(void **state)
{
    (void)state;
    enum { BOOKS = 7 };
    size_t n_want, n;
    struct vq_pool *pool;
    put_books(BOOKS, 40);
    int32_t *want = packed(BOOKS, &n_want);
    assert_ok(vq_pool_new(&pool, 3, &err), &err);
    /* Groups of whole books, from one book in each to all in one: the same stream. */
    for (uint64_t group = 8000; group < 60000; group += 9000) {
        struct vq_data_options o = options(pieces, VQ_TRAIN, 2, 9);
        o.group_bytes = group;
        o.pool = group % 2000 ? pool : NULL;
        struct vq_data *d = must_open(in("many"), &o);
        assert_int_equal(vq_data_info(d).sequences, 0);
        int32_t *t = all_tokens(d, &o, &n);
        assert_int_equal(n, (n_want + 8) / 9 * 9);
        assert_memory_equal(t, want, n_want * sizeof(*t));
        for (size_t i = n_want; i < n; i++)
            assert_int_equal(t[i], VQ_PAD);
        free(t);
        vq_data_free(d);
    }
    free(want);
    vq_pool_free(pool);
}

/* Sorts. */
static int by_value(const void *a, const void *b)
{
    return *(const int32_t *)a < *(const int32_t *)b ? -1
                                                     : *(const int32_t *)a > *(const int32_t *)b;
}

/* In training an epoch has the same tokens, in another order each time. */
static void test_pieces_shuffled(void **state)
{
    (void)state;
    enum { T = 8, MOST = 40000 };
    size_t n_want, rows;
    int32_t *want = packed(7, &n_want), t[T], first[T];
    size_t counted = 0; /* the model's unknown piece has the number of pad */
    for (size_t i = 0; i < n_want; i++)
        if (want[i] != VQ_PAD)
            want[counted++] = want[i];
    struct vq_data_options o = options(pieces, VQ_TRAIN, 1, T);
    o.shuffled = true;
    o.group_bytes = 8000;
    struct vq_data *d = must_open(in("many"), &o);
    for (uint64_t epoch = 0; epoch < 3; epoch++) {
        int32_t *got = malloc(MOST * sizeof(*got));
        size_t n = 0;
        uint64_t groups = 0;
        while (vq_data_tell(d).epoch == epoch || n == 0) {
            struct vq_data_state before = vq_data_tell(d);
            assert_ok(vq_data_next(d, t, NULL, &rows, &err), &err);
            if (vq_data_tell(d).epoch != epoch) { /* the first of the next epoch */
                assert_ok(
                    vq_data_seek(
                        d, &(struct vq_data_state){o.seed, epoch + 1, 0, 0, before.elements}, &err),
                    &err);
                break;
            }
            for (size_t i = 0; i < T; i++)
                if (t[i] != VQ_PAD)
                    got[n++] = t[i];
            groups = vq_data_tell(d).group + 1;
        }
        assert_true(groups > 2);
        assert_int_equal(n, counted);
        if (epoch > 0)
            assert_memory_not_equal(got, first, sizeof(first));
        memcpy(first, got, sizeof(first));
        qsort(got, n, sizeof(*got), by_value);
        if (epoch == 0)
            qsort(want, n, sizeof(*want), by_value);
        assert_memory_equal(got, want, n * sizeof(*got));
        free(got);
    }
    free(want);
    vq_data_free(d);
}

/* Text without its white space. */
static size_t squeeze(char *text, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (text[i] > ' ' || text[i] < 0)
            text[kept++] = text[i];
    return kept;
}

/* The text's training part, encoded in parts of several sizes: the caller frees what is decoded. */
static char *decode_parts(const char *text, uint64_t group, size_t *size)
{
    size_t n;
    char *decoded;
    put_text("parts.txt", text);
    struct vq_data_options o = options(pieces, VQ_TRAIN, 1, 5);
    o.group_bytes = group;
    struct vq_data *d = must_open(in("parts.txt"), &o);
    int32_t *t = all_tokens(d, &o, &n);
    assert_ok(vq_vocab_decode(pieces, t, n, &decoded, size, &err), &err);
    free(t);
    vq_data_free(d);
    return decoded;
}

/* Documents that are encoded in parts lose and double nothing, be there lines to cut at or not; no
 * character is cut in two, neither between parts nor where a split begins or ends. */
static void test_parts(void **state)
{
    (void)state;
    char lines[1001] = "", word[1001], accents[1001];
    for (int i = 0; i < 50; i++)
        strncat(lines, i % 7 ? "some line of keys\n" : "\n\n", 20);
    for (int i = 0; i < 1000; i++)
        word[i] = (char)('a' + i % 26);
    word[1000] = 0;
    for (int i = 0; i < 1000; i += 2)
        memcpy(accents + i, "\xc3\xa9", 3);
    for (uint64_t group = 20; group < 200; group += 37) {
        const char *const texts[] = {lines, word};
        for (size_t k = 0; k < 2; k++) {
            size_t size;
            char *want = strdup(texts[k]), *decoded = decode_parts(texts[k], group, &size);
            size_t n = squeeze(want, strlen(want) * 9 / 10);
            assert_int_equal(squeeze(decoded, size), n);
            assert_memory_equal(decoded, want, n);
            free(decoded);
            free(want);
        }
        for (size_t from = 0; from < 4; from++) {
            size_t size;
            free(decode_parts(accents + from, group, &size));
        }
    }
    /* A split that begins and ends inside a character. */
    put_text("parts.txt", accents + 1);
    struct vq_data_options o = options(pieces, VQ_VALIDATION, 1, 5);
    struct vq_data *d = must_open(in("parts.txt"), &o);
    size_t n;
    free(all_tokens(d, &o, &n));
    assert_true(n > 0);
    vq_data_free(d);
}

static void test_bad_text(void **state)
{
    (void)state;
    int32_t t[8], first[8];
    size_t rows;
    put_folder("bad");
    put_folder("bad/train");
    put_text("bad/train/1.txt", "all is well in this one, and it is long enough");
    put_text("bad/train/2.txt", "this one \xff is not UTF-8");
    struct vq_data_options o = options(pieces, VQ_TRAIN, 1, 8);
    o.group_bytes = 30;
    struct vq_data *d = must_open(in("bad"), &o);
    for (;;) {
        struct vq_data_state before = vq_data_tell(d);
        enum vq_status st = vq_data_next(d, t, NULL, &rows, &err);
        if (st == VQ_OK) {
            assert_int_equal(rows, 1);
            continue;
        }
        struct vq_data_state after = vq_data_tell(d);
        assert_int_equal(st, VQ_EINVAL);
        assert_int_equal(rows, 0);
        assert_says(&err, "bad/train/2.txt, from byte 0", "UTF-8");
        assert_memory_equal(&after, &before, sizeof(after));
        break;
    }
    put_text("bad/train/2.txt", "this one was mended, now");
    assert_int_equal(vq_data_next(d, first, NULL, &rows, &err), VQ_EFORMAT);
    assert_says(&err, "2.txt", "has changed");
    vq_data_free(d);

    put_text("blank.txt", "\x80\x80"); /* half of a character, of which the split is half */
    o.shuffled = true;
    d = must_open(in("blank.txt"), &o);
    assert_int_equal(vq_data_next(d, t, NULL, &rows, &err), VQ_EINVAL);
    assert_says(&err, "blank.txt", "no tokens");
    vq_data_free(d);
}

static bool at_once(void *ud)
{
    (void)ud;
    return true;
}

static void test_cancel(void **state)
{
    (void)state;
    const struct vq_cancel cancel = {.poll = at_once};
    struct vq_data_options o = options(pieces, VQ_TRAIN, 1, 8);
    int32_t t[8];
    size_t rows;
    uint64_t words;
    o.cancel = &cancel;
    struct vq_data *d = must_open(books(), &o);
    assert_int_equal(vq_data_next(d, t, NULL, &rows, &err), VQ_ECANCELLED);
    assert_int_equal(vq_data_words(d, &words, &err), VQ_ECANCELLED);
    vq_data_free(d);
}

static void test_words(void **state)
{
    (void)state;
    /* 8 words of 90 %: white space of one, two and three bytes, and a lone bad byte. */
    static const char text[] = "  one two\n\nthree\tfour\xc2\xa0"
                               "five\xe2\x80\x83six\xe3\x80\x80\xff "
                               "eight--nine  ";
    struct vq_text long_text = {0};
    put_folder("words");
    put_folder("words/train");
    put_text("words/train/a.txt", text);
    put_text("words/train/b.txt", "x");
    for (int i = 0; i < 400000; i++) /* over the megabyte that is read at a time */
        vq_text_puts(&long_text, i % 3 ? "\xe2\x80\x83" : "ab\xc3\xa9");
    put("words/train/c.txt", long_text.data, long_text.len);
    vq_text_release(&long_text);
    struct vq_data_options o = options(bytes, VQ_TRAIN, 1, 8);
    struct vq_data *d = must_open(in("words"), &o);
    uint64_t words;
    assert_ok(vq_data_words(d, &words, &err), &err);
    assert_int_equal(words, 8 + 1 + 133334);
    vq_data_free(d);
}

/* ---- ready tokens ---- */

static void test_tokens(void **state)
{
    (void)state;
    static const enum vq_npy_type types[] = {VQ_NPY_I32, VQ_NPY_I64, VQ_NPY_U16, VQ_NPY_I16};
    const size_t shape[3] = {4, 2, 6};
    for (size_t k = 0; k < 4; k++) {
        uint8_t data[48 * 8] = {0};
        size_t size = vq_npy_type_size(types[k]), rows;
        for (size_t i = 0; i < 48; i++) {
            data[i * size] = (uint8_t)(i * 5);
            data[i * size + 1] = i > 40;
        }
        int rank = k % 3 == 0 ? 3 : k % 3 == 1 ? 1 : 2;
        const size_t *of = rank == 3   ? shape
                           : rank == 1 ? (const size_t[]){48}
                                       : (const size_t[]){8, 6};
        assert_ok(vq_npy_write(in("t.npy"), types[k], rank, of, data, &err), &err);
        struct vq_data_options o = options(ids, VQ_TEST, 3, 6);
        o.shuffled = true;
        struct vq_data *d = must_open(in("t.npy"), &o);
        assert_int_equal(vq_data_info(d).sequences, 8);
        assert_int_equal(vq_data_info(d).bytes, 0);
        for (size_t n = 0; n < 60; n += 3) { /* in order, and round again */
            int32_t t[18];
            uint64_t sequence[3];
            assert_ok(vq_data_next(d, t, sequence, &rows, &err), &err);
            for (size_t i = 0; i < 18; i++) {
                size_t at = (n * 6 + i) % 48;
                assert_int_equal(t[i], (int)(at * 5) % 256 + (at > 40 ? 256 : 0));
                assert_int_equal(sequence[i / 6], at / 6);
            }
        }
        vq_data_free(d);
    }
}

static void test_bad_tokens(void **state)
{
    (void)state;
    struct vq_data_options o = options(ids, VQ_TRAIN, 1, 4);
    int32_t data[8] = {1, 2, 3, 499, 0, 0, 500, 0}, t[4];
    float f[8] = {0};
    size_t rows;
    assert_ok(vq_npy_write(in("b.npy"), VQ_NPY_I32, 2, (const size_t[]){2, 4}, data, &err), &err);
    struct vq_data *d = must_open(in("b.npy"), &o);
    assert_ok(vq_data_next(d, t, NULL, &rows, &err), &err);
    assert_int_equal(vq_data_next(d, t, NULL, &rows, &err), VQ_EINVAL);
    assert_says(&err, "b.npy", "sequence 1, position 2", "0 to 499", "500");
    vq_data_free(d);
    data[6] = -1;
    assert_ok(vq_npy_write(in("b.npy"), VQ_NPY_I32, 2, (const size_t[]){2, 4}, data, &err), &err);
    d = must_open(in("b.npy"), &o);
    assert_ok(vq_data_next(d, t, NULL, &rows, &err), &err);
    assert_int_equal(vq_data_next(d, t, NULL, &rows, &err), VQ_EINVAL);
    vq_data_free(d);
    o.sequence_len = 8;
    refused(in("b.npy"), &o, VQ_ESHAPE, "expected rows of sequence_len 8, found 4");
    assert_ok(vq_npy_write(in("b.npy"), VQ_NPY_F32, 1, (const size_t[]){8}, f, &err), &err);
    refused(in("b.npy"), &o, VQ_ESHAPE, "found float32 of rank 1");
    assert_ok(vq_npy_write(in("b.npy"), VQ_NPY_I32, 1, (const size_t[]){0}, f, &err), &err);
    refused(in("b.npy"), &o, VQ_EINVAL, "empty");
    put_text("cut.npy", "\x93NUMPY");
    refused(in("cut.npy"), &o, VQ_EFORMAT, "cut.npy: npy: cut short");
}

/* ---- what cannot be opened ---- */

static void test_refusals(void **state)
{
    (void)state;
    struct vq_data_options o = options(bytes, VQ_TRAIN, 1, 4);
    put_text("empty.txt", "");
    put_text("tiny.txt", "abcde");
    put_folder("nothing");
    put_folder("half");
    put_folder("half/train");
    put_text("half/train/a.txt", "abc");
    put_folder("half/valid");
    put_copy("picture.png", "tests/data/image/26ab.png", 100000);
    put("empty.zip", "PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22);
    put_text("text.zip", "no archive");
    refused(in("absent"), &o, VQ_ENOTFOUND, "absent");
    refused(in("empty.txt"), &o, VQ_EINVAL, "the file is empty");
    refused("enwik8:/dev/null", &o, VQ_EINVAL, "/dev/null");
    refused(in("nothing"), &o, VQ_EINVAL, "a folder in which no data set is recognised");
    refused(in("picture.png"), &o, VQ_EINVAL, "a PNG image in which");
    refused(in("empty.zip"), &o, VQ_EINVAL, "the one file enwik8, found 0");
    refused(in("text.zip"), &o, VQ_EFORMAT, "expected a ZIP archive, found a text file");
    char spec[300];
    static const char *const kinds[][2] = {{"text", "holds no file that ends in one of .txt"},
                                           {"pg19", "expected folders train"},
                                           {"enwik8", "neither enwik8 nor enwik8.zip"},
                                           {"tokens", "nothing"}};
    for (size_t i = 0; i < 4; i++) {
        struct vq_data *d;
        snprintf(spec, sizeof(spec), "%s:%s", kinds[i][0], in("nothing"));
        assert_true(vq_data_open(&d, spec, &o, &err) != VQ_OK);
        assert_says(&err, "nothing", kinds[i][1]);
    }
    o.split = VQ_VALIDATION;
    refused(in("tiny.txt"), &o, VQ_EINVAL, "split validation; there is data in train, test");
    refused(in("half"), &o, VQ_EINVAL, "half/valid: holds no file");
    o.split = VQ_TEST;
    refused(in("half"), &o, VQ_EINVAL, "no folder test");
    o = options(image64, VQ_TRAIN, 1, 4);
    refused(in("tiny.txt"), &o, VQ_EUNSUPPORTED, "needs a vocabulary for text");
    o = options(ids, VQ_TRAIN, 1, 4);
    refused(in("tiny.txt"), &o, VQ_EUNSUPPORTED, "the model's is ids");
    o = options(bytes, VQ_TRAIN, 0, 4);
    refused(in("tiny.txt"), &o, VQ_EINVAL, "at least one");
}

static void test_split_names(void **state)
{
    (void)state;
    enum vq_split s;
    static const char *const names[] = {"train", "val", "dev", "validation", "test"};
    static const enum vq_split want[] = {VQ_TRAIN, VQ_VALIDATION, VQ_VALIDATION, VQ_VALIDATION,
                                         VQ_TEST};
    for (size_t i = 0; i < 5; i++) {
        assert_ok(vq_split_find(&s, names[i], &err), &err);
        assert_int_equal(s, want[i]);
    }
    assert_int_equal(vq_split_find(&s, "all", &err), VQ_EINVAL);
    assert_says(&err, "validation", "'all'");
    for (size_t i = 0; i < vq_data_kind_count(); i++)
        assert_true(vq_data_kind_name(i) && strlen(vq_data_kind_help(i)) < 100);
    assert_null(vq_data_kind_name(vq_data_kind_count()));
}

static void test_memory_out(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct vq_data_options o = options(k ? pieces : bytes, VQ_TRAIN, 2, 4);
        int32_t t[8];
        size_t rows;
        const char *path = k ? books() : hundred();
        o.shuffled = true;
        enum vq_status st = VQ_ENOMEM;
        for (long nth = 1; st != VQ_OK; nth++) {
            struct vq_data *d = NULL;
            vq_mem_fail_at(nth);
            st = vq_data_open(&d, path, &o, &err);
            if (!st)
                st = vq_data_next(d, t, NULL, &rows, &err);
            vq_mem_fail_at(0);
            vq_data_free(d);
            assert_true(nth < 200);
        }
    }
}

/* ---- real samples ---- */

static void test_samples(void **state)
{
    (void)state;
    if (samples_absent())
        return;
    struct vq_data_options o = options(bytes, VQ_TEST, 4, 8192);
    struct vq_data *d = must_open(SHARED "text/enwik8-first-4154399", &o);
    size_t n;
    int32_t *t = all_tokens(d, &o, &n);
    assert_string_equal(vq_data_info(d).kind, "enwik8");
    assert_int_equal(vq_data_info(d).bytes, 4154399 - 3946679);
    assert_int_equal(n, (207720 + 8191) / 8192 * 8192);
    free(t);
    vq_data_free(d);

    static const uint64_t words[] = {43023 + 53850, 77691, 58177 + 60980};
    static const uint64_t sizes[] = {249427 + 318224, 432099, 342064 + 351133};
    for (int split = VQ_TRAIN; split <= VQ_TEST; split++) {
        uint64_t counted;
        o.split = (enum vq_split)split;
        d = must_open(SHARED "text/pg19", &o);
        assert_string_equal(vq_data_info(d).kind, "pg19");
        assert_int_equal(vq_data_info(d).bytes, sizes[split]);
        assert_ok(vq_data_words(d, &counted, &err), &err);
        assert_int_equal(counted, words[split]);
        vq_data_free(d);
    }
    struct vq_vocab *bpe;
    assert_ok(vq_vocab_open(&bpe, SHARED "spm/pg19_bpe32k.model", 32000, &err), &err);
    o = options(bpe, VQ_VALIDATION, 4, 8192);
    d = must_open(SHARED "text/pg19", &o);
    t = all_tokens(d, &o, &n);
    size_t eos = 0, text = 0;
    for (size_t i = 0; i < n; i++) {
        eos += t[i] == VQ_EOS;
        text += t[i] > VQ_UNK;
    }
    assert_int_equal(eos, 1);
    assert_true(text > 432099 / 6 && text < 432099 / 3);
    free(t);
    vq_data_free(d);
    vq_vocab_free(bpe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splits_and_padding),
        cmocka_unit_test(test_books),
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_enwik8),
        cmocka_unit_test(test_epochs),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_bad_places),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_pieces_shuffled),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_bad_text),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_bad_tokens),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_split_names),
        cmocka_unit_test(test_memory_out),
        cmocka_unit_test(test_samples),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
