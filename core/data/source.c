#include "core/data/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/data/kind.h"

/* In the order in which kinds are asked whether a path is for them. */
static const struct vq_data_kind *const kinds[] = {
    &vq_data_tokens, &vq_data_imagenet64, &vq_data_enwik8,
    &vq_data_pg19,   &vq_data_images,     &vq_data_text,
};
enum { N_KIND = sizeof(kinds) / sizeof(kinds[0]) };

size_t vq_data_kind_count(void)
{
    return N_KIND;
}

const char *vq_data_kind_name(size_t i)
{
    return i < N_KIND ? kinds[i]->name : NULL;
}

const char *vq_data_kind_help(size_t i)
{
    return i < N_KIND ? kinds[i]->help : NULL;
}

/* ---- splits ---- */

/* What people call them; the first is ours. */
static const char *const split_names[][4] = {
    [VQ_TRAIN] = {"train", "training"},
    [VQ_VALIDATION] = {"validation", "valid", "val", "dev"},
    [VQ_TEST] = {"test", "testing"},
};

const char *vq_split_name(enum vq_split s)
{
    return split_names[s][0];
}

enum vq_status vq_split_find(enum vq_split *out, const char *name, struct vq_err *err)
{
    for (int s = VQ_TRAIN; s <= VQ_TEST; s++) {
        for (size_t i = 0; i < 4 && split_names[s][i]; i++) {
            if (!strcmp(split_names[s][i], name)) {
                *out = (enum vq_split)s;
                return VQ_OK;
            }
        }
    }
    return vq_fail(err, VQ_EINVAL, "split: expected train, validation or test, found '%.40s'",
                   name);
}

void vq_split_cut(uint64_t size, enum vq_split split, uint64_t *from, uint64_t *to)
{
    uint64_t train = size / 10 * 9 + size % 10 * 9 / 10;
    uint64_t known = size / 20 * 19 + size % 20 * 19 / 20;
    *from = split == VQ_TRAIN ? 0 : split == VQ_VALIDATION ? train : known;
    *to = split == VQ_TRAIN ? train : split == VQ_VALIDATION ? known : size;
}

/* The folder of a split, the caller's to free; NULL when there is none, or memory is out. */
static char *split_folder(const char *path, enum vq_split split)
{
    for (size_t i = 0; i < 4 && split_names[split][i]; i++) {
        char *folder = vq_files_join(path, split_names[split][i]);
        if (folder && vq_files_is_folder(folder))
            return folder;
        free(folder);
    }
    return NULL;
}

bool vq_split_folders(const char *path)
{
    bool found = false;
    for (int s = VQ_TRAIN; s <= VQ_TEST && !found; s++) {
        char *folder = split_folder(path, (enum vq_split)s);
        found = folder != NULL;
        free(folder);
    }
    return found;
}

bool vq_files_any(const char *path, const char *extensions)
{
    struct vq_files f;
    bool found = vq_files_list(&f, path, extensions, 1, NULL) == VQ_OK && f.n > 0;
    if (found)
        vq_files_release(&f);
    return found;
}

enum vq_status vq_split_files(struct vq_files *out, const struct vq_docs *d, enum vq_split split,
                              const char *extensions, bool *shared, struct vq_err *err)
{
    char *folder = split_folder(d->path, split);
    *out = (struct vq_files){0};
    *shared = !folder;
    if (!folder && vq_split_folders(d->path))
        return vq_fail(err, VQ_EINVAL, "%s: has folders for other splits, but no folder %s",
                       d->path, vq_split_name(split));
    const char *where = folder ? folder : d->path;
    enum vq_status st = vq_files_list(out, where, extensions, 0, err);
    if (!st && out->n == 0)
        st = vq_fail(err, VQ_EINVAL, "%s: holds no file that ends in one of %s", where, extensions);
    free(folder);
    return st;
}

/* ---- opening ---- */

enum vq_status vq_docs_reserve(struct vq_docs *d, size_t n, struct vq_err *err)
{
    d->n = n;
    d->start = vq_calloc(n + 1, sizeof(*d->start));
    return d->start ? VQ_OK : vq_nomem(err, d->path, n, sizeof(*d->start));
}

enum vq_status vq_docs_equal(struct vq_docs *d, size_t n, uint64_t size, struct vq_err *err)
{
    enum vq_status st = vq_docs_reserve(d, n, err);
    for (size_t i = 1; !st && i <= n; i++)
        d->start[i] = i * size;
    return st;
}

