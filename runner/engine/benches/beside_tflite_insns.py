#!/usr/bin/env python3
"""Instructions of one inference on emulated Arm processors, beside TFLite's (XNNPACK, one thread).

    runner/engine/benches/beside_tflite_insns.py MODEL.tflite ...

Where no board is at hand, instructions stand in for time; they say nothing of caches, nor of instructions that
take more than one cycle. Prints ours, TFLite's and the ratio for a Cortex-A53 (no dot products) and a Cortex-A76;
exit code 1 if a ratio is above its goal.

Both programs run under qemu-aarch64 7.2 with the plugin insn_windows.c, which counts what is executed between two
marks: a window of 1 inference and one of 11 after three to warm up. A tenth of their difference is the count.
That leaves out start-up, loading and the marks themselves, and repeats to the instruction.

Needs a Debian machine with a C compiler, apt, pip and what .ci/cross-toolchain installs. TFLite is tflite-runtime
2.14 in Debian 12's Python for aarch64, both unpacked under --work the first time, installed nowhere; LiteRT 2.3
crashes under this QEMU. TFLite's counts are kept there and read again; --recount takes them anew.
"""
import argparse, json, pathlib, re, shutil, subprocess, sys, tempfile

HERE = pathlib.Path(__file__).resolve()
ROOT = HERE.parents[3]
TRIPLE = "aarch64-unknown-linux-gnu"
# Without dot products no more than TFLite, which has none here either; with them half.
GOALS = {"cortex-a53": 1.0, "cortex-a76": 0.5}
MARK, OPEN, CLOSE = 0x42454E43, 1, 2
# Inferences in each window.
WINDOWS = (1, 11)

SOURCE = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main\n"
DEBS = """python3.11-minimal libpython3.11-minimal libpython3.11-stdlib python3.11 libc6 libstdc++6 libgcc-s1 zlib1g
    libexpat1 libffi8 libbz2-1.0 liblzma5 libssl3 libgomp1""".split()
WHEELS = (("tflite-runtime==2.14.0", "manylinux_2_34_aarch64"), ("numpy==1.26.4", "manylinux2014_aarch64"))


def count_tflite(models):
    """What runs in the emulated Python."""
    import ctypes
    import numpy as np
    from tflite_runtime.interpreter import Interpreter

    prctl = ctypes.CDLL(None).prctl
    for path in models:
        it = Interpreter(path, num_threads=1)
        it.allocate_tensors()
        rng = np.random.default_rng(0)
        for detail in it.get_input_details():
            kind = np.dtype(detail["dtype"])
            whole = np.issubdtype(kind, np.integer)
            draw = rng.integers(0, 128, detail["shape"]) if whole else rng.random(detail["shape"])
            it.set_tensor(detail["index"], draw.astype(kind))
        for _ in range(3):
            it.invoke()
        for window, inferences in enumerate(WINDOWS):
            prctl(MARK, OPEN, window)
            for _ in range(inferences):
                it.invoke()
            prctl(MARK, CLOSE, window)


def build(work, cargo):
    """The plugin, and our program."""
    plugin = work / "insn_windows.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", plugin, HERE.with_name("insn_windows.c")], check=True)
    if not cargo:
        listed = subprocess.run(["rustup", "target", "list", "--installed"], capture_output=True, text=True).stdout
        cargo = "cargo" if TRIPLE in listed.split() else "cargo +debian"
    target = work.parent / "cross"
    command = [*cargo.split(), "build", "--release", "--quiet", "--target", TRIPLE, "--target-dir", target]
    subprocess.run([*command, "-p", "scalebench-engine", "--example", "insns"], cwd=ROOT, check=True)
    return plugin, [target / TRIPLE / "release/examples/insns"]


