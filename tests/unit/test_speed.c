/*
 * Measuring this machine and an engine on it: that counts are right and limits follow from them.
 * How fast a machine is no test can know, so of rates only what holds anywhere is asserted.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bench/random.h"
#include "core/bench/speed.h"
#include "core/kernels/machine.h"
#include "core/kernels/matmul.h"

static struct vq_err err;

static void test_machine(void **unused)
{
    struct vq_limits l;
    double rate;
    (void)unused;
    assert_int_equal(vq_limits_measure(&l, NULL, &err), VQ_OK);
    assert_true(l.read > 1e6 && l.f32 > 1e6 && isfinite(l.read) && isfinite(l.f32));
    assert_non_null(vq_gemm_find(l.backend));
    assert_int_equal(l.bf16 > 0, vq_matmul_has_bf16());
    assert_int_equal(vq_machine_backend_rate(&rate, vq_gemm_default(), NULL, &err), VQ_OK);
    assert_true(rate > 1e6);
}

/* What is used is there, and the default kernels are among what is used. */
static void test_features(void **unused)
{
    size_t kernels = 0;
    (void)unused;
    assert_true(vq_machine_features() > 2);
    for (size_t i = 0; i < vq_machine_features(); i++) {
        struct vq_machine_feature f = vq_machine_feature(i);
        assert_true(f.here || !f.use);
        if (f.use && !strcmp(f.use, "all kernels")) {
            assert_string_equal(f.name, vq_gemm_name(vq_gemm_default()));
            kernels++;
        }
    }
    assert_int_equal(kernels, strstr(vq_gemm_name(vq_gemm_default()), "avx") != NULL);
}

static void test_limit(void **unused)
{
    const struct vq_speed s = {.tokens = 10, .bytes = 600, .flops = 5000, .read = 100};
    (void)unused;
    assert_true(fabs(vq_speed_limit(&s, 1000) - 10 / 6.0) < 1e-9); /* memory: 6 s */
    assert_true(fabs(vq_speed_limit(&s, 500) - 1) < 1e-9);         /* products: 10 s */
    const struct vq_speed cached = {.tokens = 10, .flops = 5000, .read = 100};
    assert_true(fabs(vq_speed_limit(&cached, 1000) - 2) < 1e-9);
}

static void test_engine(void **unused)
{
    struct vq_settings s;
    struct vq_model *m;
    struct vq_engine *e;
    struct vq_session *session;
    struct vq_speed speed;
    const struct vq_speed_options o = {.tokens = 5};
    const struct vq_engine_options how = {.weights = VQ_WEIGHT_INT8};
    (void)unused;
    vq_settings_default(&s);
    assert_int_equal(vq_settings_preset(&s, "text-tiny", &err), VQ_OK);
    assert_int_equal(vq_random_model(&m, &s, &err), VQ_OK);
    assert_int_equal(vq_engine_new(&e, m, &how, &err), VQ_OK);
    assert_int_equal(vq_speed_session(&session, e, 0, NULL, &err), VQ_OK);
    int64_t at = vq_session_position(session);
    assert_int_equal(at, s.v.mem_len + s.v.n_code);
    assert_int_equal(vq_speed_read(&speed, session, &o, &err), VQ_OK);
    assert_int_equal(vq_session_position(session), at + 5);
    assert_int_equal(speed.tokens, 5);
    assert_true(fabs(speed.flops - 5 * vq_engine_flops_per_token(e)) < 1);
    assert_true(speed.seconds > 0 && speed.read > 0);
    assert_int_equal(vq_speed_write(&speed, session, 3, &o, &err), VQ_OK);
    assert_int_equal(speed.tokens, 15);
    assert_true(fabs(speed.flops - 15 * vq_engine_flops_per_token(e)) < 1);
    assert_int_equal(vq_session_position(session), at + 5);
    vq_session_free(session);
    vq_engine_free(e);
    vq_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machine),
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
