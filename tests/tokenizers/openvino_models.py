# SPDX-License-Identifier: Apache-2.0
"""Tokenizers as models of OpenVINO, both ways. usage: openvino_models.py OLIVINE ROOT (one tokenizer a folder).

1. Written by us, read back by us without the tokenizer.json: ids and texts of the recorded cases.
2. Broken models: one clear line each.
3. Where openvino and openvino_tokenizers can be imported: our models in OpenVINO, beside those that openvino_tokenizers
   converts itself (never fewer equal cases), and those read here."""
import json, os, shutil, subprocess, sys, tempfile

PROGRAM, ROOT = sys.argv[1:3]
FILES = ["openvino_%s.%s" % (k, e) for k in ("tokenizer", "detokenizer") for e in ("xml", "bin")]
# Cases that the form cannot keep: added tokens matched in normalized text, a combining mark outside of case folding.
LOST = {"added-tokens": 4, "wordlevel": 2}
REFUSED = {"unigram-byte-fallback": "byte_fallback"}


def cases_of(folder):
    with open(os.path.join(folder, "cases.jsonl"), encoding="utf-8", newline="\n") as f:
        cases = [json.loads(l) for l in f.read().split("\n") if l]
    return [c for c in cases if c.get("pair") is None]


def text_of(case):
    return case.get("decoded_skip", case.get("decoded", case["text"]))


