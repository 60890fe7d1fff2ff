/* SPDX-License-Identifier: Apache-2.0 */
/* A program of somebody else: public headers and the shared library only. */
#include <olivine/status.h>
#include <stdio.h>
#include <string.h>

int main(void) {
    const char *text = olv_status_text(OLV_NOMEM);
    printf("%s\n", text);
    return strcmp(text, "out of memory") == 0 && olv_status_exit_code(OLV_ARG) == 2 ? 0 : 1;
}
