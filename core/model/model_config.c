/*
 * model_config: the part of a configuration that shapes do not tell. Looks for the preset, the
 * checkpoint's metadata or a config.json, applies the user's settings on top, and keeps a note of
 * what had to be assumed.
 */
#include "core/model/model_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/mem.h"

/* The folder part of a path, malloc'd: "." when it has none. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return vq_strdup(".");
    return vq_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* dir/name, malloc'd; a leading "./" is left out. */
static char *join(const char *dir, const char *name)
{
    if (!strcmp(dir, "."))
        return vq_strdup(name);
    struct vq_text t = {0};
    vq_text_printf(&t, "%s%s%s", dir, dir[strlen(dir) - 1] == '/' ? "" : "/", name);
    if (t.failed)
        vq_text_release(&t);
    return t.data;
}

static char *parent_of(const char *dir)
{
    const char *base = strrchr(dir, '/');
    base = base ? base + 1 : dir;
    if (!strcmp(base, ".") || !strcmp(base, ".."))
        return join(dir, "..");
    return folder_of(dir);
}

/* Makes a vocabulary file's path independent of where it was written (relative to the folder of
 * `beside`, or to the working folder when that is NULL). */
static enum vq_status place_vocab(struct vq_settings *s, const char *beside, struct vq_err *err)
{
    if (!s->v.vocab[0] || !vq_vocab_is_file(s->v.vocab))
        return VQ_OK;
    char *dir = beside && s->v.vocab[0] != '/' ? folder_of(beside) : vq_strdup(".");
    char *path = dir ? join(dir, s->v.vocab) : NULL;
    char *full = path ? realpath(path, NULL) : NULL;
    const char *best = full ? full : path;
    enum vq_status st = VQ_OK;
    if (!best)
        st = vq_nomem(err, "the path of the vocabulary", 1, sizeof(s->v.vocab));
    else if (strlen(best) >= sizeof(s->v.vocab))
        st = vq_fail(err, VQ_EINVAL, "vocab: expected a path of at most %zu bytes, found %s",
                     sizeof(s->v.vocab) - 1, best);
    else
        snprintf(s->v.vocab, sizeof(s->v.vocab), "%s", best);
    free(full);
    free(path);
    free(dir);
    return st;
}

/* Applies JSON text found in (or as metadata of) `path`. */
static enum vq_status apply_json(struct vq_model *m, const char *text, size_t size,
                                 const char *path, struct vq_err *err)
{
    struct vq_json *doc;
    enum vq_status st = vq_json_parse(&doc, text, size, err);
    if (!st)
        st = vq_settings_json(&m->settings, vq_json_root(doc), VQ_FROM_FILE, err);
    if (!st && vq_json_get(vq_json_root(doc), "vocab"))
        st = place_vocab(&m->settings, path, err);
    vq_json_free(doc);
    if (!st) {
        free(m->config_path);
        m->config_path = vq_strdup(path);
        if (!m->config_path)
            st = vq_nomem(err, "a path", strlen(path) + 1, 1);
    }
    return st;
}

static enum vq_status apply_file(struct vq_model *m, const char *path, struct vq_err *err)
{
    struct vq_file f;
    enum vq_status st = vq_file_open(&f, path, err);
    if (st)
        return st;
    st = apply_json(m, (const char *)f.data, f.size, path, err);
    if (st)
        vq_err_prefix(err, "%s", path);
    vq_file_close(&f);
    return st;
}

/* Our own files carry their configuration. */
static enum vq_status apply_metadata(struct vq_model *m, bool *found, struct vq_err *err)
{
    const char *path = vq_ckpt_path(m->ckpt);
    const char *config = vq_ckpt_meta(m->ckpt, "config"), *vocab = vq_ckpt_meta(m->ckpt, "vocab");
    enum vq_status st = VQ_OK;
    *found = config != NULL;
    if (config)
        st = apply_json(m, config, strlen(config), path, err);
    if (!st && vocab && *vocab) {
        st = vq_settings_set(&m->settings, "vocab", vocab, VQ_FROM_FILE, err);
        if (!st)
            st = place_vocab(&m->settings, path, err);
    }
    if (st)
        vq_err_prefix(err, "metadata of %s", path);
    return st;
}

/* config.json in the checkpoint's folder, else one above; none is fine. */
static enum vq_status seek_file(struct vq_model *m, struct vq_err *err)
{
    enum vq_status st = VQ_ENOTFOUND;
    char *dir = folder_of(vq_ckpt_path(m->ckpt));
    char *above = dir ? parent_of(dir) : NULL;
    const char *places[] = {dir, above};
    for (size_t i = 0; i < 2 && st == VQ_ENOTFOUND; i++) {
        char *path = places[i] ? join(places[i], "config.json") : NULL;
        st = path ? apply_file(m, path, err) : vq_nomem(err, "a path", 1, 1);
        free(path);
    }
    free(above);
    free(dir);
    return st == VQ_ENOTFOUND ? VQ_OK : st;
}

