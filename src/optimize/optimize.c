/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "bundle/bundle.h"
#include "compress/compress.h"
#include "compress/with_data.h"
#include "formats/ortgenai/ortgenai.h"
#include "optimize/hf_folder.h"
#include "optimize/manifest.h"
#include "optimize/openvino_folder.h"
#include <olivine/optimize.h>
#include <stdio.h>

#define WORK_MEMORY ((uint64_t)160 << 20) /* tiles of all lanes, the graph and the small files */

void olv_optimize_options_init(olv_optimize_options *o) {
    memset(o, 0, sizeof *o);
    o->struct_size = sizeof *o;
    olv_compress_params_init(&o->compress);
    olv_calibration_options_init(&o->calibration);
    o->compress.embeddings = o->compress.head = o->compress.weights;
    o->accuracy_level = -1;
}

/* A job: the opened model with its compressed graph. */
typedef struct job {
    ol_executor *executor;
    ol_bundle *bundle;
    ol_graph *graph;
    ol_compress_plan report;
    uint64_t source_bytes;
    ol_samples samples;
    ol_observed observed;
    ol_store *store; /* of codes that methods with data gave */
} job;

static void close_job(job *j) {
    ol_samples_deinit(&j->samples);
    ol_observed_deinit(&j->observed);
    ol_compress_plan_deinit(&j->report);
    ol_graph_destroy(j->graph);
    ol_bundle_close(j->bundle);
    ol_executor_destroy(j->executor);
    ol_store_release(j->store);
}

/* ONNX Runtime's MatMulNBits takes scales of the graph's float type. */
static olv_compress_params params_for(const olv_optimize_options *o) {
    olv_compress_params p = o->compress;
    olv_weight_spec *specs[] = {&p.weights, &p.embeddings, &p.head, &p.backup};
    bool wide = o->format == OLV_OUTPUT_ORT_GENAI && o->target == OLV_TARGET_CPU;
    for (int i = 0; i < 4; i++) specs[i]->scale = wide ? OLV_SCALE_F32 : OLV_SCALE_F16;
    return p;
}

/* Tables that rows are looked up in have no form in compressed-tensors; also when they are the head's, too. */
static olv_status keep_tables(job *j, olv_error *err) {
    const olv_weight_spec keep = {.type = OLV_WEIGHT_KEEP};
    for (size_t i = 0; i < j->report.n; i++) {
        ol_compress_entry *e = &j->report.entries[i];
        if (e->kept || !(e->roles & OL_ROLE_EMBEDDING)) continue;
        OL_TRY(ol_compress_decide(j->graph, e, &keep, ol_cpu_probe(), err));
        e->kept = "compressed-tensors quantizes linear layers only";
    }
    return OLV_OK;
}

static olv_status open_job(job *j, const char *model, const olv_optimize_options *o, olv_error *err) {
    uint64_t elements;
    memset(j, 0, sizeof *j);
    OL_TRY(ol_executor_create(o->threads, &j->executor, err));
    OL_TRY(ol_bundle_open(model, NULL, &j->bundle, err));
    j->graph = ol_bundle_take_graph(j->bundle);
    if (!j->graph || !ol_graph_find_value(j->graph, "input_ids"))
        return ol_fail(err, OLV_UNSUPPORTED, "'%s' is no language model", model);
    if (o->format == OLV_OUTPUT_HF && j->bundle->kind != OL_BUNDLE_HF)
        return ol_fail(err, OLV_UNSUPPORTED, "'%s' is a model of kind %s; a Hugging Face folder is written from a Hugging Face folder", model,
                       ol_bundle_kind_name(j->bundle->kind));
    j->source_bytes = ol_graph_weight_bytes(j->graph, &elements);
    olv_compress_params p = params_for(o);
    OL_TRY(ol_compress_graph(j->graph, &p, ol_cpu_probe(), &j->report, err));
    if (o->format == OLV_OUTPUT_HF) OL_TRY(keep_tables(j, err));
    return OLV_OK;
}

