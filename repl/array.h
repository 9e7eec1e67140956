/*
 * array: numbers that a command writes as a numpy file instead of listing them (--out F.npy).
 */
#ifndef VQ_REPL_ARRAY_H
#define VQ_REPL_ARRAY_H

#include "core/base/npy.h"
#include "repl/sh.h"

/* Writes data[shape] and reports {path, shape, dtype}, as `export` does. */
enum sh_rc sh_array_write(struct sh *sh, const char *path, enum vq_npy_type type, int rank,
                          const size_t *shape, const void *data);

#define SH_ARRAY_OPT                                                                               \
    {                                                                                              \
        .name = "out", .letter = 'o', .kind = SH_OUTPATH, .value = "F.npy",                        \
        .help = "write the numbers as a numpy file instead"                                        \
    }

#endif
