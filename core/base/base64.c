#include "core/base/base64.h"

#include <stdint.h>
#include <string.h>

void vq_text_base64(struct vq_text *t, const void *data, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *s = data;
    for (size_t i = 0; i < n; i += 3) {
        size_t have = n - i < 3 ? n - i : 3;
        uint32_t v = (uint32_t)s[i] << 16;
        v |= have > 1 ? (uint32_t)s[i + 1] << 8 : 0;
        v |= have > 2 ? s[i + 2] : 0;
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63], digits[v >> 6 & 63], digits[v & 63]};
        memset(four + have + 1, '=', 3 - have);
        vq_text_put(t, four, sizeof(four));
    }
}
