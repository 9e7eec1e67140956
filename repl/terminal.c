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

bool sh_terminal_pictures(const struct sh *sh, struct viz_term *out)
{
    const char *preview = sh->set.preview;
    *out = (struct viz_term){.columns = (size_t)sh_out_columns(sh), .colors = colours_of(sh)};
    if (!sh_out_terminal(sh) || strcmp(preview, "none") == 0 || sh->quiet)
        return false;
    out->mode = strcmp(preview, "kitty") == 0   ? VIZ_TERM_KITTY
                : strcmp(preview, "sixel") == 0 ? VIZ_TERM_SIXEL
                                                : VIZ_TERM_BLOCKS;
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
