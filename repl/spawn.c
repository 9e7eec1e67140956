#include "repl/spawn.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "repl/signals.h"

extern char **environ;

enum vq_status sh_spawn_program(const char *path, const char *const *argv, int input, int output,
                                pid_t *pid, struct vq_err *err)
{
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t actions;
    sigset_t defaults, mask;
    sigemptyset(&mask);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGINT);
    sigaddset(&defaults, SIGTERM);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigdefault(&attr, &defaults);
    posix_spawnattr_setsigmask(&attr, &mask);
    if (input >= 0)
        posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    if (output >= 0)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    int failed = posix_spawn(pid, path, &actions, &attr, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return failed ? vq_fail_errno(err, failed, "cannot start %s", path) : VQ_OK;
}

enum vq_status sh_spawn(const char *command, int input, pid_t *pid, struct vq_err *err)
{
    const char *const argv[] = {"sh", "-c", command, NULL};
    return sh_spawn_program("/bin/sh", argv, input, -1, pid, err);
}

int sh_spawn_wait(pid_t pid)
{
    int status = 127 << 8;
    /* Interrupts are the other program's now, however many. */
    bool running = sh_signals_command(false);
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            break;
        if (sh_signals_ending())
            kill(pid, SIGTERM);
    }
    sh_signals_command(running);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
