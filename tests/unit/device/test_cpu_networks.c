/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of float networks compiled as whole graphs for the CPU: every instruction set, one lane and three (the same bits),
 * against the reference evaluation of the graph as written. No step may be left to the reference, but those
 * that give sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/str.h"
#include "base/cpu.h"
#include "base/executor.h"
#include "device/reference/reference.h"
#include "passes/passes.h"
#include "runtime/request.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct network {
    const char *text; /* "#N" stands for N numbers, "+N" positive ones, "%N" whole ones of either sign, "^N" of 8 bits without */
    const char *step; /* class that must be there */
    int steps;        /* how many steps at most, which tells what was fused; 0: any number */
    int64_t sizes[4]; /* for unknown dims of x, in turn */
} network;

#define X(dims) "graph \"\" { input x: f32[" dims "]\n "
#define Y " output y }"
#define W(name, dims, n) "const " name ": f32[" dims "] {#" n "}\n "
#define NORM "const s: f32[6] {#6}\n const b: f32[6] {#6}\n const m: f32[6] {#6}\n const v: f32[6] {1.5, 0.5, 2.0, 0.25, 1.0, 3.0}\n "

#define SCALES "const s: f32[] {0.0091133}\n const z: u8[] {118}\n const t: f32[] {0.0313177}\n const u: i8[] {-9}\n"
#define QX SCALES " q = QuantizeLinear(x, s, z)\n dx = DequantizeLinear(q, s, z)\n "
#define QY " p = QuantizeLinear(r, t, u)\n y = DequantizeLinear(p, t, u)\n"
#define CODES(name, dims, n, outputs) \
    "const " name ": i8[" dims "] {%" n "}\n const " name "s: f32[" outputs "] {+" outputs "}\n d" name " = DequantizeLinear(" name ", " name "s) axis=0\n "

