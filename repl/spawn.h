/*
 * spawn: other programs, always through posix_spawn: a fork would copy a process whose matrix
 * library has threads.
 */
#ifndef VQ_REPL_SPAWN_H
#define VQ_REPL_SPAWN_H

#include <sys/types.h>

#include "core/base/err.h"

/* Starts /bin/sh -c command with signals as a new program expects them. input >= 0 becomes its
 * stdin. */
enum vq_status sh_spawn(const char *command, int input, pid_t *pid, struct vq_err *err);
/* Starts the program at `path` with the words argv, which ends with NULL. input and output, where
 * not negative, become its stdin and stdout. */
enum vq_status sh_spawn_program(const char *path, const char *const *argv, int input, int output,
                                pid_t *pid, struct vq_err *err);
/* Waits for it. The exit status, or 128 + the signal that ended it. */
int sh_spawn_wait(pid_t pid);

#endif
