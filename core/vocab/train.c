#include "core/vocab/train.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/vocab/spm.h"

/* A paragraph on one line is a sentence like any other. */
#define LONGEST_LINE ((size_t)1 << 20)

struct reading {
    const struct vq_vocab_training *t;
    struct vq_vocab_trained *result;
    char **files;
    size_t n, cap;
    size_t next; /* file to be opened */
    struct vq_file file;
    size_t at; /* in the open file */
    enum vq_status status;
    struct vq_err *err;
};

static enum vq_status add_file(struct reading *r, char *path)
{
    if (path && r->n == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 16;
        char **more = vq_realloc(r->files, cap, sizeof(*more));
        if (more) {
            r->files = more;
            r->cap = cap;
        }
    }
    if (!path || r->n == r->cap) {
        free(path);
        return vq_nomem(r->err, "a list of files", r->n + 1, sizeof(*r->files));
    }
    r->files[r->n++] = path;
    return VQ_OK;
}

static int is_text(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    return n > 4 && e->d_name[0] != '.' && !strcmp(e->d_name + n - 4, ".txt");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static enum vq_status add_folder(struct reading *r, const char *dir)
{
    struct dirent **entries;
    int n = scandir(dir, &entries, is_text, by_name);
    enum vq_status st = VQ_OK;
    if (n <= 0)
        st = vq_fail(r->err, VQ_ENOTFOUND, "%s: a folder without *.txt files", dir);
    for (int i = 0; i < n; i++) {
        char *path = NULL;
        if (!st && asprintf(&path, "%s/%s", dir, entries[i]->d_name) < 0)
            path = NULL;
        if (!st)
            st = add_file(r, path);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return st;
}

static enum vq_status gather(struct reading *r)
{
    enum vq_status st = VQ_OK;
    for (size_t i = 0; !st && i < r->t->n_paths; i++) {
        struct stat info;
        const char *path = r->t->paths[i];
        bool folder = !stat(path, &info) && S_ISDIR(info.st_mode);
        st = folder ? add_folder(r, path) : add_file(r, vq_strdup(path));
    }
    return st;
}

/* The next line of any file; false at the end of the last one, or when something failed. */
static bool next_line(struct reading *r, const char **line, size_t *n)
{
    while (r->at == r->file.size) {
        vq_file_close(&r->file);
        r->at = 0;
        if (r->next == r->n)
            return false;
        r->status = vq_file_open(&r->file, r->files[r->next++], r->err);
        if (r->status)
            return false;
        r->result->files++;
        r->result->bytes += r->file.size;
    }
    const char *from = (const char *)r->file.data + r->at;
    const char *end = memchr(from, '\n', r->file.size - r->at);
    *line = from;
    *n = end ? (size_t)(end - from) : r->file.size - r->at;
    r->at += *n + (end != NULL);
    *n -= *n && from[*n - 1] == '\r';
    return true;
}

/* What the library reads: lines that hold something, in valid UTF-8. */
static bool next_sentence(void *ud, const char **line, size_t *n)
{
    struct reading *r = ud;
    while (next_line(r, line, n)) {
        if (vq_cancelled(r->t->cancel)) {
            r->status = vq_fail(r->err, VQ_ECANCELLED, "interrupted");
            return false;
        }
        if (!*n)
            continue;
        if (vq_utf8_check(*line, *n) == *n) {
            r->result->lines++;
            return true;
        }
        r->result->skipped++;
    }
    return false;
}

enum vq_status vq_vocab_train(const struct vq_vocab_training *t, char **model, size_t *size,
                              struct vq_vocab_trained *result, struct vq_err *err)
{
    *model = NULL;
    *size = 0;
    *result = (struct vq_vocab_trained){0};
    struct reading r = {.t = t, .result = result, .err = err};
    const struct vq_spm_training training = {.size = t->size,
                                             .type = t->type,
                                             .coverage = t->coverage,
                                             .longest = LONGEST_LINE,
                                             .next = next_sentence,
                                             .ud = &r};
    struct vq_err why = {0};
    enum vq_status st = gather(&r);
    if (!st)
        st = vq_spm_train(&training, model, size, &why);
    /* What kept lines from being read comes before what the library made of those it got. */
    if (r.status)
        st = r.status;
    else if (st && why.code)
        st = vq_fail(err, st, "%s", why.msg);
    if (st) {
        free(*model);
        *model = NULL;
    }
    vq_file_close(&r.file);
    for (size_t i = 0; i < r.n; i++)
        free(r.files[i]);
    free(r.files);
    return st;
}
