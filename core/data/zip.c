#include "core/data/zip.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/base/file.h"
#include "core/base/mem.h"

#define WINDOW ((size_t)1 << 15)   /* what deflate may refer back to */
#define SPAN   ((uint64_t)1 << 20) /* output between two points, at least */
#define PIECE  ((size_t)1 << 20)

/* Sizes of the records, and the marks they begin with. */
enum { END = 22, END64 = 56, LOCATOR64 = 20, ENTRY = 46, LOCAL = 30, MAX_COMMENT = 65535 };
#define END_MARK       0x06054b50u
#define END64_MARK     0x06064b50u
#define LOCATOR64_MARK 0x07064b50u
#define ENTRY_MARK     0x02014b50u
#define LOCAL_MARK     0x04034b50u

enum { STORED = 0, DEFLATED = 8 };

/* Where decompression can be taken up: `in` bytes of input read, the last `bits` bits of them not
 * yet used, `out` bytes of output made. */
struct point {
    uint64_t in, out;
    int bits;
    uint8_t window[WINDOW]; /* the output before `out`, its end at the window's end */
};

struct member {
    char *name;
    unsigned flags, method;
    uint32_t crc;
    uint64_t packed, size;
    uint64_t header;       /* offset of its local header */
    uint64_t start;        /* of its bytes; 0: not yet looked up */
    bool sound;            /* a stored member whose CRC has been found right */
    struct point **points; /* of a deflated member that has been gone through, from out = 0 */
    size_t n_points;
};

struct vq_zip {
    char *path;
    struct vq_file file;
    struct member *members;
    size_t n;
    uint64_t directory; /* offset; members lie before it */
    z_stream stream;
    bool stream_ready;
    const struct member *active; /* whose output comes from the stream next */
    uint64_t active_in, active_out;
};

static uint32_t le16(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}

static uint32_t le32(const uint8_t *p)
{
    return le16(p) | le16(p + 2) << 16;
}

static uint64_t le64(const uint8_t *p)
{
    return le32(p) | (uint64_t)le32(p + 4) << 32;
}

/* ---- the directory ---- */

/* The end record, which only a comment may follow; NULL when there is none. */
static const uint8_t *find_end(const struct vq_file *f)
{
    for (size_t comment = 0; comment <= MAX_COMMENT && END + comment <= f->size; comment++) {
        const uint8_t *p = f->data + f->size - END - comment;
        if (le32(p) == END_MARK && le16(p + 20) == comment)
            return p;
    }
    return NULL;
}

struct directory {
    uint64_t entries, size, offset;
};

/* The 64-bit end record, when there is one and it lies in the file. */
static const uint8_t *find_end64(const struct vq_file *f, const uint8_t *end)
{
    size_t at = (size_t)(end - f->data);
    if (at < LOCATOR64 + END64 || le32(end - LOCATOR64) != LOCATOR64_MARK)
        return NULL;
    uint64_t offset = le64(end - LOCATOR64 + 8);
    if (offset > at - LOCATOR64 - END64 || le32(f->data + offset) != END64_MARK)
        return NULL;
    return f->data + offset;
}

static enum vq_status no_directory(const struct vq_file *f, struct vq_err *err)
{
    const char *what = vq_file_sniff(f->data, f->size);
    if (f->size >= 4 && le32(f->data) == LOCAL_MARK)
        return vq_fail(err, VQ_EFORMAT,
                       "a ZIP archive that is cut short: no directory at the end of its %zu bytes",
                       f->size);
    return vq_fail(err, VQ_EFORMAT, "expected a ZIP archive, found %s (%zu bytes)",
                   what ? what : "something else", f->size);
}

