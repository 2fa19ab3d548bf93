"""Build the study's families at full size into a folder that SCALEBENCH_MODELS can name.

    python make.py --out ~/study-models                         # seeded weights, everything: hours, and about 5 GB
    python make.py --out ~/study-models bert-miniatures --size l2-h128 --size l4-h256
    python make.py --out ~/study-models --published ~/sources   # published weights and data, with quality

Without --published the graphs, their costs and their golden vectors are those of the architectures; what they answer
means nothing, and the manifests say so. Nothing is downloaded. With it, what is missing in its folder is.
"""

import argparse
import pathlib
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "recipe")]

import family  # noqa: E402  (sets thread counts before numpy and TensorFlow load)

import containers  # noqa: E402
import housing  # noqa: E402
import manifest  # noqa: E402
import miniatures  # noqa: E402
import networks  # noqa: E402
import published  # noqa: E402
import seeded  # noqa: E402
import transfer  # noqa: E402

TRAINED = {"bert-miniatures": miniatures.Miniatures, "efficientnet": transfer.Transfer, "mlp-study": housing.Housing}


def make(folder, kind, sizes, before, command):
    """Build sizes of a `kind.Kind` in its folder; those in `before`, as `family.present` gives them, stay as they are."""
    import keras

    datasets = {size: kind.dataset(size) for size in sizes}
    different = {entry.name: entry for entry in datasets.values()}
    if before:
        compare(folder / "family.toml", kind, different)
    files = family.Files(folder)
    text = manifest.head(kind, files, different.values(), command)
    variants = []
    for size in sizes:
        if size.name in before:
            variants.append(before[size.name])
            continue
        # Layers' names, which are in the files, shall not depend on what was built before.
        keras.utils.clear_session()
        keras.utils.set_random_seed(networks.SEED)
        model = kind.model(size)
        is_bert = kind.name == "bert-miniatures"
        parameters, macs = networks.bert_cost(*size.arguments) if is_bert else family.cost(model)
        dataset = datasets[size]
        lines = ["", "[[variant]]", f'name = "{size.name}"', f'dataset = "{dataset.name}"']
        lines += [f"parameters = {parameters}", f"macs = {macs}", f"coordinates = {family.table(size.coordinates)}"]
        lines += [f"# {remark}" for remark in kind.remarks(size)]
        parsed = containers.read_dataset(dataset.raw)
        for precision, content in family.convert(model, kind.calibration(size), dynamic=is_bert).items():
            if is_bert:
                check_order(content)
            written, quality, off = family.build(
                files, (size.name, precision), content, kind.golden(size), parsed, kind.tolerance, kind.metrics
            )
            lines += written
            print(f"{kind.name} {size.name} {precision}: {macs} MACs, {quality or seeded.UNMEASURED}, "
                  f"fast kernels off by {off:g}", flush=True)
        variants.append((macs, lines))
        family.write_manifest(folder, text, variants)


def compare(path, kind, datasets):
    """What --add keeps must have been made as the rest will be: same weights, same notes, same evaluation sets."""
    before = tomllib.loads(path.read_text())
    now = tomllib.loads("\n".join(f"{key} = {value}" for key, value in kind.top().items()))
    hashes = {entry["name"]: entry["artefact"]["sha256"] for entry in before["dataset"]}
    same = all(before.get(key) == now.get(key) for key in ("weights", "notes"))
    if not same or any(name not in datasets or family.sha256(datasets[name].raw) != was for name, was in hashes.items()):
        raise published.Wrong(f"{path}: its sizes were made from other weights, data or options: "
                              "leave out --add, or take another --out")


def check_order(content):
    """The converter orders inputs as it likes: the dataset's order must be its."""
    import reference

    names = [detail["name"] for detail in reference.Model(content).inputs]
    wrong = [pair for pair in zip(names, networks.PAIR, strict=True) if pair[1] not in pair[0]]
    assert not wrong, f"the converter put the inputs in another order, {names}: change networks.PAIR"


def arguments(given):
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", type=pathlib.Path, required=True, help="folder of families to write into")
    ap.add_argument("--published", type=pathlib.Path, metavar="FOLDER",
                    help="train and measure on published weights and data; what FOLDER lacks is downloaded into it")
    ap.add_argument("--size", action="append", default=[], help="only this size; may be repeated")
    ap.add_argument("--add", action="store_true", help="keep the sizes that the manifest in --out has already")
    ap.add_argument("--keep", action="store_true", help="go on with weights and features found in OUT/FAMILY/.work")
    ap.add_argument("--head-images", type=int, default=transfer.HEAD_IMAGES, metavar="N",
                    help="pictures that EfficientNet's head is trained on, equally many a class (default %(default)s)")
    ap.add_argument("--pictures", type=int, default=transfer.EVALUATED, metavar="N",
                    help="pictures in EfficientNet's evaluation sets, equally many a class (default %(default)s)")
    ap.add_argument("family", nargs="*", help=f"only these of {', '.join(networks.SIZES)}")
    asked = ap.parse_args(given)
    if unknown := set(asked.family) - networks.SIZES.keys():
        ap.error(f"{', '.join(sorted(unknown))}: known here are {', '.join(networks.SIZES)}")
    asked.family = asked.family or list(networks.SIZES)
    known = [size.name for name in asked.family for size in networks.SIZES[name]]
    if unknown := set(asked.size) - set(known):
        ap.error(f"--size {', '.join(sorted(unknown))}: known here are {', '.join(known)}")
    classes = networks.TINY_IMAGENET_CLASSES
    for option in ("head_images", "pictures"):
        if (count := getattr(asked, option)) < classes or count % classes:
            ap.error(f"--{option.replace('_', '-')} {count}: give a multiple of {classes}, equally many of every class")
    return asked


def main(given=None):
    asked = arguments(given)
    before = {name: family.present(asked.out / name) if asked.add else {} for name in asked.family}
    chosen = {}
    for name in asked.family:
        wanted = [size for size in networks.SIZES[name] if not asked.size or size.name in asked.size]
        if wanted:
            chosen[name] = [size for size in networks.SIZES[name] if size in wanted or size.name in before[name]]
    command = "python models/study/recipe/make.py --out FOLDER"
    try:
        if asked.published:
            sources = published.Folder(asked.published)
            # Whatever is missing shall be told before any training.
            sources.fetch([source for name, sizes in chosen.items() for source in TRAINED[name].sources(sizes)])
        for name, sizes in chosen.items():
            folder = asked.out / name
            if asked.published:
                kind = TRAINED[name](sources, folder / ".work", sizes, asked)
                make(folder, kind, sizes, before[name], f"{command} --published SOURCES {kind.options}{name}")
            else:
                make(folder, seeded.Seeded(name), sizes, before[name], f"{command} {name}")
    except published.Wrong as wrong:
        print(wrong, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
