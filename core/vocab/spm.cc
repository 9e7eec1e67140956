#include "core/vocab/spm.h"

extern "C" {
#include "core/base/mem.h"
}

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

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

void silence()
{
    if (sentencepiece::logging::SetMinLogLevel)
        sentencepiece::logging::SetMinLogLevel(log_nothing);
}

/* The caller's lines as the library wants them. */
class Lines : public sentencepiece::SentenceIterator
{
  public:
    explicit Lines(const vq_spm_training *t) : training(t) { Next(); }
    bool done() const override { return ended; }
    void Next() override
    {
        const char *text;
        size_t n;
        ended = !training->next(training->ud, &text, &n);
        if (!ended)
            line.assign(text, n);
    }
    const std::string &value() const override { return line; }
    sentencepiece::util::Status status() const override { return {}; }

  private:
    const vq_spm_training *training;
    std::string line;
    bool ended = false;
};

/* The library says where in its own source it gave up; what a person can use comes after that. */
const char *reason_of(const sentencepiece::util::Status &status)
{
    const char *message = status.error_message(), *end = strstr(message, "] ");
    return end && end[2] ? end + 2 : message;
}

} // namespace

vq_status vq_spm_open(vq_spm **out, const void *model, size_t size, vq_err *err)
try {
    *out = nullptr;
    silence();
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

vq_status vq_spm_train(const vq_spm_training *t, char **model, size_t *size, vq_err *err)
try {
    *model = nullptr;
    *size = 0;
    silence();
    Lines lines(t);
    if (lines.done())
        return vq_fail(err, VQ_EINVAL, "there is no text to make pieces from");
    std::string made;
    auto status = sentencepiece::SentencePieceTrainer::Train(
        {{"vocab_size", std::to_string(t->size)},
         {"model_type", t->type},
         {"character_coverage", std::to_string(t->coverage)},
         {"max_sentence_length", std::to_string(t->longest)},
         {"pad_id", "0"},
         {"eos_id", "1"},
         {"unk_id", "2"},
         {"bos_id", "-1"}},
        &lines, &made);
    if (!status.ok())
        return vq_fail(err, VQ_EINVAL, "SentencePiece: %s", reason_of(status));
    *model = static_cast<char *>(vq_alloc(made.size(), 1));
    if (!*model)
        return no_memory(err);
    memcpy(*model, made.data(), made.size());
    *size = made.size();
    return VQ_OK;
} catch (const std::bad_alloc &) {
    return no_memory(err);
} catch (const std::exception &e) {
    return vq_fail(err, VQ_EINVAL, "SentencePiece: %s", e.what());
}
