/* SPDX-License-Identifier: Apache-2.0 */
/* Chat templates for the layers above: as <olivine/template.h>, with variables as a jansson object. */
#ifndef OL_TEXT_TEMPLATE_H
#define OL_TEXT_TEMPLATE_H

#include "base/json.h"
#include <olivine/template.h>

/* variables: a JSON object, borrowed. *text is freed with ol_free. */
OLV_MUST_USE olv_status ol_template_render(const olv_template *t, const json_t *variables,
                                           const olv_template_options *options, char **text, size_t *text_len,
                                           olv_error *err);
/* Gives the template a variable (such as bos_token) for renderings whose variables lack it. */
OLV_MUST_USE olv_status ol_template_set_default(olv_template *t, const char *name, const char *value, olv_error *err);
/* Makes `alternative` (taken over, also on failure) the template of requests with tools. */
void ol_template_set_tool_use(olv_template *t, olv_template *alternative);

#endif
