#include "repl/opt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "repl/cmds.h"
#include "repl/models.h"
#include "repl/split.h"

static int row_count(const struct sh_opt *opts)
{
    int n = 0;
    while (opts && opts[n].name)
        n++;
    return n;
}

/* The state of one sh_args_parse(). */
struct job {
    struct sh *sh;
    const struct sh_cmd *cmd;
    const struct sh_words *words;
    struct sh_args *out;
    int at; /* the next word */
};

static const char *row_name(void *ud, size_t i)
{
    return ((const struct sh_opt *)ud)[i].name;
}

static enum sh_rc unknown(struct job *j, int word, const char *name)
{
    const struct sh_opt *opts = j->cmd->opts;
    size_t n = (size_t)row_count(opts);
    const char *near = n ? sh_nearest(name, row_name, n, (void *)(uintptr_t)opts) : NULL;
    if (near)
        return sh_bad_arg(j->sh, word, "no option %s: did you mean %s%s?", j->words->v[word].text,
                          near[1] ? "--" : "-", near);
    return sh_bad_arg(j->sh, word, "no option %s%s%s", j->words->v[word].text,
                      n ? ": see help " : ", it takes none", n ? j->cmd->name : "");
}

static enum sh_rc add_option(struct job *j, int row, const char *text, int word, size_t offset,
                             bool flag)
{
    const struct sh_opt *o = &j->cmd->opts[row];
    struct sh_args *a = j->out;
    struct sh_value *v = &a->opt[a->n_opt];
    enum sh_rc rc = SH_OK;
    if (o->kind == SH_FLAG)
        *v = (struct sh_value){.text = flag ? "true" : "false", .word = word, .flag = flag};
    else
        rc = sh_value_parse(j->sh, j->cmd, o->kind, o, text, word, offset, v);
    a->opt_row[a->n_opt++] = row;
    return rc;
}

/* The row of a long option's name; *flag is false for --no-NAME. */
static int find_long(const struct sh_opt *opts, const char *name, size_t len, bool *flag)
{
    *flag = true;
    for (int i = 0; i < row_count(opts); i++) {
        if (strlen(opts[i].name) == len && !memcmp(opts[i].name, name, len))
            return i;
    }
    if (len > 3 && !memcmp(name, "no-", 3)) {
        int row = find_long(opts, name + 3, len - 3, flag);
        *flag = false;
        return row >= 0 && opts[row].kind == SH_FLAG ? row : -1;
    }
    return -1;
}

static int find_letter(const struct sh_opt *opts, char letter)
{
    for (int i = 0; i < row_count(opts); i++) {
        if (opts[i].letter == letter || (opts[i].name[0] == letter && !opts[i].name[1]))
            return i;
    }
    return -1;
}

bool sh_is_option(const struct sh_word *w)
{
    char c = w->len > 1 ? w->text[1] : '\0';
    return !w->quoted && w->text[0] == '-' && c && !(c >= '0' && c <= '9') && c != '.';
}

static enum sh_rc next_value(struct job *j, int row, int word)
{
    const struct sh_opt *o = &j->cmd->opts[row];
    if (j->at >= j->words->n)
        return sh_bad_arg(j->sh, word, "%s needs a value: %s", j->words->v[word].text,
                          o->value ? o->value : sh_kind_name(o->kind));
    const struct sh_word *w = &j->words->v[j->at];
    /* a sort key that begins with '-' sorts downwards */
    if (sh_is_option(w) && !(o->kind == SH_FIELDS && w->text[1] != '-'))
        return sh_bad_arg(j->sh, j->at, "%s needs a value; quote one that begins with '-'",
                          j->words->v[word].text);
    return add_option(j, row, w->text, j->at++, 0, true);
}

static enum sh_rc long_option(struct job *j, int word)
{
    const char *text = j->words->v[word].text;
    const char *name = text + 2;
    const char *eq = strchr(name, '=');
    size_t len = eq ? (size_t)(eq - name) : strlen(name);
    char shown[64];
    bool flag;
    int row = find_long(j->cmd->opts, name, len, &flag);
    if (row < 0) {
        snprintf(shown, sizeof(shown), "%.*s", (int)(len < 60 ? len : 60), name);
        return unknown(j, word, shown);
    }
    bool takes = j->cmd->opts[row].kind != SH_FLAG;
    if (eq && !takes)
        return sh_bad_arg(j->sh, word, "--%.*s takes no value", (int)len, name);
    if (eq)
        return add_option(j, row, eq + 1, word, (size_t)(eq + 1 - text), true);
    return takes ? next_value(j, row, word) : add_option(j, row, NULL, word, 0, flag);
}

static enum sh_rc short_option(struct job *j, int word)
{
    const char *text = j->words->v[word].text;
    int row = find_letter(j->cmd->opts, text[1]);
    if (row < 0)
        return unknown(j, word, text + 1);
    bool takes = j->cmd->opts[row].kind != SH_FLAG;
    size_t skip = text[2] == '=' ? 3 : 2;
    if (!text[2])
        return takes ? next_value(j, row, word) : add_option(j, row, NULL, word, 0, true);
    if (!takes)
        return sh_bad_arg(j->sh, word, "-%c takes no value", text[1]);
    return add_option(j, row, text + skip, word, skip, true);
}

