/*
 * json_pick: values out of JSON lines, for the check scripts.
 *
 *     json_pick KEY... < LINES      the values of these members, tab-separated: one line for an
 *                                   object, one for each element of an array of objects
 *
 * KEY may go deeper, a.b; an array on the way gives one line for each of its elements. Numbers are
 * printed so that they read back the same, strings as they are, a missing member as "-".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "tests/tools/json_member.h"

static void print_value(const struct vq_json_node *n)
{
    struct vq_text t = {0};
    int64_t i;
    switch (n ? vq_json_kind(n) : VQ_JSON_NULL) {
    case VQ_JSON_NUMBER:
        if (vq_json_int(n, &i))
            vq_text_printf(&t, "%lld", (long long)i);
        else
            vq_text_json_f64(&t, vq_json_number(n));
        break;
    case VQ_JSON_STRING:
        vq_text_puts(&t, vq_json_string(n));
        break;
    case VQ_JSON_BOOL:
        vq_text_puts(&t, vq_json_bool(n) ? "true" : "false");
        break;
    default:
        vq_text_puts(&t, n ? "null" : "-");
    }
    fputs(t.data ? t.data : "", stdout);
    vq_text_release(&t);
}

static void print_row(const struct vq_json_node *n, char **keys, int count)
{
    for (int i = 0; i < count; i++) {
        fputs(i ? "\t" : "", stdout);
        print_value(member(n, keys[i]));
    }
    putchar('\n');
}

/* An array that the first key passes through, with what is left of the key; NULL when none. */
static const struct vq_json_node *array_inside(const struct vq_json_node *n, const char *path,
                                               size_t *passed)
{
    char key[128];
    *passed = 0;
    while (n && vq_json_kind(n) == VQ_JSON_OBJECT && path[*passed]) {
        size_t len = strcspn(path + *passed, ".");
        snprintf(key, sizeof(key), "%.*s", (int)len, path + *passed);
        n = vq_json_get(n, key);
        *passed += len + (path[*passed + len] == '.');
    }
    return n && vq_json_kind(n) == VQ_JSON_ARRAY && path[*passed] ? n : NULL;
}

static void print_all(const struct vq_json_node *root, char **keys, int count)
{
    size_t passed = 0;
    const struct vq_json_node *array = array_inside(root, keys[0], &passed);
    if (!array && vq_json_kind(root) != VQ_JSON_ARRAY) {
        print_row(root, keys, count);
        return;
    }
    char **rest = calloc((size_t)count, sizeof(*rest));
    for (int i = 0; rest && i < count; i++)
        rest[i] = strlen(keys[i]) >= passed ? keys[i] + passed : keys[i];
    const struct vq_json_node *e = vq_json_first(array ? array : root);
    for (; rest && e; e = vq_json_next(e))
        print_row(e, rest, count);
    free(rest);
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int status = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: json_pick KEY... < LINES\n");
        return 2;
    }
    while ((n = getline(&line, &cap, stdin)) > 0) {
        struct vq_json *doc;
        struct vq_err err;
        if (vq_json_parse(&doc, line, (size_t)n, &err) != VQ_OK) {
            fprintf(stderr, "json_pick: %s: %s", err.msg, line);
            status = 1;
            continue;
        }
        print_all(vq_json_root(doc), argv + 1, argc - 1);
        vq_json_free(doc);
    }
    free(line);
    return status;
}
