"""Compiles the trainer's step, and the same step written plainly in JAX, for accelerators that are not here, and compares what they need.
Of some cases it compiles what makes the step's views on the accelerator, too, beside the same in JAX.

    verify.py --emit build/accelerators/emit --cache build/accelerators/cache --output build/bench \\
      --table trainer/plan/accelerators.csv --views trainer/plan/views.csv [--full]

Results are kept by the program's text, the target and the compilers' versions, so that only what has changed compiles again. It writes
OUTPUT/accelerators.json, the rows that all benchmarks write, and OUTPUT/accelerators.csv and views.csv, everything that was compiled. What
was compiled of ours takes its rows in TABLE and VIEWS, which `simclr-trainer plan` reads; other rows stay.
"""
import argparse
import csv
import functools
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
FIELDS = ("argumentBytes", "outputBytes", "aliasBytes", "temporaryBytes", "flops", "bytesMoved", "seconds")
TARGET = 1.02


@dataclass(frozen=True)
class Case:
    platform: str  # of compile.py
    topology: str
    devices: int
    depth: int
    width: int
    size: int
    batch: int
    precision: str = "BF16"

    @property
    def name(self):
        chip = self.topology if self.platform == "tpu" else "H200 " + self.topology
        return f"{chip}: ResNet-{self.depth} {self.width}x, {self.size} px, batch {self.batch}, {self.precision}"

    def spec(self):
        stem, layout = ("ImageNet", "ImageFolder") if self.size > 64 else ("CIFAR", "CIFAR")
        return f"""apiVersion: training.simclr.dev/v1alpha1
kind: SimCLRRun
metadata: {{name: case}}
spec:
  dataset: {{uri: "pvc://data/images", format: {layout}, imageSize: {self.size}}}
  encoder: {{depth: {self.depth}, widthMultiplier: "{self.width}", stem: {stem}}}
  batchSize: {self.batch}
  pretraining: {{precision: {self.precision}, optimizer: LARS}}
  accelerator: {{type: NvidiaGPU}}
"""


SHORT = (
    Case("cuda", "1x1", 1, 18, 1, 32, 256),
    Case("cuda", "1x1", 1, 50, 1, 224, 256),
    Case("cuda", "1x8", 8, 50, 1, 224, 4096),
    Case("tpu", "v3:8x8", 128, 50, 1, 224, 4096),
    Case("tpu", "v5e:4x4", 16, 18, 1, 32, 512),
    Case("tpu", "v6e:4x4", 16, 50, 1, 224, 1024),
)
# Of each kind of device a network is compiled with several batches, which simclr-trainer plan interpolates between.
FULL = SHORT + (
    Case("cuda", "1x1", 1, 18, 1, 32, 512),
    Case("cuda", "1x1", 1, 18, 1, 32, 1024),
    Case("cuda", "1x1", 1, 18, 1, 32, 4096),
    Case("cuda", "1x1", 1, 50, 1, 224, 64),
    Case("cuda", "1x1", 1, 50, 1, 224, 512),
    *(Case("cuda", "1x1", 1, 18, 1, 32, batch, "FP32") for batch in (256, 1024, 4096)),
    *(Case("cuda", "1x1", 1, 50, 1, 224, batch, "FP32") for batch in (64, 256, 512)),
    Case("cuda", "1x8", 8, 50, 4, 224, 512),
    Case("cuda", "1x8", 8, 50, 4, 224, 1024),
    Case("cuda", "2x8", 16, 50, 1, 224, 8192),
    Case("tpu", "v3:8x8", 128, 50, 1, 224, 2048),
    Case("tpu", "v3:8x8", 128, 50, 1, 224, 8192),
    Case("tpu", "v5e:2x2", 4, 18, 1, 32, 512),
    Case("tpu", "v5e:4x4", 16, 18, 1, 32, 4096),
    Case("tpu", "v5e:4x4", 16, 50, 1, 224, 1024),
    Case("tpu", "v5e:16x16", 256, 50, 1, 224, 8192),
    Case("tpu", "v5p:2x2x2", 8, 50, 1, 224, 512),
    Case("tpu", "v5p:2x2x2", 8, 50, 1, 224, 1024),
    Case("tpu", "v6e:4x4", 16, 50, 1, 224, 2048),
    Case("tpu", "v3:8x8", 128, 50, 4, 224, 4096),
)

