/*
 * vec: a borrowed run of numbers, float or double, as every chart takes them.
 */
#ifndef VQ_VIZ_VEC_H
#define VQ_VIZ_VEC_H

#include <stdbool.h>
#include <stddef.h>

/* n numbers; at most one of the pointers is set. With neither, element i is i itself, so a zeroed
 * vec serves as the x of "one point after the other". The numbers stay the caller's. */
struct viz_vec {
    const float *f32;
    const double *f64;
    size_t n;
};

static inline struct viz_vec viz_f32(const float *p, size_t n)
{
    return (struct viz_vec){.f32 = p, .n = n};
}

static inline struct viz_vec viz_f64(const double *p, size_t n)
{
    return (struct viz_vec){.f64 = p, .n = n};
}

/* Element i < n, as double. */
static inline double viz_vec_at(struct viz_vec v, size_t i)
{
    return v.f64 ? v.f64[i] : v.f32 ? (double)v.f32[i] : (double)i;
}

/* The smallest and largest finite elements. With `positive`, numbers <= 0 are passed over too, as a
 * logarithmic axis must. Returns how many counted; with none, *lo and *hi are 0. */
size_t viz_vec_range(struct viz_vec v, bool positive, double *lo, double *hi);

#endif
