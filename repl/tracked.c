#include "repl/tracked.h"

struct vq_trace *sh_trace(const struct sh_model *m)
{
    return m->trace;
}

static void free_trace(void *trace)
{
    vq_trace_free(trace);
}

struct vq_trace *sh_trace_make(struct sh_model *m, struct vq_err *err)
{
    if (m->trace)
        return m->trace;
    struct vq_trace *t;
    if (vq_trace_new(&t, vq_model_config(m->model), NULL, err) != VQ_OK)
        return NULL;
    if (vq_trace_read_codebooks(t, m->model, err) != VQ_OK) {
        vq_trace_free(t);
        return NULL;
    }
    m->trace = t;
    m->trace_free = free_trace;
    return t;
}