/* "key=value" strings. */
static enum vq_status apply_set(struct vq_model *m, const char *const *set, size_t n,
                                struct vq_err *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *eq = strchr(set[i], '=');
        if (!eq)
            return vq_fail(err, VQ_EINVAL, "expected a setting as name=value, found '%.64s'",
                           set[i]);
        char *name = vq_strndup(set[i], (size_t)(eq - set[i]));
        if (!name)
            return vq_nomem(err, "a setting's name", strlen(set[i]), 1);
        enum vq_status st = vq_settings_set(&m->settings, name, eq + 1, VQ_FROM_USER, err);
        if (!st && !strcmp(name, "vocab"))
            st = place_vocab(&m->settings, NULL, err);
        free(name);
        if (st)
            return st;
    }
    return VQ_OK;
}

static enum vq_origin origin_of(const struct vq_settings *s, const char *field)
{
    return (enum vq_origin)s->origin[vq_config_field_find(field)];
}

/* Ids of bytes are recognised by their number; a picture by its length and absolute positions. */
static void default_vocab(struct vq_settings *s)
{
    const char *vocab = "ids";
    bool picture = s->v.sequence_len == 12288 && s->v.pe_abs;
    if (s->v.n_vocab == 259)
        vocab = picture ? "image64" : "bytes";
    else if (s->v.n_vocab == 771 && picture)
        vocab = "rgb64";
    if (!s->v.vocab[0])
        snprintf(s->v.vocab, sizeof(s->v.vocab), "%s", vocab);
}

static void note_assumed(struct vq_model *m)
{
    static const char *const fields[] = {"agg_cache", "e_scale", "pe_lam"};
    const struct vq_settings *s = &m->settings;
    if (origin_of(s, "mem_len") != VQ_FROM_DEFAULT)
        return;
    vq_text_printf(&m->note, "mem_len %lld was assumed: give --preset, --config or --set mem_len=",
                   (long long)s->v.mem_len);
    const char *lead = " (so was ";
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        int at = vq_config_field_find(fields[i]);
        char value[40];
        if (s->origin[at] != VQ_FROM_DEFAULT)
            continue;
        vq_text_printf(&m->note, "%s%s %s", lead, fields[i],
                       vq_settings_text(s, (size_t)at, value, sizeof(value)));
        lead = ", ";
    }
    if (lead[0] == ',')
        vq_text_puts(&m->note, ")");
}

static enum vq_status write_note(struct vq_model *m, bool guessed, struct vq_err *err)
{
    const struct vq_settings *s = &m->settings;
    if (guessed && !m->config_path)
        vq_text_printf(&m->note, "the shapes are those of preset %s, whose settings were taken",
                       s->preset);
    note_assumed(m);
    if (!strcmp(s->v.vocab, "ids") && origin_of(s, "vocab") < VQ_FROM_FILE)
        vq_text_printf(&m->note,
                       "%stokens are shown as ids: --set vocab= names a SentencePiece file",
                       m->note.len ? "; " : "");
    return m->note.failed ? vq_nomem(err, "a note", m->note.len, 1) : VQ_OK;
}

enum vq_status vq_model_configure(struct vq_model *m, const struct vq_model_options *options,
                                  struct vq_err *err)
{
    static const struct vq_model_options none = {0};
    const struct vq_model_options *o = options ? options : &none;
    struct vq_settings *s = &m->settings;
    const char *preset = o->preset ? o->preset : vq_preset_guess(s);
    bool has_metadata = false;
    enum vq_status st = preset ? vq_settings_preset(s, preset, err) : VQ_OK;
    if (!st)
        st = apply_metadata(m, &has_metadata, err);
    if (!st && o->config_path)
        st = apply_file(m, o->config_path, err);
    else if (!st && !has_metadata)
        st = seek_file(m, err);
    if (!st)
        st = apply_set(m, o->set, o->n_set, err);
    if (!st)
        st = vq_config_check(&s->v, err);
    if (st)
        return st;
    default_vocab(s);
    st = vq_vocab_open(&m->vocab, s->v.vocab, (int)s->v.n_vocab, err);
    if (st) {
        vq_err_prefix(err, "vocab (%s)", vq_origin_name(origin_of(s, "vocab")));
        return st;
    }
    return write_note(m, preset && !o->preset, err);
}

enum vq_status vq_settings_vocab(struct vq_settings *s, const struct vq_vocab *v,
                                 struct vq_err *err)
{
    enum vq_status st = vq_settings_set(s, "vocab", vq_vocab_spec(v), VQ_FROM_USER, err);
    if (!st)
        st = place_vocab(s, NULL, err);
    s->v.n_vocab = vq_vocab_size(v);
    return st;
}

enum vq_status vq_settings_open(struct vq_settings *out, const struct vq_model_options *o,
                                struct vq_err *err)
{
    struct vq_model m = {0};
    vq_settings_default(&m.settings);
    enum vq_status st = o->preset ? vq_settings_preset(&m.settings, o->preset, err) : VQ_OK;
    if (!st && o->config_path)
        st = apply_file(&m, o->config_path, err);
    if (!st)
        st = apply_set(&m, o->set, o->n_set, err);
    if (!st)
        st = vq_config_check(&m.settings.v, err);
    if (!st)
        default_vocab(&m.settings);
    *out = m.settings;
    free(m.config_path);
    return st;
}
