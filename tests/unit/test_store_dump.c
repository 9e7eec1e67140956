/*
 * Out of the run database and back in again: every value as it was, in every format; merging; and
 * the event files, read by a reader of their own.
 */
#include "tests/unit/test_store_util.h"

#include <float.h>
#include <inttypes.h>

#include "core/base/file.h"
#include "core/store/db.h"
#include "core/store/dump.h"
#include "core/store/internal.h"
#include "core/store/jsonin.h"

static const char nasty[] = "a,\"b\"\r\n\xff\xfe\0c|d\\ \xc3\xa9\x7f\x1b[0m";
#define NASTY_LEN (sizeof(nasty) - 1)

static void add_tables(struct vq_run *run)
{
    static const double reals[] = {0.1,  NAN,     INFINITY, -INFINITY, DBL_MIN / 8,
                                   -0.0, DBL_MAX, 1.0,      1e300,     5e-324};
    char key[32];
    for (size_t i = 0; i < sizeof(reals) / sizeof(reals[0]); i++) {
        snprintf(key, sizeof(key), "real %zu", i);
        ok(vq_run_result_real(run, key, reals[i], err));
        ok(vq_run_metric(run, i % 2 ? "loss" : "grad \"norm\", raw", (int64_t)i / 2, reals[i],
                         err));
    }
    ok(vq_run_metric(run, "loss", INT64_MIN, 1, err));
    ok(vq_run_metric(run, "loss", INT64_MAX, NAN, err));
    ok(vq_run_metric(run, "loss", INT64_MAX, 2, err));
    ok(vq_run_result_int(run, "int", INT64_MIN, err));
    ok(vq_run_result_int(run, "int too", 9007199254740993, err));
    ok(vq_run_result_text(run, "text", nasty, NASTY_LEN, err));
    ok(vq_run_result_text(run, "empty", "", 0, err));
    ok(vq_run_result_text(run, "NaN, as a text", "NaN", 3, err));
    struct vq_sample samples[] = {
        {.index = 0, .seed = UINT64_MAX, .text = nasty, .len = NASTY_LEN, .tokens = 3, .nats = 0.1},
        {.index = INT64_MAX, .seed = 0, .path = "p,\"\n.png", .tokens = INT64_MIN, .nats = NAN},
        {.index = -1, .seed = 1, .text = "", .len = 0, .path = "", .nats = -INFINITY},
        {.index = 2, .seed = 1, .text = "a\rb", .len = 3, .path = " x", .nats = 0},
        {.index = 3, .seed = 1, .text = "a\0b", .len = 3, .path = "x ", .nats = 0},
    };
    for (size_t i = 0; i < 5; i++)
        ok(vq_run_sample(run, &samples[i], err));
}

static void fill(struct vq_store *store)
{
    char id[VQ_RUN_ID_SIZE];
    struct vq_run_spec spec = {.command = "train",
                               .command_line = "train --set \"a,b\"\n# x",
                               .name = "team's \"run\" \xff",
                               .model_name = "tiny",
                               .config = "{\"big\":9007199254740993,\"t\":\"\\u0000\"}",
                               .settings = "{}",
                               .has_seed = true,
                               .seed = UINT64_MAX,
                               .threads = 7};
    struct vq_run *run;
    ok(vq_run_begin(store, &spec, &run, err));
    snprintf(id, sizeof(id), "%s", vq_run_id(run));
    add_tables(run);
    ok(vq_run_finish(run, VQ_RUN_FAILED, "it \"broke\",\nbadly", err));
    vq_run_free(run);
    ok(vq_store_tag(store, id, "b\"est", NULL, err));
    ok(vq_store_tag(store, id, "a", NULL, err));
    ok(vq_store_note_add(store, id, nasty, NASTY_LEN, err));
    ok(vq_store_note_add(store, id, "second", 6, err));
    end_run(begin_run(store, "score")); /* with nothing */
}

/* Everything that both stores say, as one text. */
struct all {
    char *text;
    size_t len;
    FILE *f;
};

