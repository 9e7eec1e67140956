/* step_portable: the body of step for any processor, and the tests' yardstick for the others. */
#include "core/kernels/step_sets.h"

#define STEP_TABLE vq_step_portable
#define STEP_NAME  "portable"
#include "core/kernels/step_body.h"
