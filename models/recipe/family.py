"""What every recipe does after training: convert, measure, write files and manifest, check them again."""

import argparse
import hashlib
import json
import os

os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "2")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# The matrices of the smallest nets are too small to share: a second BLAS thread only spins.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # noqa: E402

import containers  # noqa: E402
import perturbation  # noqa: E402
import reference  # noqa: E402


PRECISIONS = {"float32", "int8", "dynamic"}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def convert(model, samples, dynamic=False):
    """The float, the full-integer and, if wanted, the dynamic-range .tflite of a Keras model with batch 1.

    `samples` are inputs of the training split, each a list with one array an input; they set the activation
    ranges. Integer inputs (token ids) stay what they are.
    """
    import tensorflow as tf

    found = {"float32": tf.lite.TFLiteConverter.from_keras_model(model).convert()}
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    converter.representative_dataset = lambda: iter(samples)
    found["int8"] = converter.convert()
    if dynamic:
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        found["dynamic"] = converter.convert()
    return found


def cost(model):
    """Parameters and multiply-accumulates of a Keras model, batch normalisation folded away."""
    import keras

    parameters = macs = 0
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            inner = cost(layer)
            parameters, macs = parameters + inner[0], macs + inner[1]
        if not isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)):
            continue
        weights = int(np.prod(layer.weights[0].shape))
        shape = layer.output.shape
        positions = int(np.prod(shape[1:-1])) if len(shape) == 4 else 1
        parameters += weights + int(shape[-1])
        macs += weights * positions
    return parameters, macs


def text(value):
    """A TOML basic string."""
    return json.dumps(value, ensure_ascii=False)


def figure(value):
    return text(value) if isinstance(value, str) else repr(value)


def table(values):
    return "{ " + ", ".join(f"{k} = {figure(v)}" for k, v in values.items()) + " }"


class Files:
    """Files of a family; keeps what the manifest must say of each."""

    def __init__(self, folder):
        self.folder = folder

    def put(self, name, data):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return table({"file": name, "sha256": sha256(data), "bytes": len(data)})


def build(files, name, content, golden, dataset, tolerance, keys):
    """Write one precision of one variant; returns its manifest table, its quality and how far fast kernels are off.

    `golden` holds the stored samples of the golden vectors, one array an input. Without `keys` no quality is
    measured: the weights are seeded. `tolerance` is that of float32: int8 has none, and that of dynamic range is measured.
    """
    precision, model = name[1], reference.Model(content)
    stem = f"{name[0]}.{precision}"
    maps = [(scale, offset) for _, scale, offset in dataset[0]]
    vectors = []
    for sample in golden:
        tensors = model.tensors(sample, maps)
        vectors.append((tensors, model.run(tensors)))
    quality = reference.quality(model, dataset) if keys else {}
    if precision == "int8":
        tolerance = {"steps": 0}
    elif precision == "dynamic":
        tolerance = perturbation.tolerance(content, vectors)
    lines = [
        f"[variant.{precision}]",
        "model = " + files.put(f"weights/{stem}.tflite", content),
        "golden = " + files.put(f"golden/{stem}.sbgv", containers.write_golden(vectors)),
        f"vectors = {len(vectors)}",
        "tolerance = " + table(tolerance),
    ]
    if keys:
        lines.append("quality = " + table({k: round(quality[k], 6) for k in keys}))
    return lines, quality, yardstick(content, vectors)


def yardstick(content, vectors):
    """How far the interpreter's fast kernels are off the reference's, to compare tolerances with; NaN if they refuse the model."""
    try:
        fast = reference.Model(content, reference.OpResolverType.AUTO)
    except RuntimeError as error:
        print(f"the fast kernels refuse it: {error}", flush=True)
        return float("nan")
    return max(
        float(np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max())
        for ins, outs in vectors
        for ours, theirs in zip(fast.run(ins), outs)
    )


