/*
 * file: whole-file reading by mapping, and replacing files atomically. The only place that maps
 * memory or renames files.
 */
#ifndef VQ_CORE_BASE_FILE_H
#define VQ_CORE_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

/* A file's bytes, read-only. `data` is a private mapping of a local file (pages are read when
 * touched), or a copy in memory where mapping is unsafe: on a network file system a vanished page
 * would be a signal instead of an error. A regular file is required; size 0 gives data = "". */
struct vq_file {
    const uint8_t *data;
    size_t size;
    int mapped;
};

enum vq_status vq_file_open(struct vq_file *out, const char *path, struct vq_err *err);
void vq_file_close(struct vq_file *f); /* f may be zeroed; leaves it zeroed */

/* Announces how the bytes will be read from now on: a few here and there, so that nothing around
 * them need come from the disk, or (as after opening) long runs of them. */
void vq_file_expect_jumps(const struct vq_file *f, bool jumps);

/* The bytes from `from` on, n of them, were read and will not be soon: their pages leave the
 * process where that is possible (not the system's cache), and come back when they are touched. */
void vq_file_forget(const struct vq_file *f, const void *from, size_t n);

/* Whether fd lies on a network file system (FUSE counts as one, and so does what cannot be asked):
 * there a mapped page can fail after open, and shared memory does not reach other machines. */
bool vq_fd_on_network(int fd);

/* The file's first bytes decide what it is, for messages: "a PNG image", "a ZIP archive", "an
 * ELF program", "a SQLite database", "a text file" ... or NULL when nothing known is recognised. */
const char *vq_file_sniff(const uint8_t *data, size_t size);

/*
 * A file being written. Bytes go to a temporary file in the same folder; commit() flushes, syncs,
 * renames over `path` and syncs the folder; until then `path` is untouched. Every path ends in
 * exactly one of commit() or abort(). commit() on failure has already aborted. A link at `path` to
 * a file that exists stays a link.
 */
struct vq_writer;

enum vq_status vq_writer_open(struct vq_writer **out, const char *path, struct vq_err *err);
/* Errors stick: a failed put makes the later ones and commit() fail with the first message. */
enum vq_status vq_writer_put(struct vq_writer *w, const void *data, size_t size,
                             struct vq_err *err);
enum vq_status vq_writer_commit(struct vq_writer *w, struct vq_err *err);
void vq_writer_abort(struct vq_writer *w); /* w may be NULL */

/*
 * A folder to be filled beside `path` before it takes that name, so that no half-made one is ever
 * seen under it: *tmp (the caller's to free()) is an empty "<path>.tmp-XXXXXX". The caller fills it
 * and commits, or empties and removes it. commit() needs `path` to be absent or an empty folder,
 * and syncs the folder it lies in.
 */
enum vq_status vq_folder_open(char **tmp, const char *path, struct vq_err *err);
enum vq_status vq_folder_commit(const char *tmp, const char *path, struct vq_err *err);

/* One-call form of the above, for a file. */
enum vq_status vq_file_replace(const char *path, const void *data, size_t size, struct vq_err *err);

#endif
