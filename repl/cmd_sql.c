/*
 * The commands sql and param: queries on the run database, and values for their :names.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "repl/cmds.h"
#include "repl/runlog.h"
#include "repl/runs.h"
#include "repl/split.h"

/* ---- parameters ---- */

struct param {
    char *name, *text;
    struct vq_value value; /* its text is `text` */
};

/* Those of this session. */
static struct param *params;
static size_t n_params;

static struct param *find_param(const char *name)
{
    for (size_t i = 0; i < n_params; i++)
        if (strcmp(params[i].name, name) == 0)
            return &params[i];
    return NULL;
}

/* A whole number, a real, null, or else a text. */
static struct vq_value value_of(const char *text, bool quoted)
{
    int64_t i;
    double d;
    bool digits =
        text[0] && strspn(text + (text[0] == '-'), "0123456789") == strlen(text) - (text[0] == '-');
    if (!quoted && digits && sh_parse_int(text, &i))
        return (struct vq_value){.kind = VQ_VALUE_INT, .i = i};
    if (!quoted && sh_parse_real(text, &d))
        return (struct vq_value){.kind = VQ_VALUE_REAL, .d = d};
    if (!quoted && strcmp(text, "null") == 0)
        return (struct vq_value){.kind = VQ_VALUE_NULL};
    return (struct vq_value){.kind = VQ_VALUE_TEXT, .text = text, .len = strlen(text)};
}

static bool keep_param(const char *name, const char *text, bool quoted)
{
    struct param *p = find_param(name);
    char *copy = vq_strdup(text);
    if (!p && copy) {
        struct param *grown = vq_realloc(params, n_params + 1, sizeof(*grown));
        char *own = grown ? vq_strdup(name) : NULL;
        params = grown ? grown : params;
        if (own) {
            p = &params[n_params++];
            *p = (struct param){.name = own};
        }
    }
    if (!p || !copy) {
        free(copy);
        return false;
    }
    free(p->text);
    p->text = copy;
    p->value = value_of(copy, quoted);
    return true;
}

static void drop_param(struct param *p)
{
    free(p->name);
    free(p->text);
    n_params--;
    memmove(p, p + 1, (size_t)(params + n_params - p) * sizeof(*p));
    if (n_params == 0) {
        free(params);
        params = NULL;
    }
}

static enum sh_rc list_params(struct sh *sh)
{
    sh_list(sh, "name value");
    for (size_t i = 0; i < n_params; i++) {
        sh_row(sh);
        sh_str(sh, "name", params[i].name);
        sh_put_value(sh, "value", &params[i].value);
    }
    return sh_end(sh);
}

static bool is_name(const char *s)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    return strchr(first, s[0]) && s[0] &&
           strspn(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_") ==
               strlen(s);
}

static enum sh_rc clear_params(struct sh *sh, const char *name)
{
    size_t n = 0;
    struct param *p;
    if (name && !find_param(name))
        return sh_failf(sh, "no parameter is called %s: param lists them", name);
    while ((p = name ? find_param(name) : params)) {
        drop_param(p);
        n++;
    }
    sh_ack(sh, "%zu parameter%s forgotten", n, n == 1 ? "" : "s");
    sh_uint(sh, "forgotten", n);
    return sh_end(sh);
}

static enum sh_rc run_param(struct sh *sh, const struct sh_args *a)
{
    const char *name = sh_arg(a, 0), *text = sh_arg(a, 1);
    if (name && strchr(":@$", name[0]) && name[0])
        name++;
    if (name && !is_name(name))
        return sh_bad_arg(sh, sh_arg_word(a, 0), "a name has letters, digits and _");
    if (sh_opt_flag(a, "clear"))
        return clear_params(sh, name);
    if (!name)
        return list_params(sh);
    if (!text) {
        struct param *p = find_param(name);
        if (!p)
            return sh_failf(sh, "no parameter is called %s: param lists them", name);
        sh_record(sh);
        sh_str(sh, "name", p->name);
        sh_put_value(sh, "value", &p->value);
        return sh_end(sh);
    }
    if (!keep_param(name, text, sh->words->v[sh_arg_word(a, 1)].quoted))
        return sh_failf(sh, "out of memory");
    sh_ack(sh, ":%s is %s", name, text);
    sh_str(sh, "name", name);
    sh_put_value(sh, "value", &find_param(name)->value);
    return sh_end(sh);
}

static const struct sh_opt param_opts[] = {
    {.name = "clear", .kind = SH_FLAG, .help = "forget it, or all of them"}, SH_OPT_END};
static const char *const param_examples[] = {"param cmd score", "param least 1.5", "param",
                                             "param --clear", NULL};
const struct sh_cmd cmd_param = {
    .name = "param",
    .group = "runs",
    .args = "[NAME [VALUE]]",
    .summary = "give a value to :NAME in queries, show it, or list them all",
    .detail = "Whole numbers, reals and null are taken as such, anything else and whatever is "
              "quoted as text. Values last until the shell is left.",
    .examples = param_examples,
    .max_args = 2,
    .kinds = {SH_TEXT, SH_TEXT},
    .opts = param_opts,
    .run = run_param,
};

/* ---- sql ---- */

