/* SPDX-License-Identifier: Apache-2.0 */
#include "base/picture_plain.h"
#include "base/alloc.h"
#include "base/error.h"
#include <string.h>

/* Where the dots of a file lie. */
typedef struct layout {
    size_t width, height;
    size_t from;   /* first byte of the top row */
    size_t stride; /* bytes from row to row */
    size_t each;   /* bytes of a dot */
    size_t channels;
    bool upward; /* the file begins with the bottom row: `from` is that one */
    bool bgr;
} layout;

static olv_status copy_dots(const uint8_t *data, size_t len, const layout *l, ol_picture *out, olv_error *err) {
    if (!l->width || !l->height || l->width > OL_PICTURE_MAX / l->height)
        return ol_fail(err, OLV_LIMIT, "a picture of %zu x %zu dots; 1 to %zu expected", l->width, l->height, OL_PICTURE_MAX);
    size_t row = l->width * l->each; /* both are small: at most 2^26 dots of 4 bytes */
    if (l->stride < row || l->from > len || len - l->from < row || (len - l->from - row) / l->stride < l->height - 1)
        return ol_fail(err, OLV_FORMAT, "the picture is cut short");
    *out = (ol_picture){l->width, l->height, l->channels, ol_alloc(l->width * l->height * l->channels)};
    if (!out->pixels) return ol_fail(err, OLV_NOMEM, "no memory for a picture");
    uint8_t *to = out->pixels;
    for (size_t y = 0; y < l->height; y++) {
        const uint8_t *p = data + l->from + (l->upward ? l->height - 1 - y : y) * l->stride;
        for (size_t x = 0; x < l->width; x++, p += l->each)
            for (size_t c = 0; c < l->channels; c++) *to++ = p[l->bgr ? l->channels - 1 - c : c];
    }
    return OLV_OK;
}

/* Number of n bytes at p, least byte first unless `big`. */
static uint32_t number(const uint8_t *p, int n, bool big) {
    uint32_t v = 0;
    for (int i = 0; i < n; i++) v = v << 8 | p[big ? i : n - 1 - i];
    return v;
}

static olv_status decode_bmp(const uint8_t *p, size_t len, ol_picture *out, olv_error *err) {
    if (len < 54) return ol_fail(err, OLV_FORMAT, "BMP: the header is cut short");
    uint32_t bits = number(p + 28, 2, false), compression = number(p + 30, 4, false);
    int32_t height = (int32_t)number(p + 22, 4, false), width = (int32_t)number(p + 18, 4, false);
    if ((bits != 24 && bits != 32) || (compression != 0 && compression != 3))
        return ol_fail(err, OLV_UNSUPPORTED, "BMP of %u bits, compression %u; 24 or 32 bits without compression expected", bits, compression);
    if (width < 1 || height == 0 || height == INT32_MIN) return ol_fail(err, OLV_FORMAT, "BMP of %d x %d dots", width, height);
    layout l = {(size_t)width, (size_t)(height < 0 ? -height : height), number(p + 10, 4, false), 0, bits / 8, 3, height > 0, true};
    l.stride = (l.width * l.each + 3) / 4 * 4;
    return copy_dots(p, len, &l, out, err);
}

/* The next number of a PNM header, past white space and comments; false when there is none. */
static bool header_number(const uint8_t *p, size_t len, size_t *at, size_t *out) {
    while (*at < len && (p[*at] == '#' || p[*at] == ' ' || (p[*at] >= '\t' && p[*at] <= '\r'))) {
        if (p[*at] == '#') while (*at < len && p[*at] != '\n') ++*at;
        else ++*at;
    }
    size_t from = *at;
    for (*out = 0; *at < len && p[*at] >= '0' && p[*at] <= '9' && *out < 100000000; ++*at) *out = *out * 10 + (size_t)(p[*at] - '0');
    return *at > from;
}

static olv_status decode_pnm(const uint8_t *p, size_t len, ol_picture *out, olv_error *err) {
    layout l = {.channels = p[1] == '6' ? 3 : 1};
    size_t at = 2, most;
    if (!header_number(p, len, &at, &l.width) || !header_number(p, len, &at, &l.height) || !header_number(p, len, &at, &most))
        return ol_fail(err, OLV_FORMAT, "PNM: malformed header");
    if (most != 255) return ol_fail(err, OLV_UNSUPPORTED, "PNM of %zu shades; 255 expected", most);
    l.from = at + 1;
    l.each = l.channels;
    l.stride = l.width * l.each;
    return copy_dots(p, len, &l, out, err);
}

