/* SPDX-License-Identifier: Apache-2.0 */
/* The date that strftime_now sees. */
#ifndef OL_TEXT_TEMPLATE_CLOCK_H
#define OL_TEXT_TEMPLATE_CLOCK_H

#include "base/str.h"

typedef struct ol_clock {
    int year, month, day, hour, minute, second, micro; /* month and day from 1 */
} ol_clock;

/* Local time of this machine. */
void ol_clock_now(ol_clock *c);
/* "YYYY-MM-DD" or "YYYY-MM-DDTHH:MM[:SS[.ffffff]]"; false if malformed or no such date. */
bool ol_clock_parse(const char *p, size_t n, ol_clock *c);
/* Appends the date as C's strftime writes it in the "C" locale. */
void ol_clock_format(const ol_clock *c, const char *fmt, size_t n, ol_buf *out);

#endif
