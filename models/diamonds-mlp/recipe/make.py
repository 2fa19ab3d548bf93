"""Train, convert, measure and write diamonds-mlp, or check what is committed (--check)."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "recipe")]

import family  # noqa: E402  (sets thread counts before numpy and TensorFlow load)
import numpy as np  # noqa: E402

import containers  # noqa: E402
import diamonds  # noqa: E402
import reference  # noqa: E402

FOLDER = HERE.parent
DATASET = "data/diamonds-4000.sbds"
METRICS = ["r2", "rmse", "mae"]
TOLERANCE = {"absolute": 2e-5, "relative": 1e-4}
# Sizes that a run without any choice measures.
DEFAULT = [(1, 2), (1, 8), (2, 16), (1, 32), (2, 32), (2, 64), (3, 64), (3, 128), (6, 128), (10, 128)]


def golden(stored):
    """Twelve stored samples: the corners of the input range, its middle, and eight evaluated rows."""
    width, top = len(diamonds.FEATURES), 32767
    alternating = np.where(np.arange(width) % 2, -top, top)
    corners = np.stack([np.full(width, -top), np.full(width, top), np.zeros(width), alternating])
    return [[row] for row in np.concatenate([corners.astype(np.int16), stored[:8]])]


def main():
    asked = family.arguments(__doc__)
    x, prices, stored, labels, mean, deviation = diamonds.load()
    affine = (float(np.float32(deviation)), float(np.float32(mean)))
    raw = containers.write_dataset(
        [(stored, diamonds.SCALE, 0.0)], values=labels[:, None].astype(np.float32), output=affine
    )
    if asked.check:
        return family.check(FOLDER, {DATASET: raw})

    files = family.Files(FOLDER)
    dataset = containers.read_dataset(raw)
    real = x.astype(np.float32) * diamonds.SCALE
    picked = np.random.default_rng(diamonds.SEED).choice(len(real), 1000, replace=False)
    samples = [[real[i : i + 1]] for i in picked]
    baseline = reference.regression(np.full(len(labels), mean), labels)

    variants, before = [], family.present(FOLDER) if asked.add else {}
    for size in diamonds.GRID:
        depth, width = size
        name = f"d{depth}-w{width}"
        if name in before:
            macs, lines = before[name]
        else:
            weights = HERE / ".work" / f"{name}.npz"
            weights.parent.mkdir(exist_ok=True)
            if not (asked.keep and weights.exists()):
                diamonds.train(size, real, (prices - mean) / deviation, weights)
            model = diamonds.trained(size, weights)
            parameters, macs = family.cost(model)
            lines = [
                "",
                "[[variant]]",
                f'name = "{name}"',
                'dataset = "rows"',
                f"parameters = {parameters}",
                f"macs = {macs}",
                f"coordinates = {{ depth = {depth}, width = {width} }}",
            ]
            for precision, content in family.convert(model, samples).items():
                written, quality, off = family.build(
                    files, (name, precision), content, golden(stored), dataset, TOLERANCE, METRICS
                )
                lines += written
                print(f"{name} {precision}: {quality} fast kernels off by {off:g}", flush=True)
        variants.append((macs, lines if size in DEFAULT else family.marked(lines)))

    head = f'''# Written by recipe/make.py: change it there.
schema = 1
name = "diamonds-mlp"
title = "Price of a diamond from nine measurements, by multilayer perceptrons"
use_case = "regression"
licence = "MIT"
notes = """
Dense layers with ReLU, He initialisation, mean squared error, Adam, batches of {diamonds.BATCH}.
Every size was trained alike, for {diamonds.EPOCHS} epochs, at a learning rate that falls with the depth beyond three layers.
Rows that agree in carat, cut, colour and clarity are all in the training half or all in the evaluation half,
so no stone that the source lists twice is on both sides. The evaluation set is {diamonds.EVALUATED} rows of its half."""
preprocessing = """
cut, color and clarity become their grade counted from the worst, 0 upwards. All nine features are standardised
with mean and deviation of the training half, held within four deviations, and stored as i16. The model's output is
the price, standardised the same way; the dataset's output scale and offset turn it into USD."""
dimensions = ["depth", "width"]

[quality]
metric = "r2"
direction = "higher"
unit = "USD"
baseline_rule = "always the mean price of the training half"
baseline = {family.table({k: round(baseline[k], 6) for k in METRICS})}

[recipe]
command = "python recipe/make.py"
seed = {diamonds.SEED}
run_time = "{diamonds.RUN_TIME}"
packages = {family.packages(HERE)}

[[origin]]
what = "data"
title = "diamonds: prices and attributes of 53,940 round cut diamonds"
source = "PyPI plotnine 0.15.9, plotnine/data/diamonds.csv (first published in R's ggplot2)"
licence = "MIT"
copyright = "ggplot2: Copyright (c) 2020 ggplot2 authors; plotnine: Copyright (c) 2022 Hassan Kibirige"
sha256 = "{diamonds.SOURCE_SHA256}"

[[dataset]]
name = "rows"
artefact = {files.put(DATASET, raw)}
samples = {len(labels)}

[[dataset.input]]
name = "stone"
shape = [{len(diamonds.FEATURES)}]
features = {family.text(diamonds.FEATURES)}
'''
    family.write_manifest(FOLDER, head, variants)
    return 0


sys.exit(main())
