#include "repl/cache_views.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/inspect/attend.h"
#include "core/inspect/cache.h"
#include "core/inspect/life.h"
#include "repl/array.h"
#include "repl/attn_run.h"
#include "repl/out.h"
#include "repl/tokens.h"

float *sh_cache_room(const struct sh_cache_look *l, struct vq_err *err)
{
    size_t n = vq_session_cache_floats(l->session);
    float *room = vq_alloc_f32(n);
    if (!room)
        vq_nomem(err, "values of a module", n, sizeof(*room));
    return room;
}

void sh_cache_place(struct sh *sh, struct sh_mod at)
{
    char name[32];
    sh_row(sh);
    sh_str(sh, "module", sh_module_name(at.module, -1, name));
    sh_int(sh, "head", at.head);
}

/* ---- how it grew ---- */

static void list_growth(const struct sh_cache_look *l, const struct sh_attn_run *r,
                        const float *counts, size_t columns)
{
    struct sh *sh = l->sh;
    size_t S = (size_t)l->c->n_code;
    for (size_t i = 0; i < l->heads->n * columns; i++) {
        size_t c = i % columns, used = 0;
        double most = 0.0, all = 0.0;
        for (size_t s = 0; s < S; s++) {
            double n = counts[(i / columns * S + s) * columns + c];
            used += n > 0.0;
            all += n;
            most = n > most ? n : most;
        }
        sh_cache_place(sh, l->heads->v[i / columns]);
        sh_uint(sh, "tokens_fed", (uint64_t)((double)r->keys * (double)(c + 1) / (double)columns));
        sh_uint(sh, "codes_used", used);
        sh_f64(sh, "positions", all);
        sh_f64(sh, "count_max", most);
    }
}

static enum sh_rc show_growth(const struct sh_cache_look *l, const struct sh_attn_run *r)
{
    size_t S = (size_t)l->c->n_code, n = l->heads->n, columns = (size_t)sh_opt_int(l->a, "growth");
    columns = columns < r->keys ? columns : r->keys;
    const size_t shape[] = {n, S, columns};
    float *counts = vq_alloc(n * S * columns, sizeof(*counts));
    enum sh_rc rc = SH_OK;
    if (!counts)
        return sh_failf(l->sh, "out of memory");
    for (size_t i = 0; i < n; i++)
        vq_life_counts(counts + i * S * columns, S, columns, r->codes + i * r->keys,
                       (int64_t)r->keys, l->c->mem_len);
    if (sh_opt_given(l->a, "out")) {
        rc = sh_array_write(l->sh, sh_opt_text(l->a, "out"), VQ_NPY_F32, 3, shape, counts);
    } else {
        sh_list(l->sh, "module head tokens_fed codes_used positions count_max");
        list_growth(l, r, counts, columns);
        rc = sh_end(l->sh);
    }
    free(counts);
    return rc;
}

enum sh_rc sh_cache_growth(const struct sh_cache_look *l)
{
    struct sh_attn_run r = {.sh = l->sh, .m = l->m, .heads = l->heads};
    enum sh_rc rc = sh_attn_run(&r, l->a, NULL, SH_ATTN_CODES);
    if (rc == SH_OK)
        rc = show_growth(l, &r);
    sh_attn_release(&r);
    return rc;
}

/* ---- what went in ---- */

struct living {
    const struct sh_cache_look *l;
    struct sh_tokens t; /* the session's, one row */
    struct vq_attend *attend;
    double *drawn; /* [modules * H, S] attention drawn so far */
};

static void draw(void *ud, const struct vq_attend_query *q)
{
    const struct living *x = ud;
    size_t mh = (size_t)q->module * (size_t)x->l->c->n_head + (size_t)q->head;
    vq_drawn_add(x->drawn + mh * q->S, q, x->l->c->mem_len);
}

/* Tokens of a code, as [{"id":..,"token":..,"count":..}] or as people read them. */
static void put_tokens(const struct sh_cache_look *l, const struct vq_token_count *list, size_t n)
{
    struct vq_text text = {0};
    bool json = sh_out_format(l->sh) == SH_JSON || sh_out_format(l->sh) == SH_JSONL;
    size_t top = (size_t)sh_opt_int(l->a, "top");
    char piece[64];
    vq_text_puts(&text, json ? "[" : "");
    for (size_t i = 0; i < n && i < top; i++) {
        vq_vocab_piece(l->vocab, list[i].token, piece, sizeof(piece));
        const char *shown = strcmp(piece, " ") == 0 ? "space" : piece;
        if (json) {
            vq_text_printf(&text, "%s{\"id\":%d,\"token\":", i ? "," : "", (int)list[i].token);
            vq_text_json_string(&text, piece, strlen(piece));
            vq_text_printf(&text, ",\"count\":%llu}", (unsigned long long)list[i].count);
        } else {
            vq_text_printf(&text, "%s%s %llu", i ? ", " : "", shown,
                           (unsigned long long)list[i].count);
        }
    }
    vq_text_puts(&text, json ? "]" : "");
    if (json && !text.failed)
        sh_json(l->sh, "tokens", text.data);
    else
        sh_bytes(l->sh, "tokens", text.data ? text.data : "", text.len);
    vq_text_release(&text);
}

