/* SPDX-License-Identifier: Apache-2.0 */
/* Which layer becomes what: NNCF's choice by ratio, budgets against every combination, ignored scopes. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "compress/compress.h"
#include "compress/measure.h"
#include "compress/round.h"
#include "formats/safetensors/safetensors.h"
#include "graph/op.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static olv_error err;
static ol_executor *executor;
static const char *const layers[] = {"a.0", "b.0", "a.1", "b.1", "a.2", "b.2"};

/* x -> six Linear layers in a row -> y; node of layer "a.0": "/a.0". */
static ol_graph *model(void) {
    ol_safetensors *st;
    assert_int_equal(ol_safetensors_open(OL_TEST_DATA "/compress/nncf.safetensors", &st, &err), OLV_OK);
    ol_graph *g = ol_graph_create("m");
    ol_type type = {.dtype = OL_F32, .rank = 2};
    type.dims[0] = ol_dim_symbol(g->dims, "T");
    type.dims[1] = 128;
    ol_value *x = ol_graph_add_input(g, "x", &type, &err);
    for (int i = 0; i < 6; i++) {
        char name[40], node[16];
        ol_const *c;
        snprintf(name, sizeof name, "original/%s", layers[i]);
        assert_int_equal(ol_safetensors_const(st, ol_safetensors_find(st, name), &c, &err), OLV_OK);
        snprintf(name, sizeof name, "%s.weight", layers[i]);
        snprintf(node, sizeof node, "/%s", layers[i]);
        ol_value *in[2] = {x, ol_graph_add_constant(g, name, c, &err)};
        ol_node *n = ol_graph_add_node(g, NULL, ol_op_find("olivine", "Linear"), node, in, 2, NULL, 1, NULL, 0, &err);
        ol_value *before[1] = {n->outputs[0]};
        x = ol_graph_add_node(g, NULL, ol_op_find("", "Tanh"), NULL, before, 1, NULL, 1, NULL, 0, &err)->outputs[0];
    }
    assert_int_equal(ol_graph_add_output(g, x, &err), OLV_OK);
    ol_safetensors_close(st);
    return g;
}

static olv_compress_params params(olv_weight_type t, int32_t group) {
    olv_compress_params p;
    olv_compress_params_init(&p);
    p.weights = p.head = (olv_weight_spec){.type = t, .group_size = group, .rounding = OLV_ROUND_NNCF, .scale = OLV_SCALE_F16};
    p.backup = (olv_weight_spec){.type = OLV_WEIGHT_INT8_ASYM, .group_size = -1, .rounding = OLV_ROUND_NNCF, .scale = OLV_SCALE_F16};
    return p;
}

static void plan_of(const olv_compress_params *p, ol_graph **g, ol_compress_plan *plan) {
    *g = model();
    assert_int_equal(ol_compress_graph(*g, p, ol_cpu_probe(), plan, &err), OLV_OK);
    assert_int_equal(plan->n, 6);
    for (int i = 0; i < 6; i++) plan->entries[i].roles = OL_ROLE_WEIGHT; /* the last is no head here */
}

static void drop(ol_graph *g, ol_compress_plan *plan) {
    ol_compress_plan_deinit(plan);
    ol_graph_destroy(g);
}

/* "101..." by layer: has few bits. */
static const char *few_bits(const ol_compress_plan *plan) {
    static char text[8];
    for (int i = 0; i < 6; i++) text[i] = ol_weight_bits(plan->entries[i].spec.type) == 4 ? '1' : '0';
    return text;
}

/* As NNCF stores the same model with ratios 0.6 and 0.8. */
static void ratio_as_nncf(void **state) {
    (void)state;
    static const struct {
        double ratio;
        const char *want;
    } cases[] = {{0.6, "011001"}, {0.8, "111001"}, {1, "111111"}, {0, "000000"}};
    for (size_t i = 0; i < 4; i++) {
        olv_compress_params p = params(OLV_WEIGHT_INT4_SYM, 32);
        ol_graph *g;
        ol_compress_plan plan;
        plan_of(&p, &g, &plan);
        p.ratio = cases[i].ratio;
        assert_int_equal(ol_compress_mix(g, &plan, &p, ol_cpu_probe(), executor, &err), OLV_OK);
        assert_string_equal(few_bits(&plan), cases[i].want);
        drop(g, &plan);
    }
}

