#include "repl/history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "repl/sh.h"

enum { LARGEST_FILE = 64 << 20 };

static char **entries;
static size_t n_entries, cap;
static char *path; /* NULL: no file */

size_t sh_history_count(void)
{
    return n_entries;
}

const char *sh_history_at(size_t i)
{
    return entries[i];
}

static void keep(const char *text, size_t n)
{
    if (n_entries == cap) {
        size_t grown = cap ? cap * 2 : 256;
        char **v = vq_realloc(entries, grown, sizeof(*v));
        if (!v)
            return;
        entries = v;
        cap = grown;
    }
    entries[n_entries] = vq_strndup(text, n);
    if (entries[n_entries])
        n_entries++;
}

static void forget(void)
{
    for (size_t i = 0; i < n_entries; i++)
        free(entries[i]);
    free(entries);
    entries = NULL;
    n_entries = cap = 0;
}

/* An entry as its line of the file. */
static void encode(const char *text, struct vq_text *line)
{
    for (; *text; text++) {
        if (*text == '\n')
            vq_text_puts(line, "\\n");
        else if (*text == '\\')
            vq_text_puts(line, "\\\\");
        else
            vq_text_put(line, text, 1);
    }
    vq_text_puts(line, "\n");
}

static void decode(const char *line, size_t n)
{
    struct vq_text text = {0};
    for (size_t i = 0; i < n; i++) {
        bool escaped = line[i] == '\\' && i + 1 < n;
        if (escaped)
            i++;
        vq_text_put(&text, escaped && line[i] == 'n' ? "\n" : line + i, 1);
    }
    if (text.len && !text.failed && !memchr(text.data, '\0', text.len))
        keep(text.data, text.len);
    vq_text_release(&text);
}

/* Makes the folders above the file. */
static bool make_folders(char *file)
{
    for (char *p = file + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        int failed = mkdir(file, 0700) && errno != EEXIST;
        *p = '/';
        if (failed)
            return false;
    }
    return true;
}

static char *file_path(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    struct vq_text p = {0};
    if (state && state[0] == '/')
        vq_text_printf(&p, "%s/vqsh/history", state);
    else if (home && home[0] == '/')
        vq_text_printf(&p, "%s/.local/state/vqsh/history", home);
    return p.data;
}

/* The file, made for its owner alone; a link there is not followed. */
static int open_file(int flags)
{
    return path ? open(path, flags | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;
}

/* All lines of the file into the entries. */
static void read_lines(int fd)
{
    struct vq_text all = {0};
    char buf[65536];
    ssize_t n;
    while (all.len < LARGEST_FILE && (n = read(fd, buf, sizeof(buf))) > 0)
        vq_text_put(&all, buf, (size_t)n);
    for (size_t at = 0; at < all.len;) {
        const char *nl = memchr(all.data + at, '\n', all.len - at);
        size_t len = nl ? (size_t)(nl - all.data) - at : all.len - at;
        decode(all.data + at, len);
        at += len + 1;
    }
    vq_text_release(&all);
}

void sh_history_open(struct sh *sh)
{
    path = file_path();
    if (!path)
        return;
    int fd = make_folders(path) ? open_file(O_RDWR) : -1;
    if (fd < 0) {
        sh_warn(sh, "%s: %s; history is kept for this session only", path, strerror(errno));
        free(path);
        path = NULL;
        return;
    }
    read_lines(fd);
    close(fd);
}

static void append(const char *text)
{
    struct vq_text line = {0};
    int fd = open_file(O_WRONLY | O_APPEND);
    if (fd < 0)
        return;
    encode(text, &line);
    /* The lock waits for a shell that is cutting the file. */
    if (!line.failed && !flock(fd, LOCK_SH)) {
        ssize_t put = write(fd, line.data, line.len);
        (void)put;
    }
    vq_text_release(&line);
    close(fd);
}

bool sh_history_add(struct sh *sh, const char *text)
{
    size_t n = strlen(text);
    while (n && strchr(" \t\n", text[n - 1]))
        n--;
    if (!n || *text == ' ' || *text == '\t')
        return false;
    char *entry = vq_strndup(text, n);
    bool again = entry && n_entries && !strcmp(entries[n_entries - 1], entry);
    if (entry && !again) {
        keep(entry, n);
        if (sh->set.history > 0)
            append(entry);
    }
    free(entry);
    return !again;
}

/* Writes the last `limit` entries over the file, which is locked and open as fd. They are a part of
 * what it holds, so it is cut only after they are written: a crash between loses none. */
static void rewrite(int fd, size_t limit)
{
    struct vq_text all = {0};
    size_t first = n_entries > limit ? n_entries - limit : 0;
    for (size_t i = first; i < n_entries; i++)
        encode(entries[i], &all);
    ssize_t put = all.len && !all.failed ? pwrite(fd, all.data, all.len, 0) : 0;
    if (!all.failed && put == (ssize_t)all.len && ftruncate(fd, put))
        put = -1;
    vq_text_release(&all);
}

void sh_history_close(struct sh *sh)
{
    size_t limit = (size_t)sh->set.history;
    int fd = open_file(O_RDWR);
    if (fd >= 0 && !flock(fd, LOCK_EX)) {
        forget();
        read_lines(fd);
        if (n_entries > limit)
            rewrite(fd, limit);
    }
    if (fd >= 0)
        close(fd);
    forget();
    free(path);
    path = NULL;
}

void sh_history_clear(struct sh *sh)
{
    (void)sh;
    forget();
    int fd = open_file(O_RDWR);
    if (fd < 0)
        return;
    if (!flock(fd, LOCK_EX))
        rewrite(fd, 0);
    close(fd);
}
