/*
 * attention: the softmax of one query as rows that can be read: window positions and codes of the
 * aggregate together, since they share one softmax. The checks are made in double from the scores,
 * independently of the weights that the session computed.
 */
#ifndef VQ_CORE_INSPECT_ATTENTION_H
#define VQ_CORE_INSPECT_ATTENTION_H

#include "core/model/session.h"

enum vq_attention_where { VQ_AT_WINDOW, VQ_AT_AGGREGATE };
const char *vq_attention_where_name(enum vq_attention_where w); /* "window", "aggregate" */

struct vq_attention_row {
    enum vq_attention_where where;
    int64_t at;    /* absolute position of a window key, or the code of an aggregate entry */
    int32_t code;  /* the code of either */
    int64_t count; /* positions the row stands for: 1, or the members of the code */
    double weight; /* of the softmax; of a code, over all its members together */
    double score;  /* logit before the softmax; of a code, with log(count) added */
};

enum vq_attention_order {
    VQ_ATTENTION_BY_WEIGHT, /* heaviest first; ties: window before aggregate, newest first */
    VQ_ATTENTION_BY_PLACE   /* codes of the aggregate in order, then positions, oldest first */
};

/* All window keys and the codes that have members, into rows[v->window + S]; returns how many. */
size_t vq_attention_rows(struct vq_attention_row *rows, const struct vq_attention_view *v, size_t S,
                         enum vq_attention_order order);

struct vq_attention_summary {
    int64_t query;    /* absolute position */
    double window;    /* weight on window keys */
    double aggregate; /* weight on the aggregate */
    double total;     /* their sum, in double; 1 up to rounding */
    double max_error; /* largest difference of a weight from the softmax of the scores, in double */
    double entropy;   /* nats, over rows */
    int64_t positions; /* past positions attended to, the query's own included */
};
void vq_attention_summarise(struct vq_attention_summary *out, const struct vq_attention_view *v,
                            size_t S);

#endif