static enum vq_status find_directory(const struct vq_file *f, struct directory *d,
                                     struct vq_err *err)
{
    const uint8_t *end = find_end(f);
    *d = (struct directory){0};
    if (!end)
        return no_directory(f, err);
    *d = (struct directory){le16(end + 10), le32(end + 12), le32(end + 16)};
    bool parts = le16(end + 4) != 0 && le16(end + 4) != 0xffff;
    const uint8_t *end64 = find_end64(f, end);
    if (end64 && (d->entries == 0xffff || d->size == 0xffffffff || d->offset == 0xffffffff))
        *d = (struct directory){le64(end64 + 32), le64(end64 + 40), le64(end64 + 48)};
    if (parts)
        return vq_fail(err, VQ_EUNSUPPORTED, "a ZIP archive in several parts");
    uint64_t room = (uint64_t)(end - f->data);
    if (d->offset > room || d->size > room - d->offset || d->entries > d->size / ENTRY)
        return vq_fail(err, VQ_EFORMAT,
                       "a ZIP archive whose directory of %" PRIu64 " entries and %" PRIu64
                       " bytes at %" PRIu64 " does not fit its %zu bytes",
                       d->entries, d->size, d->offset, f->size);
    return VQ_OK;
}

/* Replaces the 32-bit fields that say "see the 64-bit ones" from an entry's extra field. */
static bool take_zip64(struct member *m, const uint8_t *extra, size_t size)
{
    uint64_t *fields[] = {&m->size, &m->packed, &m->header};
    while (size >= 4) {
        size_t n = le16(extra + 2);
        if (n > size - 4)
            return false;
        const uint8_t *at = extra + 4, *end = at + n;
        for (size_t i = 0; le16(extra) == 1 && i < 3; i++) {
            if (*fields[i] != 0xffffffff)
                continue;
            if (end - at < 8)
                return false;
            *fields[i] = le64(at);
            at += 8;
        }
        extra += 4 + n;
        size -= 4 + n;
    }
    return true;
}

/* One entry at p with `left` bytes to the directory's end; *used is its length. */
static enum vq_status read_entry(struct member *m, const uint8_t *p, size_t left, size_t *used,
                                 struct vq_err *err)
{
    if (left < ENTRY || le32(p) != ENTRY_MARK)
        return vq_fail(err, VQ_EFORMAT, "a damaged ZIP directory");
    size_t name = le16(p + 28), extra = le16(p + 30), comment = le16(p + 32);
    *used = ENTRY + name + extra + comment;
    if (*used > left)
        return vq_fail(err, VQ_EFORMAT, "a damaged ZIP directory");
    *m = (struct member){.flags = le16(p + 8),
                         .method = le16(p + 10),
                         .crc = le32(p + 16),
                         .packed = le32(p + 20),
                         .size = le32(p + 24),
                         .header = le32(p + 42)};
    if (!take_zip64(m, p + ENTRY + name, extra))
        return vq_fail(err, VQ_EFORMAT, "a damaged ZIP directory: 64-bit sizes are missing");
    m->name = vq_strndup((const char *)p + ENTRY, name);
    return m->name ? VQ_OK : vq_nomem(err, "a member's name", name, 1);
}

static enum vq_status read_directory(struct vq_zip *z, struct vq_err *err)
{
    struct directory d;
    enum vq_status st = find_directory(&z->file, &d, err);
    if (st)
        return st;
    z->directory = d.offset;
    z->members = vq_calloc((size_t)d.entries, sizeof(*z->members));
    if (!z->members)
        return vq_nomem(err, "a ZIP directory", (size_t)d.entries, sizeof(*z->members));
    const uint8_t *p = z->file.data + d.offset;
    for (size_t left = (size_t)d.size; z->n < d.entries;) {
        size_t used = 0;
        st = read_entry(&z->members[z->n], p, left, &used, err);
        if (st)
            return st;
        z->n++;
        p += used;
        left -= used;
    }
    return VQ_OK;
}

enum vq_status vq_zip_open(struct vq_zip **out, const char *path, struct vq_err *err)
{
    *out = NULL;
    struct vq_zip *z = vq_calloc(1, sizeof(*z));
    if (!z || !(z->path = vq_strdup(path))) {
        free(z);
        return vq_nomem(err, path, 1, sizeof(*z));
    }
    enum vq_status st = vq_file_open(&z->file, path, err);
    if (!st) {
        st = read_directory(z, err);
        if (st)
            vq_err_prefix(err, "%s", path);
    }
    if (st) {
        vq_zip_free(z);
        return st;
    }
    vq_file_expect_jumps(&z->file, true);
    *out = z;
    return VQ_OK;
}

