/*
 * complete_runs: what could stand in filters, lists of attributes and SQL queries, out of the run
 * database. Looking never makes a database.
 */
#ifndef VQ_REPL_COMPLETE_RUNS_H
#define VQ_REPL_COMPLETE_RUNS_H

#include <stddef.h>

#include "repl/sh.h"

/* Receives each name, whether or not it fits what is typed. */
typedef void (*sh_offer)(void *ud, const char *name);

/* Attributes of runs, for columns and sort keys; after the name of a family its members. */
void sh_offer_fields(struct sh *sh, const char *typed, sh_offer offer, void *ud);

void sh_offer_metrics(struct sh *sh, sh_offer offer, void *ud);
void sh_offer_tags(struct sh *sh, sh_offer offer, void *ud);

/* The word of a filter that is being typed: attributes, or behind an operator what could be
 * compared with. skip() tells how many bytes of it stay as they are. */
size_t sh_filter_skip(const char *word);
void sh_offer_filter(struct sh *sh, const char *word, sh_offer offer, void *ud);

/* The last name of a query that is being typed: tables, columns, keywords; after "table." the
 * columns of that table, after another dot (an alias) all columns. */
size_t sh_sql_skip(const char *query);
void sh_offer_sql(struct sh *sh, const char *query, sh_offer offer, void *ud);

#endif
