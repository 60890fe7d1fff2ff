/* SPDX-License-Identifier: Apache-2.0 */
#include "base/wire/inflate.h"
#include "base/error.h"
#include <stdbool.h>
#include <string.h>

#define MAX_BITS 15
#define MAX_LITERALS 288
#define MAX_DISTANCES 30

typedef struct inflater {
    const uint8_t *in;
    size_t len, at;
    uint64_t bits; /* read ahead, low bits first */
    int n_bits;
    uint8_t *out;
    size_t out_len, done;
    bool failed;
} inflater;

/* A prefix code by its lengths: symbols in the order of their codes, and how many codes there are of each length. */
typedef struct prefix_code {
    uint16_t count[MAX_BITS + 1];
    uint16_t symbol[MAX_LITERALS];
} prefix_code;

static uint32_t take(inflater *s, int n) {
    while (s->n_bits < n) {
        if (s->at >= s->len) {
            s->failed = true;
            return 0;
        }
        s->bits |= (uint64_t)s->in[s->at++] << s->n_bits;
        s->n_bits += 8;
    }
    uint32_t v = (uint32_t)(s->bits & ((1u << n) - 1));
    s->bits >>= n;
    s->n_bits -= n;
    return v;
}

/* False when more codes are given than there are. */
static bool make_code(prefix_code *c, const uint8_t *lengths, int n) {
    uint16_t first[MAX_BITS + 2] = {0};
    int left = 1;
    memset(c->count, 0, sizeof c->count);
    for (int i = 0; i < n; i++) c->count[lengths[i]]++;
    c->count[0] = 0;
    for (int b = 1; b <= MAX_BITS; b++) {
        left = (left << 1) - c->count[b];
        if (left < 0) return false;
        first[b + 1] = (uint16_t)(first[b] + c->count[b]);
    }
    for (int i = 0; i < n; i++)
        if (lengths[i]) c->symbol[first[lengths[i]]++] = (uint16_t)i;
    return true;
}

/* Codes of one length are consecutive numbers, and begin where those of the length before end, doubled. */
static int decode(inflater *s, const prefix_code *c) {
    int code = 0, first = 0, index = 0;
    for (int b = 1; b <= MAX_BITS; b++) {
        code |= (int)take(s, 1);
        if (s->failed) return -1;
        int count = c->count[b];
        if (code - first < count) return c->symbol[index + code - first];
        index += count;
        first = (first + count) << 1;
        code <<= 1;
    }
    s->failed = true;
    return -1;
}

static void copy_stored(inflater *s) {
    s->bits = 0, s->n_bits = 0; /* to the next whole byte: never a whole byte is read ahead */
    if (s->len - s->at < 4) {
        s->failed = true;
        return;
    }
    size_t n = (size_t)(s->in[s->at] | s->in[s->at + 1] << 8), inverse = (size_t)(s->in[s->at + 2] | s->in[s->at + 3] << 8);
    s->at += 4;
    if (n != (~inverse & 0xffff) || n > s->len - s->at || n > s->out_len - s->done) {
        s->failed = true;
        return;
    }
    memcpy(s->out + s->done, s->in + s->at, n);
    s->at += n, s->done += n;
}

static void copy_back(inflater *s, size_t length, size_t distance) {
    if (distance > s->done || length > s->out_len - s->done) {
        s->failed = true;
        return;
    }
    for (size_t i = 0; i < length; i++, s->done++) s->out[s->done] = s->out[s->done - distance];
}

static void read_symbols(inflater *s, const prefix_code *literals, const prefix_code *distances) {
    static const uint16_t length_base[] = {3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    static const uint8_t length_bits[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    static const uint16_t distance_base[] = {1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
    while (!s->failed) {
        int v = decode(s, literals);
        if (v < 0 || v == 256) return;
        if (v < 256) {
            if (s->done == s->out_len) s->failed = true;
            else s->out[s->done++] = (uint8_t)v;
            continue;
        }
        v -= 257;
        if (v >= 29) {
            s->failed = true;
            return;
        }
        size_t length = (size_t)length_base[v] + take(s, length_bits[v]);
        int d = decode(s, distances);
        if (d < 0 || d >= MAX_DISTANCES) {
            s->failed = true;
            return;
        }
        size_t distance = (size_t)distance_base[d] + take(s, d < 4 ? 0 : d / 2 - 1);
        if (!s->failed) copy_back(s, length, distance);
    }
}

static void read_fixed(inflater *s) {
    prefix_code literals, distances;
    uint8_t lengths[MAX_LITERALS];
    for (int i = 0; i < MAX_LITERALS; i++) lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    make_code(&literals, lengths, MAX_LITERALS);
    memset(lengths, 5, MAX_DISTANCES);
    make_code(&distances, lengths, MAX_DISTANCES);
    read_symbols(s, &literals, &distances);
}

/* The lengths of both codes are written with a third one, whose lengths stand before. */
static void read_dynamic(inflater *s) {
    static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    int n_literals = (int)take(s, 5) + 257, n_distances = (int)take(s, 5) + 1, n_order = (int)take(s, 4) + 4, n = 0;
    uint8_t lengths[MAX_LITERALS + 32] = {0};
    prefix_code literals, distances;
    for (int i = 0; i < n_order; i++) lengths[order[i]] = (uint8_t)take(s, 3);
    if (s->failed || n_literals > 286 || n_distances > MAX_DISTANCES || !make_code(&literals, lengths, 19)) {
        s->failed = true;
        return;
    }
    memset(lengths, 0, sizeof lengths);
    while (n < n_literals + n_distances && !s->failed) {
        int v = decode(s, &literals), repeat = 1;
        uint8_t length = (uint8_t)v;
        if (v == 16) length = n ? lengths[n - 1] : 0, s->failed |= n == 0, repeat = 3 + (int)take(s, 2);
        else if (v == 17) length = 0, repeat = 3 + (int)take(s, 3);
        else if (v == 18) length = 0, repeat = 11 + (int)take(s, 7);
        if (repeat > n_literals + n_distances - n) s->failed = true;
        while (repeat-- && !s->failed) lengths[n++] = length;
    }
    if (s->failed || !make_code(&literals, lengths, n_literals) || !make_code(&distances, lengths + n_literals, n_distances)) {
        s->failed = true;
        return;
    }
    read_symbols(s, &literals, &distances);
}

olv_status ol_inflate(const uint8_t *data, size_t len, uint8_t *out, size_t out_len, olv_error *err) {
    inflater s = {.in = data, .len = len, .out = out, .out_len = out_len};
    bool last = false;
    while (!last && !s.failed) {
        last = take(&s, 1);
        uint32_t kind = take(&s, 2);
        if (s.failed || kind == 3) s.failed = true;
        else if (kind == 0) copy_stored(&s);
        else if (kind == 1) read_fixed(&s);
        else read_dynamic(&s);
    }
    if (s.failed) return ol_fail(err, OLV_FORMAT, "deflated data are malformed after %zu of %zu bytes", s.done, out_len);
    if (s.done != out_len) return ol_fail(err, OLV_FORMAT, "deflated data hold %zu bytes, %zu expected", s.done, out_len);
    return OLV_OK;
}
