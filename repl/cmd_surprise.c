/*
 * The command surprise: how unexpected each token of a text was; as a listing, or on a screen with
 * colours as the text itself.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/base/utf8.h"
#include "repl/array.h"
#include "repl/cmds.h"
#include "repl/models.h"
#include "repl/out.h"
#include "repl/surprising.h"
#include "repl/terminal.h"

#define BITS (1.0 / 0.69314718055994530942)

/* ---- the text in colours ---- */

/* The colours behind text of each step of surprise: from paper to dark red. */
static const struct colour {
    uint8_t r, g, b, ink; /* background; ink 0: dark letters, 1: light ones */
    uint8_t cube;         /* the nearest of 256 colours */
    const char *basic;    /* what sixteen colours can do */
} colours[SH_SURPRISE_STEPS] = {
    {255, 255, 255, 0, 231, ""},           {254, 237, 190, 0, 223, "\x1b[33m"},
    {253, 196, 120, 0, 216, "\x1b[33;1m"}, {236, 128, 75, 0, 173, "\x1b[31m"},
    {196, 56, 48, 1, 167, "\x1b[31;1m"},   {128, 12, 52, 1, 89, "\x1b[35;1m"}};

static void put_colour(struct vq_text *to, enum viz_term_colors depth, size_t step)
{
    const struct colour *c = &colours[step];
    if (step == 0)
        return; /* what was expected looks like any text */
    if (depth == VIZ_COLORS_TRUE)
        vq_text_printf(to, "\x1b[48;2;%d;%d;%dm\x1b[%sm", c->r, c->g, c->b,
                       c->ink ? "38;2;255;255;255" : "38;2;20;20;20");
    else if (depth == VIZ_COLORS_256)
        vq_text_printf(to, "\x1b[48;5;%dm\x1b[38;5;%dm", c->cube, c->ink ? 231 : 232);
    else
        vq_text_puts(to, c->basic);
}

/* Whether a character moves no cursor and turns no direction of writing. */
static bool harmless(uint32_t cp)
{
    bool control = cp < 0x20 || (cp >= 0x7f && cp < 0xa0);
    bool turning = cp == 0x200e || cp == 0x200f || (cp >= 0x2028 && cp <= 0x202e) ||
                   (cp >= 0x2066 && cp <= 0x2069) || cp == 0xfeff;
    return !control && !turning;
}

struct coloured {
    struct vq_text text;
    enum viz_term_colors depth;
};

static void put_run(void *ud, const char *bytes, size_t n, double bits)
{
    struct coloured *c = ud;
    struct vq_text *to = &c->text;
    size_t step = sh_surprise_step(bits);
    put_colour(to, c->depth, step);
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        int len = vq_utf8_next(bytes + i, n - i, &cp);
        if (len > 0 && harmless(cp))
            vq_text_put(to, bytes + i, (size_t)len);
        else if (cp == '\n' && len > 0)
            vq_text_puts(to, step ? "\xe2\x8f\x8e" : ""); /* a sign to carry the colour */
        else
            vq_text_printf(to, "\\x%02x", (unsigned char)bytes[i]);
        i += len > 0 ? (size_t)len : 1;
    }
    vq_text_puts(to, step ? "\x1b[0m" : "");
    vq_text_puts(to, n > 0 && bytes[n - 1] == '\n' ? "\n" : "");
}

static void put_legend(struct vq_text *to, enum viz_term_colors depth)
{
    vq_text_puts(to, "\nbits: ");
    for (size_t i = 0; i < SH_SURPRISE_STEPS; i++) {
        put_colour(to, depth, i);
        vq_text_printf(to, " %s ", sh_surprise_step_name(i));
        vq_text_puts(to, "\x1b[0m");
    }
    vq_text_puts(to, "\n");
}

static enum sh_rc show_text(const struct sh_surprising *s)
{
    struct coloured c = {0};
    struct viz_term term;
    sh_terminal_pictures(s->sh, &term);
    c.depth = term.colors;
    double nats = sh_surprise_text(s, s->n, put_run, &c);
    put_legend(&c.text, c.depth);
    vq_text_printf(&c.text, "%.4f bits per token over %zu tokens\n", nats * BITS / (double)s->n,
                   s->n);
    enum sh_rc rc = c.text.failed ? sh_failf(s->sh, "out of memory")
                                  : sh_out_text(s->sh, c.text.data, c.text.len);
    vq_text_release(&c.text);
    return rc;
}

/* ---- listings ---- */

struct item {
    double nats;
    size_t at;
};

