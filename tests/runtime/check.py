# SPDX-License-Identifier: Apache-2.0
"""Commands over plain graphs: outputs, pages, exit codes."""
import html.parser, json, os, subprocess, sys
import xml.etree.ElementTree as xml

OLIVINE, ROOT, TMP = (os.path.abspath(a) for a in sys.argv[1:4])
DIGITS = os.path.join(ROOT, "tests/data/digits/digits.onnx")
PICTURE = os.path.join(ROOT, "tests/data/pictures/digit3.png")
failed = 0


def run(*args, code=0, stdin=""):
    p = subprocess.run([OLIVINE, *args], input=stdin.encode(), capture_output=True, timeout=120, cwd=TMP)
    last = p.stderr.decode().strip().splitlines()[-1:] or [""]
    assert p.returncode == code, f"{args}: exit {p.returncode}, {code} expected: {last[0]}"
    return p.stdout.decode() if code == 0 else last[0]


def load(name):
    with open(os.path.join(TMP, name)) as f:
        return json.load(f)


def infers_pictures():
    out = json.loads(run("infer", DIGITS, "--input", "image=" + PICTURE, "-o", "out", "--output-format", "json", "--json"))
    scores = load(out["outputs"]["logits"])[0]
    assert scores.index(max(scores)) == 3 and max(scores) > 4, scores
    lines = run("infer", DIGITS, "--jsonl", "-o", "out", "--output-format", "json", code=1,
                stdin=json.dumps({"inputs": {"image": PICTURE}}) + "\n" + json.dumps({"inputs": {}}) + "\n")
    assert lines is not None
    last = run("infer", DIGITS, "--input", "picture=" + PICTURE, code=2)
    assert "no input 'picture'" in last and "'image'" in last, last
    last = run("infer", DIGITS, "--input", "image=" + DIGITS, code=1)
    assert "digits.onnx" in last, last


def preprocesses():
    run("infer", DIGITS, "--input", "image=" + PICTURE, "-o", "out", "--output-format", "json")
    want = load("out/0_logits.json")[0]
    for flags in (["-ip", "U8", "-scale_values", "[255]"], ["-ip", "u8", "-scale_values", "image[255]", "-layout", "image(nchw->nhwc)"]):
        run("infer", DIGITS, "--input", "image=" + PICTURE, "-o", "out", "--output-format", "json", *flags)
        got = load("out/0_logits.json")[0]
        assert max(abs(a - b) for a, b in zip(want, got)) < 0.05, (flags, want, got)
    run("infer", DIGITS, "--input", "image=" + PICTURE, "-o", "out", "--output-format", "json", "-mean_values", "0.5")
    assert load("out/0_logits.json")[0] != want
    assert "3 numbers for the 1 channels" in run("infer", DIGITS, "--input", "image=" + PICTURE, "-mean_values", "[1,2,3]", code=1)
    assert "numbers" in run("infer", DIGITS, "--input", "image=" + PICTURE, "-mean_values", "[a]", code=2)
    o = json.loads(run("benchmark", DIGITS, "-niter", "2", "-shape", "[1,1,16,16]", "-ip", "u8", "-scale_values", "255", "--json"))
    assert o["count"] == 2, o


def bounds_open_sizes():
    with open(os.path.join(TMP, "x.json"), "w") as f:
        json.dump([[[[0.0] * 16] * 16]] * 3, f)
    run("infer", DIGITS, "--shape", "image[1..3,1,16,16]", "--input", "image=x.json", "-o", "out")
    last = run("infer", DIGITS, "--shape", "image[1..2,1,16,16]", "--input", "image=x.json", "-o", "out", code=1)
    assert "size 3 in dimension 0, 1 to 2 expected" in last, last
    for bad in ("image[1..,x]", "image[3-4]", "image[1,2", "image[9..2,1,16,16]"):
        run("infer", DIGITS, "--shape", bad, "--input", "image=x.json", code=2)


def boxes(root):
    return [tuple(float(r.get(k)) for k in ("x", "y", "width", "height")) for r in root.iter() if r.tag.endswith("rect")]


