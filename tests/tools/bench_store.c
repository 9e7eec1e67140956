/*
 * Measures the run database at the size of a few years' work:
 *
 *     bench_store VQSH DB [RUNS [POINTS [SAMPLES]]]
 *
 * makes DB anew with RUNS runs (10,000; 0 takes DB as it is, and leaves it) of POINTS metric points
 * (1,000) and SAMPLES samples (10) each, times the store's own calls and then VQSH itself, started
 * anew for each command, and prints one line for each figure beside its target. Exit status 1 when
 * a target is missed.
 */
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/store/store.h"

extern char **environ;

static size_t n_runs = 10000, n_points = 1000, n_samples = 10;
static int missed;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void need(enum vq_status status, const struct vq_err *err)
{
    if (status == VQ_OK)
        return;
    fprintf(stderr, "bench_store: %s\n", err->msg);
    exit(2);
}

/* One figure; target 0: none; cpu 0: not known. */
static void figure(const char *what, double value, const char *unit, double cpu, double target,
                   bool at_most)
{
    bool good = target == 0 || (at_most ? value <= target : value >= target);
    printf("%-66s %9.1f %-6s", what, value, unit);
    if (cpu > 0)
        printf(" cpu %5.1f", cpu);
    if (target > 0)
        printf("  %s %g%s", at_most ? "at most" : "at least", target, good ? "" : "  MISSED");
    printf("\n");
    fflush(stdout);
    missed += !good;
}

/* ---- filling ---- */

static const char config[] =
    "{\"d_model\":512,\"d_k\":128,\"d_v\":1024,\"n_head\":1,\"n_code\":512,\"n_layer\":12,"
    "\"n_vocab\":259,\"block_len\":512,\"mem_len\":512,\"agg_cache\":1,\"p_dropemb\":0.1,"
    "\"c_beta\":0.0001,\"c_gamma\":0.99,\"sequence_len\":8192,\"update_len\":2048,"
    "\"global_batch_size\":128,\"optimizer\":\"adamw\",\"lr_max\":0.0004,\"vocab\":\"bytes\"}";

static void add_samples(struct vq_run *run, size_t i)
{
    static const char text[] =
        "It is a truth universally acknowledged, that a single man in possession of a good "
        "fortune, must be in want of a wife. However little known the feelings or views of such a "
        "man may be on his first entering a neighbourhood, this truth is so well fixed";
    struct vq_err err;
    for (size_t k = 0; k < n_samples; k++) {
        struct vq_sample s = {.index = (int64_t)k,
                              .seed = i * 100 + k,
                              .text = text,
                              .len = sizeof(text) - 1,
                              .tokens = (int64_t)sizeof(text) - 1,
                              .nats = 300.5};
        need(vq_run_sample(run, &s, &err), &err);
    }
}

static void add_run(struct vq_store *store, size_t i)
{
    struct vq_err err;
    struct vq_run *run;
    char line[96], settings[96];
    snprintf(line, sizeof(line), "train --out runs/%zu --seed %zu", i, i);
    snprintf(settings, sizeof(settings), "{\"seed\":%zu,\"steps\":%zu}", i, n_points);
    struct vq_run_spec spec = {
        .command = i % 3 ? "train" : "eval",
        .command_line = line,
        .model_name = i % 2 ? "text-small" : "imagenet64",
        .model_path = "/models/some/where/checkpoint_1000.safetensors",
        .model_sha256 = "67411f712e6d3e98b06e7dfa72e0580900725a0d4403f704d0fd4f73e500e4cc",
        .config = config,
        .settings = settings,
        .has_seed = true,
        .seed = i,
        .threads = 2,
        .version = "0"};
    need(vq_run_begin(store, &spec, &run, &err), &err);
    for (size_t k = 0; k < n_points; k++)
        need(vq_run_metric(run, "loss", (int64_t)k,
                           2 + 4 * exp(-(double)k / 200) + (double)(i % 97) / 100, &err),
             &err);
    add_samples(run, i);
    need(vq_run_result_real(run, "bits_per_byte", 1.5 + (double)(i % 1000) / 1000, &err), &err);
    need(vq_run_result_int(run, "tokens", (int64_t)(n_points * 2048), &err), &err);
    need(vq_run_result_real(run, "seconds", 12.5, &err), &err);
    need(vq_run_finish(run, i % 50 ? VQ_RUN_FINISHED : VQ_RUN_FAILED, NULL, &err), &err);
    vq_run_free(run);
}

static void fill(struct vq_store *store)
{
    double start = now();
    for (size_t i = 0; i < n_runs; i++)
        add_run(store, i);
    double took = now() - start;
    figure("filling: runs a second, with all that belongs to them", (double)n_runs / took, "runs/s",
           0, 0, false);
}

/* Points of one run in a row, as training writes them. */
static void write_points(struct vq_store *store)
{
    enum { POINTS = 1000000 };
    struct vq_err err;
    struct vq_run *run;
    double start = now();
    need(vq_run_begin(store, &(struct vq_run_spec){.command = "train"}, &run, &err), &err);
    for (int k = 0; k < POINTS; k++)
        need(vq_run_metric(run, k % 2 ? "loss" : "grad_norm", k / 2, 1.0 / (k + 1), &err), &err);
    need(vq_run_finish(run, VQ_RUN_FINISHED, NULL, &err), &err);
    figure("writing metric points, 1,000,000 of one run", POINTS / (now() - start), "rows/s", 0,
           50000, false);
    need(vq_store_remove(store, vq_run_id(run), false, &err), &err);
    vq_run_free(run);
}

