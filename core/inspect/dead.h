/*
 * dead: codes that no key falls on, and what each would need: how near the keys of a run came to
 * it, and by how much it would have to come nearer to one of them to be chosen. Works through the
 * session's observer callbacks.
 */
#ifndef VQ_CORE_INSPECT_DEAD_H
#define VQ_CORE_INSPECT_DEAD_H

#include "core/inspect/codebook.h"
#include "core/model/session.h"

struct vq_dead_code {
    int module, head;
    size_t code;
    /* The key of the run that the code was least far from winning: `gap` = |k - dead| - |k - k^|,
     * k^ being the code it fell on. A shift of the dead code by that much towards the key, and no
     * less, makes it the key's nearest. Infinity when no key was seen. */
    double gap;
    double distance;  /* |k - dead| of that key */
    int32_t fell_on;  /* k^ */
    int32_t token;    /* the key's token */
    int64_t position; /* and position */
    size_t row;       /* of the array of tokens, counted by restarts at position 0 */
};

struct vq_dead;

/* Watches the n codes listed in codes[n] (module, head, code; the rest is filled in), which is
 * borrowed and changed until free. The codebooks are read from the model. VQ_ENOMEM. */
enum vq_status vq_dead_new(struct vq_dead **out, const struct vq_model *m,
                           struct vq_dead_code *codes, size_t n, struct vq_err *err);
void vq_dead_free(struct vq_dead *d);
const struct vq_observer *vq_dead_observer(struct vq_dead *d);

#endif