# Of what makes views only the chip, their size and how many a device makes count. At 32 px they are made of CIFAR's images, whose size is
# known, at 224 px of sources of 448.
VIEWS = (
    Case("cuda", "1x1", 1, 18, 1, 32, 256),
    Case("cuda", "1x1", 1, 18, 1, 32, 1024),
    Case("cuda", "1x1", 1, 18, 1, 32, 4096),
    Case("cuda", "1x1", 1, 50, 1, 224, 64),
    Case("cuda", "1x1", 1, 50, 1, 224, 256),
    Case("cuda", "1x1", 1, 50, 1, 224, 512),
    Case("tpu", "v5e:2x2", 4, 18, 1, 32, 512),
    Case("tpu", "v5e:4x4", 16, 50, 1, 224, 1024),
)
VIEWS_SHORT = (VIEWS[1], VIEWS[5], VIEWS[6])


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(command, **kwargs):
    return subprocess.run(command, capture_output=True, text=True, **kwargs)


@dataclass(frozen=True)
class Emitted:
    step: str
    views: str
    edge: int  # of the views' sources
    operations: str


@functools.cache
def ours(case, emit):
    with tempfile.TemporaryDirectory() as out:
        file = Path(out) / "run.yaml"
        file.write_text(case.spec())
        r = run([emit, "-f", file, "-devices", str(case.devices), "-platform", case.platform, "-o", out])
        if r.returncode:
            raise SystemExit(f"{case.name}: {r.stderr}")
        about = json.loads((Path(out) / "views.json").read_text())
        return Emitted((Path(out) / "step.mlir").read_text(), (Path(out) / "views.mlir").read_text(),
                       about["inputs"][0]["shape"][1], about["operations"])


def jax(case, program, **more):
    flags = {"size": case.size, "batch": case.batch, "devices": case.devices, "platform": case.platform} | more
    r = run([sys.executable, HERE / program] + [x for k, v in flags.items() for x in ("--" + k, str(v))])
    if r.returncode:
        raise SystemExit(f"{case.name}, JAX: {r.stderr[-2000:]}")
    return r.stdout


def compiled(case, text, versions, cache, kept_only):
    """What compile.py says of a program, or of how the compiler ended: a crash is kept, too. {}: not compiled yet, with kept_only."""
    key = hashlib.sha256("\n".join((text, f"{case.platform} {case.topology}", versions)).encode()).hexdigest()
    kept = cache / (key + ".json")
    if kept.exists():
        return json.loads(kept.read_text())
    if kept_only:
        return {}
    r = run([sys.executable, HERE / "compile.py", case.platform, case.topology], input=text)
    if r.returncode < 0:
        result = {"crash": f"the compiler was ended by signal {-r.returncode}"}
    elif r.returncode:
        raise SystemExit(f"{case.name}: {r.stderr[-3000:]}")
    else:
        result = json.loads(r.stdout.strip().splitlines()[-1])
    part = kept.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(result))
    part.rename(kept)
    return result


def memory(result):
    return sum(result[k] for k in ("argumentBytes", "outputBytes", "temporaryBytes")) - result["aliasBytes"]


def rows(name, own, peer):
    """Rows of build/bench's form; the targets are of the ratio."""
    if "temporaryBytes" not in own:
        return []
    peer = peer if "temporaryBytes" in peer else None
    for what, unit, scale, of in (
        ("memory of a chip", "MiB", 2**20, memory),
        ("bytes moved", "GB", 1e9, lambda r: r["bytesMoved"]),
        ("FLOPs", "GFLOP", 1e9, lambda r: r["flops"]),
    ):
        a, b = of(own) / scale, of(peer) / scale if peer else None
        yield {"case": f"{name}: {what}", "unit": unit, "ours": a, "peer": b, "ratio": a / b if peer else None,
               "target": TARGET, "better": "lower"}


def table(all_rows):
    print("| | unit | ours | JAX | ratio |\n|---|---|---|---|---|")
    for r in all_rows:
        peer, ratio = (f"{r['peer']:.5g}", f"{r['ratio']:.3f}") if r["peer"] else ("–", "–")
        print(f"| {r['case']} | {r['unit']} | {r['ours']:.5g} | {peer} | {ratio} |")


