#include "core/train/kept.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/mem.h"

#define INDEX       "training.json"
#define PREFIX      "checkpoint_"
#define GENERATOR   "generator_"
#define SAFETENSORS ".safetensors"

static char *join(const char *folder, const char *name)
{
    char *path = NULL;
    size_t n = strlen(folder);
    bool slash = n > 0 && folder[n - 1] == '/';
    return asprintf(&path, "%s%s%s", folder, slash ? "" : "/", name) < 0 ? NULL : path;
}

char *vq_kept_path(const char *folder, enum vq_kept_file kind, int64_t step)
{
    char name[64];
    snprintf(name, sizeof(name), "%s%" PRId64 "%s", kind == VQ_KEPT_GENERATOR ? GENERATOR : PREFIX,
             step, kind == VQ_KEPT_FLAX ? "" : SAFETENSORS);
    return join(folder, name);
}

/* The step in "checkpoint_<digits>", perhaps with ".safetensors"; -1 for another name. */
static int64_t step_of(const char *name)
{
    size_t prefix = strlen(PREFIX);
    if (strncmp(name, PREFIX, prefix) != 0)
        return -1;
    size_t digits = strspn(name + prefix, "0123456789");
    const char *rest = name + prefix + digits;
    if (!digits || digits > 18 || (*rest && strcmp(rest, SAFETENSORS)))
        return -1;
    return strtoll(name + prefix, NULL, 10);
}

char *vq_kept_generator_of(const char *path)
{
    char *copy = vq_strdup(path), *found = NULL;
    char *slash = copy ? strrchr(copy, '/') : NULL;
    if (slash && !strcmp(slash, "/checkpoint")) {
        *slash = '\0';
        slash = strrchr(copy, '/');
    }
    int64_t step = copy ? step_of(slash ? slash + 1 : copy) : -1;
    if (slash)
        *slash = '\0';
    if (step >= 0)
        found = vq_kept_path(!slash ? "." : *copy ? copy : "/", VQ_KEPT_GENERATOR, step);
    free(copy);
    return found;
}

int64_t vq_kept_highest(const char *folder)
{
    int64_t highest = -1;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        int64_t step = step_of(e->d_name);
        highest = step > highest ? step : highest;
    }
    if (d)
        closedir(d);
    return highest;
}

/* ---- the folder and its list ---- */

static enum vq_status make_folder(const char *folder, struct vq_err *err)
{
    char *path = vq_strdup(folder);
    enum vq_status st = path ? VQ_OK : vq_nomem(err, "a path", strlen(folder) + 1, 1);
    struct stat info;
    for (char *at = path; !st && at && *at;) {
        at = strchr(at + 1, '/');
        if (at)
            *at = '\0';
        if (mkdir(path, 0777) && errno != EEXIST)
            st = vq_fail_errno(err, errno, "cannot make the folder %s", path);
        if (at)
            *at = '/';
    }
    if (!st && (stat(folder, &info) || !S_ISDIR(info.st_mode)))
        st = vq_fail(err, VQ_EINVAL, "%s: expected a folder, or nothing, found a file", folder);
    free(path);
    return st;
}

static bool exists(const char *folder, int64_t step)
{
    bool found = false;
    for (int kind = VQ_KEPT_SAFETENSORS; !found && kind <= VQ_KEPT_FLAX; kind++) {
        char *path = vq_kept_path(folder, (enum vq_kept_file)kind, step);
        found = path && !access(path, F_OK);
        free(path);
    }
    return found;
}

