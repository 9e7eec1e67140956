/*
 * Codebook statistics against straight loops over every pair, and against the metrics that the
 * authors' own code logged for the golden checkpoints.
 */
#include "tests/unit/test_inspect.h"

#include "core/inspect/codebook.h"
#include "core/inspect/metrics.h"

static void counts_of_a_checkpoint(void **state)
{
    (void)state;
    const double count[] = {0.0, 0.004, 0.5, 4.0, 3e6};
    struct vq_counts c;
    vq_counts_summary(&c, count, 5, VQ_COUNT_CLIP);
    assert_int_equal(c.codes, 5);
    assert_int_equal(c.dead, 2);
    assert_int_equal(c.used, 3);
    assert_int_equal(c.out_of_bounds, 4);
    assert_near(c.total, 3000004.504, 1e-6);
    assert_near(c.count.min, 0.0, 0.0);
    assert_near(c.usage.min, 0.01, 0.0);
    assert_near(c.usage.mean, 3000004.52 / 5, 1e-6);
    assert_near(c.count.max, 3e6, 0.0);
    const double usage[] = {0.01, 0.01, 0.5, 4.0, 3e6};
    double entropy = 0.0;
    for (int i = 0; i < 5; i++)
        entropy -= usage[i] / 3000004.52 * log(usage[i] / 3000004.52);
    assert_near(c.entropy, entropy, 1e-9);
    assert_near(c.perplexity, exp(entropy), 1e-9);
}

static void counts_that_were_observed(void **state)
{
    (void)state;
    const double even[] = {3, 3, 3, 3, 0, 0}, one[] = {0, 7, 0}, none[] = {0, 0};
    struct vq_counts c;
    vq_counts_summary(&c, even, 6, 0.0);
    assert_int_equal(c.used, 4);
    assert_int_equal(c.dead, 2);
    assert_near(c.entropy, log(4.0), 1e-14);
    assert_near(c.perplexity, 4.0, 1e-13);
    assert_near(c.usage.min, 0.0, 0.0);
    vq_counts_summary(&c, one, 3, 0.0);
    assert_near(c.perplexity, 1.0, 0.0);
    vq_counts_summary(&c, none, 2, 0.0);
    assert_int_equal(c.used, 0);
    assert_near(c.entropy, 0.0, 0.0);
}

static double slow_dot(const float *a, const float *b, size_t K)
{
    double sum = 0.0;
    for (size_t k = K; k-- > 0;)
        sum += (double)a[k] * (double)b[k];
    return sum;
}

static double slow_dist(const float *a, const float *b, size_t K)
{
    double sum = 0.0;
    for (size_t k = K; k-- > 0;)
        sum += ((double)a[k] - (double)b[k]) * ((double)a[k] - (double)b[k]);
    return sqrt(sum);
}

static double slow_sim(const float *a, const float *b, size_t K)
{
    double scale = sqrt(slow_dot(a, a, K) * slow_dot(b, b, K));
    return scale > 0.0 ? slow_dot(a, b, K) / scale : 0.0;
}

/* Random, with a zero vector, an exact double and a near double where there is room. */
static float *codebook(size_t S, size_t K)
{
    float *C = random_floats(S * 1000 + K, S * K);
    for (size_t k = 0; S > 8 && k < K; k++) {
        C[3 * K + k] = 0.0f;
        C[7 * K + k] = C[1 * K + k];
        C[5 * K + k] = C[4 * K + k] * (1.0f + 1e-6f);
    }
    return C;
}

static void geometry_is_that_of_straight_loops(void **state)
{
    (void)state;
    const size_t shape[][2] = {{2, 3}, {15, 1}, {16, 7}, {17, 5}, {33, 128}, {130, 16}};
    for (size_t i = 0; i < sizeof(shape) / sizeof(shape[0]); i++) {
        size_t S = shape[i][0], K = shape[i][1];
        float *C = codebook(S, K);
        struct vq_geometry g;
        double dist[3] = {INFINITY, 0, 0}, sim[3] = {INFINITY, 0, -INFINITY}, norm = 0.0;
        for (size_t a = 0; a < S; a++) {
            norm += sqrt(slow_dot(C + a * K, C + a * K, K)) / (double)S;
            for (size_t b = 0; b < S; b++) {
                double d = slow_dist(C + a * K, C + b * K, K),
                       s = slow_sim(C + a * K, C + b * K, K);
                if (a == b)
                    continue;
                dist[0] = fmin(dist[0], d), dist[2] = fmax(dist[2], d), dist[1] += d;
                sim[0] = fmin(sim[0], s), sim[2] = fmax(sim[2], s), sim[1] += s;
            }
        }
        assert_int_equal(vq_codebook_geometry(&g, C, S, K, NULL, NULL), VQ_OK);
        double pairs = (double)(S * (S - 1));
        assert_near(g.dist.min, dist[0], 1e-12);
        assert_near(g.dist.mean, dist[1] / pairs, 1e-12);
        assert_near(g.dist.max, dist[2], 1e-12);
        assert_near(g.sim.min, sim[0], 1e-12);
        assert_near(g.sim.mean, sim[1] / pairs, 1e-12);
        assert_near(g.sim.max, sim[2], 1e-12);
        assert_near(g.norm.mean, norm, 1e-12);
        assert_true(S <= 8 || g.norm.min == 0.0);
        free(C);
    }
}

