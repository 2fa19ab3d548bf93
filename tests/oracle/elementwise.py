"""Operators on single elements: arithmetic with broadcasting, activations, conversions."""
import numpy as np

from case import NUMPY, Operator, Tensor
from draw import (ACTIVATIONS, RANGE, contents, dims, output, pick, real_spread, scale_for, scale_of,
                  tensor)


def broadcast(rng):
    """Two shapes of rank up to 4 (now and then 5) that broadcast."""
    rank = int(rng.integers(1, 6)) if rng.random() < 0.3 else int(rng.integers(1, 5))
    full = list(dims(rng, rank, 5))
    kind = rng.random()
    if kind < 0.35:
        return tuple(full), tuple(full)
    if kind < 0.5:
        return tuple(full), (full[-1],)
    if kind < 0.6:
        return tuple(full), ()
    one = [1 if rng.random() < 0.35 else n for n in full]
    other = [1 if rng.random() < 0.35 else n for n in full]
    drop = int(rng.integers(0, rank))
    pair = (tuple(one), tuple(other[drop:]))
    return pair if rng.random() < 0.5 else pair[::-1]


def arithmetic(op, options, types, version, same=False):
    def generate(rng):
        dtype = pick(rng, *types)
        one, other = broadcast(rng)
        a = tensor(rng, dtype, one, constant=False)
        b = tensor(rng, dtype, other, constant=rng.random() < 0.3, like=a if same else None)
        if op == "DIV" and dtype in ("int32", "uint8", "float32", "int64"):
            zero = b.zero_point[0] if b.zero_point else 0
            b.data = np.where(b.data == zero, zero + 1 if zero < 255 else zero - 1, b.data).astype(NUMPY[dtype])
        values = {}
        if op in ("ADD", "SUB", "MUL", "DIV"):
            values["fusedActivationFunction"] = pick(rng, *ACTIVATIONS) if dtype != "int64" else 0
        if dtype == "int16" and op in ("ADD", "SUB"):
            values["potScaleInt16"] = False
        spread = dict(MUL=real_spread(a) * real_spread(b) * 0.5, DIV=2.0).get(op, real_spread(a) + real_spread(b))
        if op == "SQUARED_DIFFERENCE":
            spread = max(real_spread(a), real_spread(b)) ** 2 * 2
        y = output(rng, dtype, like=a) if same else output(rng, dtype, scale=scale_for(rng, dtype, spread))
        return Operator(op, [a, b], [y], options, values, version)
    return generate


def unary(op, types, version, options="", fixed=None, values=None, positive=False, spread=None, same=False):
    """`fixed`: dtype -> (scale, zero point) that the operator demands of its output."""
    def generate(rng):
        dtype = pick(rng, *types)
        shape = dims(rng, int(rng.integers(1, 5)), 6)
        x = tensor(rng, dtype, shape)
        if positive and dtype == "float32":
            x.data = np.abs(x.data) + np.float32(1e-3)
        if positive and dtype in RANGE:
            x.zero_point = [RANGE[dtype][0] if dtype != "int16" else 0]
            x.data = np.maximum(x.data, x.zero_point[0] + 1).astype(NUMPY[dtype])
        if fixed and dtype in fixed:
            y = output(rng, dtype, shape, fixed=fixed[dtype])
        elif same:
            y = output(rng, dtype, shape, like=x)
        else:
            wide = real_spread(x) if spread is None else spread(real_spread(x))
            y = output(rng, dtype, shape, scale=scale_for(rng, dtype, wide))
        return Operator(op, [x], [y], options, values(rng) if values else {}, version)
    return generate


def prelu(rng):
    dtype = pick(rng, "int8", "uint8", "float32")
    shape = dims(rng, 4, 5)
    x = tensor(rng, dtype, shape)
    alpha = tensor(rng, dtype, pick(rng, (1, 1, shape[3]), (shape[3],), shape[1:]), constant=True,
                   scale=scale_of(rng, 1e-3, 1e-2), spread=1)
    return Operator("PRELU", [x, alpha], [output(rng, dtype, shape, scale=scale_for(rng, dtype, real_spread(x)))])


