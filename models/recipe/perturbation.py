"""How far a model's answers move when the floats in its file change in their last places.

A dynamic-range layer rounds its activations to steps. Where one lies next to a tie, the last place of a float decides
between two steps, and implementations that sum in different orders decide differently. The reference kernels are
deterministic: what they make of such a change is the model's own sensitivity, and no implementation can be held to less.
"""

import numpy as np

import reference

# Changed copies of a model, and how many times the greatest deviation among them is allowed. A deviation drawn as theirs
# are exceeds the greatest of 16 in one file of 17.
COPIES, MARGIN = 16, 2
# By how many of its last places a float is changed at most: sums of hundreds of products, taken in another order, differ
# by as much.
PLACES = 8
# What plain float arithmetic may differ by, as a share of the greatest output.
FLOOR = 1e-4
# Bytes of the shortest constants that are changed: shorter ones may occur in a file by chance.
SHORTEST = 64
SEED = 16


def constants(content):
    """Where the file has the bytes of float tensors that no operator writes: (offset, bytes)."""
    interpreter = reference.Model(content).interpreter
    found = []
    for detail in interpreter.get_tensor_details():
        if detail["dtype"] != np.float32:
            continue
        try:
            raw = interpreter.get_tensor(detail["index"]).tobytes()
        except ValueError:  # nothing is there yet: an operator writes it
            continue
        if len(raw) >= SHORTEST and (at := content.find(raw)) >= 0:
            found.append((at, len(raw)))
    return found


def changed(content, spots, rng):
    """The file with every float at `spots` but zeros moved by up to PLACES of its last places."""
    copy = bytearray(content)
    for at, count in spots:
        # Read as integers, the neighbours of a float are the integers beside it.
        places = np.frombuffer(content[at : at + count], np.int32)
        moved = places + rng.integers(-PLACES, PLACES, places.shape, np.int32, endpoint=True)
        copy[at : at + count] = np.where(places & 0x7FFFFFFF == 0, places, moved).tobytes()
    return bytes(copy)


def deviations(content, vectors):
    """The greatest deviation among all outputs of each changed copy, from small to great."""
    rng, spots = np.random.default_rng(SEED), constants(content)
    assert spots, "the file has no float constant to change"
    found = []
    for _ in range(COPIES):
        model = reference.Model(changed(content, spots, rng))
        found.append(max(
            float(np.abs(moved.astype(np.float64) - due).max())
            for tensors, outputs in vectors
            for moved, due in zip(model.run(tensors), outputs, strict=True)
        ))
    return sorted(found)


def tolerance(content, vectors):
    """The tolerance of golden vectors (input and output tensors) that follows, as a manifest states it."""
    greatest = max(float(np.abs(output).max()) for _, outputs in vectors for output in outputs)
    allowed = max(MARGIN * deviations(content, vectors)[-1], FLOOR * greatest)
    return {"absolute": float(f"{allowed:.3g}"), "relative": 0.0}
