#include "repl/query.h"

#include "repl/out.h"
#include "repl/tracked.h"

enum sh_rc sh_row_pick(struct sh *sh, const struct sh_args *a, const struct vq_session *s, int *row)
{
    *row = (int)sh_opt_int(a, "row");
    if (*row < vq_session_batch(s))
        return SH_OK;
    return sh_bad_arg(sh, sh_opt_word(a, "row"), "the session holds %d sequence(s), from 0",
                      vq_session_batch(s));
}

/* Feeds positions 0..at of one remembered sequence into a session of its own. */
static enum vq_status run_again(struct sh *sh, struct sh_model *m, int64_t at, struct sh_query *q,
                                struct vq_err *err)
{
    struct sh_history h;
    const struct vq_feed_options o = {.cancel = sh_cancel(sh), .no_logits = 1};
    const struct vq_engine *e = sh_model_engine(sh, m, err);
    enum vq_status status = e ? sh_history_to_run(m, &h, err) : err->code;
    if (status == VQ_OK)
        status = vq_session_new(&q->owned, e, 1, err);
    if (status == VQ_OK)
        status = vq_session_feed(q->owned, h.tokens + (size_t)q->row * h.stride, (size_t)at + 1,
                                 h.stride, &o, err);
    q->session = q->owned;
    q->row = 0;
    return status;
}

enum sh_rc sh_query_find(struct sh *sh, const struct sh_args *a, struct sh_model *m,
                         struct sh_query *out)
{
    struct vq_err err = {0};
    *out = (struct sh_query){.session = sh_model_session(sh, m, &err)};
    if (!out->session)
        return sh_fail(sh, &err);
    enum sh_rc rc = sh_row_pick(sh, a, out->session, &out->row);
    if (rc != SH_OK || !sh_opt_given(a, "pos"))
        return rc;
    int64_t n = vq_session_position(out->session), at = sh_opt_int(a, "pos");
    if (at < 0)
        at += n;
    if (at < 0 || at >= n)
        return sh_bad_arg(sh, sh_opt_word(a, "pos"), "the session stands at position %lld%s",
                          (long long)n, n ? "" : ": feed a text first");
    struct vq_attention_view last;
    if (vq_session_attention(out->session, 0, 0, out->row, &last, &err) == VQ_OK &&
        last.query == at)
        return SH_OK;
    if (run_again(sh, m, at, out, &err) == VQ_OK)
        return SH_OK;
    sh_query_release(out);
    return sh_fail(sh, &err);
}

void sh_query_release(struct sh_query *q)
{
    vq_session_free(q->owned);
    *q = (struct sh_query){0};
}
