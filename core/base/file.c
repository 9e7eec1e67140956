#include "core/base/file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/base/mem.h"

bool vq_fd_on_network(int fd)
{
    /* Magics from statfs(2), and of clusters whose modules are not in the kernel. */
    static const unsigned long network[] = {
        0x6969 /* NFS */,        0xff534d42 /* CIFS */,  0xfe534d42 /* SMB2 */,
        0x517b /* SMB */,        0x65735546 /* FUSE */,  0x01021997 /* 9P */,
        0x00c36400 /* CEPH */,   0x5346414f /* AFS */,   0x73757245 /* CODA */,
        0x0bd00bd0 /* LUSTRE */, 0x47504653 /* GPFS */,  0x19830326 /* BEEGFS */,
        0xaad7aaea /* PANFS */,  0x7461636f /* OCFS2 */, 0x01161970 /* GFS2 */,
    };
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0)
        return true;
    for (size_t i = 0; i < sizeof(network) / sizeof(network[0]); i++)
        if (((unsigned long)fs.f_type & 0xffffffffUL) == network[i])
            return true;
    return false;
}

static enum vq_status read_all(struct vq_file *out, int fd, size_t size, const char *path,
                               struct vq_err *err)
{
    uint8_t *copy = vq_alloc(size, 1);
    if (!copy)
        return vq_nomem(err, path, size, 1);
    for (size_t got = 0; got < size;) {
        ssize_t n = read(fd, copy + got, size - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int why = n < 0 ? errno : EIO;
            free(copy);
            return vq_fail_errno(err, why, "%s: read %zu of %zu bytes", path, got, size);
        }
        got += (size_t)n;
    }
    *out = (struct vq_file){.data = copy, .size = size, .mapped = 0};
    return VQ_OK;
}

enum vq_status vq_file_open(struct vq_file *out, const char *path, struct vq_err *err)
{
    *out = (struct vq_file){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return vq_fail_errno(err, errno, "%s", path);
    enum vq_status status = VQ_OK;
    struct stat st;
    if (fstat(fd, &st) != 0) {
        status = vq_fail_errno(err, errno, "%s", path);
    } else if (!S_ISREG(st.st_mode)) {
        status = vq_fail(err, VQ_EINVAL, "%s: expected a file, found %s", path,
                         S_ISDIR(st.st_mode) ? "a folder" : "a device or pipe");
    } else if (st.st_size == 0) {
        out->data = (const uint8_t *)"";
    } else if (vq_fd_on_network(fd)) {
        status = read_all(out, fd, (size_t)st.st_size, path, err);
    } else {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            status = read_all(out, fd, (size_t)st.st_size, path, err);
        else
            *out = (struct vq_file){.data = p, .size = (size_t)st.st_size, .mapped = 1};
    }
    close(fd);
    return status;
}

void vq_file_close(struct vq_file *f)
{
    if (f->size && f->mapped)
        munmap((void *)(uintptr_t)f->data, f->size);
    else if (f->size)
        free((void *)(uintptr_t)f->data);
    *f = (struct vq_file){0};
}

void vq_file_expect_jumps(const struct vq_file *f, bool jumps)
{
    if (f->size && f->mapped)
        (void)!madvise((void *)(uintptr_t)f->data, f->size, jumps ? MADV_RANDOM : MADV_NORMAL);
}

void vq_file_forget(const struct vq_file *f, const void *from, size_t n)
{
    /* A copy on the heap, or bytes that lie elsewhere, would be lost. */
    const uint8_t *p = from;
    if (!f->mapped || p < f->data || n > f->size || (size_t)(p - f->data) > f->size - n)
        return;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)p / page * page;
    (void)!madvise((void *)begin, (uintptr_t)p + n - begin, MADV_DONTNEED);
}

static bool looks_like_text(const uint8_t *data, size_t size)
{
    size_t n = size < 512 ? size : 512;
    for (size_t i = 0; i < n; i++)
        if (data[i] < 0x20 && !isspace(data[i]))
            return false;
    return n > 0;
}

