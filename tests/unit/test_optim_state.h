/*
 * What the tests of optimiser state and of trajectories share: configuration and layout of a case
 * of tests/data (or of the full golden set), and an optimiser made for it.
 */
#ifndef VQ_TEST_OPTIM_STATE_H
#define VQ_TEST_OPTIM_STATE_H

#include "tests/unit/golden.h"

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/train/opt_state.h"
#include "core/train/optim.h"

struct optim_case {
    struct vq_config config;
    struct vq_params *layout;
    struct vq_optim *optim;
};

static inline struct vq_config read_config(const char *path)
{
    struct vq_settings s;
    struct vq_file f;
    struct vq_json *doc;
    struct vq_err err = {0};
    vq_settings_default(&s);
    assert_ok(vq_file_open(&f, path, &err), &err);
    assert_ok(vq_json_parse(&doc, (const char *)f.data, f.size, &err), &err);
    assert_ok(vq_settings_json(&s, vq_json_root(doc), VQ_FROM_FILE, &err), &err);
    vq_json_free(doc);
    vq_file_close(&f);
    return s.v;
}

/* config.json of a folder; `optimizer`, if not NULL, with its clip and decay, instead of what that
 * says. */
static inline struct optim_case open_case(const char *folder, const char *optimizer, double clip,
                                          double decay)
{
    char path[256];
    struct vq_err err = {0};
    struct optim_case c;
    snprintf(path, sizeof(path), "%s/config.json", folder);
    c.config = read_config(path);
    if (optimizer) {
        snprintf(c.config.optimizer, sizeof(c.config.optimizer), "%s", optimizer);
        c.config.grad_clip = clip;
        c.config.wd_lam = decay;
    }
    assert_ok(vq_params_new(&c.layout, &c.config, &err), &err);
    assert_ok(vq_optim_new(&c.optim, c.layout, &c.config, &err), &err);
    return c;
}

static inline void close_case(struct optim_case *c)
{
    vq_optim_free(c->optim);
    vq_params_free(c->layout);
}

#endif