static void metrics_with_data(void **state) {
    (void)state;
    olv_compress_params p = params(OLV_WEIGHT_INT4_SYM, 32);
    ol_layer_inputs inputs[6];
    ol_graph *g;
    ol_compress_plan plan;
    p.ratio = 0.5; /* two of six: three would reach it */
    for (int m = OLV_SENSITIVITY_HESSIAN_INPUT_ACTIVATION; m < OLV_N_SENSITIVITIES; m++) {
        plan_of(&p, &g, &plan);
        p.sensitivity = (olv_sensitivity)m;
        assert_int_equal(ol_compress_mix(g, &plan, &p, ol_cpu_probe(), executor, &err), OLV_ARG); /* no data */
        for (int i = 0; i < 6; i++) { /* the third and the last matter least by far */
            double v = i == 2 || i == 5 ? 1e-6 : 1;
            inputs[i] = (ol_layer_inputs){NULL, v, v, v, v};
            plan.entries[i].inputs = &inputs[i];
        }
        assert_int_equal(ol_compress_mix(g, &plan, &p, ol_cpu_probe(), executor, &err), OLV_OK);
        assert_string_equal(few_bits(&plan), "001001");
        drop(g, &plan);
    }
    olv_sensitivity s;
    assert_int_equal(olv_sensitivity_parse("MAX_ACTIVATION_VARIANCE", &s, &err), OLV_OK);
    assert_int_equal(s, OLV_SENSITIVITY_MAX_ACTIVATION_VARIANCE);
    assert_int_equal(olv_sensitivity_parse("variance", &s, &err), OLV_ARG);
}

/* ---- budgets ---- */

static double bits_of(const ol_compress_plan *plan) {
    double n = 0;
    for (int i = 0; i < 6; i++) n += plan->entries[i].bits_after / 6;
    return n;
}

static double loss_of(const ol_compress_entry *e, const olv_weight_spec *s) {
    double error, energy;
    assert_int_equal(ol_compress_measure(e, s, ol_cpu_probe(), executor, &error, &energy, &err), OLV_OK);
    return error / energy;
}

/* The forms of the knapsack for rows of 128. */
static const struct {
    olv_weight_type type;
    int32_t group;
} forms[] = {{OLV_WEIGHT_INT4_SYM, 128}, {OLV_WEIGHT_INT4_SYM, 64}, {OLV_WEIGHT_INT4_SYM, 32}, {OLV_WEIGHT_INT8_SYM, -1}, {OLV_WEIGHT_INT8_SYM, 32}};
enum { N_FORMS = sizeof forms / sizeof forms[0] };

static double best_of_all(const ol_compress_plan *plan, double limit) {
    double loss[6][N_FORMS], bits[N_FORMS], best = INFINITY;
    for (int f = 0; f < N_FORMS; f++) {
        olv_weight_spec s = {.type = forms[f].type, .group_size = forms[f].group, .rounding = OLV_ROUND_NNCF, .scale = OLV_SCALE_F16};
        ol_qconst q = ol_compress_form(&s, 128, 128);
        bits[f] = ol_qconst_bits(&q);
        for (int i = 0; i < 6; i++) loss[i][f] = loss_of(&plan->entries[i], &s);
    }
    for (int c = 0; c < N_FORMS * N_FORMS * N_FORMS * N_FORMS * N_FORMS * N_FORMS; c++) {
        double l = 0, b = 0;
        for (int i = 0, v = c; i < 6; i++, v /= N_FORMS) {
            l += loss[i][v % N_FORMS];
            b += bits[v % N_FORMS] / 6;
        }
        if (b <= limit + 1e-9 && l < best) best = l;
    }
    return best;
}

static void budget_is_the_best_combination(void **state) {
    (void)state;
    const double limits[] = {4.2, 4.6, 5, 6.1, 7.5};
    for (size_t i = 0; i < 5; i++) {
        olv_compress_params p = params(OLV_WEIGHT_INT4_SYM, 32);
        ol_graph *g;
        ol_compress_plan plan;
        plan_of(&p, &g, &plan);
        double best = best_of_all(&plan, limits[i]), loss = 0;
        p.bits = limits[i];
        assert_int_equal(ol_compress_budget(g, &plan, &p, ol_cpu_probe(), executor, &err), OLV_OK);
        assert_true(bits_of(&plan) <= limits[i] + 1e-9);
        for (int k = 0; k < 6; k++) loss += loss_of(&plan.entries[k], &plan.entries[k].spec);
        assert_true(loss <= best * 1.000001);
        drop(g, &plan);
    }
}

