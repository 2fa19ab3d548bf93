"""Compare `detection.quality` with pycocotools on random boxes, and write the cases that runner/core is tested with.

    python test_detection.py [path/to/runner/core/tests/coco.txt]

A line of that file is `picture`, `found CLASS SCORE L T R B`, `label CLASS L T R B` (in 1/65535), or at the end
`expected MAP50 MAP50_95`: what pycocotools says.
"""

import contextlib
import io
import sys

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import detection

CLASSES = 3


def pictures(rng, count):
    """Random labels, and reports of them that are more or less off, doubled, missing or of another class."""
    found, slots = [], []
    for _ in range(count):
        rows = np.full((4, 6), 65535, np.uint16)
        boxes = []
        for row in rows[: rng.integers(0, 5)]:
            size, at = rng.uniform(0.1, 0.5, 2), rng.uniform(0, 0.5, 2)
            corners = np.array([*at, *(at + size)])
            row[:] = [rng.integers(CLASSES), *np.round(corners * 65535), 0]
            for _ in range(rng.integers(0, 3)):
                moved = np.clip(corners + rng.normal(0, 0.03, 4), 0, 1).astype(np.float32)
                moved[2:] = np.maximum(moved[:2], moved[2:])
                group = int(row[0]) if rng.random() < 0.8 else int(rng.integers(CLASSES))
                boxes.append((group, np.float32(rng.integers(5, 100) / 100), moved))
        found.append(sorted(boxes, key=lambda b: -b[1]))
        slots.append(rows)
    return found, slots


def coco(found, labelled):
    """pycocotools' two means."""
    sized = lambda c: [float(c[0]), float(c[1]), float(c[2]) - float(c[0]), float(c[3]) - float(c[1])]
    truth, reports = [], []
    for picture, boxes in enumerate(labelled):
        for group, corners in boxes:
            box = sized(corners)
            truth.append({"id": len(truth) + 1, "image_id": picture, "category_id": group, "bbox": box,
                          "area": box[2] * box[3], "iscrowd": 0})
    for picture, boxes in enumerate(found):
        reports += [{"image_id": picture, "category_id": g, "bbox": sized(c), "score": float(s)} for g, s, c in boxes]
    with contextlib.redirect_stdout(io.StringIO()):
        source = COCO()
        source.dataset = {"info": {}, "images": [{"id": n} for n in range(len(found))], "annotations": truth,
                          "categories": [{"id": n} for n in sorted({t["category_id"] for t in truth})]}
        source.createIndex()
        evaluation = COCOeval(source, source.loadRes(reports), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[1], evaluation.stats[0]


def main():
    for seed in range(50):
        found, slots = pictures(np.random.default_rng(seed), 30)
        labelled = [detection.labels(rows) for rows in slots]
        ours, theirs = detection.quality(found, labelled, CLASSES), coco(found, labelled)
        assert np.allclose([ours["map50"], ours["map50_95"]], theirs, rtol=0, atol=1e-12), (seed, ours, theirs)
    print("equal to pycocotools in 50 random cases")
    if len(sys.argv) == 2:
        found, slots = pictures(np.random.default_rng(7), 40)
        with open(sys.argv[1], "w") as out:
            for boxes, rows in zip(found, slots):
                print("picture", file=out)
                for group, score, corners in boxes:
                    print("found", group, score, *corners, file=out)
                for row in rows[rows[:, 0] != 65535]:
                    print("label", *row[:5], file=out)
            print("expected", *(repr(float(v)) for v in coco(found, [detection.labels(r) for r in slots])), file=out)


if __name__ == "__main__":
    main()
