/* SPDX-License-Identifier: Apache-2.0 */
/* What comes after the ids of a text: special tokens around it, a limit to its length, and padding to one width. */
#include "bundle/tokenizer_ir/net.h"

#include "base/error.h"

/* ---- the template ---- */

static olv_status put(ol_ti_template *t, int64_t id, int64_t type, olv_error *err) {
    if (t->count == OL_TI_MAX_PARTS)
        return ol_fail(err, OLV_LIMIT, "post-processor: more than %d parts", OL_TI_MAX_PARTS);
    if (id > INT32_MAX || type < 0 || type > INT32_MAX) return ol_fail(err, OLV_FORMAT, "post-processor: id %lld", (long long)id);
    t->ids[t->count] = (int32_t)id;
    t->types[t->count++] = (int32_t)type;
    return OLV_OK;
}

/* A special token of a template: its name stands for one or more ids. */
static olv_status put_special(const ol_ti_document *d, const json_t *step, const json_t *part, ol_ti_template *t, olv_error *err) {
    const char *name = ol_ti_text(part, "id", "");
    int64_t type = json_integer_value(json_object_get(part, "type_id"));
    const json_t *ids = json_object_get(json_object_get(json_object_get(step, "special_tokens"), name), "ids"), *id;
    size_t i;
    json_array_foreach(ids, i, id) OL_TRY(put(t, json_integer_value(id), type, err));
    if (json_array_size(ids)) return OLV_OK;
    int64_t known = ol_ti_id(d, name, strlen(name));
    if (known < 0) return ol_fail(err, OLV_FORMAT, "post-processor: no id for token \"%s\"", name);
    return put(t, known, type, err);
}

static olv_status from_template(const ol_ti_document *d, const json_t *step, bool pair, ol_ti_template *t, olv_error *err) {
    size_t i;
    const json_t *part;
    json_array_foreach(json_object_get(step, pair ? "pair" : "single"), i, part) {
        const json_t *text = json_object_get(part, "Sequence"), *special = json_object_get(part, "SpecialToken");
        if (special) OL_TRY(put_special(d, step, special, t, err));
        if (!text) continue;
        bool second = strcmp(ol_ti_text(text, "id", "A"), "B") == 0;
        OL_TRY(put(t, second ? -2 : -1, json_integer_value(json_object_get(text, "type_id")), err));
    }
    return OLV_OK;
}

/* [CLS] A [SEP], B [SEP]; RoBERTa has one type and two tokens between. */
static olv_status from_bert(const ol_ti_document *d, const json_t *step, bool pair, ol_ti_template *t, olv_error *err) {
    (void)d;
    bool roberta = strcmp(ol_ti_text(step, "type", ""), "RobertaProcessing") == 0;
    int64_t cls = json_integer_value(json_array_get(json_object_get(step, "cls"), 1));
    int64_t sep = json_integer_value(json_array_get(json_object_get(step, "sep"), 1)), second = roberta ? 0 : 1;
    OL_TRY(put(t, cls, 0, err));
    OL_TRY(put(t, -1, 0, err));
    OL_TRY(put(t, sep, 0, err));
    if (!pair) return OLV_OK;
    if (roberta) OL_TRY(put(t, sep, 0, err));
    OL_TRY(put(t, -2, second, err));
    return put(t, sep, second, err);
}

static const struct {
    const char *type;
    olv_status (*read)(const ol_ti_document *d, const json_t *step, bool pair, ol_ti_template *t, olv_error *err);
} kinds[] = {
    {"TemplateProcessing", from_template},
    {"BertProcessing", from_bert},
    {"RobertaProcessing", from_bert},
    {"ByteLevel", NULL}, /* moves offsets only */
};

/* One step around what earlier ones made: where it names the (first) text, that comes. */
static olv_status around(ol_ti_template *t, const ol_ti_template *outer, olv_error *err) {
    ol_ti_template inner = *t;
    t->count = 0;
    for (int i = 0; i < outer->count; i++) {
        if (outer->ids[i] != -1 || inner.count <= 1) {
            OL_TRY(put(t, outer->ids[i], outer->types[i], err));
            continue;
        }
        for (int k = 0; k < inner.count; k++) OL_TRY(put(t, inner.ids[k], inner.types[k], err));
    }
    return OLV_OK;
}