static enum vq_status member_rows(const struct living *x, struct sh_mod at,
                                  struct vq_life_code *life, struct vq_cache_code *codes,
                                  float *room, struct vq_err *err)
{
    const struct sh_cache_look *l = x->l;
    size_t S = (size_t)l->c->n_code, mh = (size_t)(at.module * (int)l->c->n_head + at.head);
    int64_t n;
    const int32_t *z = vq_attend_codes(x->attend, at.module, at.head, &n);
    struct vq_cache_view v;
    enum vq_status status = VQ_OK;
    vq_session_cache(l->session, at.module, l->row, room, &v);
    vq_cache_codes(codes, &v, l->c, at.head);
    vq_life_codes(life, S, z, n, l->c->mem_len);
    for (size_t s = 0; status == VQ_OK && s < S; s++) {
        struct vq_token_count *list;
        size_t tokens;
        if (life[s].count == 0)
            continue;
        status = vq_life_tokens(&list, &tokens, z, x->t.over.tokens, n, l->c->mem_len, (int32_t)s,
                                (size_t)l->c->n_vocab, err);
        if (status != VQ_OK)
            break;
        sh_cache_place(l->sh, at);
        sh_uint(l->sh, "code", s);
        sh_int(l->sh, "count", life[s].count);
        sh_f64(l->sh, "mean_value_norm", codes[s].mean_norm);
        sh_int(l->sh, "oldest", life[s].oldest);
        sh_int(l->sh, "newest", life[s].newest);
        sh_int(l->sh, "oldest_age", n - 1 - life[s].oldest);
        sh_int(l->sh, "newest_age", n - 1 - life[s].newest);
        sh_f64(l->sh, "drawn", x->drawn[mh * S + s]);
        put_tokens(l, list, tokens);
        free(list);
    }
    return status;
}

static enum vq_status list_lives(const struct living *x, struct vq_err *err)
{
    size_t S = (size_t)x->l->c->n_code;
    struct vq_life_code *life = vq_alloc(S, sizeof(*life));
    struct vq_cache_code *codes = vq_alloc(S, sizeof(*codes));
    float *room = sh_cache_room(x->l, err);
    enum vq_status status =
        life && codes && room ? VQ_OK : vq_nomem(err, "codes", S, sizeof(*codes));
    sh_list(x->l->sh, "module head code count mean_value_norm oldest newest oldest_age newest_age "
                      "drawn tokens");
    for (size_t i = 0; status == VQ_OK && i < x->l->heads->n; i++)
        status = vq_cancelled(sh_cancel(x->l->sh))
                     ? vq_fail(err, VQ_ECANCELLED, "interrupted")
                     : member_rows(x, x->l->heads->v[i], life, codes, room, err);
    free(life);
    free(codes);
    free(room);
    return status;
}

static enum vq_status run_lives(struct living *x, struct vq_err *err)
{
    const struct sh_cache_look *l = x->l;
    size_t cells = vq_config_modules(l->c) * (size_t)(l->c->n_head * l->c->n_code);
    bool *wanted = vq_calloc(vq_config_modules(l->c), sizeof(*wanted));
    x->drawn = vq_calloc(cells, sizeof(*x->drawn));
    for (size_t i = 0; wanted && i < l->heads->n; i++)
        wanted[l->heads->v[i].module] = true;
    const struct vq_attend_options o = {
        .to = INT64_MAX, .module = wanted, .older = true, .ud = x, .query = draw};
    enum vq_status status = wanted && x->drawn
                                ? vq_attend_new(&x->attend, l->c, &o, err)
                                : vq_nomem(err, "attention drawn", cells, sizeof(*x->drawn));
    if (status == VQ_OK)
        status = sh_tokens_run(l->sh, l->m, &x->t, vq_attend_observer(x->attend), err);
    if (status == VQ_OK)
        status = vq_attend_check(x->attend, err);
    free(wanted);
    return status;
}

enum sh_rc sh_cache_members(const struct sh_cache_look *l)
{
    struct vq_err err = {0};
    struct living x = {.l = l};
    enum sh_rc rc = sh_tokens_session(l->sh, l->m, &x.t);
    if (rc == SH_OK)
        rc = sh_tokens_row(l->sh, l->a, &x.t);
    if (rc == SH_OK) {
        enum vq_status status = run_lives(&x, &err);
        if (status == VQ_OK)
            status = list_lives(&x, &err);
        rc = status == VQ_OK ? sh_end(l->sh) : sh_fail(l->sh, &err);
    }
    vq_attend_free(x.attend);
    free(x.drawn);
    sh_tokens_release(&x.t);
    return rc;
}

/* ---- against another state ---- */

