/*
 * Writing the authors' checkpoints, in both layouts (see flax_read.c for what they are).
 *
 * The tree is never built: the full paths are sorted, so that every node of the tree is a range of
 * leaves with a common start, and a node's members are the sub-ranges with a common next part.
 */
#include "core/ckpt/format.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/ckpt/msg.h"

#define CHUNK_BYTES ((size_t)1 << 30) /* MAX_CHUNK_SIZE of Flax */
#define OPT_STATE   "opt_state/"

struct leaf {
    const char *path; /* from the root: "params/..." for a parameter */
    const struct vq_tensor *tensor;
};

struct flax_out {
    struct vq_msg_out msg;
    const struct leaf *leaves;
    bool folder;
    size_t chunk_bytes;
    enum vq_status status; /* first failure that is not the writer's */
    struct vq_err *err;
};

static size_t part_len(const char *path)
{
    return strcspn(path, "/");
}

/* The part is a number as a tuple's index is written: no sign, no leading zero. */
static bool is_index(const char *part, size_t n)
{
    return n > 0 && n < 9 && strspn(part, "0123456789") == n && (n == 1 || part[0] != '0');
}

/* Keys in byte order, as in the authors' files, shorter first. */
static int compare_keys(const char *a, size_t na, const char *b, size_t nb)
{
    int order = memcmp(a, b, na < nb ? na : nb);
    return order ? order : (na > nb) - (na < nb);
}

/* Indices come first, as numbers: the members of a sequence stand in their places. */
static int compare_indices(const char *a, size_t na, const char *b, size_t nb)
{
    bool ia = is_index(a, na), ib = is_index(b, nb);
    if (ia != ib)
        return ia ? -1 : 1;
    if (ia && na != nb)
        return na < nb ? -1 : 1;
    return compare_keys(a, na, b, nb);
}

static int compare_paths(const char *a, const char *b,
                         int (*compare)(const char *, size_t, const char *, size_t))
{
    for (;;) {
        size_t na = part_len(a), nb = part_len(b);
        int order = compare(a, na, b, nb);
        if (order != 0)
            return order;
        if (a[na] == '\0' || b[nb] == '\0')
            return (a[na] != '\0') - (b[nb] != '\0');
        a += na + 1;
        b += nb + 1;
    }
}

static int in_file_order(const void *a, const void *b)
{
    return compare_paths(((const struct leaf *)a)->path, ((const struct leaf *)b)->path,
                         compare_keys);
}

static int in_folder_order(const void *a, const void *b)
{
    const char *x = ((const struct leaf *)a)->path, *y = ((const struct leaf *)b)->path;
    size_t n = strlen(OPT_STATE);
    bool both = strncmp(x, OPT_STATE, n) == 0 && strncmp(y, OPT_STATE, n) == 0;
    return compare_paths(x, y, both ? compare_indices : compare_keys);
}

/* [shape, dtype name, head of the bytes], in front of the bytes of an array. */
static void put_payload_head(struct vq_msg_out *o, enum vq_dtype dtype, int rank,
                             const int64_t *shape, size_t bytes)
{
    vq_msg_put_array(o, 3);
    vq_msg_put_array(o, (size_t)rank);
    for (int i = 0; i < rank; i++)
        vq_msg_put_uint(o, (uint64_t)shape[i]);
    vq_msg_put_string(o, vq_dtype_name(dtype), strlen(vq_dtype_name(dtype)));
    vq_msg_put_bytes(o, bytes);
}

/* Bytes [begin, begin + size) of t, wherever its spans have them. */
static void put_range(struct flax_out *f, const struct vq_tensor *t, size_t begin, size_t size)
{
    struct vq_span one;
    size_t n;
    const struct vq_span *spans = vq_tensor_spans(t, &one, &n);
    for (size_t i = 0; i < n && size > 0; i++) {
        if (begin >= spans[i].size) {
            begin -= spans[i].size;
            continue;
        }
        size_t here = spans[i].size - begin < size ? spans[i].size - begin : size;
        vq_msg_put_raw(&f->msg, spans[i].data + begin, here);
        begin = 0;
        size -= here;
    }
}

