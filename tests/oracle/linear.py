"""Operators with weights: convolutions, fully connected, batch matmul."""
import numpy as np

from case import Operator, Tensor
from draw import ACTIVATIONS, contents, dims, output, pick, scale_for, scale_of, tensor

SAME, VALID = 0, 1


def weights(rng, dtype, shape, channels, axis):
    """int8: symmetric, per channel of `axis` or per tensor; uint8: with a zero point."""
    if dtype == "float32":
        return tensor(rng, dtype, shape, constant=True, spread=1)
    if dtype == "uint8":
        return tensor(rng, dtype, shape, constant=True, scale=scale_of(rng, 1e-3, 2e-2))
    data = np.clip(contents(rng, "int8", shape), -127, 127).astype(np.int8)
    count = channels if rng.random() < 0.7 else 1
    scales = [scale_of(rng, 1e-3, 2e-2) for _ in range(count)]
    if rng.random() < 0.05:
        scales[0] = 1e-9  # a channel whose multiplier underflows
    return Tensor("int8", tuple(shape), [float(np.float32(s)) for s in scales], [0] * count,
                  axis if count > 1 else 0, data, True)


def bias(rng, x, w, channels, always=False):
    """A list of none or one: convolutions leave the input out."""
    if not always and rng.random() < 0.2:
        return []
    if x.dtype == "float32":
        return [tensor(rng, "float32", (channels,), constant=True)]
    dtype = "int64" if x.dtype == "int16" else "int32"
    top = 20000 if x.dtype == "int16" else 4000
    scales = [float(np.float32(x.scale[0] * s)) for s in w.scale]
    return [Tensor(dtype, (channels,), scales, [0] * len(scales), 0, rng.integers(-top, top + 1, channels), True)]


def linear_output(rng, x, w, depth):
    if x.dtype == "float32":
        return output(rng, "float32")
    spread = x.scale[0] * float(np.mean(w.scale)) * np.sqrt(depth) * 75 * (75 if x.dtype != "int16" else 19000) * 2
    return output(rng, x.dtype, scale=scale_for(rng, x.dtype, float(spread)))


def types(rng):
    """Activations and weights; the last pair is the dynamic-range scheme."""
    return pick(rng, ("int8", "int8"), ("int8", "int8"), ("uint8", "uint8"), ("int16", "int8"),
                ("float32", "float32"), ("float32", "int8"))


def window(rng, most=4):
    """Kernel, stride, dilation (stride or dilation, seldom both), input big enough for VALID."""
    kernel = rng.integers(1, most + 1, 2)
    stride, dilation = np.ones(2, int), np.ones(2, int)
    if rng.random() < 0.5:
        stride = rng.integers(1, 4, 2)
    if rng.random() < 0.3:
        dilation = rng.integers(1, 4, 2)
    size = (kernel - 1) * dilation + 1 + rng.integers(0, 7, 2)
    return kernel, stride, dilation, size


def conv(rng):
    a, b = types(rng)  # the reference demands a bias here
    kernel, stride, dilation, size = window(rng)
    groups = 2 if a != "uint8" and (a, b) != ("float32", "int8") and rng.random() < 0.1 else 1
    cin, cout = int(rng.integers(1, 9)), groups * int(rng.integers(1, 6))
    x = tensor(rng, a, (int(rng.integers(1, 3)), *size, cin * groups))
    w = weights(rng, b, (cout, *kernel, cin), cout, 0)
    y = linear_output(rng, x, w, cin * kernel[0] * kernel[1])
    return Operator("CONV_2D", [x, w, *bias(rng, x, w, cout, always=True)], [y], "Conv2DOptions", dict(
        padding=pick(rng, SAME, VALID), strideH=int(stride[0]), strideW=int(stride[1]),
        dilationHFactor=int(dilation[0]), dilationWFactor=int(dilation[1]),
        fusedActivationFunction=pick(rng, *ACTIVATIONS)), version=5)


def depthwise(rng):
    a, b = types(rng)
    kernel, stride, dilation, size = window(rng)
    multiplier = pick(rng, 1, 1, 1, 2, 3)
    cin = pick(rng, 1, 2, 3, 5, 8, 16, 17, 33)
    x = tensor(rng, a, (int(rng.integers(1, 3)), *size, cin))
    w = weights(rng, b, (1, *kernel, cin * multiplier), cin * multiplier, 3)
    y = linear_output(rng, x, w, kernel[0] * kernel[1])
    return Operator("DEPTHWISE_CONV_2D", [x, w, *bias(rng, x, w, cin * multiplier)], [y], "DepthwiseConv2DOptions", dict(
        padding=pick(rng, SAME, VALID), strideH=int(stride[0]), strideW=int(stride[1]),
        dilationHFactor=int(dilation[0]), dilationWFactor=int(dilation[1]), depthMultiplier=multiplier,
        fusedActivationFunction=pick(rng, *ACTIVATIONS)), version=6)


