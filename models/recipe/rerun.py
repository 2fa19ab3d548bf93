"""Lay a family that its recipe made anew beside the committed one: the same data, and the same quality within MARGIN.

    cp -r models /tmp/again && python /tmp/again/diamonds-mlp/recipe/make.py
    python models/recipe/rerun.py models/diamonds-mlp /tmp/again/diamonds-mlp

Training sums floats in the order that processor and library choose, so that weights are the same to the bit only on
machines that choose alike.
"""

import pathlib
import sys
import tomllib

# What the ranking metric of a variant may differ by. For comparison: half a 95 % interval of it on the evaluation set is
# some 0.02 (top1), 0.04 (map50) and 0.004 (r2).
MARGIN = {"top1": 0.02, "map50": 0.03, "r2": 0.001}


def artefacts(manifest):
    """Hash of every data file and attachment by its name."""
    entries = [entry["artefact"] for kind in ("dataset", "attachment") for entry in manifest.get(kind, [])]
    return {entry["file"]: entry["sha256"] for entry in entries}


def builds(manifest):
    """Every precision of every variant: its name and its table."""
    for variant in manifest["variant"]:
        for precision in ("float32", "int8", "dynamic"):
            if precision in variant:
                yield f"{variant['name']} {precision}", variant[precision]


def compare(committed, again):
    """Differences of the metric by build, how many models are the same file, and sentences of what is wrong."""
    if committed["name"] != again["name"]:
        return {}, 0, [f"{again['name']} is another family than {committed['name']}"]
    metric = committed["quality"]["metric"]
    wrong = [f"{name} has other bytes" for name, digest in artefacts(committed).items() if artefacts(again).get(name) != digest]
    now, off, same = dict(builds(again)), {}, 0
    wrong += [f"{name} is made by the recipe, and not committed" for name in now.keys() - dict(builds(committed)).keys()]
    for name, was in builds(committed):
        if name not in now:
            wrong.append(f"{name} was not made again")
            continue
        same += was["model"]["sha256"] == now[name]["model"]["sha256"]
        off[name] = abs(was["quality"][metric] - now[name]["quality"][metric])
        if not off[name] <= MARGIN[metric]:
            wrong.append(f"{name}: {metric} was {was['quality'][metric]} and is {now[name]['quality'][metric]}")
    return off, same, wrong


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    paths = [pathlib.Path(folder) / "family.toml" for folder in sys.argv[1:]]
    if absent := [path for path in paths if not path.is_file()]:
        sys.exit(f"{absent[0]} is not there: name the folders of two families")
    committed, again = (tomllib.loads(path.read_text()) for path in paths)
    off, same, wrong = compare(committed, again)
    for sentence in wrong:
        print(f"WRONG {sentence}")
    metric = committed["quality"]["metric"]
    print(
        f"{len(artefacts(committed))} data files compared, {same} of {len(off)} models the same to the bit, "
        f"{metric} off by at most {max(off.values(), default=float('nan')):.6f}, allowed is {MARGIN[metric]}"
    )
    sys.exit(bool(wrong))


main()
