#include "viz/vec.h"

#include <math.h>

size_t viz_vec_range(struct viz_vec v, bool positive, double *lo, double *hi)
{
    size_t used = 0;
    *lo = *hi = 0;
    for (size_t i = 0; i < v.n; i++) {
        double x = viz_vec_at(v, i);
        if (!isfinite(x) || (positive && x <= 0))
            continue;
        *lo = used == 0 || x < *lo ? x : *lo;
        *hi = used == 0 || x > *hi ? x : *hi;
        used++;
    }
    return used;
}