static enum sh_rc positional(struct job *j, int word)
{
    struct sh_args *a = j->out;
    int i = a->n_pos;
    if (j->cmd->max_args >= 0 && i >= j->cmd->max_args) {
        char usage[512];
        return sh_bad_arg(j->sh, word, "one argument too many; usage: %s",
                          sh_cmd_usage(j->cmd, usage, sizeof(usage)));
    }
    a->n_pos++;
    return sh_value_parse(j->sh, j->cmd, sh_cmd_kind(j->cmd, i), NULL, j->words->v[word].text, word,
                          0, &a->pos[i]);
}

static enum sh_rc parse_words(struct job *j)
{
    enum sh_rc rc = SH_OK;
    bool options = true;
    while (rc == SH_OK && j->at < j->words->n) {
        int word = j->at++;
        const struct sh_word *w = &j->words->v[word];
        if (!options || !sh_is_option(w))
            rc = positional(j, word);
        else if (!strcmp(w->text, "--"))
            options = false;
        else
            rc = w->text[1] == '-' ? long_option(j, word) : short_option(j, word);
    }
    return rc;
}

/* SH_RAW: the rest of the command as it was typed. */
static enum sh_rc parse_raw(struct job *j)
{
    const struct sh_words *w = j->words;
    struct sh_value *v = j->out->pos;
    if (w->n < 2)
        return SH_OK;
    *v = (struct sh_value){.word = 1, .text = w->v[1].text};
    j->out->n_pos = 1;
    if (w->n == 2 && w->v[1].quoted)
        return SH_OK;
    v->text = v->owned = vq_strndup(j->sh->text + w->v[1].start, w->end - w->v[1].start);
    return v->owned ? SH_OK : sh_failf(j->sh, "out of memory");
}

/* Defaults are typed like words, so a table can hold them as text. */
static enum sh_rc parse_defaults(struct job *j)
{
    const struct sh_opt *opts = j->cmd->opts;
    enum sh_rc rc = SH_OK;
    for (int i = 0; rc == SH_OK && i < row_count(opts); i++) {
        bool modules = opts[i].kind == SH_MODULES || opts[i].kind == SH_MODULE;
        if (opts[i].def && (!modules || sh_model_current(j->sh)))
            rc = sh_value_parse(j->sh, j->cmd, opts[i].kind, &opts[i], opts[i].def, -1, 0,
                                &j->out->def[i]);
    }
    return rc;
}

static enum sh_rc check_count(struct job *j)
{
    char usage[512];
    if (j->out->n_pos >= j->cmd->min_args)
        return SH_OK;
    return sh_bad_arg(j->sh, j->words->n, "usage: %s", sh_cmd_usage(j->cmd, usage, sizeof(usage)));
}

enum sh_rc sh_args_parse(struct sh *sh, const struct sh_cmd *cmd, const struct sh_words *words,
                         struct sh_args *out)
{
    struct job j = {.sh = sh, .cmd = cmd, .words = words, .out = out, .at = 1};
    size_t n = (size_t)words->n;
    *out = (struct sh_args){
        .cmd = cmd,
        .pos = vq_calloc(n, sizeof(*out->pos)),
        .opt = vq_calloc(n, sizeof(*out->opt)),
        .opt_row = vq_calloc(n, sizeof(*out->opt_row)),
        .def = vq_calloc((size_t)row_count(cmd->opts), sizeof(*out->def)),
    };
    enum sh_rc rc;
    if (!out->pos || !out->opt || !out->opt_row || !out->def)
        rc = sh_failf(sh, "out of memory");
    else
        rc = cmd->flags & SH_RAW ? parse_raw(&j) : parse_words(&j);
    if (rc == SH_OK)
        rc = check_count(&j);
    if (rc == SH_OK)
        rc = parse_defaults(&j);
    if (rc != SH_OK)
        sh_args_release(out);
    return rc;
}

void sh_args_release(struct sh_args *a)
{
    for (int i = 0; i < a->n_pos; i++)
        sh_value_release(&a->pos[i]);
    for (int i = 0; i < a->n_opt; i++)
        sh_value_release(&a->opt[i]);
    for (int i = 0; a->def && i < row_count(a->cmd->opts); i++)
        sh_value_release(&a->def[i]);
    free(a->pos);
    free(a->opt);
    free(a->opt_row);
    free(a->def);
    *a = (struct sh_args){0};
}

int sh_arg_count(const struct sh_args *a)
{
    return a->n_pos;
}

const struct sh_value *sh_arg_value(const struct sh_args *a, int i)
{
    return i < a->n_pos ? &a->pos[i] : NULL;
}

const char *sh_arg(const struct sh_args *a, int i)
{
    return i < a->n_pos ? a->pos[i].text : NULL;
}

