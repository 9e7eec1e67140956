/*
 * Opening: which file a path means, which format the file has, and what all formats have in common
 * afterwards. The formats themselves are flax_read.c and safetensors.c.
 */
#include "core/ckpt/ckpt.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/mem.h"
#include "core/ckpt/format.h"

/* One row for each format; the file's first bytes choose. */
static const struct format {
    const char *name;
    bool (*matches)(const uint8_t *data, size_t size);
    enum vq_status (*read)(struct vq_ckpt *c, struct vq_err *err);
} formats[] = {
    {"safetensors", vq_safetensors_matches, vq_safetensors_read},
    {"flax-file", vq_flax_matches, vq_flax_read},
};

#define FOLDER_FORMAT "flax-folder"
#define STEP_PREFIX   "checkpoint_"
#define SAFETENSORS   ".safetensors"

struct vq_block {
    struct vq_block *next;
    max_align_t bytes[];
};

void *vq_ckpt_own(struct vq_ckpt *c, size_t n, size_t size)
{
    size_t bytes;
    if (!vq_mul_ok(n, size, &bytes) || !vq_add_ok(bytes, sizeof(struct vq_block), &bytes))
        return NULL;
    struct vq_block *b = vq_calloc(1, bytes);
    if (!b)
        return NULL;
    b->next = c->blocks;
    c->blocks = b;
    return b->bytes;
}

char *vq_ckpt_own_text(struct vq_ckpt *c, const char *s, size_t n)
{
    char *copy = vq_ckpt_own(c, n + 1, 1);
    if (copy)
        memcpy(copy, s, n);
    return copy;
}

enum vq_status vq_ckpt_add(struct vq_ckpt *c, const struct vq_tensor *t, struct vq_err *err)
{
    size_t n = strlen(t->name);
    enum vq_status status = vq_name_check(t->name, n, err);
    if (status != VQ_OK)
        return status;
    if (c->count == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 64;
        struct vq_tensor *more = vq_realloc(c->tensors, cap, sizeof(*more));
        if (!more)
            return vq_nomem(err, "tensor list", cap, sizeof(*more));
        c->tensors = more;
        c->cap = cap;
    }
    const char *name = vq_ckpt_own_text(c, t->name, n);
    if (!name)
        return vq_nomem(err, "tensor name", n + 1, 1);
    c->tensors[c->count] = *t;
    c->tensors[c->count++].name = name;
    return VQ_OK;
}

/* "<dir>/<name>", or NULL when memory is out. */
static char *join(const char *dir, const char *name)
{
    size_t len = strlen(dir) + strlen(name) + 2;
    char *path = vq_alloc(len, 1);
    if (path)
        snprintf(path, len, "%s%s%s", dir, dir[strlen(dir) - 1] == '/' ? "" : "/", name);
    return path;
}

/* checkpoint_<digits>, plain or as safetensors. Temporary and partial entries carry more. */
static bool is_step_name(const char *name)
{
    size_t prefix = strlen(STEP_PREFIX);
    if (strncmp(name, STEP_PREFIX, prefix) != 0)
        return false;
    size_t digits = strspn(name + prefix, "0123456789");
    const char *rest = name + prefix + digits;
    return digits > 0 && (*rest == '\0' || strcmp(rest, SAFETENSORS) == 0);
}