static void free_points(struct member *m)
{
    for (size_t i = 0; i < m->n_points; i++)
        free(m->points[i]);
    free(m->points);
    m->points = NULL;
    m->n_points = 0;
}

void vq_zip_free(struct vq_zip *z)
{
    if (!z)
        return;
    if (z->stream_ready)
        inflateEnd(&z->stream);
    for (size_t i = 0; z->members && i < z->n; i++) {
        free_points(&z->members[i]);
        free(z->members[i].name);
    }
    free(z->members);
    vq_file_close(&z->file);
    free(z->path);
    free(z);
}

size_t vq_zip_count(const struct vq_zip *z)
{
    return z->n;
}

const char *vq_zip_name(const struct vq_zip *z, size_t i)
{
    return z->members[i].name;
}

uint64_t vq_zip_size(const struct vq_zip *z, size_t i)
{
    return z->members[i].size;
}

/* ---- members ---- */

/* Finds a member's bytes behind its local header. */
static enum vq_status locate(struct vq_zip *z, struct member *m, struct vq_err *err)
{
    if (m->start)
        return VQ_OK;
    if (m->flags & 1)
        return vq_fail(err, VQ_EUNSUPPORTED, "encrypted");
    if (m->method != STORED && m->method != DEFLATED)
        return vq_fail(err, VQ_EUNSUPPORTED,
                       "packed by method %u; stored and deflated members are read", m->method);
    const uint8_t *p = z->file.data + m->header;
    if (m->header > z->directory || z->directory - m->header < LOCAL || le32(p) != LOCAL_MARK)
        return vq_fail(err, VQ_EFORMAT, "no header where the directory says");
    uint64_t start = m->header + LOCAL + le16(p + 26) + le16(p + 28);
    if (start > z->directory || m->packed > z->directory - start)
        return vq_fail(err, VQ_EFORMAT, "its %" PRIu64 " bytes do not fit the archive", m->packed);
    if (m->method == STORED && m->packed != m->size)
        return vq_fail(err, VQ_EFORMAT, "stored with %" PRIu64 " bytes for %" PRIu64, m->packed,
                       m->size);
    m->start = start;
    return VQ_OK;
}

static enum vq_status damaged(const struct vq_zip *z, struct vq_err *err)
{
    return vq_fail(err, VQ_EFORMAT, "damaged: cannot be decompressed after %" PRIu64 " bytes",
                   z->active_out);
}

static enum vq_status wrong_sum(struct vq_err *err)
{
    return vq_fail(err, VQ_EFORMAT, "damaged: its content is not what its checksum says");
}

/* Puts the stream at a point, or at the start for NULL. */
static enum vq_status rewind_to(struct vq_zip *z, const struct member *m, const struct point *p,
                                struct vq_err *err)
{
    int rc = z->stream_ready ? inflateReset(&z->stream) : inflateInit2(&z->stream, -15);
    z->active = NULL;
    if (rc != Z_OK)
        return vq_nomem(err, "decompression", 1, WINDOW);
    z->stream_ready = true;
    z->active_in = p ? p->in : 0;
    z->active_out = p ? p->out : 0;
    if (p && p->bits)
        inflatePrime(&z->stream, p->bits, z->file.data[m->start + p->in - 1] >> (8 - p->bits));
    size_t known = p && p->out < WINDOW ? (size_t)p->out : WINDOW;
    if (p && p->out)
        inflateSetDictionary(&z->stream, p->window + WINDOW - known, (uInt)known);
    z->active = m;
    return VQ_OK;
}

/* Fills up to n bytes of dst from the stream; *made says how many. Stops early where the compressed
 * data has a seam when asked to, and at the end. */
