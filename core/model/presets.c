/*
 * presets: the authors' three configurations, the small text model that comes with us, and some
 * that a laptop trains in minutes (text-tiny) or hours (text-medium, emoji-small). A row holds what
 * a preset adds to the defaults, in the words that --set would use.
 */
#include "core/model/config.h"

#include <stdio.h>
#include <string.h>

struct preset {
    const char *name;
    const char *values; /* "field=value" separated by spaces */
};

static const struct preset presets[] = {
    {"enwik8",
     "d_model=768 d_k=128 d_v=1536 n_head=1 n_code=512 n_layer=24 n_vocab=259 d_ff=0 "
     "mem_len=512 block_len=512 agg_cache=1 grad_thru_cache=1 pe_abs=0 e_tie=0 e_preln=0 "
     "e_scale=1 pe_lam=100000 sequence_len=8192 update_len=2048 global_batch_size=128 "
     "p_dropemb=0 p_dropsin=0.2 p_dropres=0.5 p_droplyr=0.3 p_nucleus=0.9 c_beta=0.0001 "
     "c_gamma=0.99 optimizer=adamw lr_schedule=cosine lr_max=0.0004 grad_clip=0.1 wd_lam=0.0002 "
     "n_warmup_step=10000 n_max_step=125000 n_extra_step=0 vocab=bytes"},
    {"pg19",
     "d_model=2048 d_k=128 d_v=4096 n_head=1 n_code=512 n_layer=24 n_vocab=32000 d_ff=0 "
     "mem_len=512 block_len=512 agg_cache=1 grad_thru_cache=1 pe_abs=0 e_tie=1 e_preln=1 "
     "e_scale=0.005 pe_lam=100000 sequence_len=8192 update_len=2048 global_batch_size=128 "
     "p_dropemb=0 p_dropsin=0.1 p_dropres=0.1 p_droplyr=0.1 p_nucleus=0.8 c_beta=0.0001 "
     "c_gamma=0.99 optimizer=adafactor lr_schedule=cosine lr_max=0.01 grad_clip=none wd_lam=0 "
     "n_warmup_step=10000 n_max_step=500000 n_extra_step=0 vocab=ids"},
    {"imagenet64",
     "d_model=2048 d_k=128 d_v=4096 n_head=1 n_code=512 n_layer=24 n_vocab=259 d_ff=0 "
     "mem_len=512 block_len=512 agg_cache=1 grad_thru_cache=1 pe_abs=1 e_tie=1 e_preln=1 "
     "e_scale=0.005 pe_lam=100000 sequence_len=12288 update_len=1536 global_batch_size=128 "
     "p_dropemb=0 p_dropsin=0.1 p_dropres=0 p_droplyr=0 p_nucleus=0.999 c_beta=0.0001 "
     "c_gamma=0.99 optimizer=adafactor lr_schedule=cosine lr_max=0.01 grad_clip=none wd_lam=0 "
     "n_warmup_step=10000 n_max_step=500000 n_extra_step=0 vocab=image64"},
    {"text-small",
     "d_model=128 d_k=32 d_v=256 n_head=1 n_code=64 n_layer=3 n_vocab=259 d_ff=0 "
     "mem_len=128 block_len=128 agg_cache=1 grad_thru_cache=1 pe_abs=0 e_tie=0 e_preln=0 "
     "e_scale=1 pe_lam=100000 sequence_len=4096 update_len=512 global_batch_size=16 "
     "p_dropemb=0 p_dropsin=0 p_dropres=0 p_droplyr=0 p_nucleus=0.9 c_beta=0.0001 "
     "c_gamma=0.99 optimizer=adamw lr_schedule=cosine lr_max=0.004 grad_clip=0.1 wd_lam=0.0002 "
     "n_warmup_step=100 n_max_step=2400 n_extra_step=0 vocab=bytes"},
    {"text-tiny",
     "d_model=96 d_k=32 d_v=192 n_head=1 n_code=64 n_layer=2 n_vocab=259 d_ff=0 "
     "mem_len=64 block_len=64 agg_cache=1 grad_thru_cache=1 pe_abs=0 e_tie=0 e_preln=0 "
     "e_scale=1 pe_lam=100000 sequence_len=512 update_len=256 global_batch_size=8 "
     "p_dropemb=0 p_dropsin=0 p_dropres=0 p_droplyr=0 p_nucleus=0.9 c_beta=0.0001 "
     "c_gamma=0.99 optimizer=adamw lr_schedule=cosine lr_max=0.004 grad_clip=0.1 wd_lam=0.0002 "
     "n_warmup_step=50 n_max_step=1000 n_extra_step=0 vocab=bytes"},
    {"text-medium",
     "d_model=256 d_k=64 d_v=512 n_head=1 n_code=128 n_layer=4 n_vocab=259 d_ff=0 "
     "mem_len=128 block_len=128 agg_cache=1 grad_thru_cache=1 pe_abs=0 e_tie=0 e_preln=1 "
     "e_scale=1 pe_lam=100000 sequence_len=8192 update_len=512 global_batch_size=8 "
     "p_dropemb=0 p_dropsin=0 p_dropres=0 p_droplyr=0 p_nucleus=0.9 c_beta=0.0001 "
     "c_gamma=0.99 optimizer=adamw lr_schedule=cosine lr_max=0.0025 grad_clip=0.1 wd_lam=0.0002 "
     "n_warmup_step=200 n_max_step=5500 n_extra_step=0 vocab=bytes"},
    {"emoji-small",
     "d_model=192 d_k=64 d_v=384 n_head=1 n_code=128 n_layer=4 n_vocab=259 d_ff=0 "
     "mem_len=192 block_len=192 agg_cache=1 grad_thru_cache=1 pe_abs=1 e_tie=1 e_preln=1 "
     "e_scale=0.07 pe_lam=100000 sequence_len=12288 update_len=768 global_batch_size=4 "
     "p_dropemb=0 p_dropsin=0 p_dropres=0 p_droplyr=0 p_nucleus=0.999 c_beta=0.0001 "
     "c_gamma=0.99 optimizer=adamw lr_schedule=cosine lr_max=0.0025 grad_clip=0.1 wd_lam=0.0002 "
     "n_warmup_step=200 n_max_step=9000 n_extra_step=0 vocab=image64"},
};
enum { N_PRESET = sizeof(presets) / sizeof(presets[0]) };

