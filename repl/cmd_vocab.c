/*
 * The command vocab: making vocabularies.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/mem.h"
#include "core/vocab/vocab.h"
#include "repl/cmds.h"
#include "repl/out.h"
#include "repl/runlog.h"
#include "repl/vocab_maker.h"

static enum sh_rc report(struct sh *sh, const char *path, const struct vq_vocab_trained *t)
{
    struct vq_err err = {0};
    struct vq_vocab *v;
    if (vq_vocab_open(&v, path, 0, &err) != VQ_OK)
        return sh_fail(sh, &err);
    int size = vq_vocab_size(v);
    vq_vocab_free(v);
    if (t->skipped)
        sh_warn(sh, "%llu lines are not UTF-8 and were left out", (unsigned long long)t->skipped);
    sh_run_result_int(sh, "pieces", size);
    sh_run_result_int(sh, "lines", (int64_t)t->lines);
    sh_run_file(sh, "vocab", path);
    sh_record(sh);
    sh_str(sh, "path", path);
    sh_int(sh, "pieces", size);
    sh_uint(sh, "files", t->files);
    sh_uint(sh, "lines", t->lines);
    sh_uint(sh, "bytes", t->bytes);
    sh_uint(sh, "skipped", t->skipped);
    sh_str(sh, "run", sh_run_id(sh));
    return sh_end(sh);
}

static enum sh_rc run_vocab(struct sh *sh, const struct sh_args *a)
{
    struct vq_err err = {0};
    struct vq_vocab_trained result;
    size_t n = (size_t)sh_arg_count(a) - 2;
    const char *out = sh_arg(a, 1), **paths = vq_alloc(n, sizeof(*paths));
    if (!paths)
        return sh_failf(sh, "out of memory");
    for (size_t i = 0; i < n; i++)
        paths[i] = sh_arg(a, (int)i + 2);
    const struct vq_vocab_training t = {.paths = paths,
                                        .n_paths = n,
                                        .size = (int)sh_opt_int(a, "size"),
                                        .type = sh_opt_text(a, "type"),
                                        .coverage = sh_opt_real(a, "coverage"),
                                        .cancel = sh_cancel(sh)};
    sh_run_begin(sh, NULL, NULL, NULL);
    sh_progress(sh, "making %d pieces", t.size);
    char *model;
    size_t size;
    enum vq_status status = sh_vocab_make(&t, &model, &size, &result, &err);
    if (status == VQ_OK)
        status = vq_file_replace(out, model, size, &err);
    sh_progress_clear(sh);
    free(model);
    free(paths);
    return status == VQ_OK ? report(sh, out, &result) : sh_fail(sh, &err);
}

static const struct sh_opt vocab_opts[] = {{.name = "size",
                                            .letter = 'n',
                                            .kind = SH_INT,
                                            .def = "32000",
                                            .min = 4,
                                            .max = 1e6,
                                            .help = "pieces, pad, eos and unk included"},
                                           {.name = "type",
                                            .kind = SH_CHOICE,
                                            .def = "bpe",
                                            .choices = "bpe unigram",
                                            .help = "how pieces are found"},
                                           {.name = "coverage",
                                            .kind = SH_REAL,
                                            .def = "1",
                                            .min = 0.9,
                                            .max = 1,
                                            .help = "share of the characters that get a piece"},
                                           SH_OPT_END};
static const char *const vocab_examples[] = {"vocab train words.model README.md --size 400", NULL};
const struct sh_cmd cmd_vocab = {
    .name = "vocab",
    .group = "train",
    .args = "train OUT.model FILE...",
    .summary = "make a SentencePiece vocabulary from text files",
    .detail = "The authors' settings for PG-19: byte-pair pieces, every character covered, ids 0 "
              "pad, 1 eos, 2 unk. FILE may be a folder: its *.txt files are read. Lines are the "
              "sentences. `train --set vocab=OUT.model --set n_vocab=SIZE` uses the result. "
              "Recorded as a run.",
    .examples = vocab_examples,
    .min_args = 3,
    .max_args = -1,
    .kinds = {SH_CHOICE, SH_OUTPATH, SH_PATH},
    .pos_choices = "train",
    .opts = vocab_opts,
    .run = run_vocab,
};
