#include "core/vocab/spm.h"

extern "C" {
#include "core/base/mem.h"
}

#include <sentencepiece_processor.h>

#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <vector>

struct vq_spm {
    sentencepiece::SentencePieceProcessor processor;
};

namespace sentencepiece
{
namespace logging
{
/* Exported by the library but in no header of this version. Weak: where it is missing, the library
 * talks, and nothing else changes. */
__attribute__((weak)) void SetMinLogLevel(int level);
} // namespace logging
} // namespace sentencepiece

namespace
{

const char space_mark[] = "\xe2\x96\x81"; /* U+2581 */
const int log_nothing = 4;                /* over FATAL, which is 3 */

vq_status no_memory(vq_err *err)
{
    return vq_fail(err, VQ_ENOMEM, "SentencePiece: out of memory");
}

} // namespace

vq_status vq_spm_open(vq_spm **out, const void *model, size_t size, vq_err *err)
try {
    *out = nullptr;
    if (sentencepiece::logging::SetMinLogLevel)
        sentencepiece::logging::SetMinLogLevel(log_nothing);
    std::string copy(static_cast<const char *>(model), size);
    auto m = std::make_unique<vq_spm>();
    auto status = m->processor.LoadFromSerializedProto(copy);
    if (!status.ok() || m->processor.GetPieceSize() <= 0)
        return vq_fail(err, VQ_EFORMAT, "not a SentencePiece model, or a damaged one");
    *out = m.release();
    return VQ_OK;
} catch (const std::bad_alloc &) {
    return no_memory(err);
} catch (const std::exception &e) {
    return vq_fail(err, VQ_EFORMAT, "SentencePiece: %s", e.what());
}

void vq_spm_free(vq_spm *m)
{
    delete m;
}

int vq_spm_size(const vq_spm *m)
{
    return m->processor.GetPieceSize();
}

enum vq_spm_type vq_spm_type(const vq_spm *m, int id)
{
    const auto &p = m->processor;
    if (p.IsUnknown(id))
        return VQ_SPM_UNK;
    if (p.IsControl(id))
        return id == p.pad_id() ? VQ_SPM_PAD : id == p.eos_id() ? VQ_SPM_EOS : VQ_SPM_CONTROL;
    if (p.IsByte(id))
        return VQ_SPM_BYTE;
    return p.IsUnused(id) ? VQ_SPM_UNUSED : VQ_SPM_TEXT;
}

const char *vq_spm_piece(const vq_spm *m, int id, size_t *n)
{
    const std::string &piece = m->processor.IdToPiece(id);
    *n = piece.size();
    return piece.c_str();
}

/* No header shows how the model was made, so its decoder is asked. */
bool vq_spm_drops_first_space(const vq_spm *m)
try {
    const auto &p = m->processor;
    for (int id = 0; id < p.GetPieceSize(); id++) {
        const std::string &piece = p.IdToPiece(id);
        bool starts = piece.compare(0, strlen(space_mark), space_mark) == 0;
        if (starts && piece.size() > strlen(space_mark) && vq_spm_type(m, id) == VQ_SPM_TEXT) {
            std::string text;
            return p.Decode(std::vector<int>{id}, &text).ok() && !text.empty() && text[0] != ' ';
        }
    }
    return false;
} catch (const std::exception &) {
    return false;
}

vq_status vq_spm_encode(const vq_spm *m, const char *text, size_t size, int32_t **ids, size_t *n,
                        vq_err *err)
try {
    *ids = nullptr;
    *n = 0;
    std::vector<int> found;
    auto status = m->processor.Encode({text, size}, &found);
    if (!status.ok())
        return vq_fail(err, VQ_EINVAL, "SentencePiece: %s", status.error_message());
    auto *list = static_cast<int32_t *>(vq_alloc(found.size(), sizeof(int32_t)));
    if (!list)
        return no_memory(err);
    for (size_t i = 0; i < found.size(); i++)
        list[i] = found[i];
    *ids = list;
    *n = found.size();
    return VQ_OK;
} catch (const std::bad_alloc &) {
    return no_memory(err);
} catch (const std::exception &e) {
    return vq_fail(err, VQ_EINVAL, "SentencePiece: %s", e.what());
}
