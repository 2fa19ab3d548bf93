"""Operators that only move data (resize and concatenation of unlike scales also compute)."""
import numpy as np

from case import Operator, Tensor
from draw import dims, ints, output, pick, tensor

ANY = ("int8", "uint8", "int16", "float32", "int32", "int64")


def some(rng, *extra):
    return pick(rng, *ANY, "int8", *extra)


def made(rng, dtype, x, op, inputs, options="", values=None, version=2):
    return Operator(op, inputs, [output(rng, dtype, like=x)], options, values or {}, version)


def pad(op, options):
    def generate(rng):
        dtype = some(rng)
        rank = int(rng.integers(1, 5))
        x = tensor(rng, dtype, dims(rng, rank, 5))
        amounts = rng.integers(0, 3, (rank, 2))
        inputs = [x, ints(amounts, pick(rng, "int32", "int64"))]
        if op == "PADV2":
            inputs.append(tensor(rng, dtype, (1,), constant=True, like=x))
        return made(rng, dtype, x, op, inputs, options)
    return generate


def mirror_pad(rng):
    dtype = pick(rng, "int8", "uint8", "int16", "float32", "int32")
    rank, mode = int(rng.integers(1, 5)), pick(rng, 0, 1)
    shape = tuple(n + 1 for n in dims(rng, rank, 4))
    amounts = [[int(rng.integers(0, n + mode)) for _ in range(2)] for n in shape]
    x = tensor(rng, dtype, shape)
    return made(rng, dtype, x, "MIRROR_PAD", [x, ints(amounts)], "MirrorPadOptions", dict(mode=mode))


def concatenation(rng):
    dtype = some(rng)
    rank = int(rng.integers(1, 5))
    shape, axis = list(dims(rng, rank, 5)), int(rng.integers(rank))
    first = tensor(rng, dtype, shape)
    same = dtype in ("int8", "int16") or rng.random() < 0.4
    parts = [first]
    for _ in range(int(rng.integers(0, 4))):
        part = list(shape)
        part[axis] = int(rng.integers(1, 5))
        parts.append(tensor(rng, dtype, part, like=first if same else None, constant=rng.random() < 0.1))
    return Operator("CONCATENATION", parts, [output(rng, dtype, like=first if same else None)], "ConcatenationOptions",
                    dict(axis=axis - (rank if rng.random() < 0.3 else 0), fusedActivationFunction=0), version=2)


def slice_(rng):
    dtype, rank = some(rng), int(rng.integers(1, 6))
    shape = dims(rng, rank, 6)
    begin = [int(rng.integers(n)) for n in shape]
    size = [-1 if rng.random() < 0.2 else int(rng.integers(1, n - b + 1)) for n, b in zip(shape, begin)]
    x, kind = tensor(rng, dtype, shape), pick(rng, "int32", "int64")
    case = made(rng, dtype, x, "SLICE", [x, ints(begin, kind), ints(size, kind)], "SliceOptions")
    case.outputs[0].shape = [n - b if s < 0 else s for n, b, s in zip(shape, begin, size)]
    return case


def strided_slice(rng):
    dtype, rank = some(rng, "bool"), int(rng.integers(1, 5))
    shape = dims(rng, rank, 7)
    begin, end, step = [], [], []
    for n in shape:
        s = int(rng.choice([1, 1, 2, 3, -1, -2]))
        low = int(rng.integers(0, n)); high = int(rng.integers(low, n)) + 1
        b, e = (low, high) if s > 0 else (high - 1, low - 1)
        begin.append(b - n if rng.random() < 0.3 else b)
        end.append(-n - 1 if e < 0 else e - n if rng.random() < 0.3 and e < n else e)
        step.append(s)
    mask = lambda p: int(sum(1 << i for i in range(rank) if rng.random() < p))
    shrink = mask(0.15)
    for i in range(rank):
        if shrink >> i & 1:
            step[i] = 1
    x = tensor(rng, dtype, shape)
    return made(rng, dtype, x, "STRIDED_SLICE", [x, ints(begin), ints(end), ints(step)], "StridedSliceOptions",
                dict(beginMask=mask(0.2), endMask=mask(0.2), shrinkAxisMask=shrink, ellipsisMask=0, newAxisMask=0))