def run(*args, data=""):
    r = subprocess.run([PROGRAM, *args], input=data.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    return r.returncode, r.stdout.decode(), r.stderr.decode()


def ask(command, folder, items, *flags):
    _, out, err = run(command, "--model", folder, "--jsonl", *flags, data="".join(json.dumps(x) + "\n" for x in items))
    got = [json.loads(l) for l in out.split("\n") if l]
    if len(got) != len(items): print("  %s: %s" % (command, err.strip()[-300:]))
    return got + [{}] * (len(items) - len(got))


def read_here(folder, cases):
    ids = ask("tokenize", folder, [{"text": c["text"]} for c in cases])
    texts = ask("detokenize", folder, [{"ids": c["ids"]} for c in cases], "--skip-special")
    return (sum(g.get("ids") == c["ids"] for g, c in zip(ids, cases)),
            sum(g.get("text") == text_of(c) for g, c in zip(texts, cases)))


def write_and_read(names, work):
    bad = 0
    for name in names:
        source, out = os.path.join(ROOT, name), os.path.join(work, name)
        code, _, err = run("convert-tokenizer", source, "-o", out)
        if name in REFUSED:
            good = code != 0 and REFUSED[name] in err and not os.path.exists(os.path.join(out, FILES[0]))
            print("  %-22s %s" % (name, "refused" if good else "NOT REFUSED: " + err.strip()[-200:]))
            bad += not good
            continue
        cases = cases_of(source)
        ids, texts = read_here(out, cases) if code == 0 else (0, 0)
        least = len(cases) - LOST.get(name, 0)
        bad += code != 0 or ids < least or texts < least
        print("  %-22s read back: ids %d, texts %d of %d %s" % (name, ids, texts, len(cases), err.strip()[-200:] if code else ""))
    return bad


def damage(folder, file, change):
    path = os.path.join(folder, file)
    with open(path, "rb") as f: old = f.read()
    with open(path, "wb") as f: f.write(change(old))


BROKEN = [
    ("no data file", lambda d: os.remove(os.path.join(d, FILES[1]))),
    ("empty", lambda d: damage(d, FILES[0], lambda b: b"")),
    ("cut off", lambda d: damage(d, FILES[0], lambda b: b[: len(b) // 2])),
    ("short data", lambda d: damage(d, FILES[1], lambda b: b[:100])),
    ("document type", lambda d: damage(d, FILES[0], lambda b: b.replace(b"<net", b"<!DOCTYPE net [<!ENTITY a \"b\">]><net", 1))),
    ("other root", lambda d: damage(d, FILES[0], lambda b: b"<model/>")),
    ("no model", lambda d: damage(d, FILES[0], lambda b: b.replace(b"BPETokenizer", b"XYZTokenizer"))),
    ("other operation", lambda d: damage(d, FILES[0], lambda b: b.replace(b'type="RegexSplit"', b'type="RegexSplot"'))),
    ("ring", lambda d: damage(d, FILES[0], ring)),
    ("dangling edge", lambda d: damage(d, FILES[0], lambda b: b.replace(b'from-layer="0"', b'from-layer="99999"', 1))),
    ("same id", lambda d: damage(d, FILES[0], lambda b: b.replace(b'<layer id="1"', b'<layer id="0"', 1))),
    ("huge shape", lambda d: damage(d, FILES[0], lambda b: b.replace(b'element_type="i32" shape="', b'element_type="i32" shape="99999999,', 1))),
    ("other pattern", lambda d: damage(d, FILES[1], lambda b: b.replace(b"(\\<", b"[\\<", 1))),
    ("strings out of bounds", lambda d: damage(d, FILES[1], lambda b: b.replace((3).to_bytes(4, "little"), (1 << 30).to_bytes(4, "little")))),
]


def ring(xml):
    """The texts of RegexSplit come from RegexSplit."""
    at = xml.index(b'type="RegexSplit"')
    number = xml[xml.rindex(b'<layer id="', 0, at) + 11:].split(b'"')[0]
    edge = b'to-layer="%s" to-port="2"' % number
    end = xml.index(edge)
    start = xml.rindex(b"<edge ", 0, end)
    return xml[:start] + b'<edge from-layer="%s" from-port="9" ' % number + xml[end:]


def broken(work):
    bad = 0
    source = os.path.join(work, "gpt2")
    for name, harm in BROKEN:
        folder = os.path.join(work, "broken")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        harm(folder)
        code, out, err = run("tokenize", "--model", folder, data="hello")
        lines = [l for l in err.strip().split("\n") if l]
        good = code in (1, 2, 3) and len(lines) == 1 and "error" in lines[0]
        bad += not good
        print("  broken, %-22s %s%s" % (name + ":", "" if good else "WRONG %d " % code, err.strip()[-170:]))
    return bad


def count_in_openvino(core, folder, cases):
    to_ids = core.compile_model(os.path.join(folder, FILES[0]), "CPU")
    to_text = core.compile_model(os.path.join(folder, FILES[2]), "CPU")
    ids = texts = 0
    for c in cases:
        try:
            ids += to_ids([c["text"]])["input_ids"][0].tolist() == c["ids"]
            texts += not c["ids"] or to_text([c["ids"]])["string_output"][0] == text_of(c)
        except RuntimeError as e:
            print("  %r: %s" % (c["text"][:40], str(e)[-100:]))
    return ids, texts


def convert_there(name, folder):
    """With the class that keeps tokenizer.json as it is."""
    import openvino as ov, openvino_tokenizers
    from transformers import PreTrainedTokenizerFast
    try:
        models = openvino_tokenizers.convert_tokenizer(PreTrainedTokenizerFast.from_pretrained(os.path.join(ROOT, name)), with_detokenizer=True)
    except Exception as e:  # whatever it cannot convert
        return "%s: %s" % (type(e).__name__, str(e).replace("\n", " ")[:60])
    os.makedirs(folder)
    for m, file in zip(models, (FILES[0], FILES[2])): ov.save_model(m, os.path.join(folder, file), compress_to_fp16=False)
    return None


def beside_openvino(names, work):
    try:
        import openvino as ov, openvino_tokenizers  # noqa: F401
        import transformers
        transformers.logging.set_verbosity_error()
    except ImportError as e:
        print("SKIP tokenizers in OpenVINO: %s" % e)
        return 0
    core, bad = ov.Core(), 0
    print("  %-22s %6s | %-13s | %-13s | %-13s" % ("", "cases", "ours there", "theirs there", "theirs here"))
    for name in names:
        # NUL at the end does not come through a list of strings.
        cases = [c for c in cases_of(os.path.join(ROOT, name)) if "\0" not in c["text"]]
        ours, theirs = (-1, -1), (0, 0)
        if name not in REFUSED: ours = count_in_openvino(core, os.path.join(work, name), cases)
        folder = os.path.join(work, "theirs", name)
        failure = convert_there(name, folder)
        here = (0, 0)
        if not failure:
            theirs = count_in_openvino(core, folder, cases)
            here = read_here(folder, cases)
        good = name in REFUSED or (ours[0] >= theirs[0] and ours[1] >= theirs[1] and (failure or here[0] >= theirs[0]))
        bad += not good
        print("  %-22s %6d | %5d %5d   | %5d %5d   | %5d %5d %s%s" % (name, len(cases), *ours, *theirs, *here, failure or "", "" if good else " WORSE"))
    return bad


def main():
    names = [n for n in sorted(os.listdir(ROOT)) if os.path.exists(os.path.join(ROOT, n, "tokenizer.json"))]
    with tempfile.TemporaryDirectory() as work:
        bad = write_and_read(names, work) + broken(work) + beside_openvino(names, work)
    print("%s tokenizers as OpenVINO models: %d failures" % ("FAIL" if bad else "ok", bad))
    return 1 if bad else 0


sys.exit(main())
