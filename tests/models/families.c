/* SPDX-License-Identifier: Apache-2.0 */
/* Every family of language models as f32, int8 and int4 on the CPU device.
 *
 *     model_families FOLDER_OF_MODELS PEBBLE [TABLE.md]
 *
 * f32 weights in f32 arithmetic are held against golden logits and greedy tokens of another implementation; int8 and int4 in
 * f32 arithmetic against the reference device on the same codes. Default activations are only measured: mean KL divergence and
 * agreement of the best token with f32 arithmetic. One line PASS, FAIL or SKIP per family; the table goes to TABLE.md. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "measure.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_TEXTS 12
#define BOUND 2e-3

typedef struct family {
    const char *name;
    char folder[1024];
    text_ids texts[MAX_TEXTS];
    size_t n_texts, n_prompts; /* the texts after the prompts are prompts with their greedy tokens */
    float *golden[MAX_TEXTS];  /* of the prompts */
    size_t golden_count[MAX_TEXTS];
    double *margins[MAX_TEXTS]; /* of the greedy tokens */
    size_t first[MAX_TEXTS];    /* token of the text that margins[0] belongs to */
} family;

static void close_family(family *f) {
    for (size_t i = 0; i < MAX_TEXTS; i++) ol_free(f->texts[i].ids), ol_free(f->golden[i]), ol_free(f->margins[i]);
}

static olv_status append_ids(text_ids *t, const json_t *list, olv_error *err) {
    size_t n = json_array_size(list);
    int64_t *p = ol_realloc(t->ids, (t->n + n + 1) * sizeof *p);
    if (!p) return ol_fail(err, OLV_NOMEM, "no memory for ids");
    t->ids = p;
    for (size_t i = 0; i < n; i++) p[t->n + i] = json_integer_value(json_array_get(list, i));
    t->n += n;
    return OLV_OK;
}

static olv_status read_prompts(family *f, const json_t *prompts, olv_error *err) {
    char path[1200];
    f->n_prompts = json_array_size(prompts);
    if (f->n_prompts < 1 || f->n_prompts > MAX_TEXTS / 2) return ol_fail(err, OLV_FORMAT, "%zu golden prompts", f->n_prompts);
    for (size_t i = 0; i < f->n_prompts; i++) {
        OL_TRY(append_ids(&f->texts[i], json_array_get(prompts, i), err));
        snprintf(path, sizeof path, "%s/golden/logits_%zu.npy", f->folder, i);
        OL_TRY(read_npy(path, &f->golden[i], &f->golden_count[i], err));
    }
    f->n_texts = f->n_prompts;
    return OLV_OK;
}

/* A text of `last` tokens of a prompt and its greedy answer, of which those from `first` on are compared. */
static olv_status add_greedy(family *f, const json_t *prompt, const json_t *tokens, const json_t *margins, size_t first,
                             size_t last, olv_error *err) {
    size_t k = f->n_texts, before = json_array_size(prompt);
    if (last <= first) return OLV_OK;
    if (k == MAX_TEXTS) return ol_fail(err, OLV_FORMAT, "more greedy texts than %d", MAX_TEXTS);
    f->n_texts++;
    OL_TRY(append_ids(&f->texts[k], prompt, err));
    OL_TRY(append_ids(&f->texts[k], tokens, err));
    f->texts[k].n = last;
    f->first[k] = first;
    f->margins[k] = ol_alloc((last - first) * sizeof(double));
    if (!f->margins[k]) return ol_fail(err, OLV_NOMEM, "no memory for margins");
    for (size_t j = first; j < last; j++) f->margins[k][j - first] = json_number_value(json_array_get(margins, j - before));
    return OLV_OK;
}

/* Greedy answers as texts. Rotations that change beyond a length (longrope) do so for the whole text: up to there it is
 * scored by itself. */
