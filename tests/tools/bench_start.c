/*
 * Measures how soon the shell is there, at a terminal of its own:
 *
 *     bench_start VQSH RANDOM_MODEL FOLDER
 *
 * makes two checkpoints in FOLDER (6 GB of disk at most, removed at the end): one of the pg19
 * preset, 5.3 GB of f32 in a file of holes, of which opening reads headers and codebooks; and one
 * of the enwik8 preset, 190 M random weights. Then it times, in a process started anew each time,
 * from starting the program with the large file to its prompt, and from typing `load` to the first
 * token of the other, with the file in the system's cache. One line for each figure: the least and
 * the median of several, beside its target. Exit status 1 when a median misses it.
 */
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/model/model.h"

extern char **environ;

static const char *vqsh;
static int missed;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void stop(const char *what)
{
    fprintf(stderr, "bench_start: %s\n", what);
    exit(2);
}

static void need(enum vq_status status, const struct vq_err *err)
{
    if (status != VQ_OK)
        stop(err->msg);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void figure(const char *what, double *seconds, size_t n, double target)
{
    qsort(seconds, n, sizeof(*seconds), by_value);
    double median = seconds[n / 2];
    printf("%-58s least %6.3f s, median of %zu %6.3f s, at most %g%s\n", what, seconds[0], n,
           median, target, median <= target ? "" : "  MISSED");
    fflush(stdout);
    missed += median > target;
}

/* ---- the files ---- */

/* The pg19 preset in f32: a header, and behind it a hole where the numbers would be. */
static void make_holes(const char *path)
{
    struct vq_err err;
    struct vq_settings s;
    struct vq_param_spec *specs;
    struct vq_text h = {0};
    size_t n, at = 0;
    vq_settings_default(&s);
    need(vq_settings_preset(&s, "pg19", &err), &err);
    need(vq_model_specs(&s.v, &specs, &n, &err), &err);
    vq_text_puts(&h, "{");
    for (size_t i = 0; i < n; i++) {
        size_t count = 1;
        vq_text_printf(&h, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", i ? "," : "", specs[i].name);
        for (int d = 0; d < specs[i].rank; d++) {
            vq_text_printf(&h, "%s%lld", d ? "," : "", (long long)specs[i].shape[d]);
            count *= (size_t)specs[i].shape[d];
        }
        vq_text_printf(&h, "],\"data_offsets\":[%zu,%zu]}", at, at + 4 * count);
        at += 4 * count;
    }
    vq_text_puts(&h, "}");
    while (h.len % 8)
        vq_text_puts(&h, " ");
    uint64_t length = h.len;
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(&length, sizeof(length), 1, f) != 1 || fwrite(h.data, h.len, 1, f) != 1 ||
        fflush(f) || ftruncate(fileno(f), (off_t)(8 + h.len + at)) || fclose(f))
        stop("cannot make the large file");
    printf("%s: %.2f GB\n", path, (double)(8 + h.len + at) * 1e-9);
    free(specs);
    vq_text_release(&h);
}

static void run_tool(const char *const *argv)
{
    pid_t pid;
    int status;
    if (posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)argv, environ) ||
        waitpid(pid, &status, 0) != pid || status)
        stop("cannot make a model");
}

/* ---- a terminal ---- */

struct shell {
    pid_t pid;
    int fd;
};

static struct shell start(const char *file)
{
    struct shell s;
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    s.pid = forkpty(&s.fd, NULL, NULL, &size);
    if (s.pid < 0)
        stop("no terminal");
    if (s.pid == 0) {
        setenv("TERM", "dumb", 1);
        execl(vqsh, vqsh, "--no-log", "--no-init", "--color", "never", file ? "--load" : "--quiet",
              file, NULL);
        _exit(127);
    }
    return s;
}

