/*
 * Files where the system does not play along: network file systems, reads that fail, and what a
 * loss of power would leave. The system calls that matter are counted, ordered and made to fail
 * here, in front of the C library's.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/file.h"

enum { SIZE = 300000 };

static struct vq_err err;
static char folder[] = "/tmp/vqsh-file-XXXXXX", place[64], bytes[SIZE];

/* ---- the system ---- */

static unsigned long type; /* of the file system, 0: as it is */
static bool no_type;       /* it cannot be asked */
static size_t readable;    /* bytes until a read fails with read_errno, or the file ends (0) */
static int read_errno;
static bool limited;
static char calls[64]; /* w: write, f: sync of a file, d: of a folder, r: rename */
static char fails;     /* one of them, with EIO */

int fstatfs(int fd, struct statfs *fs)
{
    int rc = no_type ? -1 : (int)syscall(SYS_fstatfs, fd, fs);
    if (rc == 0 && type)
        fs->f_type = (__typeof__(fs->f_type))type;
    return rc;
}

ssize_t read(int fd, void *to, size_t n)
{
    if (limited && readable == 0) {
        errno = read_errno;
        return read_errno ? -1 : 0;
    }
    n = limited && n > readable ? readable : n;
    ssize_t got = syscall(SYS_read, fd, to, n);
    readable -= limited && got > 0 ? (size_t)got : 0;
    return got;
}

/* Notes a call; false if it is to fail. Writes beside each other are one. */
static bool call(char what)
{
    size_t n = strlen(calls);
    if (!(what == 'w' && n && calls[n - 1] == 'w') && n + 1 < sizeof(calls))
        calls[n] = what;
    errno = EIO;
    return fails != what;
}

ssize_t write(int fd, const void *from, size_t n)
{
    if (fd > STDERR_FILENO && !call('w'))
        return -1;
    return syscall(SYS_write, fd, from, n);
}

int fsync(int fd)
{
    struct stat st;
    bool folder_fd = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
    return call(folder_fd ? 'd' : 'f') ? (int)syscall(SYS_fsync, fd) : -1;
}

int rename(const char *from, const char *to)
{
    return call('r') ? (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0) : -1;
}

/* ---- tests ---- */

static int begin(void **state)
{
    (void)state;
    type = 0;
    no_type = limited = false;
    fails = '\0';
    assert_int_equal(vq_file_replace(place, bytes, SIZE, &err), VQ_OK);
    memset(calls, 0, sizeof(calls));
    return 0;
}

/* No pages can vanish from a file that is no mapping. */
static void on_a_network(void **state)
{
    static const unsigned long network[] = {0x6969,     0xff534d42, 0xfe534d42, 0x517b,
                                            0x65735546, 0x01021997, 0x00c36400, 0x5346414f,
                                            0x73757245, 0x0bd00bd0, 0x47504653, 0x19830326,
                                            0xaad7aaea, 0x7461636f, 0x01161970};
    struct vq_file f;
    (void)state;
    for (size_t i = 0; i <= sizeof(network) / sizeof(network[0]); i++) {
        no_type = i == sizeof(network) / sizeof(network[0]);
        type = no_type ? 0 : network[i];
        assert_int_equal(vq_file_open(&f, place, &err), VQ_OK);
        assert_int_equal(f.mapped, 0);
        assert_int_equal(truncate(place, 10), 0);
        vq_file_forget(&f, f.data, f.size);
        assert_int_equal(f.size, SIZE);
        assert_memory_equal(f.data, bytes, SIZE);
        vq_file_close(&f);
        assert_int_equal(vq_file_replace(place, bytes, SIZE, &err), VQ_OK);
    }
    no_type = false;
    for (size_t i = 0; i < 2; i++) {
        type = i ? 0x58465342 /* XFS */ : 0xef53 /* ext4 */;
        assert_int_equal(vq_file_open(&f, place, &err), VQ_OK);
        assert_int_equal(f.mapped, 1);
        assert_memory_equal(f.data, bytes, SIZE);
        vq_file_close(&f);
    }
}

/* A connection that is lost, and a file that has become shorter, half-way through. */
static void reads_that_fail(void **state)
{
    struct vq_file f;
    (void)state;
    type = 0x6969;
    for (int i = 0; i < 2; i++) {
        limited = true;
        readable = 123456;
        read_errno = i ? ESTALE : 0;
        assert_int_not_equal(vq_file_open(&f, place, &err), VQ_OK);
        assert_non_null(strstr(err.msg, place));
        assert_non_null(strstr(err.msg, "read 123456 of 300000 bytes"));
        assert_true(!i || strstr(err.msg, strerror(ESTALE)));
        vq_file_close(&f);
    }
}

static bool holds(const char *what, size_t n)
{
    struct vq_file f;
    assert_int_equal(vq_file_open(&f, place, &err), VQ_OK);
    bool same = f.size == n && memcmp(f.data, what, n) == 0;
    vq_file_close(&f);
    return same;
}

/* The bytes are on the disk before the name leads to them, and then the name. */
static void synced_in_order(void **state)
{
    char *tmp, inside[160], new[64];
    (void)state;
    assert_int_equal(vq_file_replace(place, "new", 3, &err), VQ_OK);
    assert_string_equal(calls, "wfrd");
    assert_true(holds("new", 3));
    memset(calls, 0, sizeof(calls));
    snprintf(new, sizeof(new), "%s/set", folder);
    assert_int_equal(vq_folder_open(&tmp, new, &err), VQ_OK);
    snprintf(inside, sizeof(inside), "%s/part", tmp);
    assert_int_equal(vq_file_replace(inside, bytes, SIZE, &err), VQ_OK);
    assert_int_equal(vq_folder_commit(tmp, new, &err), VQ_OK);
    assert_string_equal(calls, "wfrdrd");
    free(tmp);
    snprintf(inside, sizeof(inside), "%s/part", new);
    assert_int_equal(unlink(inside), 0);
    assert_int_equal(rmdir(new), 0);
}

/* Whatever fails before the name is changed leaves the old file, no other, and says so. */
static void steps_that_fail(void **state)
{
    static const char *const steps[] = {"w", "wf", "wfr"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        memset(calls, 0, sizeof(calls));
        fails = steps[i][i];
        assert_int_not_equal(vq_file_replace(place, "new", 3, &err), VQ_OK);
        assert_string_equal(calls, steps[i]);
        assert_non_null(strstr(err.msg, place));
        assert_true(holds(bytes, SIZE));
    }
    fails = 'd'; /* there are file systems that cannot: the file is there all the same */
    assert_int_equal(vq_file_replace(place, "new", 3, &err), VQ_OK);
    assert_true(holds("new", 3));
    fails = '\0';
    assert_int_equal(unlink(place), 0);
    assert_int_equal(rmdir(folder), 0); /* nothing else was left in it */
    assert_int_equal(mkdir(folder, 0700), 0);
}

static int make_folder(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 7 + i / 256);
    return !mkdtemp(folder) || snprintf(place, sizeof(place), "%s/file", folder) < 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(place);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(on_a_network, begin),
        cmocka_unit_test_setup(reads_that_fail, begin),
        cmocka_unit_test_setup(synced_in_order, begin),
        cmocka_unit_test_setup(steps_that_fail, begin),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