enum { WIDTH = 256, HEIGHT, BITS, COMPRESSION, STRIP = 273, CHANNELS = 277, ROWS = 278, PLANES = 284 };

/* Values of one TIFF entry: the number of them, and the first (for lists where they lie: *list). */
static bool tiff_entry(const uint8_t *p, size_t len, size_t at, bool big, uint32_t *count, uint32_t *first, size_t *list, int *size) {
    uint32_t type = number(p + at + 2, 2, big);
    *size = type == 3 ? 2 : type == 4 ? 4 : 1;
    *count = number(p + at + 4, 4, big);
    *list = at + 8;
    if (*count > 4u / (unsigned)*size) *list = number(p + at + 8, 4, big);
    if (*list > len || *count > (len - *list) / (size_t)*size || *count == 0) return false;
    *first = number(p + *list, *size, big);
    return true;
}

/* Strips must follow one another; then they are one block of rows. */
static olv_status decode_tiff(const uint8_t *p, size_t len, ol_picture *out, olv_error *err) {
    bool big = p[0] == 'M', whole = true;
    size_t at = number(p + 4, 4, big), rows = 0;
    layout l = {.channels = 1};
    uint32_t strips = 0, bits = 1, compression = 1, planes = 1;
    if (at > len || len - at < 2) return ol_fail(err, OLV_FORMAT, "TIFF: no directory");
    size_t n = number(p + at, 2, big), table = 0;
    int width = 4;
    if ((len - at - 2) / 12 < n) return ol_fail(err, OLV_FORMAT, "TIFF: the directory is cut short");
    for (size_t i = 0; i < n; i++) {
        size_t e = at + 2 + 12 * i, list;
        uint32_t tag = number(p + e, 2, big), count, v;
        int size;
        if (!tiff_entry(p, len, e, big, &count, &v, &list, &size)) continue;
        if (tag == WIDTH) l.width = v;
        if (tag == HEIGHT) l.height = v;
        if (tag == BITS) bits = v;
        if (tag == COMPRESSION) compression = v;
        if (tag == CHANNELS) l.channels = v;
        if (tag == PLANES) planes = v;
        if (tag == ROWS) rows = v;
        if (tag == STRIP) l.from = v, strips = count, table = list, width = size;
    }
    if (bits != 8 || compression != 1 || planes != 1 || (l.channels != 1 && l.channels != 3))
        return ol_fail(err, OLV_UNSUPPORTED, "TIFF of %zu channels of %u bits, compression %u; 1 or 3 of 8 bits, uncompressed, expected", l.channels, bits, compression);
    if (l.width > OL_PICTURE_MAX || rows > OL_PICTURE_MAX) return ol_fail(err, OLV_LIMIT, "TIFF of %zu dots a row", l.width);
    l.each = l.channels;
    l.stride = l.width * l.each;
    for (uint32_t i = 1; i < strips; i++)
        whole &= number(p + table + i * (size_t)width, width, big) == l.from + i * rows * l.stride;
    if (!strips || !whole) return ol_fail(err, OLV_UNSUPPORTED, "TIFF whose strips are apart");
    return copy_dots(p, len, &l, out, err);
}

static bool is_bmp(const uint8_t *p, size_t len) { return len >= 2 && p[0] == 'B' && p[1] == 'M'; }
static bool is_pnm(const uint8_t *p, size_t len) { return len >= 3 && p[0] == 'P' && (p[1] == '5' || p[1] == '6'); }
static bool is_tiff(const uint8_t *p, size_t len) { return len >= 8 && (!memcmp(p, "II*\0", 4) || !memcmp(p, "MM\0*", 4)); }
bool ol_picture_plain_is(const void *data, size_t len) { return is_bmp(data, len) || is_pnm(data, len) || is_tiff(data, len); }

olv_status ol_picture_plain_decode(const void *data, size_t len, ol_picture *out, olv_error *err) {
    *out = (ol_picture){0};
    if (is_bmp(data, len)) return decode_bmp(data, len, out, err);
    if (is_pnm(data, len)) return decode_pnm(data, len, out, err);
    if (is_tiff(data, len)) return decode_tiff(data, len, out, err);
    return ol_fail(err, OLV_FORMAT, "no picture in BMP, PNM or TIFF");
}