struct query {
    struct sh *sh;
    char **names; /* made unique */
    int n;
    bool failed;
};

/* Two columns may have one name in SQL: the second becomes "name_2". */
static char *unique_name(const struct query *q, const char *name, int i)
{
    char *made = NULL;
    for (int copy = 1; copy < 1000; copy++) {
        free(made);
        made = NULL;
        if ((copy == 1 ? asprintf(&made, "%s", name) : asprintf(&made, "%s_%d", name, copy)) < 0)
            return NULL;
        bool taken = false;
        for (int j = 0; j < i; j++)
            taken = taken || strcmp(q->names[j], made) == 0;
        if (!taken)
            break;
    }
    return made;
}

static bool announce(struct query *q, int columns, const char *const *names)
{
    q->names = vq_calloc((size_t)columns, sizeof(*q->names));
    q->failed = !q->names;
    for (int i = 0; !q->failed && i < columns; i++) {
        q->names[i] = unique_name(q, names[i], i);
        q->failed = !q->names[i];
        q->n = i + 1;
    }
    if (!q->failed)
        sh_list_names(q->sh, (const char *const *)q->names, (size_t)columns);
    return !q->failed;
}

static bool query_row(void *ud, int columns, const char *const *names,
                      const struct vq_value *values)
{
    struct query *q = ud;
    if (!values)
        return announce(q, columns, names);
    sh_row(q->sh);
    for (int i = 0; i < columns; i++)
        sh_put_value(q->sh, q->names[i], &values[i]);
    return true;
}

/* The session's parameters for the store; the caller frees the array. NULL when out of memory. */
static struct vq_parameter *given_params(void)
{
    struct vq_parameter *given = vq_alloc(n_params, sizeof(*given));
    for (size_t i = 0; given && i < n_params; i++)
        given[i] = (struct vq_parameter){params[i].name, params[i].value};
    return given;
}

static enum sh_rc run_sql(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct query q = {.sh = sh};
    int offset = -1;
    struct vq_store *store = sh_store(sh, &err);
    if (!store)
        return sh_fail(sh, &err);
    struct vq_parameter *given = given_params();
    if (!given)
        return sh_failf(sh, "out of memory");
    enum vq_status status = vq_store_query_with(store, sh_arg(a, 0), given, n_params, query_row, &q,
                                                sh_cancel(sh), &offset, &err);
    free(given);
    enum sh_rc rc = SH_OK;
    if (q.failed)
        rc = sh_failf(sh, "out of memory");
    else if (status != VQ_OK && offset >= 0)
        rc = sh_bad_arg_at(sh, sh_arg_word(a, 0), (size_t)offset, "%s", err.msg);
    else if (status != VQ_OK)
        rc = sh_fail(sh, &err);
    else if (q.names)
        rc = sh_end(sh);
    for (int i = 0; q.names && i < q.n; i++)
        free(q.names[i]);
    free(q.names);
    return rc == SH_USAGE ? SH_ERR : rc;
}

static const char *const sql_examples[] = {
    "sql \"SELECT command, count(*) AS n FROM runs GROUP BY command\"",
    "sql \"SELECT * FROM v_runs LIMIT 5\"",
    "sql SELECT run, metric, min, min_step FROM v_best ORDER BY min LIMIT 3", NULL};
const struct sh_cmd cmd_sql = {
    .name = "sql",
    .group = "runs",
    .args = "QUERY",
    .summary = "run a read-only SQL query on the run database",
    .detail =
        "One statement; whatever would write is refused. Quote the query (it may then go over "
        "several lines), or type it as it is up to the end of the line or a ';'. :name stands for "
        "a value that `param name VALUE` gave. Tab completes tables, columns and keywords.\n\n"
        " runs --+-- results       run, key, kind, value           kind: int real nan inf -inf "
        "text\n"
        "   id   |-- metrics       run, name -> metric_names.id, step, seq, time, kind, value\n"
        "        |-- metric_stats  run, name; points, min_value, max_value, last_value, ...\n"
        "        |-- samples       run, idx, seed, text, bytes, path, tokens, nats_kind, nats\n"
        "        |-- tags          run, tag\n"
        "        `-- notes         run, time, text\n"
        " runs: id name command command_line status error started_at ended_at model_name "
        "model_path\n"
        "       model_sha256 seed threads version host boot_id pid pid_start cwd config settings\n"
        "       removed_at\n\n"
        " v_runs         a line for each run: started, seconds, model, tags, ...\n"
        " v_results      run, key, value                v_samples      with text as text\n"
        " v_metrics      run, metric, step, time, value\n"
        " v_metric_last  run, metric, step, time, value of the last point\n"
        " v_best         run, metric, points, min, min_step, max, max_step\n"
        " v_files        run, path: what runs wrote\n\n"
        "A run that was removed is in the tables until it is purged, with its removed_at set, and "
        "in no view but v_files. Times are seconds since 1970; config and settings are JSON: "
        "config ->> 'd_model'. The file opens in sqlite3, DuckDB and any viewer.",
    .examples = sql_examples,
    .min_args = 1,
    .max_args = 1,
    .kinds = {SH_SQL},
    .needs = SH_NEED_STORE,
    .flags = SH_RAW,
    .run = run_sql,
};
