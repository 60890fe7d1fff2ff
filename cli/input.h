/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <stddef.h>

/* Standard input as a whole, *len bytes; free it. NULL when there is no memory. */
char *read_input(size_t *len);

#endif
