"""Train, convert, measure and write garment-detect, or check what is committed (--check)."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "recipe")]

import family  # noqa: E402  (sets thread counts before numpy and TensorFlow load)
import numpy as np  # noqa: E402

import containers  # noqa: E402
import detection  # noqa: E402
import fashion_mnist  # noqa: E402
import garments  # noqa: E402

FOLDER = HERE.parent
DATASET = f"data/scenes-{garments.EVALUATED}.sbds"
METRICS = ["map50", "map50_95", "precision", "recall"]
TOLERANCE = {"absolute": 2e-5, "relative": 1e-4}
SCALE = np.float32(1 / 255)
# Sizes that a run without any choice measures.
DEFAULT = [(4, 2), (8, 2), (16, 1), (16, 3)]


def golden(stored):
    """Four stored pictures: chequered, a ramp, and two evaluated scenes."""
    rows, columns = np.indices((garments.SIDE, garments.SIDE))
    drawn = [(rows + columns) % 2 * 255, columns * 255 // (garments.SIDE - 1)]
    return [[row] for row in np.concatenate([np.stack(drawn).astype(np.uint8).reshape(2, -1), stored[:2]])]


def blind(training, slots):
    """Metrics of a detector that does not look: the mean box of the commonest group, in the middle of every scene."""
    boxes = [pair for _, found in training for pair in found]
    commonest = int(np.bincount([group for group, _ in boxes]).argmax())
    own = np.array([box for group, box in boxes if group == commonest], np.float64) / garments.SIDE
    half = (own[:, 2:] - own[:, :2]).mean(axis=0) / 2
    report = (commonest, np.float32(1), np.array([*(0.5 - half), *(0.5 + half)], np.float32))
    labelled = [detection.labels(rows) for rows in slots]
    return detection.quality([[report]] * len(labelled), labelled, len(garments.CLASSES)), garments.CLASSES[commonest]


def main():
    asked = family.arguments(__doc__)
    training, evaluated, left_out = garments.load()
    stored = garments.pictures(evaluated).reshape(len(evaluated), -1)
    slots = np.stack([garments.slots(found) for _, found in evaluated])
    raw = containers.write_dataset([(stored, SCALE, 0.0)], boxes=(slots, len(garments.CLASSES)))
    if asked.check:
        return family.check(FOLDER, {DATASET: raw})

    files = family.Files(FOLDER)
    dataset = containers.read_dataset(raw)
    picked = np.random.default_rng(garments.SEED).choice(len(training), 300, replace=False)
    samples = [[training[i][0].astype(np.float32)[None, :, :, None] * SCALE] for i in picked]
    baseline, commonest = blind(training, slots)
    objects = int((slots[:, :, 0] != 65535).sum())
    head = f'''# Written by recipe/make.py: change it there.
schema = 1
name = "garment-detect"
title = "Garments found in synthetic scenes by single-shot convolutional networks"
use_case = "detection"
licence = "MIT"
notes = """
SYNTHETIC scenes: one to three garments of Fashion-MNIST on a textured ground, drawn from a seed; nobody photographed
them. A box is the extent of the garment's visible pixels where it was pasted, exact to 1/65535 of the picture. Garments
lie in different cells and hide at most a fifth of each other. Training scenes show garments of the source's training
half, the {len(evaluated)} evaluation scenes ({objects} garments) those of its test half; {left_out} test garments that also occur in training
were left out. Stem, two stages of depthwise-separable residual blocks, a grid head with sigmoids: presence, centre,
size and group scores for each of 6 x 6 cells; decoding and suppression run on the board. {garments.EPOCHS} epochs of batches of
{garments.BATCH} over {garments.TRAINED} scenes, AdamW."""
preprocessing = """
Scenes are 48x48 grey pixels stored as u8; the model takes pixel / 255. Fashion-MNIST's classes become five groups: tops
(t-shirt, pullover, coat, shirt), trousers, dresses, shoes (sandal, sneaker, boot), bags."""
dimensions = ["depth", "width"]
classes = {family.text(garments.CLASSES)}

[quality]
metric = "map50"
direction = "higher"
baseline_rule = "the mean box of a {commonest} in the middle of every scene"
baseline = {family.table({k: round(baseline[k], 6) for k in METRICS})}

[recipe]
command = "python recipe/make.py"
seed = {garments.SEED}
run_time = "{garments.RUN_TIME}"
packages = {family.packages(HERE)}
{fashion_mnist.origins()}
[[dataset]]
name = "scenes"
artefact = {files.put(DATASET, raw)}
samples = {len(evaluated)}

[[dataset.input]]
name = "scene"
shape = [{garments.SIDE}, {garments.SIDE}, 1]
'''
    variants, before = [], family.present(FOLDER) if asked.add else {}
    for size in garments.GRID:
        width, depth = size
        name = f"w{width}-d{depth}"
        if name in before:
            macs, lines = before[name]
        else:
            weights = HERE / ".work" / f"{name}.weights.h5"
            weights.parent.mkdir(exist_ok=True)
            if not (asked.keep and weights.exists()):
                garments.train(size, training, weights)
            model = garments.trained(size, weights)
            parameters, macs = family.cost(model)
            lines = [
                "",
                "[[variant]]",
                f'name = "{name}"',
                'dataset = "scenes"',
                f"parameters = {parameters}",
                f"macs = {macs}",
                f"coordinates = {{ depth = {depth}, width = {width} }}",
            ]
            for precision, content in family.convert(model, samples).items():
                written, quality, off = family.build(
                    files, (name, precision), content, golden(stored), dataset, TOLERANCE, METRICS
                )
                lines += written
                print(f"{name} {precision}: {macs} MACs {quality} fast kernels off by {off:g}", flush=True)
        variants.append((macs, lines if size in DEFAULT else family.marked(lines)))
        family.write_manifest(FOLDER, head, variants)
    return 0


sys.exit(main())