/* Puts an entry in its place; one of the same step is replaced. */
static enum vq_status insert(struct vq_kept *k, int64_t step, double loss, struct vq_err *err)
{
    size_t i = k->n;
    while (i > 0 && k->at[i - 1].step >= step)
        i--;
    bool same = i < k->n && k->at[i].step == step;
    if (!same && k->n == k->cap) {
        size_t cap = k->cap ? 2 * k->cap : 16;
        struct vq_kept_entry *more = vq_realloc(k->at, cap, sizeof(*more));
        if (!more)
            return vq_nomem(err, "a list of checkpoints", cap, sizeof(*more));
        k->at = more;
        k->cap = cap;
    }
    if (!same) {
        memmove(k->at + i + 1, k->at + i, (k->n - i) * sizeof(*k->at));
        k->n++;
    }
    k->at[i] = (struct vq_kept_entry){.step = step, .loss = loss};
    return VQ_OK;
}

static enum vq_status read_entry(struct vq_kept *k, const struct vq_json_node *node,
                                 struct vq_err *err)
{
    const struct vq_json_node *loss = vq_json_get(node, "nats_per_token");
    const struct vq_json_node *at = vq_json_get(node, "step");
    int64_t step = -1;
    if (!at || !vq_json_int(at, &step) || step < 0)
        return vq_fail(err, VQ_EFORMAT, "an entry of checkpoints lacks its step");
    if (!exists(k->folder, step))
        return VQ_OK;
    bool judged = loss && vq_json_kind(loss) == VQ_JSON_NUMBER;
    return insert(k, step, judged ? vq_json_number(loss) : NAN, err);
}

static enum vq_status read_list(struct vq_kept *k, const char *path, struct vq_err *err)
{
    struct vq_file f;
    struct vq_json *doc = NULL;
    enum vq_status st = vq_file_open(&f, path, err);
    if (st)
        return st == VQ_ENOTFOUND ? VQ_OK : st;
    st = vq_json_parse(&doc, (const char *)f.data, f.size, err);
    const struct vq_json_node *list = st ? NULL : vq_json_get(vq_json_root(doc), "checkpoints");
    if (!st && (!list || vq_json_kind(list) != VQ_JSON_ARRAY))
        st = vq_fail(err, VQ_EFORMAT, "expected an object with a list of checkpoints");
    const struct vq_json_node *node = st ? NULL : vq_json_first(list);
    for (; !st && node; node = vq_json_next(node))
        st = read_entry(k, node, err);
    if (st)
        vq_err_prefix(err, "%s", path);
    vq_json_free(doc);
    vq_file_close(&f);
    return st;
}

enum vq_status vq_kept_open(struct vq_kept *k, const char *folder, size_t keep, struct vq_err *err)
{
    *k = (struct vq_kept){.keep = keep, .folder = vq_strdup(folder)};
    char *path = k->folder ? join(folder, INDEX) : NULL;
    enum vq_status st = path ? make_folder(folder, err) : vq_nomem(err, "a path", 1, 1);
    if (!st)
        st = read_list(k, path, err);
    free(path);
    return st;
}

void vq_kept_release(struct vq_kept *k)
{
    free(k->folder);
    free(k->at);
    *k = (struct vq_kept){0};
}

static enum vq_status write_list(const struct vq_kept *k, struct vq_err *err)
{
    struct vq_text t = {0};
    char *path = join(k->folder, INDEX);
    vq_text_puts(&t, "{\"checkpoints\": [");
    for (size_t i = 0; i < k->n; i++) {
        vq_text_printf(&t, "%s\n  {\"step\": %" PRId64 ", \"nats_per_token\": ", i ? "," : "",
                       k->at[i].step);
        if (isfinite(k->at[i].loss))
            vq_text_json_f64(&t, k->at[i].loss);
        else
            vq_text_puts(&t, "null");
        vq_text_puts(&t, "}");
    }
    vq_text_puts(&t, "\n]}\n");
    enum vq_status st = t.failed || !path ? vq_nomem(err, "a list of checkpoints", t.len, 1)
                                          : vq_file_replace(path, t.data, t.len, err);
    vq_text_release(&t);
    free(path);
    return st;
}

/* ---- what stays ---- */

