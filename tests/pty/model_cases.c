/*
 * Cases with a model: what runs long can be stopped at once and nothing is lost by it; pictures are
 * drawn as they are painted; names of the model are completed; narrow screens hold.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/pty/case.h"

#define TRIES 4 /* one of them in time: the machine may be busy with other tests */

/* From Ctrl-C to the prompt, in ms; sanitizers take their time. */
static double prompt_ms(void)
{
    const char *build = getenv("BUILD");
    return build && strstr(build, "-address") ? 2000 : 200;
}

static const char *load(struct terminal *t, const char *more)
{
    char line[256];
    snprintf(line, sizeof(line), "set pager off\rload samples/models/text-small.safetensors%s\r",
             more);
    term_send(t, line);
    WANT(term_expect(t, "config_path"), "the model was not loaded");
    WANT(term_expect(t, "@0> "), "no prompt that names the model");
    return NULL;
}

/* Writes n bytes of text to a file below home; false when it cannot. */
static bool write_text(const struct terminal *t, const char *name, size_t n)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", t->home, name);
    FILE *f = fopen(path, "w");
    for (size_t i = 0; f && i < n; i++)
        fputc(i % 7 ? 'a' + (int)(i * i % 26) : ' ', f);
    return f && fclose(f) == 0;
}

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* Starts the command, presses Ctrl-C in the middle of it (some time after `begun` was drawn), waits
 * for the prompt; several times, until once it came back in time. */
static const char *stop(struct terminal *t, const char *command, const char *begun)
{
    static char wrong[160];
    double best = 1e9;
    for (int i = 0; i < TRIES && best > prompt_ms(); i++) {
        term_send(t, command);
        WANT(term_expect(t, begun), "the command did not start");
        WANT(term_absent(t, "interrupted", 300), "the command ended by itself");
        double start = now();
        term_send(t, "\x03");
        WANT(term_expect(t, "interrupted"), "Ctrl-C did not stop the command");
        WANT(term_expect(t, "> "), "no prompt after Ctrl-C");
        double ms = (now() - start) * 1e3;
        best = ms < best ? ms : best;
    }
    if (best <= prompt_ms())
        return NULL;
    snprintf(wrong, sizeof(wrong), "the prompt came %.0f ms after Ctrl-C", best);
    return wrong;
}

static const char *stop_feed(struct terminal *t)
{
    const char *wrong = load(t, "");
    if (wrong)
        return wrong;
    WANT(write_text(t, "long.txt", 20000000), "cannot write a text");
    if ((wrong = stop(t, "feed --file ~/long.txt\r", "tokens/s")))
        return wrong;
    term_send(t, "attn 0.1 --top 1\r");
    WANT(term_expect(t, "window"), "the state is gone after Ctrl-C");
    term_send(t, "reset\rfeed --text abc\r");
    WANT(term_expect(t, "@4> "), "the model does not work after Ctrl-C");
    return NULL;
}

static const char *stop_score(struct terminal *t)
{
    const char *wrong = load(t, "");
    if (wrong)
        return wrong;
    WANT(write_text(t, "long.txt", 20000000), "cannot write a text");
    term_send(t, "feed --text abc\r");
    WANT(term_expect(t, "@4> "), "nothing was fed");
    if ((wrong = stop(t, "score --file ~/long.txt\r", "tokens/s")))
        return wrong;
    term_send(t, "score --text dark\r");
    WANT(term_expect(t, "13.09"), "score is wrong after Ctrl-C");
    WANT(term_expect(t, "@4> "), "score moved the session");
    return NULL;
}

static const char *stop_sample(struct terminal *t)
{
    const char *wrong = load(t, "");
    if (wrong || (wrong = stop(t, "sample --length 100M --seed 1\r", "\r\n")) ||
        (wrong = stop(t, "sample -n 4 --length 1M --seed 1 --out ~/t.txt\r", "tokens/s")))
        return wrong;
    char *kept = term_file(t, "t-0.txt");
    bool some = kept && *kept;
    free(kept);
    WANT(some, "the text drawn before Ctrl-C was not kept");
    return NULL;
}