static olv_status read_greedy(family *f, const json_t *greedy, const json_t *prompts, size_t rope_length, olv_error *err) {
    for (size_t i = 0; i < json_array_size(greedy); i++) {
        const json_t *g = json_array_get(greedy, i), *prompt = json_array_get(prompts, (size_t)json_integer_value(json_object_get(g, "prompt")));
        const json_t *tokens = json_object_get(g, "tokens"), *margins = json_object_get(g, "margins");
        size_t start = json_array_size(prompt), end = start + json_array_size(tokens);
        if (start == end || json_array_size(margins) != end - start) return ol_fail(err, OLV_FORMAT, "greedy entry %zu has no margins", i);
        size_t turn = rope_length >= start && rope_length < end ? rope_length : start;
        OL_TRY(add_greedy(f, prompt, tokens, margins, start, turn, err));
        OL_TRY(add_greedy(f, prompt, tokens, margins, turn > start ? turn + 1 : start, end, err));
    }
    return OLV_OK;
}

static olv_status open_family(family *f, const char *root, const char *name, olv_error *err) {
    char path[1200];
    json_t *p = NULL, *g = NULL, *config = NULL;
    memset(f, 0, sizeof *f);
    f->name = name;
    snprintf(f->folder, sizeof f->folder, "%s/%s", root, name);
    snprintf(path, sizeof path, "%s/golden/prompts.json", f->folder);
    olv_status s = ol_json_read_file(path, 1 << 20, &p, err);
    snprintf(path, sizeof path, "%s/golden/greedy.json", f->folder);
    if (s == OLV_OK) s = ol_json_read_file(path, 1 << 20, &g, err);
    snprintf(path, sizeof path, "%s/config.json", f->folder);
    if (s == OLV_OK) s = ol_json_read_file(path, 1 << 20, &config, err);
    const json_t *prompts = json_object_get(p, "prompts");
    size_t rope_length = (size_t)json_integer_value(json_object_get(config, "original_max_position_embeddings"));
    if (s == OLV_OK) s = read_prompts(f, prompts, err);
    if (s == OLV_OK) s = read_greedy(f, g, prompts, rope_length, err);
    json_decref(p);
    json_decref(g);
    json_decref(config);
    return s;
}

/* One line of the table. */
typedef struct line {
    double distance, kl;
    size_t agree, rows, tokens, wrong;
} line;

static void free_rows(float **rows) {
    for (size_t i = 0; i < MAX_TEXTS; i++) ol_free(rows[i]), rows[i] = NULL;
}

/* Logits of the prompts and the greedy tokens (each from the golden past) against the golden ones. */
static olv_status against_golden(const family *f, float *const *rows, size_t vocab, line *l, olv_error *err) {
    for (size_t i = 0; i < f->n_prompts; i++) {
        if (f->golden_count[i] != f->texts[i].n * vocab)
            return ol_fail(err, OLV_FORMAT, "prompt %zu has %zu golden logits, %zu expected", i, f->golden_count[i], f->texts[i].n * vocab);
        l->distance = fmax(l->distance, max_difference(rows[i], f->golden[i], f->golden_count[i]));
    }
    for (size_t k = f->n_prompts; k < f->n_texts; k++)
        for (size_t j = f->first[k]; j < f->texts[k].n; j++) {
            if (f->margins[k][j - f->first[k]] <= BOUND) continue;
            l->tokens++;
            l->wrong += best_of(rows[k] + (j - 1) * vocab, vocab) != (size_t)f->texts[k].ids[j];
        }
    return OLV_OK;
}

static void compare_rows(const family *f, float *const *a, float *const *b, size_t vocab, line *l) {
    double kl = 0;
    for (size_t i = 0; i < f->n_texts; i++)
        for (size_t r = 0; r < f->texts[i].n; r++, l->rows++) {
            const float *x = a[i] + r * vocab, *y = b[i] + r * vocab;
            kl += divergence(x, y, vocab);
            l->agree += best_of(x, vocab) == best_of(y, vocab);
        }
    l->kl = kl / (double)l->rows;
}