/* Which layers get what; with data, by what their inputs are like. */
static olv_status decide(job *j, const olv_optimize_options *o, bool data, olv_progress_fn *progress, void *ctx, olv_error *err) {
    olv_compress_params p = params_for(o);
    bool budget = p.budget_bytes || p.bits > 0, mixed = p.ratio < 1;
    if (!data && p.sensitivity != OLV_SENSITIVITY_WEIGHT_QUANTIZATION_ERROR && o->calibration.dataset) p.sensitivity = OLV_SENSITIVITY_WEIGHT_QUANTIZATION_ERROR;
    if (data && (budget || mixed))
        OL_TRY(ol_compress_observe(j->graph, &j->report, &j->samples, budget, j->executor, ol_cpu_probe(), &j->observed, progress, ctx, err));
    if (budget) return ol_compress_budget(j->graph, &j->report, &p, ol_cpu_probe(), j->executor, err);
    return ol_compress_mix(j->graph, &j->report, &p, ol_cpu_probe(), j->executor, err);
}

olv_status olv_optimize_dry_run(const char *model, const olv_optimize_options *opt, const char *out_dir,
                                olv_optimize_plan *plan, olv_error *err) {
    job j;
    olv_optimize_plan p = {.memory_bytes = WORK_MEMORY};
    olv_status s = open_job(&j, model, opt, err);
    if (s == OLV_OK) s = decide(&j, opt, false, NULL, NULL, err);
    if (s == OLV_OK && out_dir) s = ol_disk_free(out_dir, &p.disk_free, err);
    if (s == OLV_OK) {
        p.source_bytes = j.source_bytes;
        p.output_bytes = ol_graph_weight_bytes(j.graph, &p.parameters);
        double bits = 0, n = 0;
        for (size_t i = 0; i < j.report.n; i++) {
            double count = (double)j.report.entries[i].rows * (double)j.report.entries[i].k;
            bits += count * j.report.entries[i].bits_after;
            n += count;
            p.compressed += !j.report.entries[i].kept;
        }
        p.tensors = j.report.n;
        p.bits_per_weight = n > 0 ? bits / n : 0;
        *plan = p;
    }
    close_job(&j);
    return s;
}

/* Names the work: the same source and settings continue it. */
static void make_key(const char *hash, const olv_optimize_options *o, uint64_t samples, char out[24]) {
    const olv_compress_params *c = &o->compress;
    char text[512];
    int n = snprintf(text, sizeof text, "%s %d %d %d %d %a %u %llx %a", hash, o->format, o->target, o->accuracy_level, o->qdq, c->ratio,
                     o->calibration.methods, (unsigned long long)samples, o->calibration.damping);
    const olv_weight_spec *specs[] = {&c->weights, &c->embeddings, &c->head, &c->backup};
    uint64_t ignored = 0;
    for (size_t i = 0; i < c->n_ignored; i++) ignored = ol_hash64(c->ignored[i], strlen(c->ignored[i]), ignored + 1);
    for (int i = 0; i < 4; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, " %d %d %d %d", specs[i]->type, specs[i]->group_size, specs[i]->rounding, specs[i]->scale);
    n += snprintf(text + n, sizeof text - (size_t)n, " %d %llu %a", c->sensitivity, (unsigned long long)c->budget_bytes, c->bits);
    snprintf(out, 24, "%016llx", (unsigned long long)ol_hash64(text, (size_t)n, ignored));
}

/* The sums of errors of a finished table, for the manifest of a continued run. */
static bool note_stats(void *ctx, size_t i, char text[OL_ORTGENAI_NOTE]) {
    const ol_manifest *m = ctx;
    const ol_const *c = m->report->entries[i].result;
    *text = 0;
    if (c && !m->noted[i]) ol_compress_stats_note(c, text, OL_ORTGENAI_NOTE);
    return *text ? (m->noted[i] = true) : false;
}

static void renew_stats(void *ctx, size_t i, const char *text) {
    const ol_manifest *m = ctx;
    ol_const *c = m->report->entries[i].result;
    if (c) ol_compress_stats_renew(c, text);
    m->noted[i] = true;
}

/* The report becomes that of the tensors of the folder. */
static olv_status write_hf(job *j, const ol_manifest *manifest, const char *key, const olv_optimize_options *o, const char *out_dir,
                           olv_progress_fn *progress, void *ctx, olv_error *err) {
    ol_compress_plan written;
    ol_manifest m = *manifest;
    m.report = &written;
    ol_hf_output w = {key, o->force, o->fresh, j->executor, ol_manifest_write, &m};
    olv_status s = ol_hf_folder_write(j->bundle->folder, &j->report, &w, out_dir, &written, progress, ctx, err);
    ol_compress_plan_deinit(&j->report);
    j->report = written;
    return s;
}

