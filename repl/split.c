#include "repl/split.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"

/* What is being taken apart, and the word under construction. */
struct cursor {
    const char *s;
    size_t n, at;
    int line;
    struct vq_text word;
    size_t joined; /* the byte after the last joining backslash and its newline */
    size_t bad;    /* where the trouble is, after anything but SH_SPLIT_OK */
    struct vq_err *err;
};

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static bool ends_word(char c)
{
    return blank(c) || c == ';' || c == '\n';
}

static char take(struct cursor *c)
{
    char ch = c->s[c->at++];
    if (ch == '\n')
        c->line++;
    return ch;
}

static enum sh_split bad(struct cursor *c, size_t at, const char *what)
{
    c->bad = at;
    vq_fail(c->err, VQ_EINVAL, "%s", what);
    return SH_SPLIT_BAD;
}

static enum sh_split put(struct cursor *c, size_t at, char ch)
{
    if (!ch)
        return bad(c, at, "a NUL byte cannot be part of a word");
    vq_text_put(&c->word, &ch, 1);
    return SH_SPLIT_OK;
}

static int hex_digit(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    if (ch >= 'a' && ch <= 'f')
        return ch - 'a' + 10;
    if (ch >= 'A' && ch <= 'F')
        return ch - 'A' + 10;
    return -1;
}

static enum sh_split hex_escape(struct cursor *c, size_t start)
{
    int high = c->at < c->n ? hex_digit(c->s[c->at]) : -1;
    int low = c->at + 1 < c->n ? hex_digit(c->s[c->at + 1]) : -1;
    if (high < 0 || low < 0)
        return bad(c, start, "\\x needs two hexadecimal digits");
    c->at += 2;
    return put(c, start, (char)(high * 16 + low));
}

/* After the backslash at c->at - 1, inside double quotes. */
static enum sh_split escape(struct cursor *c)
{
    static const char from[] = "ntre\\\"'$";
    static const char to[] = "\n\t\r\x1b\\\"'$";
    size_t start = c->at - 1;
    if (c->at == c->n)
        return SH_SPLIT_OPEN;
    char ch = take(c);
    if (ch == '\n')
        return SH_SPLIT_OK;
    if (ch == 'x')
        return hex_escape(c, start);
    const char *known = ch ? strchr(from, ch) : NULL;
    if (!known)
        return bad(c, start,
                   "unknown escape after \\ (known: \\n \\t \\r \\e \\\\ \\\" \\' \\$ \\xHH)");
    return put(c, start, to[known - from]);
}

static enum sh_split quoted(struct cursor *c, char quote)
{
    size_t open = c->at - 1;
    enum sh_split rc = SH_SPLIT_OK;
    while (rc == SH_SPLIT_OK && c->at < c->n) {
        size_t at = c->at;
        char ch = take(c);
        if (ch == quote)
            return SH_SPLIT_OK;
        rc = ch == '\\' && quote == '"' ? escape(c) : put(c, at, ch);
    }
    if (rc == SH_SPLIT_BAD)
        return rc;
    c->bad = open;
    vq_fail(c->err, VQ_EINVAL, "%c is never closed", quote);
    return SH_SPLIT_OPEN;
}

/* The text ends after a backslash that joins lines. */
static enum sh_split cut_off(struct cursor *c, size_t at)
{
    c->bad = at;
    vq_fail(c->err, VQ_EINVAL, "nothing comes after the last \\");
    return SH_SPLIT_OPEN;
}

static enum sh_split word(struct cursor *c)
{
    enum sh_split rc = SH_SPLIT_OK;
    while (rc == SH_SPLIT_OK && c->at < c->n && !ends_word(c->s[c->at])) {
        size_t at = c->at;
        char ch = take(c);
        if (ch == '"' || ch == '\'') {
            rc = quoted(c, ch);
        } else if (ch != '\\') {
            rc = put(c, at, ch);
        } else if (c->at == c->n) {
            rc = cut_off(c, at);
        } else if ((ch = take(c)) != '\n') {
            rc = put(c, at, ch);
        } else {
            c->joined = c->at;
        }
    }
    if (rc == SH_SPLIT_OK && c->word.failed)
        return SH_SPLIT_NOMEM;
    return rc;
}

static bool add_word(struct sh_words *out, struct cursor *c, size_t start)
{
    struct sh_word *grown = vq_realloc(out->v, (size_t)out->n + 1, sizeof(*grown));
    if (!grown)
        return false;
    out->v = grown;
    char *text = vq_strndup(c->word.data ? c->word.data : "", c->word.len);
    if (!text)
        return false;
    char first = c->s[start];
    out->v[out->n++] = (struct sh_word){
        .text = text,
        .len = c->word.len,
        .start = start,
        .end = c->at,
        .quoted = first == '"' || first == '\'' || first == '\\',
    };
    return true;
}

static void skip_line(struct cursor *c)
{
    while (c->at < c->n && c->s[c->at] != '\n')
        c->at++;
}

/* One step past what is no word: a blank, a comment, a joined line, with `separators` also the end
 * of a command. False when a word begins here. */
