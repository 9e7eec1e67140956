#include "repl/opt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/model/config.h"
#include "repl/cmds.h"
#include "repl/models.h"
#include "repl/split.h"

static const char *const kind_names[] = {
    [SH_TEXT] = "TEXT",       [SH_FLAG] = "",           [SH_INT] = "N",
    [SH_SEED] = "SEED",       [SH_REAL] = "X",          [SH_POSITION] = "POSITION",
    [SH_PATH] = "FILE",       [SH_OUTPATH] = "FILE",    [SH_CHOICE] = "CHOICE",
    [SH_MODULES] = "MODULES", [SH_MODULE] = "MODULE",   [SH_TENSOR] = "TENSOR",
    [SH_MODEL] = "MODEL",     [SH_STATE] = "STATE",     [SH_RUN] = "RUN",
    [SH_PRESET] = "PRESET",   [SH_SETTING] = "SETTING", [SH_VALUE] = "VALUE",
    [SH_COMMAND] = "COMMAND", [SH_PAIR] = "KEY=VALUE",  [SH_ONOFF] = "on|off",
    [SH_FILTER] = "FILTER",   [SH_FIELDS] = "A,B,...",  [SH_SQL] = "QUERY",
    [SH_METRIC] = "NAME",     [SH_TAG] = "TAG",
};
_Static_assert(sizeof(kind_names) / sizeof(kind_names[0]) == SH_TAG + 1, "every kind has a name");

const char *sh_kind_name(enum sh_kind kind)
{
    return kind_names[kind];
}

/* Digits of `base` that fill text up to `end`. */
static bool digits(const char *text, const char *end, int base, uint64_t *out)
{
    const char *all = base == 16 ? "0123456789abcdefABCDEF" : "0123456789";
    if (text == end || strspn(text, all) < (size_t)(end - text))
        return false;
    errno = 0;
    *out = strtoull(text, NULL, base);
    return errno == 0;
}

