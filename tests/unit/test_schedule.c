/* Schedules: the authors' factors at their steps, and the ways to ask for what cannot be had. */
#include "tests/unit/golden.h"

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/train/schedule.h"

static const char path[] = "tests/data/optim/schedules.json";

static int64_t integer(const struct vq_json_node *object, const char *key)
{
    int64_t n;
    assert_true(vq_json_int(vq_json_get(object, key), &n));
    return n;
}

/* One case of the file: refused by name, or the double factors within their own rounding and the
 * float ones within a float's. Returns the factors compared. */
static size_t check_case(const struct vq_json_node *c)
{
    const char *name = vq_json_string(vq_json_get(c, "lr_schedule"));
    struct vq_schedule s;
    struct vq_err err = {0};
    enum vq_status st =
        vq_schedule_init(&s, name, integer(c, "n_warmup_step"), integer(c, "n_max_step"), &err);
    if (!strcmp(name, "inv_sqrt")) {
        assert_int_equal(st, VQ_EUNSUPPORTED);
        assert_says(&err, "inv_sqrt", "infinity", "cosine");
        return 0;
    }
    assert_ok(st, &err);
    const struct vq_json_node *step = vq_json_first(vq_json_get(c, "steps"));
    const struct vq_json_node *exact = vq_json_first(vq_json_get(c, "float64"));
    const struct vq_json_node *rounded = vq_json_first(vq_json_get(c, "float32"));
    size_t n = 0;
    for (; step; n++) {
        double x = vq_schedule_at(&s, (int64_t)vq_json_number(step));
        if (fabs(x - vq_json_number(exact)) > 1e-12 || fabs(x - vq_json_number(rounded)) > 1e-6)
            fail_msg("%s, step %g: %.17g, not %.17g", name, vq_json_number(step), x,
                     vq_json_number(exact));
        step = vq_json_next(step);
        exact = vq_json_next(exact);
        rounded = vq_json_next(rounded);
    }
    assert_null(exact);
    return n;
}

static void test_golden(void **state)
{
    (void)state;
    struct vq_file f;
    struct vq_json *doc;
    struct vq_err err = {0};
    assert_ok(vq_file_open(&f, path, &err), &err);
    assert_ok(vq_json_parse(&doc, (const char *)f.data, f.size, &err), &err);
    size_t factors = 0, cases = 0;
    for (const struct vq_json_node *c = vq_json_first(vq_json_root(doc)); c; c = vq_json_next(c)) {
        factors += check_case(c);
        cases++;
    }
    assert_int_equal(cases, 9);
    assert_int_equal(factors, 2 * (10 + 13 + 13));
    vq_json_free(doc);
    vq_file_close(&f);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t warmup, max;
        enum vq_status code;
        const char *says;
    } cases[] = {
        {"cosine", 0, 1, VQ_OK, ""},
        {"cosine", 10, 10, VQ_EINVAL, "the cosine schedule needs steps after the warm-up's 10"},
        {"linear", 10, 10, VQ_OK, ""},
        {"linear", 11, 10, VQ_EINVAL, "expected 0 to n_max_step (10), found 11"},
        {"linear", -1, 10, VQ_EINVAL, "found -1"},
        {"step", 0, 10, VQ_EINVAL, "expected cosine or linear, found 'step'"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vq_schedule s;
        struct vq_err err = {0};
        enum vq_status st =
            vq_schedule_init(&s, cases[i].name, cases[i].warmup, cases[i].max, &err);
        assert_int_equal(st, cases[i].code);
        assert_says(&err, cases[i].says);
    }
    struct vq_schedule flat;
    assert_int_equal(vq_schedule_init(&flat, "linear", 4, 4, NULL), VQ_OK);
    assert_true(vq_schedule_at(&flat, 2) == 0.5);
    assert_true(vq_schedule_at(&flat, 4) == 1.0 && vq_schedule_at(&flat, 400) == 1.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
