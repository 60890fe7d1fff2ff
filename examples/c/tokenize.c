/* SPDX-License-Identifier: Apache-2.0 */
/* Text to token ids and back, and a conversation to the prompt that a chat model was trained on.
 *
 *     tokenize MODEL TEXT
 *
 * Only the tokenizer files and the template of the folder are read, no weights. */
#include <olivine/pipeline.h>
#include <olivine/template.h>
#include <olivine/tokenizer.h>
#include <stdio.h>
#include <string.h>

static int report(const olv_error *err) {
    fprintf(stderr, "tokenize: %s\n", err->message);
    return olv_status_exit_code(err->status);
}

/* A detokenizer takes ids one by one and gives text as soon as it is certain: an id may hold half a character. */
static olv_status show_pieces(const olv_tokenizer *t, const olv_encoding *e, olv_error *err) {
    olv_detokenizer *d;
    olv_status s = olv_detokenizer_create(t, true, &d, err);
    if (s != OLV_OK) return s;
    const char *piece; /* borrowed, valid until the next call */
    size_t len;
    for (size_t i = 0; i < e->count && s == OLV_OK; i++) {
        s = olv_detokenizer_push(d, e->ids[i], &piece, &len, err);
        if (s == OLV_OK)
            printf("%6u [%u, %u) \"%.*s\"\n", e->ids[i], e->offsets[i].start, e->offsets[i].end, (int)len, piece);
    }
    if (s == OLV_OK) s = olv_detokenizer_flush(d, &piece, &len, err);
    olv_detokenizer_destroy(d);
    return s;
}

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "usage: tokenize MODEL TEXT\n"), 2;
    olv_error err;
    olv_tokenizer *t;
    if (olv_tokenizer_open(argv[1], &t, &err) != OLV_OK) return report(&err);
    printf("%s\n", olv_tokenizer_kind(t));

    olv_encode_options opt;
    olv_encode_options_init(&opt);
    opt.want_offsets = true; /* where each token lies in the text, in characters */
    olv_encoding enc = {0};
    char *text = NULL, *prompt = NULL;
    size_t len;
    olv_status s = olv_tokenizer_encode(t, argv[2], strlen(argv[2]), &opt, &enc, &err);
    if (s == OLV_OK) s = show_pieces(t, &enc, &err);
    if (s == OLV_OK) s = olv_tokenizer_decode(t, enc.ids, enc.count, true, &text, &len, &err);
    if (s == OLV_OK) printf("decoded: %s\n", text);

    /* The template wants a JSON object with the messages; other variables are the template's own. */
    static const char chat[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"What is 2 + 2?\"}],"
                               " \"add_generation_prompt\": true}";
    olv_template *tmpl = NULL;
    if (s == OLV_OK) s = olv_template_open(argv[1], &tmpl, &err);
    if (s == OLV_OK) s = olv_template_render(tmpl, chat, sizeof chat - 1, NULL, &prompt, &len, &err);
    if (s == OLV_OK) printf("prompt: %s\n", prompt);

    olv_free(prompt); /* everything accepts what was never filled */
    olv_template_destroy(tmpl);
    olv_tokenizer_free(text);
    olv_encoding_deinit(&enc);
    olv_tokenizer_close(t);
    return s == OLV_OK ? 0 : report(&err);
}