def split(rng):
    dtype, rank = pick(rng, "int8", "uint8", "int16", "float32", "int32"), int(rng.integers(1, 5))
    axis, count = int(rng.integers(rank)), int(rng.integers(1, 4))
    shape = list(dims(rng, rank, 4)); shape[axis] *= count
    x = tensor(rng, dtype, shape)
    return Operator("SPLIT", [ints(axis - (rank if rng.random() < 0.3 else 0), shape=()), x],
                    [output(rng, dtype, like=x) for _ in range(count)], "SplitOptions", dict(numSplits=count), 2)


def split_v(rng):
    dtype, rank = pick(rng, "int8", "uint8", "int16", "float32", "int32"), int(rng.integers(1, 5))
    axis, sizes = int(rng.integers(rank)), rng.integers(1, 4, int(rng.integers(1, 4)))
    shape = list(dims(rng, rank, 4)); shape[axis] = int(sizes.sum())
    if rng.random() < 0.3:
        sizes[int(rng.integers(len(sizes)))] = -1
    x = tensor(rng, dtype, shape)
    return Operator("SPLIT_V", [x, ints(sizes), ints(axis, shape=())],
                    [output(rng, dtype, like=x) for _ in sizes], "SplitVOptions", dict(numSplits=len(sizes)), 2)


def pack(rng):
    dtype, rank = some(rng), int(rng.integers(0, 4))
    shape, count = dims(rng, rank, 4), int(rng.integers(1, 4))
    x = tensor(rng, dtype, shape)
    return made(rng, dtype, x, "PACK", [x] + [tensor(rng, dtype, shape, like=x) for _ in range(count - 1)], "PackOptions",
                dict(valuesCount=count, axis=int(rng.integers(-rank - 1, rank + 1))))


def unpack(rng):
    dtype, rank = pick(rng, "int8", "uint8", "int16", "float32", "int32"), int(rng.integers(1, 5))
    shape, axis = dims(rng, rank, 4), int(rng.integers(-rank, rank))
    x = tensor(rng, dtype, shape)
    return Operator("UNPACK", [x], [output(rng, dtype, like=x) for _ in range(shape[axis])], "UnpackOptions",
                    dict(num=shape[axis], axis=axis), 2)


def reshape(rng):
    dtype, shape = some(rng), list(dims(rng, int(rng.integers(1, 5)), 5))
    new = list(shape); rng.shuffle(new)
    if len(new) > 1 and rng.random() < 0.5:
        new = [new[0] * new[1], *new[2:]]
    asked = [int(n) for n in new]
    if rng.random() < 0.4:
        asked[int(rng.integers(len(asked)))] = -1
    x = tensor(rng, dtype, shape)
    return made(rng, dtype, x, "RESHAPE", [x, ints(asked)], "ReshapeOptions", dict(newShape=asked), 1)


def squeeze(rng):
    dtype, shape = some(rng), [1 if rng.random() < 0.5 else int(n) for n in dims(rng, 4, 4)]
    ones = [i for i, n in enumerate(shape) if n == 1]
    chosen = [i for i in ones if rng.random() < 0.6]
    x = tensor(rng, dtype, shape)
    return made(rng, dtype, x, "SQUEEZE", [x], "SqueezeOptions", dict(squeezeDims=chosen), 1)


def expand_dims(rng):
    dtype, rank = some(rng), int(rng.integers(1, 4))
    x = tensor(rng, dtype, dims(rng, rank, 4))
    return made(rng, dtype, x, "EXPAND_DIMS", [x, ints(int(rng.integers(-rank - 1, rank + 1)), shape=())], "ExpandDimsOptions", version=1)