static const network networks[] = {
    /* windows, strides, pads, dilations; small images with many outputs are laid out once */
    {X("1, 3, 19, 23") W("w", "5, 3, 3, 3", "135") "y = Conv(x, w) pads=ints[1, 1, 1, 1]\n" Y, "conv", 0, {0}},
    {X("2, 4, 17, 40") W("w", "6, 4, 5, 3", "360") W("c", "6", "6") "y = Conv(x, w, c) strides=ints[2, 3] pads=ints[2, 0, 1, 1] dilations=ints[1, 2]\n" Y, "conv", 0, {0}},
    {X("1, 7, 7, 7") W("w", "300, 7, 1, 1", "2100") "y = Conv(x, w)\n" Y, "conv", 1, {0}},
    {X("1, 5, 9, 9") W("w", "200, 5, 3, 3", "9000") "y = Conv(x, w) strides=ints[2, 2] auto_pad=\"SAME_UPPER\"\n" Y, "unfold", 2, {0}},
    {X("1, 2, 1, 130") W("w", "3, 2, 1, 7", "42") "y = Conv(x, w) pads=ints[0, 9, 0, 9]\n" Y, "conv", 1, {0}},
    {X("1, 450, 6, 6") W("w", "20, 450, 1, 1", "9000") "y = Conv(x, w) strides=ints[2, 2]\n" Y, "unfold", 0, {0}},
    {X("2, 6, 31") W("w", "4, 6, 4", "96") W("c", "4", "4") "y = Conv(x, w, c) strides=ints[2] pads=ints[1, 2]\n" Y, "conv", 0, {0}},
    /* by places: odd sizes, pads, residual, open sizes, many channels */
    {X("2, 32, 13, 18") W("w", "33, 32, 3, 3", "9504") W("c", "33", "33") "y = Conv(x, w, c) pads=ints[1, 1, 1, 1]\n" Y, "transform", 2, {0}},
    {X("1, 40, 7, 7") W("w", "40, 40, 3, 3", "14400") "a = Conv(x, w) pads=ints[1, 1, 1, 1]\n t = Add(a, x)\n y = Relu(t)\n" Y, "transform", 2, {0}},
    {X("n, 32, h, w") W("k", "40, 32, 3, 3", "11520") "y = Conv(x, k) pads=ints[0, 2, 1, 0]\n" Y, "transform", 2, {1, 35, 50}},
    {X("1, 400, 8, 3") W("w", "32, 400, 3, 3", "115200") "y = Conv(x, w)\n" Y, "transform", 2, {0}},
    {X("1, 32, 3, 300") W("w", "32, 32, 3, 3", "9216") "y = Conv(x, w) pads=ints[1, 1, 1, 1]\n" Y, "transform", 2, {0}},
    {X("1, 32, 64, 66") W("w", "32, 32, 3, 3", "9216") "y = Conv(x, w) pads=ints[1, 0, 1, 0]\n" Y, "transform", 2, {0}},
    /* groups, depthwise with and without a multiplier */
    {X("2, 6, 11, 12") W("w", "9, 2, 3, 3", "162") W("c", "9", "9") "y = Conv(x, w, c) group=3 pads=ints[1, 1, 1, 1]\n" Y, "conv", 0, {0}},
    {X("2, 5, 20, 37") W("w", "5, 1, 3, 3", "45") W("c", "5", "5") "y = Conv(x, w, c) group=5 pads=ints[1, 1, 1, 1]\n" Y, "conv", 1, {0}},
    {X("1, 5, 20, 37") W("w", "5, 1, 5, 5", "125") "y = Conv(x, w) group=5 pads=ints[2, 2, 2, 2] strides=ints[2, 2]\n" Y, "conv", 1, {0}},
    {X("1, 4, 9, 14") W("w", "8, 1, 3, 3", "72") "y = Conv(x, w) group=4 pads=ints[1, 1, 1, 1]\n" Y, "conv", 0, {0}},
    {X("1, 3, 50") W("w", "3, 1, 20", "60") "y = Conv(x, w) group=3 pads=ints[19, 0]\n" Y, "conv", 1, {0}},
    /* what a convolution takes along */
    {X("1, 4, 8, 9") W("w", "6, 4, 3, 3", "216") NORM "a = Conv(x, w)\n n = BatchNormalization(a, s, b, m, v)\n y = Relu(n)\n" Y, "conv", 1, {0}},
    {X("1, 6, 8, 9") W("w", "6, 1, 3, 3", "54") NORM "a = Conv(x, w) group=6 pads=ints[1, 1, 1, 1]\n n = BatchNormalization(a, s, b, m, v)\n y = HardSwish(n)\n" Y, "conv", 1, {0}},
    {X("1, 6, 8, 9") W("w", "6, 6, 3, 3", "324") NORM "a = Conv(x, w) pads=ints[1, 1, 1, 1]\n n = BatchNormalization(a, s, b, m, v)\n t = Add(n, x)\n y = Relu(t)\n" Y, "conv", 0, {0}},
    {X("1, 3, 12, 12") W("w", "4, 3, 1, 1", "12") "const lo: f32[] {0.0}\n const hi: f32[] {6.0}\n a = Conv(x, w)\n y = Clip(a, lo, hi)\n" Y, "conv", 1, {0}},
    {X("1, 3, 10, 10") "const p: i64[8] {0, 0, 1, 2, 0, 0, 1, 0}\n " W("w", "4, 3, 3, 3", "108") "a = Pad(x, p)\n y = Conv(a, w)\n" Y, "conv", 0, {0}},
    {X("1, 3, 10, 10") W("w", "4, 3, 3, 3", "108") "a = Conv(x, w)\n r = Relu(a)\n y = Add(a, r)\n" Y, "conv", 0, {0}},
    /* open sizes */
    {X("n, 3, h, w") W("k", "20, 3, 3, 3", "540") "a = Conv(x, k) pads=ints[1, 1, 1, 1]\n y = Relu(a)\n" Y, "conv", 0, {2, 13, 21}},
    {X("n, 6, h, w") W("k", "6, 1, 3, 3", "54") "y = Conv(x, k) group=6 strides=ints[2, 2]\n" Y, "conv", 0, {1, 40, 33}},
    /* transposed */
    {X("2, 5, 6, 7") W("w", "5, 4, 3, 3", "180") W("c", "4", "4") "y = ConvTranspose(x, w, c) strides=ints[2, 2] pads=ints[1, 1, 0, 1] output_padding=ints[1, 0]\n" Y, "conv transpose", 1, {0}},
    {X("1, 6, 9, 5") W("w", "6, 3, 2, 4", "144") "y = ConvTranspose(x, w) group=2 strides=ints[1, 3] dilations=ints[2, 1]\n" Y, "conv transpose", 1, {0}},
    {X("1, 400, 16, 16") W("w", "400, 2, 2, 2", "3200") "y = ConvTranspose(x, w) strides=ints[2, 2]\n" Y, "conv transpose", 1, {0}},
    {X("1, 3, 90, 100") W("w", "3, 17, 4, 4", "816") "y = ConvTranspose(x, w) strides=ints[2, 2] pads=ints[1, 1, 1, 1]\n" Y, "conv transpose", 1, {0}},
    {X("2, 4, 21") W("w", "4, 5, 6", "120") "y = ConvTranspose(x, w) strides=ints[3] auto_pad=\"SAME_UPPER\"\n" Y, "conv transpose", 1, {0}},
    /* pools */
    {X("2, 3, 13, 18") "y = MaxPool(x) kernel_shape=ints[3, 2] strides=ints[2, 2] pads=ints[1, 0, 1, 1]\n" Y, "pool", 1, {0}},
    {X("1, 3, 13, 18") "y = AveragePool(x) kernel_shape=ints[3, 3] strides=ints[2, 1] pads=ints[1, 1, 1, 1] count_include_pad=1\n" Y, "pool", 1, {0}},
    {X("1, 3, 14, 17") "y = AveragePool(x) kernel_shape=ints[3, 3] strides=ints[2, 2] ceil_mode=1\n" Y, "pool", 1, {0}},
    {X("1, 4, 25") "y = MaxPool(x) kernel_shape=ints[4] strides=ints[3] dilations=ints[2]\n" Y, "pool", 1, {0}},
    {X("n, 4, h, w") "y = GlobalAveragePool(x)\n" Y, "pool", 1, {3, 7, 9}},
    {X("2, 4, 6, 5") "y = GlobalMaxPool(x)\n" Y, "pool", 1, {0}},
    /* norms of channels, resizing */
    {X("2, 6, 5, 7") NORM "y = BatchNormalization(x, s, b, m, v) epsilon=0.01\n" Y, "channel norm", 1, {0}},
    {X("n, 6, h, w") NORM "y = InstanceNormalization(x, s, b)\n" Y, "channel norm", 1, {2, 9, 70}},
    {X("2, 6, 33") NORM "y = GroupNormalization(x, s, b) num_groups=3\n" Y, "channel norm", 1, {0}},
    {X("1, 2, 7, 9") "const e: f32[0] {}\n const s: f32[4] {1.0, 1.0, 2.0, 2.0}\n y = Resize(x, e, s)\n" Y, "resize", 1, {0}},
    {X("1, 2, h, w") "const e: f32[0] {}\n const s: f32[4] {1.0, 1.0, 2.0, 3.0}\n y = Resize(x, e, s) mode=\"linear\"\n" Y, "resize", 1, {7, 9}},
    {X("1, 2, 30, 19") "const e: f32[0] {}\n const s: i64[4] {1, 2, 11, 40}\n y = Resize(x, e, e, s) mode=\"cubic\" coordinate_transformation_mode=\"align_corners\"\n" Y, "resize", 1, {0}},
    {X("2, 3, 30, 19") "const e: f32[0] {}\n const s: i64[2] {45, 6}\n y = Resize(x, e, e, s) axes=ints[2, 3] mode=\"linear\" coordinate_transformation_mode=\"asymmetric\"\n" Y, "resize", 1, {0}},
    /* quantized and back */
    {X("2, 6, 33") "const s: f32[] {0.013}\n const z: u8[] {120}\n q = QuantizeLinear(x, s, z)\n y = DequantizeLinear(q, s, z)\n" Y, "round to steps", 1, {0}},
    {X("2, 6, 33") "const s: f32[] {0.004}\n const z: i8[] {-3}\n q = QuantizeLinear(x, s, z)\n t = Transpose(q) perm=ints[0, 2, 1]\n y = DequantizeLinear(t, s, z)\n" Y, "quantize", 3, {0}},
    {X("2, 3, 5") "const s: f32[] {0.5}\n const z: u8[] {1}\n const a: f32[3] {0.5, 0.25, 2.0}\n const b: u8[3] {1, 2, 3}\n q = QuantizeLinear(x, s, z)\n y = DequantizeLinear(q, a, b)\n" Y, "dequantize", 2, {0}},
    /* through time */
    {X("9, 11, 5") W("w", "1, 28, 5", "140") W("r", "1, 28, 7", "196") W("c", "1, 56", "56") "y = LSTM(x, w, r, c) hidden_size=7\n" Y, "recurrent", 2, {0}},
    {X("s, b, 5") W("w", "2, 80, 5", "800") W("r", "2, 80, 20", "3200") "y = LSTM(x, w, r) hidden_size=20 direction=\"bidirectional\"\n" Y, "recurrent", 2, {6, 3}},
    {X("7, 2, 5") W("w", "1, 60, 5", "300") W("r", "1, 60, 20", "1200") W("c", "1, 120", "120") W("h", "1, 2, 20", "40") "y = GRU(x, w, r, c, _, h) hidden_size=20 linear_before_reset=1\n" Y, "recurrent", 2, {0}},
    {X("7, 2, 5") W("w", "1, 60, 5", "300") W("r", "1, 60, 20", "1200") W("c", "1, 120", "120") "y = GRU(x, w, r, c) hidden_size=20 direction=\"reverse\"\n" Y, "recurrent", 2, {0}},
    /* products */
    {X("2, 3, 9, 20") "t = Transpose(x) perm=ints[0, 1, 3, 2]\n y = MatMul(x, t)\n" Y, "matmul", 0, {0}},
    {X("2, 1, 9, 20") "const o: f32[3, 20, 5] {#300}\n y = MatMul(x, o)\n" Y, "matmul", 1, {0}},
    {X("4, 3, 6, 20") "const o: f32[4, 1, 20, 50] {#4000}\n y = MatMul(x, o)\n" Y, "matmul", 1, {0}},
    {X("7, 33") "t = Relu(x)\n u = Transpose(t) perm=ints[1, 0]\n y = MatMul(x, u)\n" Y, "matmul", 0, {0}},
    {X("b, 4, s, 8") "t = Transpose(x) perm=ints[0, 1, 3, 2]\n a = MatMul(x, t)\n p = Softmax(a)\n y = MatMul(p, x)\n" Y, "softmax", 0, {2, 37}},
    {X("3, 450") W("w", "450, 40", "18000") W("c", "40", "40") "a = MatMul(x, w)\n t = Add(a, c)\n y = Relu(t)\n" Y, "linear", 0, {0}},
    {X("5, 64") W("w", "33, 64", "2112") W("c", "33", "33") "y = Gemm(x, w, c) transB=1\n" Y, "linear", 0, {0}},
    {X("2, 5, 7") "const o: f32[7] {#7}\n y = MatMul(x, o)\n" Y, "matmul", 1, {0}},
    /* in 8 bits: what lies between QuantizeLinear and DequantizeLinear; with weights of either sign, by channel or not */
    {X("1, 5, 11, 13") CODES("w", "7, 5, 3, 3", "315", "7") W("c", "7", "7") QX "a = Conv(dx, dw, c) pads=ints[1, 1, 1, 1]\n r = Relu(a)\n" QY Y, "conv int8", 3, {0}},
    {X("2, 70, 6, 5") CODES("w", "70, 1, 3, 3", "630", "70") QX "r = Conv(dx, dw) group=70 pads=ints[1, 0, 1, 2] strides=ints[2, 1]\n" QY Y, "conv int8", 3, {0}},
    {X("2, 70, 6, 5") CODES("w", "70, 1, 3, 3", "630", "70") QX "y = Conv(dx, dw) group=70 pads=ints[1, 1, 1, 1]\n" Y, "conv int8", 2, {0}},
    {X("2, 6, 9, 8") "const w: u8[8, 3, 2, 3] {^144}\n const ws: f32[8] {0.01, 0.02, 0.03, 0.01, 0.02, 0.03, 0.01, 0.02}\n const wz: u8[8] {^8}\n dw = DequantizeLinear(w, ws, wz) axis=0\n"
     QX "y = Conv(dx, dw) group=2 dilations=ints[2, 1]\n" Y, "conv int8", 2, {0}},
    {X("2, 6, 31") CODES("w", "4, 6, 4", "96", "4") QX "r = Conv(dx, dw) strides=ints[2] pads=ints[1, 2]\n" QY Y, "conv int8", 3, {0}},
    {X("n, 3, h, w") "const k: i8[150, 3, 1, 1] {%450}\n const ks: f32[] {0.01}\n dk = DequantizeLinear(k, ks)\n" QX "r = Conv(dx, dk)\n" QY Y, "conv int8", 3, {2, 13, 21}},
    {X("1, 5, 11, 13") "const w: i8[7, 5, 3, 3] {%315}\n const ws: f32[7] {0.01, 0.02, 0.03, 0.01, 0.02, 0.03, 0.01}\n const wz: i8[7] {0, 0, 0, 0, 0, 0, 0}\n const c: i32[7] {%7}\n" SCALES
     " q = QuantizeLinear(x, s, z)\n p = QLinearConv(q, s, z, w, ws, wz, t, u, c) strides=ints[2, 2]\n y = DequantizeLinear(p, t, u)\n" Y, "conv int8", 3, {0}},
    {X("2, 9, 7, 7") SCALES " q = QuantizeLinear(x, s, z)\n dx = DequantizeLinear(q, s, z)\n m = MaxPool(dx) kernel_shape=ints[3, 3] pads=ints[1, 1, 1, 1]\n mq = QuantizeLinear(m, s, z)\n"
     " dm = DequantizeLinear(mq, s, z)\n a = Add(dx, dm)\n r = Relu(a)\n aq = QuantizeLinear(r, t, u)\n da = DequantizeLinear(aq, t, u)\n g = GlobalAveragePool(da)\n"
     " gq = QuantizeLinear(g, s, z)\n y = DequantizeLinear(gq, s, z)\n" Y, "pool codes", 5, {0}},
    {X("2, 9, 7, 8") QX "r = AveragePool(dx) kernel_shape=ints[3, 2] strides=ints[2, 1] pads=ints[1, 1, 1, 0] count_include_pad=1\n" QY Y, "pool codes", 3, {0}},
    {X("5, 3, 20") "const w: i8[20, 70] {%1400}\n const ws: f32[70] {+70}\n dw = DequantizeLinear(w, ws) axis=1\n" W("c", "70", "70") QX "a = MatMul(dx, dw)\n r = Add(a, c)\n" QY Y, "linear int8", 3, {0}},
    {X("53, 30") "const w: u8[9, 30] {^270}\n const ws: f32[] {0.01}\n const wz: u8[] {117}\n dw = DequantizeLinear(w, ws, wz)\n" QX "y = Gemm(dx, dw) transB=1\n" Y, "linear int8", 2, {0}},
    {X("3, 4, 20") W("c", "20", "20") "const e: i64[4] {3, 2, 2, 20}\n" SCALES " q = QuantizeLinear(x, s, z)\n dx = DequantizeLinear(q, s, z)\n v = Reshape(dx, e)\n vq = QuantizeLinear(v, s, z)\n"
     " dv = DequantizeLinear(vq, s, z)\n n = Transpose(dv) perm=ints[0, 2, 3, 1]\n nq = QuantizeLinear(n, t, u)\n dn = DequantizeLinear(nq, t, u)\n o = Transpose(dn) perm=ints[0, 1, 3, 2]\n"
     " i = Sigmoid(o)\n iq = QuantizeLinear(i, t, u)\n di = DequantizeLinear(iq, t, u)\n r = Mul(di, c)\n" QY Y, "combine codes", 8, {0}},
    {X("5, 3, 20") "const w: u8[20, 17] {^340}\n const ws: f32[] {0.01}\n const wz: u8[] {124}\n q, s, z = DynamicQuantizeLinear(x)\n m = MatMulInteger(q, w, z, wz)\n f = Cast(m) to=1\n"
     " k = Mul(s, ws)\n y = Mul(f, k)\n" Y, "round to range", 4, {0}},
    /* softmax over every axis, and what the sizes of an Expand come from */
    {X("3, 5, 18") "y = Softmax(x) axis=1\n" Y, "softmax", 1, {0}},
    {X("4, 6, 3") "y = LogSoftmax(x) axis=0\n" Y, "softmax", 1, {0}},
    {X("n, 2, 4") "const three: i64[1] {3}\n const rest: i64[2] {-1, -1}\n const m: i64[] {-1}\n const t: f32[1, 1, 4] {#4}\n"
     " b = Shape(x) end=1\n c = Concat(b, rest) axis=0\n o = ConstantOfShape(three) value=tensor i64[1] {1}\n k = Mul(o, m)\n e = Equal(c, k)\n"
     " w = Where(e, o, c)\n u = Expand(t, w)\n z = Concat(u, x) axis=1\n y = Softmax(z)\n" Y, "softmax", 0, {5}},
};

