/*
 * proc: which process this is, in words that outlive it, and whether such a process still lives.
 * A pid alone does not do: it is given again, and every machine has the same ones.
 */
#ifndef VQ_CORE_STORE_PROC_H
#define VQ_CORE_STORE_PROC_H

#include <stdbool.h>
#include <stdint.h>

struct vq_proc {
    char host[256];   /* the machine's name */
    char boot_id[64]; /* changes with each start of the machine; "" where the system has none */
    int64_t pid;
    int64_t start; /* of the process, in clock ticks since the machine's start; 0 if unknown */
};

/* The calling process. Never fails: what the system does not tell is left empty. */
void vq_proc_self(struct vq_proc *out);

/* Whether `p`, which was recorded on this host, has ended for certain: the machine was started
 * again since (`self` is the calling process), the pid is free, a zombie, or another process's. */
bool vq_proc_is_gone(const struct vq_proc *p, const struct vq_proc *self);

#endif