/* The kind that "KIND:PATH" names, and where PATH begins; NULL when it begins with no kind. */
static const struct vq_data_kind *named_kind(const char *spec, const char **path)
{
    for (size_t i = 0; i < N_KIND; i++) {
        size_t n = strlen(kinds[i]->name);
        if (!strncmp(spec, kinds[i]->name, n) && spec[n] == ':') {
            *path = spec + n + 1;
            return kinds[i];
        }
    }
    return NULL;
}

static enum vq_status unknown_kind(const char *path, struct vq_err *err)
{
    struct vq_file f;
    const char *what = "a folder";
    if (!vq_files_is_folder(path) && vq_file_open(&f, path, NULL) == VQ_OK) {
        what = vq_file_sniff(f.data, f.size); /* a constant */
        vq_file_close(&f);
    }
    return vq_fail(err, VQ_EINVAL,
                   "%s: %s in which no data set is recognised; say what it is: tokens:PATH, "
                   "imagenet64:, enwik8:, pg19:, images: or text:",
                   path, what ? what : "a file");
}

static enum vq_status find_kind(const struct vq_data_kind **out, const char *spec,
                                const char **path, struct vq_err *err)
{
    *out = named_kind(spec, path);
    if (*out)
        return VQ_OK;
    *path = spec;
    bool is_folder = vq_files_is_folder(spec);
    if (!is_folder && access(spec, F_OK) != 0)
        return vq_fail(err, VQ_ENOTFOUND, "%s: no such file or folder", spec);
    for (size_t i = 0; i < N_KIND && !*out; i++)
        if (kinds[i]->matches(spec, is_folder))
            *out = kinds[i];
    return *out ? VQ_OK : unknown_kind(spec, err);
}

/* Whether the vocabulary makes tokens of the kind's documents. */
static enum vq_status check_vocab(const struct vq_docs *d, const struct vq_vocab *v,
                                  struct vq_err *err)
{
    if (d->kind->tokens || (d->kind->is_text ? vq_vocab_is_text(v) : vq_vocab_is_image(v)))
        return VQ_OK;
    return vq_fail(
        err, VQ_EUNSUPPORTED, "%s: a source of %s needs a vocabulary for %s; the model's is %s",
        d->path, d->kind->is_text ? "text" : "pictures",
        d->kind->is_text ? "text (bytes, or a SentencePiece file)" : "pictures (image64 or rgb64)",
        vq_vocab_spec(v));
}

/* Whether another split of the same source holds data. */
static bool holds_data(const struct vq_data *d, enum vq_split split)
{
    struct vq_docs other = {.kind = d->docs.kind, .path = d->docs.path};
    const struct vq_docs_options o = {split, d->o.sequence_len};
    bool any = other.kind->open(&other, &o, NULL) == VQ_OK && vq_docs_elements(&other) > 0;
    if (other.impl)
        other.kind->close(&other);
    free(other.start);
    return any;
}

/* The split is empty: says which are not. */
static enum vq_status no_data(const struct vq_data *d, struct vq_err *err)
{
    char others[64] = "";
    for (enum vq_split s = VQ_TRAIN; s <= VQ_TEST; s++) {
        size_t at = strlen(others);
        if (s != d->o.split && holds_data(d, s))
            snprintf(others + at, sizeof(others) - at, "%s%s", at ? ", " : "; there is data in ",
                     vq_split_name(s));
    }
    return vq_fail(err, VQ_EINVAL, "%s: nothing is in its split %s%s", d->docs.path,
                   vq_split_name(d->o.split), others);
}

static enum vq_status open_docs(struct vq_data *d, const char *spec, struct vq_err *err)
{
    const char *path;
    const struct vq_docs_options o = {d->o.split, d->o.sequence_len};
    enum vq_status st = find_kind(&d->docs.kind, spec, &path, err);
    if (st)
        return st;
    d->docs.path = vq_strdup(path);
    if (!d->docs.path)
        return vq_nomem(err, "a path", strlen(path), 1);
    st = check_vocab(&d->docs, d->o.vocab, err);
    if (!st)
        st = d->docs.kind->open(&d->docs, &o, err);
    if (!st && vq_docs_elements(&d->docs) == 0)
        st = no_data(d, err);
    return st;
}

