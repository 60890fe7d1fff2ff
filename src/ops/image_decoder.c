/* SPDX-License-Identifier: Apache-2.0 */
/* ImageDecoder: the bytes of a picture file as [height, width, channels]. Read are JPEG and PNG, and BMP,
 * PNM and TIFF without compression. Grey is 0.299 R + 0.587 G + 0.114 B. */
#include "base/picture.h"
#include "base/picture_plain.h"
#include "ops/ops.h"

typedef enum pixel_format { RGB, BGR, GREY } pixel_format;

static olv_status format_of(const ol_node *n, pixel_format *f, olv_error *err) {
    ol_str s = ol_node_string(n, "pixel_format", "RGB");
    *f = ol_str_is(s, "BGR") ? BGR : ol_str_is(s, "Grayscale") ? GREY : RGB;
    if (*f == RGB && !ol_str_is(s, "RGB"))
        return ol_fail(err, OLV_ARG, "pixel_format '%.*s' found, RGB, BGR or Grayscale expected",
                       (int)(s.len > 40 ? 40 : s.len), s.ptr);
    return OLV_OK;
}

static const char *known_format(const ol_tensor *x) {
    const uint8_t *p = x->data;
    if (x->bytes >= 12 && !memcmp(p, "RIFF", 4) && !memcmp(p + 8, "WEBP", 4)) return "WebP";
    if (x->bytes >= 8 && !memcmp(p + 4, "jP  ", 4)) return "JPEG 2000";
    return NULL;
}

static olv_status decode(const ol_tensor *x, ol_picture *p, olv_error *err) {
    if (ol_picture_is(x->data, x->bytes)) return ol_picture_decode(x->data, x->bytes, 3, p, err);
    if (ol_picture_plain_is(x->data, x->bytes)) return ol_picture_plain_decode(x->data, x->bytes, p, err);
    const char *name = known_format(x);
    if (name) return ol_fail(err, OLV_UNSUPPORTED, "pictures in %s are not read", name);
    return ol_fail(err, OLV_FORMAT, "no picture in JPEG, PNG, BMP, PNM or TIFF");
}

static void store(const ol_picture *p, pixel_format f, uint8_t *to) {
    for (size_t i = 0; i < p->width * p->height; i++) {
        const uint8_t *dot = p->pixels + i * p->channels;
        uint32_t r = dot[0], g = p->channels == 3 ? dot[1] : r, b = p->channels == 3 ? dot[2] : r;
        if (f == GREY) {
            *to++ = (uint8_t)((r * 19595 + g * 38470 + b * 7471 + 32768) >> 16);
            continue;
        }
        *to++ = (uint8_t)(f == BGR ? b : r);
        *to++ = (uint8_t)g;
        *to++ = (uint8_t)(f == BGR ? r : b);
    }
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    ol_picture p;
    pixel_format f;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(format_of(c->node, &f, err));
    if (x->dtype != OL_U8) return ol_fail(err, OLV_SHAPE, "%s found, bytes expected", ol_dtype_name(x->dtype));
    OL_TRY(decode(x, &p, err));
    const int64_t dims[3] = {(int64_t)p.height, (int64_t)p.width, f == GREY ? 1 : 3};
    olv_status s = ol_eval_out(c, 0, OL_U8, 3, dims, &y, err);
    if (s == OLV_OK) store(&p, f, y->data);
    ol_picture_deinit(&p);
    return s;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    pixel_format f;
    OL_TRY(ol_infer_rank(c, 0, 1, 1, err));
    OL_TRY(format_of(c->node, &f, err));
    ol_infer_set(c, 0, OL_U8, 3);
    c->out[0].dims[2] = f == GREY ? 1 : 3;
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"pixel_format", OL_ATTR_STRING, false}};
extern const ol_op ol_op_ImageDecoder;
const ol_op ol_op_ImageDecoder = {.domain = "", .name = "ImageDecoder",
                                  .summary = "the dots of a picture file", .min_inputs = 1,
                                  .max_inputs = 1, .min_outputs = 1, .max_outputs = 1,
                                  OL_ATTRS(attrs), .infer = infer, .eval = eval};