size_t vq_preset_count(void)
{
    return N_PRESET;
}

const char *vq_preset_name(size_t i)
{
    return i < N_PRESET ? presets[i].name : NULL;
}

/* Takes the next "field=value" off *at; false at the end. The rows are ours and well formed. */
static bool next_pair(const char **at, char name[32], char value[32])
{
    size_t n_name = strcspn(*at, "=");
    if (!(*at)[n_name])
        return false;
    const char *v = *at + n_name + 1;
    size_t n_value = strcspn(v, " ");
    snprintf(name, 32, "%.*s", (int)n_name, *at);
    snprintf(value, 32, "%.*s", (int)n_value, v);
    *at = v + n_value + strspn(v + n_value, " ");
    return true;
}

static const struct preset *find(const char *name)
{
    for (size_t i = 0; i < N_PRESET; i++)
        if (!strcmp(presets[i].name, name))
            return &presets[i];
    return NULL;
}

enum vq_status vq_settings_preset(struct vq_settings *s, const char *preset, struct vq_err *err)
{
    const struct preset *p = find(preset);
    if (!p) {
        struct vq_text names = {0};
        for (size_t i = 0; i < N_PRESET; i++)
            vq_text_printf(&names, "%s%s", i ? ", " : "", presets[i].name);
        enum vq_status st = vq_fail(err, VQ_EINVAL, "unknown preset '%.64s': known are %s", preset,
                                    names.data ? names.data : "");
        vq_text_release(&names);
        return st;
    }
    char name[32], value[32];
    for (const char *at = p->values; next_pair(&at, name, value);) {
        enum vq_status st = vq_settings_set(s, name, value, VQ_FROM_PRESET, err);
        if (st) {
            vq_err_prefix(err, "preset %s", p->name);
            return st;
        }
    }
    snprintf(s->preset, sizeof(s->preset), "%s", p->name);
    return VQ_OK;
}

/* Whether the fields that a checkpoint's shapes tell are the preset's. */
static bool same_shapes(const struct vq_settings *s, const struct preset *p)
{
    char name[32], value[32], mine[sizeof(s->v.vocab)];
    for (const char *at = p->values; next_pair(&at, name, value);) {
        int i = vq_config_field_find(name);
        if (vq_config_field_at((size_t)i)->told_by &&
            strcmp(value, vq_settings_text(s, (size_t)i, mine, sizeof(mine))))
            return false;
    }
    return true;
}

const char *vq_preset_guess(const struct vq_settings *s)
{
    for (size_t i = 0; i < N_PRESET; i++)
        if (same_shapes(s, &presets[i]))
            return presets[i].name;
    return NULL;
}