/* *best = the entry of the folder with the highest step, owned; NULL when there is none. */
static enum vq_status newest_in(char **best, const char *dir, struct vq_err *err)
{
    *best = NULL;
    DIR *d = opendir(dir);
    if (!d)
        return vq_fail_errno(err, errno, "%s", dir);
    enum vq_status status = VQ_OK;
    for (struct dirent *e; status == VQ_OK && (e = readdir(d));) {
        if (!is_step_name(e->d_name) || (*best && vq_name_compare(e->d_name, *best) < 0))
            continue;
        free(*best);
        *best = vq_strdup(e->d_name);
        if (!*best)
            status = vq_nomem(err, "file name", strlen(e->d_name) + 1, 1);
    }
    closedir(d);
    return status;
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* *file = the checkpoint file inside the folder `dir` itself; NULL when it has none. */
static enum vq_status file_inside(char **file, const char *dir, struct vq_err *err)
{
    struct stat st;
    *file = join(dir, VQ_FLAX_FILE);
    if (!*file)
        return vq_nomem(err, "file name", strlen(dir) + sizeof(VQ_FLAX_FILE) + 1, 1);
    if (stat(*file, &st) != 0) {
        free(*file);
        *file = NULL;
    }
    return VQ_OK;
}

/* The file of the newest checkpoint in a folder of checkpoints. */
static enum vq_status file_of_newest(char **file, const char *dir, struct vq_err *err)
{
    *file = NULL;
    char *name, *entry = NULL;
    enum vq_status status = newest_in(&name, dir, err);
    if (status == VQ_OK && !name)
        status = vq_fail(err, VQ_ENOTFOUND,
                         "%s: a folder without a checkpoint; expected " VQ_FLAX_FILE
                         " or entries " STEP_PREFIX "<step>",
                         dir);
    if (status == VQ_OK && !(entry = join(dir, name)))
        status = vq_nomem(err, "file name", strlen(dir) + strlen(name) + 2, 1);
    if (status != VQ_OK)
        goto done;
    if (!is_folder(entry)) {
        *file = entry;
        entry = NULL;
        goto done;
    }
    status = file_inside(file, entry, err);
    if (status == VQ_OK && !*file)
        status = vq_fail(err, VQ_ENOTFOUND,
                         "%s: the newest checkpoint of its folder lacks its file \"" VQ_FLAX_FILE
                         "\"; remove it, or name an older one",
                         entry);
done:
    free(name);
    free(entry);
    return status;
}

enum vq_status vq_ckpt_file(char **file, const char *path, struct vq_err *err)
{
    *file = NULL;
    struct stat st;
    if (path[0] == '\0')
        return vq_fail(err, VQ_EINVAL, "the path of a checkpoint is empty");
    if (stat(path, &st) != 0)
        return vq_fail_errno(err, errno, "%s", path);
    if (!S_ISDIR(st.st_mode)) {
        *file = vq_strdup(path);
        return *file ? VQ_OK : vq_nomem(err, "file name", strlen(path) + 1, 1);
    }
    enum vq_status status = file_inside(file, path, err);
    return status == VQ_OK && !*file ? file_of_newest(file, path, err) : status;
}

static bool ends_with(const char *s, const char *end)
{
    return strlen(s) >= strlen(end) && strcmp(s + strlen(s) - strlen(end), end) == 0;
}

/* No format is sure of the file: says what it is, or what is wrong with it as safetensors when its
 * name or its ninth byte make it that. */
static enum vq_status refuse(struct vq_ckpt *c, struct vq_err *err)
{
    const uint8_t *d = c->file.data;
    bool brace = c->file.size > 8 && d[8] == '{';
    if (ends_with(c->path, SAFETENSORS) && c->file.size > 0 && (brace || c->file.size <= 8))
        return vq_safetensors_read(c, err);
    const char *what = vq_file_sniff(d, c->file.size);
    if (what)
        return vq_fail(err, VQ_EFORMAT,
                       "is %s of %zu bytes, not a checkpoint (Flax MessagePack or safetensors)",
                       what, c->file.size);
    if (brace || ends_with(c->path, SAFETENSORS))
        return vq_safetensors_read(c, err);
    return vq_fail(err, VQ_EFORMAT,
                   "begins neither as Flax MessagePack nor as safetensors (%zu bytes, the first is "
                   "0x%02x)",
                   c->file.size, d[0]);
}

static enum vq_status read_file(struct vq_ckpt *c, struct vq_err *err)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (formats[i].matches(c->file.data, c->file.size)) {
            const char *slash = strrchr(c->path, '/');
            bool in_folder = strcmp(slash ? slash + 1 : c->path, VQ_FLAX_FILE) == 0;
            c->format = formats[i].name;
            if (formats[i].read == vq_flax_read && in_folder)
                c->format = FOLDER_FORMAT;
            return formats[i].read(c, err);
        }
    return refuse(c, err);
}