/* An array of the given shape whose bytes begin at `begin` of t's. */
static void put_array(struct flax_out *f, const struct vq_tensor *t, int rank, const int64_t *shape,
                      size_t begin, size_t bytes)
{
    struct vq_msg_out counted = {0};
    put_payload_head(&counted, t->dtype, rank, shape, bytes);
    if (bytes > UINT32_MAX - counted.bytes) {
        f->status = vq_fail(f->err, VQ_EUNSUPPORTED,
                            "%s has %zu bytes; MessagePack ends at 4 GiB and Flax splits no array "
                            "inside a tuple; save as safetensors",
                            t->name, bytes);
        return;
    }
    vq_msg_put_ext(&f->msg, VQ_FLAX_ARRAY, (size_t)counted.bytes + bytes);
    put_payload_head(&f->msg, t->dtype, rank, shape, bytes);
    put_range(f, t, begin, bytes);
}

static void put_index(struct vq_msg_out *o, size_t i)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%zu", i);
    vq_msg_put_string(o, text, (size_t)n);
}

static void put_text(struct vq_msg_out *o, const char *s)
{
    vq_msg_put_string(o, s, strlen(s));
}

/* The map's order is Flax's own, the one map that is not sorted. */
static void put_chunked(struct flax_out *f, const struct vq_tensor *t)
{
    size_t item = vq_dtype_size(t->dtype);
    size_t step = f->chunk_bytes > item ? f->chunk_bytes / item : 1;
    vq_msg_put_map(&f->msg, 3);
    put_text(&f->msg, VQ_FLAX_CHUNKED);
    vq_msg_put_true(&f->msg);
    put_text(&f->msg, "shape");
    vq_msg_put_map(&f->msg, (size_t)t->rank);
    for (int i = 0; i < t->rank; i++) {
        put_index(&f->msg, (size_t)i);
        vq_msg_put_uint(&f->msg, (uint64_t)t->shape[i]);
    }
    put_text(&f->msg, "chunks");
    size_t n = t->count / step + (t->count % step != 0);
    vq_msg_put_map(&f->msg, n);
    for (size_t i = 0; i < n && f->status == VQ_OK; i++) {
        size_t here = i + 1 < n ? step : t->count - i * step;
        const int64_t shape[1] = {(int64_t)here};
        put_index(&f->msg, i);
        put_array(f, t, 1, shape, i * step * item, here * item);
    }
}

/* Flax splits large arrays that it reaches through maps, never one below a tuple. */
static void put_leaf(struct flax_out *f, const struct vq_tensor *t, bool in_tuple)
{
    if (t->dtype == VQ_NONE && f->folder)
        vq_msg_put_nil(&f->msg);
    else if (t->dtype == VQ_NONE)
        vq_msg_put_map(&f->msg, 0);
    else if (t->bytes > f->chunk_bytes && !in_tuple)
        put_chunked(f, t);
    else
        put_array(f, t, t->rank, t->shape, 0, t->bytes);
}

/* The end of the range from lo within [lo, hi) whose paths have the same part at `at`. */
static size_t group_end(const struct leaf *leaves, size_t lo, size_t hi, size_t at)
{
    const char *part = leaves[lo].path + at;
    size_t n = part_len(part), i = lo + 1;
    while (i < hi && part_len(leaves[i].path + at) == n &&
           memcmp(leaves[i].path + at, part, n) == 0)
        i++;
    return i;
}

/* Members of the node [lo, hi), whose parts begin at `at`; *tuple: they are 0, 1, ... in order. */
static size_t count_members(const struct flax_out *f, size_t lo, size_t hi, size_t at, bool *tuple)
{
    size_t n = 0;
    *tuple = true;
    for (size_t i = lo; i < hi; n++) {
        char index[24];
        int len = snprintf(index, sizeof(index), "%zu", n);
        const char *part = f->leaves[i].path + at;
        if (part_len(part) != (size_t)len || memcmp(part, index, (size_t)len) != 0)
            *tuple = false;
        i = group_end(f->leaves, i, hi, at);
    }
    return n;
}

/* The node of the leaves [lo, hi), whose own parts begin at `at` of their paths. Recursion is as
 * deep as a name has parts, at most VQ_NAME_PARTS + 1. */
