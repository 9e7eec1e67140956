/* matmul_portable: the tiles in plain C, for processors that we have no kernels for and as the
 * yardstick of those we have. */
#include "core/kernels/matmul_simple.h"

#define INPUTS 1
#define EXACT  true
#define TABLE  vq_matmul_portable
#define NAME   "portable"

#include "core/kernels/matmul_plain.h"
#include "core/kernels/matmul_body.h"