static olv_status write_openvino(job *j, ol_manifest *manifest, const char *key, const olv_optimize_options *o, const char *out_dir,
                                 olv_progress_fn *progress, void *ctx, olv_error *err) {
    uint64_t elements;
    const ol_openvino_output w = {.key = key, .force = o->force, .fresh = o->fresh, .need = ol_graph_weight_bytes(j->graph, &elements), .manifest = manifest};
    return ol_openvino_folder_write(j->bundle, j->graph, &w, out_dir, progress, ctx, err);
}

static const char *format_name(olv_output_format f) {
    return f == OLV_OUTPUT_HF ? "hf" : f == OLV_OUTPUT_OPENVINO ? "openvino" : "ort-genai";
}

static olv_status write_job(job *j, const olv_optimize_options *o, const char *out_dir, olv_progress_fn *progress, void *ctx,
                            olv_error *err) {
    char hash[65], key[24];
    OL_TRY(ol_manifest_source_hash(j->bundle->path, j->executor, hash, err));
    make_key(hash, o, j->samples.hash, key);
    ol_manifest manifest = {j->bundle->name, hash, format_name(o->format), o, &j->report,
                            ol_calloc(j->report.n + 1, sizeof(bool))};
    if (!manifest.noted) return ol_fail(err, OLV_NOMEM, "no memory for %zu tables", j->report.n);
    if (o->format == OLV_OUTPUT_HF) {
        ol_free(manifest.noted);
        return write_hf(j, &manifest, key, o, out_dir, progress, ctx, err);
    }
    if (o->format == OLV_OUTPUT_OPENVINO) {
        olv_status w = write_openvino(j, &manifest, key, o, out_dir, progress, ctx, err);
        ol_free(manifest.noted);
        return w;
    }
    ol_ortgenai_options w;
    ol_ortgenai_options_init(&w);
    w.target = (ol_ortgenai_target)o->target;
    w.accuracy_level = o->accuracy_level;
    w.qdq = o->qdq;
    w.force = o->force;
    w.fresh = o->fresh;
    w.key = key;
    w.executor = j->executor;
    w.manifest = ol_manifest_write;
    w.manifest_ctx = &manifest;
    w.note = note_stats;
    w.renew = renew_stats;
    w.n_notes = j->report.n;
    ol_ortgenai_info info = {j->bundle->folder, j->bundle->chat_template, &j->bundle->generation};
    olv_status s = ol_ortgenai_write(j->graph, &info, &w, out_dir, progress, ctx, err);
    ol_free(manifest.noted);
    return s;
}

/* Methods that need data give the codes of their layers before anything is written. */
static olv_status calibrate(job *j, const olv_optimize_options *o, olv_progress_fn *progress, void *ctx, olv_error *err) {
    const olv_calibration_options *c = &o->calibration;
    if (c->dataset || c->methods) OL_TRY(ol_samples_take(&j->samples, c, j->bundle->info.vocab_size, err));
    OL_TRY(decide(j, o, j->samples.n > 0, progress, ctx, err));
    if (!c->methods) return OLV_OK;
    j->store = ol_store_open(NULL, "");
    if (!j->store) return ol_fail(err, OLV_NOMEM, "no memory for compressed weights");
    return ol_compress_with_data(j->graph, &j->report, c, &j->samples, j->executor, ol_cpu_probe(), j->store, progress, ctx, err);
}

olv_status olv_optimize(const char *model, const olv_optimize_options *opt, const char *out_dir, olv_progress_fn *progress,
                        void *ctx, char **report_json, olv_error *err) {
    job j;
    olv_status s = open_job(&j, model, opt, err);
    if (s == OLV_OK) s = calibrate(&j, opt, progress, ctx, err);
    if (s == OLV_OK) s = write_job(&j, opt, out_dir, progress, ctx, err);
    if (s == OLV_OK && report_json) {
        ol_buf b = OL_BUF_INIT;
        ol_compress_report_json(&j.report, &b);
        *report_json = ol_buf_take(&b, NULL);
        if (!*report_json) s = ol_fail(err, OLV_NOMEM, "no memory for the report");
    }
    close_job(&j);
    return s;
}
