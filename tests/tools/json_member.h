/*
 * json_member: the paths that the tools for JSON take.
 */
#ifndef VQ_TESTS_TOOLS_JSON_MEMBER_H
#define VQ_TESTS_TOOLS_JSON_MEMBER_H

#include <stdio.h>
#include <string.h>

#include "core/base/json.h"

/* The member at a.b.c, not going through arrays; NULL when there is none. */
static inline const struct vq_json_node *member(const struct vq_json_node *n, const char *path)
{
    char key[128];
    while (n && *path) {
        size_t len = strcspn(path, ".");
        snprintf(key, sizeof(key), "%.*s", (int)len, path);
        n = vq_json_get(n, key);
        path += len + (path[len] == '.');
    }
    return n;
}

#endif
