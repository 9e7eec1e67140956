/*
 * batches_data: batches of a data set. A place in one is five numbers, which core/data gives and
 * takes.
 */
#include "core/train/batches.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

static enum vq_status next_data(void *ud, int32_t *targets, size_t *rows, struct vq_err *err)
{
    return vq_data_next(ud, targets, NULL, rows, err);
}

static int64_t data_left(void *ud)
{
    (void)ud;
    return -1;
}

/* The parts of a place. Numbers are written as text: JSON's are doubles to most readers. */
#define N_PART 5
static void parts_of(struct vq_data_state *s, const char *names[N_PART], uint64_t *values[N_PART])
{
    const char *const all[N_PART] = {"seed", "epoch", "group", "index", "elements"};
    uint64_t *const at[N_PART] = {&s->seed, &s->epoch, &s->group, &s->index, &s->elements};
    memcpy(names, all, sizeof(all));
    memcpy(values, at, sizeof(at));
}

static void tell_data(void *ud, struct vq_text *out)
{
    struct vq_data_state s = vq_data_tell(ud);
    const char *names[N_PART];
    uint64_t *values[N_PART];
    parts_of(&s, names, values);
    for (size_t i = 0; i < N_PART; i++)
        vq_text_printf(out, "%s\"%s\": \"%" PRIu64 "\"", i ? ", " : "{", names[i], *values[i]);
    vq_text_puts(out, "}");
}

static enum vq_status seek_data(void *ud, const struct vq_json_node *place, struct vq_err *err)
{
    struct vq_data_state s;
    const char *names[N_PART];
    uint64_t *values[N_PART];
    parts_of(&s, names, values);
    for (size_t i = 0; i < N_PART; i++) {
        const struct vq_json_node *n = vq_json_get(place, names[i]);
        const char *text = n && vq_json_kind(n) == VQ_JSON_STRING ? vq_json_string(n) : "";
        char *end;
        *values[i] = strtoull(text, &end, 10);
        if (*text < '0' || *text > '9' || *end)
            return vq_fail(err, VQ_EFORMAT, "expected a number as %s", names[i]);
    }
    return vq_data_seek(ud, &s, err);
}

static void free_data(void *ud)
{
    vq_data_free(ud);
}

enum vq_status vq_batches_data(struct vq_batches *out, const char *spec,
                               const struct vq_data_options *options, struct vq_data **data,
                               struct vq_err *err)
{
    struct vq_data *d;
    *out = (struct vq_batches){0};
    enum vq_status st = vq_data_open(&d, spec, options, err);
    if (st)
        return st;
    *out = (struct vq_batches){.batch = options->batch,
                               .length = options->sequence_len,
                               .ud = d,
                               .next = next_data,
                               .left = data_left,
                               .tell = tell_data,
                               .seek = seek_data,
                               .free = free_data};
    if (asprintf(&out->identity, "%s %s %" PRIu64, vq_data_info(d).kind,
                 vq_split_name(options->split), vq_data_tell(d).elements) < 0) {
        out->identity = NULL;
        vq_batches_release(out);
        return vq_nomem(err, "data", 64, 1);
    }
    if (data)
        *data = d;
    return VQ_OK;
}
