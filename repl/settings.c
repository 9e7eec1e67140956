#include "repl/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/text.h"
#include "core/kernels/gemm.h"
#include "repl/cmds.h"
#include "repl/models.h"
#include "repl/opt.h"
#include "repl/out.h"
#include "repl/runlog.h"
#include "repl/sh.h"

static enum vq_status threads_changed(struct sh *sh, struct vq_err *err);
static enum vq_status gemm_changed(struct sh *sh, struct vq_err *err);
static enum vq_status read_only_changed(struct sh *sh, struct vq_err *err);

#define FIELD(member)                                                                              \
    offsetof(struct sh_settings, member), sizeof(((struct sh_settings *)0)->member)
#define HUGE_INT 9007199254740992.0 /* 2^53, exact in a double */

static const struct sh_setting table[] = {
    {"color", SH_SET_CHOICE, FIELD(color), 0, 0, "auto always never", "auto",
     "colour in prompt, headings and messages", NULL},
    {"format", SH_SET_CHOICE, FIELD(format), 0, 0, "auto " SH_FORMAT_CHOICES, "auto",
     "how results are written; auto: table on a terminal, else plain", NULL},
    {"gemm", SH_SET_GEMM, FIELD(gemm), 0, 0, NULL, "auto",
     "how models loaded from now on multiply; bf16 is fast, but it rounds", gemm_changed},
    {"history", SH_SET_INT, FIELD(history), 0, 1e6, NULL, "5000",
     "entries kept in the history file", NULL},
    {"model-path", SH_SET_TEXT, FIELD(model_path), 0, 0, NULL, "",
     "folders, separated by ':', where replay looks for models", NULL},
    {"pager", SH_SET_CHOICE, FIELD(pager), 0, 0, "on off", "on",
     "results longer than the screen go through $VQSH_PAGER, $PAGER or less", NULL},
    {"preview", SH_SET_CHOICE, FIELD(preview), 0, 0, "auto half kitty sixel none", "auto",
     "how to show pictures; auto: half-blocks unless TERM names a better way", NULL},
    {"read-only", SH_SET_BOOL, FIELD(read_only), 0, 0, NULL, "off",
     "open the run database for reading alone; nothing is recorded", read_only_changed},
    {"seed", SH_SET_SEED, FIELD(seed), 0, 0, NULL, "random",
     "seed of commands that draw and are given none", NULL},
    {"skip", SH_SET_CHOICE, FIELD(skip), 0, 0, "auto zero light none", "auto",
     "values that load leaves unread: of weight 0, light ones too, or none", NULL},
    {"state", SH_SET_CHOICE, FIELD(state), 0, 0, "auto f32 bf16 int8", "auto",
     "format of values in the attention state; auto: as the weights need", NULL},
    {"temperature", SH_SET_REAL, FIELD(temperature), 0, 1e6, NULL, "1",
     "temperature of sample when it is given none", NULL},
    {"threads", SH_SET_INT, FIELD(threads), 0, 256, NULL, "0",
     "worker threads; 0: the processors we may run on", threads_changed},
    {"timing", SH_SET_BOOL, FIELD(timing), 0, 0, NULL, "off", "tell how long each command took",
     NULL},
    {"top-k", SH_SET_INT, FIELD(top_k), 0, HUGE_INT, NULL, "0",
     "sample draws from this many likeliest tokens; 0: all", NULL},
    {"top-p", SH_SET_REAL, FIELD(top_p), 0, 1, NULL, "1",
     "sample draws from the likeliest tokens that make up this probability", NULL},
    {"weights", SH_SET_CHOICE, FIELD(weights), 0, 0, "f32 bf16 int8", "f32",
     "how load prepares weights when it is not told", NULL},
    {"width", SH_SET_INT, FIELD(width), 0, 10000, NULL, "0",
     "columns to lay results out for; 0: the terminal's", NULL},
};

size_t sh_setting_count(void)
{
    return sizeof(table) / sizeof(table[0]);
}

const struct sh_setting *sh_setting_at(size_t i)
{
    return &table[i];
}

const struct sh_setting *sh_setting_find(const char *name)
{
    for (size_t i = 0; i < sh_setting_count(); i++) {
        if (!strcmp(table[i].name, name))
            return &table[i];
    }
    return NULL;
}

static enum vq_status refuse(const struct sh_setting *st, const char *value, struct vq_err *err)
{
    char names[256] = "auto";
    switch (st->type) {
    case SH_SET_INT:
        return vq_fail(err, VQ_EINVAL, "%s takes a whole number from %.15g to %.15g, not '%s'",
                       st->name, st->min, st->max, value);
    case SH_SET_REAL:
        return vq_fail(err, VQ_EINVAL, "%s takes a number from %g to %g, not '%s'", st->name,
                       st->min, st->max, value);
    case SH_SET_BOOL:
        return vq_fail(err, VQ_EINVAL, "%s is on or off, not '%s'", st->name, value);
    case SH_SET_SEED:
        return vq_fail(err, VQ_EINVAL, "%s takes a whole number below 2^64, or random, not '%s'",
                       st->name, value);
    case SH_SET_TEXT:
        return vq_fail(err, VQ_EINVAL, "%s takes at most %zu bytes", st->name, st->size - 1);
    case SH_SET_CHOICE:
        return vq_fail(err, VQ_EINVAL, "%s is one of: %s; not '%s'", st->name, st->choices, value);
    default:
        for (size_t i = 0; i < vq_gemm_backends(); i++) {
            size_t used = strlen(names);
            snprintf(names + used, sizeof(names) - used, " %s", vq_gemm_backend_name(i));
        }
        return vq_fail(err, VQ_EINVAL, "%s is one of: %s; not '%s'", st->name, names, value);
    }
}

