/*
 * Names of tensors: which are sound, in which order they are listed, and how one is asked for.
 * Names come from files, so everything a listing or a path made of them could trip over is refused
 * here.
 */
#include "core/ckpt/format.h"

#include <string.h>

#include "core/base/utf8.h"

static bool has_control(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
            return true;
    return false;
}

/* Parts between '/'; 0 when one of them is empty. */
static size_t parts_of(const char *s, size_t n)
{
    size_t parts = 1;
    for (size_t i = 0; i <= n; i++) {
        bool at_end = i == n || s[i] == '/';
        if (at_end && (i == 0 || s[i - 1] == '/'))
            return 0;
        parts += i < n && s[i] == '/';
    }
    return parts;
}

enum vq_status vq_name_check(const char *name, size_t n, struct vq_err *err)
{
    if (n == 0)
        return vq_fail(err, VQ_EFORMAT, "a tensor's name is empty");
    if (n > VQ_NAME_MAX)
        return vq_fail(err, VQ_EFORMAT, "the name \"%.40s...\" has %zu bytes; at most %d are taken",
                       name, n, VQ_NAME_MAX);
    if (vq_utf8_check(name, n) < n || has_control(name, n))
        return vq_fail(err, VQ_EFORMAT,
                       "a tensor's name of %zu bytes holds control characters or is not UTF-8", n);
    size_t parts = parts_of(name, n);
    if (parts == 0)
        return vq_fail(err, VQ_EFORMAT, "the name \"%.*s\" has an empty part", (int)n, name);
    if (parts > VQ_NAME_PARTS)
        return vq_fail(err, VQ_EFORMAT, "the name \"%.40s...\" has %zu parts; at most %d are taken",
                       name, parts, VQ_NAME_PARTS);
    return VQ_OK;
}

bool vq_name_is_state(const char *name)
{
    static const char *const state[] = {"step", "opt_state", "generator"};
    size_t first = strcspn(name, "/");
    for (size_t i = 0; i < sizeof(state) / sizeof(state[0]); i++)
        if (strlen(state[i]) == first && memcmp(name, state[i], first) == 0)
            return true;
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Compares the runs of digits at *a and *b as numbers of any length and steps over them. */
static int compare_numbers(const char **a, const char **b)
{
    const char *x = *a + strspn(*a, "0"), *y = *b + strspn(*b, "0");
    size_t nx = strspn(x, "0123456789"), ny = strspn(y, "0123456789");
    *a = x + nx;
    *b = y + ny;
    if (nx != ny)
        return nx < ny ? -1 : 1;
    return memcmp(x, y, nx);
}

int vq_name_compare(const char *a, const char *b)
{
    const char *p = a, *q = b;
    while (*p && *q) {
        int order = 0;
        if (is_digit(*p) && is_digit(*q))
            order = compare_numbers(&p, &q);
        else
            order = (unsigned char)*p++ - (unsigned char)*q++;
        if (order != 0)
            return order;
    }
    if (*p || *q)
        return *p ? 1 : -1;
    return strcmp(a, b); /* "a01" and "a1" are two names */
}

bool vq_name_matches(const char *name, const char *asked)
{
    for (; *name && *asked; name++, asked++)
        if (*name != *asked && !(*asked == '.' && *name == '/'))
            return false;
    return *name == *asked;
}
