/* SPDX-License-Identifier: Apache-2.0 */
/* The input is the tokenizer model of OpenVINO that gives ids: document, FF 00 FF, data; then, with the same bytes between,
 * document and data of the one that gives text. */
#include "base/str.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char sample[] = "The quick  brown\nfox: caf\xC3\xA9 <s>";
    ol_str parts[4] = {{"", 0}, {"", 0}, {"", 0}, {"", 0}};
    const char *at = (const char *)data, *end = at + size;
    for (int i = 0; i < 4 && at < end; i++) {
        const char *mark = memmem(at, (size_t)(end - at), "\xFF\0\xFF", 3);
        parts[i] = (ol_str){at, (size_t)((mark ? mark : end) - at)};
        at = mark ? mark + 3 : end;
    }
    olv_tokenizer *t;
    olv_encoding e;
    olv_error err;
    char *text;
    if (ol_tokenizer_open_openvino(parts, &t, &err) != OLV_OK) return 0;
    if (olv_tokenizer_encode(t, sample, sizeof sample - 1, NULL, &e, &err) == OLV_OK) {
        if (olv_tokenizer_decode(t, e.ids, e.count, true, &text, NULL, &err) == OLV_OK) olv_tokenizer_free(text);
        olv_encoding_deinit(&e);
    }
    olv_tokenizer_close(t);
    return 0;
}
