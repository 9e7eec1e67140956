#include "repl/find_model.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/hash.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "repl/models.h"
#include "repl/out.h"
#include "repl/runview.h"

enum { DEEPEST = 3 };

struct search {
    struct sh *sh;
    const char *sha256;
    const char *base;   /* the file's own name */
    const char *suffix; /* and its end */
    bool by_name;       /* this time only files of its name */
    char *found;
    enum vq_status status;
    struct vq_err *err;
};

/* Whether the file has the content; other troubles than being cancelled mean no. */
static bool is_it(struct search *s, const char *path)
{
    char hex[VQ_SHA256_HEX];
    sh_progress(s->sh, "looking at %s", path);
    enum vq_status status = vq_sha256_file(path, hex, sh_cancel(s->sh), s->err);
    sh_progress_clear(s->sh);
    if (status == VQ_ECANCELLED)
        s->status = status;
    return status == VQ_OK && strcmp(hex, s->sha256) == 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static bool done(const struct search *s)
{
    return s->found || s->status != VQ_OK;
}

static void look_below(struct search *s, const char *folder, int depth);

static void look_at(struct search *s, const char *folder, const char *name, int depth)
{
    struct stat st;
    struct vq_text path = {0};
    vq_text_printf(&path, "%s/%s", folder, name);
    if (path.failed || stat(path.data, &st) != 0) {
        vq_text_release(&path);
        return;
    }
    if (S_ISDIR(st.st_mode) && depth < DEEPEST)
        look_below(s, path.data, depth + 1);
    bool named = strcmp(name, s->base) == 0;
    bool like = !named && ends_with(name, s->suffix);
    if (S_ISREG(st.st_mode) && (s->by_name ? named : like) && is_it(s, path.data))
        s->found = vq_strdup(path.data);
    vq_text_release(&path);
}

static void look_below(struct search *s, const char *folder, int depth)
{
    DIR *dir = opendir(folder);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e && !done(s); e = readdir(dir))
        if (e->d_name[0] != '.')
            look_at(s, folder, e->d_name, depth);
    if (dir)
        closedir(dir);
}

static void look_in_folders(struct search *s)
{
    const char *list = s->sh->set.model_path;
    while (*list && !done(s)) {
        size_t n = strcspn(list, ":");
        char *folder = vq_strndup(list, n);
        if (folder && n)
            look_below(s, folder, 1);
        free(folder);
        list += n + (list[n] == ':');
    }
}

static void look_at_loaded(struct search *s)
{
    for (struct sh_model *m = sh_model_first(s->sh); m && !done(s); m = m->next) {
        const char *hex;
        if (sh_model_hash(s->sh, m, true, &hex, NULL) == VQ_OK && strcmp(hex, s->sha256) == 0)
            s->found = vq_strdup(vq_ckpt_path(vq_model_ckpt(m->model)));
    }
}

/* Where the suffix of a file's name begins; a name without one is its own. */
static const char *suffix_of(const char *base)
{
    const char *dot = strrchr(base, '.');
    return dot && dot > base ? dot : base;
}

enum vq_status sh_find_model(struct sh *sh, const struct vq_run_info *run, char **path,
                             struct vq_err *err)
{
    struct stat st;
    char *there = sh_run_path(run, run->model_path);
    struct search s = {.sh = sh, .sha256 = run->model_sha256, .err = err};
    *path = NULL;
    if (!there)
        return vq_nomem(err, "a path", strlen(run->model_path), 1);
    s.base = base_name(there);
    s.suffix = suffix_of(s.base);
    bool exists = stat(there, &st) == 0;
    if (exists && is_it(&s, there))
        s.found = vq_strdup(there);
    if (!done(&s))
        look_at_loaded(&s);
    for (int pass = 0; pass < 2 && !done(&s); pass++) {
        s.by_name = pass == 0;
        look_in_folders(&s);
    }
    *path = s.found;
    if (!s.found && s.status == VQ_OK)
        s.status = vq_fail(err, VQ_ENOTFOUND,
                           exists ? "the model %s has changed since: its SHA-256 is no longer "
                                    "%.12s...; 'set model-path' names folders to look in"
                                  : "the model %s (SHA-256 %.12s...) is not there; 'set "
                                    "model-path' names folders to look in",
                           there, run->model_sha256);
    free(there);
    return s.status;
}
