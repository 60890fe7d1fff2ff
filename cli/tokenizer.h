/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a model's tokenizer alone. */
#ifndef CLI_TOKENIZER_H
#define CLI_TOKENIZER_H

#include "args.h"
#include <olivine/tokenizer.h>

/* The tokenizer of the model that the options or the first positional name; NULL with the exit code in *code. */
olv_tokenizer *open_tokenizer(arg_list *positionals, int *code);

#endif