static bool print_row(void *ud, int columns, const char *const *names,
                      const struct vq_value *values)
{
    struct all *a = ud;
    for (int i = 0; values && i < columns; i++) {
        const struct vq_value *v = &values[i];
        fprintf(a->f, "%s:%d:", names[i], (int)v->kind);
        if (v->kind == VQ_VALUE_INT)
            fprintf(a->f, "%" PRId64, v->i);
        else if (v->kind == VQ_VALUE_REAL)
            fprintf(a->f, "%a", v->d);
        else if (v->text)
            for (size_t k = 0; k < v->len; k++)
                fprintf(a->f, "%02x", (unsigned char)v->text[k]);
        fputc('\n', a->f);
    }
    return true;
}

static char *everything(struct vq_store *store)
{
    static const char *const queries[] = {
        "SELECT * FROM runs ORDER BY id",
        "SELECT run, key, kind, value FROM results ORDER BY run, rowid",
        "SELECT m.run, n.name, m.step, m.seq, m.time, m.kind, m.value FROM metrics m"
        " JOIN metric_names n ON n.id = m.name ORDER BY m.run, m.seq",
        "SELECT s.run, n.name, s.points, s.low_step, s.high_step, s.reals, s.min_value,"
        " s.max_value, s.last_seq, s.last_step, s.last_time, s.last_kind, s.last_value"
        " FROM metric_stats s JOIN metric_names n ON n.id = s.name ORDER BY s.run, n.name",
        "SELECT run, idx, seed, text, bytes, path, tokens, nats_kind, nats FROM samples"
        " ORDER BY run, rowid",
        "SELECT run, tag FROM tags ORDER BY run, tag",
        "SELECT run, time, text FROM notes ORDER BY run, rowid",
    };
    struct all a = {0};
    a.f = open_memstream(&a.text, &a.len);
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        fprintf(a.f, "%s\n", queries[i]);
        ok(vq_store_query(store, queries[i], print_row, &a, NULL, NULL, err));
    }
    fclose(a.f);
    return a.text;
}

static void same_content(struct vq_store *a, struct vq_store *b)
{
    char *x = everything(a), *y = everything(b);
    if (strcmp(x, y) != 0) {
        size_t at = 0;
        while (x[at] == y[at])
            at++;
        at = at > 60 ? at - 60 : 0;
        fail_msg("they differ at\n%.200s\n--- and ---\n%.200s", x + at, y + at);
    }
    free(x);
    free(y);
}

static void export_to(struct vq_store *store, enum vq_dump_kind kind, enum vq_dump_format format,
                      const char *path, size_t expected)
{
    struct vq_dump dump = {.kind = kind, .format = format};
    struct vq_listing_place place;
    size_t rows;
    ok(vq_store_export(store, &dump, path, &rows, &place, err));
    assert_int_equal(rows, expected);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct vq_store *store = open_store(in_scratch("from.db"));
    fill(store);
    for (int format = VQ_DUMP_CSV; format <= VQ_DUMP_JSONL; format++) {
        static const size_t rows[] = {2, 13, 5};
        char name[32], db[32];
        struct vq_intake in;
        snprintf(db, sizeof(db), "to%d.db", format);
        struct vq_store *to = open_store(in_scratch(db));
        for (int kind = 0; kind < 3; kind++) {
            snprintf(name, sizeof(name), "out%d.%d", kind, format);
            export_to(store, (enum vq_dump_kind)kind, (enum vq_dump_format)format, in_scratch(name),
                      rows[kind]);
            ok(vq_store_import(to, in_scratch(name), &in, NULL, err));
            assert_int_equal(in.kind, kind);
            assert_int_equal(in.runs + in.metrics + in.samples, rows[kind]);
            assert_int_equal(in.known, 0);
            /* A second time brings nothing. */
            ok(vq_store_import(to, in_scratch(name), &in, NULL, err));
            assert_int_equal(in.runs + in.metrics + in.samples, 0);
            assert_int_equal(in.known, rows[kind]);
        }
        same_content(store, to);
        vq_store_close(to);
    }
    vq_store_close(store);
}