static bool makes_pieces(const struct vq_data *d)
{
    return d->docs.kind->is_text && strcmp(vq_vocab_kind(d->o.vocab), "bytes") != 0;
}

enum vq_status vq_data_open(struct vq_data **out, const char *spec,
                            const struct vq_data_options *options, struct vq_err *err)
{
    *out = NULL;
    if (options->batch == 0 || options->sequence_len == 0)
        return vq_fail(err, VQ_EINVAL,
                       "expected sequences of at least one token, in batches of at "
                       "least one");
    struct vq_data *d = vq_calloc(1, sizeof(*d));
    if (!d)
        return vq_nomem(err, "a data set", 1, sizeof(*d));
    d->o = *options;
    d->seed = options->seed;
    d->bytes = vq_alloc(options->sequence_len, 1);
    enum vq_status st =
        d->bytes ? open_docs(d, spec, err) : vq_nomem(err, "a sequence", options->sequence_len, 1);
    if (!st && makes_pieces(d))
        st = vq_group_new(&d->groups, d, err);
    if (st) {
        vq_data_free(d);
        return st;
    }
    *out = d;
    return VQ_OK;
}

void vq_data_free(struct vq_data *d)
{
    if (!d)
        return;
    if (d->docs.impl)
        d->docs.kind->close(&d->docs);
    vq_group_free(d->groups);
    free(d->docs.start);
    free(d->docs.path);
    free(d->order);
    free(d->bytes);
    free(d);
}

struct vq_data_info vq_data_info(const struct vq_data *d)
{
    const struct vq_data_kind *kind = d->docs.kind;
    uint64_t elements = vq_docs_elements(&d->docs), T = d->o.sequence_len;
    uint64_t tokens = elements + (kind->eos ? d->docs.n : 0);
    return (struct vq_data_info){.kind = kind->name,
                                 .path = d->docs.path,
                                 .is_text = kind->is_text,
                                 .documents = d->docs.n,
                                 .bytes = kind->tokens ? 0 : elements,
                                 .sequences = d->groups ? 0 : tokens / T + (tokens % T != 0)};
}

/* ---- words ---- */

/* What Python's str.split() takes for white space. */
static bool is_space(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Adds the words that begin in the n bytes; *inside says whether the text so far ends in one.
 * Returns how many bytes were looked at: unless they are the last, not the few at the end that
 * could be part of a character. */
static size_t count_words(const char *text, size_t n, bool last, bool *inside, uint64_t *words)
{
    size_t i = 0;
    while (i < n && (last || n - i >= 4)) {
        uint32_t c = (uint8_t)text[i];
        int size = c < 0x80 ? 1 : vq_utf8_next(text + i, n - i, &c);
        bool space = size > 0 && is_space(c);
        *words += !*inside && !space;
        *inside = !space;
        i += size > 0 ? (size_t)size : 1;
    }
    return i;
}

static enum vq_status count_doc(struct vq_data *d, size_t doc, char *buf, size_t cap,
                                uint64_t *words, struct vq_err *err)
{
    uint64_t size = vq_docs_size(&d->docs, doc);
    bool inside = false;
    for (uint64_t at = 0; at < size;) {
        size_t n = size - at < cap ? (size_t)(size - at) : cap;
        enum vq_status st = d->docs.kind->read(&d->docs, doc, at, n, buf, d->o.cancel, err);
        if (st)
            return st;
        at += count_words(buf, n, at + n == size, &inside, words);
        if (vq_cancelled(d->o.cancel))
            return vq_fail(err, VQ_ECANCELLED, "counting words was cancelled");
    }
    return VQ_OK;
}

enum vq_status vq_data_words(struct vq_data *d, uint64_t *words, struct vq_err *err)
{
    const size_t cap = (size_t)1 << 20;
    *words = 0;
    if (!d->docs.kind->is_text)
        return vq_fail(err, VQ_EUNSUPPORTED, "%s: words are counted in text alone", d->docs.path);
    char *buf = vq_alloc(cap, 1);
    enum vq_status st = buf ? VQ_OK : vq_nomem(err, "a piece of text", cap, 1);
    for (size_t i = 0; !st && i < d->docs.n; i++)
        st = count_doc(d, i, buf, cap, words, err);
    free(buf);
    return st;
}