static int more_surprising(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->nats != y->nats)
        return x->nats > y->nats ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static void list_token(const struct sh_surprising *s, size_t at)
{
    struct sh *sh = s->sh;
    const struct vq_vocab *v = vq_model_vocab(s->m->model);
    const struct vq_surprise *x = &s->v[at];
    int32_t id = sh_surprise_target(s, at);
    char piece[64];
    sh_row(sh);
    if (s->rows > 1)
        sh_uint(sh, "row", at / s->n);
    sh_int(sh, "position", s->first + (int64_t)(at % s->n));
    sh_int(sh, "id", id);
    sh_str(sh, "token", vq_vocab_piece(v, id, piece, sizeof(piece)));
    sh_f64(sh, "bits", x->nats * BITS);
    sh_f64(sh, "prob", exp(-x->nats));
    sh_f64(sh, "entropy_bits", x->entropy * BITS);
    sh_uint(sh, "rank", x->rank);
    sh_int(sh, "best_id", x->best);
    sh_str(sh, "best", vq_vocab_piece(v, x->best, piece, sizeof(piece)));
}

static enum sh_rc list(const struct sh_surprising *s, size_t top)
{
    struct sh *sh = s->sh;
    size_t n = s->rows * s->n;
    struct item *order = vq_alloc(n, sizeof(*order));
    if (!order)
        return sh_failf(sh, "out of memory");
    for (size_t i = 0; i < n; i++)
        order[i] = (struct item){s->v[i].nats, i};
    if (top)
        qsort(order, n, sizeof(*order), more_surprising);
    sh_list(sh, s->rows > 1 ? "row position id token bits prob entropy_bits rank best_id best"
                            : "position id token bits prob entropy_bits rank best_id best");
    for (size_t k = 0; k < n && (top == 0 || k < top); k++)
        if (s->v[order[k].at].rank > 0) /* pad has none */
            list_token(s, order[k].at);
    free(order);
    return sh_end(sh);
}

/* Bits f32 [T] or [rows, T], NaN where the target is pad. */
static enum sh_rc write_bits(const struct sh_surprising *s, const char *path)
{
    const size_t shape[] = {s->rows, s->n};
    bool batch = s->t.in.rank == 2;
    float *x = vq_alloc(s->rows * s->n, sizeof(*x));
    if (!x)
        return sh_failf(s->sh, "out of memory");
    for (size_t i = 0; i < s->rows * s->n; i++)
        x[i] = s->v[i].rank ? (float)(s->v[i].nats * BITS) : NAN;
    enum sh_rc rc = sh_array_write(s->sh, path, VQ_NPY_F32, batch ? 2 : 1, shape + !batch, x);
    free(x);
    return rc;
}

/* ---- the command ---- */

static bool in_colours(const struct sh_surprising *s, const struct sh_args *a)
{
    return sh_out_colour(s->sh) && sh_out_format(s->sh) == SH_TABLE && s->rows == 1 &&
           vq_vocab_is_text(vq_model_vocab(s->m->model)) && !sh_opt_flag(a, "list") &&
           !sh_opt_given(a, "top");
}

static enum sh_rc run_surprise(struct sh *sh, const struct sh_args *a)
{
    struct sh_surprising s = {.sh = sh, .m = sh_model_current(sh)};
    const char *text = sh_arg(a, 0);
    if (text && sh_input_given(a))
        return sh_bad_arg(sh, sh_arg_word(a, 0),
                          "give the text, or one of --text, --file, --tokens");
    enum sh_rc rc = sh_surprise(&s, a, text);
    if (rc == SH_OK)
        rc = sh_opt_given(a, "out") ? write_bits(&s, sh_opt_text(a, "out"))
             : in_colours(&s, a)    ? show_text(&s)
                                    : list(&s, (size_t)sh_opt_int(a, "top"));
    sh_surprise_release(&s);
    return rc;
}

static const struct sh_opt surprise_opts[] = {
    SH_INPUT_OPTS,
    {.name = "top",
     .letter = 'n',
     .kind = SH_INT,
     .min = 1,
     .max = 1e9,
     .help = "the N most surprising tokens, most surprising first"},
    {.name = "list", .kind = SH_FLAG, .help = "list the tokens where the text would be coloured"},
    SH_ARRAY_OPT,
    SH_OPT_END};
static const char *const surprise_examples[] = {"surprise \"It was a dark and stormy night.\"",
                                                "surprise --file README.md --top 5",
                                                "surprise --text \"Call me\" --out bits.npy", NULL};
const struct sh_cmd cmd_surprise = {
    .name = "surprise",
    .group = "inspect",
    .args = "[TEXT | --file FILE | --tokens F.npy]",
    .summary = "show how unexpected each token of a text was",
    .detail =
        "bits is -log2 of the probability that the model gave the token, entropy_bits what was to "
        "be expected at that place, rank the token's place among all (1: the likeliest), best the "
        "likeliest. Tokens are predicted as `score` does, the first from eos; without a text, "
        "those "
        "of the session from its second on. On a screen with colours the text itself is shown, "
        "darker where it was more surprising (bytes of one character together); --list lists.\n\n"
        "--out writes float32 bits [T] or [B,T], NaN where the target is pad.",
    .examples = surprise_examples,
    .max_args = 1,
    .kinds = {SH_TEXT},
    .needs = SH_NEED_MODEL,
    .opts = surprise_opts,
    .run = run_surprise,
};
