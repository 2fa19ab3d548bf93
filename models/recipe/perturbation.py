"""How far a model's answers move when the floats in its file change in their last places.

A dynamic-range layer rounds its activations to steps. Where one lies next to a tie, the last place of a float decides
between two steps, and implementations that sum in different orders decide differently. The reference kernels are
deterministic: what they make of such a change is the model's own sensitivity, and no implementation can be held to less.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

import reference

# Changed copies of a model, and how many times the greatest deviation among them is allowed. A deviation drawn as theirs
# are exceeds the greatest of 16 in one file of 17.
COPIES, MARGIN = 16, 2
# By how many of its last places a float is changed at most: sums of hundreds of products, taken in another order, differ
# by as much.
PLACES = 8
# What plain float arithmetic may differ by, as a share of the greatest output.
FLOOR = 1e-4
SEED = 16


def changed(content, rng):
    """The file with every float constant but zeros moved by up to PLACES of its last places."""
    copy = bytearray(content)
    model = schema.Model.GetRootAs(copy, 0)
    graphs = [model.Subgraphs(at) for at in range(model.SubgraphsLength())]
    tensors = [graph.Tensors(at) for graph in graphs for at in range(graph.TensorsLength())]
    buffers = {tensor.Buffer() for tensor in tensors if tensor.Type() == schema.TensorType.FLOAT32}
    for buffer in sorted(buffers):
        if model.Buffers(buffer).DataLength() == 0:
            continue  # written by an operator
        # Read as integers, the neighbours of a float are the integers beside it. This is a view of the copy.
        places = model.Buffers(buffer).DataAsNumpy().view("<i4")
        moved = places + rng.integers(-PLACES, PLACES, places.shape, np.int32, endpoint=True)
        places[:] = np.where(places & 0x7FFFFFFF == 0, places, moved)
    assert copy != content, "the file has no float constant to change"
    return bytes(copy)


def deviations(content, vectors):
    """The greatest deviation among all outputs of each changed copy, from small to great."""
    rng, found = np.random.default_rng(SEED), []
    for _ in range(COPIES):
        model = reference.Model(changed(content, rng))
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
