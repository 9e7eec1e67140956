/*
 * webpage_reading: what the model does with a text, picture or array of ids: how it is surprised,
 * where it looks, what its codes mean.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "repl/html.h"
#include "repl/inner.h"
#include "repl/split.h"
#include "repl/surprising.h"
#include "repl/tokens.h"
#include "repl/webpage_parts.h"

#define LN2         0.69314718055994530942
#define MOST_TEXT   4096 /* tokens whose text is shown */
#define MOST_CODES  64   /* of one module-head */
#define MOST_HEADS  12
#define MOST_TOKENS 6 /* of one code */

enum { BEFORE = 24, AFTER = 12 };

/* ---- what is read ---- */

static bool has_end(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* n bytes as a file in memory that can be opened by a path. */
static enum vq_status hold(struct sh_reading *r, const char *s, size_t n, struct vq_err *err)
{
    r->fd = memfd_create("vqsh", MFD_CLOEXEC);
    if (r->fd < 0)
        return vq_fail_errno(err, errno, "a text in memory");
    for (size_t done = 0; done < n;) {
        ssize_t put = write(r->fd, s + done, n - done);
        if (put <= 0)
            return vq_fail_errno(err, errno, "a text in memory");
        done += (size_t)put;
    }
    if (asprintf(&r->path, "/proc/self/fd/%d", r->fd) < 0)
        r->path = NULL;
    return r->path ? VQ_OK : vq_nomem(err, "a path", 32, 1);
}

/* The first `limit` bytes (0: all), cut between characters. */
static size_t cut(const char *s, size_t n, size_t limit)
{
    if (limit == 0 || n <= limit)
        return n;
    while (limit > 0 && ((unsigned char)s[limit] & 0xc0) == 0x80)
        limit--;
    return limit;
}

static enum vq_status hold_text(struct sh_reading *r, const char *s, size_t n, size_t limit,
                                struct vq_err *err)
{
    r->is_text = true;
    r->size = n;
    r->used = cut(s, n, limit);
    return hold(r, s, r->used, err);
}

/* A text is held, so that no more of it than wanted is read; all else stays where it is. */
static enum vq_status open_path(struct sh_reading *r, const char *path, const struct vq_vocab *v,
                                size_t limit, struct vq_err *err)
{
    struct stat st;
    struct vq_file file;
    r->is_npy = has_end(path, ".npy");
    r->is_folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    if (r->is_npy || r->is_folder || !vq_vocab_is_text(v)) {
        r->path = vq_strdup(path);
        return r->path ? VQ_OK : vq_nomem(err, "a path", strlen(path), 1);
    }
    if (vq_file_open(&file, path, err) != VQ_OK)
        return err->code;
    enum vq_status status = hold_text(r, (const char *)file.data, file.size, limit, err);
    vq_file_close(&file);
    return status;
}

enum sh_rc sh_reading_open(struct sh *sh, const struct sh_args *a, const struct sh_model *m,
                           struct sh_reading *out)
{
    struct vq_err err = {0};
    struct vq_text name = {0};
    const struct vq_vocab *v = vq_model_vocab(m->model);
    bool text = sh_opt_given(a, "text");
    const char *given = sh_opt_text(a, text ? "text" : "over");
    size_t limit = (size_t)sh_opt_int(a, "bytes");
    *out = (struct sh_reading){.fd = -1};
    if (!given)
        return SH_OK;
    if (text && sh_opt_given(a, "over"))
        return sh_bad_arg(sh, sh_opt_word(a, "over"), "give --over or --text, not both");
    if (text && !vq_vocab_is_text(v))
        return sh_bad_arg(sh, sh_opt_word(a, "text"), "the vocabulary of %s is no text", m->name);
    vq_text_puts(&name, text ? "--text " : "--over ");
    sh_split_quote(given, strlen(given), &name);
    out->name = name.data;
    enum vq_status status = name.failed ? vq_nomem(&err, "a name", strlen(given), 1)
                            : text      ? hold_text(out, given, strlen(given), limit, &err)
                                        : open_path(out, given, v, limit, &err);
    return status == VQ_OK ? SH_OK : sh_fail(sh, &err);
}

void sh_reading_release(struct sh_reading *r)
{
    if (r->fd >= 0)
        close(r->fd);
    free(r->path);
    free(r->name);
    *r = (struct sh_reading){.fd = -1};
}

/* ---- commands on it ---- */

/* `text` with % for the modules, @ for the options that look over the reading (--over X), and = for
 * those that take it in (--file X). `shown` names it for the reader. */
static char *fill_in(const char *text, const struct sh_reading *r, const char *modules, bool shown)
{
    struct vq_text to = {0};
    const char *in = r->is_npy ? "--tokens " : "--file ", *given = strchr(r->name, ' ') + 1;
    bool is_text = strncmp(r->name, "--text", 6) == 0;
    for (; *text; text++) {
        if (*text == '%')
            vq_text_puts(&to, modules);
        else if (*text == '@' || *text == '=')
            vq_text_printf(&to, "%s%s",
                           shown && is_text ? "--text "
                           : *text == '@'   ? "--over "
                                            : in,
                           shown ? given : r->path);
        else
            vq_text_put(&to, text, 1);
    }
    if (to.failed)
        vq_text_release(&to);
    return to.data;
}

static void put_command(struct sh_webpage *w, const struct sh_reading *r, const char *modules,
                        const char *text)
{
    char *command = fill_in(text, r, modules, false), *shown = fill_in(text, r, modules, true);
    if (command && shown)
        sh_webpage_command(w, command, shown);
    else if (w->rc == SH_OK)
        w->rc = sh_failf(w->sh, "out of memory");
    free(command);
    free(shown);
}

static void put_plot(struct sh_webpage *w, const struct sh_reading *r, const char *modules,
                     const char *text, const char *size, const char *caption)
{
    char *shown = fill_in(text, r, modules, true), *arguments = fill_in(text, r, modules, false);
    char *sized = NULL;
    if (!shown || !arguments || asprintf(&sized, "%s %s", arguments, size) < 0)
        sized = NULL;
    if (sized)
        sh_webpage_plot(w, sized, shown, caption);
    else if (w->rc == SH_OK)
        w->rc = sh_failf(w->sh, "out of memory");
    free(shown);
    free(arguments);
    free(sized);
}

/* ---- the text, by how surprising it was ---- */

struct coloured {
    struct sh_webpage *w;
    const struct sh_reading *reading;
    size_t step; /* of the span that is open; 0: none */
};

static void to_step(struct coloured *c, size_t step)
{
    struct vq_text *to = &c->w->out;
    if (step == c->step)
        return;
    vq_text_puts(to, c->step ? "</span>" : "");
    if (step)
        vq_text_printf(to, "<span class=\"s%zu\">", step);
    c->step = step;
}

static void put_piece(void *ud, const char *bytes, size_t n, double bits)
{
    struct coloured *c = ud;
    to_step(c, sh_surprise_step(bits));
    sh_html_text(&c->w->out, bytes, n, true);
}

static void put_key(struct sh_webpage *w)
{
    vq_text_puts(&w->out, "<p class=\"key\">bits: ");
    for (size_t i = 0; i < SH_SURPRISE_STEPS; i++) {
        vq_text_printf(&w->out, "<span class=\"s%zu\">", i);
        sh_html_string(&w->out, sh_surprise_step_name(i));
        vq_text_puts(&w->out, "</span>");
    }
    vq_text_puts(&w->out, "</p>\n");
}

static void put_score(struct sh_webpage *w, const struct sh_surprising *s,
                      const struct sh_reading *r)
{
    double nats = 0.0;
    size_t counted = 0;
    for (size_t i = 0; i < s->rows * s->n; i++) {
        nats += s->v[i].nats;
        counted += s->v[i].rank > 0;
    }
    sh_webpage_tiles(w);
    sh_webpage_tile(w, "tokens", "%zu", counted);
    sh_webpage_tile(w, "bits per token", "%.4f", nats / LN2 / (double)counted);
    if (r->is_text)
        sh_webpage_tile(w, "bits per byte", "%.4f", nats / LN2 / (double)r->used);
    sh_webpage_tiles_end(w);
}

static enum sh_rc show_surprise(struct sh *sh, const struct sh_args *a, void *ud)
{
    struct coloured *c = ud;
    struct sh_webpage *w = c->w;
    struct sh_surprising s = {.sh = sh, .m = sh_model_current(sh)};
    enum sh_rc rc = sh_surprise(&s, a, NULL);
    if (rc == SH_OK) {
        put_score(w, &s, c->reading);
        sh_webpage_heading(w, "How unexpected it was");
    }
    if (rc == SH_OK && vq_vocab_is_text(vq_model_vocab(s.m->model))) {
        put_key(w);
        vq_text_puts(&w->out, "<pre>");
        sh_surprise_text(&s, MOST_TEXT, put_piece, c);
        to_step(c, 0);
        vq_text_puts(&w->out, "</pre>\n");
        if (s.n > MOST_TEXT)
            sh_webpage_say(w, "The first %d of %zu tokens.", MOST_TEXT, s.n);
    }
    sh_surprise_release(&s);
    return rc;
}

static void put_surprise(struct sh_webpage *w, const struct sh_reading *r)
{
    struct coloured c = {.w = w, .reading = r};
    char *command = fill_in("surprise =", r, "", false);
    if (w->rc == SH_OK && command) {
        enum sh_rc rc = sh_inner(w->sh, command, show_surprise, &c);
        w->rc = w->rc == SH_OK ? rc : w->rc;
    }
    free(command);
}

static void put_sequences(struct sh_webpage *w, const struct sh_reading *r, const char *modules)
{
    static const char wide[] = "--width 1120 --height 360", half[] = "--width 720 --height 400";
    put_surprise(w, r);
    put_plot(w, r, modules, "surprise =", wide, "Bits of each token.");
    put_command(w, r, modules, "surprise = --top 20");
    sh_webpage_heading(w, "Where it looked");
    put_command(w, r, modules, "attn --mass % =");
    sh_webpage_beside(w);
    put_plot(w, r, modules, "mass % =", half, "Weight on the compressed past.");
    put_plot(w, r, modules, "distance % =", half, "Weight by distance.");
    put_plot(w, r, modules, "gates % =", half, "Part of the gates that is closed.");
    put_plot(w, r, modules, "stream % =", half, "Lengths of the residual stream.");
    sh_webpage_beside_end(w);
}

void sh_webpage_reading(struct sh_webpage *w, struct sh_model *m, const struct sh_reading *r,
                        const struct sh_heads *heads, const char *modules)
{
    char size[64];
    bool pictures = vq_vocab_is_image(vq_model_vocab(m->model));
    if (r->is_text && r->used < r->size)
        sh_webpage_say(w, "The first %zu of %zu bytes of %s.", r->used, r->size,
                       strchr(r->name, ' ') + 1);
    else
        sh_webpage_say(w, "What the model does with %s.", strchr(r->name, ' ') + 1);
    if (!r->is_folder)
        put_sequences(w, r, modules);
    sh_webpage_heading(w, "Which codes it fell on");
    put_command(w, r, modules, "codebook % @");
    sh_webpage_size_over_codes(heads->n, size);
    put_plot(w, r, modules, "usage % @", size, "Tokens on each code.");
    if (pictures)
        put_plot(w, r, modules, "patch 0.1 @", "", "Mean neighbourhoods of the first module.");
}

/* ---- what codes mean ---- */

struct meaning {
    size_t code;
    uint64_t count;
};

struct meanings {
    struct sh_webpage *w;
    const struct vq_trace *trace;
    const struct vq_vocab *vocab;
    struct sh_mod at;
};

static int more_used(const void *a, const void *b)
{
    const struct meaning *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return (x->code > y->code) - (x->code < y->code);
}

static void put_pieces(const struct meanings *m, const int32_t *ids, size_t n)
{
    char piece[64];
    bool apart = !vq_vocab_is_text(m->vocab); /* numbers would run into each other */
    for (size_t i = 0; i < n; i++) {
        vq_text_puts(&m->w->out, apart && i ? " " : "");
        sh_html_string(&m->w->out, vq_vocab_piece(m->vocab, ids[i], piece, sizeof(piece)));
    }
}

/* The commonest tokens of a code as a cell. */
static enum vq_status put_tokens(const struct meanings *m, size_t code, struct vq_err *err)
{
    struct vq_text *to = &m->w->out;
    struct vq_token_count *list = NULL;
    size_t n = 0;
    enum vq_status status =
        vq_trace_code_tokens(m->trace, m->at.module, m->at.head, code, &list, &n, err);
    vq_text_puts(to, "<td>");
    for (size_t i = 0; i < n && i < MOST_TOKENS; i++) {
        vq_text_puts(to, i ? " <code>" : "<code>");
        put_pieces(m, &list[i].token, 1);
        vq_text_printf(to, "</code> %" PRIu64, list[i].count);
    }
    vq_text_puts(to, n > MOST_TOKENS ? " \xe2\x80\xa6</td>" : "</td>");
    free(list);
    return status;
}

/* One place where the code was chosen, as a cell. */
static void put_context(const struct meanings *m, size_t code)
{
    struct vq_text *to = &m->w->out;
    int32_t ids[BEFORE + 1 + AFTER];
    uint64_t places[3];
    size_t at, n = vq_trace_code_places(m->trace, m->at.module, m->at.head, code, VQ_PICK_SPREAD,
                                        places, 3);
    vq_text_puts(to, "<td class=\"json\">");
    if (n) {
        n = vq_trace_context(m->trace, places[n / 2], BEFORE, AFTER, ids, &at);
        const char *gap = vq_vocab_is_text(m->vocab) ? "" : " ";
        put_pieces(m, ids, at);
        vq_text_printf(to, "%s<b class=\"s2\">", gap);
        put_pieces(m, ids + at, 1);
        vq_text_printf(to, "</b>%s", gap);
        put_pieces(m, ids + at + 1, n - at - 1);
    }
    vq_text_puts(to, "</td>");
}

static enum vq_status put_code(const struct meanings *m, const struct meaning *c, double all,
                               struct vq_err *err)
{
    struct sh_webpage *w = m->w;
    sh_webpage_row(w);
    sh_webpage_cell(w, &(struct vq_value){.kind = VQ_VALUE_INT, .i = (int64_t)c->code});
    sh_webpage_cell(w, &(struct vq_value){.kind = VQ_VALUE_INT, .i = (int64_t)c->count});
    sh_webpage_cell(w, &(struct vq_value){.kind = VQ_VALUE_REAL, .d = (double)c->count / all});
    enum vq_status status = put_tokens(m, c->code, err);
    put_context(m, c->code);
    sh_webpage_row_end(w);
    return status;
}

static enum vq_status put_codes(const struct meanings *m, struct vq_err *err)
{
    static const char *const columns[] = {"code", "count", "share", "commonest tokens",
                                          "an example"};
    static const bool numbers[] = {true, true, true, false, false};
    size_t S = (size_t)vq_trace_config(m->trace)->n_code, used = 0;
    const uint64_t *count = vq_trace_counts(m->trace, m->at.module, m->at.head);
    struct meaning *list = vq_alloc(S, sizeof(*list));
    enum vq_status status = list ? VQ_OK : vq_nomem(err, "codes", S, sizeof(*list));
    for (size_t s = 0; list && s < S; s++) {
        list[s] = (struct meaning){s, count[s]};
        used += count[s] > 0;
    }
    if (list)
        qsort(list, S, sizeof(*list), more_used);
    sh_webpage_table(m->w, NULL);
    sh_webpage_columns(m->w, columns, numbers, 5);
    for (size_t i = 0; status == VQ_OK && i < used && i < MOST_CODES; i++)
        status = put_code(m, &list[i], (double)vq_trace_tokens(m->trace), err);
    sh_webpage_table_end(m->w);
    if (used > MOST_CODES)
        sh_webpage_say(m->w, "The %d codes used most, of %zu in use.", MOST_CODES, used);
    free(list);
    return status;
}

static enum vq_status put_heads(struct sh_webpage *w, struct sh_model *m, struct vq_trace *trace,
                                const struct sh_heads *heads, struct vq_err *err)
{
    char name[32], summary[64];
    int H = (int)vq_model_config(m->model)->n_head;
    enum vq_status status = VQ_OK;
    for (size_t i = 0; status == VQ_OK && w->rc == SH_OK && i < heads->n && i < MOST_HEADS; i++) {
        struct meanings one = {w, trace, vq_model_vocab(m->model), heads->v[i]};
        snprintf(summary, sizeof(summary), "Codes of module %s",
                 sh_module_name(one.at.module, H > 1 ? one.at.head : -1, name));
        sh_webpage_fold(w, NULL, summary, i == 0);
        status = put_codes(&one, err);
        sh_webpage_unfold(w);
    }
    return status;
}

void sh_webpage_meanings(struct sh_webpage *w, struct sh_model *m, const struct sh_reading *r,
                         const struct sh_heads *heads)
{
    struct vq_err err = {0};
    struct sh_tokens t = {0};
    struct vq_trace *trace = NULL;
    if (w->rc != SH_OK)
        return;
    if (heads->n > MOST_HEADS)
        sh_webpage_say(w, "The first %d of %zu codebooks; --modules picks others.", MOST_HEADS,
                       heads->n);
    enum vq_status status = sh_tokens_over(w->sh, m, r->path, &t, &err);
    if (status == VQ_OK)
        status = sh_tokens_trace(w->sh, m, &t, &trace, &err);
    if (status == VQ_OK)
        status = put_heads(w, m, trace, heads, &err);
    if (status != VQ_OK && w->rc == SH_OK)
        w->rc = sh_fail(w->sh, &err);
    vq_trace_free(trace);
    sh_tokens_release(&t);
}
