/*
 * curves: metrics of recorded runs as series of points, aligned and smoothed, for charts in files
 * and on the screen.
 */
#ifndef VQ_REPL_CURVES_H
#define VQ_REPL_CURVES_H

#include "core/store/store.h"
#include "repl/sh.h"
#include "viz/plot.h"

/* What the x axis is. */
enum sh_align {
    SH_BY_STEP,
    SH_BY_TOKENS, /* the value of the metric `tokens` at the step; else the result `tokens` shared
                     out over the steps */
    SH_BY_TIME    /* seconds since the run began */
};
#define SH_ALIGN_CHOICES "step tokens time"
enum sh_align sh_align_of(const char *name);
const char *sh_align_label(enum sh_align align);

struct sh_curve {
    char *name; /* for the legend */
    double *x, *y;
    size_t n, cap;
    bool failed; /* out of memory */
};

/*
 * One metric of one run. smooth is the weight of what came before, 0 for none to below 1: an
 * exponential moving average that starts unbiased, as TensorBoard's; values that are not finite
 * stay where they are and are not averaged. VQ_ENOTFOUND when the run has no such metric, or
 * nothing that tells its tokens. Release in either case.
 */
enum vq_status sh_curve_read(struct vq_store *store, const char *id, const char *metric,
                             enum sh_align align, double smooth, struct sh_curve *out,
                             struct vq_err *err);
void sh_curve_release(struct sh_curve *c);
/* Adds a point; false when out of memory. */
bool sh_curve_add(struct sh_curve *c, double x, double y);

/* Draws curves as text that fits the screen, `rows` lines high (0: some two thirds of it); the
 * caller frees *out. `lines` (may be NULL) is how many lines it has. */
enum vq_status sh_curves_text(struct sh *sh, const struct sh_curve *c, size_t n, const char *title,
                              const char *xlabel, bool log_y, size_t rows, char **out,
                              size_t *lines, struct vq_err *err);

#endif