static int inflate_some(struct vq_zip *z, uint8_t *dst, size_t n, int flush, size_t *made)
{
    const struct member *m = z->active;
    uint64_t left = m->packed - z->active_in;
    uInt input = (uInt)(left < PIECE ? left : PIECE);
    z->stream.next_in = (Bytef *)(uintptr_t)(z->file.data + m->start + z->active_in);
    z->stream.avail_in = input;
    z->stream.next_out = dst;
    z->stream.avail_out = (uInt)n;
    int rc = inflate(&z->stream, flush);
    *made = n - z->stream.avail_out;
    z->active_in += input - z->stream.avail_in;
    z->active_out += *made;
    return rc;
}

/* Whether the stream stands between two blocks, neither of them the last. */
static bool at_seam(const struct vq_zip *z)
{
    return (z->stream.data_type & 128) && !(z->stream.data_type & 64);
}

/* Notes the present place; `ring` holds the last WINDOW bytes of output, up to `at`. */
static enum vq_status add_point(struct vq_zip *z, struct member *m, const uint8_t *ring, size_t at,
                                struct vq_err *err)
{
    struct point **more = vq_realloc(m->points, m->n_points + 1, sizeof(struct point *));
    if (more)
        m->points = more;
    struct point *p = more ? vq_alloc(1, sizeof(*p)) : NULL;
    if (!p)
        return vq_nomem(err, "an index of the archive", m->n_points + 1, sizeof(*p));
    *p = (struct point){.in = z->active_in,
                        .out = z->active_out,
                        .bits = z->active_in ? z->stream.data_type & 7 : 0};
    memcpy(p->window, ring + at, WINDOW - at);
    memcpy(p->window + WINDOW - at, ring, at);
    m->points[m->n_points++] = p;
    return VQ_OK;
}

/* Goes through all of a deflated member: CRC, size, points. */
static enum vq_status scan(struct vq_zip *z, struct member *m, uint8_t *ring,
                           const struct vq_cancel *cancel, struct vq_err *err)
{
    uLong crc = crc32(0, NULL, 0);
    uint64_t last = 0;
    size_t at = 0, made;
    int rc = Z_OK;
    enum vq_status st = rewind_to(z, m, NULL, err);
    if (!st)
        st = add_point(z, m, ring, 0, err);
    while (!st && rc != Z_STREAM_END) {
        rc = inflate_some(z, ring + at, WINDOW - at, Z_BLOCK, &made);
        if ((rc != Z_OK && rc != Z_STREAM_END) || z->active_out > m->size)
            return damaged(z, err);
        crc = crc32(crc, ring + at, (uInt)made);
        at = (at + made) % WINDOW;
        if (at_seam(z) && z->active_out - last >= SPAN) {
            last = z->active_out;
            st = add_point(z, m, ring, at, err);
        }
        if (vq_cancelled(cancel))
            return vq_fail(err, VQ_ECANCELLED, "cancelled");
    }
    return !st && (z->active_out != m->size || crc != m->crc) ? wrong_sum(err) : st;
}

static enum vq_status index_member(struct vq_zip *z, struct member *m,
                                   const struct vq_cancel *cancel, struct vq_err *err)
{
    uint8_t *ring = vq_calloc(WINDOW, 1);
    enum vq_status st = ring ? scan(z, m, ring, cancel, err) : vq_nomem(err, m->name, WINDOW, 1);
    z->active = NULL;
    if (st)
        free_points(m);
    free(ring);
    return st;
}

/* The last point at or before `offset`. */
static const struct point *nearest(const struct member *m, uint64_t offset)
{
    size_t low = 0, high = m->n_points;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (m->points[middle]->out <= offset)
            low = middle;
        else
            high = middle;
    }
    return m->points[low];
}

/* Takes n bytes of output; dst may be NULL to pass over them. */
static enum vq_status take(struct vq_zip *z, uint8_t *dst, uint64_t n, struct vq_err *err)
{
    uint8_t waste[4096];
    while (n > 0) {
        size_t most = dst ? PIECE : sizeof(waste), made;
        size_t part = n < most ? (size_t)n : most;
        int rc = inflate_some(z, dst ? dst : waste, part, Z_NO_FLUSH, &made);
        if (made == 0 || (rc != Z_OK && rc != Z_STREAM_END)) {
            z->active = NULL;
            return damaged(z, err);
        }
        n -= made;
        dst = dst ? dst + made : NULL;
    }
    return VQ_OK;
}

