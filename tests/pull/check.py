# SPDX-License-Identifier: Apache-2.0
"""Fetching from the stand-in hub: what appears, where, and what must not. Prints PASS and FAIL lines."""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
from hub import COMMIT, Hub  # noqa: E402

program, tmp, pebble = sys.argv[1:4]
failed = False
rng = random.Random(7)


def say(ok, name, detail=""):
    global failed
    failed |= not ok
    print(("PASS " if ok else "FAIL ") + "pull " + name + (": " + detail if detail and not ok else ""), flush=True)


def blob(n):
    return rng.randbytes(n)


def listing(paths):
    return json.dumps({"sha": COMMIT, "siblings": [{"rfilename": p} for p in paths]}).encode()


small = {os.path.join(*p): open(os.path.join(pebble, *p), "rb").read() for p in [(f,) for f in sorted(os.listdir(pebble)) if f.endswith((".json", ".safetensors", ".jinja"))]}
models = {
    "org/tiny": {"config.json": b'{"a":1}', "model.safetensors": blob(300000), "sub/deep/a b.txt": b"deep", "README.md": b"read me", "moved.json": b"{}"},
    "single": {"config.json": b"{}"},
    "org/busy": {"config.json": b"{}", "flaky.safetensors": blob(1000)},
    "org/cut": {"cut.safetensors": blob(900000), "norange-cut.bin": blob(5000)},
    "org/never": {"never.safetensors": blob(400000)},
    "org/longer": {"longer.bin": blob(4000)},
    "org/checksum": {"checksum.safetensors": blob(4000)},
    "org/stall": {"stall.safetensors": blob(50000)},
    "org/slow": {"slow.safetensors": blob(1500000)},
    "org/pebble": small,
    "org/escape": {"listing!": listing(["../evil"])},
    "org/absolute": {"listing!": listing(["/etc/passwd"])},
    "org/nojson": {"listing!": b"<html>"},
    "org/nosha": {"listing!": b'{"siblings":[]}'},
    "org/deepjson": {"listing!": b"[" * 100000},
}
hub = Hub(models)
home = os.path.join(tmp, "home")
env = dict(os.environ, HF_HOME=home, HF_ENDPOINT=hub.url, HF_HUB_DOWNLOAD_TIMEOUT="2", HOME=tmp, NO_PROXY="127.0.0.1", no_proxy="127.0.0.1")
for name in ("HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN_PATH", "http_proxy", "https_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
    env.pop(name, None)


def pull(*args, **more):
    return subprocess.run([program, "pull"] + list(args), env=dict(env, **more), capture_output=True, text=True)


def repo(model):
    return os.path.join(home, "hub", "models--" + model.replace("/", "--"))


def snapshot(model):
    return os.path.join(repo(model), "snapshots", COMMIT)


def same(model, names=None, root=None):
    for name, data in models[model].items():
        path = os.path.join(root or snapshot(model), name)
        if names is not None and name not in names:
            if os.path.exists(path):
                return name + " is there"
        elif not os.path.exists(path) or open(path, "rb").read() != data:
            return name + " is missing or wrong"
    return ""


def leftovers(model):
    folder = os.path.join(repo(model), "blobs")
    return [f for f in os.listdir(folder) if f.endswith(".incomplete")] if os.path.isdir(folder) else []


# The layout of the cache.
r = pull("org/tiny")
say(r.returncode == 0 and r.stdout.strip() == snapshot("org/tiny"), "prints the folder", r.stdout + r.stderr)
say(same("org/tiny") == "", "all files", same("org/tiny"))
link = os.path.join(snapshot("org/tiny"), "sub/deep/a b.txt")
say(os.path.islink(link) and os.readlink(link).startswith("../../../../blobs/"), "relative links to blobs")
say(open(os.path.join(repo("org/tiny"), "refs/main")).read() == COMMIT, "refs/main")
say(not leftovers("org/tiny"), "nothing unfinished is left")
before = len(hub.log)
r = pull("org/tiny")
say(r.returncode == 0 and not [x for x in hub.log[before:] if x[0] == "GET" and "/resolve/" in x[1]], "a second time fetches nothing")
r = pull("org/tiny", "--offline", HF_ENDPOINT="http://127.0.0.1:9")
say(r.returncode == 0 and r.stdout.strip() == snapshot("org/tiny"), "offline", r.stderr)
say(pull("org/other", "--offline", HF_ENDPOINT="http://127.0.0.1:9").returncode == 1, "offline without it fails")
say(pull("single").returncode == 0 and same("single") == "", "an id without an organization")

# Choice of files.
shutil.rmtree(home)
r = pull("org/tiny", "config.json")
say(r.stdout.strip() == os.path.join(snapshot("org/tiny"), "config.json") and same("org/tiny", ["config.json"]) == "", "one file", r.stdout + r.stderr)
shutil.rmtree(home)
r = pull("org/tiny", "--include", "*.json", "--include", "sub/", "--exclude", "moved*", "--revision", "v1")
say(same("org/tiny", ["config.json", "sub/deep/a b.txt"]) == "" and os.path.exists(repo("org/tiny") + "/refs/v1"), "include, exclude, revision", same("org/tiny", ["config.json", "sub/deep/a b.txt"]) + r.stderr)
say("matches" in pull("org/tiny", "*.onnx").stderr, "a pattern without files")
local = os.path.join(tmp, "local")
r = pull("org/tiny", "--local-dir", local)
say(r.returncode == 0 and same("org/tiny", root=local) == "" and not os.path.islink(local + "/config.json"), "local folder", r.stderr)
before = len(hub.log)
say(pull("org/tiny", "--local-dir", local).returncode == 0 and not [x for x in hub.log[before:] if x[0] == "GET" and "/resolve/" in x[1]], "local folder again")
link = os.path.join(tmp, "hf")
os.symlink(os.path.abspath(program), link)
shutil.rmtree(home)
r = subprocess.run([link, "download", "org/tiny", "config.json", "--quiet"], env=env, capture_output=True, text=True)
say(r.returncode == 0 and r.stdout.strip().endswith("config.json"), "called as hf download", r.stderr)

# Faults.
shutil.rmtree(home)
r = pull("org/busy")
say(r.returncode == 0 and same("org/busy") == "", "503 and 500 are tried again", r.stderr)
r = pull("org/cut")
say(r.returncode == 0 and same("org/cut") == "", "connections that break go on", r.stderr)
say(any("Range" in x[2] for x in hub.log if "cut.safetensors" in x[1]), "by ranges")
r = pull("org/never")
say(r.returncode == 1 and not os.path.exists(snapshot("org/never") + "/never.safetensors") and leftovers("org/never"), "never whole: no file, but its part", r.stderr)
r = pull("org/longer")
say(r.returncode == 1 and "longer.bin" in r.stderr and not os.path.exists(snapshot("org/longer") + "/longer.bin"), "longer than named", r.stderr)
r = pull("org/checksum")
say(r.returncode == 1 and "checksum" in r.stderr and not os.path.exists(snapshot("org/checksum") + "/checksum.safetensors") and not leftovers("org/checksum"), "wrong checksum", r.stderr)
r = pull("org/stall")
say(r.returncode == 0 and same("org/stall") == "", "a stalled transfer is begun again", r.stderr)
r = pull("org/missing")
say(r.returncode == 1 and "no such model" in r.stderr, "404", r.stderr)
say("no revision 'nope'" in pull("org/tiny", "--revision", "nope").stderr, "no such revision")
for bad in ("org/escape", "org/absolute", "org/nojson", "org/nosha", "org/deepjson"):
    r = pull(bad)
    say(r.returncode == 1 and bad in r.stderr and not os.path.exists(repo(bad)), "refused listing " + bad, r.stderr)
say(pull("org/tiny", HF_ENDPOINT="http://127.0.0.1:9").returncode == 1, "no hub there")
for bad in ("../x", "a/b/c", "-x/y", "org/"):
    say(pull("--", bad).returncode in (1, 2), "refused id " + bad)

# Interrupted, then continued.
p = subprocess.Popen([program, "pull", "org/slow", "--progress", "json"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
time.sleep(2.5)
p.send_signal(signal.SIGINT)
out, err = p.communicate()
parts = leftovers("org/slow")
size = os.path.getsize(os.path.join(repo("org/slow"), "blobs", parts[0])) if parts else 0
say(p.returncode == 130 and size > 0 and not os.path.exists(snapshot("org/slow") + "/slow.safetensors"), "Ctrl-C leaves a part", "exit %d, %d bytes, %s" % (p.returncode, size, err))
say(any(line.startswith("{") and "json" not in line and json.loads(line) for line in err.splitlines() if line.startswith("{")), "progress as JSON", err)
before = len(hub.log)
r = pull("org/slow")
ranges = [x[2].get("Range", "") for x in hub.log[before:] if x[0] == "GET" and "slow.safetensors" in x[1]]
say(r.returncode == 0 and same("org/slow") == "" and any(x != "" for x in ranges), "and goes on from there", r.stderr + str(ranges))

# Two at the same time.
shutil.rmtree(home)
both = [subprocess.Popen([program, "pull", "org/tiny"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
say([b.wait() for b in both] == [0, 0] and same("org/tiny") == "", "two processes at once")

# Models of other commands.
shutil.rmtree(home)
r = subprocess.run([program, "generate", "org/pebble", "-p", "2 + 2 =", "--max-new-tokens", "4"], env=env, capture_output=True, text=True)
say(r.returncode == 0, "generate fetches its model", r.stderr)
r = subprocess.run([program, "generate", "org/nothing", "-p", "x", "--offline"], env=env, capture_output=True, text=True)
say(r.returncode == 1, "unless --offline")

# Tokens.
secret = Hub({"org/gated": models["org/tiny"]}, token="hf_secret")
r = pull("org/gated", HF_ENDPOINT=secret.url)
say(r.returncode == 1 and "HF_TOKEN" in r.stderr, "401 says what helps", r.stderr)
r = pull("org/gated", HF_ENDPOINT=secret.url, HF_TOKEN="hf_secret")
models["org/gated"] = models["org/tiny"]
say(r.returncode == 0 and same("org/gated") == "", "with a token", r.stderr)
leaks = [x for x in secret.log if x[3] and "Authorization" in x[2]]
say(not leaks and any(x[3] for x in secret.log), "the token stays with its host")
sys.exit(failed)