/* The state called so, or that of a file, which *owned is then. */
static const struct vq_session *find_state(const struct sh_cache_look *l, const char *name,
                                           struct vq_session **owned, struct vq_err *err)
{
    const struct sh_state *kept = sh_state_find(l->m, name);
    const char *hex = NULL;
    *owned = NULL;
    if (kept)
        return kept->session;
    const struct vq_engine *e = sh_model_engine(l->sh, l->m, err);
    if (!e || sh_model_hash(l->sh, l->m, true, &hex, err) != VQ_OK ||
        vq_session_load(owned, e, name, hex ? hex : "", err) != VQ_OK)
        return NULL;
    return *owned;
}

static void diff_row(const struct sh_cache_look *l, struct sh_mod at, const struct vq_cache_diff *d)
{
    struct sh *sh = l->sh;
    sh_cache_place(sh, at);
    sh_int(sh, "before", d->before);
    sh_int(sh, "after", d->after);
    sh_int(sh, "appeared", d->appeared);
    sh_int(sh, "gone", d->gone);
    sh_int(sh, "grown", d->grown);
    sh_int(sh, "shrunk", d->shrunk);
    sh_f64(sh, "moved_mean", d->moved_mean);
    sh_f64(sh, "moved_max", d->moved_max);
}

static void change_rows(const struct sh_cache_look *l, struct sh_mod at,
                        const struct vq_cache_change *list)
{
    struct sh *sh = l->sh;
    for (size_t s = 0; s < (size_t)l->c->n_code; s++) {
        const struct vq_cache_change *x = &list[s];
        if (x->before == x->after && !(x->moved > 0.0))
            continue;
        sh_cache_place(sh, at);
        sh_uint(sh, "code", s);
        sh_int(sh, "before", x->before);
        sh_int(sh, "after", x->after);
        sh_f64(sh, "norm_before", x->norm_before);
        sh_f64(sh, "norm_after", x->norm_after);
        sh_f64(sh, "moved", x->moved);
    }
}

/* Counts before and after, i64 [2, module-heads, S], into out; rows to the listing without it. */
static enum vq_status compare_states(const struct sh_cache_look *l, const struct vq_session *before,
                                     int64_t *out, struct vq_err *err)
{
    size_t S = (size_t)l->c->n_code, n = l->heads->n;
    struct vq_cache_change *list = vq_alloc(S, sizeof(*list));
    float *room = sh_cache_room(l, err), *other = sh_cache_room(l, err);
    if (!list || !room || !other) {
        free(list);
        free(room);
        free(other);
        return vq_nomem(err, "codes", S, sizeof(*list));
    }
    for (size_t i = 0; i < n; i++) {
        struct vq_cache_view a, b;
        struct vq_cache_diff d;
        struct sh_mod at = l->heads->v[i];
        vq_session_cache(before, at.module, l->row, room, &a);
        vq_session_cache(l->session, at.module, l->row, other, &b);
        vq_cache_compare(&d, list, &a, &b, l->c, at.head);
        for (size_t s = 0; out && s < S; s++) {
            out[i * S + s] = list[s].before;
            out[(n + i) * S + s] = list[s].after;
        }
        if (out)
            continue;
        if (sh_opt_flag(l->a, "codes"))
            change_rows(l, at, list);
        else
            diff_row(l, at, &d);
    }
    free(list);
    free(room);
    free(other);
    return VQ_OK;
}

static enum sh_rc diff(const struct sh_cache_look *l, const struct vq_session *before)
{
    struct vq_err err = {0};
    struct sh *sh = l->sh;
    const size_t shape[] = {2, l->heads->n, (size_t)l->c->n_code};
    if (l->row >= vq_session_batch(before))
        return sh_bad_arg(sh, sh_opt_word(l->a, "row"), "the other state holds %d sequence(s)",
                          vq_session_batch(before));
    if (sh_opt_given(l->a, "out")) {
        int64_t *x = vq_alloc(2 * shape[1] * shape[2], sizeof(*x));
        enum vq_status status = x ? compare_states(l, before, x, &err)
                                  : vq_nomem(&err, "counts", 2 * shape[1], shape[2]);
        enum sh_rc rc = status == VQ_OK
                            ? sh_array_write(sh, sh_opt_text(l->a, "out"), VQ_NPY_I64, 3, shape, x)
                            : sh_fail(sh, &err);
        free(x);
        return rc;
    }
    sh_list(sh, sh_opt_flag(l->a, "codes")
                    ? "module head code before after norm_before norm_after moved"
                    : "module head before after appeared gone grown shrunk moved_mean moved_max");
    if (compare_states(l, before, NULL, &err) != VQ_OK)
        return sh_fail(sh, &err);
    enum sh_rc rc = sh_end(sh);
    if (rc == SH_OK)
        sh_note(sh, "from position %lld to position %lld", (long long)vq_session_position(before),
                (long long)vq_session_position(l->session));
    return rc;
}

enum sh_rc sh_cache_diff(const struct sh_cache_look *l)
{
    struct vq_err err = {0};
    struct vq_session *owned;
    const struct vq_session *before = find_state(l, sh_opt_text(l->a, "diff"), &owned, &err);
    enum sh_rc rc = before ? diff(l, before) : sh_fail(l->sh, &err);
    vq_session_free(owned);
    return rc;
}
