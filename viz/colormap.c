#include "viz/colormap.h"

#include <math.h>
#include <string.h>

/* The first row is the default. */
static const struct viz_colormap maps[] = {
    {"aurora",
     "violet, blue, green, yellow: even steps of lightness",
     false,
     17,
     {0x360951, 0x3a1a64, 0x3c2a76, 0x373983, 0x30488d, 0x265896, 0x12699b, 0x01799e, 0x06899f,
      0x16999f, 0x17aa9d, 0x34b997, 0x59c88b, 0x81d47e, 0xa8df70, 0xd1e860, 0xfbef54}},
    {"ember",
     "black, purple, red, sand: even steps over a wider range",
     false,
     17,
     {0x180e27, 0x28143a, 0x3b194c, 0x501d5d, 0x661f6b, 0x81246c, 0x9b2a68, 0xb5325e, 0xcd3d4f,
      0xda5248, 0xe56842, 0xee7e40, 0xf59343, 0xf8ad56, 0xf9c56f, 0xfbdc8c, 0xfef2ab}},
    {"polar",
     "blue, white, brown: for values around zero",
     true,
     17,
     {0x02468b, 0x1a599c, 0x2e6dad, 0x4281be, 0x5695d0, 0x7fb0db, 0xa8cbe7, 0xd4e5f2, 0xf5f5f5,
      0xf2e0d2, 0xeac0a4, 0xe2a077, 0xd87f4a, 0xc56a39, 0xb25427, 0x9f3f16, 0x8b2901}},
    {"gray", "black to white", false, 2, {0x101010, 0xf8f8f8}},
};

#define N_MAPS (sizeof(maps) / sizeof(maps[0]))

const struct viz_colormap *viz_colormap_nth(size_t i)
{
    return i < N_MAPS ? &maps[i] : NULL;
}

const struct viz_colormap *viz_colormap_find(const char *name)
{
    if (!name || !*name)
        return &maps[0];
    for (size_t i = 0; i < N_MAPS; i++)
        if (strcmp(maps[i].name, name) == 0)
            return &maps[i];
    return NULL;
}

struct viz_rgb viz_colormap_rgb(const struct viz_colormap *m, double t)
{
    if (isnan(t))
        return viz_rgb_hex(VIZ_NAN_RGB);
    double at = fmin(fmax(t, 0), 1) * (double)(m->n - 1);
    size_t i = (size_t)at;
    if (i + 1 >= m->n)
        return viz_rgb_hex(m->stops[m->n - 1]);
    return viz_rgb_mix(viz_rgb_hex(m->stops[i]), viz_rgb_hex(m->stops[i + 1]), at - (double)i);
}

struct viz_norm viz_norm_fit(struct viz_vec v, bool log, bool symmetric)
{
    struct viz_norm n = {.log = log};
    if (viz_vec_range(v, log, &n.lo, &n.hi) == 0) {
        n.lo = log ? 1 : 0;
        n.hi = log ? 10 : 1;
    }
    if (symmetric && !log) {
        n.hi = fmax(fabs(n.lo), fabs(n.hi));
        n.lo = -n.hi;
    }
    return n;
}

double viz_norm_at(struct viz_norm n, double x)
{
    if (isnan(x) || (n.log && x < 0))
        return NAN;
    double lo = n.lo, hi = n.hi;
    if (n.log) {
        x = log(x);
        lo = log(lo);
        hi = log(hi);
    }
    if (!(hi > lo)) /* one value: the middle of the map, neither high nor low */
        return 0.5;
    /* Halved, so that a span over most of the double range stays finite. */
    double t = (x / 2 - lo / 2) / (hi / 2 - lo / 2);
    return fmin(fmax(t, 0), 1);
}
