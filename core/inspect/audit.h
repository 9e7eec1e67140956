/*
 * audit: a checkpoint file looked at byte by byte, by readers of its own that go on where opening
 * would stop: every byte is accounted for as structure, as a tensor's data or as neither, and every
 * number is looked at. Formats: Flax MessagePack (both layouts) and safetensors.
 */
#ifndef VQ_CORE_INSPECT_AUDIT_H
#define VQ_CORE_INSPECT_AUDIT_H

#include "core/ckpt/ckpt.h"

/* What can be found. The first group is wrong; what follows VQ_AUDIT_ORDER is worth knowing. */
enum vq_audit_kind {
    VQ_AUDIT_DAMAGED,   /* not to be read from here on */
    VQ_AUDIT_SIZE,      /* a tensor has other bytes than its shape and dtype ask for */
    VQ_AUDIT_OUTSIDE,   /* a tensor's bytes lie beyond the end of the file */
    VQ_AUDIT_OVERLAP,   /* bytes that belong to two tensors */
    VQ_AUDIT_GAP,       /* bytes between tensors that belong to none */
    VQ_AUDIT_TRAILING,  /* bytes behind everything */
    VQ_AUDIT_DUPLICATE, /* two tensors or keys of one name */
    VQ_AUDIT_NAN,       /* numbers that are none */
    VQ_AUDIT_INF,
    VQ_AUDIT_ORDER,     /* not in the order that the format's writers use */
    VQ_AUDIT_ALIGNMENT, /* data not on a multiple of its element's size */
    VQ_AUDIT_DEAD,      /* codes whose count is at most 0.01 */
    VQ_AUDIT_KINDS
};
const char *vq_audit_kind_name(enum vq_audit_kind k); /* "damaged", "gap", ... */
bool vq_audit_is_wrong(enum vq_audit_kind k);

struct vq_audit_finding {
    enum vq_audit_kind kind;
    uint64_t offset; /* in the file, of the first byte that is meant */
    char *what;      /* one line */
};

struct vq_audit_tensor {
    char *name; /* as vq_ckpt names it */
    enum vq_dtype dtype;
    int rank;
    int64_t shape[VQ_MAX_RANK];
    size_t chunks;       /* pieces it is stored in; 1 for most */
    uint64_t begin, end; /* bytes of the file; of the first piece to the last when chunked */
    uint64_t bytes;      /* of data */
    uint64_t nan, inf;
    uint64_t codes, dead; /* when it holds the counts of a codebook */
    bool aligned;
};

struct vq_audit {
    char format[16]; /* "safetensors", "flax", or "" when it is neither */
    uint64_t size;   /* of the file */
    /* structure + data + unclaimed = size, where bytes that two tensors claim count once. */
    uint64_t structure, data, unclaimed;
    uint64_t overlapping; /* bytes claimed twice */
    uint64_t codes, dead; /* over all codebooks' counts */
    uint64_t found[VQ_AUDIT_KINDS];
    struct vq_audit_tensor *tensor; /* in the order of the file */
    size_t n_tensor, cap_tensor;
    struct vq_audit_finding *finding; /* the first VQ_AUDIT_MOST of each kind */
    size_t n_finding, cap_finding;
};
#define VQ_AUDIT_MOST 100

/* Whether anything was found that is wrong. */
bool vq_audit_failed(const struct vq_audit *a);

/*
 * Audits the bytes of a file. Whatever is in them is a finding, not a failure; failures are
 * VQ_ENOMEM and VQ_ECANCELLED. Release with vq_audit_release(). `progress` (optional) hears how
 * many bytes of numbers were looked at.
 */
struct vq_audit_options {
    const struct vq_cancel *cancel;
    void *ud;
    void (*progress)(void *ud, uint64_t bytes);
};
enum vq_status vq_audit_bytes(struct vq_audit *out, const uint8_t *data, size_t size,
                              const struct vq_audit_options *o, struct vq_err *err);
void vq_audit_release(struct vq_audit *a);

#endif