int sh_arg_word(const struct sh_args *a, int i)
{
    return i < a->n_pos ? a->pos[i].word : 0;
}

/* The row of an option that the program itself names. */
static int row_of(const struct sh_args *a, const char *name)
{
    bool flag;
    int row = find_long(a->cmd->opts, name, strlen(name), &flag);
    if (row < 0) {
        fprintf(stderr, "vqsh: internal error: %s asks for its option %s, which is not declared\n",
                a->cmd->name, name);
        abort();
    }
    return row;
}

static const struct sh_value *given(const struct sh_args *a, const char *name)
{
    int row = row_of(a, name);
    for (int i = a->n_opt - 1; i >= 0; i--) {
        if (a->opt_row[i] == row)
            return &a->opt[i];
    }
    return NULL;
}

const struct sh_value *sh_opt_value(const struct sh_args *a, const char *name)
{
    const struct sh_value *v = given(a, name);
    int row = row_of(a, name);
    return v ? v : a->cmd->opts[row].def ? &a->def[row] : NULL;
}

bool sh_opt_given(const struct sh_args *a, const char *name)
{
    return given(a, name) != NULL;
}

bool sh_opt_flag(const struct sh_args *a, const char *name)
{
    const struct sh_value *v = sh_opt_value(a, name);
    return v && v->flag;
}

const char *sh_opt_text(const struct sh_args *a, const char *name)
{
    const struct sh_value *v = sh_opt_value(a, name);
    return v ? v->text : NULL;
}

int64_t sh_opt_int(const struct sh_args *a, const char *name)
{
    const struct sh_value *v = sh_opt_value(a, name);
    return v ? v->i : 0;
}

double sh_opt_real(const struct sh_args *a, const char *name)
{
    const struct sh_value *v = sh_opt_value(a, name);
    return v ? v->real : 0;
}

const uint64_t *sh_opt_seed(const struct sh_args *a, const char *name)
{
    const struct sh_value *v = given(a, name);
    return v ? &v->seed : NULL;
}

int sh_opt_word(const struct sh_args *a, const char *name)
{
    const struct sh_value *v = given(a, name);
    return v ? v->word : 0;
}

size_t sh_opt_count(const struct sh_args *a, const char *name)
{
    int row = row_of(a, name);
    size_t n = 0;
    for (int i = 0; i < a->n_opt; i++)
        n += a->opt_row[i] == row;
    return n;
}

const char *sh_opt_nth(const struct sh_args *a, const char *name, size_t n)
{
    int row = row_of(a, name);
    for (int i = 0; i < a->n_opt; i++) {
        if (a->opt_row[i] == row && n-- == 0)
            return a->opt[i].text;
    }
    return NULL;
}

const char **sh_opt_all(const struct sh_args *a, const char *name, size_t *n)
{
    *n = sh_opt_count(a, name);
    const char **all = vq_alloc(*n, sizeof(*all));
    for (size_t i = 0; all && i < *n; i++)
        all[i] = sh_opt_nth(a, name, i);
    return all;
}

static void put_value(struct vq_text *out, enum sh_kind kind, const struct sh_value *v)
{
    if (kind == SH_FLAG || kind == SH_ONOFF)
        vq_text_puts(out, v->flag ? "true" : "false");
    else if (kind == SH_INT || kind == SH_POSITION)
        vq_text_printf(out, "%lld", (long long)v->i);
    else if (kind == SH_REAL)
        vq_text_json_f64(out, v->real);
    else
        vq_text_json_string(out, v->text, strlen(v->text));
}

static void put_option(const struct sh_args *a, int row, struct vq_text *out)
{
    const struct sh_opt *o = &a->cmd->opts[row];
    size_t n = sh_opt_count(a, o->name), seen = 0;
    if (!n)
        return;
    vq_text_puts(out, out->data && out->data[out->len - 1] == '{' ? "" : ",");
    vq_text_json_string(out, o->name, strlen(o->name));
    vq_text_puts(out, o->many ? ":[" : ":");
    for (int i = 0; i < a->n_opt; i++) {
        if (a->opt_row[i] != row || (++seen < n && !o->many))
            continue;
        vq_text_puts(out, o->many && seen > 1 ? "," : "");
        put_value(out, o->kind, &a->opt[i]);
    }
    vq_text_puts(out, o->many ? "]" : "");
}

void sh_args_to_json(const struct sh_args *a, struct vq_text *out)
{
    vq_text_puts(out, "{");
    for (int row = 0; row < row_count(a->cmd->opts); row++)
        put_option(a, row, out);
    if (a->n_pos) {
        vq_text_puts(out,
                     out->data && out->data[out->len - 1] == '{' ? "\"args\":[" : ",\"args\":[");
        for (int i = 0; i < a->n_pos; i++) {
            vq_text_puts(out, i ? "," : "");
            put_value(out, sh_cmd_kind(a->cmd, i), &a->pos[i]);
        }
        vq_text_puts(out, "]");
    }
    vq_text_puts(out, "}");
}
