/* SPDX-License-Identifier: Apache-2.0 */
/* Chat templates: the part of the Jinja language that models use, rendered as transformers renders it
 * (trim_blocks, lstrip_blocks, no final newline, loop controls, `generation` blocks, raise_exception,
 * strftime_now, JSON without HTML escapes).
 *
 *     olv_template *t;
 *     if (olv_template_open("models/pebble", &t, &err) != OLV_OK) ...
 *     olv_template_render(t, "{\"messages\": [...]}", len, NULL, &text, &text_len, &err);
 *     olv_free(text);
 *     olv_template_destroy(t);
 *
 * A template is parsed once and immutable: any number of threads may render it at the same time. */
#ifndef OLIVINE_TEMPLATE_H
#define OLIVINE_TEMPLATE_H

#include <olivine/status.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct olv_template olv_template;

/* Parses len bytes of UTF-8 source (not kept). Errors name the line. */
OLV_API OLV_MUST_USE olv_status olv_template_parse(const char *source, size_t len, olv_template **out, olv_error *err);
/* Opens a template file, or the template of a model folder: chat_template.jinja, else chat_template.json, else
 * `chat_template` in tokenizer_config.json (a text, or a list of {name, template}: "default", and "tool_use" for
 * requests with tools). From a folder come also the special tokens (bos_token, ...), visible as variables unless
 * the caller sets them. OLV_NOT_FOUND when the folder has no template. */
OLV_API OLV_MUST_USE olv_status olv_template_open(const char *path, olv_template **out, olv_error *err);
OLV_API void olv_template_destroy(olv_template *t); /* NULL accepted */

typedef struct olv_template_options {
    size_t struct_size;
    uint64_t max_steps; /* of one rendering; default 1,000,000 */
    size_t max_output;  /* bytes; default 4 MiB */
    const char *now;    /* "2026-03-05T07:08:09": what strftime_now sees; NULL: the local time */
} olv_template_options;
OLV_API void olv_template_options_init(olv_template_options *opt);

/* Renders with the variables of a JSON object. `tools` and `documents` are none and `add_generation_prompt` is false
 * when absent; a message's reasoning_content, thinking and reasoning fill one another. options may be NULL.
 * On success *text is NUL-terminated and the caller's (olv_free); text_len may be NULL. OLV_FORMAT carries the
 * message of raise_exception or of a failed operation after "line N: "; OLV_LIMIT means a spent budget. */
OLV_API OLV_MUST_USE olv_status olv_template_render(const olv_template *t, const char *variables_json, size_t len,
                                                    const olv_template_options *options, char **text,
                                                    size_t *text_len, olv_error *err);

#ifdef __cplusplus
}
#endif
#endif
