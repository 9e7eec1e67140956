/*
 * session_edit: changing the attention state by hand, to ask what the model would say if its cache
 * held something else. Nothing here runs the model.
 */
#ifndef VQ_CORE_MODEL_SESSION_EDIT_H
#define VQ_CORE_MODEL_SESSION_EDIT_H

#include "core/model/session.h"

/*
 * Takes the codes s with drop[s] (of S) out of the aggregate of one module and head, of every
 * sequence: their counts become 0 and no later query sees the positions that were folded into them.
 * The window is left alone. Logits and the last query of the session, which were computed from the
 * whole cache, are forgotten: feed a token to have new ones. Returns how many positions were taken
 * out of the first sequence.
 */
int64_t vq_session_drop_codes(struct vq_session *s, int module, int head, const bool *drop);

/* Whether that was ever done to s or to what it was forked or loaded from, and no reset since. Then
 * the counts of the aggregate no longer add up to the positions behind the window. */
bool vq_session_edited(const struct vq_session *s);

#endif
