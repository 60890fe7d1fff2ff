/* SPDX-License-Identifier: Apache-2.0 */
#include "text/template/clock.h"

#include <sys/time.h>
#include <time.h>

static const char *const days[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};

void ol_clock_now(ol_clock *c) {
    struct timeval tv = {0};
    struct tm t = {0};
    gettimeofday(&tv, NULL);
    time_t s = tv.tv_sec;
    localtime_r(&s, &t);
    *c = (ol_clock){t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, (int)tv.tv_usec};
}

static bool leap(int y) { return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0; }

static int month_days(int y, int m) {
    static const int n[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return n[m - 1] + (m == 2 && leap(y));
}

static bool number(const char **p, const char *end, int digits, int *out) {
    int v = 0;
    for (int i = 0; i < digits; i++, (*p)++) {
        if (*p >= end || **p < '0' || **p > '9') return false;
        v = v * 10 + (**p - '0');
    }
    *out = v;
    return true;
}

static bool literal(const char **p, const char *end, const char *set) {
    if (*p >= end || !strchr(set, **p)) return false;
    (*p)++;
    return true;
}

static bool parse_time(const char **p, const char *end, ol_clock *c) {
    if (!literal(p, end, "T ") || !number(p, end, 2, &c->hour) || !literal(p, end, ":") ||
        !number(p, end, 2, &c->minute))
        return false;
    if (*p == end) return true;
    if (!literal(p, end, ":") || !number(p, end, 2, &c->second)) return false;
    if (*p == end) return true;
    return literal(p, end, ".") && number(p, end, 6, &c->micro) && *p == end;
}

bool ol_clock_parse(const char *s, size_t n, ol_clock *out) {
    const char *p = s, *end = s + n;
    ol_clock c = {0};
    if (!number(&p, end, 4, &c.year) || !literal(&p, end, "-") || !number(&p, end, 2, &c.month) ||
        !literal(&p, end, "-") || !number(&p, end, 2, &c.day))
        return false;
    if (p != end && !parse_time(&p, end, &c)) return false;
    if (c.year < 1 || c.month < 1 || c.month > 12 || c.day < 1 || c.day > month_days(c.year, c.month) || c.hour > 23 ||
        c.minute > 59 || c.second > 59)
        return false;
    *out = c;
    return true;
}

static int year_day(const ol_clock *c) {
    int d = c->day - 1;
    for (int m = 1; m < c->month; m++) d += month_days(c->year, m);
    return d;
}

/* 0 = Sunday; days since 1 January of year 1, which was a Monday. */
static int week_day(const ol_clock *c) {
    int y = c->year - 1;
    return (y * 365 + y / 4 - y / 100 + y / 400 + year_day(c) + 1) % 7;
}

static int iso_weeks(int year) {
    ol_clock c = {.year = year, .month = 1, .day = 1};
    int w = week_day(&c);
    return w == 4 || (w == 3 && leap(year)) ? 53 : 52;
}

static int iso_week(const ol_clock *c, int *year) {
    int wd = (week_day(c) + 6) % 7;
    int w = (year_day(c) - wd + 10) / 7;
    *year = c->year;
    if (w < 1) {
        *year = c->year - 1;
        return iso_weeks(*year);
    }
    if (w > iso_weeks(c->year)) {
        *year = c->year + 1;
        return 1;
    }
    return w;
}

static void put_number(ol_buf *o, char flag, int value, int width, char pad) {
    if (flag == '-') width = 1;
    if (flag == '_') pad = ' ';
    if (flag == '0') pad = '0';
    if (pad == '0') ol_buf_printf(o, "%0*d", width, value);
    else ol_buf_printf(o, "%*d", width, value);
}

static void put_text(ol_buf *o, char flag, const char *z, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char ch = z[i];
        if (flag == '^' && ch >= 'a' && ch <= 'z') ch = (char)(ch - 32);
        ol_buf_putc(o, ch);
    }
}

static void nested(const ol_clock *c, const char *fmt, ol_buf *o) { ol_clock_format(c, fmt, strlen(fmt), o); }