/* ---- text, data ---- */

static float next_value(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)((int32_t)(*state >> 8) - (1 << 23)) / (float)(1 << 23);
}

static void print_number(ol_buf *b, char kind, const char *before, double v) {
    if (kind == '#') ol_buf_printf(b, "%s%.4f", before, v * 0.5);
    else if (kind == '+') ol_buf_printf(b, "%s%.4f", before, fabs(v) * 0.02 + 0.001);
    else ol_buf_printf(b, "%s%d", before, (int)(kind == '%' ? v * 127 : v * 127 + 127));
}

static ol_graph *parse(const char *text) {
    ol_buf b = OL_BUF_INIT;
    uint32_t state = 7;
    for (const char *p = text; *p; p++) {
        long n = strchr("#+%^", *p) ? strtol(p + 1, NULL, 10) : 0;
        if (!n) {
            ol_buf_append(&b, p, 1);
            continue;
        }
        for (long i = 0; i < n; i++) print_number(&b, *p, i ? ", " : "", (double)next_value(&state));
        while (p[1] >= '0' && p[1] <= '9') p++;
    }
    ol_graph *g = NULL;
    olv_error err;
    if (ol_graph_parse(b.data, b.len, &g, &err) != OLV_OK) fail_msg("%s\n%s", err.message, text);
    ol_buf_deinit(&b);
    return g;
}