static char *whole_file(const char *name)
{
    size_t size;
    char *bytes = (char *)read_bytes(in_scratch(name), &size);
    assert_non_null(bytes);
    bytes[size] = '\0';
    return bytes;
}

static void test_files(void **state)
{
    (void)state;
    struct vq_store *store = open_store(in_scratch("from.db"));
    export_to(store, VQ_DUMP_METRICS, VQ_DUMP_MARKDOWN, in_scratch("m.md"), 13);
    char *text = whole_file("m.md");
    assert_true(strncmp(text, "| run | metric | step |", 23) == 0);
    assert_non_null(strstr(text, "\n|---|---|---|---|---|---|\n"));
    assert_non_null(strstr(text, "| NaN |\n"));
    free(text);
    export_to(store, VQ_DUMP_SAMPLES, VQ_DUMP_JSON, in_scratch("s.json"), 5);
    text = whole_file("s.json");
    assert_non_null(strstr(text, "{\"base64\":\""));
    assert_non_null(strstr(text, "\"seed\":18446744073709551615"));
    assert_non_null(strstr(text, "\"nats\":\"NaN\""));
    free(text);
    export_to(store, VQ_DUMP_RUNS, VQ_DUMP_JSONL, in_scratch("r.jsonl"), 2);
    text = whole_file("r.jsonl");
    assert_non_null(strstr(text, "\"real 7\":1.0"));
    assert_non_null(strstr(text, "\"real 1\":{\"real\":\"NaN\"}"));
    assert_non_null(strstr(text, "\"int\":-9223372036854775808"));
    assert_non_null(strstr(text, "\"tags\":[\"a\",\"b\\\"est\"]"));
    free(text);

    /* A filter, a wrong filter, a place that cannot be written to. */
    struct vq_dump dump = {.kind = VQ_DUMP_RUNS, .filter = "command=score"};
    struct vq_listing_place place;
    size_t rows;
    ok(vq_store_export(store, &dump, in_scratch("f.csv"), &rows, &place, err));
    assert_int_equal(rows, 1);
    dump.filter = "command=score and nosuch=1";
    fails(VQ_ENOTFOUND, "nosuch",
          vq_store_export(store, &dump, in_scratch("g.csv"), &rows, &place, err));
    assert_true(place.part == VQ_LISTING_FILTER && place.at == 18);
    size_t size;
    assert_null(read_bytes(in_scratch("g.csv"), &size));
    dump.filter = NULL;
    fails(VQ_ENOTFOUND, "No such file",
          vq_store_export(store, &dump, in_scratch("no/such/g.csv"), &rows, &place, err));
    vq_store_close(store);
}

static void import_text(struct vq_store *store, const char *text, struct vq_intake *in)
{
    write_bytes(in_scratch("in.txt"), text, strlen(text));
    ok(vq_store_import(store, in_scratch("in.txt"), in, NULL, err));
}

static void refuse(struct vq_store *store, const char *text, const char *part)
{
    struct vq_intake in;
    write_bytes(in_scratch("bad.txt"), text, strlen(text));
    fails(VQ_EFORMAT, part, vq_store_import(store, in_scratch("bad.txt"), &in, NULL, err));
}

static void test_imports(void **state)
{
    (void)state;
    struct vq_store *store = open_store(in_scratch("imports.db"));
    struct vq_intake in;
    /* Less than we write, in other orders, with other line ends. */
    import_text(store,
                "\xef\xbb\xbfstatus,id,command,started_at,tags,results\r\n"
                "finished,0000000001,sample,1.5,\"[\"\"x\"\"]\",\"{\"\"n\"\":1,\"\"r\"\":1e0}\"\r\n"
                "running,0000000002,train,2,,\r\n",
                &in);
    assert_int_equal(in.runs, 2);
    assert_int_equal(ask(store, "SELECT count(*) FROM results WHERE kind = 'int'"), 1);
    assert_int_equal(ask(store, "SELECT count(*) FROM results WHERE kind = 'real'"), 1);
    assert_int_equal(status_of(store, "0000000002"), VQ_RUN_CRASHED);
    import_text(store,
                " {\"run\": \"0000000001\", \"metric\": \"m\" , \"step\": 1 , \"seq\": 0,\n"
                " \"more\": [{}, null], \"time\": 1, \"value\": 2}\n\n",
                &in);
    assert_true(in.kind == VQ_DUMP_METRICS && in.metrics == 1);
    assert_int_equal(ask(store, "SELECT points FROM metric_stats"), 1);
    import_text(store, "[]", &in);
    assert_int_equal(in.runs + in.known, 0);
    vq_store_close(store);
}

