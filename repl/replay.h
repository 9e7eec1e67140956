/*
 * replay: a recorded run once more: the command line that does the same again without touching what
 * the first one wrote, and what came out differently.
 */
#ifndef VQ_REPL_REPLAY_H
#define VQ_REPL_REPLAY_H

#include "core/base/text.h"
#include "core/store/store.h"
#include "repl/opt.h"

/*
 * The command of a recorded run, its options and arguments written out: files that it read by
 * their whole names, files that it wrote below `folder`, each in a folder of its own. Fails, having
 * said why, when the line cannot be done again: it read standard input, it went on from a state.
 * The current model must be the run's.
 */
enum sh_rc sh_replay_line(struct sh *sh, const struct vq_run_info *run, const char *folder,
                          struct vq_text *out);

/* One thing that came out differently. */
struct sh_difference {
    char *what; /* "result nats", "sample 3" */
    char *was, *is;
};

struct sh_replay_report {
    size_t results, points, samples, files; /* compared */
    size_t gone;                            /* files of the first run that are no longer there */
    struct sh_difference *v;
    size_t n;
    bool failed; /* out of memory */
};

/* Compares what two runs left behind: results but for rates and times, metrics point by point,
 * samples byte by byte, pictures by their pixels, other files by their bytes. */
enum vq_status sh_replay_compare(struct sh *sh, struct vq_store *store, const struct vq_run_info *a,
                                 const struct vq_run_info *b, struct sh_replay_report *out,
                                 struct vq_err *err);
void sh_replay_release(struct sh_replay_report *r);

#endif
