#include "core/base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/mem.h"

#define PIECE (1u << 20)

static enum vq_status broken(struct vq_err *err)
{
    return vq_fail(err, VQ_EUNSUPPORTED, "SHA-256 is not available from libcrypto");
}

/* Ends the digest in hex. */
static enum vq_status finish(EVP_MD_CTX *ctx, char hex[VQ_SHA256_HEX], struct vq_err *err)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (!EVP_DigestFinal_ex(ctx, sum, &len) || len != (VQ_SHA256_HEX - 1) / 2)
        return broken(err);
    for (unsigned i = 0; i < len; i++) {
        hex[2 * i] = "0123456789abcdef"[sum[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[sum[i] & 15];
    }
    hex[2 * len] = '\0';
    return VQ_OK;
}

/* A started digest; NULL and err filled when there is none to be had. */
static EVP_MD_CTX *start(struct vq_err *err)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx) {
        vq_nomem(err, "SHA-256", 1, PIECE);
        return NULL;
    }
    if (!EVP_DigestInit_ex(ctx, EVP_sha256(), NULL)) {
        EVP_MD_CTX_free(ctx);
        broken(err);
        return NULL;
    }
    return ctx;
}

enum vq_status vq_sha256(const void *data, size_t size, char hex[VQ_SHA256_HEX], struct vq_err *err)
{
    hex[0] = '\0';
    struct vq_err why = {0};
    EVP_MD_CTX *ctx = start(&why);
    if (!ctx)
        return vq_fail(err, why.code, "%s", why.msg);
    enum vq_status status = EVP_DigestUpdate(ctx, data, size) ? finish(ctx, hex, err) : broken(err);
    EVP_MD_CTX_free(ctx);
    return status;
}

static enum vq_status feed(EVP_MD_CTX *ctx, int fd, const char *path,
                           const struct vq_cancel *cancel, struct vq_err *err)
{
    enum vq_status status = VQ_OK;
    unsigned char *piece = vq_alloc(PIECE, 1);
    if (!piece)
        return vq_nomem(err, path, PIECE, 1);
    for (ssize_t n = 1; n > 0 && status == VQ_OK;) {
        if (vq_cancelled(cancel)) {
            status = vq_fail(err, VQ_ECANCELLED, "%s: cancelled", path);
            break;
        }
        n = read(fd, piece, PIECE);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n < 0)
            status = vq_fail_errno(err, errno, "%s", path);
        else if (!EVP_DigestUpdate(ctx, piece, (size_t)n))
            status = broken(err);
    }
    free(piece);
    return status;
}

enum vq_status vq_sha256_file(const char *path, char hex[VQ_SHA256_HEX],
                              const struct vq_cancel *cancel, struct vq_err *err)
{
    hex[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return vq_fail_errno(err, errno, "%s", path);
    struct vq_err why = {0};
    struct stat st;
    enum vq_status status;
    EVP_MD_CTX *ctx = NULL;
    if (fstat(fd, &st) != 0)
        status = vq_fail_errno(err, errno, "%s", path);
    else if (!S_ISREG(st.st_mode))
        status = vq_fail(err, VQ_EINVAL, "%s: expected a file, found a folder or device", path);
    else if (!(ctx = start(&why)))
        status = vq_fail(err, why.code, "%s: %s", path, why.msg);
    else
        status = feed(ctx, fd, path, cancel, err);
    if (status == VQ_OK)
        status = finish(ctx, hex, err);
    EVP_MD_CTX_free(ctx);
    close(fd);
    return status;
}