static void test_wrong_imports(void **state)
{
    (void)state;
    struct vq_store *store = open_store(in_scratch("wrong.db"));
    end_run(begin_run(store, "x"));
    char *before = everything(store);
#define RUN "{\"id\":\"0000000001\",\"command\":\"x\",\"status\":\"failed\",\"started_at\":1"
    refuse(store, "", "is empty");
    refuse(store, "a,b\n1,2\n", "none of the columns");
    refuse(store, "[{\"a\":1}]", "none of the columns");
    refuse(store, "id,command\n0000000001\n",
           ":2: expected 2 fields as in the first line, found 1");
    refuse(store, "id,command\n\"0000000001,x\n", "never closed");
    refuse(store, "id,command\n\"0000000001\"y,x\n", "expected ','");
    refuse(store, "[" RUN "},\n" RUN, ":2: expected ',' or '}'");
    refuse(store, "[" RUN "}] x", "something follows");
    refuse(store, "[" RUN "}", "expected ',' or ']'");
    refuse(store, "[" RUN ",}]", "without anything after");
    refuse(store, "[{\"id\":7,\"command\":\"x\"}]", "column id: expected the id of a run");
    refuse(store, "[{\"id\":\"0000-00001\",\"command\":\"x\"}]", "expected the id of a run");
    refuse(store, "[" RUN "},\n{\"id\":\"0000000002\",\"command\":\"x\",\"status\":\"done\"}]",
           ":2: column status: expected running");
    refuse(store, "[{\"id\":\"0000000001\",\"command\":\"x\",\"status\":\"failed\"}]",
           "column started_at: is missing");
    refuse(store, "[" RUN ",\"seed\":18446744073709551616}]", "column seed: expected");
    refuse(store, "[" RUN ",\"seed\":-1}]", "column seed: expected");
    refuse(store, "[" RUN ",\"threads\":1.5}]", "column threads: expected a whole number");
    refuse(store, "[" RUN ",\"threads\":9223372036854775808}]", "column threads: expected");
    refuse(store, "[" RUN ",\"name\":7}]", "column name: expected a text");
    refuse(store, "[" RUN ",\"name\":{\"base64\":\"A===\"}}]", "column name: expected a text");
    refuse(store, "[" RUN ",\"name\":{\"x\":\"AAAA\"}}]", "column name: expected a text");
    refuse(store, "[" RUN ",\"tags\":[\"a b\"]}]", "column tags: a tag has");
    refuse(store, "[" RUN ",\"notes\":[{\"text\":\"x\"}]}]", "column notes: expected a time");
    refuse(store, "[" RUN ",\"results\":{\"a\":[1]}}]", "column results: ");
    refuse(store, "[" RUN ",\"results\":{\"a\":1e999}}]", "");
    refuse(store, "[" RUN ",\"results\":{\"a\":99999999999999999999}}]", "64 bits");
    refuse(store, "id,command,status,started_at,config\n0000000001,x,failed,1,{\n",
           "column config: expected a JSON object");
    refuse(store, "[" RUN ",\"name\":\"\\x\"}]", "unknown escape");
    refuse(store, "[" RUN ",\"name\":\"a\nb\"}]", "control character");
    refuse(store, "run,metric,step,seq,time,value\n0000000009,loss,1,1,1,1\n",
           "there is no run 0000000009: import the runs first");
    refuse(store, "run,metric,step,seq,time,value\nx,loss,1,1,1,1\n", "expected the id of a run");
#undef RUN
    /* The first row was good; nothing of it stays. */
    char *after = everything(store);
    assert_string_equal(before, after);
    free(before);
    free(after);
    vq_store_close(store);
}

