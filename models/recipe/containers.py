"""Datasets (.sbds) and golden vectors (.sbgv): layout in runner/wire/src/container.rs, which is the authority."""

import struct

import numpy as np

DTYPES = {"uint8": 1, "int8": 2, "int16": 3, "int32": 4, "float32": 5}
NAMES = {code: name for name, code in DTYPES.items()}


def pad(data):
    return data + bytes(-len(data) % 4)


def write_dataset(inputs, *, classes=None, boxes=None, values=None, output=(1.0, 0.0)):
    """inputs: list of (array [samples, elements] in a stored dtype, scale, offset).

    Labels: `classes` (labels, number), `boxes` (slots [samples, slots, 6], number of classes), `values`, or none.
    """
    samples = len(inputs[0][0])
    if classes is not None:
        labels, names = classes
        kind, count, each, stored = 1, names, 1, labels.astype("<u2")
        assert stored.max() < names
    elif boxes is not None:
        slots, names = boxes
        kind, count, each, stored = 3, names, slots.shape[1], slots.astype("<u2")
    elif values is not None:
        kind, count, each, stored = 2, 0, values.shape[1], values.astype("<f4")
    else:
        kind, count, each, stored = 0, 0, 0, np.zeros(0, "<u2")
    out = struct.pack("<4sHBBIIIffI", b"SBDS", 1, len(inputs), kind, samples, count, each, *output, 0)
    for data, scale, offset in inputs:
        out += struct.pack("<BxxxIff", DTYPES[data.dtype.name], data[0].size, scale, offset)
    for data, _, _ in inputs:
        assert len(data) == samples
        out += pad(data.astype(data.dtype.newbyteorder("<")).tobytes())
    return out + pad(stored.tobytes())


def read_dataset(raw):
    """What write_dataset took: inputs as [(stored, scale, offset)], labels, output map, class count."""
    magic, version, count, kind, samples, classes, each, scale, offset, _ = struct.unpack_from("<4sHBBIIIffI", raw)
    assert magic == b"SBDS" and version == 1
    specs = [struct.unpack_from("<BxxxIff", raw, 32 + 16 * i) for i in range(count)]
    at, inputs = 32 + 16 * count, []
    for code, elements, s, o in specs:
        data = np.frombuffer(raw, np.dtype(NAMES[code]).newbyteorder("<"), samples * elements, at)
        inputs.append((data.reshape(samples, elements), np.float32(s), np.float32(o)))
        at += len(pad(data.tobytes()))
    if kind == 1:
        labels = np.frombuffer(raw, "<u2", samples, at)
    elif kind == 3:
        labels = np.frombuffer(raw, "<u2", samples * each * 6, at).reshape(samples, each, 6)
    else:
        labels = np.frombuffer(raw, "<f4", samples * each, at).reshape(samples, each)
    return inputs, labels, (scale, offset), classes


def write_golden(vectors):
    """vectors: list of (list of input arrays, list of output arrays), all alike."""
    first_in, first_out = vectors[0]
    out = struct.pack("<4sHBBII", b"SBGV", 1, len(first_in), len(first_out), len(vectors), 0)
    for tensor in first_in + first_out:
        out += struct.pack("<BxxxI", DTYPES[tensor.dtype.name], tensor.nbytes)
    for ins, outs in vectors:
        for tensor in ins + outs:
            out += pad(tensor.astype(tensor.dtype.newbyteorder("<")).tobytes())
    return out


def read_golden(raw):
    """The vectors as flat arrays: list of (inputs, outputs)."""
    magic, version, ins, outs, vectors, _ = struct.unpack_from("<4sHBBII", raw)
    assert magic == b"SBGV" and version == 1
    specs = [struct.unpack_from("<BxxxI", raw, 16 + 8 * i) for i in range(ins + outs)]
    at, found = 16 + 8 * len(specs), []
    for _ in range(vectors):
        tensors = []
        for code, size in specs:
            tensors.append(np.frombuffer(raw, np.dtype(NAMES[code]).newbyteorder("<"), offset=at,
                                         count=size // np.dtype(NAMES[code]).itemsize))
            at += size + -size % 4
        found.append((tensors[:ins], tensors[ins:]))
    assert at == len(raw)
    return found
