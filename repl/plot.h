/*
 * plot: what the files that draw for the command plot share: a picture under way, its titles, and
 * the draw functions that cmd_plot.c's table names.
 */
#ifndef VQ_REPL_PLOT_H
#define VQ_REPL_PLOT_H

#include "core/store/store.h"
#include "repl/models.h"
#include "repl/opt.h"
#include "repl/pick.h"
#include "viz/plot.h"

struct sh_plotting {
    struct sh *sh;
    const struct sh_args *a;
    struct sh_model *m;    /* NULL for pictures of runs */
    struct sh_heads heads; /* the module-heads that are shown */
    struct viz_chart chart;
    char title[256], subtitle[256];
    char run[VQ_RUN_ID_SIZE]; /* the first one, for pictures of runs */
    enum sh_rc said;          /* of a failure that has been reported: sh_plot_said() */
    bool unseen;              /* for a page or a file alone: nothing goes to the screen */
};

/* Draws into *out, the caller's to free. */
typedef enum vq_status (*sh_draw)(struct sh_plotting *p, struct viz_canvas **out,
                                  struct vq_err *err);

/* "TEXT, module 0.1, MODEL" as the chart's title; without the module when there are several. */
void sh_plot_title(struct sh_plotting *p, const char *text);
/* The same for the line below it. */
void sh_plot_subtitle(struct sh_plotting *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Names of the module-heads, "0.1" or "0.1:2"; freed with sh_plot_free_names(). NULL when out of
 * memory. */
char **sh_plot_names(const struct sh_plotting *p);
void sh_plot_free_names(char **names, size_t n);

/* v[heads, S]: bars over codes for one module-head, a heat map for several. */
enum vq_status sh_plot_over_codes(struct sh_plotting *p, const float *v, const char *what,
                                  struct viz_canvas **out, struct vq_err *err);
/* v[heads]: a bar for each module-head, under its name. */
enum vq_status sh_plot_over_heads(struct sh_plotting *p, const float *v, const char *what,
                                  struct viz_canvas **out, struct vq_err *err);

/* Two canvases, one below the other, which both are freed. */
enum vq_status sh_plot_stack(struct viz_canvas **out, struct viz_canvas *top,
                             struct viz_canvas *bottom, struct vq_err *err);

/* A failure that has been reported with `rc`. */
enum vq_status sh_plot_said(struct sh_plotting *p, enum sh_rc rc, struct vq_err *err);

/* A chart for other commands: what `plot ARGUMENTS` draws, the canvas being the caller's to free.
 * Reports its own failures. */
struct sh_chart {
    struct viz_canvas *canvas;
    char title[256];
};
enum sh_rc sh_plot_chart(struct sh *sh, const char *arguments, struct sh_chart *out);

/* plot_codes.c */
enum vq_status sh_draw_usage(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err);
enum vq_status sh_draw_lorenz(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err);
enum vq_status sh_draw_entropy(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err);
enum vq_status sh_draw_similarity(struct sh_plotting *p, struct viz_canvas **out,
                                  struct vq_err *err);
enum vq_status sh_draw_map(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err);
enum vq_status sh_draw_drift(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err);
enum vq_status sh_draw_code(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err);
/* plot_pixels.c */
enum vq_status sh_draw_patch(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err);
enum vq_status sh_draw_attn_grid(struct sh_plotting *p, struct viz_canvas **out,
                                 struct vq_err *err);
enum vq_status sh_draw_bits(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err);
/* plot_attn.c */
enum vq_status sh_draw_cache(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err);
enum vq_status sh_draw_growth(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err);
enum vq_status sh_draw_attn(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err);
enum vq_status sh_draw_attn_map(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err);
enum vq_status sh_draw_attn_rows(struct sh_plotting *p, struct viz_canvas **out,
                                 struct vq_err *err);
enum vq_status sh_draw_mass(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err);
enum vq_status sh_draw_distance(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err);
/* plot_inside.c */
enum vq_status sh_draw_next(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err);
enum vq_status sh_draw_stream(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err);
enum vq_status sh_draw_gates(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err);
enum vq_status sh_draw_lens(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err);
enum vq_status sh_draw_attribute(struct sh_plotting *p, struct viz_canvas **out,
                                 struct vq_err *err);
enum vq_status sh_draw_surprise(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err);
enum vq_status sh_draw_compare(struct sh_plotting *p, struct viz_canvas **out, struct vq_err *err);

#endif
