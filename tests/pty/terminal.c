#include "tests/pty/terminal.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static long limit_ms(void)
{
    const char *s = getenv("PTY_TIMEOUT");
    return s ? strtol(s, NULL, 10) * 1000 : 10000;
}

/* In the child: replaces it by the shell. */
static void become_shell(const struct terminal *t, const struct term_options *o)
{
    const char *env[32], *argv[32], *path = getenv("VQSH");
    char home[96];
    int n = 0, m = 0;
    snprintf(home, sizeof(home), "HOME=%s", t->home);
    env[n++] = home;
    bool colour = false;
    for (const char *const *e = o->env; e && *e && n < 20; e++) {
        colour = colour || !strcmp(*e, "NO_COLOR=");
        env[n++] = *e;
    }
    /* The first of two of one name is the one that counts. */
    env[n++] = "PATH=/usr/local/bin:/usr/bin:/bin";
    env[n++] = "TERM=xterm-256color";
    env[n++] = "INPUTRC=/dev/null";
    env[n++] = "LC_ALL=C.UTF-8";
    if (!colour)
        env[n++] = "NO_COLOR=1";
    env[n] = NULL;
    argv[m++] = "vqsh";
    for (const char *const *a = o->args; a && *a && m < 31; a++)
        argv[m++] = *a;
    argv[m] = NULL;
    execve(path ? path : "./vqsh", (char *const *)argv, (char *const *)env);
    _exit(127);
}

bool term_open(struct terminal *t, const struct term_options *o)
{
    struct winsize size = {
        .ws_row = (unsigned short)(o->rows ? o->rows : 24),
        .ws_col = (unsigned short)(o->columns ? o->columns : 80),
    };
    *t = (struct terminal){.fd = -1};
    snprintf(t->home, sizeof(t->home), "%s", o->home ? o->home : "/tmp/vqsh-pty-XXXXXX");
    if (!o->home && !mkdtemp(t->home))
        return false;
    t->cap = 1 << 16;
    t->seen = calloc(t->cap, 1);
    t->pid = forkpty(&t->fd, NULL, NULL, &size);
    if (t->pid == 0)
        become_shell(t, o);
    return t->seen && t->pid > 0;
}

/* Takes in what there is within `ms`; false when nothing came. */
static bool take(struct terminal *t, long ms)
{
    struct pollfd p = {.fd = t->fd, .events = POLLIN};
    if (t->gone || poll(&p, 1, ms > 0 ? (int)ms : 0) <= 0)
        return false;
    if (t->cap - t->n_seen < 4096) {
        char *grown = realloc(t->seen, t->cap * 2);
        if (!grown)
            return false;
        t->seen = grown;
        t->cap *= 2;
    }
    ssize_t n = read(t->fd, t->seen + t->n_seen, t->cap - t->n_seen - 1);
    if (n <= 0) {
        t->gone = true;
        return false;
    }
    t->n_seen += (size_t)n;
    t->seen[t->n_seen] = '\0';
    return true;
}

void term_send_bytes(struct terminal *t, const char *keys, size_t n)
{
    while (n > 0) {
        ssize_t put = write(t->fd, keys, n);
        if (put <= 0)
            return;
        keys += put;
        n -= (size_t)put;
    }
}

void term_send(struct terminal *t, const char *keys)
{
    term_send_bytes(t, keys, strlen(keys));
}

static char *find(struct terminal *t, const char *text)
{
    return memmem(t->seen + t->at, t->n_seen - t->at, text, strlen(text));
}

bool term_expect(struct terminal *t, const char *text)
{
    long end = now_ms() + limit_ms();
    char *hit;
    while (!(hit = find(t, text))) {
        if (!take(t, end - now_ms()) && (t->gone || now_ms() >= end))
            return false;
    }
    t->at = (size_t)(hit - t->seen) + strlen(text);
    return true;
}

bool term_absent(struct terminal *t, const char *text, int ms)
{
    long end = now_ms() + ms;
    while (now_ms() < end && !t->gone)
        take(t, end - now_ms());
    return !find(t, text);
}

int term_wait(struct terminal *t)
{
    long end = now_ms() + limit_ms();
    int status;
    while (now_ms() < end) {
        take(t, 20);
        if (waitpid(t->pid, &status, WNOHANG) != t->pid)
            continue;
        t->pid = 0;
        while (take(t, 20))
            continue;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return -1;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void term_close(struct terminal *t)
{
    if (t->pid > 0) {
        kill(t->pid, SIGKILL);
        waitpid(t->pid, NULL, 0);
    }
    if (t->fd >= 0)
        close(t->fd);
    if (!strncmp(t->home, "/tmp/vqsh-pty-", 14))
        nftw(t->home, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(t->seen);
    *t = (struct terminal){.fd = -1};
}

char *term_file(const struct terminal *t, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", t->home, name);
    FILE *f = fopen(path, "r");
    if (!f)
        return NULL;
    char *text = calloc(1, 1 << 16);
    if (text) {
        size_t n = fread(text, 1, (1 << 16) - 1, f);
        text[n] = '\0';
    }
    fclose(f);
    return text;
}
