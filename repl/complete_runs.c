#include "repl/complete_runs.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/store/attr.h"
#include "core/store/store.h"
#include "repl/runlog.h"

static struct vq_store *store_there(struct sh *sh)
{
    return access(sh_store_path(sh), R_OK) ? NULL : sh_store(sh, NULL);
}

struct forward {
    sh_offer offer;
    void *ud;
    const char *table; /* only columns of this one; NULL: of all */
    size_t table_len;
    bool found;
    char last[128];     /* table that was named last */
    const char *family; /* goes before each name, or NULL */
};

static bool forward_name(void *ud, const char *name)
{
    struct forward *f = ud;
    char whole[160];
    if (f->family) {
        snprintf(whole, sizeof(whole), "%s%s", f->family, name);
        name = whole;
    }
    f->offer(f->ud, name);
    return true;
}

static void offer_known(struct sh *sh, enum vq_known what, const char *family, sh_offer offer,
                        void *ud)
{
    struct forward f = {.offer = offer, .ud = ud, .family = family};
    struct vq_store *store = store_there(sh);
    if (store)
        vq_store_known(store, what, forward_name, &f, NULL);
}

void sh_offer_metrics(struct sh *sh, sh_offer offer, void *ud)
{
    offer_known(sh, VQ_KNOWN_METRICS, NULL, offer, ud);
}

void sh_offer_tags(struct sh *sh, sh_offer offer, void *ud)
{
    offer_known(sh, VQ_KNOWN_TAGS, NULL, offer, ud);
}

/* The members of a family are many: they are offered once its name is typed. */
static void offer_attributes(struct sh *sh, const char *typed, sh_offer offer, void *ud)
{
    static const struct {
        const char *name;
        enum vq_known members;
    } families[] = {
        {"result.", VQ_KNOWN_RESULTS}, {"metric.", VQ_KNOWN_METRICS},
        {"min.", VQ_KNOWN_METRICS},    {"max.", VQ_KNOWN_METRICS},
        {"config.", VQ_KNOWN_CONFIG},  {"settings.", VQ_KNOWN_SETTINGS},
    };
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        if (strncmp(typed, families[i].name, strlen(families[i].name)) == 0) {
            offer_known(sh, families[i].members, families[i].name, offer, ud);
            return;
        }
    }
    struct forward f = {.offer = offer, .ud = ud};
    struct vq_store *store = store_there(sh);
    if (store)
        vq_store_attributes(store, forward_name, &f, NULL);
}

void sh_offer_fields(struct sh *sh, const char *typed, sh_offer offer, void *ud)
{
    offer_attributes(sh, typed, offer, ud);
    offer(ud, "results");
}

/* Where the operator of a test begins; the end of the word when it has none. */
static size_t operator_at(const char *word)
{
    return strcspn(word, "=!<>~");
}

size_t sh_filter_skip(const char *word)
{
    size_t at = operator_at(word);
    return word[at] ? at + strspn(word + at, "=!<>~") : strspn(word, "(");
}

/* What an attribute can be compared with, where that is one of a few. */
static void offer_compared(struct sh *sh, const char *name, size_t len, sh_offer offer, void *ud)
{
    static const struct {
        const char *name;
        enum vq_known values;
    } known[] = {{"tag", VQ_KNOWN_TAGS},
                 {"command", VQ_KNOWN_COMMANDS},
                 {"kind", VQ_KNOWN_COMMANDS},
                 {"model", VQ_KNOWN_MODELS}};
    bool status = len == 6 && strncmp(name, "status", 6) == 0;
    for (unsigned i = 0; status && i < VQ_RUN_STATUSES; i++)
        offer(ud, vq_run_status_name((enum vq_run_status)i));
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strlen(known[i].name) == len && strncmp(known[i].name, name, len) == 0)
            offer_known(sh, known[i].values, NULL, offer, ud);
}

void sh_offer_filter(struct sh *sh, const char *word, sh_offer offer, void *ud)
{
    static const char *const words[] = {"and", "or", "not"};
    size_t open = strspn(word, "("), at = operator_at(word);
    if (word[at]) {
        offer_compared(sh, word + open, at - open, offer, ud);
        return;
    }
    offer_attributes(sh, word + open, offer, ud);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        offer(ud, words[i]);
}

/* ---- SQL ---- */

static bool in_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.';
}

static bool forward_column(void *ud, const char *table, const char *column, const char *type)
{
    struct forward *f = ud;
    (void)type;
    bool wanted =
        !f->table || (strlen(table) == f->table_len && strncmp(table, f->table, f->table_len) == 0);
    if (!f->table && strcmp(table, f->last) != 0) {
        f->offer(f->ud, table);
        snprintf(f->last, sizeof(f->last), "%s", table);
    }
    f->found = f->found || (f->table && wanted);
    if (wanted)
        f->offer(f->ud, column);
    return true;
}

static bool column_only(void *ud, const char *table, const char *column, const char *type)
{
    struct forward *f = ud;
    (void)table;
    (void)type;
    f->offer(f->ud, column);
    return true;
}

/* In the case that is being typed. */
static void offer_keywords(const char *typed, sh_offer offer, void *ud)
{
    static const char *const keywords[] = {
        "SELECT",       "FROM",     "WHERE", "GROUP",  "ORDER", "BY",       "HAVING",
        "LIMIT",        "OFFSET",   "JOIN",  "LEFT",   "ON",    "AS",       "AND",
        "OR",           "NOT",      "IN",    "IS",     "NULL",  "LIKE",     "GLOB",
        "BETWEEN",      "DISTINCT", "UNION", "ALL",    "WITH",  "CASE",     "WHEN",
        "THEN",         "ELSE",     "END",   "EXISTS", "ASC",   "DESC",     "count",
        "sum",          "avg",      "min",   "max",    "round", "coalesce", "group_concat",
        "json_extract",
    };
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        char word[32];
        size_t n = strlen(keywords[i]);
        for (size_t k = 0; k <= n; k++)
            word[k] = islower((unsigned char)typed[0])
                          ? (char)tolower((unsigned char)keywords[i][k])
                          : keywords[i][k];
        offer(ud, word);
    }
}

/* Where the last name begins. */
static size_t name_at(const char *query)
{
    size_t at = strlen(query);
    while (at > 0 && in_name(query[at - 1]))
        at--;
    return at;
}

size_t sh_sql_skip(const char *query)
{
    const char *dot = strrchr(query + name_at(query), '.');
    return dot ? (size_t)(dot + 1 - query) : name_at(query);
}

void sh_offer_sql(struct sh *sh, const char *query, sh_offer offer, void *ud)
{
    struct forward f = {.offer = offer, .ud = ud};
    struct vq_store *store = store_there(sh);
    size_t at = name_at(query);
    const char *dot = strrchr(query + at, '.');
    if (store && dot) {
        f.table = query + at;
        f.table_len = (size_t)(dot - f.table);
        vq_store_columns(store, forward_column, &f, NULL);
        if (!f.found)
            vq_store_columns(store, column_only, &f, NULL);
        return;
    }
    if (store)
        vq_store_columns(store, forward_column, &f, NULL);
    if (!dot)
        offer_keywords(query + at, offer, ud);
}