static const char *stop_verify(struct terminal *t)
{
    const char *wrong = load(t, "");
    if (wrong || (wrong = stop(t, "verify --length 3000 --seed 1\r", "\r\n")))
        return wrong;
    term_send(t, "verify --length 20 --seed 1\r");
    WANT(term_expect(t, "true"), "verify does not work after Ctrl-C");
    return NULL;
}

static const char *whole_characters(struct terminal *t)
{
    const char *wrong = load(t, "");
    if (wrong)
        return wrong;
    term_send(t, "sample --length 5 --seed 3\r");
    WANT(term_expect(t, "m?\xe2\x80\x94"), "a character of three tokens is not whole");
    WANT(term_absent(t, "\xef\xbf\xbd", 100), "there is a replacement character");
    return NULL;
}

static const char *completion(struct terminal *t)
{
    const char *wrong = load(t, " --as pequod");
    if (wrong)
        return wrong;
    term_send(t, "use peq\t\r");
    WANT(term_expect(t, "using pequod"), "the model's name is not completed");
    term_send(t, "tensors token_embedder/em\t\r");
    WANT(term_expect(t, "33152"), "the tensor's name is not completed");
    term_send(t, "codebook 2.\t\t");
    WANT(term_expect(t, "2.1"), "the modules are not offered");
    term_send(t, "2\r");
    WANT(term_expect(t, "4.02"), "the completed module does not work");
    return NULL;
}

/* No line of what was drawn between two places is wider than the screen. */
static bool fits(const struct terminal *t, size_t from, size_t to, size_t width)
{
    size_t columns = 0;
    for (size_t i = from; i < to; i++) {
        unsigned char c = (unsigned char)t->seen[i];
        if (c == '\r' || c == '\n')
            columns = 0;
        else
            columns += (c & 0xc0) != 0x80;
        if (columns > width)
            return false;
    }
    return true;
}

static const char *narrow(struct terminal *t)
{
    term_send(t, "set pager off\rload samples/models/text-small.safetensors --as m\r");
    WANT(term_expect(t, "config_path"), "the model was not loaded");
    WANT(term_expect(t, "m@0> "), "no prompt");
    term_send(t, "feed --text abc\r");
    WANT(term_expect(t, "m@4> "), "no prompt");
    static const char *const commands[] = {"next -k 3\r", "codebook 0.1 --pairs 2\r",
                                           "tokenize \"whale\"\r"};
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        term_send(t, commands[i]);
        WANT(term_expect(t, "\n"), "the command did not start");
        size_t from = t->at;
        WANT(term_expect(t, "m@4> "), "no prompt");
        WANT(fits(t, from, t->at, 20), "a result is wider than the screen");
    }
    return NULL;
}

/* A random model of pictures at ~/paint.safetensors; false when the tool is not there. */
static bool make_painter(const struct terminal *t, int n_layer, int d_model)
{
    char command[640];
    const char *build = getenv("BUILD");
    snprintf(command, sizeof(command),
             "%s/tests/tools/random_model %s/paint.safetensors --set d_model=%d --set d_k=8 "
             "--set d_v=48 --set n_code=16 --set n_layer=%d --set n_vocab=259 --set mem_len=64 "
             "--set block_len=64 --set vocab=image64 --set e_tie=1 --set e_scale=0.1",
             build ? build : "build/gcc", t->home, d_model, n_layer);
    return system(command) == 0;
}

static bool loads_painter(struct terminal *t)
{
    if (!make_painter(t, 1, 32))
        return false;
    term_send(t, "set pager off\rload ~/paint.safetensors\r");
    return term_expect(t, "@0> ");
}