static bool skip_one(struct cursor *c, bool separators)
{
    char ch = c->s[c->at];
    if (ch == '#') {
        skip_line(c);
        return true;
    }
    if (ch == '\\' && c->at + 1 < c->n && c->s[c->at + 1] == '\n') {
        c->at++;
        take(c);
        c->joined = c->at;
        return true;
    }
    if (!blank(ch) && !(separators && (ch == ';' || ch == '\n')))
        return false;
    take(c);
    return true;
}

static void skip_space(struct cursor *c, bool separators)
{
    while (c->at < c->n && skip_one(c, separators))
        continue;
}

static enum sh_split shell_line(struct cursor *c, struct sh_words *out)
{
    size_t start = c->at++;
    size_t from = c->at;
    skip_line(c);
    if (memchr(c->s + from, '\0', c->at - from))
        return bad(c, start, "a NUL byte cannot be part of a command");
    vq_text_put(&c->word, c->s + from, c->at - from);
    out->shell = true;
    return !c->word.failed && add_word(out, c, start) ? SH_SPLIT_OK : SH_SPLIT_NOMEM;
}

static enum sh_split words(struct cursor *c, struct sh_words *out)
{
    enum sh_split rc = SH_SPLIT_OK;
    while (c->at < c->n && !ends_word(c->s[c->at])) {
        size_t start = c->at;
        vq_text_release(&c->word);
        rc = word(c);
        if (rc == SH_SPLIT_OK && !add_word(out, c, start))
            rc = SH_SPLIT_NOMEM;
        if (rc != SH_SPLIT_OK)
            return rc;
        skip_space(c, false);
    }
    return rc;
}

static int line_at(const char *text, size_t at)
{
    int line = 1;
    for (size_t i = 0; i < at; i++)
        line += text[i] == '\n';
    return line;
}

void sh_splitter_init(struct sh_splitter *s, const char *text, size_t size)
{
    static const char mark[] = "\xef\xbb\xbf";
    size_t skip = size >= 3 && !memcmp(text, mark, 3) ? 3 : 0;
    *s = (struct sh_splitter){.text = text, .size = size, .at = skip, .line = 1};
}

enum sh_split sh_split_next(struct sh_splitter *s, struct sh_words *out, struct vq_err *err)
{
    struct cursor c = {.s = s->text, .n = s->size, .at = s->at, .line = s->line, .err = err};
    *out = (struct sh_words){0};
    skip_space(&c, true);
    out->line = c.line;
    out->start = c.at;
    enum sh_split rc = c.at == c.n        ? SH_SPLIT_END
                       : c.s[c.at] == '!' ? shell_line(&c, out)
                                          : words(&c, out);
    if ((rc == SH_SPLIT_OK || rc == SH_SPLIT_END) && c.at == c.n && c.joined == c.n && c.n)
        rc = cut_off(&c, c.n - 2);
    vq_text_release(&c.word);
    s->at = c.at;
    s->line = c.line;
    if (rc == SH_SPLIT_OK) {
        out->end = out->v[out->n - 1].end;
        return rc;
    }
    sh_words_release(out);
    s->at = s->size;
    if (rc != SH_SPLIT_END)
        *out = (struct sh_words){.start = c.bad, .end = c.bad + 1, .line = line_at(s->text, c.bad)};
    return rc;
}

void sh_words_release(struct sh_words *w)
{
    for (int i = 0; i < w->n; i++)
        free(w->v[i].text);
    free(w->v);
    *w = (struct sh_words){0};
}

bool sh_split_is_open(const char *text, size_t size)
{
    struct sh_splitter s;
    struct sh_words w;
    enum sh_split rc;
    sh_splitter_init(&s, text, size);
    while ((rc = sh_split_next(&s, &w, NULL)) == SH_SPLIT_OK)
        sh_words_release(&w);
    return rc == SH_SPLIT_OPEN;
}

static bool plain(unsigned char ch)
{
    return ch >= 0x80 || (ch > ' ' && ch < 0x7f && !strchr("\"'\\;", ch));
}

static void put_escaped(struct vq_text *out, unsigned char ch)
{
    static const char named[] = "\nn\tt\rr\"\"\\\\";
    for (size_t i = 0; i + 1 < sizeof(named); i += 2) {
        if (named[i] != (char)ch)
            continue;
        vq_text_put(out, "\\", 1);
        vq_text_put(out, named + i + 1, 1);
        return;
    }
    if (ch < ' ' || ch == 0x7f)
        vq_text_printf(out, "\\x%02x", ch);
    else
        vq_text_put(out, (const char[]){(char)ch}, 1);
}

void sh_split_quote(const char *word, size_t len, struct vq_text *out)
{
    bool bare = len > 0 && word[0] != '#' && word[0] != '!';
    bool control = false;
    for (size_t i = 0; i < len; i++) {
        unsigned char ch = (unsigned char)word[i];
        bare = bare && plain(ch);
        control = control || ch < ' ' || ch == 0x7f || ch == '\'';
    }
    if (bare) {
        vq_text_put(out, word, len);
        return;
    }
    vq_text_puts(out, control ? "\"" : "'");
    for (size_t i = 0; i < len && control; i++)
        put_escaped(out, (unsigned char)word[i]);
    if (!control)
        vq_text_put(out, word, len);
    vq_text_puts(out, control ? "\"" : "'");
}