/* Whether the last line is a prompt: "vqsh> ", or "vqsh MODEL@POSITION> ". */
static bool at_prompt(const char *seen)
{
    const char *line = strrchr(seen, '\n');
    const char *prompt = strstr(line ? line : seen, "vqsh");
    return prompt && strstr(prompt, "> ");
}

/* Reads until the prompt is seen. */
static void await_prompt(struct shell *s)
{
    char seen[1 << 16];
    size_t n = 0;
    struct pollfd p = {.fd = s->fd, .events = POLLIN};
    do {
        if (n >= sizeof(seen) - 1 || poll(&p, 1, 60000) <= 0)
            stop("no prompt");
        ssize_t got = read(s->fd, seen + n, sizeof(seen) - 1 - n);
        if (got <= 0)
            stop("the shell went away");
        n += (size_t)got;
        seen[n] = '\0';
    } while (!at_prompt(seen));
}

/* Types a line; the time until the next prompt. */
static double type(struct shell *s, const char *line)
{
    double began = now();
    if (write(s->fd, line, strlen(line)) != (ssize_t)strlen(line))
        stop("cannot type");
    await_prompt(s);
    return now() - began;
}

static void leave(struct shell *s)
{
    close(s->fd);
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
}

/* ---- the figures ---- */

static void time_prompt(const char *what, const char *file)
{
    double seconds[9];
    for (size_t i = 0; i < 9; i++) {
        double began = now();
        struct shell s = start(file);
        await_prompt(&s);
        seconds[i] = now() - began;
        leave(&s);
    }
    figure(what, seconds, 9, 0.1);
}

static void time_token(const char *what, const char *file, const char *format)
{
    char line[4096];
    double seconds[3];
    snprintf(line, sizeof(line), "load %s --weights %s\n", file, format);
    for (size_t i = 0; i < 3; i++) {
        struct shell s = start(NULL);
        await_prompt(&s);
        seconds[i] = type(&s, line);
        seconds[i] += type(&s, "next -k 1\n");
        leave(&s);
    }
    figure(what, seconds, 3, 1.0);
}

static void save_int8(const char *from, const char *to)
{
    char line[4096];
    snprintf(line, sizeof(line), "load %s; save %s --weights int8", from, to);
    const char *const argv[] = {vqsh, "--no-log", "--quiet", "--format", "jsonl", "-c", line, NULL};
    int null = open("/dev/null", O_WRONLY), out = dup(STDOUT_FILENO);
    if (null < 0 || out < 0 || dup2(null, STDOUT_FILENO) < 0)
        stop("no /dev/null");
    run_tool(argv);
    dup2(out, STDOUT_FILENO);
    close(null);
    close(out);
}

int main(int argc, char **argv)
{
    char large[1024], model[1024], int8[1024];
    if (argc != 4) {
        fprintf(stderr, "usage: bench_start VQSH RANDOM_MODEL FOLDER\n");
        return 2;
    }
    vqsh = argv[1];
    mkdir(argv[3], 0777);
    snprintf(large, sizeof(large), "%s/pg19.safetensors", argv[3]);
    snprintf(model, sizeof(model), "%s/enwik8.safetensors", argv[3]);
    snprintf(int8, sizeof(int8), "%s/enwik8-int8.safetensors", argv[3]);
    make_holes(large);
    time_prompt("prompt, no file", NULL);
    time_prompt("prompt, 5.3 GB of f32 opened (--load)", large);
    unlink(large);
    const char *const make[] = {argv[2], model,   "--preset",    "enwik8", "--seed",
                                "1",     "--set", "vocab=bytes", NULL};
    run_tool(make);
    save_int8(model, int8);
    time_token("load and first token, 190 M in f32, as f32", model, "f32");
    time_token("load and first token, 190 M in f32, as bf16", model, "bf16");
    time_token("load and first token, 190 M in f32, as int8", model, "int8");
    time_token("load and first token, 190 M saved as int8", int8, "int8");
    unlink(model);
    unlink(int8);
    rmdir(argv[3]);
    return missed > 0;
}
