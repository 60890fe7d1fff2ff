/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "bundle/bundle.h"
#include "compress/compress.h"
#include <olivine/optimize.h>
#include <olivine/pipeline.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MODEL OL_TEST_DATA "/../../models/pebble"

static olv_error err;
static char dir[] = "/tmp/olivine-hf-XXXXXX";
static char out[64];

static ol_graph *graph_of(const char *path, ol_bundle **b) {
    if (ol_bundle_open(path, NULL, b, &err) != OLV_OK) fail_msg("%s", err.message);
    return (*b)->graph;
}

static void write_with(const olv_optimize_options *o, char **report) {
    snprintf(out, sizeof out, "%s/out", dir);
    assert_int_equal(ol_dir_remove(out, &err), OLV_OK);
    if (olv_optimize(MODEL, o, out, NULL, NULL, report, &err) != OLV_OK) fail_msg("%s", err.message);
    if (olv_verify_folder(out, &err) != OLV_OK) fail_msg("%s", err.message);
}

/* What is read back has the very numbers of compressing the source's rows; how many tables are quantized. */
static int compare(const olv_weight_spec *spec) {
    ol_bundle *a, *b;
    ol_graph *from = graph_of(MODEL, &a), *to = graph_of(out, &b);
    int quantized = 0;
    for (int i = 0; i < from->n_values; i++) {
        ol_value *x = from->values[i], *y = x && x->constant ? ol_graph_find_value(to, x->name) : NULL;
        if (!y || !y->constant || ol_const_rank(x->constant) != 2) continue;
        ol_const *want = ol_const_retain(x->constant);
        if (ol_const_quant_form(y->constant)) {
            ol_const_release(want);
            want = ol_compress_const(x->constant, spec, 0, &err);
            quantized++;
        }
        int64_t k = ol_const_width(want), rows = ol_const_rows(want);
        float *p = malloc((size_t)k * sizeof *p), *q = malloc((size_t)k * sizeof *q);
        for (int64_t r = 0; r < rows; r += 7) {
            assert_int_equal(ol_const_rows_f32(want, r, 1, p, &err), OLV_OK);
            assert_int_equal(ol_const_rows_f32(y->constant, r, 1, q, &err), OLV_OK);
            for (int64_t c = 0; c < k; c++)
                if (p[c] != q[c]) fail_msg("%s: row %lld, column %lld: %g, expected %g", x->name, (long long)r, (long long)c, (double)q[c], (double)p[c]);
        }
        free(p);
        free(q);
        ol_const_release(want);
    }
    ol_bundle_close(a);
    ol_bundle_close(b);
    return quantized;
}

static void reads_back_what_was_compressed(void **state) {
    (void)state;
    const olv_weight_spec specs[] = {{.type = OLV_WEIGHT_INT4_SYM, .group_size = 32, .rounding = OLV_ROUND_SEARCH, .scale = OLV_SCALE_F16},
                                     {.type = OLV_WEIGHT_INT4_ASYM, .group_size = 64, .rounding = OLV_ROUND_NNCF, .scale = OLV_SCALE_F16},
                                     {.type = OLV_WEIGHT_INT8_ASYM, .group_size = -1, .rounding = OLV_ROUND_NNCF, .scale = OLV_SCALE_F16},
                                     {.type = OLV_WEIGHT_INT8_SYM, .group_size = 128, .rounding = OLV_ROUND_ORT, .scale = OLV_SCALE_F16}};
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        olv_optimize_options o;
        olv_optimize_options_init(&o);
        o.format = OLV_OUTPUT_HF;
        o.compress.weights = o.compress.head = o.compress.embeddings = specs[i];
        write_with(&o, NULL);
        assert_int_equal(compare(&specs[i]), 35);
    }
}

static int count(const char *text, const char *what) {
    int n = 0;
    for (const char *p = text; (p = strstr(p, what)); p += strlen(what)) n++;
    return n;
}

static void some_layers_get_the_backup(void **state) {
    (void)state;
    olv_optimize_options o;
    int before = 36;
    for (int i = 0; i <= 4; i++) {
        char *report = NULL;
        olv_optimize_options_init(&o);
        o.format = OLV_OUTPUT_HF;
        o.compress.ratio = 1 - i / 4.0;
        write_with(&o, &report);
        int four = count(report, "\"int4_sym\""), eight = count(report, "\"int8_asym\"");
        assert_int_equal(four + eight, 35);
        assert_true(four < before);
        if (i == 0) assert_int_equal(four, 35);
        if (i == 4) assert_int_equal(four, 0);
        before = four;
        olv_free(report);
    }
}

static void the_ignored_scope_is_kept(void **state) {
    (void)state;
    const char *const scope[] = {"model.layers.0.self_attn.q_proj", "re:layers\\.[1-4]\\.mlp"};
    olv_optimize_options o;
    char *report = NULL;
    olv_optimize_options_init(&o);
    o.format = OLV_OUTPUT_HF;
    o.compress.ignored = scope;
    o.compress.n_ignored = 2;
    write_with(&o, &report);
    assert_int_equal(count(report, "in the ignored scope"), 1 + 4 * 3);
    assert_int_equal(count(report, "\"type\":\"int4_sym\""), 35 - 13);
    olv_free(report);
    const char *const bad[] = {"re:("};
    o.compress.ignored = bad;
    o.compress.n_ignored = 1;
    o.force = true;
    assert_int_equal(olv_optimize(MODEL, &o, out, NULL, NULL, NULL, &err), OLV_ARG);
    assert_int_equal(olv_optimize(out, &o, out, NULL, NULL, NULL, &err), OLV_ARG);
    o.compress.n_ignored = 0;
    assert_int_equal(olv_optimize(out, &o, out, NULL, NULL, NULL, &err), OLV_UNSUPPORTED); /* quantized already */
    assert_non_null(strstr(err.message, "quantized already"));
}

static bool stop(void *ctx, uint64_t done, uint64_t total) {
    int *left = ctx;
    (void)done;
    (void)total;
    return --*left > 0;
}

static void cancelled_work_goes_on(void **state) {
    (void)state;
    olv_optimize_options o;
    char path[96];
    int calls = 9;
    olv_optimize_options_init(&o);
    o.format = OLV_OUTPUT_HF;
    write_with(&o, NULL);
    snprintf(path, sizeof path, "%s/model.safetensors", out);
    char *a = NULL, *b = NULL;
    size_t na = 0, nb = 0;
    assert_int_equal(ol_file_read(path, (size_t)1 << 26, &a, &na, &err), OLV_OK);
    assert_int_equal(ol_dir_remove(out, &err), OLV_OK);
    assert_int_equal(olv_optimize(MODEL, &o, out, stop, &calls, NULL, &err), OLV_CANCELLED);
    assert_false(ol_dir_exists(out));
    assert_int_equal(olv_optimize(MODEL, &o, out, NULL, NULL, NULL, &err), OLV_OK);
    assert_int_equal(ol_file_read(path, (size_t)1 << 26, &b, &nb, &err), OLV_OK);
    assert_int_equal(na, nb);
    assert_memory_equal(a, b, na);
    olv_free(a);
    olv_free(b);
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}
static int remove_folder(void **state) {
    (void)state;
    return ol_dir_remove(dir, NULL) == OLV_OK ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_back_what_was_compressed), cmocka_unit_test(some_layers_get_the_backup),
                                       cmocka_unit_test(the_ignored_scope_is_kept), cmocka_unit_test(cancelled_work_goes_on)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
