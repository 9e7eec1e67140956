/* grad_portable: the body of grad for any processor, and the tests' yardstick for the others. */
#include "core/kernels/grad_sets.h"

#define GRAD_TABLE vq_grad_portable
#define GRAD_NAME  "portable"
#include "core/kernels/grad_body.h"