static olv_status measure(const family *f, int bits, ol_executor *e, line *l, olv_error *err) {
    float *exact[MAX_TEXTS] = {0}, *other[MAX_TEXTS] = {0};
    run_options o = {f->folder, bits, OLK_F32, OL_F32, e};
    size_t vocab = 0, again = 0;
    memset(l, 0, sizeof *l);
    olv_status s = cpu_scores(&o, f->texts, f->n_texts, exact, &vocab, err);
    if (s == OLV_OK && !bits) s = against_golden(f, exact, vocab, l, err);
    if (s == OLV_OK && bits) {
        s = reference_scores(&o, f->texts, f->n_prompts, other, &again, err);
        if (s == OLV_OK && again != vocab) s = ol_fail(err, OLV_SHAPE, "%zu scores a row, %zu expected", vocab, again);
        for (size_t i = 0; s == OLV_OK && i < f->n_prompts; i++)
            l->distance = fmax(l->distance, max_difference(exact[i], other[i], f->texts[i].n * vocab));
        free_rows(other);
    }
    o.precision = OLK_DEFAULT;
    o.kv = bits ? OL_F16 : OL_F32;
    if (s == OLV_OK) s = cpu_scores(&o, f->texts, f->n_texts, other, &vocab, err);
    if (s == OLV_OK) compare_rows(f, exact, other, vocab, l);
    free_rows(exact);
    free_rows(other);
    return s;
}

/* Returns true when the family is as it should be (or cannot be run); prints its verdict and adds to the table. */
static bool check_family(const char *root, const char *name, ol_executor *e, ol_buf *table) {
    static const int bits[] = {0, 8, 4};
    static const char *const names[] = {"f32", "int8", "int4"};
    family f;
    olv_error err = {OLV_OK, ""};
    char why[400] = "";
    olv_status s = open_family(&f, root, name, &err);
    for (int i = 0; s == OLV_OK && i < 3; i++) {
        line l;
        s = measure(&f, bits[i], e, &l, &err);
        if (s != OLV_OK) break;
        ol_buf_printf(table, "| %s | %s | %.1e | ", name, names[i], l.distance);
        if (!bits[i]) ol_buf_printf(table, "%zu of %zu", l.tokens - l.wrong, l.tokens);
        ol_buf_printf(table, " | %.1e | %.1f %% |\n", l.kl, 100.0 * (double)l.agree / (double)l.rows);
        if (!(l.distance <= BOUND)) snprintf(why, sizeof why, "%s: logits differ by %g", names[i], l.distance);
        else if (l.wrong) snprintf(why, sizeof why, "%s: %zu of %zu greedy tokens differ", names[i], l.wrong, l.tokens);
        else if (!bits[i] && !l.tokens) snprintf(why, sizeof why, "no greedy token was compared");
        else if (!(l.kl < 1)) snprintf(why, sizeof why, "%s: default activations are %g nats away", names[i], l.kl);
    }
    close_family(&f);
    if (s == OLV_UNSUPPORTED) {
        printf("SKIP %s: %s\n", name, err.message);
        ol_buf_printf(table, "| %s | refused: %s | | | | |\n", name, err.message);
    } else if (s != OLV_OK) {
        printf("FAIL %s: %s\n", name, err.message);
    } else {
        printf(*why ? "FAIL %s: %s\n" : "PASS %s\n", name, why);
    }
    fflush(stdout);
    return s == OLV_UNSUPPORTED || (s == OLV_OK && !*why);
}