static void one_code_has_no_pairs(void **state)
{
    (void)state;
    const float C[] = {3.0f, 4.0f};
    struct vq_geometry g;
    struct vq_code_pair pair;
    size_t n = 1;
    assert_int_equal(vq_codebook_geometry(&g, C, 1, 2, NULL, NULL), VQ_OK);
    assert_near(g.norm.max, 5.0, 0.0);
    assert_true(isnan(g.dist.min) && isnan(g.sim.mean));
    assert_int_equal(vq_codebook_pairs(&pair, &n, VQ_BY_COSINE, C, 1, 2, NULL, NULL), VQ_OK);
    assert_int_equal(n, 0);
}

/* Codes that nearly coincide: |a|^2 + |b|^2 - 2 ab alone would keep no correct digit. */
static void small_distances_keep_their_digits(void **state)
{
    (void)state;
    float C[2 * 64];
    struct vq_geometry g;
    for (int k = 0; k < 64; k++) {
        C[k] = 1000.0f + (float)k;
        C[64 + k] = C[k];
    }
    C[64 + 5] += 0.0009765625f; /* 2^-10 */
    assert_int_equal(vq_codebook_geometry(&g, C, 2, 64, NULL, NULL), VQ_OK);
    assert_near(g.dist.min, 0.0009765625, 0.0);
}

static enum vq_metric_kind sort_by;

static int compare_pairs(const void *a, const void *b)
{
    const struct vq_code_pair *x = a, *y = b;
    double p = sort_by == VQ_BY_COSINE ? -x->sim : x->dist;
    double q = sort_by == VQ_BY_COSINE ? -y->sim : y->dist;
    if (p != q)
        return p < q ? -1 : 1;
    return x->a != y->a ? (x->a < y->a ? -1 : 1) : (x->b < y->b ? -1 : x->b > y->b);
}

/* Integer vectors: no rounding, many ties. */
static void nearest_pairs_are_those_of_a_full_sort(void **state)
{
    (void)state;
    enum { S = 37, K = 3, ALL = S * (S - 1) / 2 };
    float C[S * K];
    struct vq_rng rng;
    vq_rng_init(&rng, 5, 0);
    for (size_t i = 0; i < S * K; i++)
        C[i] = (float)vq_rng_below(&rng, 5) - 2.0f;
    for (int by = 0; by < 2; by++) {
        static struct vq_code_pair want[ALL], got[ALL + 5];
        size_t at = 0;
        for (size_t a = 0; a < S; a++)
            for (size_t b = a + 1; b < S; b++)
                want[at++] = (struct vq_code_pair){a, b, slow_dist(C + a * K, C + b * K, K),
                                                   slow_sim(C + a * K, C + b * K, K)};
        sort_by = by ? VQ_BY_COSINE : VQ_BY_DISTANCE;
        qsort(want, ALL, sizeof(want[0]), compare_pairs);
        const size_t asked[] = {0, 1, 7, 100, ALL, ALL + 5};
        for (size_t i = 0; i < 6; i++) {
            size_t n = asked[i];
            assert_int_equal(vq_codebook_pairs(got, &n, sort_by, C, S, K, NULL, NULL), VQ_OK);
            assert_int_equal(n, asked[i] < ALL ? asked[i] : ALL);
            for (size_t j = 0; j < n; j++) {
                assert_near(got[j].dist, want[j].dist, sort_by == VQ_BY_DISTANCE ? 1e-12 : 9);
                assert_near(got[j].sim, want[j].sim, sort_by == VQ_BY_COSINE ? 1e-12 : 9);
                assert_true(got[j].a < got[j].b);
            }
            if (sort_by == VQ_BY_DISTANCE && n)
                assert_memory_equal(got, want, 2 * sizeof(size_t));
        }
    }
}

