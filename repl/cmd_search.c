/*
 * The command search: codes by what falls on them, or by likeness to another code.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/inspect/members.h"
#include "repl/cmds.h"
#include "repl/models.h"
#include "repl/out.h"
#include "repl/pick.h"
#include "repl/tokens.h"

struct searching {
    struct sh *sh;
    const struct sh_args *a;
    struct sh_model *m;
    struct sh_heads heads;
    const struct vq_trace *trace; /* or NULL */
    size_t S;
};

/* ---- by token ---- */

/* The ids that the words mean: one piece written as it is shown ("<eos>", "\n", "▁the"), else the
 * tokens of the text. */
static enum vq_status ids_of(const struct searching *s, const char *text, int32_t **ids, size_t *n,
                             struct vq_err *err)
{
    const struct vq_vocab *v = vq_model_vocab(s->m->model);
    char piece[64];
    for (int32_t id = 0; id < vq_vocab_size(v); id++) {
        if (strcmp(vq_vocab_piece(v, id, piece, sizeof(piece)), text) != 0)
            continue;
        *ids = vq_alloc(1, sizeof(**ids));
        if (!*ids)
            return vq_nomem(err, "an id", 1, sizeof(**ids));
        (*ids)[0] = id;
        *n = 1;
        return VQ_OK;
    }
    enum vq_status status = vq_vocab_encode(v, text, strlen(text), ids, n, err);
    if (status == VQ_OK && *n == 0) {
        free(*ids);
        status = vq_fail(err, VQ_EINVAL, "an empty text is everywhere");
    }
    return status;
}

/* The index of the largest of count[S] that is not 0; S when all are. */
static size_t most(const uint64_t *count, size_t S)
{
    size_t best = S;
    for (size_t s = 0; s < S; s++)
        if (count[s] && (best == S || count[s] > count[best]))
            best = s;
    return best;
}

static void list_head(const struct searching *s, struct sh_mod at, uint64_t *count, uint64_t places,
                      const uint64_t *members)
{
    struct sh *sh = s->sh;
    size_t top = (size_t)sh_opt_int(s->a, "top");
    char name[32];
    for (size_t i = 0; i < top; i++) {
        size_t code = most(count, s->S);
        if (code == s->S)
            return;
        sh_row(sh);
        sh_str(sh, "module", sh_module_name(at.module, -1, name));
        sh_int(sh, "head", at.head);
        sh_uint(sh, "code", code);
        sh_uint(sh, "count", count[code]);
        sh_f64(sh, "share_of_token", (double)count[code] / (double)places);
        sh_f64(sh, "share_of_code", (double)count[code] / (double)members[code]);
        count[code] = 0;
    }
}

/* Members of each code among the tokens held. */
static void held_members(const struct searching *s, struct sh_mod at, uint64_t *members)
{
    memset(members, 0, s->S * sizeof(*members));
    for (uint64_t i = vq_trace_first(s->trace); i < vq_trace_end(s->trace); i++)
        members[vq_trace_code(s->trace, i, at.module, at.head)]++;
}

static enum sh_rc by_token(const struct searching *s)
{
    struct vq_err err = {0};
    struct sh *sh = s->sh;
    int32_t *ids;
    size_t n;
    uint64_t places = 0, *count = vq_alloc(s->S, sizeof(*count));
    uint64_t *members = vq_alloc(s->S, sizeof(*members));
    enum vq_status status = count && members ? ids_of(s, sh_arg(s->a, 0), &ids, &n, &err)
                                             : vq_nomem(&err, "counts", s->S, sizeof(*count));
    if (status == VQ_OK) {
        sh_list(sh, "module head code count share_of_token share_of_code");
        for (size_t i = 0; i < s->heads.n; i++) {
            struct sh_mod at = s->heads.v[i];
            places = vq_places_codes(count, s->trace, at.module, at.head, ids, n);
            held_members(s, at, members);
            list_head(s, at, count, places, members);
        }
        free(ids);
    }
    enum sh_rc rc = status == VQ_OK ? sh_end(sh) : sh_fail(sh, &err);
    if (rc == SH_OK)
        sh_note(sh, "%llu places among %llu tokens", (unsigned long long)places,
                (unsigned long long)(vq_trace_end(s->trace) - vq_trace_first(s->trace)));
    free(count);
    free(members);
    return rc;
}

/* ---- by likeness ---- */

struct like {
    struct sh_mod at;
    size_t code;
    double sim, dist, overlap; /* overlap: NaN without a trace */
    uint64_t both;
};

/* More alike first: by the tokens they share where these are known, else by cosine. */
static int more_alike(const void *a, const void *b)
{
    const struct like *x = a, *y = b;
    if (!isnan(x->overlap) && x->overlap != y->overlap)
        return x->overlap > y->overlap ? -1 : 1;
    return (x->sim < y->sim) - (x->sim > y->sim);
}

