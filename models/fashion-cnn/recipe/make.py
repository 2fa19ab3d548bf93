"""Train, convert, measure and write fashion-cnn, or check what is committed (--check)."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "recipe")]

import family  # noqa: E402  (sets thread counts before numpy and TensorFlow load)
import numpy as np  # noqa: E402

import containers  # noqa: E402
import fashion  # noqa: E402
import fashion_mnist  # noqa: E402
import reference  # noqa: E402

FOLDER = HERE.parent
METRICS = ["top1", "top5", "log_loss"]
TOLERANCE = {"absolute": 2e-5, "relative": 1e-4}
SCALE = np.float32(1 / 255)


def golden(stored, resolution):
    """Twelve stored images: black, white, chequered, a ramp, and eight evaluated ones of different classes."""
    rows, columns = np.indices((resolution, resolution))
    drawn = [0 * rows, 0 * rows + 255, (rows + columns) % 2 * 255, columns * 255 // (resolution - 1)]
    return [[row] for row in np.concatenate([np.stack(drawn).astype(np.uint8).reshape(4, -1), stored[:8]])]


def main():
    asked = family.arguments(__doc__)
    x, y, ex, ey, left_out = fashion.load()
    resolutions = sorted({size[1] for size in fashion.SIZES})
    raw = {}
    for resolution in resolutions:
        stored = fashion_mnist.resample(ex, resolution).reshape(len(ex), -1)
        raw[resolution] = containers.write_dataset([(stored, SCALE, 0.0)], classes=(ey, len(fashion.CLASSES)))
    names = {r: f"data/test-{r}x{r}.sbds" for r in resolutions}
    if asked.check:
        return family.check(FOLDER, {names[r]: raw[r] for r in resolutions})

    files = family.Files(FOLDER)
    picked = np.random.default_rng(fashion.SEED).choice(len(x), 500, replace=False)
    uniform = np.full((len(ey), len(fashion.CLASSES)), 1 / len(fashion.CLASSES))
    baseline = reference.classification(uniform, ey)
    head = f'''# Written by recipe/make.py: change it there.
schema = 1
name = "fashion-cnn"
title = "Garments told apart by depthwise-separable convolutional networks"
use_case = "classification"
licence = "MIT"
notes = """
A stem and two stages of depthwise-separable blocks with residual adds; width is the channels after the stem, depth the
blocks a stage. Variants ending in -se have squeeze-excite in every block. {fashion.EPOCHS} epochs of batches of {fashion.BATCH}, AdamW,
softmax appended for deployment. The evaluation set is {len(ey)} of the source's own 10,000 test images, equally many of
each class, chosen by hash, classes alternating so that every prefix is balanced; {left_out} test images were left out
because they also occur among the training images or earlier in the test half."""
preprocessing = """
Images of 28x28 grey pixels are averaged down to the variant's resolution in integers and stored as u8; the model takes
pixel / 255."""
dimensions = ["depth", "width", "resolution", "squeeze_excite"]
classes = {family.text(fashion.CLASSES)}

[quality]
metric = "top1"
direction = "higher"
baseline_rule = "the same probability for every class, the first class chosen (all classes are equally frequent)"
baseline = {family.table({k: round(baseline[k], 6) for k in METRICS})}

[recipe]
command = "python recipe/make.py"
seed = {fashion.SEED}
run_time = "{fashion.RUN_TIME}"
packages = {family.packages(HERE)}
'''
    head += fashion_mnist.origins()
    for resolution in resolutions:
        head += f'''
[[dataset]]
name = "test-{resolution}x{resolution}"
artefact = {files.put(names[resolution], raw[resolution])}
samples = {len(ey)}

[[dataset.input]]
name = "image"
shape = [{resolution}, {resolution}, 1]
'''

    variants, before = [], family.present(FOLDER) if asked.add else {}
    for size in fashion.SIZES:
        name, resolution, width, depth, squeeze_excite = size
        if name in before:
            variants.append(before[name])
            continue
        weights = HERE / ".work" / f"{name}.weights.h5"
        weights.parent.mkdir(exist_ok=True)
        if not (asked.keep and weights.exists()):
            fashion.train(size, x, y, weights)
        model = fashion.trained(size, weights)
        parameters, macs = family.cost(model)
        real = fashion_mnist.resample(x[picked], resolution).astype(np.float32)[:, None, :, :, None] * SCALE
        samples = [[image] for image in real]
        dataset = containers.read_dataset(raw[resolution])
        lines = [
            "",
            "[[variant]]",
            f'name = "{name}"',
            f'dataset = "test-{resolution}x{resolution}"',
            f"parameters = {parameters}",
            f"macs = {macs}",
            f"coordinates = {{ depth = {depth}, width = {width}, resolution = {resolution}, "
            f"squeeze_excite = {squeeze_excite} }}",
        ]
        for precision, content in family.convert(model, samples).items():
            written, quality, off = family.build(
                files,
                (name, precision),
                content,
                golden(dataset[0][0][0], resolution),
                dataset,
                TOLERANCE,
                METRICS,
            )
            lines += written
            print(f"{name} {precision}: {macs} MACs {quality} fast kernels off by {off:g}", flush=True)
        variants.append((macs, lines))
        family.write_manifest(FOLDER, head, variants)

    return 0


sys.exit(main())