const char *vq_file_sniff(const uint8_t *data, size_t size)
{
    static const struct {
        const char *magic;
        size_t len;
        const char *name;
    } known[] = {
        {"\x89PNG\r\n\x1a\n", 8, "a PNG image"},
        {"\xff\xd8\xff", 3, "a JPEG image"},
        {"GIF8", 4, "a GIF image"},
        {"RIFF", 4, "a RIFF file (WebP or WAV)"},
        {"II*\0", 4, "a TIFF image"},
        {"MM\0*", 4, "a TIFF image"},
        {"PK\x03\x04", 4, "a ZIP archive (npz, or a PyTorch checkpoint)"},
        {"\x1f\x8b", 2, "a gzip file"},
        {"\xfd"
         "7zXZ",
         5, "an xz file"},
        {"BZh", 3, "a bzip2 file"},
        {"(\xb5/\xfd", 4, "a zstd file"},
        {"\x7f"
         "ELF",
         4, "an ELF program"},
        {"SQLite format 3", 15, "a SQLite database"},
        {"\x93NUMPY", 6, "a numpy array"},
        {"GGUF", 4, "a GGUF model"},
        {"%PDF", 4, "a PDF document"},
        {"\x89HDF", 4, "an HDF5 file"},
        {"\x80\x02", 2, "a Python pickle"},
        {"\x80\x04", 2, "a Python pickle"},
        {"version https://git-lfs", 23, "a Git LFS pointer (run git lfs pull)"},
        {"<!DOCTYPE", 9, "an HTML page"},
        {"<html", 5, "an HTML page"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (size >= known[i].len && memcmp(data, known[i].magic, known[i].len) == 0)
            return known[i].name;
    if (size == 0)
        return "an empty file";
    return looks_like_text(data, size) ? "a text file" : NULL;
}

struct vq_writer {
    char *path;
    char *tmp;
    int fd;
    struct vq_err failed; /* first failure; code VQ_OK while none */
    size_t used;
    uint8_t buf[1 << 16];
};

static char *folder_of(const char *path)
{
    char *copy = vq_strdup(path);
    if (!copy)
        return NULL;
    char *dir = vq_strdup(dirname(copy));
    free(copy);
    return dir;
}

static enum vq_status open_tmp(struct vq_writer *w, struct vq_err *err)
{
    size_t len = strlen(w->path) + sizeof(".tmp-XXXXXX");
    w->tmp = vq_alloc(len, 1);
    if (!w->tmp)
        return vq_nomem(err, "file name", len, 1);
    snprintf(w->tmp, len, "%s.tmp-XXXXXX", w->path);
    w->fd = mkostemp(w->tmp, O_CLOEXEC);
    if (w->fd < 0) {
        int why = errno;
        free(w->tmp);
        w->tmp = NULL;
        return vq_fail_errno(err, why, "%s: cannot write here", w->path);
    }
    struct stat st;
    mode_t mask = 0;
    if (stat(w->path, &st) == 0)
        return fchmod(w->fd, st.st_mode & 0777) == 0
                   ? VQ_OK
                   : vq_fail_errno(err, errno, "%s: cannot set its mode", w->tmp);
    mask = umask(077);
    umask(mask);
    (void)!fchmod(w->fd, 0666 & ~mask);
    return VQ_OK;
}

/* Where the file really goes: a link stays a link, what it points to is replaced. */
static char *real_place(const char *path)
{
    struct stat st;
    bool link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && stat(path, &st) == 0;
    return link ? realpath(path, NULL) : vq_strdup(path);
}

enum vq_status vq_writer_open(struct vq_writer **out, const char *path, struct vq_err *err)
{
    *out = NULL;
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return vq_fail(err, VQ_EINVAL, "%s: is a folder; give a file name", path);
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return vq_fail(err, VQ_EINVAL, "%s: is a device or pipe; give a regular file", path);
    struct vq_writer *w = vq_calloc(1, sizeof(*w));
    if (!w)
        return vq_nomem(err, path, 1, sizeof(*w));
    w->fd = -1;
    w->path = real_place(path);
    enum vq_status status = w->path ? open_tmp(w, err) : vq_nomem(err, path, strlen(path), 1);
    if (status != VQ_OK) {
        vq_writer_abort(w);
        return status;
    }
    *out = w;
    return VQ_OK;
}

static enum vq_status write_out(struct vq_writer *w, const uint8_t *p, size_t size)
{
    while (size > 0) {
        ssize_t n = write(w->fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return vq_fail_errno(&w->failed, n < 0 ? errno : EIO, "%s: write failed", w->path);
        p += n;
        size -= (size_t)n;
    }
    return VQ_OK;
}

static enum vq_status give_failure(const struct vq_writer *w, struct vq_err *err)
{
    if (err)
        *err = w->failed;
    return w->failed.code;
}

enum vq_status vq_writer_put(struct vq_writer *w, const void *data, size_t size, struct vq_err *err)
{
    if (w->failed.code == VQ_OK && w->used + size > sizeof(w->buf)) {
        write_out(w, w->buf, w->used);
        w->used = 0;
    }
    if (w->failed.code == VQ_OK && size > sizeof(w->buf)) {
        write_out(w, data, size);
    } else if (w->failed.code == VQ_OK && size > 0) {
        memcpy(w->buf + w->used, data, size);
        w->used += size;
    }
    return w->failed.code == VQ_OK ? VQ_OK : give_failure(w, err);
}

static void sync_folder(const char *path)
{
    char *dir = folder_of(path);
    int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)!fsync(fd); /* some file systems cannot sync a folder; the rename stands */
        close(fd);
    }
    free(dir);
}

enum vq_status vq_writer_commit(struct vq_writer *w, struct vq_err *err)
{
    if (w->failed.code == VQ_OK)
        write_out(w, w->buf, w->used);
    if (w->failed.code == VQ_OK && fsync(w->fd) != 0)
        vq_fail_errno(&w->failed, errno, "%s: sync failed", w->path);
    int fd = w->fd;
    w->fd = -1;
    if (close(fd) != 0 && w->failed.code == VQ_OK)
        vq_fail_errno(&w->failed, errno, "%s: close failed", w->path);
    if (w->failed.code == VQ_OK && rename(w->tmp, w->path) != 0)
        vq_fail_errno(&w->failed, errno, "%s: rename failed", w->path);
    enum vq_status status = w->failed.code;
    if (status != VQ_OK) {
        give_failure(w, err);
    } else {
        sync_folder(w->path);
        free(w->tmp);
        w->tmp = NULL;
    }
    vq_writer_abort(w);
    return status;
}

void vq_writer_abort(struct vq_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        close(w->fd);
    if (w->tmp)
        unlink(w->tmp);
    free(w->tmp);
    free(w->path);
    free(w);
}

enum vq_status vq_folder_open(char **tmp, const char *path, struct vq_err *err)
{
    *tmp = NULL;
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    size_t size = len + sizeof(".tmp-XXXXXX");
    char *name = vq_alloc(size, 1);
    if (!name)
        return vq_nomem(err, "folder name", size, 1);
    snprintf(name, size, "%.*s.tmp-XXXXXX", (int)len, path);
    mode_t mask = umask(077);
    umask(mask);
    bool made = mkdtemp(name) != NULL;
    if (!made || chmod(name, 0777 & ~mask) != 0) {
        int why = errno;
        if (made)
            rmdir(name);
        free(name);
        return vq_fail_errno(err, why, "%s: cannot make a folder here", path);
    }
    *tmp = name;
    return VQ_OK;
}

enum vq_status vq_folder_commit(const char *tmp, const char *path, struct vq_err *err)
{
    if (rename(tmp, path) != 0)
        return vq_fail_errno(err, errno, "%s: rename failed", path);
    sync_folder(path);
    return VQ_OK;
}

enum vq_status vq_file_replace(const char *path, const void *data, size_t size, struct vq_err *err)
{
    struct vq_writer *w;
    enum vq_status status = vq_writer_open(&w, path, err);
    if (status != VQ_OK)
        return status;
    if ((status = vq_writer_put(w, data, size, err)) != VQ_OK) {
        vq_writer_abort(w);
        return status;
    }
    return vq_writer_commit(w, err);
}
