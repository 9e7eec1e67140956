#include "core/data/files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "core/base/mem.h"

#define MAX_DEPTH 8

bool vq_files_match(const char *path, const char *extensions)
{
    size_t n = strlen(path);
    for (const char *e = extensions; *e;) {
        size_t m = strcspn(e, " ");
        if (m && n > m && !strncasecmp(path + n - m, e, m))
            return true;
        e += m + (e[m] == ' ');
    }
    return false;
}

bool vq_files_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *vq_files_join(const char *folder, const char *name)
{
    size_t n = strlen(folder), m = strlen(name), slash = n > 0 && folder[n - 1] != '/';
    char *path = vq_alloc(n + m + slash + 1, 1);
    if (path)
        snprintf(path, n + m + slash + 1, "%s%s%s", folder, slash ? "/" : "", name);
    return path;
}

struct walk {
    struct vq_files *out;
    const char *extensions;
    size_t most;
    struct vq_err *err;
};

/* Adds a file; takes the path over, also on failure. */
static enum vq_status add(struct walk *w, char *path, uint64_t size)
{
    struct vq_files *f = w->out;
    if (f->n == f->cap) {
        size_t cap = f->cap ? 2 * f->cap : 64;
        void *more = vq_realloc(f->at, cap, sizeof(*f->at));
        if (!more) {
            free(path);
            return vq_nomem(w->err, "a list of files", cap, sizeof(*f->at));
        }
        f->at = more;
        f->cap = cap;
    }
    f->at[f->n++] = (struct vq_files_item){path, size};
    return VQ_OK;
}

static bool full(const struct walk *w)
{
    return w->most && w->out->n >= w->most;
}

static enum vq_status walk_folder(struct walk *w, const char *folder, int depth);

/* One entry: a folder is walked, a file added when it fits. */
static enum vq_status visit(struct walk *w, const char *folder, const char *name, int depth)
{
    struct stat st;
    char *path = vq_files_join(folder, name);
    if (!path)
        return vq_nomem(w->err, folder, strlen(name), 1);
    enum vq_status status = VQ_OK;
    if (stat(path, &st) != 0)
        ; /* a link to nowhere, or gone since */
    else if (S_ISDIR(st.st_mode))
        status = depth < MAX_DEPTH ? walk_folder(w, path, depth + 1) : VQ_OK;
    else if (S_ISREG(st.st_mode) && vq_files_match(name, w->extensions))
        return add(w, path, (uint64_t)st.st_size);
    free(path);
    return status;
}

static enum vq_status walk_folder(struct walk *w, const char *folder, int depth)
{
    DIR *d = opendir(folder);
    if (!d)
        return vq_fail_errno(w->err, errno, "%s", folder);
    enum vq_status st = VQ_OK;
    const struct dirent *e;
    while (!st && !full(w) && (e = readdir(d)))
        if (e->d_name[0] != '.')
            st = visit(w, folder, e->d_name, depth);
    closedir(d);
    return st;
}

static int by_name(const void *a, const void *b)
{
    const struct vq_files_item *x = a, *y = b;
    return strverscmp(x->path, y->path);
}

enum vq_status vq_files_list(struct vq_files *out, const char *folder, const char *extensions,
                             size_t most, struct vq_err *err)
{
    struct walk w = {out, extensions, most, err};
    *out = (struct vq_files){0};
    enum vq_status st = walk_folder(&w, folder, 0);
    if (st) {
        vq_files_release(out);
        return st;
    }
    if (out->n)
        qsort(out->at, out->n, sizeof(*out->at), by_name);
    return VQ_OK;
}

void vq_files_release(struct vq_files *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->at[i].path);
    free(f->at);
    *f = (struct vq_files){0};
}
