/* SPDX-License-Identifier: Apache-2.0 */
#include "base/picture.h"
#include "base/alloc.h"
#include "base/error.h"
#include <string.h>

static bool is_png(const void *data, size_t len) { return len >= 8 && !memcmp(data, "\x89PNG\r\n\x1a\n", 8); }
static bool is_jpeg(const void *data, size_t len) { return len >= 3 && !memcmp(data, "\xff\xd8\xff", 3); }
bool ol_picture_is(const void *data, size_t len) { return is_png(data, len) || is_jpeg(data, len); }

void ol_picture_deinit(ol_picture *p) {
    ol_free(p->pixels);
    *p = (ol_picture){0};
}

#ifdef OLIVINE_PICTURES
#include <png.h>
#include <setjmp.h>
#include <stdio.h> /* jpeglib.h names FILE */
#include <jpeglib.h>

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#ifdef LIBJPEG_TURBO_VERSION
#define JPEG_NAME "libjpeg-turbo " TEXT(LIBJPEG_TURBO_VERSION)
#else
#define JPEG_NAME "libjpeg"
#endif

const char *ol_picture_libraries(void) { return "libpng " PNG_LIBPNG_VER_STRING ", " JPEG_NAME; }

static olv_status make_pixels(ol_picture *p, size_t width, size_t height, size_t channels, olv_error *err) {
    if (!width || !height || width > OL_PICTURE_MAX / height)
        return ol_fail(err, OLV_LIMIT, "a picture of %zu x %zu dots; 1 to %zu expected", width, height, OL_PICTURE_MAX);
    *p = (ol_picture){width, height, channels, ol_alloc(width * height * channels)};
    return p->pixels ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for a picture");
}

static olv_status decode_png(const void *data, size_t len, ol_picture *out, olv_error *err) {
    png_image image = {.version = PNG_IMAGE_VERSION};
    static const png_color black;
    if (!png_image_begin_read_from_memory(&image, data, len)) return ol_fail(err, OLV_FORMAT, "PNG: %.60s", image.message);
    bool colour = image.format & PNG_FORMAT_FLAG_COLOR;
    image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
    image.format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    olv_status s = make_pixels(out, image.width, image.height, colour ? 3 : 1, err);
    if (s == OLV_OK && !png_image_finish_read(&image, &black, out->pixels, 0, NULL)) s = ol_fail(err, OLV_FORMAT, "PNG: %.60s", image.message);
    png_image_free(&image);
    return s;
}

typedef struct jpeg_trouble {
    struct jpeg_error_mgr manager;
    jmp_buf back;
    char text[JMSG_LENGTH_MAX];
} jpeg_trouble;

static void jpeg_failed(j_common_ptr c) {
    jpeg_trouble *t = (jpeg_trouble *)c->err;
    t->manager.format_message(c, t->text);
    longjmp(t->back, 1);
}
/* Warnings: data that end too soon or are corrupt. Only traces have a level of 0 or more. */
static void jpeg_warned(j_common_ptr c, int level) {
    if (level < 0) jpeg_failed(c);
}

#define MAX_SCANS 100 /* of progressive files: each costs time for the whole picture */
static void jpeg_progress(j_common_ptr c) {
    jpeg_trouble *t = (jpeg_trouble *)c->err;
    if (((j_decompress_ptr)c)->input_scan_number <= MAX_SCANS) return;
    snprintf(t->text, sizeof t->text, "more than %d scans", MAX_SCANS);
    longjmp(t->back, 1);
}

/* What setjmp's return may not lose lies in `t`, `d` and `out`, which are in memory of the caller. */
static olv_status run_jpeg(j_decompress_ptr d, jpeg_trouble *t, struct jpeg_progress_mgr *progress, const void *data, size_t len,
                           ol_picture *out, olv_error *err) {
    if (setjmp(t->back)) return ol_fail(err, OLV_FORMAT, "JPEG: %.180s", t->text);
    jpeg_create_decompress(d);
    d->progress = progress;
    jpeg_mem_src(d, data, (unsigned long)len);
    jpeg_read_header(d, TRUE);
    if (d->num_components != 1 && d->num_components != 3)
        return ol_fail(err, OLV_UNSUPPORTED, "JPEG with %d channels, 1 or 3 expected", d->num_components);
    d->out_color_space = d->num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    OL_TRY(make_pixels(out, d->image_width, d->image_height, (size_t)d->num_components, err));
    jpeg_start_decompress(d);
    while (d->output_scanline < d->output_height) {
        JSAMPROW row = out->pixels + (size_t)d->output_scanline * out->width * out->channels;
        jpeg_read_scanlines(d, &row, 1);
    }
    jpeg_finish_decompress(d);
    return OLV_OK;
}

static olv_status decode_jpeg(const void *data, size_t len, ol_picture *out, olv_error *err) {
    struct jpeg_decompress_struct d = {0};
    struct jpeg_progress_mgr progress = {.progress_monitor = jpeg_progress};
    jpeg_trouble t = {0};
    d.err = jpeg_std_error(&t.manager);
    t.manager.error_exit = jpeg_failed;
    t.manager.emit_message = jpeg_warned;
    olv_status s = run_jpeg(&d, &t, &progress, data, len, out, err);
    jpeg_destroy_decompress(&d);
    return s;
}

/* Grey by the weights of Rec. 601, rounded. */
static olv_status convert(ol_picture *p, size_t channels, olv_error *err) {
    size_t n = p->width * p->height;
    if (!channels || p->channels == channels) return OLV_OK;
    uint8_t *q = ol_alloc(n * channels);
    if (!q) return ol_fail(err, OLV_NOMEM, "no memory for a picture");
    for (size_t i = 0; i < n; i++) {
        const uint8_t *c = p->pixels + i * p->channels;
        if (channels == 1) q[i] = (uint8_t)((299u * c[0] + 587u * c[1] + 114u * c[2] + 500u) / 1000u);
        else q[3 * i] = q[3 * i + 1] = q[3 * i + 2] = c[0];
    }
    ol_free(p->pixels);
    p->pixels = q;
    p->channels = channels;
    return OLV_OK;
}

olv_status ol_picture_decode(const void *data, size_t len, size_t channels, ol_picture *out, olv_error *err) {
    ol_picture p = {0};
    olv_status s = is_png(data, len)    ? decode_png(data, len, &p, err)
                   : is_jpeg(data, len) ? decode_jpeg(data, len, &p, err)
                                        : ol_fail(err, OLV_FORMAT, "neither PNG nor JPEG");
    if (s == OLV_OK) s = convert(&p, channels, err);
    if (s == OLV_OK) *out = p;
    else ol_picture_deinit(&p);
    return s;
}

#else
const char *ol_picture_libraries(void) { return NULL; }
olv_status ol_picture_decode(const void *data, size_t len, size_t channels, ol_picture *out, olv_error *err) {
    (void)data, (void)len, (void)channels, (void)out;
    return ol_fail(err, OLV_UNSUPPORTED, "this program was built without libpng and libjpeg");
}
#endif
