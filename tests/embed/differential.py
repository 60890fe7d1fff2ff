# SPDX-License-Identifier: Apache-2.0
"""Random small encoders of every family against transformers in float32.

    differential.py OLIVINE [--families a,b] [--count N] [--seed S] [--keep DIR]

For each family COUNT random configurations with random weights and a word-level tokenizer: hidden states of every token, mean
embeddings of a batch of texts of 1 token to the longest (and longer ones, which are cut), scores of a classifier with single texts and
pairs, all against transformers on a padded batch, and vectors of a folder with random modules against sentence-transformers (max|d| <=
1e-4); batches must not change a text's bits; int8 and int4 weights must
resemble. One line PASS or FAIL per family; SKIP for what this transformers does not have."""
import argparse, json, os, random, shutil, subprocess, sys, tempfile, warnings

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.filterwarnings("ignore")

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, CONFIG_MAPPING, PreTrainedTokenizerFast

transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
torch.set_num_threads(1)
torch.set_grad_enabled(False)

BOUND = 1e-4
THREADS, ISA = "1", []  # of olivine; changes from case to case
DECODERS = ["qwen3", "llama"]
FAMILIES = ["albert", "bert", "camembert", "distilbert", "electra", "gte", "modernbert", "mpnet", "nomic_bert", "roberta",
            "xlm-roberta"] + DECODERS


class Wrong(Exception):
    pass


def make_config(family, rng):
    heads = rng.choice([1, 2, 3, 4])
    dim = rng.choice([8, 12, 16, 20])
    hidden = heads * dim
    vocab = rng.randrange(40, 90)
    length = rng.choice([24, 40, 150])
    layers = rng.choice([1, 2, 3, 4])
    inner = rng.choice([17, 32, 48])
    act = rng.choice(["gelu", "gelu_new", "relu", "silu"])
    keys = dict(vocab_size=vocab, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
                intermediate_size=inner, hidden_act=act, max_position_embeddings=length, pad_token_id=0)
    if family == "distilbert":
        keys = dict(vocab_size=vocab, dim=hidden, n_layers=layers, n_heads=heads, hidden_dim=inner, activation=rng.choice(["gelu", "relu"]),
                    max_position_embeddings=length, pad_token_id=0)
    if family in ("roberta", "camembert", "xlm-roberta", "mpnet"):
        pad = 1 if family == "mpnet" else rng.choice([0, 1, 2])
        keys.update(pad_token_id=pad, max_position_embeddings=length + pad + 1)
        keys["type_vocab_size"] = rng.choice([1, 1, 2])
    if family in ("bert", "nomic_bert", "gte", "electra"):
        keys["type_vocab_size"] = rng.choice([1, 2, 3])
    if family in ("albert", "electra"):
        keys["embedding_size"] = rng.choice([hidden, 10, 24])
    if family in ("gte", "nomic_bert"):
        keys["hidden_act"] = "silu" if family == "nomic_bert" else "gelu"
    if family == "modernbert":
        del keys["hidden_act"]
        keys.update(hidden_activation=act, local_attention=rng.choice([4, 8, 16]), classifier_pooling=rng.choice(["cls", "mean"]),
                    norm_bias=rng.random() < 0.3, attention_bias=rng.random() < 0.3, mlp_bias=rng.random() < 0.3,
                    classifier_activation="gelu", global_attn_every_n_layers=rng.choice([1, 2, 3]))
    if family in DECODERS:
        keys.update(num_key_value_heads=rng.choice([h for h in (1, heads) if heads % h == 0]), head_dim=dim, hidden_act="silu")
    return CONFIG_MAPPING[family](**keys), length


def randomize(model, generator):
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        if p.dim() < 2:
            p.copy_(p + 0.2 * noise if bool((p == p.flatten()[0]).all()) else 0.2 * noise)
        elif "embed" in name:
            p.copy_(0.7 * noise)
        else:
            p.copy_(noise * (1.2 / p.shape[-1] ** 0.5))


def write_tokenizer(folder, config, family, length):
    """Words w4 .. wN; 0 <pad> (or another place), then start, end, unknown."""
    pad = config.pad_token_id
    names = [None] * config.vocab_size
    names[pad] = "<pad>"
    free = [i for i in range(config.vocab_size) if i != pad]
    cls, sep, unk = free[:3]
    names[cls], names[sep], names[unk] = "<s>", "</s>", "<unk>"
    for i in free[3:]:
        names[i] = f"w{i}"
    t = Tokenizer(models.WordLevel({n: i for i, n in enumerate(names)}, unk_token="<unk>"))
    t.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if family in DECODERS:
        single, pair = "$A </s>", "$A $B </s>"
    elif family in ("roberta", "camembert", "xlm-roberta", "mpnet", "gte"):
        single, pair = "<s> $A </s>", "<s> $A </s> </s> $B </s>"
    else:
        single, pair = "<s> $A </s>", "<s> $A </s> $B:1 </s>:1"
    t.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=[("<s>", cls), ("</s>", sep)])
    types = getattr(config, "type_vocab_size", 0) > 1
    fast = PreTrainedTokenizerFast(tokenizer_object=t, pad_token="<pad>", cls_token="<s>", sep_token="</s>", unk_token="<unk>",
                                   model_max_length=length, padding_side="right",
                                   model_input_names=["input_ids", "attention_mask"] + (["token_type_ids"] if types else []))
    fast.save_pretrained(folder)
    return fast, [names[i] for i in free[3:]]