def packages(recipe):
    """The pinned requirements as a TOML list."""
    lines = (recipe / "requirements.txt").read_text().split()
    return text([line for line in lines if "==" in line])


def write_manifest(folder, head, variants):
    """Variants in order of MACs below `head`. Called after each variant, so that a broken run leaves a usable family."""
    body = "\n".join(line for _, lines in sorted(variants, key=lambda v: v[0]) for line in lines)
    (folder / "family.toml").write_text(head + body + "\n")


def present(folder):
    """The variants that the manifest has: name to MACs and lines, as write_manifest takes them, without their mark."""
    path = folder / "family.toml"
    found = {}
    for block in path.read_text().split("\n[[variant]]\n")[1:] if path.exists() else []:
        lines = [line for line in block.rstrip().split("\n") if line != "default = false"]
        macs = next(int(line.split(" = ")[1]) for line in lines if line.startswith("macs = "))
        found[json.loads(lines[0].split(" = ")[1])] = (macs, ["", "[[variant]]", *lines])
    return found


def marked(lines):
    """A variant's lines with the mark that leaves it out of a run without any choice."""
    at = next(i for i, line in enumerate(lines) if line.startswith("coordinates = "))
    return [*lines[: at + 1], "default = false", *lines[at + 1 :]]


def check(folder, expected):
    """Reproduce from the committed files: hashes, golden outputs, quality. `expected` maps file to data."""
    import tomllib

    manifest = tomllib.loads((folder / "family.toml").read_text())
    wrong = 0

    def claim(what, holds):
        nonlocal wrong
        if not holds:
            wrong += 1
            print(f"WRONG {what}", flush=True)

    for name, data in expected.items():
        claim(f"{name}: bytes differ from what the sources give", (folder / name).read_bytes() == data)
    datasets = {}
    for entry in manifest["dataset"]:
        raw = (folder / entry["artefact"]["file"]).read_bytes()
        claim(f"{entry['name']}: hash", sha256(raw) == entry["artefact"]["sha256"])
        datasets[entry["name"]] = containers.read_dataset(raw)
    for variant in manifest["variant"]:
        for precision in PRECISIONS & variant.keys():
            where, entry = f"{variant['name']} {precision}", variant[precision]
            content = (folder / entry["model"]["file"]).read_bytes()
            golden = (folder / entry["golden"]["file"]).read_bytes()
            claim(f"{where}: model hash", sha256(content) == entry["model"]["sha256"])
            claim(f"{where}: golden hash", sha256(golden) == entry["golden"]["sha256"])
            model = reference.Model(content)
            for ins, outs in containers.read_golden(golden):
                shaped = [tensor.reshape(detail["shape"]) for tensor, detail in zip(ins, model.inputs, strict=True)]
                for found, expected in zip(model.run(shaped), outs, strict=True):
                    off = np.abs(found.reshape(-1).astype(np.float64) - expected)
                    if precision == "int8":
                        same = (off <= entry["tolerance"]["steps"]).all()
                    else:
                        same = (off <= entry["tolerance"]["absolute"] + entry["tolerance"]["relative"] * np.abs(expected)).all()
                    claim(f"{where}: golden output", same)
            if "quality" not in entry:
                continue
            found = reference.quality(model, datasets[variant["dataset"]])
            for metric, stated in entry["quality"].items():
                claim(f"{where}: {metric} is {found[metric]}, stated {stated}",
                      abs(found[metric] - stated) <= 1e-6 * max(1, abs(stated)))
        print(f"checked {variant['name']}", flush=True)
    print("all reproduced" if not wrong else f"{wrong} claims wrong")
    return wrong


def arguments(doc):
    ap = argparse.ArgumentParser(description=doc)
    ap.add_argument("--check", action="store_true", help="reproduce data hashes, golden outputs and quality, write nothing")
    ap.add_argument("--keep", action="store_true", help="keep weights of an earlier run found in recipe/.work")
    ap.add_argument("--add", action="store_true", help="make only the variants that the manifest does not have yet")
    return ap.parse_args()
