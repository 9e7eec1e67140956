/* vec_portable: the body of vec for any processor, and the tests' yardstick for the others. */
#include "core/kernels/vec_sets.h"

#define VEC_TABLE vq_vec_portable
#define VEC_NAME  "portable"
#include "core/kernels/vec_body.h"