static double dot(const float *a, const float *b, size_t K)
{
    double sum = 0.0;
    for (size_t k = 0; k < K; k++)
        sum += (double)a[k] * b[k];
    return sum;
}

static struct like compare(const float *c, const float *d, size_t K)
{
    double cc = dot(c, c, K), dd = dot(d, d, K), cd = dot(c, d, K), apart = 0.0;
    for (size_t k = 0; k < K; k++)
        apart += ((double)c[k] - d[k]) * ((double)c[k] - d[k]);
    return (struct like){
        .sim = cc > 0 && dd > 0 ? cd / sqrt(cc * dd) : 0.0, .dist = sqrt(apart), .overlap = NAN};
}

/* What is searched for: MODULE/CODE. */
struct target {
    struct sh_mod at;
    size_t code;
    float *vector; /* [K] */
    uint64_t members;
};

static enum sh_rc parse_target(const struct searching *s, struct target *t)
{
    const char *text = sh_opt_text(s->a, "like"), *slash = strchr(text, '/');
    int word = sh_opt_word(s->a, "like");
    int64_t code = -1;
    struct sh_heads one;
    if (!slash || !sh_parse_int(slash + 1, &code) || code < 0 || (size_t)code >= s->S)
        return sh_bad_arg(s->sh, word, "expected MODULE/CODE with a code below %zu, as in 0.1/7",
                          s->S);
    char *module = vq_strndup(text, (size_t)(slash - text));
    if (!module)
        return sh_failf(s->sh, "out of memory");
    enum sh_rc rc = sh_heads_parse(s->sh, s->m, module, word, &one);
    free(module);
    if (rc != SH_OK)
        return rc;
    bool single = one.v[0].module == one.v[one.n - 1].module;
    *t = (struct target){.at = one.v[0], .code = (size_t)code};
    sh_heads_release(&one);
    return single ? SH_OK : sh_bad_arg(s->sh, word, "expected one module, as in 0.1/7");
}

/* All codes of one module-head against the target, into list[S]. */
static void compare_head(const struct searching *s, const struct target *t, struct sh_mod at,
                         const struct sh_codebook *c, uint64_t *both, uint64_t *members,
                         struct like *list)
{
    if (s->trace) {
        vq_meetings(both, s->trace, at.module, at.head, t->at.module, t->at.head, t->code);
        held_members(s, at, members);
    }
    for (size_t code = 0; code < s->S; code++) {
        struct like *l = &list[code];
        *l = compare(t->vector, c->C + ((size_t)at.head * s->S + code) * c->K, c->K);
        l->at = at;
        l->code = code;
        if (!s->trace)
            continue;
        uint64_t any = t->members + members[code] - both[code];
        l->both = both[code];
        l->overlap = any ? (double)both[code] / (double)any : 0.0;
    }
}

static enum vq_status read_target(const struct searching *s, struct sh_codebook *c,
                                  struct target *t, struct vq_err *err)
{
    enum vq_status status = sh_codebook_read(s->m, t->at.module, c, err);
    if (status != VQ_OK)
        return status;
    t->vector = vq_alloc(c->K, sizeof(*t->vector));
    if (!t->vector)
        return vq_nomem(err, "a code", c->K, sizeof(*t->vector));
    memcpy(t->vector, c->C + ((size_t)t->at.head * s->S + t->code) * c->K,
           c->K * sizeof(*t->vector));
    return VQ_OK;
}

static enum vq_status compare_all(const struct searching *s, struct target *t, struct like *list,
                                  struct vq_err *err)
{
    struct sh_codebook c = {0};
    uint64_t *both = vq_alloc(s->S, sizeof(*both)), *members = vq_alloc(s->S, sizeof(*members));
    enum vq_status status =
        both && members ? read_target(s, &c, t, err) : vq_nomem(err, "counts", s->S, sizeof(*both));
    if (status == VQ_OK && s->trace) {
        held_members(s, t->at, members);
        t->members = members[t->code];
    }
    for (size_t i = 0; status == VQ_OK && i < s->heads.n; i++) {
        status = vq_cancelled(sh_cancel(s->sh))
                     ? vq_fail(err, VQ_ECANCELLED, "interrupted")
                     : sh_codebook_read(s->m, s->heads.v[i].module, &c, err);
        if (status == VQ_OK)
            compare_head(s, t, s->heads.v[i], &c, both, members, list + i * s->S);
    }
    sh_codebook_release(&c);
    free(both);
    free(members);
    return status;
}