def quantize(rng):
    a, b = pick(rng, *[(a, b) for a in ("float32", "int8", "uint8", "int16", "int32") for b in ("int8", "uint8", "int16", "int32")])
    shape = dims(rng, int(rng.integers(1, 5)), 6)
    x = tensor(rng, a, shape)
    if a == "int32":
        x = Tensor("int32", shape, [scale_of(rng, 1e-5, 1e-3)], [0], data=rng.integers(-100000, 100000, shape))
    y = output(rng, b, shape, scale=scale_for(rng, b, real_spread(x) * 0.9))
    if b == "int32":
        y = Tensor("int32", shape, [scale_of(rng, 1e-5, 1e-3)], [0])
    return Operator("QUANTIZE", [x], [y], "QuantizeOptions", version=3)


def dequantize(rng):
    dtype = pick(rng, "int8", "uint8", "int16", "float16", "int8")
    shape = dims(rng, int(rng.integers(1, 5)), 6)
    x = tensor(rng, dtype, shape)
    if dtype == "int8" and rng.random() < 0.3:  # per-channel constants, from dynamic-range models
        axis = int(rng.integers(len(shape)))
        x.scale, x.zero_point, x.axis = [scale_of(rng) for _ in range(shape[axis])], [0] * shape[axis], axis
        x.scale = [float(np.float32(s)) for s in x.scale]
    return Operator("DEQUANTIZE", [x], [output(rng, "float32", shape)], "DequantizeOptions", version=6)


def cast(rng):
    names = ("float32", "int8", "uint8", "int16", "int32", "int64", "bool")
    a, b = pick(rng, *names), pick(rng, *names)
    shape = dims(rng, int(rng.integers(1, 4)), 6)
    data = contents(rng, a, shape)
    if b in ("uint8", "bool") and a == "float32":
        data = np.abs(data)
    code = {"float32": 0, "int8": 9, "uint8": 3, "int16": 7, "int32": 2, "int64": 4, "bool": 6}
    return Operator("CAST", [Tensor(a, shape, data=data)], [Tensor(b, shape)], "CastOptions",
                    dict(inDataType=code[a], outDataType=code[b]), version=4)


def comparison(op, options):
    def generate(rng):
        dtype = pick(rng, "int8", "uint8", "float32", "int32", "int64")
        one, other = broadcast(rng)
        a, b = tensor(rng, dtype, one), tensor(rng, dtype, other)
        return Operator(op, [a, b], [Tensor("bool", (1,))], options, version=2)
    return generate


def logical(op, options):
    def generate(rng):
        one, other = broadcast(rng)
        return Operator(op, [tensor(rng, "bool", one), tensor(rng, "bool", other)], [Tensor("bool", (1,))], options)
    return generate


def select(op, options):
    def generate(rng):
        dtype = pick(rng, "int8", "uint8", "int16", "float32", "int32", "int64")
        shape = dims(rng, int(rng.integers(1, 5)), 5)
        mask, one, other = shape, shape, shape
        if op == "SELECT_V2":
            mask, one, other = (tuple(1 if rng.random() < 0.3 else n for n in shape) for _ in range(3))
        elif rng.random() < 0.3:
            mask = shape[:1]
        a = tensor(rng, dtype, one)
        return Operator(op, [tensor(rng, "bool", mask), a, tensor(rng, dtype, other, like=a)],
                        [output(rng, dtype, like=a)], options)
    return generate


def logical_not(rng):
    shape = dims(rng, 3, 5)
    return Operator("LOGICAL_NOT", [tensor(rng, "bool", shape)], [Tensor("bool", shape)], "LogicalNotOptions")


def alpha(rng):
    return dict(alpha=float(np.float32(rng.choice([0.1, 0.2, 0.3, 0.01, 1.5, -0.5]))))


