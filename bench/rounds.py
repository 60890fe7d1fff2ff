# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks beside peers share: engines as processes of which one runs at a time, and figures of rounds."""
import json, os, platform, random, signal, statistics, subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build")
ENV = os.path.join(BUILD, "bench-env")
OLIVINE = os.environ.get("OLIVINE", os.path.join(BUILD, "olivine"))


class Engine:
    """A process that says "ready", then answers each line with one line of JSON; stopped when it is not its turn."""

    def __init__(self, name, command):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError(name + " ended before it was ready")
            if line.strip() == "ready":
                break
        self.process.send_signal(signal.SIGSTOP)

    def run(self, line="run"):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(str(line) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        self.process.send_signal(signal.SIGSTOP)
        return json.loads(answer)

    def close(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait()


def median_interval(values):
    """The median, and its 95 % bootstrap interval."""
    rng = random.Random(0)
    medians = sorted(statistics.median(rng.choices(values, k=len(values))) for _ in range(500))
    return statistics.median(values), medians[12], medians[487]


def machine():
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    flags = json.loads(subprocess.run([OLIVINE, "devices", "--json"], capture_output=True, text=True).stdout)["features"]
    return "%s, %d processors, %s, commit %s" % (cpu, os.cpu_count(), " ".join(f for f in flags if f.startswith(("avx512-", "amx"))), commit)