static void neighbours_are_every_other_code_in_order(void **state)
{
    (void)state;
    enum { S = 40, K = 9 };
    float *C = codebook(S, K);
    struct vq_code_pair near[S];
    for (int by = 0; by < 2; by++) {
        bool seen[S] = {false};
        size_t n = S;
        assert_int_equal(vq_codebook_neighbours(near, &n, 6, by, C, S, K, NULL), VQ_OK);
        assert_int_equal(n, S - 1);
        for (size_t i = 0; i < n; i++) {
            size_t b = near[i].b;
            assert_true(near[i].a == 6 && b != 6 && b < S && !seen[b]);
            seen[b] = true;
            assert_near(near[i].dist, slow_dist(C + 6 * K, C + b * K, K), 1e-12);
            assert_near(near[i].sim, slow_sim(C + 6 * K, C + b * K, K), 1e-12);
            if (i && by == VQ_BY_DISTANCE)
                assert_true(near[i - 1].dist <= near[i].dist);
            else if (i)
                assert_true(near[i - 1].sim >= near[i].sim);
        }
        struct vq_code_pair best = near[0];
        n = 1;
        assert_int_equal(vq_codebook_neighbours(near, &n, 6, by, C, S, K, NULL), VQ_OK);
        assert_true(n == 1 && near[0].b == best.b);
    }
    struct vq_err err;
    size_t n = 1;
    assert_int_equal(vq_codebook_neighbours(near, &n, S, VQ_BY_COSINE, C, S, K, &err), VQ_EINVAL);
    assert_int_equal(n, 0);
    assert_non_null(strstr(err.msg, "40"));
    free(C);
}

static void matrices_hold_every_pair(void **state)
{
    (void)state;
    enum { S = 21, K = 6 };
    float *C = codebook(S, K), *m = malloc(S * S * sizeof(*m));
    for (int by = 0; by < 2; by++) {
        assert_int_equal(vq_codebook_matrix(m, by, C, S, K, NULL, NULL), VQ_OK);
        for (size_t a = 0; a < S; a++)
            for (size_t b = 0; b < S; b++) {
                double want = by == VQ_BY_COSINE ? slow_sim(C + a * K, C + b * K, K)
                                                 : slow_dist(C + a * K, C + b * K, K);
                assert_near(m[a * S + b], want, 1e-6);
                assert_true(m[a * S + b] == m[b * S + a]);
            }
    }
    free(m);
    free(C);
}

static void assert_permutation(const size_t *order, size_t S)
{
    bool *seen = calloc(S, sizeof(*seen));
    for (size_t i = 0; i < S; i++) {
        assert_true(order[i] < S && !seen[order[i]]);
        seen[order[i]] = true;
    }
    free(seen);
}

/* On a line the only order in which neighbours meet is along it. */
static void order_follows_a_line(void **state)
{
    (void)state;
    enum { S = 101, K = 2 };
    float C[S * K];
    size_t order[S];
    for (size_t s = 0; s < S; s++) {
        float at = (float)(s * 37 % S);
        C[s * K] = at * at * 0.01f + at;
        C[s * K + 1] = 2.0f * C[s * K];
    }
    assert_int_equal(vq_codebook_order(order, VQ_BY_DISTANCE, C, S, K, NULL, NULL), VQ_OK);
    assert_permutation(order, S);
    float way = C[order[1] * K] - C[order[0] * K];
    for (size_t i = 1; i < S; i++)
        assert_true((C[order[i] * K] - C[order[i - 1] * K]) * way > 0.0f);
}

static void order_keeps_clusters_together(void **state)
{
    (void)state;
    enum { S = 60, K = 8, GROUPS = 5 };
    float *C = random_floats(9, S * K);
    size_t order[S];
    for (size_t s = 0; s < S; s++)
        C[s * K + s % GROUPS] += 60.0f;
    for (int by = 0; by < 2; by++) {
        size_t changes = 0;
        assert_int_equal(vq_codebook_order(order, by, C, S, K, NULL, NULL), VQ_OK);
        assert_permutation(order, S);
        for (size_t i = 1; i < S; i++)
            changes += order[i] % GROUPS != order[i - 1] % GROUPS;
        assert_int_equal(changes, GROUPS - 1);
    }
    free(C);
}

/* Equal gaps everywhere must neither loop nor lose a code. */
static void order_survives_ties(void **state)
{
    (void)state;
    enum { N = 24, S = N * N };
    static float grid[S * 2], same[S * 2];
    static size_t order[S];
    for (size_t s = 0; s < S; s++) {
        grid[2 * s] = (float)(s / N) * 0.1f;
        grid[2 * s + 1] = (float)(s % N) * 0.1f;
        same[2 * s] = 0.7f;
    }
    assert_int_equal(vq_codebook_order(order, VQ_BY_DISTANCE, grid, S, 2, NULL, NULL), VQ_OK);
    assert_permutation(order, S);
    assert_int_equal(vq_codebook_order(order, VQ_BY_DISTANCE, same, S, 2, NULL, NULL), VQ_OK);
    assert_permutation(order, S);
    assert_int_equal(vq_codebook_order(order, VQ_BY_COSINE, same, 1, 2, NULL, NULL), VQ_OK);
    assert_int_equal(order[0], 0);
}

