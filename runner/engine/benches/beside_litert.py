#!/usr/bin/env python3
"""This engine beside LiteRT (XNNPACK, one thread) on the same models, in one go; and, with --exact, the same
bytes as LiteRT's reference kernels on random and boundary inputs.

    python3 -m venv .venv && .venv/bin/pip install ai-edge-litert==2.3.0 numpy
    .venv/bin/python runner/engine/benches/beside_litert.py MODEL.tflite ... [--exact 1000]

Both run in turns, --rounds times, so that whatever else the machine does meets both. The ratio is that of the
medians over rounds. Exit code 1 if an int8 model is not exact.
"""
import argparse, os, pathlib, statistics, subprocess, sys, tempfile, time
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

ROOT = pathlib.Path(__file__).resolve().parents[3]


def interpreter(path, kind):
    it = Interpreter(str(path), num_threads=1, experimental_op_resolver_type=kind)
    it.allocate_tensors()
    details = it.get_input_details()
    for detail, value in zip(details, inputs(details, 3, np.random.default_rng(1))):
        it.set_tensor(detail["index"], value)
    return it


def litert_us(it, runs):
    times = []
    for _ in range(runs):
        start = time.perf_counter_ns()
        it.invoke()
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / 1e3


def inputs(details, index, rng):
    """Boundary inputs first: the least, the greatest, the zero point; then random ones."""
    values = []
    for detail in details:
        shape, kind = detail["shape"], np.dtype(detail["dtype"])
        if np.issubdtype(kind, np.integer) and kind.itemsize == 1:
            info = np.iinfo(kind)
            fixed = [info.min, info.max, detail["quantization"][1]]
            if index < 3:
                values.append(np.full(shape, fixed[index], kind))
            else:
                values.append(rng.integers(info.min, info.max, shape, dtype=kind, endpoint=True))
        elif np.issubdtype(kind, np.integer):
            # Indices: there may be as few as two of what they choose from.
            values.append(rng.integers(0, 2, shape, dtype=kind))
        else:
            values.append(rng.standard_normal(shape).astype(kind))
    return values


def vectors(path, count, folder):
    it = interpreter(path, OpResolverType.BUILTIN_REF)
    rng = np.random.default_rng(1)
    for index in range(count + 3):
        given = inputs(it.get_input_details(), index, rng)
        for detail, value in zip(it.get_input_details(), given):
            it.set_tensor(detail["index"], value)
        it.invoke()
        answers = [it.get_tensor(detail["index"]) for detail in it.get_output_details()]
        (folder / f"{path.stem}.{index}.in.bin").write_bytes(b"".join(v.tobytes() for v in given))
        (folder / f"{path.stem}.{index}.out.bin").write_bytes(b"".join(v.tobytes() for v in answers))


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("models", nargs="+", type=pathlib.Path)
    ap.add_argument("--runs", type=int, default=500)
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--exact", type=int, default=0, metavar="N")
    ap.add_argument("--cargo", default="cargo")
    a = ap.parse_args()
    # The whole workspace: another choice of packages chooses other features, and builds tract anew.
    build = [a.cargo, "build", "--release", "--quiet", "--workspace", "--bin", "scalebench", "--example", "median"]
    subprocess.run(build, cwd=ROOT, check=True)
    built = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    ours = built / "examples/median"
    failed = False
    for path in a.models:
        path = path.resolve()
        if a.exact:
            with tempfile.TemporaryDirectory() as folder:
                vectors(path, a.exact, pathlib.Path(folder))
                check = [built / "scalebench", "models", "check", path, "--golden", folder]
                failed |= subprocess.run(check).returncode != 0
        it = interpreter(path, OpResolverType.AUTO)
        litert_us(it, a.runs // 10)
        mine, theirs = [], []
        for _ in range(a.rounds):
            out = subprocess.run([ours, str(a.runs), path], check=True, capture_output=True, text=True).stdout
            mine.append(int(out) / 1e3)
            theirs.append(litert_us(it, a.runs))
        m, t = statistics.median(mine), statistics.median(theirs)
        print(f"{path.name:44} this engine {m:10.2f} us   xnnpack {t:10.2f} us   ratio {m / t:6.2f}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
