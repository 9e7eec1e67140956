#include "core/store/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The first bytes of a file of /proc as a string; "" if it cannot be read. */
static void read_line(const char *path, char *text, size_t size)
{
    text[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
}

/* State letter and start time of a process from /proc/PID/stat; false if they cannot be read. */
static bool read_stat(int64_t pid, char *state, int64_t *start)
{
    char path[48], text[1024];
    snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)pid);
    read_line(path, text, sizeof(text));
    /* Field 2 is the program's name in parentheses, and may hold spaces and parentheses itself. */
    const char *p = strrchr(text, ')');
    if (!p || p[1] != ' ')
        return false;
    p += 2;
    *state = *p;
    for (int field = 3; field < 22; field++) {
        p = strchr(p, ' ');
        if (!p)
            return false;
        p++;
    }
    *start = strtoll(p, NULL, 10);
    return true;
}

void vq_proc_self(struct vq_proc *out)
{
    *out = (struct vq_proc){.pid = getpid()};
    struct utsname name;
    if (uname(&name) == 0)
        snprintf(out->host, sizeof(out->host), "%s", name.nodename);
    read_line("/proc/sys/kernel/random/boot_id", out->boot_id, sizeof(out->boot_id));
    char state;
    if (!read_stat(out->pid, &state, &out->start))
        out->start = 0;
}

bool vq_proc_is_gone(const struct vq_proc *p, const struct vq_proc *self)
{
    if (p->boot_id[0] && self->boot_id[0] && strcmp(p->boot_id, self->boot_id) != 0)
        return true;
    if (p->pid <= 0)
        return true;
    if (kill((pid_t)p->pid, 0) != 0 && errno == ESRCH)
        return true;
    char state;
    int64_t start;
    if (!read_stat(p->pid, &state, &start))
        return false;
    if (state == 'Z' || state == 'X')
        return true;
    return p->start != 0 && start != p->start;
}