static olv_status apply(const ol_ti_document *d, const json_t *step, bool pair, ol_ti_template *t, olv_error *err) {
    const char *type = ol_ti_text(step, "type", "");
    if (strcmp(type, "Sequence") == 0) {
        size_t i;
        const json_t *item;
        json_array_foreach(json_object_get(step, "processors"), i, item) OL_TRY(apply(d, item, pair, t, err));
        return OLV_OK;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(type, kinds[i].type) != 0) continue;
        if (!kinds[i].read) return OLV_OK;
        ol_ti_template own = {.count = 0};
        OL_TRY(kinds[i].read(d, step, pair, &own, err));
        return around(t, &own, err);
    }
    return ol_fail(err, OLV_UNSUPPORTED, "post-processor %s has no form in OpenVINO's tokenizer models", type);
}

olv_status ol_ti_template_read(const ol_ti_document *d, bool pair, ol_ti_template *t, olv_error *err) {
    *t = (ol_ti_template){.ids = {-1}, .types = {0}, .count = 1};
    if (d->postprocessor) OL_TRY(apply(d, d->postprocessor, pair, t, err));
    if (pair && t->count == 1) return put(t, -2, 0, err);
    return OLV_OK;
}

/* ---- layers ---- */

static ol_ir_out integer(ol_ti_net *n, int32_t v) {
    return ol_ti_i32(n, &v, -1);
}

/* Longest text in tokens, without what the template adds. */
static int32_t text_limit(const ol_ti_document *d, int added) {
    const json_t *v = json_object_get(d->config, "model_max_length");
    if (!json_is_number(v)) v = json_object_get(d->truncation, "max_length");
    double max = json_is_number(v) ? json_number_value(v) : 2147483647.0;
    if (max > 2147483647.0) max = 2147483647.0;
    return max > added ? (int32_t)max - added : 0;
}

/* Cut when the variable "truncation" says so, which pipelines set. */
static void truncate(ol_ti_net *n, int added, ol_ir_out ids[3], ol_ir_out *state) {
    static const uint8_t off = 0;
    ol_ir_type flag = {.element = ol_ir_element_named("boolean"), .rank = 0}, number = {.element = ol_ir_element_named("i32"), .rank = 0};
    ol_ir_out init = ol_ir_const_raw(n->e, NULL, NULL, &flag, &off, 1);
    ol_ir_attr v[] = {ol_ir_say_text("variable_id", "truncation"), ol_ir_say_text("variable_type", "dynamic"),
                      ol_ir_say_text("variable_shape", "...")};
    *state = ol_ir_add(n->e, &(ol_ir_layer){.type = "ReadValue", .version = "opset6", .in = &init, .n_in = 1, .attrs = v,
                                            .n_attrs = 3, .out = &flag, .n_out = 1});
    /* Without truncation: a limit that nothing reaches, with room for what the template adds. */
    ol_ir_out choice[] = {*state, integer(n, text_limit(n->doc, added)), integer(n, INT32_MAX - 64)};
    ol_ir_attr b = ol_ir_say_text("auto_broadcast", "numpy");
    ol_ir_out limit = ol_ir_add(n->e, &(ol_ir_layer){.type = "Select", .version = "opset1", .in = choice, .n_in = 3, .attrs = &b,
                                                     .n_attrs = 1, .out = &number, .n_out = 1});
    const char *side = ol_ti_text(n->doc->config, "truncation_side", "right");
    bool left = strcmp(side, "left") == 0 || strcmp(ol_ti_text(n->doc->truncation, "direction", "Right"), "Left") == 0;
    ol_ir_out in[] = {ids[0], ids[1], ids[2], limit, left ? ol_ti_bytes(n, "left", 4) : ol_ti_bytes(n, "right", 5),
                      ol_ti_bytes(n, "longest_first", 13)};
    ol_ir_attr a = ol_ir_say_int(n->e, "m_num_inputs", 1);
    ol_ir_out first = ol_ti_layer(n, "Truncate", in, 6, &a, 1, "iii");
    for (int i = 0; i < 3; i++) ids[i] = ol_ir_nth(first, i);
}

/* ids[0..2] with the template around, types[0..2] the type of each. */
static void combine(ol_ti_net *n, const ol_ti_template *t, ol_ir_out ids[3], ol_ir_out types[3]) {
    ol_ir_out in[3 * OL_TI_MAX_PARTS + 1];
    int k = 0;
    for (int i = 0; i < t->count; i++) {
        if (t->ids[i] < 0) {
            for (int j = 0; j < 3; j++) in[k++] = ids[j];
        } else {
            in[k++] = integer(n, 0);
            in[k++] = integer(n, 1);
            in[k++] = ol_ti_i32(n, &t->ids[i], 1);
        }
    }
    in[k++] = ol_ti_i32(n, t->types, t->count);
    ol_ir_out first = ol_ti_layer(n, "CombineSegments", in, k, NULL, 0, "iiiiii");
    for (int i = 0; i < 3; i++) {
        ids[i] = ol_ir_nth(first, i);
        types[i] = ol_ir_nth(first, i + 3);
    }
}