/* The shipped model against its stored logits [5, longest, vocab]. */
static olv_status check_pebble(const char *folder, ol_executor *e, double *distance, olv_error *err) {
    char path[1200];
    json_t *list = NULL;
    float *golden = NULL, *rows[MAX_TEXTS] = {0};
    text_ids t[MAX_TEXTS] = {{0}};
    size_t n, count = 0, vocab = 0;
    snprintf(path, sizeof path, "%s/logits-prompts.json", folder);
    OL_TRY(ol_json_read_file(path, 1 << 20, &list, err));
    n = json_array_size(list);
    olv_status s = n >= 1 && n <= MAX_TEXTS ? OLV_OK : ol_fail(err, OLV_FORMAT, "%s: %zu prompts", path, n);
    for (size_t i = 0; s == OLV_OK && i < n; i++) s = append_ids(&t[i], json_object_get(json_array_get(list, i), "ids"), err);
    snprintf(path, sizeof path, "%s/logits.npy", folder);
    if (s == OLV_OK) s = read_npy(path, &golden, &count, err);
    run_options o = {folder, 0, OLK_F32, OL_F32, e};
    if (s == OLV_OK) s = cpu_scores(&o, t, n, rows, &vocab, err);
    size_t longest = s == OLV_OK ? count / n / vocab : 0;
    *distance = 0;
    for (size_t i = 0; s == OLV_OK && i < n; i++) {
        if (t[i].n > longest || longest * n * vocab != count) s = ol_fail(err, OLV_FORMAT, "%s has %zu rows a prompt", path, longest);
        else *distance = fmax(*distance, max_difference(rows[i], golden + i * longest * vocab, t[i].n * vocab));
    }
    for (size_t i = 0; i < MAX_TEXTS; i++) ol_free(t[i].ids), ol_free(rows[i]);
    ol_free(golden);
    json_decref(list);
    return s;
}

static bool write_table(const char *path, const ol_buf *rows) {
    ol_buf b = OL_BUF_INIT;
    olv_error err;
    ol_buf_puts(&b, "# Families on the CPU device\n\nWritten by `tests/models/run.sh`. Models with random weights, so the distances are those of "
                    "arithmetic, not of a trained\nmodel's answers. *logits*: largest distance in f32 arithmetic, for f32 weights from golden "
                    "logits of transformers, else from\nthe reference device with the same codes. *greedy*: golden tokens found again. *KL*, "
                    "*top-1*: default activations against\nf32 arithmetic with the same weights.\n\n| family | weights | logits | greedy | KL (nats) "
                    "| top-1 |\n|---|---|---|---|---|---|\n");
    ol_buf_append(&b, rows->data, rows->len);
    bool ok = !b.failed && ol_file_write_atomic(path, b.data, b.len, &err) == OLV_OK;
    ol_buf_deinit(&b);
    return ok;
}

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "usage: model_families MODELS PEBBLE [TABLE.md]\n"), 2;
    olv_error err = {OLV_OK, ""};
    ol_executor *e = NULL;
    char **names = NULL;
    size_t n = 0;
    if (ol_executor_create(2, &e, &err) != OLV_OK || ol_dir_list(argv[1], &names, &n, &err) != OLV_OK)
        return fprintf(stderr, "%s\n", err.message), 1;
    ol_buf table = OL_BUF_INIT;
    bool ok = n > 20;
    if (!ok) printf("FAIL families: only %zu models in %s\n", n, argv[1]);
    for (size_t i = 0; i < n; i++) ok = check_family(argv[1], names[i], e, &table) && ok;
    double d = 0;
    olv_status s = check_pebble(argv[2], e, &d, &err);
    if (s != OLV_OK) printf("FAIL pebble: %s\n", err.message);
    else if (!(d <= 1e-3)) printf("FAIL pebble: logits differ by %g\n", d);
    else printf("PASS pebble\n");
    ok = ok && s == OLV_OK && d <= 1e-3;
    ol_buf_printf(&table, "| pebble (trained) | f32 | %.1e | | | |\n", d);
    if (!table.failed) fwrite(table.data, 1, table.len, stdout);
    if (argc > 3 && !write_table(argv[3], &table)) ok = false, printf("FAIL table: %s is not written\n", argv[3]);
    ol_buf_deinit(&table);
    ol_dir_list_free(names, n);
    ol_executor_destroy(e);
    return ok ? 0 : 1;
}