def texts_of(rng, words, length):
    counts = [0, 1, 2, 7, 15, length - 3, length - 2, length - 1, length + 9]
    rng.shuffle(counts)
    return [" ".join(rng.choice(words) for _ in range(max(n, 1))) for n in counts]


def olivine(program, args, lines):
    text = "".join(json.dumps(l) + "\n" for l in lines)
    p = subprocess.run([program, *args, "--jsonl", "--no-cache", "--threads", THREADS, *ISA], input=text.encode(), capture_output=True, timeout=300)
    out = [json.loads(l) for l in p.stdout.decode().splitlines()]
    if p.returncode or len(out) != len(lines):
        raise Wrong(f"{args[0]}: exit {p.returncode}: {p.stderr.decode().strip()[-300:]} {[o for o in out if 'error' in o][:1]}")
    return out


def set_machine(rng):
    global THREADS, ISA
    THREADS = rng.choice(["1", "2"])
    ISA = rng.choice([[], [], ["--isa", "avx2"], ["--isa", "scalar"]])


def compare(what, got, want, bound=BOUND):
    got, want = np.array(got, dtype=np.float64), np.array(want, dtype=np.float64)
    if got.shape != want.shape:
        raise Wrong(f"{what}: shape {got.shape}, expected {want.shape}")
    d = float(np.abs(got - want).max()) if got.size else 0.0
    if not d <= bound:
        raise Wrong(f"{what}: max|d| {d:.3g}")
    return d


def alike(what, got, want, least):
    a, b = np.array(got).ravel(), np.array(want).ravel()
    c = float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
    if not c >= least:
        raise Wrong(f"{what}: cosine {c:.4f}, expected {least}")


def check_hidden(program, family, rng, folder):
    config, length = make_config(family, rng)
    model = AutoModel.from_config(config, attn_implementation="eager").float().eval()
    randomize(model, torch.Generator().manual_seed(rng.randrange(1 << 30)))
    model.to(rng.choice([torch.float32, torch.float16, torch.bfloat16])).save_pretrained(folder, max_shard_size=rng.choice(["40KB", "5GB"]))
    tokenizer, words = write_tokenizer(folder, config, family, length)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    texts = texts_of(rng, words, length)
    batch = tokenizer(texts, padding=True, truncation=True, max_length=length, return_tensors="pt")
    hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"].bool()
    worst = 0
    got = olivine(program, ["embed", folder, "--tokens"], [{"text": t} for t in texts])
    for i, g in enumerate(got):
        ids = batch["input_ids"][i][mask[i]].tolist()
        if g["ids"] != ids:
            raise Wrong(f"text {i}: ids {g['ids']}, expected {ids}")
        worst = max(worst, compare(f"hidden of text {i}", g["embeddings"], hidden[i][mask[i]].numpy()))
    mean = np.stack([hidden[i][mask[i]].mean(0).numpy() for i in range(len(texts))])
    together = olivine(program, ["embed", folder, "--quiet"], [{"text": texts}])[0]["embeddings"]
    worst = max(worst, compare("mean", together, mean))
    for batch_size in ("1", "3"):
        again = olivine(program, ["embed", folder, "--quiet", "--batch-size", batch_size], [{"text": texts}])[0]["embeddings"]
        if again != together:
            raise Wrong(f"--batch-size {batch_size} changes the numbers")
    for weights, least in (("int8", 0.98), ("int4", 0.6)):
        alike(weights, olivine(program, ["embed", folder, "--quiet", "--weights", weights], [{"text": texts}])[0]["embeddings"],
              mean, least)
    return worst