static void test_merge(void **state)
{
    (void)state;
    struct vq_intake in;
    struct vq_store *from = open_store(in_scratch("from.db")),
                    *to = open_store(in_scratch("merged.db"));
    struct vq_run *running = begin_run(from, "train");
    char id[VQ_RUN_ID_SIZE], here[VQ_RUN_ID_SIZE];
    snprintf(id, sizeof(id), "%s", vq_run_id(running));
    ok(vq_run_metric(running, "loss", 1, 3, err));
    ok(vq_run_flush(running, err));
    struct vq_run *own = begin_run(to, "own");
    snprintf(here, sizeof(here), "%s", vq_run_id(own));
    ok(vq_run_metric(own, "other", 1, 1, err)); /* so that names get other numbers */
    ok(vq_run_metric(own, "loss", 1, 1, err));
    end_run(own);

    ok(vq_store_merge(to, in_scratch("from.db"), &in, NULL, err));
    assert_true(in.runs == 3 && in.metrics == 14 && in.samples == 5 && in.known == 0);
    assert_int_equal(status_of(to, id), VQ_RUN_CRASHED);

    /* It has ended since; a tag was added there, one and a note here. */
    ok(vq_run_metric(running, "loss", 2, 2, err));
    ok(vq_run_result_int(running, "n", 1, err));
    end_run(running);
    ok(vq_store_tag(from, id, "there", NULL, err));
    ok(vq_store_tag(to, id, "here", NULL, err));
    ok(vq_store_note_add(to, id, "mine", 4, err));
    ok(vq_store_merge(to, in_scratch("from.db"), &in, NULL, err));
    assert_true(in.runs == 0 && in.refreshed == 1 && in.known == 2 && in.metrics == 2);
    struct vq_run_info *info;
    ok(vq_store_run(to, id, &info, err));
    assert_int_equal(info->status, VQ_RUN_FINISHED);
    assert_string_equal(info->error, "");
    assert_string_equal(info->tags, "here,there");
    assert_int_equal(info->notes, 1);
    free(info);
    ok(vq_store_merge(to, in_scratch("from.db"), &in, NULL, err));
    assert_true(in.runs == 0 && in.refreshed == 0 && in.known == 3 && in.metrics == 0);

    /* Without our own run, tag and note, it is the same as there. */
    ok(vq_store_remove(to, here, false, err));
    ok(vq_store_untag(to, id, "here", NULL, err));
    ok(vq_store_note_set(to, id, 1, "", 0, err));
    same_content(from, to);
    fails(VQ_EINVAL, "that is open", vq_store_merge(to, in_scratch("merged.db"), &in, NULL, err));
    fails(VQ_ENOTFOUND, "nosuch", vq_store_merge(to, in_scratch("nosuch.db"), &in, NULL, err));

    /* An id that is another run's here. */
    char sql[200];
    snprintf(sql, sizeof(sql), "UPDATE runs SET started_at = 5 WHERE id = '%s'", id);
    ok(vq_db_exec(to->db, sql, err));
    ok(vq_store_merge(to, in_scratch("from.db"), &in, NULL, err));
    assert_true(in.conflicts == 1 && in.known == 2 && in.runs == 0);
    vq_store_close(from);
    vq_store_close(to);
}

/* ---- event files, read without any of the code that wrote them ---- */

static uint32_t crc32c(const uint8_t *p, size_t n)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return ~crc;
}