def peer(work):
    """The command of a Python with TFLite; fetched if it is not there."""
    root, site, ready = work / "root", work / "site", work / "ready"
    if not ready.exists():
        apt, debs, wheels = work / "apt", work / "debs", work / "wheels"
        for folder in (apt / "lists/partial", apt / "cache/archives/partial", debs, wheels):
            folder.mkdir(parents=True, exist_ok=True)
        (apt / "status").touch()
        (apt / "sources.list").write_text(SOURCE)
        places = {"State::Lists": "lists", "State::status": "status", "Cache": "cache", "Etc::sourcelist": "sources.list"}
        options = ["-q", "-o", "APT::Architecture=arm64", "-o", "APT::Architectures=arm64", "-o", "Dir::Etc::sourceparts=-",
                   *(word for key, at in places.items() for word in ("-o", f"Dir::{key}={apt / at}"))]
        subprocess.run(["apt-get", *options, "update"], check=True)
        subprocess.run(["apt-get", *options, "download", *DEBS], cwd=debs, check=True)
        for deb in debs.glob("*.deb"):
            subprocess.run(["dpkg", "-x", deb, root], check=True)
        for wheel, platform in WHEELS:
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d",
                            wheels, "--python-version", "3.11", "--platform", platform, wheel], check=True)
        for wheel in wheels.glob("*.whl"):
            shutil.unpack_archive(wheel, site, "zip")
        ready.touch()
    settings = {"LD_LIBRARY_PATH": f"{root}/lib/aarch64-linux-gnu:{root}/usr/lib/aarch64-linux-gnu",
                "PYTHONPATH": site, "PYTHONHOME": root / "usr"}
    options = [word for name, value in settings.items() for word in ("-E", f"{name}={value}")]
    return ["-L", root, *options, root / "usr/bin/python3.11", HERE, "--count"]


def counts(command, plugin, cpu, models):
    """Instructions of one inference of each model."""
    with tempfile.NamedTemporaryFile("r") as log:
        options = ["-cpu", cpu, "-plugin", plugin, "-d", "plugin", "-D", log.name]
        subprocess.run(["qemu-aarch64", *options, *command, *models], check=True, stdout=subprocess.DEVNULL)
        found = [int(n) for n in re.findall(r"window \d+ insns (\d+)", log.read())]
    if len(found) != len(WINDOWS) * len(models):
        sys.exit(f"{len(found)} windows for {len(models)} models: is this QEMU 7.2, built with plugins?")
    few, many = WINDOWS
    pairs = zip(found[::2], found[1::2])
    return {model.name: round((after - before) / (many - few)) for model, (before, after) in zip(models, pairs)}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("models", nargs="+", type=pathlib.Path)
    ap.add_argument("--work", type=pathlib.Path, default=ROOT / "target/insns", help="what is built and fetched")
    ap.add_argument("--cargo", help="by default 'cargo', or 'cargo +debian' where rustup has not the target")
    ap.add_argument("--recount", action="store_true", help="count TFLite again")
    ap.add_argument("--count", action="store_true", help=argparse.SUPPRESS)
    a = ap.parse_args()
    models = [model.resolve() for model in a.models]
    if a.count:
        return count_tflite(list(map(str, models)))
    work = a.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    plugin, ours = build(work, a.cargo)

    kept = work / "tflite.json"
    theirs = json.loads(kept.read_text()) if kept.exists() and not a.recount else {}
    for cpu in GOALS:
        unknown = [model for model in models if model.name not in theirs.get(cpu, {})]
        if unknown:
            theirs.setdefault(cpu, {}).update(counts(peer(work), plugin, cpu, unknown))
    kept.write_text(json.dumps(theirs, indent=1))

    missed = False
    for cpu, goal in GOALS.items():
        for name, count in counts(ours, plugin, cpu, models).items():
            ratio = count / theirs[cpu][name]
            missed |= ratio > goal
            print(f"{cpu}  {name:30} ours {count:9}  TFLite {theirs[cpu][name]:9}  ratio {ratio:5.2f}  goal {goal}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
