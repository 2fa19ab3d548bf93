"""Build the study's families at full size, with seeded weights, into a folder that SCALEBENCH_MODELS can name.

    python make.py --out ~/study-models                         # everything: hours, and about 5 GB
    python make.py --out ~/study-models bert-miniatures --size l2-h128 --size l4-h256

The graphs, their costs and their golden vectors are those of the architectures; what they answer means nothing, and
the manifests say so. Nothing is downloaded.
"""

import argparse
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "recipe")]

import family  # noqa: E402  (sets thread counts before numpy and TensorFlow load)
import numpy as np  # noqa: E402

import containers  # noqa: E402
import networks  # noqa: E402

TOLERANCE = {"absolute": 1e-3, "relative": 1e-2}
# Inputs that set activation ranges, and inputs of the golden vectors, which are also the data of the windows.
CALIBRATED, GOLDEN = 8, 2
UNMEASURED = "quality not measured: seeded weights"
ARCHITECTURES = {
    "bert-miniatures": ("BERT miniatures, arXiv 1908.08962 and 1810.04805", "language"),
    "efficientnet": ("EfficientNet B0 to B5, arXiv 1905.11946, as in keras.applications", "classification"),
    "mlp-study": ("Multilayer perceptrons of Future Internet 16(12):468", "regression"),
}


def head(name, title, dimensions, metric, direction, inputs, files, raws):
    source, use_case = ARCHITECTURES[name]
    text = f'''# Written by models/study/recipe/make.py: change it there.
schema = 1
name = "{name}"
title = "{title}"
use_case = "{use_case}"
licence = "MIT OR Apache-2.0"
notes = "Seeded weights: cost axes only. {UNMEASURED}."
dimensions = {family.text(dimensions)}
weights = "seeded"

[quality]
metric = "{metric}"
direction = "{direction}"
baseline_rule = "{UNMEASURED}"
baseline = {{}}

[recipe]
command = "python models/study/recipe/make.py --out FOLDER {name}"
seed = {networks.SEED}
run_time = "not measured"
packages = {family.packages(HERE)}

[[origin]]
what = "architecture"
title = "{source}"
source = "built by the recipe; no weights are taken"
licence = "MIT OR Apache-2.0"
copyright = "Copyright the scalebench authors"
'''
    for dataset, raw in raws.items():
        text += f'''
[[dataset]]
name = "{dataset}"
artefact = {files.put(f"data/{dataset}.sbds", raw)}
samples = {GOLDEN}
'''
        for what, shape in inputs[dataset]:
            text += f'''
[[dataset.input]]
name = "{what}"
shape = {list(shape)}
'''
    return text


def sizes(name):
    """Name, coordinates, dataset, build function, parameters and MACs (None: counted on the graph) of each size."""
    if name == "bert-miniatures":
        for depth, width in networks.BERT:
            coordinates = {"depth": depth, "width": width, "heads": width // networks.HEAD}
            yield f"l{depth}-h{width}", coordinates, "pairs", (networks.bert, depth, width), networks.bert_cost(depth, width)
    elif name == "efficientnet":
        for index, resolution, width, depth, dropout in networks.EFFICIENTNET:
            coordinates = {"depth": depth, "width": width, "resolution": resolution, "dropout": dropout}
            build = (networks.efficientnet, index, resolution, networks.pictures(CALIBRATED, resolution).astype(np.float32))
            yield f"b{index}", coordinates, f"pictures-{resolution}", build, None
    else:
        for depth, width in networks.MLP:
            yield f"d{depth}-w{width}", {"depth": depth, "width": width}, "rows", (networks.mlp, depth, width), None


def data(name):
    """For each dataset: the samples in the stored types, one list of arrays a sample, and the inputs' names and shapes."""
    count = CALIBRATED + GOLDEN
    if name == "bert-miniatures":
        yield "pairs", networks.pairs(count), [(what, (networks.SEQUENCE,)) for what in networks.PAIR]
    elif name == "efficientnet":
        for _, resolution, *_ in networks.EFFICIENTNET:
            pictures = networks.pictures(count, resolution)
            yield f"pictures-{resolution}", [[p] for p in pictures], [("picture", (resolution, resolution, 3))]
    else:
        rows = np.random.default_rng(networks.SEED).normal(size=(count, networks.HOUSING_FEATURES)).astype(np.float32)
        yield "rows", [[row] for row in rows], [("house", (networks.HOUSING_FEATURES,))]


def make(out, name, wanted):
    import keras

    files = family.Files(out / name)
    chosen = [size for size in sizes(name) if not wanted or size[0] in wanted]
    needed = {size[2] for size in chosen}
    samples, inputs, raws = {}, {}, {}
    for dataset, drawn, described in data(name):
        if dataset in needed:
            samples[dataset], inputs[dataset] = drawn, described
            stored = [np.stack([sample[i].reshape(-1) for sample in drawn[CALIBRATED:]]) for i in range(len(described))]
            raws[dataset] = containers.write_dataset([(data, 1.0, 0.0) for data in stored])
    metric, direction = {"mlp-study": ("mse", "lower")}.get(name, ("top1", "higher"))
    title = ARCHITECTURES[name][0]
    dimensions = list(chosen[0][1])
    text = head(name, title, dimensions, metric, direction, inputs, files, raws)
    variants = []
    for variant, coordinates, dataset, (build, *arguments), cost in chosen:
        keras.utils.set_random_seed(networks.SEED)
        model = build(*arguments)
        parameters, macs = cost or family.cost(model)
        lines = ["", "[[variant]]", f'name = "{variant}"', f'dataset = "{dataset}"', f"parameters = {parameters}",
                 f"macs = {macs}", f"coordinates = {family.table(coordinates)}"]
        ranges = [
            [part[None] if part.dtype == np.int32 else part.astype(np.float32)[None] for part in sample]
            for sample in samples[dataset][:CALIBRATED]
        ]
        contents = family.convert(model, ranges, dynamic=name == "bert-miniatures")
        parsed = containers.read_dataset(raws[dataset])
        for precision, content in contents.items():
            if name == "bert-miniatures":
                check_order(content)
            golden = [[part.reshape(-1) for part in sample] for sample in samples[dataset][CALIBRATED:]]
            written, _, off = family.build(files, (variant, precision), content, golden, parsed, TOLERANCE, [])
            lines += written
            print(f"{name} {variant} {precision}: {macs} MACs, fast kernels off by {off:g}", flush=True)
        variants.append((macs, lines))
        family.write_manifest(out / name, text, variants)


def check_order(content):
    """The converter orders inputs as it likes: the dataset's order must be its."""
    import reference

    names = [detail["name"] for detail in reference.Model(content).inputs]
    wrong = [pair for pair in zip(names, networks.PAIR, strict=True) if pair[1] not in pair[0]]
    assert not wrong, f"the converter put the inputs in another order, {names}: change networks.PAIR"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", type=pathlib.Path, required=True, help="folder of families to write into")
    ap.add_argument("--size", action="append", default=[], help="only this size; may be repeated")
    ap.add_argument("family", nargs="*", help=f"only these of {', '.join(ARCHITECTURES)}")
    asked = ap.parse_args()
    if unknown := set(asked.family) - ARCHITECTURES.keys():
        ap.error(f"{', '.join(sorted(unknown))}: known here are {', '.join(ARCHITECTURES)}")
    for name in asked.family or ARCHITECTURES:
        if any(not asked.size or size[0] in asked.size for size in sizes(name)):
            make(asked.out, name, asked.size)


main()
