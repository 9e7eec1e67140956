/*
 * query: the attention of one query of the session, wherever it stands: the last one is kept by the
 * session; for an earlier one the same tokens run again up to it.
 */
#ifndef VQ_REPL_QUERY_H
#define VQ_REPL_QUERY_H

#include "repl/models.h"
#include "repl/opt.h"

struct sh_query {
    const struct vq_session *session; /* whose last query it is */
    struct vq_session *owned;         /* the same when it was made for this; else NULL */
    int row;                          /* of the batch */
};

/* The query that --pos P asks for (the last without it) of sequence --row. Reports its own errors.
 * Release after SH_OK. The command's table has SH_QUERY_OPTS. */
enum sh_rc sh_query_find(struct sh *sh, const struct sh_args *a, struct sh_model *m,
                         struct sh_query *out);
void sh_query_release(struct sh_query *q);

#define SH_ROW_OPT                                                                                 \
    {                                                                                              \
        .name = "row", .kind = SH_INT, .def = "0", .min = 0, .max = 65535,                         \
        .help = "which sequence of a batch"                                                        \
    }
#define SH_QUERY_OPTS                                                                              \
    {.name = "pos",                                                                                \
     .kind = SH_POSITION,                                                                          \
     .value = "P",                                                                                 \
     .help = "position of the query; negative counts from the end (default: -1)"},                 \
        SH_ROW_OPT

/* --row, checked against the session's batch; reports its own error. */
enum sh_rc sh_row_pick(struct sh *sh, const struct sh_args *a, const struct vq_session *s,
                       int *row);

#endif
