#include "repl/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t interrupts; /* since sh_signals_clear() */
static volatile sig_atomic_t ending;
static volatile sig_atomic_t running;
static volatile sig_atomic_t continued;
/* A pipe, because a handler may run on another thread than the one that waits. */
static int wake[2] = {-1, -1};

static void wake_up(void)
{
    int saved = errno;
    ssize_t n = write(wake[1], "", 1);
    (void)n;
    errno = saved;
}

static void on_interrupt(int sig)
{
    (void)sig;
    if (interrupts < 3)
        interrupts = interrupts + 1;
    if (running && interrupts == 3)
        _exit(130);
    wake_up();
}

static void on_continue(int sig)
{
    (void)sig;
    continued = 1;
    wake_up();
}

static void on_end(int sig)
{
    ending = sig;
    wake_up();
}

/* Nothing can go on without the page; the default action follows, so that the run counts as
 * crashed. */
static void on_lost_page(int sig)
{
    static const char text[] =
        "vqsh: a page of a mapped file cannot be read: the file of a model or of data was made "
        "shorter, or its disk fails; write a new file beside it and rename it\n";
    ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)n;
    raise(sig);
}

void sh_signals_install(void)
{
    struct sigaction sa = {.sa_handler = SIG_IGN}, old;
    sigemptyset(&sa.sa_mask);
    sigaction(SIGPIPE, &sa, NULL);
    if (pipe2(wake, O_CLOEXEC | O_NONBLOCK))
        wake[0] = wake[1] = -1;
    sa.sa_handler = on_interrupt;
    sigaction(SIGINT, &sa, NULL);
    sa.sa_handler = on_continue;
    sigaction(SIGCONT, &sa, NULL);
    sa.sa_handler = on_lost_page;
    sa.sa_flags = SA_RESETHAND;
    sigaction(SIGBUS, &sa, NULL);
    sa.sa_flags = 0;
    sa.sa_handler = on_end;
    sigaction(SIGTERM, &sa, NULL);
    /* nohup leaves SIGHUP ignored, and so do we. */
    if (!sigaction(SIGHUP, NULL, &old) && old.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &sa, NULL);
}

bool sh_signals_command(bool begins)
{
    bool was = running;
    running = begins;
    return was;
}

int sh_signals_interrupted(void)
{
    return interrupts;
}

static void drain(void)
{
    char bytes[64];
    while (read(wake[0], bytes, sizeof(bytes)) > 0)
        continue;
}

void sh_signals_clear(void)
{
    interrupts = 0;
    drain();
}

int sh_signals_ending(void)
{
    return ending;
}

bool sh_signals_continued(void)
{
    bool was = continued;
    continued = 0;
    return was;
}

bool sh_signals_wait(int fd)
{
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = wake[0], .events = POLLIN}};
    while (!interrupts && !ending && !continued) {
        int n = poll(p, 2, -1);
        if (n < 0 && errno != EINTR)
            return true;
        /* Drained before the flags are looked at: a signal after that fills it again. */
        if (n > 0 && p[1].revents)
            drain();
        else if (n > 0 && p[0].revents)
            return true;
    }
    return false;
}