static const char *paints_rows(struct terminal *t)
{
    WANT(loads_painter(t), "no model of pictures was loaded");
    term_send(t, "sample --seed 1 --out ~/one.png\r");
    WANT(term_expect(t, "\xe2\x96\x80"), "no half-blocks");
    WANT(term_expect(t, "contact sheet"), "no closing note");
    WANT(term_expect(t, "> "), "no prompt");
    term_send(t, "set preview none\r");
    WANT(term_expect(t, "preview is none"), "preview cannot be turned off");
    term_send(t, "sample --seed 1 --out ~/one.png\r");
    WANT(term_absent(t, "\xe2\x96\x80", 200), "half-blocks in spite of preview none");
    return NULL;
}

/* Only a name that says so turns pixels on; what was asked for is done anywhere. */
static const char *picture_protocols(struct terminal *t)
{
    static const char kitty[] = "\x1b_Ga=T", sixel[] = "\x1bP";
    WANT(loads_painter(t), "no model of pictures was loaded");
    term_send(t, "plot usage --out ~/usage.png\r");
    WANT(term_expect(t, kitty), "no kitty picture on a terminal of that name");
    WANT(term_expect(t, "height"), "no closing record");
    term_send(t, "set preview sixel\rplot usage --out ~/usage.png\r");
    WANT(term_expect(t, sixel), "no sixel picture, which was asked for");
    WANT(term_expect(t, "height"), "no closing record");
    term_send(t, "set preview half\rplot usage --out ~/usage.png\r");
    WANT(term_expect(t, "\xe2\x96\x80"), "no half-blocks, which were asked for");
    return NULL;
}

/* What runs inside a terminal that has pixels, and passes them on to none, gets half-blocks. */
static const char *multiplexed(struct terminal *t)
{
    WANT(loads_painter(t), "no model of pictures was loaded");
    term_send(t, "plot usage --out ~/usage.png\r");
    WANT(term_expect(t, "\xe2\x96\x80"), "no half-blocks inside tmux");
    WANT(term_absent(t, "\x1b_G", 100), "a kitty picture inside tmux");
    WANT(term_absent(t, "\x1bP", 100), "a sixel picture inside tmux");
    return NULL;
}

static const char *stop_painting(struct terminal *t)
{
    /* Slow enough that the fastest machine is still painting when Ctrl-C comes. */
    WANT(make_painter(t, 12, 128), "no model of pictures");
    term_send(t, "set pager off\rset preview none\rload ~/paint.safetensors\r");
    WANT(term_expect(t, "paint@0> "), "the model was not loaded");
    /* Each picture that is kept costs a sync of the disk, which other tests keep busy. */
    const char *wrong = stop(t, "sample -n 2 --seed 1 --out ~/\r", "tokens/s");
    if (wrong)
        return wrong;
    char *kept = term_file(t, "sample-1.png");
    bool some = kept && strncmp(kept, "\x89PNG", 4) == 0;
    free(kept);
    WANT(some, "the pictures painted before Ctrl-C were not kept");
    return NULL;
}

static const char *const true_colour[] = {"NO_COLOR=", "COLORTERM=truecolor", NULL};

static const char *const kitty_env[] = {"NO_COLOR=", "TERM=xterm-kitty", NULL};
static const char *const tmux_env[] = {"NO_COLOR=",         "TERM=tmux-256color", "TMUX=/tmp/x,1,0",
                                       "KITTY_WINDOW_ID=1", "TERM_PROGRAM=kitty", NULL};

const struct pty_case model_cases[] = {
    {"model_stop_feed", stop_feed, {0}, false},
    {"model_stop_score", stop_score, {0}, false},
    {"model_stop_sample", stop_sample, {0}, false},
    {"model_stop_verify", stop_verify, {0}, false},
    {"model_whole_characters", whole_characters, {0}, false},
    {"model_completion", completion, {0}, true},
    {"model_narrow", narrow, {.rows = 400, .columns = 20}, false},
    {"model_paints_rows", paints_rows, {.rows = 100, .env = true_colour}, false},
    {"model_picture_protocols", picture_protocols, {.rows = 100, .env = kitty_env}, false},
    {"model_multiplexed", multiplexed, {.rows = 100, .env = tmux_env}, false},
    {"model_stop_painting", stop_painting, {0}, false},
    {NULL, NULL, {0}, false},
};