static void make_input(const ol_graph *g, const network *w, ol_datum *x) {
    const ol_type *t = &g->inputs[0]->type;
    int64_t dims[OL_MAX_RANK];
    uint32_t state = 3;
    olv_error err;
    for (int i = 0, k = 0; i < t->rank; i++) dims[i] = ol_dim_known(t->dims[i]) ? t->dims[i] : w->sizes[k++];
    *x = (ol_datum){.kind = OL_VALUE_TENSOR, .present = true};
    assert_int_equal(ol_tensor_init(&x->tensor, OL_F32, t->rank, dims, &err), OLV_OK);
    for (int64_t i = 0; i < ol_tensor_count(&x->tensor); i++) ((float *)x->tensor.data)[i] = next_value(&state);
}

/* ---- running ---- */

static void check_plan(const ol_plan *p, const network *w) {
    const ol_plan_entry *e = ol_plan_get_entry(p, OL_ENTRY_WHOLE);
    bool found = false;
    for (int i = 0; i < e->n_steps; i++) {
        if (!strcmp(e->steps[i].cls->name, "reference") && strcmp(e->steps[i].kernel, "Shape")) fail_msg("'%s' is left to the reference in\n%s", e->steps[i].kernel, w->text);
        found |= !strcmp(e->steps[i].cls->name, w->step);
    }
    if (!found) fail_msg("no step '%s' in\n%s", w->step, w->text);
    if (w->steps && e->n_steps > w->steps) fail_msg("%d steps, %d expected in\n%s", e->n_steps, w->steps, w->text);
}

