/*
 * json_check: does a session under `--format json` keep its promises?
 *
 *     json_check SPEC < OUTPUT
 *
 * Each line of SPEC that is not empty and no comment is one command and what it must answer:
 *
 *     info => object name path config.d_model
 *     next -k 3 => array rank id token prob/f32 logprob/f32
 *     output x.txt => nothing
 *
 * OUTPUT must be one JSON value on a line of its own for each command that answers, in order, of
 * that kind and with those keys (in each row of an array, of which there must be one at least);
 * a number has at most 17 significant digits, with /f32 at most 9.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "tests/tools/json_member.h"

static int faults;

static void fault(const char *command, const char *what, const char *detail)
{
    printf("%s: %s%s%s\n", command, what, *detail ? ": " : "", detail);
    faults++;
}

/* Significant digits of a number that begins at s; its length to *len. 0 for integers, which are
 * exact however long. */
static int digits(const char *s, size_t *len)
{
    int n = 0;
    bool real = false, mantissa = true;
    *len = strspn(s, "+-0123456789.eE");
    for (size_t i = 0; i < *len; i++) {
        mantissa = mantissa && s[i] != 'e' && s[i] != 'E';
        real = real || s[i] == '.' || !mantissa;
        if (mantissa && isdigit((unsigned char)s[i]) && (n || s[i] != '0'))
            n++;
    }
    return real ? n : 0;
}

/* Every number of a line outside its strings. */
static void check_numbers(const char *command, const char *line)
{
    bool string = false;
    for (const char *p = line; *p; p++) {
        size_t len = 1;
        if (string && *p == '\\' && p[1]) {
            p++;
        } else if (*p == '"') {
            string = !string;
        } else if (!string && (*p == '-' || isdigit((unsigned char)*p))) {
            if (digits(p, &len) > 17)
                fault(command, "a number of more than 17 digits", p);
            p += len - 1;
        }
    }
}

/* All values of "key": in the line have at most 9 digits. */
static void check_f32(const char *command, const char *line, const char *key)
{
    char name[128];
    size_t len;
    int n = snprintf(name, sizeof(name), "\"%s\":", key);
    for (const char *p = line; (p = strstr(p, name)); p += n)
        if (digits(p + n, &len) > 9)
            fault(command, "a float of more than 9 digits", p);
}

static void check_keys(const char *command, const char *line, const struct vq_json_node *n,
                       const char *keys)
{
    char key[128];
    for (const char *p = keys + strspn(keys, " "); *p; p += strspn(p, " ")) {
        size_t len = strcspn(p, " ");
        snprintf(key, sizeof(key), "%.*s", (int)len, p);
        p += len;
        char *type = strchr(key, '/');
        if (type)
            *type = '\0';
        if (!member(n, key))
            fault(command, "has no key", key);
        if (type)
            check_f32(command, line, strrchr(key, '.') ? strrchr(key, '.') + 1 : key);
    }
}

static void check_value(const char *command, const char *line, const char *kind, const char *keys)
{
    struct vq_json *doc;
    struct vq_err err;
    if (vq_json_parse(&doc, line, strlen(line), &err) != VQ_OK) {
        fault(command, err.msg, line);
        return;
    }
    const struct vq_json_node *root = vq_json_root(doc);
    bool array = strcmp(kind, "array") == 0;
    if (vq_json_kind(root) != (array ? VQ_JSON_ARRAY : VQ_JSON_OBJECT))
        fault(command, "is not an", kind);
    else if (!array)
        check_keys(command, line, root, keys);
    else if (!vq_json_first(root))
        fault(command, "the array is empty", "");
    for (const struct vq_json_node *e = array ? vq_json_first(root) : NULL; e; e = vq_json_next(e))
        check_keys(command, line, e, keys);
    vq_json_free(doc);
    check_numbers(command, line);
}

/* Splits "COMMAND => KIND KEYS" in place. False for lines that hold none. */
static bool split(char *line, char **kind, char **keys)
{
    static char nothing[1];
    char *arrow = strstr(line, " => ");
    line[strcspn(line, "\n")] = '\0';
    if (*line == '#' || !arrow)
        return false;
    *arrow = '\0';
    *kind = arrow + 4;
    size_t n = strcspn(*kind, " ");
    *keys = (*kind)[n] ? *kind + n + 1 : nothing;
    (*kind)[n] = '\0';
    return true;
}

int main(int argc, char **argv)
{
    char *line = NULL, *answer = NULL, *kind, *keys;
    size_t cap = 0, answer_cap = 0;
    FILE *spec = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (!spec) {
        fprintf(stderr, "usage: json_check SPEC < OUTPUT\n");
        return 2;
    }
    while (getline(&line, &cap, spec) > 0) {
        if (!split(line, &kind, &keys) || strcmp(kind, "nothing") == 0)
            continue;
        if (getline(&answer, &answer_cap, stdin) > 0)
            check_value(line, answer, kind, keys);
        else
            fault(line, "no answer", "");
    }
    if (getline(&answer, &answer_cap, stdin) > 0)
        fault("after the last command", "more output", answer);
    free(line);
    free(answer);
    fclose(spec);
    return faults > 0;
}
