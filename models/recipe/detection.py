"""What a grid head's outputs mean, and mean average precision: the twins of runner/core's `detection` and
`average_precision`, in the same f32 and f64 steps."""

import numpy as np

LEAST_SCORE = np.float32(0.05)
MOST_OVERLAP = 0.5
MOST_BOXES = 16
COUNTED_SCORE = 0.5
THRESHOLDS = np.minimum(0.5 + np.arange(10) * 0.05, 1 - 1e-10)


def overlap(a, b):
    """Intersection over union of two boxes (left, top, right, bottom), in f64."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    left, top, right, bottom = *np.maximum(a[:2], b[:2]), *np.minimum(a[2:], b[2:])
    if left >= right or top >= bottom:
        return 0.0
    area = lambda c: (c[2] - c[0]) * (c[3] - c[1])
    common = (right - left) * (bottom - top)
    return common / (area(a) + area(b) - common)


def decode(outputs, classes):
    """Boxes of one picture, best score first: list of (class, score, [left, top, right, bottom])."""
    each = 5 + classes
    cells = outputs.reshape(-1, each).astype(np.float32)
    side = round(len(cells) ** 0.5)
    candidates = []
    for n, (presence, x, y, width, height, *scores) in enumerate(cells):
        group = int(np.argmax(scores))
        score = presence * scores[group]
        if score < LEAST_SCORE:
            continue
        x = (np.float32(n % side) + x) / np.float32(side)
        y = (np.float32(n // side) + y) / np.float32(side)
        half = np.float32(2)
        edges = np.array([x - width / half, y - height / half, x + width / half, y + height / half], np.float32)
        candidates.append((group, score, np.clip(edges, 0, 1)))
    kept = []
    while candidates and len(kept) < MOST_BOXES:
        best = max(candidates, key=lambda c: c[1])  # of equals the first
        candidates = [
            c for c in candidates if c is not best and (c[0] != best[0] or overlap(best[2], c[2]) <= MOST_OVERLAP)
        ]
        kept.append(best)
    return kept


def labels(slots):
    """Labelled boxes of one picture from its slots, see runner/wire/src/container.rs: list of (class, corners)."""
    return [(int(row[0]), row[1:5].astype(np.float64) / 65535) for row in slots if row[0] != 65535]


def matches(found, labelled):
    """For each box whether it is right at each threshold, as pycocotools matches them."""
    taken = np.zeros((len(THRESHOLDS), len(labelled)), bool)
    right = np.zeros((len(found), len(THRESHOLDS)), bool)
    for i, (group, _, corners) in enumerate(found):
        overlaps = [overlap(corners, where) if of == group else -1.0 for of, where in labelled]
        for t, least in enumerate(THRESHOLDS):
            best, partner = least, None
            for n, value in enumerate(overlaps):
                if not taken[t, n] and value >= best:
                    best, partner = value, n
            if partner is not None:
                taken[t, partner] = right[i, t] = True
    return right


def quality(found, labelled, classes):
    """Metrics over pictures: `found` as decode gives them, `labelled` as labels gives them, a list a picture."""
    groups = np.array([g for boxes in found for g, _, _ in boxes], int)
    scores = np.array([s for boxes in found for _, s, _ in boxes])
    right = np.concatenate([matches(*pair) for pair in zip(found, labelled, strict=True)]) if len(groups) else None
    there = np.bincount([g for boxes in labelled for g, _ in boxes], minlength=classes)
    table = []
    for group in np.flatnonzero(there):
        own = np.flatnonzero(groups == group)
        own = own[np.argsort(-scores[own], kind="stable")]
        for t in range(len(THRESHOLDS)):
            hits = np.cumsum(right[own, t]) if len(own) else np.zeros(0)
            best = np.maximum.accumulate((hits / np.arange(1, len(own) + 1))[::-1])[::-1]
            at = np.searchsorted(hits / there[group], np.linspace(0, 1, 101), side="left")
            table.append(np.append(best, 0.0)[at].mean())
    table = np.array(table).reshape(-1, len(THRESHOLDS))
    counted = scores >= COUNTED_SCORE
    hits = float(right[counted, 0].sum()) if len(groups) else 0.0
    return {
        "map50": float(table[:, 0].mean()),
        "map50_95": float(table.mean()),
        "precision": hits / max(1, int(counted.sum())),
        "recall": hits / int(there.sum()),
    }