static void run_compiled(const network *w, uint64_t cpu, int lanes, const ol_datum *x, ol_datum *out) {
    olv_error err;
    ol_plan_options o = {.device = ol_device_find("CPU"), .cpu = cpu, .precision = OLK_F32, .kv_dtype = OL_F32, .whole = true};
    ol_graph *g = parse(w->text);
    ol_plan *plan;
    ol_executor *executor;
    ol_request *r;
    if (ol_passes_run(g, &err) != OLV_OK || ol_plan_create(g, &o, &plan, &err) != OLV_OK) fail_msg("%s\n%s", err.message, w->text);
    check_plan(plan, w);
    assert_int_equal(ol_executor_create(lanes, &executor, &err), OLV_OK);
    assert_int_equal(ol_request_create(plan, executor, &r, &err), OLV_OK);
    assert_int_equal(ol_request_set_input(r, 0, x, &err), OLV_OK);
    for (int k = 0; k < 2; k++)
        if (ol_request_run(r, NULL, &err) != OLV_OK) fail_msg("%s\n%s", err.message, w->text);
    assert_int_equal(ol_datum_copy(out, ol_request_output(r, 0), &err), OLV_OK);
    ol_request_destroy(r);
    ol_executor_destroy(executor);
    ol_plan_destroy(plan);
}