static bool put_name(const ol_clock *c, char f, char flag, ol_buf *o) {
    const char *day = days[week_day(c)], *month = months[c->month - 1];
    switch (f) {
    case 'a': put_text(o, flag, day, 3); return true;
    case 'A': put_text(o, flag, day, strlen(day)); return true;
    case 'b':
    case 'h': put_text(o, flag, month, 3); return true;
    case 'B': put_text(o, flag, month, strlen(month)); return true;
    case 'p': ol_buf_puts(o, c->hour < 12 ? "AM" : "PM"); return true;
    case 'P': ol_buf_puts(o, c->hour < 12 ? "am" : "pm"); return true;
    case 'n': ol_buf_putc(o, '\n'); return true;
    case 't': ol_buf_putc(o, '\t'); return true;
    case 'Z':
    case 'z': return true; /* a date without a zone */
    case 'c': nested(c, "%a %b %e %H:%M:%S %Y", o); return true;
    case 'x':
    case 'D': nested(c, "%m/%d/%y", o); return true;
    case 'X':
    case 'T': nested(c, "%H:%M:%S", o); return true;
    case 'F': nested(c, "%Y-%m-%d", o); return true;
    case 'R': nested(c, "%H:%M", o); return true;
    case 'r': nested(c, "%I:%M:%S %p", o); return true;
    case '%': ol_buf_putc(o, '%'); return true;
    default: return false;
    }
}

static bool put_field(const ol_clock *c, char f, char flag, ol_buf *o) {
    int year = 0, week = iso_week(c, &year), wd = week_day(c), yd = year_day(c);
    int h12 = c->hour % 12 == 0 ? 12 : c->hour % 12;
    switch (f) {
    case 'd': put_number(o, flag, c->day, 2, '0'); return true;
    case 'e': put_number(o, flag, c->day, 2, ' '); return true;
    case 'm': put_number(o, flag, c->month, 2, '0'); return true;
    case 'y': put_number(o, flag, c->year % 100, 2, '0'); return true;
    case 'Y': put_number(o, flag, c->year, 1, '0'); return true;
    case 'C': put_number(o, flag, c->year / 100, 2, '0'); return true;
    case 'H': put_number(o, flag, c->hour, 2, '0'); return true;
    case 'k': put_number(o, flag, c->hour, 2, ' '); return true;
    case 'I': put_number(o, flag, h12, 2, '0'); return true;
    case 'l': put_number(o, flag, h12, 2, ' '); return true;
    case 'M': put_number(o, flag, c->minute, 2, '0'); return true;
    case 'S': put_number(o, flag, c->second, 2, '0'); return true;
    case 'f': ol_buf_printf(o, "%06d", c->micro); return true;
    case 'j': put_number(o, flag, yd + 1, 3, '0'); return true;
    case 'u': put_number(o, flag, wd == 0 ? 7 : wd, 1, '0'); return true;
    case 'w': put_number(o, flag, wd, 1, '0'); return true;
    case 'U': put_number(o, flag, (yd + 7 - wd) / 7, 2, '0'); return true;
    case 'W': put_number(o, flag, (yd + 7 - (wd + 6) % 7) / 7, 2, '0'); return true;
    case 'G': put_number(o, flag, year, 1, '0'); return true;
    case 'g': put_number(o, flag, year % 100, 2, '0'); return true;
    case 'V': put_number(o, flag, week, 2, '0'); return true;
    default: return put_name(c, f, flag, o);
    }
}

void ol_clock_format(const ol_clock *c, const char *fmt, size_t n, ol_buf *out) {
    for (size_t i = 0; i < n; i++) {
        if (fmt[i] != '%' || i + 1 >= n) {
            ol_buf_putc(out, fmt[i]);
            continue;
        }
        size_t start = i++;
        char flag = 0;
        if (strchr("-_0^#", fmt[i]) && fmt[i] && i + 1 < n) flag = fmt[i++];
        if (!put_field(c, fmt[i], flag, out)) ol_buf_append(out, fmt + start, i - start + 1);
    }
}
