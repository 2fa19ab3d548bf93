"""Operators that fold many elements into one: pools, reductions, softmax, norms."""
import numpy as np

from case import Operator, Tensor
from draw import ACTIVATIONS, dims, ints, output, pick, real_spread, scale_for, tensor
from linear import SAME, VALID

ALL = ("int8", "uint8", "int16", "float32")


def pool(op, types):
    def generate(rng):
        dtype = pick(rng, *types)
        size, kernel, stride = rng.integers(1, 9, 2), rng.integers(1, 5, 2), rng.integers(1, 4, 2)
        padding = pick(rng, SAME, VALID)
        if padding == VALID:
            size = np.maximum(size, kernel)
        if rng.random() < 0.2:
            kernel, padding = size, VALID  # global
        x = tensor(rng, dtype, (int(rng.integers(1, 3)), *size, pick(rng, 1, 3, 8, 17, 32)))
        return Operator(op, [x], [output(rng, dtype, like=x)], "Pool2DOptions", dict(
            padding=padding, strideH=int(stride[0]), strideW=int(stride[1]),
            filterHeight=int(kernel[0]), filterWidth=int(kernel[1]),
            fusedActivationFunction=pick(rng, *ACTIVATIONS)), version=1 if op == "L2_POOL_2D" else 3)
    return generate


def reduction(op, types, same=False):
    def generate(rng):
        dtype = pick(rng, *types)
        rank = int(rng.integers(1, 5))
        shape = dims(rng, rank, 6)
        axes = rng.choice(rank, int(rng.integers(1, rank + 1)), replace=False)
        if rank == 4 and rng.random() < 0.5:
            axes = np.array([1, 2])
        axes = [int(a) - (rank if rng.random() < 0.3 else 0) for a in axes]
        x = tensor(rng, dtype, shape)
        if op == "REDUCE_PROD" and dtype in ("int32", "int64"):
            x.data = x.data % 3
        if same or rng.random() < 0.2:
            y = output(rng, dtype, like=x)
        else:
            count = np.prod([shape[a] for a in axes])
            spread = real_spread(x) * (np.sqrt(count) if op == "SUM" else 1)
            y = output(rng, dtype, scale=scale_for(rng, dtype, spread))
        return Operator(op, [x, ints(axes)], [y], "ReducerOptions", dict(keepDims=bool(rng.integers(2))), version=2)
    return generate


def softmax(rng):
    a, b = pick(rng, ("int8", "int8"), ("int8", "int8"), ("uint8", "uint8"), ("int8", "int16"), ("int16", "int16"), ("float32", "float32"))
    shape = (*dims(rng, int(rng.integers(0, 4)), 4), pick(rng, 1, 2, 5, 12, 64, 100))
    x = tensor(rng, a, shape)
    fixed = dict(int8=(1 / 256, -128), uint8=(1 / 256, 0), int16=((1 / 65536, -32768) if a == "int8" else (1 / 32768, 0)), float32=None)[b]
    return Operator("SOFTMAX", [x], [output(rng, b, shape, fixed=fixed)], "SoftmaxOptions",
                    dict(beta=float(np.float32(pick(rng, 1.0, 1.0, 0.5, 2.0, 0.1)))), version=3)


def log_softmax(rng):
    dtype = pick(rng, "int8", "uint8", "float32")
    shape = (*dims(rng, int(rng.integers(0, 3)), 4), pick(rng, 2, 5, 12, 64))
    x = tensor(rng, dtype, shape)
    fixed = dict(int8=(16 / 256, 127), uint8=(16 / 256, 255), float32=None)[dtype]
    return Operator("LOG_SOFTMAX", [x], [output(rng, dtype, shape, fixed=fixed)], "LogSoftmaxOptions", version=2)


def arg(op, options):
    def generate(rng):
        dtype = pick(rng, "int8", "uint8", "float32", "int32")
        rank = int(rng.integers(1, 5))
        axis = int(rng.integers(-rank, rank))
        kind = pick(rng, "int32", "int64")
        x = tensor(rng, dtype, dims(rng, rank, 6))
        return Operator(op, [x, ints([axis])], [Tensor(kind, (1,))], options,
                        dict(outputType=dict(int32=2, int64=4)[kind]), version=2)
    return generate


def l2_norm(rng):
    dtype = pick(rng, "int8", "uint8", "float32")
    shape = dims(rng, int(rng.integers(2, 5)), 8)
    x = tensor(rng, dtype, shape)
    fixed = dict(int8=(1 / 128, 0), uint8=(1 / 128, 128), float32=None)[dtype]
    return Operator("L2_NORMALIZATION", [x], [output(rng, dtype, shape, fixed=fixed)], "L2NormOptions", version=2)


def cumsum(rng):
    dtype = pick(rng, "float32", "int32", "int64")
    rank = int(rng.integers(1, 5))
    return Operator("CUMSUM", [tensor(rng, dtype, dims(rng, rank, 5)), ints(int(rng.integers(rank)), shape=())],
                    [Tensor(dtype, (1,))], "CumsumOptions", dict(exclusive=bool(rng.integers(2)), reverse=bool(rng.integers(2))))


GENERATORS = dict(
    average_pool=pool("AVERAGE_POOL_2D", ALL + ("int8",)), max_pool=pool("MAX_POOL_2D", ALL + ("int8",)),
    l2_pool=pool("L2_POOL_2D", ("float32",)),
    mean=reduction("MEAN", ALL + ("int8", "int32", "int64")),
    # Of int8 and int16 the reference leaves the output unwritten.
    sum=reduction("SUM", ("uint8", "float32", "int32")),
    reduce_max=reduction("REDUCE_MAX", ALL + ("int32",), same=True),
    reduce_min=reduction("REDUCE_MIN", ALL + ("int32",), same=True),
    reduce_prod=reduction("REDUCE_PROD", ("float32", "int32")),
    softmax=softmax, log_softmax=log_softmax, l2_normalization=l2_norm, cumsum=cumsum,
    arg_max=arg("ARG_MAX", "ArgMaxOptions"), arg_min=arg("ARG_MIN", "ArgMinOptions"),
)