/* ---- the program ---- */

struct took {
    double wall, cpu; /* ms */
};

static double ms_of(const struct timeval *t)
{
    return (double)t->tv_sec * 1e3 + (double)t->tv_usec / 1e3;
}

/* From its start to its end; results go nowhere. */
static struct took run_once(const char *program, const char *db, const char *format,
                            const char *command)
{
    const char *const words[] = {program, "--db", db, "--format", format, "--quiet", "-c", command};
    char *argv[9] = {NULL};
    posix_spawn_file_actions_t actions;
    struct rusage used = {0};
    pid_t pid;
    int status = 1;
    for (size_t i = 0; i < 8; i++)
        argv[i] = (char *)(uintptr_t)words[i];
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    double start = now();
    if (posix_spawn(&pid, program, &actions, NULL, argv, environ) == 0)
        wait4(pid, &status, 0, &used);
    double wall = now() - start;
    posix_spawn_file_actions_destroy(&actions);
    if (status != 0) {
        fprintf(stderr, "bench_store: %s -c '%s' failed\n", program, command);
        exit(2);
    }
    return (struct took){wall * 1e3, ms_of(&used.ru_utime) + ms_of(&used.ru_stime)};
}

static int rising(const void *a, const void *b)
{
    double x = ((const struct took *)a)->wall, y = ((const struct took *)b)->wall;
    return (x > y) - (x < y);
}

/* The median of seven, after one that warms the caches. The time on the processor is printed too:
 * on a machine that others use, it is what the program itself is to blame for. */
static void time_command(const char *program, const char *db, const char *format,
                         const char *command, double target)
{
    enum { TIMES = 7 };
    struct took all[TIMES];
    char what[200];
    run_once(program, db, format, command);
    for (int i = 0; i < TIMES; i++)
        all[i] = run_once(program, db, format, command);
    qsort(all, TIMES, sizeof(*all), rising);
    snprintf(what, sizeof(what), "%s: %s", format, command);
    figure(what, all[TIMES / 2].wall, "ms", all[TIMES / 2].cpu, target, true);
}

static void time_program(const char *program, const char *db)
{
    char plot[600];
    snprintf(plot, sizeof(plot), "plot metric --run -1 --metric loss --out %s.png", db);
    printf("whole program, start to end:\n");
    time_command(program, db, "plain", "show timing", 0);
    time_command(program, db, "table", "runs", 100);
    time_command(program, db, "table", "runs --limit 0", 0);
    time_command(program, db, "json", "runs", 0);
    time_command(program, db, "table", "runs status=finished and model~text and bits_per_byte<2",
                 100);
    time_command(program, db, "table", "runs loss<2.5 --sort loss", 100);
    time_command(program, db, "table", "runs config.n_layer=12 --sort -bits_per_byte -n 20", 0);
    time_command(program, db, "table", "run -1", 0);
    time_command(program, db, "table", "diff -1 -2", 50);
    time_command(program, db, "table", "diff -1 -2 -3 --samples --all", 50);
    time_command(program, db, "plain", plot, 200);
    time_command(program, db, "table", "sql SELECT * FROM v_best ORDER BY min LIMIT 5", 0);
    snprintf(plot, sizeof(plot), "%s.png", db);
    unlink(plot);
    snprintf(plot, sizeof(plot), "report %s.html --where command=train -n 1000", db);
    time_command(program, db, "plain", plot, 1000);
    snprintf(plot, sizeof(plot), "%s.html", db);
    unlink(plot);
}

static void remove_files(const char *db)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char path[600];
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "%s%s", db, ends[i]);
        unlink(path);
    }
}

static void make_database(const char *db)
{
    struct vq_err err;
    struct vq_store *store;
    remove_files(db);
    need(vq_store_open(&store, db, NULL, &err), &err);
    write_points(store);
    fill(store);
    vq_store_close(store);
}

int main(int argc, char **argv)
{
    struct vq_err err;
    struct vq_store *store;
    struct stat st;
    if (argc < 3) {
        fprintf(stderr, "usage: bench_store VQSH DB [RUNS [POINTS [SAMPLES]]]\n");
        return 2;
    }
    n_runs = argc > 3 ? strtoull(argv[3], NULL, 10) : n_runs;
    n_points = argc > 4 ? strtoull(argv[4], NULL, 10) : n_points;
    n_samples = argc > 5 ? strtoull(argv[5], NULL, 10) : n_samples;
    if (n_runs > 0)
        make_database(argv[2]);
    if (stat(argv[2], &st) == 0 && n_runs > 0)
        printf("%zu runs, %zu points and %zu samples each: %.0f MB\n", n_runs, n_points, n_samples,
               (double)st.st_size / 1e6);
    double start = now();
    need(vq_store_open(&store, argv[2], NULL, &err), &err);
    vq_store_close(store);
    figure("opening and closing the database", (now() - start) * 1e3, "ms", 0, 0, true);
    time_program(argv[1], argv[2]);
    if (n_runs > 0)
        remove_files(argv[2]);
    return missed ? 1 : 0;
}