def transpose_conv(rng):
    a, b = types(rng)
    if (a, b) == ("float32", "int8"):
        b = "float32"
    kernel, stride = rng.integers(1, 5, 2), rng.integers(1, 4, 2)
    cin, cout = rng.integers(1, 6, 2)
    size = rng.integers(1, 6, 2)
    padding = pick(rng, SAME, VALID)
    if padding == SAME:
        out = size * stride - np.array([int(rng.integers(0, s)) for s in stride])
    else:
        out = (size - 1) * stride + kernel
    batch = int(rng.integers(1, 3))
    x = tensor(rng, a, (batch, *size, cin))
    w = weights(rng, b, (cout, *kernel, cin), cout, 0)
    shape = Tensor("int32", (4,), data=np.array([batch, *out, cout], np.int32), constant=True)
    y = linear_output(rng, x, w, cin * max(1, kernel[0] * kernel[1] / (stride[0] * stride[1])))
    return Operator("TRANSPOSE_CONV", [shape, w, x, *bias(rng, x, w, cout)], [y], "TransposeConvOptions", dict(
        padding=padding, strideH=int(stride[0]), strideW=int(stride[1]),
        fusedActivationFunction=pick(rng, 0, 0, 0, 1)), version=4)


def fully_connected(rng):
    a, b = types(rng)
    depth, units = int(rng.integers(1, 40)), int(rng.integers(1, 20))
    lead = dims(rng, int(rng.integers(1, 4)), 3)
    x = tensor(rng, a, (*lead, depth))
    w = weights(rng, b, (units, depth), units, 0)
    y = linear_output(rng, x, w, depth)
    return Operator("FULLY_CONNECTED", [x, w, *(bias(rng, x, w, units) or [None])], [y], "FullyConnectedOptions", dict(
        keepNumDims=bool(rng.integers(2)), asymmetricQuantizeInputs=bool(rng.integers(2)) if (a, b) == ("float32", "int8") else False,
        fusedActivationFunction=pick(rng, *ACTIVATIONS)), version=9)


def rounding(rng):
    """A dynamic-range layer whose activations lie on ties between two steps, or one float beside them."""
    depth, units, rows = int(rng.integers(2, 40)), int(rng.integers(1, 20)), int(rng.integers(1, 5))
    asymmetric = bool(rng.integers(2))
    low = int(rng.integers(-255, 1)) if asymmetric else -127
    high = low + 255 if asymmetric else 127  # a step of exactly one
    ties = rng.integers(low, high, (rows, depth)).astype(np.float32) + np.float32(0.5)
    near = np.nextafter(ties, rng.choice(np.float32([-np.inf, 0, np.inf]), ties.shape), dtype=np.float32)
    data = np.where(rng.random(ties.shape) < 0.5, ties, near)
    data[:, 0], data[:, 1] = low, high
    for row in data:
        rng.shuffle(row)
    x = tensor(rng, "float32", data.shape, data=data)
    w = weights(rng, "int8", (units, depth), units, 0)
    y = linear_output(rng, x, w, depth)
    return Operator("FULLY_CONNECTED", [x, w, None], [y], "FullyConnectedOptions", dict(
        keepNumDims=False, asymmetricQuantizeInputs=asymmetric, fusedActivationFunction=0), version=9)


def batch_matmul(rng):
    dtype = pick(rng, "int8", "int8", "int16", "float32")
    rows, depth, columns = rng.integers(1, 9, 3)
    rank = int(rng.integers(0, 3))
    lead = np.array(dims(rng, rank, 3), int)
    one, other = lead.copy(), lead.copy()
    for i in range(rank):
        if rng.random() < 0.25:
            (one if rng.random() < 0.5 else other)[i] = 1
    adj_x, adj_y = bool(rng.integers(2)), bool(rng.integers(2))
    x = tensor(rng, dtype, (*one, *((depth, rows) if adj_x else (rows, depth))))
    y = tensor(rng, dtype, (*other, *((columns, depth) if adj_y else (depth, columns))), constant=rng.random() < 0.3)
    out = linear_output(rng, x, y, depth) if dtype == "float32" else output(
        rng, dtype, scale=scale_for(rng, dtype, x.scale[0] * y.scale[0] * np.sqrt(depth) * 2 * (75 * 75 if dtype == "int8" else 19000 ** 2)))
    return Operator("BATCH_MATMUL", [x, y], [out], "BatchMatMulOptions",
                    dict(adjX=adj_x, adjY=adj_y, asymmetricQuantizeInputs=False), version=2)


GENERATORS = dict(conv=conv, depthwise=depthwise, transpose_conv=transpose_conv,
                  fully_connected=fully_connected, rounding=rounding, batch_matmul=batch_matmul)