static void compare(const network *w, const char *isa, const ol_tensor *have, const ol_tensor *want) {
    const float *a = have->data, *b = want->data;
    double largest = 0;
    assert_int_equal(have->rank, want->rank);
    for (int i = 0; i < have->rank; i++) assert_int_equal(have->dims[i], want->dims[i]);
    for (int64_t i = 0; i < ol_tensor_count(want); i++) largest = fmax(largest, fabs((double)b[i]));
    for (int64_t i = 0; i < ol_tensor_count(want); i++)
        if (!(fabs((double)a[i] - (double)b[i]) <= 1e-5 * largest))
            fail_msg("%s: element %lld is %g, expected %g in\n%s", isa, (long long)i, (double)a[i], (double)b[i], w->text);
}

static void check_network(const network *w) {
    static const char *const sets[] = {"scalar", "avx2", "avx512"};
    const char *name = "x";
    ol_datum x, want = {.kind = OL_VALUE_TENSOR}, one = {.kind = OL_VALUE_TENSOR}, three = {.kind = OL_VALUE_TENSOR};
    olv_error err;
    ol_graph *g = parse(w->text);
    make_input(g, w, &x);
    if (ol_reference_run(g, NULL, &name, &x, 1, &want, &err) != OLV_OK) fail_msg("%s\n%s", err.message, w->text);
    ol_graph_destroy(g);
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        uint64_t cpu = ol_cpu_probe();
        assert_true(ol_cpu_limit(sets[i], &cpu));
        run_compiled(w, cpu, 1, &x, &one);
        run_compiled(w, cpu, 3, &x, &three);
        compare(w, sets[i], &one.tensor, &want.tensor);
        assert_memory_equal(one.tensor.data, three.tensor.data, one.tensor.bytes);
        ol_datum_deinit(&one);
        ol_datum_deinit(&three);
    }
    ol_datum_deinit(&x);
    ol_datum_deinit(&want);
}