def transpose(rng):
    dtype, rank = some(rng, "bool"), int(rng.integers(1, 6))
    x = tensor(rng, dtype, dims(rng, rank, 5))
    return made(rng, dtype, x, "TRANSPOSE", [x, ints(rng.permutation(rank))], "TransposeOptions")


def resize(op, options):
    def generate(rng):
        dtype = pick(rng, "int8", "int8", "uint8", "int16", "float32")
        x = tensor(rng, dtype, (int(rng.integers(1, 3)), *rng.integers(1, 8, 2), int(rng.integers(1, 5))))
        kind = pick(rng, (False, False), (True, False), (False, True))
        return made(rng, dtype, x, op, [x, ints(rng.integers(1, 15, 2))], options,
                    dict(alignCorners=kind[0], halfPixelCenters=kind[1]), 4)
    return generate


def gather(rng):
    dtype, rank = some(rng, "bool"), int(rng.integers(1, 5))
    shape, batch = dims(rng, rank, 4), 0
    axis = int(rng.integers(rank))
    if axis and rng.random() < 0.3:
        batch = int(rng.integers(0, axis + 1))
    index = (*shape[:batch], *dims(rng, int(rng.integers(0, 3)), 4))
    x = tensor(rng, dtype, shape)
    indices = Tensor(pick(rng, "int32", "int64"), index, data=rng.integers(0, shape[axis], index), constant=rng.random() < 0.5)
    return made(rng, dtype, x, "GATHER", [x, indices], "GatherOptions",
                dict(axis=axis - (rank if rng.random() < 0.2 else 0), batchDims=batch), 4)


def gather_nd(rng):
    dtype, rank = pick(rng, "int8", "uint8", "int16", "float32", "int32", "int64"), int(rng.integers(1, 4))
    shape, depth = dims(rng, rank, 5), int(rng.integers(1, rank + 1))
    lead = dims(rng, int(rng.integers(1, 3)), 4)
    data = np.stack([rng.integers(0, shape[i], lead) for i in range(depth)], -1)
    x = tensor(rng, dtype, shape)
    return made(rng, dtype, x, "GATHER_ND", [x, Tensor("int32", data.shape, data=data)], "GatherNdOptions", version=3)


def embedding(rng):
    dtype = pick(rng, "float32", "int8", "uint8")
    rows = int(rng.integers(1, 9))
    table = tensor(rng, dtype, (rows, *dims(rng, int(rng.integers(1, 3)), 5)), constant=True)
    ids = (int(rng.integers(1, 7)),)
    lookup = Tensor("int32", ids, data=rng.integers(0, rows, ids))
    return made(rng, dtype, table, "EMBEDDING_LOOKUP", [lookup, table], version=1)


def depth_to_space(rng):
    dtype, block = pick(rng, *ANY), int(rng.integers(1, 4))
    b, h, w, c = dims(rng, 4, 4)
    x = tensor(rng, dtype, (b, h, w, c * block * block))
    return made(rng, dtype, x, "DEPTH_TO_SPACE", [x], "DepthToSpaceOptions", dict(blockSize=block), 1)


def space_to_depth(rng):
    dtype, block = pick(rng, *ANY), int(rng.integers(1, 4))
    b, h, w, c = dims(rng, 4, 4)
    x = tensor(rng, dtype, (b, h * block, w * block, c))
    return made(rng, dtype, x, "SPACE_TO_DEPTH", [x], "SpaceToDepthOptions", dict(blockSize=block))


def space_to_batch(rng):
    dtype, spatial = pick(rng, *ANY), int(rng.integers(1, 3))
    block, size = rng.integers(1, 4, spatial), rng.integers(1, 7, spatial)
    before = rng.integers(0, 3, spatial)
    after = (-(size + before)) % block
    x = tensor(rng, dtype, (int(rng.integers(1, 3)), *size, int(rng.integers(1, 4))))
    return made(rng, dtype, x, "SPACE_TO_BATCH_ND", [x, ints(block), ints(np.stack([before, after], 1))], "SpaceToBatchNDOptions", version=3)