static void cancel_stops_pairwise_work(void **state)
{
    (void)state;
    float *C = codebook(40, 8);
    const struct vq_cancel stop = {always, NULL};
    struct vq_geometry g = {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}, before = g;
    struct vq_code_pair pair[4];
    size_t n = 4, order[40];
    struct vq_err err;
    assert_int_equal(vq_codebook_geometry(&g, C, 40, 8, &stop, &err), VQ_ECANCELLED);
    assert_memory_equal(&g, &before, sizeof(g));
    assert_int_equal(vq_codebook_pairs(pair, &n, VQ_BY_COSINE, C, 40, 8, &stop, &err),
                     VQ_ECANCELLED);
    assert_int_equal(n, 0);
    assert_int_equal(vq_codebook_order(order, VQ_BY_COSINE, C, 40, 8, &stop, &err), VQ_ECANCELLED);
    free(C);
}

static void lack_of_memory_is_an_error(void **state)
{
    (void)state;
    float *C = codebook(40, 8);
    size_t order[40];
    enum vq_status rc = VQ_ENOMEM;
    long nth = 1;
    for (; rc == VQ_ENOMEM && nth < 50; nth++) {
        struct vq_err err;
        vq_mem_fail_at(nth);
        rc = vq_codebook_order(order, VQ_BY_COSINE, C, 40, 8, NULL, &err);
        vq_mem_fail_at(0);
    }
    assert_int_equal(rc, VQ_OK);
    assert_true(nth > 5);
    free(C);
}

static double expected(const struct vq_json *doc, const char *name)
{
    const struct vq_json_node *n = vq_json_get(vq_json_root(doc), "updates");
    n = vq_json_first(vq_json_get(n, "gtc0"));
    n = vq_json_get(vq_json_get(n, "metrics"), name);
    assert_non_null(n);
    return vq_json_number(n);
}

static void metrics_are_the_authors(void **state)
{
    (void)state;
    const char *const cases[] = {"mem8_block16", "layers11"};
    for (size_t i = 0; i < 2; i++) {
        struct golden g;
        struct vq_json *doc;
        struct vq_metrics metrics = {0};
        golden_open(&g, cases[i]);
        golden_json(&doc, cases[i]);
        size_t H = (size_t)g.c->n_head, S = (size_t)g.c->n_code, K = (size_t)g.c->d_k;
        float *C = malloc(H * S * K * sizeof(*C)), *count = malloc(H * S * sizeof(*count));
        double *count64 = malloc(S * sizeof(*count64));
        for (int m = 0; m < (int)vq_config_modules(g.c); m++) {
            struct vq_err err;
            assert_ok(vq_model_codebook(g.model, m, C, &err), &err);
            assert_ok(vq_model_read(g.model, m, "quantizer/c_count", count, &err), &err);
            for (size_t h = 0; h < H; h++) {
                struct vq_counts counts;
                struct vq_geometry geometry;
                for (size_t s = 0; s < S; s++)
                    count64[s] = count[h * S + s];
                vq_counts_summary(&counts, count64, S, VQ_COUNT_CLIP);
                assert_int_equal(counts.dead, 2);
                assert_ok(vq_codebook_geometry(&geometry, C + h * S * K, S, K, NULL, &err), &err);
                vq_metrics_codebook(&metrics, &counts, &geometry);
            }
        }
        for (int k = 0; k < VQ_VEC_NORM_MEAN; k++) {
            double want = expected(doc, vq_metric_name(k));
            assert_near(vq_metrics_get(&metrics, k), want, 1e-6 * fabs(want));
        }
        assert_true(isnan(vq_metrics_get(&metrics, VQ_RELATIVE_ERR_MEAN)));
        free(count64);
        free(count);
        free(C);
        vq_json_free(doc);
        golden_close(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_of_a_checkpoint),
        cmocka_unit_test(counts_that_were_observed),
        cmocka_unit_test(geometry_is_that_of_straight_loops),
        cmocka_unit_test(one_code_has_no_pairs),
        cmocka_unit_test(small_distances_keep_their_digits),
        cmocka_unit_test(nearest_pairs_are_those_of_a_full_sort),
        cmocka_unit_test(neighbours_are_every_other_code_in_order),
        cmocka_unit_test(matrices_hold_every_pair),
        cmocka_unit_test(order_follows_a_line),
        cmocka_unit_test(order_keeps_clusters_together),
        cmocka_unit_test(order_survives_ties),
        cmocka_unit_test(cancel_stops_pairwise_work),
        cmocka_unit_test(lack_of_memory_is_an_error),
        cmocka_unit_test(metrics_are_the_authors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