static void put_node(struct flax_out *f, size_t lo, size_t hi, size_t at, bool in_tuple)
{
    const struct leaf *first = &f->leaves[lo];
    if (at > strlen(first->path)) {
        put_leaf(f, first->tensor, in_tuple);
        return;
    }
    bool tuple;
    size_t n = count_members(f, lo, hi, at, &tuple);
    tuple = tuple && f->folder && strncmp(first->path, OPT_STATE, strlen(OPT_STATE)) == 0;
    if (tuple)
        vq_msg_put_array(&f->msg, n);
    else
        vq_msg_put_map(&f->msg, n);
    for (size_t i = lo, end; i < hi && f->status == VQ_OK; i = end) {
        const char *part = f->leaves[i].path + at;
        end = group_end(f->leaves, i, hi, at);
        if (!tuple)
            vq_msg_put_string(&f->msg, part, part_len(part));
        put_node(f, i, end, at + part_len(part) + 1, in_tuple || tuple);
    }
}

/* Sorted leaves with no path that is also the start of another. */
static enum vq_status check_leaves(const struct leaf *leaves, size_t n, struct vq_err *err)
{
    bool params = false;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(leaves[i].path);
        params = params || leaves[i].tensor->is_param;
        if (i + 1 < n && strncmp(leaves[i].path, leaves[i + 1].path, len) == 0 &&
            (leaves[i + 1].path[len] == '/' || leaves[i + 1].path[len] == '\0'))
            return vq_fail(err, VQ_EINVAL, "%s cannot be both a tensor and the start of %s",
                           leaves[i].path, leaves[i + 1].path);
    }
    return params ? VQ_OK : vq_fail(err, VQ_EINVAL, "there are no parameters to write");
}

/* Leaves of the n tensors, sorted for the layout; *leaves and *names (where their paths are) are
 * the caller's to free(). */
static enum vq_status make_leaves(struct leaf **leaves, char **names, const struct vq_tensor *t,
                                  size_t n, bool folder, struct vq_err *err)
{
    size_t bytes = 0, used = 0;
    for (size_t i = 0; i < n; i++)
        bytes += strlen(t[i].name) + sizeof(VQ_FLAX_PARAMS);
    *leaves = vq_alloc(n, sizeof(**leaves));
    *names = vq_alloc(bytes, 1);
    if (!*leaves || !*names)
        return vq_nomem(err, "tensor list", n, sizeof(**leaves) + sizeof(VQ_FLAX_PARAMS));
    for (size_t i = 0; i < n; i++) {
        char *path = *names + used;
        used += 1 + (size_t)snprintf(path, bytes - used, "%s%s",
                                     t[i].is_param ? VQ_FLAX_PARAMS : "", t[i].name);
        (*leaves)[i] = (struct leaf){.path = path, .tensor = &t[i]};
    }
    qsort(*leaves, n, sizeof(**leaves), folder ? in_folder_order : in_file_order);
    return check_leaves(*leaves, n, err);
}

/* Writes the document of the n tensors to `path`, a file. */
static enum vq_status write_file(const char *path, struct flax_out *f, size_t n, uint64_t *bytes,
                                 struct vq_err *err)
{
    enum vq_status status = vq_writer_open(&f->msg.w, path, err);
    if (status != VQ_OK)
        return status;
    put_node(f, 0, n, 0, false);
    if (f->status != VQ_OK) {
        vq_writer_abort(f->msg.w);
        return f->status;
    }
    status = vq_writer_commit(f->msg.w, err);
    if (status == VQ_OK && bytes)
        *bytes = f->msg.bytes;
    return status;
}

static char *file_in(const char *folder)
{
    size_t len = strlen(folder) + sizeof("/" VQ_FLAX_FILE);
    char *path = vq_alloc(len, 1);
    if (path)
        snprintf(path, len, "%s/" VQ_FLAX_FILE, folder);
    return path;
}

/* An existing folder is written into when it is empty or a checkpoint, and nothing else. */
static enum vq_status check_folder(const char *path, struct vq_err *err)
{
    DIR *d = opendir(path);
    if (!d)
        return vq_fail_errno(err, errno, "%s", path);
    enum vq_status status = VQ_OK;
    for (struct dirent *e; status == VQ_OK && (e = readdir(d));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && strcmp(e->d_name, VQ_FLAX_FILE))
            status = vq_fail(err, VQ_EINVAL,
                             "%s: is a folder with other things in it (%.80s); a checkpoint is a "
                             "folder of its own",
                             path, e->d_name);
    closedir(d);
    return status;
}

