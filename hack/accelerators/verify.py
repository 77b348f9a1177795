"""Compiles the trainer's step, and the same step written plainly in JAX, for accelerators that are not here, and compares what they need.

    verify.py --emit build/accelerators/emit --cache build/accelerators/cache --output build/bench [--full]

Results are kept by the program's text, the target and the compilers' versions, so that only what has changed compiles again. It writes
OUTPUT/accelerators.json, the rows that all benchmarks write, and OUTPUT/accelerators.csv, everything that was compiled. What was
compiled of our steps takes its rows in TABLE, which `simclr-trainer plan` reads; other rows stay.
"""
import argparse
import csv
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

    @property
    def name(self):
        chip = self.topology if self.platform == "tpu" else "H200 " + self.topology
        return f"{chip}: ResNet-{self.depth} {self.width}x, {self.size} px, batch {self.batch}"

    def spec(self):
        stem = "ImageNet" if self.size > 64 else "CIFAR"
        return f"""apiVersion: training.simclr.dev/v1alpha1
kind: SimCLRRun
metadata: {{name: case}}
spec:
  dataset: {{uri: "pvc://data/images", format: ImageFolder, imageSize: {self.size}}}
  encoder: {{depth: {self.depth}, widthMultiplier: "{self.width}", stem: {stem}}}
  batchSize: {self.batch}
  pretraining: {{precision: BF16, optimizer: LARS}}
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
    Case("cuda", "1x1", 1, 50, 1, 224, 512),
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


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(command, **kwargs):
    return subprocess.run(command, capture_output=True, text=True, **kwargs)


def ours(case, emit):
    with tempfile.TemporaryDirectory() as out:
        file = Path(out) / "run.yaml"
        file.write_text(case.spec())
        r = run([emit, "-f", file, "-devices", str(case.devices), "-platform", case.platform, "-o", out])
        if r.returncode:
            raise SystemExit(f"{case.name}: {r.stderr}")
        return (Path(out) / "step.mlir").read_text()


def jax(case):
    flags = {"depth": case.depth, "width": case.width, "size": case.size, "batch": case.batch, "precision": "BF16",
             "devices": case.devices, "platform": case.platform}
    r = run([sys.executable, HERE / "peer.py"] + [x for k, v in flags.items() for x in ("--" + k, str(v))])
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


def rows(case, own, peer):
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
        yield {"case": f"{case.name}: {what}", "unit": unit, "ours": a, "peer": b, "ratio": a / b if peer else None,
               "target": TARGET, "better": "lower"}


def table(all_rows):
    print("| | unit | ours | JAX | ratio |\n|---|---|---|---|---|")
    for r in all_rows:
        peer, ratio = (f"{r['peer']:.5g}", f"{r['ratio']:.3f}") if r["peer"] else ("–", "–")
        print(f"| {r['case']} | {r['unit']} | {r['ours']:.5g} | {peer} | {ratio} |")


def update(path, everything):
    """Put the figures of our steps into the table at a path, whose columns are the first ones of everything's."""
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


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--emit", required=True, help="the program hack/accelerators/emit")
    p.add_argument("--cache", type=Path, required=True)
    p.add_argument("--output", type=Path, required=True)
    p.add_argument("--table", type=Path, required=True)
    p.add_argument("--full", action="store_true", help="all cases: hours")
    p.add_argument("--kept", action="store_true", help="of the cases those that are in the cache: nothing is compiled")
    p.add_argument("--only", default="", help="cases whose names have this")
    a = p.parse_args()
    for directory in (a.cache, a.output):
        directory.mkdir(parents=True, exist_ok=True)
    versions = run([sys.executable, HERE / "compile.py", "versions"], check=True).stdout.strip()
    all_rows, everything = [], []
    cases = [c for c in (FULL if a.full else SHORT) if a.only in c.name]
    for i, case in enumerate(cases):
        results = {}
        for program, text in (("ours", ours(case, a.emit)), ("jax", jax(case))):
            say(f"{i + 1} of {len(cases)}: {case.name}, {program} ({time.strftime('%T')})")
            results[program] = r = compiled(case, text, versions, a.cache, a.kept)
            outcome = r.get("outOfMemory", r.get("crash", ""))[:200]
            if outcome:
                say("  " + outcome)
            everything.append([case.platform, case.topology, case.devices, case.depth, case.width, case.size, case.batch, "BF16", program]
                              + [r.get(f, "") for f in FIELDS] + [outcome])
        all_rows += rows(case, results["ours"], results["jax"])
    (a.output / "accelerators.json").write_text(json.dumps(all_rows, indent=2) + "\n")
    with open(a.output / "accelerators.csv", "w", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(["platform", "topology", "devices", "depth", "width", "size", "batch", "precision", "program", *FIELDS, "outcome"])
        w.writerows(everything)
    update(a.table, everything)
    table(all_rows)


if __name__ == "__main__":
    main()
