#include "repl/complete.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/store/store.h"
#include "repl/cmds.h"
#include "repl/complete_runs.h"
#include "repl/models.h"
#include "repl/runlog.h"
#include "repl/split.h"

enum { MOST = 2000 }; /* candidates beyond this help nobody */

/* Where the cursor stands: in word `at` of a command, which so far reads `text`. */
struct place {
    struct sh *sh;
    struct sh_words w;
    int at;
    const char *text;
    const char *line; /* all of it, up to the cursor */
    size_t cursor;
    char *before; /* what stays in front of each candidate: "0.1," of a list, "--opt=" */
    struct sh_candidates *out;
    bool nomem;
};

void sh_candidates_release(struct sh_candidates *c)
{
    for (size_t i = 0; i < c->n; i++)
        free(c->v[i]);
    free(c->v);
    *c = (struct sh_candidates){0};
}

static bool known(const struct sh_candidates *c, const char *s)
{
    for (size_t i = 0; i < c->n; i++) {
        if (!strcmp(c->v[i], s))
            return true;
    }
    return false;
}

static void push(struct place *p, char *s)
{
    struct sh_candidates *c = p->out;
    if (!s || c->n == MOST || known(c, s)) {
        p->nomem = p->nomem || !s;
        free(s);
        return;
    }
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 32;
        char **v = vq_realloc(c->v, cap, sizeof(*v));
        if (!v) {
            p->nomem = true;
            free(s);
            return;
        }
        c->v = v;
        c->cap = cap;
    }
    c->v[c->n++] = s;
}

/* Offers `name` with `tail` after it, when it begins with what is typed. */
static void offer2(struct place *p, const char *name, const char *tail)
{
    struct vq_text t = {0};
    if (strncmp(name, p->text, strlen(p->text)) != 0)
        return;
    vq_text_puts(&t, p->before ? p->before : "");
    vq_text_puts(&t, name);
    vq_text_puts(&t, tail);
    if (t.failed)
        vq_text_release(&t);
    push(p, t.data);
}

static void offer(struct place *p, const char *name)
{
    offer2(p, name, "");
}

/* Takes the first n bytes of what is typed out of the matching, to stand before each candidate. */
static void set_before(struct place *p, size_t n)
{
    struct vq_text t = {0};
    vq_text_puts(&t, p->before ? p->before : "");
    vq_text_put(&t, p->text, n);
    free(p->before);
    p->before = t.data;
    p->text += n;
}

static void offer_choices(struct place *p, const char *choices)
{
    char buf[64];
    for (size_t i = 0; sh_choice_at(choices, i, buf, sizeof(buf)); i++)
        offer(p, buf);
}

static void offer_commands(struct place *p)
{
    for (size_t i = 0; i < sh_cmd_count(); i++) {
        if (!(sh_cmd_at(i)->flags & SH_HIDDEN))
            offer(p, sh_cmd_at(i)->name);
    }
}

static void offer_settings(struct place *p)
{
    for (size_t i = 0; i < sh_setting_count(); i++)
        offer(p, sh_setting_at(i)->name);
}

static void offer_setting_values(struct place *p)
{
    const struct sh_setting *st = sh_setting_find(p->w.v[p->at - 1].text);
    if (!st)
        return;
    if (st->type == SH_SET_CHOICE)
        offer_choices(p, st->choices);
    else if (st->type == SH_SET_BOOL)
        offer_choices(p, "on off");
    else if (st->type == SH_SET_SEED)
        offer(p, "random");
    for (size_t i = 0; st->type == SH_SET_GEMM && i < vq_gemm_backends(); i++)
        offer(p, vq_gemm_backend_name(i));
    if (st->type == SH_SET_GEMM)
        offer(p, "auto");
}

static void offer_models(struct place *p)
{
    for (struct sh_model *m = sh_model_first(p->sh); m; m = m->next)
        offer(p, m->name);
}

static void offer_states(struct place *p)
{
    struct sh_model *m = sh_model_current(p->sh);
    for (struct sh_state *st = m ? m->states : NULL; st; st = st->next)
        offer(p, st->name);
}

static void offer_presets(struct place *p)
{
    for (size_t i = 0; i < vq_preset_count(); i++)
        offer(p, vq_preset_name(i));
}