/* Replaces the file in a folder that is already there. */
static enum vq_status write_into(const char *path, struct flax_out *f, size_t n, uint64_t *bytes,
                                 struct vq_err *err)
{
    enum vq_status status = check_folder(path, err);
    if (status != VQ_OK)
        return status;
    char *file = file_in(path);
    status = file ? write_file(file, f, n, bytes, err)
                  : vq_nomem(err, "file name", strlen(path) + sizeof(VQ_FLAX_FILE) + 1, 1);
    free(file);
    return status;
}

/* Makes the folder under another name, whole, and then gives it its own. */
static enum vq_status write_folder(const char *path, struct flax_out *f, size_t n, uint64_t *bytes,
                                   struct vq_err *err)
{
    char *tmp, *file = NULL;
    enum vq_status status = vq_folder_open(&tmp, path, err);
    if (status != VQ_OK)
        return status;
    file = file_in(tmp);
    status = file ? write_file(file, f, n, bytes, err)
                  : vq_nomem(err, "file name", strlen(tmp) + sizeof(VQ_FLAX_FILE) + 1, 1);
    if (status == VQ_OK)
        status = vq_folder_commit(tmp, path, err);
    if (status != VQ_OK) {
        if (file)
            unlink(file);
        rmdir(tmp);
    }
    free(file);
    free(tmp);
    return status;
}

static enum vq_status write_layout(const char *path, struct flax_out *f, size_t n, uint64_t *bytes,
                                   struct vq_err *err)
{
    struct stat st;
    if (!f->folder)
        return write_file(path, f, n, bytes, err);
    if (stat(path, &st) != 0)
        return write_folder(path, f, n, bytes, err);
    if (!S_ISDIR(st.st_mode))
        return vq_fail(err, VQ_EINVAL,
                       "%s: is a file; a checkpoint of this layout is a folder of that name", path);
    return write_into(path, f, n, bytes, err);
}

/* `t` with the step at its end unless it is there already; *all is the caller's to free(). */
static enum vq_status with_step(struct vq_tensor_out **all, const struct vq_tensor_out *t,
                                size_t *n, int64_t step, const int32_t *stored, struct vq_err *err)
{
    *all = vq_alloc(*n + 1, sizeof(**all));
    if (!*all)
        return vq_nomem(err, "tensor list", *n + 1, sizeof(**all));
    bool given = false;
    for (size_t i = 0; i < *n; i++) {
        const char *name = t[i].name ? t[i].name : t[i].from ? t[i].from->name : "";
        given = given || strcmp(name, "step") == 0;
        (*all)[i] = t[i];
    }
    if (given)
        return VQ_OK;
    if (step < 0 || step > INT32_MAX)
        return vq_fail(err, VQ_EINVAL, "step %jd is not within 0 to %d", (intmax_t)step, INT32_MAX);
    (*all)[(*n)++] = (struct vq_tensor_out){.name = "step", .dtype = VQ_I32, .data = stored};
    return VQ_OK;
}

enum vq_status vq_flax_write_chunked(const char *path, bool folder, const struct vq_tensor_out *t,
                                     size_t n, int64_t step, size_t chunk_bytes, uint64_t *bytes,
                                     struct vq_err *err)
{
    struct vq_tensor_out *all = NULL;
    struct vq_tensor *views = NULL;
    struct leaf *leaves = NULL;
    char *names = NULL;
    const int32_t stored = (int32_t)step;
    enum vq_status status = with_step(&all, t, &n, step, &stored, err);
    if (status == VQ_OK)
        status = vq_tensor_views(&views, all, n, err);
    if (status == VQ_OK && vq_scales_any(views, n))
        status = vq_fail(err, VQ_EUNSUPPORTED,
                         "int8 with scales has no place in the authors' layout; write float32 or "
                         "bfloat16");
    if (status == VQ_OK)
        status = make_leaves(&leaves, &names, views, n, folder, err);
    if (status == VQ_OK) {
        struct flax_out f = {
            .leaves = leaves, .folder = folder, .chunk_bytes = chunk_bytes, .err = err};
        status = write_layout(path, &f, n, bytes, err);
    }
    free(names);
    free(leaves);
    free(views);
    free(all);
    return status;
}

enum vq_status vq_flax_write(const char *path, bool folder, const struct vq_tensor_out *t, size_t n,
                             int64_t step, uint64_t *bytes, struct vq_err *err)
{
    return vq_flax_write_chunked(path, folder, t, n, step, CHUNK_BYTES, bytes, err);
}
