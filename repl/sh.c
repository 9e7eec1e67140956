#include "repl/sh.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "repl/models.h"
#include "repl/opt.h"
#include "repl/out.h"
#include "repl/runlog.h"
#include "repl/signals.h"

double sh_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A reader that has gone is as good as a Ctrl-C: nobody waits for the rest. */
static bool poll_cancel(void *ud)
{
    const struct sh *sh = ud;
    return sh_signals_interrupted() || sh_signals_ending() || sh_out_gone(sh);
}

enum vq_status sh_init(struct sh *sh, struct vq_err *err)
{
    *sh = (struct sh){.exit_code = -1};
    sh_settings_default(&sh->set);
    sh->cancel = (struct vq_cancel){.poll = poll_cancel, .ud = sh};
    sh->out = sh_out_new(stdout, stderr);
    sh->models = sh_models_new();
    sh->log = sh_log_new(NULL, false);
    if (sh->out && sh->models && sh->log)
        return VQ_OK;
    sh_release(sh);
    return vq_fail(err, VQ_ENOMEM, "out of memory");
}

void sh_release(struct sh *sh)
{
    sh_models_free(sh);
    sh_log_free(sh);
    sh_out_free(sh->out);
    for (int i = 0; i < sh->n_pool; i++)
        vq_pool_free(sh->pools[i]);
    *sh = (struct sh){.exit_code = -1};
}

const struct vq_cancel *sh_cancel(struct sh *sh)
{
    return &sh->cancel;
}

/* The processors this process may run on. */
static int processors(void)
{
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof(set), &set))
        return CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

int sh_threads(const struct sh *sh)
{
    int n = sh->set.threads ? (int)sh->set.threads : processors();
    return n > 256 ? 256 : n;
}

struct vq_pool *sh_pool(struct sh *sh, struct vq_err *err)
{
    int threads = sh_threads(sh);
    for (int i = 0; i < sh->n_pool; i++) {
        if (vq_pool_threads(sh->pools[i]) == threads)
            return sh->pools[i];
    }
    if (sh->n_pool == SH_MAX_POOLS) {
        vq_fail(err, VQ_EINVAL, "the number of threads was changed too often in this session");
        return NULL;
    }
    struct vq_pool *pool;
    if (vq_pool_new(&pool, threads, err))
        return NULL;
    sh->pools[sh->n_pool++] = pool;
    return pool;
}

static uint64_t draw_seed(void)
{
    uint64_t seed;
    struct timespec t;
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        clock_gettime(CLOCK_REALTIME, &t);
        seed = (uint64_t)t.tv_sec * 1000000007u ^ (uint64_t)t.tv_nsec ^ (uint64_t)getpid() << 32;
    }
    /* Short enough to be typed again, and exact in programs that know only doubles. */
    return seed >> 32;
}

uint64_t sh_seed(struct sh *sh, const uint64_t *given)
{
    uint64_t seed;
    if (given)
        return *given;
    return sh_parse_seed(sh->set.seed, &seed) ? seed : draw_seed();
}

void sh_timing_note(struct sh *sh, const char *fmt, ...)
{
    size_t used = strlen(sh->timing);
    va_list ap;
    if (used + 3 >= sizeof(sh->timing))
        return;
    memcpy(sh->timing + used, ", ", 3);
    va_start(ap, fmt);
    vsnprintf(sh->timing + used + 2, sizeof(sh->timing) - used - 2, fmt, ap);
    va_end(ap);
}