bool sh_parse_int(const char *text, int64_t *out)
{
    static const char units[] = "kKmMgG";
    bool negative = *text == '-';
    const char *start = text + (negative || *text == '+');
    const char *end = start + strlen(start);
    int64_t unit = 1, value;
    const char *suffix = end > start ? strchr(units, end[-1]) : NULL;
    if (suffix && *suffix) {
        unit = (const int64_t[]){1000, 1000000, 1000000000}[(suffix - units) / 2];
        end--;
    }
    uint64_t magnitude;
    if (!digits(start, end, 10, &magnitude) || magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return !__builtin_mul_overflow(value, unit, out);
}

bool sh_parse_seed(const char *text, uint64_t *out)
{
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *start = hex ? text + 2 : text;
    return digits(start, start + strlen(start), hex ? 16 : 10, out);
}

bool sh_parse_real(const char *text, double *out)
{
    return vq_text_to_f64(text, strlen(text), out);
}

bool sh_parse_onoff(const char *text, bool *out)
{
    *out = sh_in_choices("on true yes 1", text);
    return *out || sh_in_choices("off false no 0", text);
}

const char *sh_choice_at(const char *choices, size_t i, char *buf, size_t len)
{
    const char *p = choices ? choices : "";
    for (;; i--) {
        p += strspn(p, " ");
        size_t n = strcspn(p, " ");
        if (!n || n >= len)
            return NULL;
        if (i == 0) {
            memcpy(buf, p, n);
            buf[n] = '\0';
            return buf;
        }
        p += n;
    }
}

bool sh_in_choices(const char *choices, const char *word)
{
    char buf[64];
    for (size_t i = 0; sh_choice_at(choices, i, buf, sizeof(buf)); i++) {
        if (!strcmp(buf, word))
            return true;
    }
    return false;
}

/* What is being parsed, for the functions below. */
struct job {
    struct sh *sh;
    const struct sh_cmd *cmd;
    const struct sh_opt *o;
    const char *text;
    int word;
    size_t offset;
    struct sh_value *out;
};

static enum sh_rc refuse(const struct job *j, const char *expected)
{
    if (j->o)
        return sh_bad_arg_at(j->sh, j->word, j->offset, "%s%s takes %s, not '%s'",
                             j->o->name[1] ? "--" : "-", j->o->name, expected, j->text);
    return sh_bad_arg_at(j->sh, j->word, j->offset, "expected %s, found '%s'", expected, j->text);
}

static enum sh_rc check_range(const struct job *j, double v, const char *noun)
{
    char expected[160];
    double min = j->o ? j->o->min : 0, max = j->o ? j->o->max : 0;
    bool free_range = min == 0 && max == 0;
    if (free_range || (v >= min && (v <= max || max < min)))
        return SH_OK;
    if (max < min)
        snprintf(expected, sizeof(expected), "%s of at least %g", noun, min);
    else
        snprintf(expected, sizeof(expected), "%s from %.15g to %.15g", noun, min, max);
    return refuse(j, expected);
}

static enum sh_rc parse_int(const struct job *j)
{
    if (!sh_parse_int(j->text, &j->out->i))
        return refuse(j, "a whole number");
    return check_range(j, (double)j->out->i, "a whole number");
}

static enum sh_rc parse_real(const struct job *j)
{
    if (!sh_parse_real(j->text, &j->out->real))
        return refuse(j, "a number");
    return check_range(j, j->out->real, "a number");
}

static enum sh_rc parse_path(const struct job *j)
{
    const char *home = getenv("HOME");
    bool quoted = j->word >= 0 && j->offset == 0 && j->sh->words->v[j->word].quoted;
    if (!*j->text)
        return refuse(j, "the name of a file");
    if (j->text[0] != '~' || (j->text[1] && j->text[1] != '/') || quoted || !home)
        return SH_OK;
    size_t len = strlen(home) + strlen(j->text);
    j->out->owned = vq_alloc(len, 1);
    if (!j->out->owned)
        return sh_failf(j->sh, "out of memory");
    snprintf(j->out->owned, len, "%s%s", home, j->text + 1);
    j->out->text = j->out->owned;
    return SH_OK;
}

static enum sh_rc parse_choice(const struct job *j)
{
    char buf[64], expected[512];
    const char *choices = j->o ? j->o->choices : j->cmd->pos_choices;
    size_t hits = 0, hit = 0, len = strlen(j->text);
    if (sh_in_choices(choices, j->text))
        return SH_OK;
    for (size_t i = 0; sh_choice_at(choices, i, buf, sizeof(buf)); i++) {
        if (len && !strncmp(buf, j->text, len)) {
            hits++;
            hit = i;
        }
    }
    if (hits == 1 && j->sh->interactive) {
        j->out->owned = vq_strdup(sh_choice_at(choices, hit, buf, sizeof(buf)));
        j->out->text = j->out->owned;
        return j->out->owned ? SH_OK : sh_failf(j->sh, "out of memory");
    }
    snprintf(expected, sizeof(expected), "one of: %s", choices ? choices : "");
    return refuse(j, expected);
}

static enum sh_rc parse_modules(const struct job *j, bool single)
{
    struct sh_model *m = sh_model_current(j->sh);
    struct vq_err err;
    size_t bad = 0;
    if (!j->o && j->cmd->pos_choices && sh_in_choices(j->cmd->pos_choices, j->text))
        return SH_OK;
    if (!m)
        return sh_failf(j->sh, "no model is loaded: load PATH loads one");
    const struct vq_config *c = vq_model_config(m->model);
    enum vq_status rc = sh_modlist_parse(j->text, (int)c->n_layer, (int)c->n_head, &j->out->mods,
                                         &j->out->n_mod, &bad, &err);
    if (rc == VQ_ENOMEM)
        return sh_fail(j->sh, &err);
    if (rc)
        return sh_bad_arg_at(j->sh, j->word, j->offset + bad, "%s", err.msg);
    if (single && j->out->n_mod != 1)
        return refuse(j, "one module, such as 0.1 or 3.2:0");
    return SH_OK;
}

static const char *model_name_at(void *ud, size_t i)
{
    struct sh_model *m = sh_model_first(ud);
    while (i-- > 0)
        m = m->next;
    return m->name;
}

static enum sh_rc parse_model(const struct job *j)
{
    struct sh *sh = j->sh;
    if (sh_model_find(sh, j->text))
        return SH_OK;
    const char *near = sh_nearest(j->text, model_name_at, sh_model_count(sh), sh);
    if (near)
        return sh_bad_arg_at(sh, j->word, j->offset, "no model '%s' is loaded: did you mean %s?",
                             j->text, near);
    return sh_bad_arg_at(sh, j->word, j->offset, "no model '%s' is loaded: models lists them",
                         j->text);
}

static enum sh_rc parse_preset(const struct job *j)
{
    char expected[256] = "one of:";
    for (size_t i = 0; i < vq_preset_count(); i++) {
        if (!strcmp(vq_preset_name(i), j->text))
            return SH_OK;
        size_t used = strlen(expected);
        snprintf(expected + used, sizeof(expected) - used, " %s", vq_preset_name(i));
    }
    return refuse(j, expected);
}

static enum sh_rc parse_seed(const struct job *j)
{
    return sh_parse_seed(j->text, &j->out->seed) ? SH_OK
                                                 : refuse(j, "a whole number from 0 to 2^64 - 1");
}

static enum sh_rc parse_onoff(const struct job *j)
{
    return sh_parse_onoff(j->text, &j->out->flag) ? SH_OK : refuse(j, "on or off");
}

static enum sh_rc parse_pair(const struct job *j)
{
    const char *eq = strchr(j->text, '=');
    return eq && eq > j->text ? SH_OK : refuse(j, "key=value");
}

enum sh_rc sh_value_parse(struct sh *sh, const struct sh_cmd *cmd, enum sh_kind kind,
                          const struct sh_opt *o, const char *text, int word, size_t offset,
                          struct sh_value *out)
{
    *out = (struct sh_value){.text = text, .word = word};
    struct job j = {sh, cmd, o, text, word, offset, out};
    switch (kind) {
    case SH_INT:
    case SH_POSITION:
        return parse_int(&j);
    case SH_SEED:
        return parse_seed(&j);
    case SH_REAL:
        return parse_real(&j);
    case SH_PATH:
    case SH_OUTPATH:
        return parse_path(&j);
    case SH_CHOICE:
        return parse_choice(&j);
    case SH_MODULES:
    case SH_MODULE:
        return parse_modules(&j, kind == SH_MODULE);
    case SH_MODEL:
        return parse_model(&j);
    case SH_PRESET:
        return parse_preset(&j);
    case SH_PAIR:
        return parse_pair(&j);
    case SH_ONOFF:
        return parse_onoff(&j);
    default:
        return SH_OK;
    }
}

void sh_value_release(struct sh_value *v)
{
    free(v->mods);
    free(v->owned);
    *v = (struct sh_value){0};
}