/* Modules, after the last comma of what is typed. */
static void offer_modules(struct place *p, bool many)
{
    struct sh_model *m = sh_model_current(p->sh);
    const char *comma = strrchr(p->text, ',');
    char name[32];
    if (!m)
        return;
    if (comma)
        set_before(p, (size_t)(comma + 1 - p->text));
    const struct vq_config *c = vq_model_config(m->model);
    for (int i = 0; i < (int)vq_config_modules(c); i++)
        offer(p, sh_module_name(i, -1, name));
    if (strchr(p->text, ':')) {
        for (int i = 0; i < (int)(vq_config_modules(c) * (size_t)c->n_head); i++)
            offer(p, sh_module_name(i / (int)c->n_head, i % (int)c->n_head, name));
    }
    if (many)
        offer(p, "all");
}

/* Whether `name` goes on from what is typed, '.' standing for '/'. */
static bool tensor_goes_on(const char *name, const char *typed, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (name[i] != typed[i] && !(name[i] == '/' && typed[i] == '.'))
            return false;
    }
    return true;
}

/* Tensor names, up to the next '/': there are hundreds of them. */
static void offer_tensors(struct place *p)
{
    struct sh_model *m = sh_model_current(p->sh);
    size_t n = strlen(p->text);
    if (!m)
        return;
    const struct vq_ckpt *c = vq_model_ckpt(m->model);
    for (size_t i = 0; i < vq_ckpt_count(c); i++) {
        const char *name = vq_ckpt_at(c, i)->name;
        struct vq_text t = {0};
        if (!tensor_goes_on(name, p->text, n))
            continue;
        const char *slash = strchr(name + n, '/');
        vq_text_put(&t, p->text, n);
        vq_text_put(&t, name + n, slash ? (size_t)(slash + 1 - name) - n : strlen(name + n));
        p->out->no_space = p->out->no_space || slash;
        push(p, t.data);
    }
}

static bool offer_run(void *ud, const struct vq_run_info *run)
{
    offer(ud, run->id);
    if (*run->name)
        offer(ud, run->name);
    return true;
}

static void offer_runs(struct place *p)
{
    struct vq_run_filter filter = {.limit = 500};
    /* Looking must not make a database. */
    struct vq_store *store = access(sh_store_path(p->sh), R_OK) ? NULL : sh_store(p->sh, NULL);
    if (store)
        vq_store_runs(store, &filter, offer_run, p, NULL, NULL);
}

static void offer_name(void *ud, const char *name)
{
    size_t n = strlen(name);
    struct place *p = ud;
    size_t had = p->out->n;
    offer(p, name);
    /* after a family of attributes, "config.", comes a name */
    p->out->no_space = p->out->no_space || (p->out->n > had && n && name[n - 1] == '.');
}

/* Attributes of runs, after the last comma and the '-' of a sort key. */
static void offer_fields(struct place *p)
{
    const char *comma = strrchr(p->text, ',');
    size_t skip = comma ? (size_t)(comma + 1 - p->text) : 0;
    set_before(p, skip + (p->text[skip] == '-'));
    p->out->no_space = true;
    sh_offer_fields(p->sh, p->text, offer_name, p);
}

/* Candidates stand for the last piece of the word alone, where that is in the line as it is. */
static void narrow(struct place *p)
{
    size_t n = strlen(p->text);
    if (n > p->cursor || memcmp(p->line + p->cursor - n, p->text, n) != 0)
        return;
    p->out->start = p->cursor - n;
    free(p->before);
    p->before = NULL;
}

/* The words of a quoted filter are one word here; the last of them is completed. */
static void offer_filter(struct place *p)
{
    const char *blank = strrchr(p->text, ' '), *word = blank ? blank + 1 : p->text;
    set_before(p, (size_t)(word - p->text) + sh_filter_skip(word));
    if (blank)
        narrow(p);
    sh_offer_filter(p->sh, word, offer_name, p);
    /* behind an attribute comes its operator */
    bool test =
        !sh_filter_skip(word) && p->out->n == 1 && !sh_in_choices("and or not", p->out->v[0]);
    p->out->no_space = p->out->no_space || test;
}

static void offer_sql(struct place *p)
{
    const char *query = p->text;
    set_before(p, sh_sql_skip(query));
    narrow(p);
    sh_offer_sql(p->sh, query, offer_name, p);
}

static void offer_plain(void *ud, const char *name)
{
    offer(ud, name);
}

static void offer_pairs(struct place *p)
{
    const char *eq = strchr(p->text, '=');
    if (!eq) {
        for (size_t i = 0; i < vq_config_field_count(); i++)
            offer2(p, vq_config_field_at(i)->name, "=");
        p->out->no_space = true;
        return;
    }
    char key[64];
    snprintf(key, sizeof(key), "%.*s", (int)(eq - p->text), p->text);
    int field = vq_config_field_find(key);
    set_before(p, (size_t)(eq + 1 - p->text));
    if (field >= 0)
        offer_choices(p, vq_config_field_at((size_t)field)->choices);
}

