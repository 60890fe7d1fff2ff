# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/embed.tar.xz: small random encoders with what transformers and sentence-transformers make of some texts.

    make_fixtures.py [--seed 7]

golden.json lists cases: {"args": of olivine, "line": one JSON line of input, "want": the answer}. Needs the packages that
differential.py needs."""
import argparse, json, os, random, subprocess, tempfile

import differential as d
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Dense, Normalize, Pooling, Transformer
from transformers import AutoModel, AutoModelForSequenceClassification

HERE = os.path.dirname(os.path.abspath(__file__))
MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]


def numbers(array):
    return [[round(float(v), 7) for v in row] for row in array]


def embedder(family, rng, out, modes, cases):
    config, length = d.make_config(family, rng)
    model = AutoModel.from_config(config, attn_implementation="eager").float().eval()
    d.randomize(model, torch.Generator().manual_seed(rng.randrange(1 << 30)))
    name = f"embed-{family}"
    with tempfile.TemporaryDirectory() as plain:
        model.save_pretrained(plain)
        _, words = d.write_tokenizer(plain, config, family, length)
        modules = [Transformer(plain, max_seq_length=20), Pooling(config.hidden_size, pooling_mode=tuple(modes))]
        if len(modes) > 1:
            modules.append(Dense(config.hidden_size * len(modes), 12))
        modules.append(Normalize())
        st = SentenceTransformer(modules=modules, prompts={"query": f"{words[0]} {words[1]} "}, device="cpu")
        st.save(os.path.join(out, name))
    texts = d.texts_of(rng, words, length)
    for item, want in (({"text": texts}, st.encode(texts)),
                       ({"text": texts, "prompt_name": "query"}, st.encode(texts, prompt_name="query"))):
        cases.append({"args": ["embed", name], "line": item, "want": {"embeddings": numbers(want)}})
    features = st.encode(texts[0], output_value="token_embeddings")
    ids = st.tokenizer(texts[0], truncation=True, max_length=20)["input_ids"]
    cases.append({"args": ["embed", name, "--tokens"], "line": {"text": texts[0]}, "want": {"ids": ids, "embeddings": numbers(features.numpy())}})


def classifier(family, rng, out, labels, cases):
    config, length = d.make_config(family, rng)
    config.num_labels = labels
    config.id2label = {i: f"label {i}" for i in range(labels)}
    config.label2id = {v: k for k, v in config.id2label.items()}
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager").float().eval()
    d.randomize(model, torch.Generator().manual_seed(rng.randrange(1 << 30)))
    name = f"classify-{family}"
    folder = os.path.join(out, name)
    model.save_pretrained(folder)
    tokenizer, words = d.write_tokenizer(folder, config, family, length)
    first, second = d.texts_of(rng, words, length), d.texts_of(rng, words, length)
    for a, b in zip(first, second):
        for pair in (None, b):
            batch = tokenizer([a], [pair] if pair else None, truncation=True, max_length=length, return_tensors="pt")
            logits = model(**batch).logits[0]
            p = torch.softmax(logits, 0) if labels > 1 else torch.sigmoid(logits)
            order = sorted(range(labels), key=lambda i: -float(p[i]))
            want = {"labels": [{"label": f"label {i}", "score": round(float(p[i]), 7)} for i in order]}
            cases.append({"args": ["classify", name], "line": {"text": a, "pair": pair} if pair else {"text": a}, "want": want})
    if labels == 1:
        batch = tokenizer([first[0]] * len(second), second, padding=True, truncation=True, max_length=length, return_tensors="pt")
        scores = torch.sigmoid(model(**batch).logits[:, 0])
        order = sorted(range(len(second)), key=lambda i: -float(scores[i]))
        want = {"results": [{"index": i, "relevance_score": round(float(scores[i]), 7)} for i in order]}
        cases.append({"args": ["rerank", name], "line": {"query": first[0], "documents": second}, "want": want})


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--seed", type=int, default=7)
    rng = random.Random(a.parse_args().seed)
    cases = []
    with tempfile.TemporaryDirectory() as out:
        embedder("bert", rng, out, ["mean"], cases)
        embedder("mpnet", rng, out, MODES, cases)
        embedder("modernbert", rng, out, ["cls"], cases)
        embedder("qwen3", rng, out, ["lasttoken"], cases)
        for family, labels in (("roberta", 3), ("distilbert", 1), ("albert", 2), ("electra", 5), ("nomic_bert", 2)):
            classifier(family, rng, out, labels, cases)
        with open(os.path.join(out, "golden.json"), "w") as f:
            json.dump(cases, f, indent=0)
        target = os.path.join(HERE, "..", "data", "embed.tar.xz")
        subprocess.run(["tar", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=2020-01-01", "-cJf", target,
                        "-C", out, "."], check=True)
    print(f"{len(cases)} cases, {os.path.getsize(target)} bytes")


if __name__ == "__main__":
    main()