def batch_to_space(rng):
    dtype, spatial = pick(rng, *ANY), int(rng.integers(1, 3))
    block, size = rng.integers(1, 4, spatial), rng.integers(1, 5, spatial)
    crops = [[int(rng.integers(0, b)), 0] for b in block]
    x = tensor(rng, dtype, (int(np.prod(block)) * int(rng.integers(1, 3)), *size, int(rng.integers(1, 4))))
    return made(rng, dtype, x, "BATCH_TO_SPACE_ND", [x, ints(block), ints(crops)], "BatchToSpaceNDOptions", version=3)


def tile(rng):
    dtype, rank = pick(rng, "int8", "uint8", "float32", "int32", "int64", "bool"), int(rng.integers(1, 5))
    x = tensor(rng, dtype, dims(rng, rank, 4))
    return made(rng, dtype, x, "TILE", [x, ints(rng.integers(1, 4, rank))], "TileOptions", version=2)


def broadcast_to(rng):
    dtype, rank = pick(rng, *ANY), int(rng.integers(1, 5))
    shape = dims(rng, rank, 4)
    x = tensor(rng, dtype, [1 if rng.random() < 0.5 else n for n in shape][int(rng.integers(rank)):])
    return made(rng, dtype, x, "BROADCAST_TO", [x, ints(shape)], "BroadcastToOptions", version=3)


def reverse(rng):
    dtype, rank = pick(rng, "int8", "uint8", "int16", "float32", "int32", "int64"), int(rng.integers(1, 5))
    x = tensor(rng, dtype, dims(rng, rank, 4))
    return made(rng, dtype, x, "REVERSE_V2", [x, ints([int(rng.integers(rank))])], "ReverseV2Options", version=3)


def shape(rng):
    kind = pick(rng, "int32", "int64")
    return Operator("SHAPE", [tensor(rng, some(rng), dims(rng, int(rng.integers(1, 5)), 6))], [Tensor(kind, (1,))],
                    "ShapeOptions", dict(outType=dict(int32=2, int64=4)[kind]))


def fill(rng):
    dtype = pick(rng, "int8", "int16", "float32", "int32", "int64", "bool")
    value = tensor(rng, dtype, ())
    return made(rng, dtype, value, "FILL", [ints(dims(rng, int(rng.integers(1, 4)), 5)), value], "FillOptions", version=3)


def one_hot(rng):
    dtype, rank = pick(rng, "float32", "int8", "int32"), int(rng.integers(1, 4))
    lead, depth = dims(rng, rank, 4), int(rng.integers(1, 7))
    indices = Tensor(pick(rng, "int32", "int64"), lead, data=rng.integers(-1, depth + 1, lead))
    scalar = lambda v: Tensor(dtype, (), data=np.asarray(v), constant=True)
    return Operator("ONE_HOT", [indices, ints(depth, shape=()), scalar(1), scalar(0)], [Tensor(dtype, (1,))],
                    "OneHotOptions", dict(axis=int(rng.integers(-1, rank + 1))))


GENERATORS = dict(
    pad=pad("PAD", "PadOptions"), padv2=pad("PADV2", "PadV2Options"), mirror_pad=mirror_pad,
    concatenation=concatenation, slice=slice_, strided_slice=strided_slice, split=split, split_v=split_v,
    pack=pack, unpack=unpack, reshape=reshape, squeeze=squeeze, expand_dims=expand_dims, transpose=transpose,
    resize_nearest=resize("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions"),
    resize_bilinear=resize("RESIZE_BILINEAR", "ResizeBilinearOptions"),
    gather=gather, gather_nd=gather_nd, embedding_lookup=embedding, depth_to_space=depth_to_space,
    space_to_depth=space_to_depth, space_to_batch=space_to_batch, batch_to_space=batch_to_space,
    tile=tile, broadcast_to=broadcast_to, reverse=reverse, shape=shape, fill=fill, one_hot=one_hot,
)