static void budgets_in_bytes_and_errors(void **state) {
    (void)state;
    olv_compress_params p = params(OLV_WEIGHT_INT4_SYM, 32);
    ol_graph *g;
    ol_compress_plan plan;
    plan_of(&p, &g, &plan);
    p.budget_bytes = 20000;
    assert_int_equal(ol_compress_budget(g, &plan, &p, ol_cpu_probe(), executor, &err), OLV_ARG);
    assert_non_null(strstr(err.message, "expected: tables that"));
    p.budget_bytes = 60000;
    assert_int_equal(ol_compress_budget(g, &plan, &p, ol_cpu_probe(), executor, &err), OLV_OK);
    assert_true(bits_of(&plan) * 6 * 128 * 128 / 8 <= 60000);
    p.budget_bytes = UINT64_MAX;
    assert_int_equal(ol_compress_budget(g, &plan, &p, ol_cpu_probe(), executor, &err), OLV_OK);
    assert_string_equal(few_bits(&plan), "000000");
    drop(g, &plan);
}

/* ---- ignored scopes ---- */

static void ignored(void **state) {
    (void)state;
    static const struct {
        const char *scope, *kept; /* NULL: refused */
    } cases[] = {{"a.1", "001000"}, {"a.1.weight", "001000"}, {"/b.0", "010000"}, {"re:^/?a\\.", "101010"}, {"type:MatMul", "111111"},
                 {"type:Linear", "111111"}, {"between:/b.0,/b.1", "011100"}, {"between:/b.1,/b.0", NULL}, {"between:/b.1,/none", NULL},
                 {"between:/b.1", NULL}, {"type:Conv", NULL}, {"a.7", NULL}, {"re:(", NULL}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        olv_compress_params p = params(OLV_WEIGHT_INT4_SYM, 32);
        ol_compress_plan plan;
        ol_graph *g = model();
        p.ignored = &cases[c].scope;
        p.n_ignored = 1;
        olv_status s = ol_compress_graph(g, &p, ol_cpu_probe(), &plan, &err);
        if (cases[c].kept) {
            assert_int_equal(s, OLV_OK);
            for (int i = 0; i < 6; i++) assert_int_equal(plan.entries[i].kept != NULL, cases[c].kept[i] == '1');
        } else {
            assert_int_equal(s, OLV_ARG);
        }
        drop(g, &plan);
    }
}

/* ---- codes given by a method ---- */

static void given_codes(void **state) {
    (void)state;
    olv_compress_params p = params(OLV_WEIGHT_INT4_SYM, 32);
    ol_graph *g;
    ol_compress_plan plan;
    plan_of(&p, &g, &plan);
    ol_compress_entry *e = ol_compress_plan_find(&plan, "b.0.weight");
    assert_non_null(e);
    ol_const *same = ol_compress_const(e->source, &e->spec, 0, &err);
    olv_weight_spec other = e->spec;
    other.group_size = 64;
    ol_const *wrong = ol_compress_const(e->source, &other, 0, &err);
    assert_int_equal(ol_compress_give(g, e, wrong, "test", 1, 2, &err), OLV_INTERNAL);
    assert_int_equal(ol_compress_give(g, e, same, "test", 1, 2, &err), OLV_OK);
    assert_ptr_equal(e->result, same);
    double error, energy;
    assert_true(ol_compress_entry_stats(e, &error, &energy) && error == 1 && energy == 2);
    int held = 0;
    for (int i = 0; i < g->n_values; i++) held += g->values[i] && g->values[i]->constant == same;
    assert_int_equal(held, 1);
    ol_const_release(same);
    ol_const_release(wrong);
    drop(g, &plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ratio_as_nncf), cmocka_unit_test(metrics_with_data), cmocka_unit_test(budget_is_the_best_combination),
        cmocka_unit_test(budgets_in_bytes_and_errors), cmocka_unit_test(ignored), cmocka_unit_test(given_codes),
    };
    if (ol_executor_create(2, &executor, &err) != OLV_OK) return 1;
    int code = cmocka_run_group_tests(tests, NULL, NULL);
    ol_executor_destroy(executor);
    return code;
}