static bool pads_left(const ol_ti_document *d) {
    const char *side = ol_ti_text(d->config, "padding_side", NULL), *stored = ol_ti_text(d->padding, "direction", NULL);
    if (side) return strcmp(side, "left") == 0;
    if (stored) return strcmp(stored, "Left") == 0;
    return d->causal; /* generation goes on at the right end */
}

/* Rows of equal width. *mask (not NULL): where there are tokens. */
static ol_ir_out pad(ol_ti_net *n, ol_ir_out ids[3], ol_ir_out width, int32_t value, ol_ir_out *mask) {
    ol_ir_out in[] = {ids[0], ids[1], ids[2], width, integer(n, value)};
    ol_ir_attr a[] = {ol_ir_say_bool("pad_right", !pads_left(n->doc)), ol_ir_say_bool("m_pad_max_length", false)};
    ol_ir_out first = ol_ti_layer(n, "RaggedToDense", in, 5, a, 2, "DM");
    if (mask) *mask = ol_ir_nth(first, 1);
    return first;
}

/* An output of 64-bit numbers under its name. */
static ol_ir_out output(ol_ti_net *n, const char *name, ol_ir_out x) {
    ol_ir_type t = {.element = ol_ir_element_named("i64"), .rank = 2, .dims = {-1, -1}};
    ol_ir_attr a = ol_ir_say_text("destination_type", "i64");
    return ol_ir_add(n->e, &(ol_ir_layer){.type = "Convert", .version = "opset1", .in = &x, .n_in = 1, .attrs = &a, .n_attrs = 1,
                                          .out = &t, .n_out = 1, .names = &name});
}

static bool wants_types(const ol_ti_document *d) {
    size_t i;
    const json_t *name, *list = json_object_get(d->config, "model_input_names");
    json_array_foreach(list, i, name)
        if (json_is_string(name) && strcmp(json_string_value(name), "token_type_ids") == 0) return true;
    return !list && ol_str_starts(ol_str_of(ol_ti_text(d->config, "tokenizer_class", "")), "Bert");
}

static int32_t pad_id(const ol_ti_document *d) {
    const char *name = ol_ti_special(d, "pad_token");
    int64_t id = name ? ol_ti_id(d, name, strlen(name)) : -1;
    if (id < 0) id = json_integer_value(json_object_get(d->padding, "pad_id"));
    return (int32_t)id;
}

olv_status ol_ti_postprocess(ol_ti_net *n, ol_ir_out ids[3]) {
    ol_ti_template t;
    ol_ir_out types[3], state, mask, zero = integer(n, 0);
    OL_TRY(ol_ti_template_read(n->doc, false, &t, n->err));
    truncate(n, t.count - 1, ids, &state);
    combine(n, &t, ids, types);
    ol_ir_out length = ol_ir_add_binary(n->e, "Subtract", NULL, ids[1], ids[0]), reduce[] = {length, zero};
    ol_ir_type scalar = {.element = ol_ir_element_named("i32"), .rank = 0};
    ol_ir_attr keep = ol_ir_say_bool("keep_dims", false);
    ol_ir_out width = ol_ir_add(n->e, &(ol_ir_layer){.type = "ReduceMax", .version = "opset1", .in = reduce, .n_in = 2,
                                                     .attrs = &keep, .n_attrs = 1, .out = &scalar, .n_out = 1});
    ol_ir_out dense = pad(n, ids, width, pad_id(n->doc), &mask), out[3];
    int count = 0;
    out[count++] = output(n, "input_ids", dense);
    if (wants_types(n->doc)) out[count++] = output(n, "token_type_ids", pad(n, types, width, 0, NULL));
    out[count++] = output(n, "attention_mask", ol_ir_add_convert(n->e, NULL, mask, ol_ir_element_named("i32")));
    ol_ir_attr v = ol_ir_say_text("variable_id", "truncation");
    ol_ir_type flag = {.element = ol_ir_element_named("boolean"), .rank = 0};
    ol_ir_add(n->e, &(ol_ir_layer){.type = "Assign", .version = "opset6", .in = &state, .n_in = 1, .attrs = &v, .n_attrs = 1,
                                   .out = &flag, .n_out = 1});
    for (int i = 0; i < count; i++) ol_ir_add_result(n->e, NULL, out[i]);
    return OLV_OK;
}