def inspects():
    summary = json.loads(run("inspect", DIGITS, "--json"))
    assert summary["operators"]["Conv"] == 4 and summary["inputs"][0]["shape"] == ["batch", 1, 16, 16], summary
    text = run("inspect", DIGITS)
    assert "f32[batch,1,16,16]" in text and "parameters" in text, text
    graph = json.loads(run("inspect", DIGITS, "--graph", "json"))
    assert len(graph["nodes"]) == summary["nodes"] and graph["nodes"][0]["op"] == "Conv"
    known = set(v["name"] for v in graph["values"])
    assert all(i in known or i == "" for n in graph["nodes"] for i in n["inputs"] + n["outputs"])
    after = json.loads(run("inspect", DIGITS, "--graph", "json", "--after", "remove-dead"))
    assert "Gemm" not in [n["op"] for n in after["nodes"]] and "Linear" in [n["op"] for n in after["nodes"]], after["nodes"]
    assert run("inspect", DIGITS, "--graph", "text").startswith("graph \"digits\"")
    assert "no pass 'nope'" in run("inspect", DIGITS, "--after", "nope", code=2)
    assert "text, json or svg" in run("inspect", DIGITS, "--graph", "gif", code=2)
    b = boxes(xml.fromstring(run("inspect", DIGITS, "--graph", "svg")))
    assert len(b) == summary["nodes"] + 2, len(b)
    apart = all(p[1] != q[1] or abs(p[0] - q[0]) >= p[2] for i, p in enumerate(b) for q in b[:i])
    assert apart, "boxes lie on one another"
    assert run("inspect", os.path.dirname(DIGITS)) == text and run("inspect", DIGITS[:-5]) == text
    assert "kernel" not in run("inspect", DIGITS) and "whole" in run("inspect", DIGITS, "--plan")


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.links, self.open = {}, [], []

    def handle_starttag(self, tag, attrs):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.links += [v for k, v in attrs if k in ("src", "href")]
        if tag not in ("meta", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()


def writes_pages():
    run("inspect", DIGITS, "--html", "page.html", "--plan")
    page = Page()
    with open(os.path.join(TMP, "page.html")) as f:
        page.feed(f.read())
    assert not page.links and not page.open and page.tags["svg"] == 1 and page.tags["table"] >= 5, (page.links, page.open, page.tags)
    assert not os.path.exists(os.path.join(TMP, "page.html.part"))
    assert "cannot write" in run("inspect", DIGITS, "--html", "nowhere/page.html", code=2)


def compares():
    o = json.loads(run("compare", DIGITS, "--device2", "REFERENCE", "-i", "image=" + PICTURE, "--json"))
    assert o["within"] and o["first_divergence"] is None and len(o["values"]) >= 10, o
    assert o["values"][0]["output"] and o["values"][0]["relative"] < 1e-4
    # the same network with one weight changed, beginning in the middle
    data = bytearray(open(DIGITS, "rb").read())
    graph = json.loads(run("inspect", DIGITS, "--graph", "json"))
    at = len(data) // 2
    data[at:at + 64] = bytes(64)
    with open(os.path.join(TMP, "other.onnx"), "wb") as f:
        f.write(data)
    last = run("compare", DIGITS, "other.onnx", "-i", "image=" + PICTURE, "--html", "diff.html", code=4)
    assert "outputs differ" in last, last
    page = open(os.path.join(TMP, "diff.html")).read()
    assert "first divergence" in page and 'class="bad"' in page
    names = [out for n in graph["nodes"] for out in n["outputs"]]
    assert any(n in page for n in names[2:])
    run("compare", DIGITS, "other.onnx", "-i", "image=" + PICTURE, "--tolerance", "1000")
    assert "name of an input" in run("compare", DIGITS, "-i", "nope=" + PICTURE, code=2)


def lists_properties():
    o = json.loads(run("devices", "--json"))
    assert o["properties"]["PERFORMANCE_HINT"] == "LATENCY" and "CPU" in o["properties"]["AVAILABLE_DEVICES"], o
    assert "INFERENCE_NUM_THREADS" in run("devices")


for check in (infers_pictures, preprocesses, bounds_open_sizes, inspects, writes_pages, compares, lists_properties):
    name = check.__name__.replace("_", "-")
    try:
        check()
        print(f"PASS runtime/{name}")
    except (AssertionError, KeyError, IndexError, ValueError, subprocess.TimeoutExpired) as e:
        failed = 1
        print(f"FAIL runtime/{name}: {type(e).__name__} {e}")
sys.exit(failed)
