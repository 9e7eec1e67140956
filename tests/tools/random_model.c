/*
 * random_model: writes an untrained model of any configuration, for tests and for trying the shell
 * where no trained model exists.
 *
 *     random_model OUT.safetensors [--preset P] [--set KEY=VALUE]... [--seed N] [--special B]
 *
 * It is what training begins with (core/train/params.h). --special adds B to the output bias of the
 * special ids, so that the model wants little else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/ckpt/ckpt.h"
#include "core/train/params.h"

struct request {
    const char *out;
    struct vq_settings settings;
    uint64_t seed;
    double special;
};

static enum vq_status write_file(const struct request *r, const struct vq_params *p,
                                 const float *block, struct vq_err *err)
{
    const char *vocab = r->settings.v.vocab;
    struct vq_text config = {0};
    struct vq_tensor_out *t = vq_calloc(p->n, sizeof(*t));
    vq_settings_to_json(&r->settings, &config);
    enum vq_status st = t && !config.failed ? VQ_OK : vq_nomem(err, "tensors", p->n, sizeof(*t));
    for (size_t i = 0; st == VQ_OK && i < p->n; i++) {
        const struct vq_param *from = &p->at[i];
        t[i] = (struct vq_tensor_out){
            .name = from->name, .dtype = VQ_F32, .rank = from->rank, .data = block + from->offset};
        memcpy(t[i].shape, from->shape, sizeof(from->shape));
    }
    const struct vq_meta meta[] = {{"format", "vqsh"}, {"config", config.data}, {"vocab", vocab}};
    if (st == VQ_OK)
        st = vq_safetensors_write(r->out, t, p->n, meta, *vocab ? 3 : 2, NULL, err);
    vq_text_release(&config);
    free(t);
    return st;
}

static enum vq_status make(const struct request *r, struct vq_err *err)
{
    struct vq_params *p = NULL;
    enum vq_status st = vq_config_check(&r->settings.v, err);
    if (st == VQ_OK)
        st = vq_params_new(&p, &r->settings.v, err);
    if (st != VQ_OK)
        return st;
    float *block = vq_params_block(p);
    const char *bias = r->settings.v.e_tie ? "token_embedder/bias_out" : "out_proj/bias";
    const struct vq_param *out = vq_params_find(p, bias);
    if (block) {
        vq_params_init(p, block, r->seed);
        for (size_t i = 0; out && i < VQ_N_SPECIAL && i < out->size; i++)
            block[out->offset + i] += (float)r->special;
        st = write_file(r, p, block, err);
    } else {
        st = vq_nomem(err, "parameters", p->floats, sizeof(*block));
    }
    free(block);
    vq_params_free(p);
    return st;
}

/* One option and its value. */
static enum vq_status take(struct request *r, const char *option, const char *value,
                           struct vq_err *err)
{
    char key[64];
    const char *eq = strchr(value, '=');
    if (strcmp(option, "--preset") == 0)
        return vq_settings_preset(&r->settings, value, err);
    if (strcmp(option, "--seed") == 0) {
        r->seed = strtoull(value, NULL, 10);
        return VQ_OK;
    }
    if (strcmp(option, "--special") == 0 && vq_text_to_f64(value, strlen(value), &r->special))
        return VQ_OK;
    if (strcmp(option, "--set") != 0 || !eq || (size_t)(eq - value) >= sizeof(key))
        return vq_fail(err, VQ_EINVAL, "%s %s: no such option", option, value);
    memcpy(key, value, (size_t)(eq - value));
    key[eq - value] = '\0';
    return vq_settings_set(&r->settings, key, eq + 1, VQ_FROM_USER, err);
}

int main(int argc, char **argv)
{
    struct request r = {.out = argv[1]};
    struct vq_err err = {0};
    enum vq_status st = VQ_OK;
    if (argc < 2 || argc % 2 != 0) {
        fprintf(stderr, "usage: random_model OUT.safetensors [--preset P] [--set KEY=VALUE]... "
                        "[--seed N] [--special B]\n");
        return 2;
    }
    vq_settings_default(&r.settings);
    for (int i = 2; st == VQ_OK && i < argc; i += 2)
        st = take(&r, argv[i], argv[i + 1], &err);
    if (st == VQ_OK)
        st = make(&r, &err);
    if (st != VQ_OK)
        fprintf(stderr, "random_model: %s\n", err.msg);
    return st != VQ_OK;
}