def update(path, everything):
    """Put the figures of our programs into the table at a path, whose columns are the first ones of everything's."""
    with open(path, newline="") as f:
        header, *old = csv.reader(f)
    keys = header.index("program") + 1
    of = {tuple(r[:keys]): r for r in old}
    for r in everything:
        row = [str(v) for v in r[:len(header)]]
        if row[keys - 1] == "ours" and all(row):
            of[tuple(row[:keys])] = row
    with open(path, "w", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(header)
        w.writerows(sorted(of.values(), key=lambda r: (r[0], r[1], *(float(v) for v in r[2:keys - 2]))))


class Compilations:
    """What is compiled, and what it is told of."""

    def __init__(self, a):
        self.cache, self.kept_only = a.cache, a.kept
        self.versions = run([sys.executable, HERE / "compile.py", "versions"], check=True).stdout.strip()
        self.rows, self.steps, self.views, self.shares = [], [], [], []

    def compare(self, case, name, texts):
        """What compilers say of programs, by whose they are, and the same as rows of a CSV file."""
        results, lines = {}, []
        for program, text in texts.items():
            say(f"{name}, {program} ({time.strftime('%T')})")
            results[program] = r = compiled(case, text, self.versions, self.cache, self.kept_only)
            outcome = r.get("outOfMemory", r.get("crash", ""))[:200]
            if outcome:
                say("  " + outcome)
            lines.append([program] + [r.get(f, "") for f in FIELDS] + [outcome])
        self.rows += rows(name, results["ours"], results["jax"])
        return results["ours"], lines

    def step(self, case, emitted):
        text = jax(case, "peer.py", depth=case.depth, width=case.width, precision=case.precision)
        _, lines = self.compare(case, case.name, {"ours": emitted.step, "jax": text})
        key = [case.platform, case.topology, case.devices, case.depth, case.width, case.size, case.batch, case.precision]
        self.steps += [key + line for line in lines]

    def make_views(self, case, emitted):
        text = jax(case, "peer_views.py", edge=emitted.edge, blur=int("blur" in emitted.operations))
        own, lines = self.compare(case, f"{case.name}, its views", {"ours": emitted.views, "jax": text})
        key = [case.platform, case.topology, case.devices, case.size, emitted.edge, case.batch, emitted.operations]
        self.views += [key + line for line in lines]
        step = compiled(case, emitted.step, self.versions, self.cache, kept_only=True)
        if "temporaryBytes" in own and "temporaryBytes" in step:
            self.shares.append((case.name, own, step))

    def print(self):
        table(self.rows)
        if not self.shares:
            return
        print("\n| what makes views, and its share of the step's | memory, MiB | | bytes moved, GB | | GFLOP | |\n|---|---|---|---|---|---|---|")
        for name, own, step in self.shares:
            part = lambda of, scale: f"{of(own) / scale:.5g} | {100 * of(own) / of(step):.1f}%"
            print(f"| {name} | {part(memory, 2**20)} | {part(lambda r: r['bytesMoved'], 1e9)} | {part(lambda r: r['flops'], 1e9)} |")


def write(path, header, lines):
    with open(path, "w", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow([*header, "program", *FIELDS, "outcome"])
        w.writerows(lines)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--emit", required=True, help="the program hack/accelerators/emit")
    p.add_argument("--cache", type=Path, required=True)
    p.add_argument("--output", type=Path, required=True)
    p.add_argument("--table", type=Path, required=True, help="of steps")
    p.add_argument("--views", type=Path, required=True, help="the table of views")
    p.add_argument("--full", action="store_true", help="all cases: hours")
    p.add_argument("--kept", action="store_true", help="of the cases those that are in the cache: nothing is compiled")
    p.add_argument("--only", default="", help="cases whose names, those of views end with ', its views', have this")
    a = p.parse_args()
    for directory in (a.cache, a.output):
        directory.mkdir(parents=True, exist_ok=True)
    c = Compilations(a)
    wanted = [(case, case.name, c.step) for case in (FULL if a.full else SHORT)]
    wanted += [(case, f"{case.name}, its views", c.make_views) for case in (VIEWS if a.full else VIEWS_SHORT)]
    wanted = [w for w in wanted if a.only in w[1]]
    for i, (case, _, compare) in enumerate(wanted):
        say(f"{i + 1} of {len(wanted)}:")
        compare(case, ours(case, a.emit))
    (a.output / "accelerators.json").write_text(json.dumps(c.rows, indent=2) + "\n")
    write(a.output / "accelerators.csv", ["platform", "topology", "devices", "depth", "width", "size", "batch", "precision"], c.steps)
    write(a.output / "views.csv", ["platform", "topology", "devices", "size", "edge", "batch", "operations"], c.views)
    update(a.table, c.steps)
    update(a.views, c.views)
    c.print()


if __name__ == "__main__":
    main()