ALL = ("int8", "uint8", "int16", "float32")
GENERATORS = dict(
    add=arithmetic("ADD", "AddOptions", ALL + ("int8", "int32", "int64"), 5),
    sub=arithmetic("SUB", "SubOptions", ALL + ("int8", "int32", "int64"), 5),
    mul=arithmetic("MUL", "MulOptions", ALL + ("int8", "int32", "int64"), 7),
    div=arithmetic("DIV", "DivOptions", ("uint8", "float32", "int32"), 2),
    maximum=arithmetic("MAXIMUM", "MaximumMinimumOptions", ALL + ("int32", "int64"), 4, same=True),
    minimum=arithmetic("MINIMUM", "MaximumMinimumOptions", ALL + ("int32", "int64"), 4, same=True),
    squared_difference=arithmetic("SQUARED_DIFFERENCE", "SquaredDifferenceOptions", ("int8", "float32", "int32"), 2),
    pow=arithmetic("POW", "PowOptions", ("float32",), 1),
    floor_div=arithmetic("FLOOR_DIV", "FloorDivOptions", ("float32",), 2),
    logistic=unary("LOGISTIC", ALL, 3, fixed=dict(int8=(1 / 256, -128), uint8=(1 / 256, 0), int16=(1 / 32768, 0))),
    tanh=unary("TANH", ALL, 3, fixed=dict(int8=(1 / 128, 0), uint8=(1 / 128, 128), int16=(1 / 32768, 0))),
    relu=unary("RELU", ALL, 3), relu6=unary("RELU6", ALL, 3), relu_n1=unary("RELU_N1_TO_1", ("int8", "uint8", "float32"), 1),
    relu_0_1=unary("RELU_0_TO_1", ("int8", "uint8", "float32"), 1),
    hard_swish=unary("HARD_SWISH", ("int8", "uint8", "float32"), 1, "HardSwishOptions"),
    leaky_relu=unary("LEAKY_RELU", ALL, 2, "LeakyReluOptions", values=alpha),
    gelu=unary("GELU", ("int8", "uint8", "float32"), 2, "GeluOptions", values=lambda rng: dict(approximate=bool(rng.integers(2)))),
    rsqrt=unary("RSQRT", ("int8", "int16", "float32"), 3, positive=True, spread=lambda s: 3 / np.sqrt(s)),
    sqrt=unary("SQRT", ("float32",), 1, positive=True),
    exp=unary("EXP", ("int8", "int16", "float32"), 2, "ExpOptions", spread=lambda s: min(np.exp(s), 50)),
    log=unary("LOG", ("int8", "float32"), 2, positive=True, spread=lambda s: 3.0),
    neg=unary("NEG", ("float32", "int32", "int64"), 1, "NegOptions"),
    abs=unary("ABS", ("int8", "int16", "float32", "int32"), 3, "AbsOptions"),
    square=unary("SQUARE", ("float32",), 1, "SquareOptions"),
    floor=unary("FLOOR", ("float32",), 1),
    sin=unary("SIN", ("float32",), 1), cos=unary("COS", ("float32",), 1, "CosOptions"),
    prelu=prelu, quantize=quantize, dequantize=dequantize, cast=cast,
    equal=comparison("EQUAL", "EqualOptions"), not_equal=comparison("NOT_EQUAL", "NotEqualOptions"),
    less=comparison("LESS", "LessOptions"), less_equal=comparison("LESS_EQUAL", "LessEqualOptions"),
    greater=comparison("GREATER", "GreaterOptions"), greater_equal=comparison("GREATER_EQUAL", "GreaterEqualOptions"),
    logical_and=logical("LOGICAL_AND", "LogicalAndOptions"), logical_or=logical("LOGICAL_OR", "LogicalOrOptions"),
    logical_not=logical_not,
    select=select("SELECT", "SelectOptions"), select_v2=select("SELECT_V2", "SelectV2Options"),
)