/* The folder in which to look for files, with ~ expanded; "." for none. */
static char *folder_of(const char *text, size_t n)
{
    const char *home = getenv("HOME");
    struct vq_text t = {0};
    bool tilde = text[0] == '~' && text[1] == '/' && home;
    vq_text_puts(&t, tilde ? home : "");
    vq_text_put(&t, text + tilde, n - tilde);
    if (!n)
        vq_text_puts(&t, ".");
    return t.data;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_folder(DIR *dir, const char *name)
{
    struct stat st;
    return !fstatat(dirfd(dir), name, &st, 0) && S_ISDIR(st.st_mode);
}

static void offer_files(struct place *p)
{
    const char *slash = strrchr(p->text, '/');
    size_t n = slash ? (size_t)(slash + 1 - p->text) : 0;
    char *folder = folder_of(p->text, n);
    DIR *dir = folder ? opendir(folder) : NULL;
    p->out->is_path = true;
    set_before(p, n);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        const char *name = e->d_name;
        bool hidden = name[0] == '.' && p->text[0] != '.';
        if (hidden || !strcmp(name, ".") || !strcmp(name, ".."))
            continue;
        bool sub = is_folder(dir, name);
        size_t had = p->out->n;
        offer2(p, name, sub ? "/" : "");
        p->out->no_space = p->out->no_space || (sub && p->out->n > had);
    }
    if (dir)
        closedir(dir);
    free(folder);
    if (p->out->n)
        qsort(p->out->v, p->out->n, sizeof(*p->out->v), by_name);
}

static void offer_kind(struct place *p, enum sh_kind kind, const char *choices)
{
    switch (kind) {
    case SH_PATH:
    case SH_OUTPATH:
        offer_files(p);
        break;
    case SH_CHOICE:
        offer_choices(p, choices);
        break;
    case SH_ONOFF:
        offer_choices(p, "on off");
        break;
    case SH_MODULES:
    case SH_MODULE:
        offer_choices(p, choices);
        offer_modules(p, kind == SH_MODULES);
        break;
    case SH_TENSOR:
        offer_tensors(p);
        break;
    case SH_MODEL:
        offer_models(p);
        break;
    case SH_STATE:
        offer_states(p);
        break;
    case SH_RUN:
        offer_runs(p);
        break;
    case SH_PRESET:
        offer_presets(p);
        break;
    case SH_SETTING:
        offer_settings(p);
        break;
    case SH_VALUE:
        offer_setting_values(p);
        break;
    case SH_COMMAND:
        offer_commands(p);
        break;
    case SH_PAIR:
        offer_pairs(p);
        break;
    case SH_FIELDS:
        offer_fields(p);
        break;
    case SH_FILTER:
        offer_filter(p);
        break;
    case SH_SQL:
        offer_sql(p);
        break;
    case SH_METRIC:
        sh_offer_metrics(p->sh, offer_plain, p);
        break;
    case SH_TAG:
        sh_offer_tags(p->sh, offer_plain, p);
        break;
    default:
        break;
    }
}

/* The row of the option that word i is, when it takes a value that has not been given in the same
 * word; NULL otherwise. */
static const struct sh_opt *awaits_value(const struct place *p, const struct sh_cmd *cmd, int i)
{
    const struct sh_word *w = &p->w.v[i];
    if (i < 1 || w->quoted || w->text[0] != '-')
        return NULL;
    for (const struct sh_opt *o = cmd->opts; o && o->name; o++) {
        bool is_long = w->text[1] == '-' && !strcmp(w->text + 2, o->name);
        bool is_short = w->text[1] && !w->text[2] &&
                        (w->text[1] == o->letter || (!o->name[1] && w->text[1] == o->name[0]));
        if (is_long || is_short)
            return o->kind == SH_FLAG ? NULL : o;
    }
    return NULL;
}

/* Positionals in words 1 .. at-1. */
static int positionals_before(const struct place *p, const struct sh_cmd *cmd)
{
    int n = 0;
    for (int i = 1; i < p->at; i++) {
        n += !sh_is_option(&p->w.v[i]) && !awaits_value(p, cmd, i - 1);
    }
    return n;
}