def check_scores(program, family, rng, folder):
    config, length = make_config(family, rng)
    labels = rng.choice([1, 2, 5])
    config.num_labels = labels
    config.id2label = {i: f"label {i}" for i in range(labels)}
    config.label2id = {v: k for k, v in config.id2label.items()}
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager").float().eval()
    randomize(model, torch.Generator().manual_seed(rng.randrange(1 << 30)))
    model.save_pretrained(folder)
    tokenizer, words = write_tokenizer(folder, config, family, length)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    first, second = texts_of(rng, words, length // 2 + 2), texts_of(rng, words, length // 2 + 2)
    worst = 0
    for pairs in (False, True):
        batch = tokenizer(first, second if pairs else None, padding=True, truncation=True, max_length=length, return_tensors="pt")
        want = model(**batch).logits.numpy()
        items = [{"text": a, "pair": b} if pairs else {"text": a} for a, b in zip(first, second)]
        got = olivine(program, ["classify", folder, "--function-to-apply", "none"], items)
        rows = [[{l["label"]: l["score"] for l in g["labels"]}[f"label {i}"] for i in range(labels)] for g in got]
        worst = max(worst, compare("scores of pairs" if pairs else "scores", rows, want))
    auto = [sum(l["score"] for l in g["labels"]) for g in olivine(program, ["classify", folder], items)]
    if labels > 1 and any(abs(s - 1) > 1e-5 for s in auto):
        raise Wrong(f"probabilities sum to {auto}")
    if labels == 1:
        got = olivine(program, ["rerank", folder, "--raw"], [{"query": first[0], "documents": second}])[0]["results"]
        batch = tokenizer([first[0]] * len(second), second, padding=True, truncation=True, max_length=length, return_tensors="pt")
        want = model(**batch).logits[:, 0].numpy()
        worst = max(worst, compare("rerank", [r["relevance_score"] for r in got], [want[r["index"]] for r in got]))
        if [r["relevance_score"] for r in got] != sorted((r["relevance_score"] for r in got), reverse=True):
            raise Wrong("rerank: not in order")
    return worst


def check_sentence(program, family, rng, folder):
    """Pooling, dense layers, normalization, lengths and prompts as sentence-transformers applies and saves them."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Dense, Normalize, Pooling, Transformer
    config, length = make_config(family, rng)
    model = AutoModel.from_config(config, attn_implementation="eager").float().eval()
    randomize(model, torch.Generator().manual_seed(rng.randrange(1 << 30)))
    plain = os.path.join(folder, "plain")
    model.save_pretrained(plain)
    _, words = write_tokenizer(plain, config, family, length)
    limit = rng.choice([8, 20, length])
    modules = [Transformer(plain, max_seq_length=limit)]
    modes = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
    some = rng.sample(modes, rng.choice([1, 1, 1, 2, 3]))
    modules.append(Pooling(config.hidden_size, pooling_mode=some[0] if len(some) == 1 else tuple(some), include_prompt=rng.random() < 0.7))
    width = config.hidden_size * len(some)
    for _ in range(rng.choice([0, 1, 2])):
        out = rng.choice([width, 6, 20])
        act = rng.choice([torch.nn.Tanh(), torch.nn.Identity(), torch.nn.GELU(), torch.nn.ReLU()])
        modules.append(Dense(width, out, bias=rng.random() < 0.5, activation_function=act))
        width = out
    if rng.random() < 0.6:
        modules.append(Normalize())
    prompts = {"query": f"{words[0]} {words[1]} ", "document": words[2] + " "}
    st = SentenceTransformer(modules=modules, prompts=prompts, default_prompt_name=rng.choice([None, "document"]), device="cpu")
    whole = os.path.join(folder, "whole")
    st.save(whole)
    if rng.random() < 0.5:  # as older versions spell it
        path = os.path.join(whole, "1_Pooling", "config.json")
        keys = ["cls_token", "max_tokens", "mean_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"]
        old = {"pooling_mode_" + k: m in some for k, m in zip(keys, modes)}
        with open(path, "w") as f:
            json.dump(dict(old, word_embedding_dimension=config.hidden_size, include_prompt=modules[1].include_prompt), f)
    st = SentenceTransformer(whole, device="cpu")
    texts = texts_of(rng, words, length)
    worst = 0
    for name in (None, "query"):
        want = st.encode(texts, prompt_name=name)
        item = {"text": texts} if name is None else {"text": texts, "prompt_name": name}
        worst = max(worst, compare(f"sentence-transformers, prompt {name}", olivine(program, ["embed", whole], [item])[0]["embeddings"], want))
    want = st.encode(texts, normalize_embeddings=True)
    worst = max(worst, compare("normalized", olivine(program, ["embed", whole, "--normalize"], [{"text": texts}])[0]["embeddings"], want))
    return worst


def main():
    a = argparse.ArgumentParser()
    a.add_argument("olivine")
    a.add_argument("--families", default=",".join(FAMILIES))
    a.add_argument("--count", type=int, default=2)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--keep")
    o = a.parse_args()
    failed = False
    for family in o.families.split(","):
        if family not in CONFIG_MAPPING:
            print(f"SKIP embed/{family}: this transformers does not have it")
            continue
        worst, seed = 0, o.seed
        try:
            for seed in range(o.seed, o.seed + o.count):
                for check in (check_hidden, check_scores, check_sentence):
                    rng = random.Random(f"{family} {seed}")
                    set_machine(rng)
                    folder = tempfile.mkdtemp(prefix="olivine-embed-")
                    try:
                        worst = max(worst, check(os.path.abspath(o.olivine), family, rng, folder))
                    finally:
                        if o.keep and sys.exc_info()[0]:
                            shutil.copytree(folder, o.keep, dirs_exist_ok=True)
                        shutil.rmtree(folder)
            print(f"PASS embed/{family}: {o.count} configurations from seed {o.seed}, max|d| {worst:.2g}", flush=True)
        except Wrong as e:
            failed = True
            print(f"FAIL embed/{family}: seed {seed}: {e}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