static int64_t step_of(const struct vq_tensor *t)
{
    int32_t narrow = -1;
    int64_t wide = -1;
    if (!t || t->count != 1 || t->n_chunk > 0)
        return -1;
    if (t->dtype == VQ_I32)
        vq_tensor_read_raw(t, &narrow);
    else if (t->dtype == VQ_I64)
        vq_tensor_read_raw(t, &wide);
    if (t->dtype == VQ_I32)
        wide = narrow;
    return wide < 0 ? -1 : wide;
}

enum vq_status vq_ckpt_sort(struct vq_ckpt *c, struct vq_err *err)
{
    if (c->count > 0)
        qsort(c->tensors, c->count, sizeof(*c->tensors), vq_tensor_by_name);
    for (size_t i = 1; i < c->count; i++)
        if (strcmp(c->tensors[i - 1].name, c->tensors[i].name) == 0)
            return vq_fail(err, VQ_EFORMAT, "two tensors are named %s", c->tensors[i].name);
    return VQ_OK;
}

/* What all formats owe their users once the tensors are known. */
static enum vq_status finish(struct vq_ckpt *c, struct vq_err *err)
{
    if (c->count == 0)
        return vq_fail(err, VQ_EFORMAT, "holds no tensors");
    enum vq_status status = vq_ckpt_sort(c, err);
    if (status == VQ_OK)
        c->step = step_of(vq_ckpt_find(c, "step"));
    return status;
}

enum vq_status vq_ckpt_open(struct vq_ckpt **out, const char *path, struct vq_err *err)
{
    *out = NULL;
    struct vq_ckpt *c = vq_calloc(1, sizeof(*c));
    if (!c)
        return vq_nomem(err, path, 1, sizeof(*c));
    enum vq_status status = vq_ckpt_file(&c->path, path, err);
    if (status == VQ_OK)
        status = vq_file_open(&c->file, c->path, err);
    if (status != VQ_OK)
        goto done;
    vq_file_expect_jumps(&c->file, true);
    status = read_file(c, err);
    vq_file_expect_jumps(&c->file, false);
    if (status == VQ_OK)
        status = finish(c, err);
    if (status != VQ_OK)
        vq_err_prefix(err, "%s", c->path);
done:
    if (status == VQ_OK)
        *out = c;
    else
        vq_ckpt_free(c);
    return status;
}

void vq_ckpt_free(struct vq_ckpt *c)
{
    if (!c)
        return;
    for (struct vq_block *b = c->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(c->tensors);
    vq_file_close(&c->file);
    free(c->path);
    free(c);
}

const char *vq_ckpt_path(const struct vq_ckpt *c)
{
    return c->path;
}

const char *vq_ckpt_format(const struct vq_ckpt *c)
{
    return c->format;
}

size_t vq_ckpt_size(const struct vq_ckpt *c)
{
    return c->file.size;
}

int64_t vq_ckpt_step(const struct vq_ckpt *c)
{
    return c->step;
}

size_t vq_ckpt_count(const struct vq_ckpt *c)
{
    return c->count;
}

const struct vq_tensor *vq_ckpt_at(const struct vq_ckpt *c, size_t i)
{
    return i < c->count ? &c->tensors[i] : NULL;
}

const struct vq_tensor *vq_ckpt_find(const struct vq_ckpt *c, const char *name)
{
    struct vq_tensor key = {.name = name};
    const struct vq_tensor *t =
        bsearch(&key, c->tensors, c->count, sizeof(*c->tensors), vq_tensor_by_name);
    if (t || !strchr(name, '.'))
        return t;
    for (size_t i = 0; i < c->count; i++)
        if (vq_name_matches(c->tensors[i].name, name))
            return &c->tensors[i];
    return NULL;
}

const char *vq_ckpt_meta(const struct vq_ckpt *c, const char *key)
{
    for (size_t i = 0; i < c->n_meta; i++)
        if (strcmp(c->meta[i].key, key) == 0)
            return c->meta[i].value;
    return NULL;
}