static enum vq_status read_deflated(struct vq_zip *z, struct member *m, uint64_t offset, size_t n,
                                    uint8_t *dst, const struct vq_cancel *cancel,
                                    struct vq_err *err)
{
    enum vq_status st = m->points ? VQ_OK : index_member(z, m, cancel, err);
    if (st || n == 0)
        return st;
    const struct point *p = nearest(m, offset);
    if (z->active != m || z->active_out > offset || z->active_out < p->out)
        st = rewind_to(z, m, p, err);
    if (!st)
        st = take(z, NULL, offset - z->active_out, err);
    return st ? st : take(z, dst, n, err);
}

/* Goes through a stored member once. */
static enum vq_status check_stored(struct vq_zip *z, struct member *m,
                                   const struct vq_cancel *cancel, struct vq_err *err)
{
    const uint8_t *from = z->file.data + m->start;
    uLong crc = crc32(0, NULL, 0);
    enum vq_status st = VQ_OK;
    vq_file_expect_jumps(&z->file, false);
    for (uint64_t at = 0; !st && at < m->size; at += PIECE) {
        uint64_t left = m->size - at;
        crc = crc32(crc, from + at, (uInt)(left < PIECE ? left : PIECE));
        if (vq_cancelled(cancel))
            st = vq_fail(err, VQ_ECANCELLED, "cancelled");
    }
    vq_file_expect_jumps(&z->file, true);
    if (!st && crc != m->crc)
        st = wrong_sum(err);
    m->sound = !st;
    return st;
}

/* That member m has n bytes from `offset`, and where it lies. */
static enum vq_status check_range(struct vq_zip *z, struct member *m, uint64_t offset, size_t n,
                                  struct vq_err *err)
{
    enum vq_status st = locate(z, m, err);
    if (!st && (offset > m->size || n > m->size - offset))
        st = vq_fail(err, VQ_EINVAL, "%zu bytes from %" PRIu64 " are wanted; it has %" PRIu64, n,
                     offset, m->size);
    return st;
}

static enum vq_status read_member(struct vq_zip *z, struct member *m, uint64_t offset, size_t n,
                                  void *dst, const struct vq_cancel *cancel, struct vq_err *err)
{
    enum vq_status st = check_range(z, m, offset, n, err);
    if (st)
        return st;
    if (m->method == DEFLATED)
        return read_deflated(z, m, offset, n, dst, cancel, err);
    if (!m->sound)
        st = check_stored(z, m, cancel, err);
    if (!st && n)
        memcpy(dst, z->file.data + m->start + offset, n);
    return st;
}

static enum vq_status read_head(struct vq_zip *z, struct member *m, size_t n, void *dst,
                                struct vq_err *err)
{
    enum vq_status st = check_range(z, m, 0, n, err);
    if (!st && m->method == DEFLATED)
        st = rewind_to(z, m, NULL, err);
    if (st || n == 0)
        return st;
    if (m->method == DEFLATED)
        return take(z, dst, n, err);
    memcpy(dst, z->file.data + m->start, n);
    return VQ_OK;
}

enum vq_status vq_zip_head(struct vq_zip *z, size_t i, size_t n, void *dst, struct vq_err *err)
{
    enum vq_status st = read_head(z, &z->members[i], n, dst, err);
    if (st)
        vq_err_prefix(err, "%s: member %s", z->path, z->members[i].name);
    return st;
}

enum vq_status vq_zip_read(struct vq_zip *z, size_t i, uint64_t offset, size_t n, void *dst,
                           const struct vq_cancel *cancel, struct vq_err *err)
{
    enum vq_status st = read_member(z, &z->members[i], offset, n, dst, cancel, err);
    if (st)
        vq_err_prefix(err, "%s: member %s", z->path, z->members[i].name);
    return st;
}
