/*
 * lookup: questions about the command table, and the nearest name to a misspelt one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "repl/cmds.h"

const struct sh_cmd *sh_cmd_find(const char *name)
{
    for (size_t i = 0; i < sh_cmd_count(); i++) {
        const struct sh_cmd *cmd = sh_cmd_at(i);
        if (!strcmp(cmd->name, name) || (cmd->aliases && sh_in_choices(cmd->aliases, name)))
            return cmd;
    }
    return NULL;
}

const struct sh_cmd *sh_cmd_prefix(const char *name)
{
    const struct sh_cmd *found = NULL;
    for (size_t i = 0; *name && i < sh_cmd_count(); i++) {
        const struct sh_cmd *cmd = sh_cmd_at(i);
        if (cmd->flags & SH_HIDDEN || strncmp(cmd->name, name, strlen(name)) != 0)
            continue;
        if (found)
            return NULL;
        found = cmd;
    }
    return found;
}

enum sh_kind sh_cmd_kind(const struct sh_cmd *cmd, int i)
{
    int last = 3;
    /* Kinds left out are SH_TEXT, which is 0: the last one given stands for the rest. */
    while (last > 0 && cmd->kinds[last] == SH_TEXT)
        last--;
    if (i <= last)
        return cmd->kinds[i];
    return cmd->max_args < 0 || cmd->max_args > 4 ? cmd->kinds[last] : SH_TEXT;
}

const char *sh_cmd_usage(const struct sh_cmd *cmd, char *buf, size_t len)
{
    snprintf(buf, len, "%s%s%s", cmd->name, *cmd->args ? " " : "", cmd->args);
    return buf;
}

enum { LONGEST = 40 }; /* names beyond this are not worth comparing */

/* Edits (insert, delete, replace, swap neighbours) that turn a into b. */
static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    size_t row[3][LONGEST + 1];
    if (n > LONGEST || m > LONGEST)
        return LONGEST;
    for (size_t j = 0; j <= m; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = up[j - 1] + (a[i - 1] != b[j - 1]);
            best = up[j] + 1 < best ? up[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                up2[j - 2] + 1 < best)
                best = up2[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[n % 3][m];
}

const char *sh_nearest(const char *word, const char *(*name)(void *ud, size_t i), size_t n,
                       void *ud)
{
    const char *nearest = NULL;
    size_t limit = strlen(word) / 3 + 1, best = limit + 1;
    for (size_t i = 0; i < n; i++) {
        const char *candidate = name(ud, i);
        size_t d = distance(word, candidate);
        /* A word of one or two letters is near everything. */
        if (d < best && d < strlen(word) && d < strlen(candidate)) {
            best = d;
            nearest = candidate;
        }
    }
    return nearest;
}
