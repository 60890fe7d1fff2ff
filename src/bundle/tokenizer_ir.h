/* SPDX-License-Identifier: Apache-2.0 */
/* Tokenizers as OpenVINO GenAI takes them: two small models, text -> ids and ids -> text, in the operations of
 * openvino_tokenizers (openvino_tokenizer.xml and openvino_detokenizer.xml, each with its .bin). */
#ifndef OL_BUNDLE_TOKENIZER_IR_H
#define OL_BUNDLE_TOKENIZER_IR_H

#include <olivine/status.h>

/* Writes both models into folder OUT from the tokenizer.json of folder SOURCE, with tokenizer_config.json,
 * chat_template.jinja and generation_config.json where there are such. What those operations cannot say is
 * OLV_UNSUPPORTED with its name, no tokenizer.json is OLV_NOT_FOUND; then nothing is left behind. Where SOURCE has such
 * models and no tokenizer.json they are copied. */
OLV_MUST_USE olv_status ol_bundle_write_openvino_tokenizer(const char *source, const char *out, olv_error *err);

#endif