static void test_networks(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) check_network(&networks[i]);
}

/* Sizes that do not fit each other show in the run alone. */
static void test_misfit(void **state) {
    (void)state;
    olv_error err;
    ol_plan_options o = {.device = ol_device_find("CPU"), .cpu = ol_cpu_probe(), .precision = OLK_F32, .kv_dtype = OL_F32, .whole = true};
    ol_graph *g = parse("graph \"\" { input x: f32[2, a]\n input z: f32[b, 3]\n y = MatMul(x, z) @m\n output y }");
    ol_plan *plan;
    ol_executor *executor;
    ol_request *r;
    ol_datum in[2];
    network w = {.sizes = {4}};
    make_input(g, &w, &in[0]);
    in[1] = (ol_datum){.kind = OL_VALUE_TENSOR, .present = true};
    assert_int_equal(ol_tensor_init(&in[1].tensor, OL_F32, 2, (int64_t[]){5, 3}, &err), OLV_OK);
    assert_int_equal(ol_plan_create(g, &o, &plan, &err), OLV_OK);
    assert_int_equal(ol_executor_create(1, &executor, &err), OLV_OK);
    assert_int_equal(ol_request_create(plan, executor, &r, &err), OLV_OK);
    for (int i = 0; i < 2; i++) assert_int_equal(ol_request_set_input(r, i, &in[i], &err), OLV_OK);
    assert_int_equal(ol_request_run(r, NULL, &err), OLV_SHAPE);
    assert_non_null(strstr(err.message, "inner sizes"));
    ol_request_destroy(r);
    ol_executor_destroy(executor);
    ol_plan_destroy(plan);
    for (int i = 0; i < 2; i++) ol_datum_deinit(&in[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_networks), cmocka_unit_test(test_misfit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
