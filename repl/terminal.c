#include "repl/terminal.h"

#include <stdlib.h>
#include <string.h>

#include "repl/out.h"

static enum viz_term_colors colours_of(const struct sh *sh)
{
    const char *depth = getenv("COLORTERM"), *term = getenv("TERM");
    if (!sh_out_colour(sh))
        return VIZ_COLORS_NONE;
    if (depth && (strcmp(depth, "truecolor") == 0 || strcmp(depth, "24bit") == 0))
        return VIZ_COLORS_TRUE;
    return term && strstr(term, "256color") ? VIZ_COLORS_256 : VIZ_COLORS_16;
}

/* What `preview auto` is: a protocol of pixels only where the terminal's own name says that it has
 * it; inside tmux and screen the name is theirs. */
static enum viz_term_mode mode_of_terminal(const struct sh *sh)
{
    static const struct {
        const char *term;
        enum viz_term_mode mode;
    } known[] = {
        {"xterm-kitty", VIZ_TERM_KITTY}, {"xterm-ghostty", VIZ_TERM_KITTY},
        {"foot", VIZ_TERM_SIXEL},        {"foot-extra", VIZ_TERM_SIXEL},
        {"mlterm", VIZ_TERM_SIXEL},
    };
    const char *term = getenv("TERM");
    for (size_t i = 0; term && sh_out_colour(sh) && i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(term, known[i].term) == 0)
            return known[i].mode;
    return VIZ_TERM_BLOCKS;
}

static enum viz_term_mode mode_of(const struct sh *sh)
{
    const char *preview = sh->set.preview;
    if (strcmp(preview, "auto") == 0)
        return mode_of_terminal(sh);
    return strcmp(preview, "kitty") == 0   ? VIZ_TERM_KITTY
           : strcmp(preview, "sixel") == 0 ? VIZ_TERM_SIXEL
                                           : VIZ_TERM_BLOCKS;
}

bool sh_terminal_pictures(const struct sh *sh, struct viz_term *out)
{
    *out = (struct viz_term){.columns = (size_t)sh_out_columns(sh), .colors = colours_of(sh)};
    if (!sh_out_terminal(sh) || strcmp(sh->set.preview, "none") == 0 || sh->quiet)
        return false;
    out->mode = mode_of(sh);
    if (out->colors == VIZ_COLORS_NONE && out->mode == VIZ_TERM_BLOCKS)
        out->mode = VIZ_TERM_ASCII;
    return true;
}

void sh_terminal_put(struct sh *sh, const char *text)
{
    sh_progress_clear(sh);
    sh_out_text(sh, text, strlen(text));
}

void sh_terminal_canvas(struct sh *sh, struct viz_canvas *c)
{
    struct viz_term term;
    struct vq_err err;
    char *text;
    const uint8_t *rgb = sh_terminal_pictures(sh, &term) ? viz_canvas_rgb(c, &err) : NULL;
    if (!rgb || viz_term_image(&text, &term, rgb, (size_t)c->w, (size_t)c->h, &err) != VQ_OK)
        return;
    sh_terminal_put(sh, text);
    free(text);
}
