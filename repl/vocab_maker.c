#include "repl/vocab_maker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "repl/spawn.h"

#define POLL_MS 20

/* What comes through the pipe, before the model itself. Both ends are the same program. */
struct answer {
    struct vq_vocab_trained result;
    struct vq_err err;
    size_t size;
};

/* ---- the process that makes it ---- */

static bool send_all(const void *data, size_t n)
{
    for (const char *at = data; n > 0;) {
        ssize_t done = write(STDOUT_FILENO, at, n);
        if (done < 0)
            return false;
        at += done;
        n -= (size_t)done;
    }
    return true;
}

/* SIZE TYPE COVERAGE FILE... */
int sh_vocab_maker_main(int argc, char **argv)
{
    struct answer a = {.err.code = VQ_OK};
    char *model = NULL;
    /* It ends when whoever waits for it says so, or is gone. */
    signal(SIGINT, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc < 4)
        return EXIT_FAILURE;
    struct vq_vocab_training t = {.size = (int)strtol(argv[0], NULL, 10),
                                  .type = argv[1],
                                  .paths = (const char *const *)(argv + 3),
                                  .n_paths = (size_t)argc - 3};
    if (!vq_text_to_f64(argv[2], strlen(argv[2]), &t.coverage))
        return EXIT_FAILURE;
    enum vq_status status = vq_vocab_train(&t, &model, &a.size, &a.result, &a.err);
    a.err.code = status;
    bool sent = send_all(&a, sizeof(a)) && send_all(model, a.size);
    free(model);
    return sent ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- the one that waits ---- */

static enum vq_status start(const struct vq_vocab_training *t, int output, pid_t *pid,
                            struct vq_err *err)
{
    char size[24];
    struct vq_text coverage = {0};
    const char **words = vq_alloc(t->n_paths + 6, sizeof(*words));
    enum vq_status status = VQ_OK;
    snprintf(size, sizeof(size), "%d", t->size);
    vq_text_json_f64(&coverage, t->coverage);
    if (!words || coverage.failed) {
        status = vq_nomem(err, "the words of a program", t->n_paths + 6, sizeof(*words));
    } else {
        const char *const head[] = {"vqsh", SH_VOCAB_MAKER, size, t->type, coverage.data};
        memcpy(words, head, sizeof(head));
        memcpy(words + 5, t->paths, t->n_paths * sizeof(*words));
        words[5 + t->n_paths] = NULL;
        status = sh_spawn_program("/proc/self/exe", words, -1, output, pid, err);
    }
    vq_text_release(&coverage);
    free(words);
    return status;
}

/* All that comes through fd, until its end. */
static enum vq_status receive(int fd, const struct vq_cancel *cancel, struct vq_text *to,
                              struct vq_err *err)
{
    char bytes[1 << 16];
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, POLL_MS);
        if (vq_cancelled(cancel))
            return vq_fail(err, VQ_ECANCELLED, "interrupted");
        if (ready <= 0)
            continue;
        ssize_t n = read(fd, bytes, sizeof(bytes));
        if (n == 0)
            return VQ_OK;
        if (n < 0 && errno != EINTR)
            return vq_fail_errno(err, errno, "cannot read what was made");
        if (n > 0)
            vq_text_put(to, bytes, (size_t)n);
    }
}

static enum vq_status understand(const struct vq_text *answer, char **model, size_t *size,
                                 struct vq_vocab_trained *result, struct vq_err *err)
{
    struct answer a;
    if (answer->failed)
        return vq_nomem(err, "a vocabulary", answer->len, 1);
    if (answer->len < sizeof(a))
        return vq_fail(err, VQ_EIO, "the process that makes vocabularies ended before its time");
    memcpy(&a, answer->data, sizeof(a));
    *result = a.result;
    if (a.err.code != VQ_OK)
        return vq_fail(err, a.err.code, "%s", a.err.msg);
    if (answer->len - sizeof(a) != a.size)
        return vq_fail(err, VQ_EIO, "the process that makes vocabularies sent %zu bytes of %zu",
                       answer->len - sizeof(a), a.size);
    *model = vq_alloc(a.size, 1);
    if (!*model)
        return vq_nomem(err, "a vocabulary", a.size, 1);
    memcpy(*model, answer->data + sizeof(a), a.size);
    *size = a.size;
    return VQ_OK;
}

enum vq_status sh_vocab_make(const struct vq_vocab_training *t, char **model, size_t *size,
                             struct vq_vocab_trained *result, struct vq_err *err)
{
    int fd[2];
    pid_t pid;
    struct vq_text answer = {0};
    *model = NULL;
    *size = 0;
    *result = (struct vq_vocab_trained){0};
    if (pipe2(fd, O_CLOEXEC) != 0)
        return vq_fail_errno(err, errno, "cannot make a pipe");
    enum vq_status status = start(t, fd[1], &pid, err);
    close(fd[1]);
    if (status == VQ_OK) {
        status = receive(fd[0], t->cancel, &answer, err);
        if (status != VQ_OK)
            kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        if (status == VQ_OK)
            status = understand(&answer, model, size, result, err);
    }
    close(fd[0]);
    vq_text_release(&answer);
    return status;
}