static enum sh_rc list_alike(const struct searching *s, const struct target *t,
                             const struct like *list, size_t n)
{
    struct sh *sh = s->sh;
    size_t top = sh_opt_given(s->a, "top") ? (size_t)sh_opt_int(s->a, "top") : 20, shown = 0;
    char name[32];
    sh_list(sh, "module head code sim dist both overlap");
    for (size_t i = 0; i < n && shown < top; i++) {
        const struct like *l = &list[i];
        if (l->at.module == t->at.module && l->at.head == t->at.head && l->code == t->code)
            continue;
        shown++;
        sh_row(sh);
        sh_str(sh, "module", sh_module_name(l->at.module, -1, name));
        sh_int(sh, "head", l->at.head);
        sh_uint(sh, "code", l->code);
        sh_f64(sh, "sim", l->sim);
        sh_f64(sh, "dist", l->dist);
        if (isnan(l->overlap))
            continue;
        sh_uint(sh, "both", l->both);
        sh_f64(sh, "overlap", l->overlap);
    }
    return sh_end(sh);
}

static enum sh_rc by_likeness(const struct searching *s)
{
    struct vq_err err = {0};
    struct target t = {0};
    enum sh_rc rc = parse_target(s, &t);
    if (rc != SH_OK)
        return rc;
    size_t n = s->heads.n * s->S;
    struct like *list = vq_alloc(n, sizeof(*list));
    enum vq_status status =
        list ? compare_all(s, &t, list, &err) : vq_nomem(&err, "codes", n, sizeof(*list));
    if (status == VQ_OK) {
        qsort(list, n, sizeof(*list), more_alike);
        rc = list_alike(s, &t, list, n);
    } else {
        rc = sh_fail(s->sh, &err);
    }
    free(list);
    free(t.vector);
    return rc;
}

/* ---- the command ---- */

static enum sh_rc search(const struct searching *s)
{
    bool like = sh_opt_given(s->a, "like");
    if (like == (sh_arg_count(s->a) > 0))
        return sh_bad_arg(s->sh, 0, "what for? give a TOKEN, or --like MODULE/CODE");
    if (!like && !s->trace)
        return sh_failf(s->sh, "nothing was fed in this session: feed a text, or give --over");
    return like ? by_likeness(s) : by_token(s);
}

static enum sh_rc run_search(struct sh *sh, const struct sh_args *a)
{
    struct sh_model *m = sh_model_current(sh);
    struct searching s = {.sh = sh, .a = a, .m = m, .S = (size_t)vq_model_config(m->model)->n_code};
    struct vq_trace *trace;
    bool owned;
    enum sh_rc rc = sh_heads_option(sh, a, "modules", m, &s.heads);
    if (rc != SH_OK)
        return rc;
    rc = sh_trace_pick(sh, a, m, &trace, &owned);
    if (rc == SH_OK) {
        s.trace = trace;
        rc = search(&s);
        if (owned)
            vq_trace_free(trace);
    }
    sh_heads_release(&s.heads);
    return rc;
}

static const struct sh_opt search_opts[] = {
    {.name = "like", .kind = SH_TEXT, .value = "MODULE/CODE", .help = "codes like this one"},
    SH_OVER_OPT,
    {.name = "modules", .letter = 'm', .kind = SH_MODULES, .help = "among these alone"},
    {.name = "top",
     .letter = 'n',
     .kind = SH_INT,
     .def = "3",
     .min = 1,
     .max = 1e6,
     .help = "codes to show: of each module, or with --like in all (default 20)"},
    SH_OPT_END};
static const char *const search_examples[] = {
    "search e --over README.md", "search \"the \" --over README.md --top 1",
    "search --like 0.1/7 --over README.md", "search --like 0.1/7 --modules 0.1 --top 5", NULL};
const struct sh_cmd cmd_search = {
    .name = "search",
    .group = "inspect",
    .args = "TOKEN | --like MODULE/CODE",
    .summary = "find codes by the token that falls on them, or by likeness",
    .detail =
        "TOKEN is one token as it is shown (<eos>, \\n, ▁the), else a text, of which the last "
        "token is looked at where the whole of it stands. share_of_token is the part of these "
        "places that fell on the code, share_of_code the part of the code's members that they "
        "are. Both are over the tokens remembered (see `help code`).\n\n"
        "--like compares with every code of all modules and heads: sim and dist are between "
        "the vectors (each module has a space of its own, so across modules they mean little); "
        "both counts the tokens that fell on either code and on the other, overlap is that "
        "over the tokens that fell on any of the two. Sorted by overlap, or by sim when "
        "nothing was fed.",
    .examples = search_examples,
    .max_args = 1,
    .kinds = {SH_TEXT},
    .needs = SH_NEED_MODEL,
    .opts = search_opts,
    .run = run_search,
};