static bool given(const struct place *p, const char *word)
{
    size_t n = strlen(word);
    for (int i = 1; i < p->w.n; i++) {
        const char *w = p->w.v[i].text;
        if (i != p->at && !strncmp(w, word, n) && (!w[n] || w[n] == '='))
            return true;
    }
    return false;
}

static void offer_options(struct place *p, const struct sh_cmd *cmd)
{
    char word[80];
    for (const struct sh_opt *o = cmd->opts; o && o->name; o++) {
        snprintf(word, sizeof(word), "%s%s", o->name[1] ? "--" : "-", o->name);
        if (o->many || !given(p, word))
            offer(p, word);
    }
}

/* --name=value: candidates for the value. */
static void offer_joined(struct place *p, const struct sh_cmd *cmd)
{
    const char *eq = strchr(p->text, '=');
    for (const struct sh_opt *o = cmd->opts; o && o->name; o++) {
        size_t n = strlen(o->name);
        if (p->text[1] != '-' || eq != p->text + 2 + n || strncmp(p->text + 2, o->name, n) != 0)
            continue;
        set_before(p, (size_t)(eq + 1 - p->text));
        offer_kind(p, o->kind, o->choices);
        return;
    }
}

static void offer_arguments(struct place *p)
{
    const struct sh_cmd *cmd = sh_cmd_find(p->w.v[0].text);
    if (!cmd)
        cmd = sh_cmd_prefix(p->w.v[0].text);
    if (!cmd)
        return;
    bool option = p->text[0] == '-' && !(p->at < p->w.n && p->w.v[p->at].quoted);
    const struct sh_opt *o = awaits_value(p, cmd, p->at - 1);
    int i = positionals_before(p, cmd);
    if (cmd->flags & SH_RAW)
        offer_kind(p, sh_cmd_kind(cmd, 0), NULL);
    else if (o)
        offer_kind(p, o->kind, o->choices);
    else if (option && strchr(p->text, '='))
        offer_joined(p, cmd);
    else if (option)
        offer_options(p, cmd);
    else if (cmd->max_args < 0 || i < cmd->max_args)
        offer_kind(p, sh_cmd_kind(cmd, i), cmd->pos_choices);
}

/* The words of the last command of the text, closing quotes that are open. False when there is no
 * such command. */
static bool last_command(const char *text, size_t n, struct sh_words *w)
{
    static const char *const ends[] = {"", "\"", "'", "\n"};
    for (int i = 0; i < 4; i++) {
        struct vq_text closed = {0};
        struct sh_splitter s;
        struct sh_words next;
        enum sh_split rc;
        vq_text_put(&closed, text, n);
        vq_text_puts(&closed, ends[i]);
        *w = (struct sh_words){0};
        sh_splitter_init(&s, closed.data ? closed.data : "", closed.len);
        while ((rc = sh_split_next(&s, &next, NULL)) == SH_SPLIT_OK) {
            sh_words_release(w);
            *w = next;
        }
        vq_text_release(&closed);
        if (rc == SH_SPLIT_END)
            return true;
        sh_words_release(w);
    }
    return false;
}

/* What stands between the last word and the cursor. */
enum gap { GAP_BLANK, GAP_SEPARATOR, GAP_COMMENT };

static enum gap gap_before(const char *line, const struct sh_words *w, size_t cursor)
{
    enum gap gap = GAP_BLANK;
    for (size_t i = w->end; i < cursor; i++) {
        if (line[i] == '\n' || (line[i] == ';' && gap != GAP_COMMENT))
            gap = GAP_SEPARATOR;
        else if (line[i] == '#')
            gap = GAP_COMMENT;
    }
    return gap;
}

bool sh_complete(struct sh *sh, const char *line, size_t cursor, struct sh_candidates *out)
{
    struct place p = {.sh = sh, .out = out, .text = "", .line = line, .cursor = cursor};
    *out = (struct sh_candidates){.start = cursor};
    bool found = last_command(line, cursor, &p.w);
    enum gap gap = gap_before(line, &p.w, cursor);
    if (!found || gap == GAP_COMMENT || (p.w.shell && gap == GAP_BLANK)) {
        sh_words_release(&p.w);
        return true;
    }
    if (gap == GAP_SEPARATOR)
        sh_words_release(&p.w);
    p.at = p.w.n;
    if (p.w.n && p.w.end >= cursor) {
        p.at = p.w.n - 1;
        p.text = p.w.v[p.at].text;
        out->start = p.w.v[p.at].start;
    }
    if (p.at == 0)
        offer_commands(&p);
    else
        offer_arguments(&p);
    sh_words_release(&p.w);
    free(p.before);
    return !p.nomem;
}