static bool parse_text(const struct sh_setting *st, const char *value)
{
    uint64_t seed;
    if (st->type == SH_SET_TEXT)
        return true;
    if (st->type == SH_SET_CHOICE)
        return sh_in_choices(st->choices, value);
    if (st->type == SH_SET_SEED)
        return !strcmp(value, "random") || sh_parse_seed(value, &seed);
    return !strcmp(value, "auto") || vq_gemm_find(value);
}

static bool in_range(const struct sh_setting *st, double v)
{
    return v >= st->min && v <= st->max;
}

static bool assign(struct sh_settings *s, const struct sh_setting *st, const char *value)
{
    char *at = (char *)s + st->offset;
    int64_t i;
    double real;
    bool flag;
    switch (st->type) {
    case SH_SET_INT:
        if (!sh_parse_int(value, &i) || !in_range(st, (double)i))
            return false;
        memcpy(at, &i, sizeof(i));
        return true;
    case SH_SET_REAL:
        if (!sh_parse_real(value, &real) || !in_range(st, real))
            return false;
        memcpy(at, &real, sizeof(real));
        return true;
    case SH_SET_BOOL:
        if (!sh_parse_onoff(value, &flag))
            return false;
        memcpy(at, &flag, sizeof(flag));
        return true;
    default:
        if (!parse_text(st, value) || strlen(value) >= st->size)
            return false;
        snprintf(at, st->size, "%s", value);
        return true;
    }
}

void sh_settings_default(struct sh_settings *s)
{
    *s = (struct sh_settings){.timing = false};
    for (size_t i = 0; i < sh_setting_count(); i++)
        assign(s, &table[i], table[i].def);
}

static const char *name_at(void *ud, size_t i)
{
    (void)ud;
    return table[i].name;
}

enum vq_status sh_setting_set(struct sh *sh, const char *name, const char *value,
                              struct vq_err *err)
{
    const struct sh_setting *st = sh_setting_find(name);
    if (!st) {
        const char *near = sh_nearest(name, name_at, sh_setting_count(), NULL);
        return vq_fail(err, VQ_ENOTFOUND, "no setting '%s': %s%s%s", name,
                       near ? "did you mean " : "set lists them", near ? near : "",
                       near ? "?" : "");
    }
    struct sh_settings old = sh->set;
    if (!assign(&sh->set, st, value))
        return refuse(st, value, err);
    enum vq_status status = st->changed ? st->changed(sh, err) : VQ_OK;
    if (status)
        sh->set = old;
    return status;
}

const char *sh_setting_text(const struct sh *sh, const struct sh_setting *st, char *buf, size_t len)
{
    const char *at = (const char *)&sh->set + st->offset;
    struct vq_text number = {0};
    int64_t i;
    double real;
    switch (st->type) {
    case SH_SET_INT:
        memcpy(&i, at, sizeof(i));
        snprintf(buf, len, "%" PRId64, i);
        break;
    case SH_SET_REAL:
        memcpy(&real, at, sizeof(real));
        vq_text_json_f64(&number, real);
        snprintf(buf, len, "%s", number.data ? number.data : "");
        vq_text_release(&number);
        break;
    case SH_SET_BOOL:
        snprintf(buf, len, "%s", *at ? "on" : "off");
        break;
    default:
        snprintf(buf, len, "%s", at);
    }
    return buf;
}

void sh_setting_put(struct sh *sh, const char *key, const struct sh_setting *st,
                    const struct sh_settings *from)
{
    const char *at = (const char *)from + st->offset;
    int64_t i;
    double real;
    uint64_t seed;
    if (st->type == SH_SET_INT) {
        memcpy(&i, at, sizeof(i));
        sh_int(sh, key, i);
    } else if (st->type == SH_SET_REAL) {
        memcpy(&real, at, sizeof(real));
        sh_f64(sh, key, real);
    } else if (st->type == SH_SET_BOOL) {
        sh_bool(sh, key, *at);
    } else if (st->type == SH_SET_SEED && sh_parse_seed(at, &seed)) {
        sh_uint(sh, key, seed);
    } else {
        sh_str(sh, key, at);
    }
}

/* Engines in use keep the threads and kernels they were made with. */
static void tell_later(struct sh *sh)
{
    if (sh_model_prepared(sh))
        sh_note(sh, "models in use keep theirs until they are loaded again");
}

static enum vq_status threads_changed(struct sh *sh, struct vq_err *err)
{
    if (!sh_pool(sh, err))
        return err ? err->code : VQ_EINVAL;
    tell_later(sh);
    return VQ_OK;
}

static enum vq_status gemm_changed(struct sh *sh, struct vq_err *err)
{
    (void)err;
    tell_later(sh);
    return VQ_OK;
}

static enum vq_status read_only_changed(struct sh *sh, struct vq_err *err)
{
    return sh_store_reopen(sh, err);
}
