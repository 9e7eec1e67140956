/*
 * modlist: names of attention modules and heads as a person writes them.
 *
 *     list  = item { ',' item }
 *     item  = ( 'all' | one [ '-' one ] ) [ ':' head ]
 *     one   = layer [ '.' attn ]          layer from 0, attn 1 or 2
 *
 * `3` is both modules of layer 3, `0-3` both of layers 0 to 3, `0.1-2.2` what lies between in the
 * order of the model, ends included. Without a head an item means all heads. Negative layers are
 * not taken: '-' is the range.
 */
#ifndef VQ_REPL_MODLIST_H
#define VQ_REPL_MODLIST_H

#include <stddef.h>

#include "core/base/err.h"

struct sh_mod {
    int module; /* layer * 2 + (attn - 1), as core numbers them */
    int head;   /* or -1: all heads */
};

/* Parses text for a model of n_layer layers and n_head heads. Entries come in the order written,
 * each pair once. *mods is the caller's to free. VQ_EINVAL: *bad (optional) is the byte offset of
 * what was not understood or does not exist. */
enum vq_status sh_modlist_parse(const char *text, int n_layer, int n_head, struct sh_mod **mods,
                                size_t *n, size_t *bad, struct vq_err *err);

/* "3.2", or "3.2:0" when head >= 0, into buf of at least 32 bytes. Returns buf. */
const char *sh_module_name(int module, int head, char buf[32]);

#endif
