#include "repl/editor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "repl/out.h"
#include "repl/signals.h"
#include "repl/spawn.h"

static const char *editor(void)
{
    const char *visual = getenv("VISUAL"), *plain = getenv("EDITOR");
    if (visual && *visual)
        return visual;
    return plain && *plain ? plain : "vi";
}

/* A new private file with the text in it; its name into path. */
static enum vq_status make_file(char *path, size_t room, const char *text, size_t len,
                                struct vq_err *err)
{
    const char *tmp = getenv("TMPDIR");
    int n = snprintf(path, room, "%s/vqsh-XXXXXX.txt", tmp && *tmp ? tmp : "/tmp");
    int fd = n > 0 && (size_t)n < room ? mkstemps(path, 4) : -1;
    if (fd < 0)
        return vq_fail_errno(err, errno, "cannot make a file for the editor");
    bool whole = write(fd, text, len) == (ssize_t)len;
    whole = close(fd) == 0 && whole;
    if (whole)
        return VQ_OK;
    unlink(path);
    return vq_fail(err, VQ_EIO, "%s: cannot be written", path);
}

static enum vq_status run_editor(const char *path, struct vq_err *err)
{
    struct vq_text command = {0};
    pid_t pid;
    vq_text_puts(&command, editor());
    vq_text_puts(&command, " '");
    for (const char *p = path; *p; p++) {
        vq_text_puts(&command, *p == '\'' ? "'\\'" : "");
        vq_text_put(&command, p, 1);
    }
    vq_text_puts(&command, "'");
    fflush(NULL);
    enum vq_status status = command.failed ? vq_fail(err, VQ_ENOMEM, "out of memory")
                                           : sh_spawn(command.data, -1, &pid, err);
    vq_text_release(&command);
    if (status != VQ_OK)
        return status;
    int code = sh_spawn_wait(pid);
    sh_signals_clear(); /* an interrupt was the editor's */
    return code == 0 ? VQ_OK
                     : vq_fail(err, VQ_EINVAL, "the editor (%s) returned %d; nothing was noted",
                               editor(), code);
}

enum vq_status sh_edit(struct sh *sh, const char *text, size_t len, struct vq_text *out,
                       struct vq_err *err)
{
    char path[4096];
    struct vq_file f;
    enum vq_status status = make_file(path, sizeof(path), text, len, err);
    if (status != VQ_OK)
        return status;
    sh_progress_clear(sh);
    status = run_editor(path, err);
    if (status == VQ_OK)
        status = vq_file_open(&f, path, err);
    if (status == VQ_OK) {
        size_t n = f.size;
        while (n > 0 && (f.data[n - 1] == '\n' || f.data[n - 1] == '\r'))
            n--;
        vq_text_put(out, (const char *)f.data, n);
        vq_file_close(&f);
        if (out->failed)
            status = vq_fail(err, VQ_ENOMEM, "out of memory for the note");
    }
    unlink(path);
    return status;
}