static uint64_t le(const uint8_t *p, int n)
{
    uint64_t v = 0;
    for (int i = n - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static void check_masked(const uint8_t *p, size_t n, uint32_t stored)
{
    uint32_t rotated = stored - 0xa282ead8u;
    assert_int_equal(rotated >> 17 | rotated << 15, crc32c(p, n));
}

struct field {
    unsigned number, wire;
    uint64_t value; /* of a number */
    const uint8_t *bytes;
    size_t len;
};

static uint64_t varint(const uint8_t **p, const uint8_t *end)
{
    uint64_t v = 0;
    for (int shift = 0;; shift += 7) {
        assert_true(*p < end && shift < 70);
        v |= (uint64_t)(**p & 127) << shift;
        if ((*(*p)++ & 128) == 0)
            return v;
    }
}

/* The next field of a message; false at its end. */
static bool next_field(const uint8_t **p, const uint8_t *end, struct field *f)
{
    if (*p == end)
        return false;
    uint64_t tag = varint(p, end);
    *f = (struct field){.number = (unsigned)(tag >> 3), .wire = (unsigned)(tag & 7)};
    size_t skip = f->wire == 1 ? 8 : f->wire == 5 ? 4 : 0;
    if (f->wire == 0)
        f->value = varint(p, end);
    else if (f->wire == 2)
        skip = f->len = (size_t)varint(p, end);
    else
        assert_true(f->wire == 1 || f->wire == 5);
    assert_true((size_t)(end - *p) >= skip);
    f->bytes = *p;
    if (f->wire == 1 || f->wire == 5)
        f->value = le(*p, (int)skip);
    *p += skip;
    return true;
}

struct event {
    double time;
    int64_t step;
    char version[32], tag[64], text[64], plugin[16];
    size_t text_len;
    float scalar;
    bool has_scalar;
    uint64_t w, h, dtype;
    size_t png;
};

static void copy_field(char *to, size_t room, const struct field *f)
{
    assert_true(f->len < room);
    memcpy(to, f->bytes, f->len);
    to[f->len] = '\0';
}

static void read_tensor(struct event *e, const struct field *tensor)
{
    struct field f;
    const uint8_t *p = tensor->bytes, *end = p + tensor->len;
    while (next_field(&p, end, &f)) {
        if (f.number == 1)
            e->dtype = f.value;
        if (f.number == 2) { /* shape: one dim of size 1 */
            assert_int_equal(f.len, 4);
            assert_memory_equal(f.bytes, "\x12\x02\x08\x01", 4);
        }
        if (f.number == 8) {
            copy_field(e->text, sizeof(e->text), &f);
            e->text_len = f.len;
        }
    }
}

static void read_image(struct event *e, const struct field *image)
{
    struct field f;
    const uint8_t *p = image->bytes, *end = p + image->len;
    while (next_field(&p, end, &f)) {
        if (f.number == 1)
            e->h = f.value;
        if (f.number == 2)
            e->w = f.value;
        if (f.number == 3)
            assert_int_equal(f.value, 3);
        if (f.number == 4)
            e->png = f.len;
    }
}

static void read_value(struct event *e, const struct field *value)
{
    struct field f, g;
    const uint8_t *p = value->bytes, *end = p + value->len;
    while (next_field(&p, end, &f)) {
        uint32_t bits = (uint32_t)f.value;
        if (f.number == 1)
            copy_field(e->tag, sizeof(e->tag), &f);
        if (f.number == 2) {
            assert_int_equal(f.wire, 5);
            memcpy(&e->scalar, &bits, 4);
            e->has_scalar = true;
        }
        if (f.number == 4)
            read_image(e, &f);
        if (f.number == 8)
            read_tensor(e, &f);
        if (f.number == 9) { /* plugin_data { plugin_name } */
            const uint8_t *q = f.bytes, *stop = q + f.len;
            assert_true(next_field(&q, stop, &g) && g.number == 1);
            q = g.bytes;
            stop = q + g.len;
            assert_true(next_field(&q, stop, &g) && g.number == 1);
            copy_field(e->plugin, sizeof(e->plugin), &g);
        }
    }
}

/* The record at *p; checks both sums. */
static void read_event(const uint8_t **p, const uint8_t *end, struct event *e)
{
    struct field f, value;
    *e = (struct event){0};
    assert_true(end - *p >= 16);
    uint64_t len = le(*p, 8);
    check_masked(*p, 8, (uint32_t)le(*p + 8, 4));
    const uint8_t *at = *p + 12, *stop = at + len;
    assert_true((uint64_t)(end - at) >= len + 4);
    check_masked(at, len, (uint32_t)le(stop, 4));
    *p = stop + 4;
    while (next_field(&at, stop, &f)) {
        if (f.number == 1) {
            assert_int_equal(f.wire, 1);
            memcpy(&e->time, &f.value, 8);
        }
        if (f.number == 2)
            e->step = (int64_t)f.value;
        if (f.number == 3)
            copy_field(e->version, sizeof(e->version), &f);
        if (f.number == 5) {
            const uint8_t *q = f.bytes;
            assert_true(next_field(&q, f.bytes + f.len, &value) && value.number == 1);
            read_value(e, &value);
        }
    }
}

/* An 8 x 5 PNG's first bytes are all that is looked at. */
static const char picture[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x08\0\0\0\x05\x08\x02\0\0\0";

static void test_events(void **state)
{
    (void)state;
    assert_int_equal(crc32c((const uint8_t *)"123456789", 9), 0xe3069283u); /* RFC 3720, B.4 */
    struct vq_store *store = open_store(in_scratch("events.db"));
    struct vq_run_spec spec = {.command = "train", .name = "my run/1"};
    struct vq_run *run;
    char id[VQ_RUN_ID_SIZE], png[300];
    ok(vq_run_begin(store, &spec, &run, err));
    snprintf(id, sizeof(id), "%s", vq_run_id(run));
    ok(vq_run_metric(run, "loss", 0, 2.5, err));
    ok(vq_run_metric(run, "loss", 300, NAN, err));
    ok(vq_run_metric(run, "loss", -1, 1e300, err));
    ok(vq_run_result_int(run, "tokens", 7, err));
    snprintf(png, sizeof(png), "%s", in_scratch("p.png"));
    write_bytes(png, picture, sizeof(picture) - 1);
    ok(vq_run_sample(run, &(struct vq_sample){.index = 3, .text = "a\0b", .len = 3}, err));
    ok(vq_run_sample(run, &(struct vq_sample){.index = 4, .path = png}, err));
    ok(vq_run_sample(run, &(struct vq_sample){.index = 5, .path = "/gone.png"}, err));
    end_run(run);
    struct vq_run_info *info;
    ok(vq_store_run(store, id, &info, err));

    struct vq_events_report report;
    struct vq_listing_place place;
    ok(vq_store_events(store, NULL, in_scratch("tb/logs"), &report, &place, NULL, err));
    assert_true(report.runs == 1 && report.files == 1 && report.points == 3 && report.samples == 2);
    char path[150];
    snprintf(path, sizeof(path), "tb/logs/%s-my_run_1/events.out.tfevents.%010lld.vqsh", id,
             (long long)info->started_at);
    size_t size;
    uint8_t *bytes = read_bytes(in_scratch(path), &size);
    assert_non_null(bytes);
    const uint8_t *p = bytes, *end = bytes + size;
    struct event e;
    read_event(&p, end, &e);
    assert_string_equal(e.version, "brain.Event:2");
    assert_true(e.time == info->started_at);
    static const int64_t steps[] = {-1, 0, 300};
    for (int i = 0; i < 3; i++) {
        read_event(&p, end, &e);
        assert_string_equal(e.tag, "loss");
        assert_true(e.has_scalar && e.step == steps[i] && e.time >= info->started_at);
        assert_true(i == 0 ? isinf(e.scalar) : i == 1 ? e.scalar == 2.5f : isnan(e.scalar));
    }
    read_event(&p, end, &e);
    assert_string_equal(e.tag, "result/tokens");
    assert_true(e.scalar == 7.0f && e.time == info->ended_at);
    read_event(&p, end, &e);
    assert_string_equal(e.tag, "sample/3");
    assert_string_equal(e.plugin, "text");
    assert_true(e.dtype == 7 && e.text_len == 3 && memcmp(e.text, "a\0b", 3) == 0 && e.step == 3);
    read_event(&p, end, &e);
    assert_string_equal(e.tag, "sample/4");
    assert_true(e.w == 8 && e.h == 5 && e.png == sizeof(picture) - 1);
    assert_true(p == end);
    free(bytes);
    free(info);
    vq_store_close(store);
}

static void json_case(const char *text, const char *expected, size_t len)
{
    struct vq_jsonin in;
    struct vq_text t = {0};
    vq_jsonin_init(&in, text, strlen(text));
    bool got = vq_jsonin_bytes(&in, &t) && vq_jsonin_end(&in);
    if (got != (expected != NULL))
        fail_msg("%s: %s", text, in.why ? in.why : "was taken");
    if (expected) {
        assert_int_equal(t.len, len);
        assert_memory_equal(t.data, expected, len);
    }
    vq_text_release(&t);
}

static void test_json_strings(void **state)
{
    (void)state;
    json_case("\"\"", "", 0);
    json_case(" \"a\\u0000b\" ", "a\0b", 3);
    json_case("\"\\ud83d\\ude00\\n\\/\"", "\xf0\x9f\x98\x80\n/", 6);
    json_case("\"\\ud83d\"", "\xef\xbf\xbd", 3);
    json_case("{\"base64\":\"\"}", "", 0);
    json_case("{\"base64\":\"/w==\"}", "\xff", 1);
    json_case("{\"base64\":\"/wA=\"}", "\xff\0", 2);
    json_case("{\"base64\":\"/wAB\"}", "\xff\0\1", 3);
    json_case("{\"base64\":\"/w=A\"}", NULL, 0);
    json_case("{\"base64\":\"/w\"}", NULL, 0);
    json_case("{\"base64\":\"/w==/w==\"}", NULL, 0);
    json_case("{\"base64\":\"/w==\",}", NULL, 0);
    json_case("\"\\u12g4\"", NULL, 0);
    json_case("\"open", NULL, 0);
    json_case("\"open\\", NULL, 0);
    json_case("\"x\" y", NULL, 0);
    /* All lengths and bytes there and back. */
    char bytes[256];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(255 - i);
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        struct vq_text t = {0}, back = {0};
        struct vq_jsonin in;
        vq_json_put_bytes(&t, bytes, n);
        vq_jsonin_init(&in, t.data, t.len);
        assert_true(vq_jsonin_bytes(&in, &back) && vq_jsonin_end(&in));
        assert_true(back.len == n && memcmp(back.data, bytes, n) == 0);
        vq_text_release(&t);
        vq_text_release(&back);
    }
}

/* Cut anywhere, an export is refused or read in part never: all or nothing. */
static void test_cut_files(void **state)
{
    (void)state;
    static const char *const names[] = {"out0.0", "out0.1", "out1.1", "out2.2"};
    for (size_t f = 0; f < 4; f++) {
        size_t size;
        uint8_t *bytes = read_bytes(in_scratch(names[f]), &size);
        assert_non_null(bytes);
        struct vq_store *store = open_store(in_scratch("cut.db"));
        size_t step = SANITIZED ? size / 40 + 1 : size / 200 + 1;
        for (size_t n = 0; n < size; n += step) {
            struct vq_intake in;
            struct vq_err e = {0};
            write_bytes(in_scratch("cut.txt"), bytes, n);
            if (vq_store_import(store, in_scratch("cut.txt"), &in, NULL, &e) != VQ_OK)
                assert_non_null(strstr(e.msg, "cut.txt"));
        }
        assert_text(store, "PRAGMA integrity_check", "ok");
        vq_store_close(store);
        unlink(in_scratch("cut.db"));
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_files),
        cmocka_unit_test(test_imports),      cmocka_unit_test(test_wrong_imports),
        cmocka_unit_test(test_merge),        cmocka_unit_test(test_events),
        cmocka_unit_test(test_json_strings), cmocka_unit_test(test_cut_files),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