/* Removes a file or an empty folder; one that is not there is as good. */
static enum vq_status remove_one(char *path, struct vq_err *err)
{
    enum vq_status st = VQ_OK;
    if (!path)
        return vq_nomem(err, "a path", 1, 1);
    if (remove(path) && errno != ENOENT && errno != ENOTDIR)
        st = vq_fail_errno(err, errno, "cannot remove %s", path);
    free(path);
    return st;
}

static enum vq_status remove_step(const char *folder, int64_t step, struct vq_err *err)
{
    char *dir = vq_kept_path(folder, VQ_KEPT_FLAX, step);
    enum vq_status st = dir ? remove_one(join(dir, "checkpoint"), err) : VQ_OK;
    free(dir);
    for (int kind = VQ_KEPT_SAFETENSORS; !st && kind <= VQ_KEPT_GENERATOR; kind++)
        st = remove_one(vq_kept_path(folder, (enum vq_kept_file)kind, step), err);
    return st;
}

const struct vq_kept_entry *vq_kept_best(const struct vq_kept *k)
{
    const struct vq_kept_entry *best = NULL;
    for (size_t i = 0; i < k->n; i++)
        if (!isnan(k->at[i].loss) && (!best || k->at[i].loss < best->loss))
            best = &k->at[i];
    return best;
}

/* Whether a is to go before b: one that is not judged, or judged worse, or older. */
static bool worse(const struct vq_kept_entry *a, const struct vq_kept_entry *b)
{
    bool na = isnan(a->loss), nb = isnan(b->loss);
    if (na != nb)
        return na;
    return !na && a->loss != b->loss ? a->loss > b->loss : a->step < b->step;
}

/* The next entry to go, or NULL when all that are left may stay. The newest is the last. */
static struct vq_kept_entry *victim(struct vq_kept *k)
{
    bool judged = vq_kept_best(k) != NULL;
    size_t candidates = 0;
    struct vq_kept_entry *worst = NULL;
    if (!k->keep)
        return NULL;
    for (size_t i = 0; i < k->n; i++) {
        bool newest = i + 1 == k->n, counts = !isnan(k->at[i].loss) || !judged;
        if (judged && !counts && !newest)
            return &k->at[i];
        candidates += counts;
        if (!newest && counts && (!worst || worse(&k->at[i], worst)))
            worst = &k->at[i];
    }
    if (candidates <= k->keep)
        return NULL;
    /* When the newest is the worst of all, it stays as the newest, and no other need go for it. */
    const struct vq_kept_entry *last = &k->at[k->n - 1];
    if (judged && !isnan(last->loss) && candidates == k->keep + 1 && worst && worse(last, worst))
        return NULL;
    return worst;
}

static enum vq_status drop(struct vq_kept *k, struct vq_kept_entry *e, struct vq_err *err)
{
    enum vq_status st = remove_step(k->folder, e->step, err);
    size_t i = (size_t)(e - k->at);
    if (!st) {
        memmove(e, e + 1, (k->n - i - 1) * sizeof(*e));
        k->n--;
    }
    return st;
}

enum vq_status vq_kept_add(struct vq_kept *k, int64_t step, double loss, struct vq_err *err)
{
    enum vq_status st = insert(k, step, loss, err);
    for (struct vq_kept_entry *e; !st && (e = victim(k));)
        st = drop(k, e, err);
    return st ? st : write_list(k, err);
}

enum vq_status vq_kept_remove_after(struct vq_kept *k, int64_t step, struct vq_err *err)
{
    enum vq_status st = VQ_OK;
    while (!st && k->n && k->at[k->n - 1].step > step)
        st = drop(k, &k->at[k->n - 1], err);
    for (int64_t high; !st && (high = vq_kept_highest(k->folder)) > step;) {
        st = remove_step(k->folder, high, err);
        if (!st && exists(k->folder, high))
            st = vq_fail(err, VQ_EIO, "%s: cannot remove checkpoint_%" PRId64, k->folder, high);
    }
    return st ? st : write_list(k, err);
}
