/* SPDX-License-Identifier: Apache-2.0 */
#include "tokenizer.h"

olv_tokenizer *open_tokenizer(arg_list *positionals, int *code) {
    const char *model = take_model(positionals);
    olv_tokenizer *t = NULL;
    olv_error err;
    *code = model ? 0 : 2;
    if (model && olv_tokenizer_open(model, &t, &err) != OLV_OK) *code = report(&err);
    return t;
}
