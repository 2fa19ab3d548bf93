"""Random shapes, quantisations and contents."""
import numpy as np

from case import NUMPY, Tensor

RANGE = dict(int8=(-128, 127), uint8=(0, 255), int16=(-32768, 32767))
NARROW = ("int8", "uint8", "int16")
ACTIVATIONS = [0, 0, 1, 2, 3]  # none (likelier), RELU, RELU_N1_TO_1, RELU6


def scale_of(rng, low=1e-3, high=0.2):
    return float(np.float32(np.exp(rng.uniform(np.log(low), np.log(high)))))


def quantisation(rng, dtype, scale=None):
    """A scale and a zero point: int16 is symmetric; the ends of the range are drawn on purpose."""
    if dtype not in NARROW:
        return {}
    low, high = RANGE[dtype]
    if scale is None:
        scale = scale_of(rng) / (128 if dtype == "int16" else 1)
    if dtype == "int16":
        zero = 0
    else:
        zero = int(rng.choice([low, high, (low + high) // 2, int(rng.integers(low, high + 1))], p=[.15, .1, .15, .6]))
    return dict(scale=[float(np.float32(scale))], zero_point=[zero])


def contents(rng, dtype, shape, spread=4.0):
    """Mostly uniform; now and then the extremes."""
    if dtype == "float32":
        return rng.normal(0, spread / 2, shape).astype(np.float32)
    if dtype == "float16":
        return rng.normal(0, spread / 2, shape).astype(np.float16)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype in RANGE:
        low, high = RANGE[dtype]
        data = rng.integers(low, high + 1, shape)
        extreme = rng.random(shape) < 0.1
        return np.where(extreme, rng.choice([low, high], shape), data).astype(NUMPY[dtype])
    return rng.integers(-100, 101, shape).astype(NUMPY[dtype])


def tensor(rng, dtype, shape, constant=False, scale=None, data=None, spread=4.0, like=None):
    """`like`: same quantisation as that tensor."""
    shape = tuple(int(n) for n in shape)
    q = dict(scale=like.scale, zero_point=like.zero_point) if like else quantisation(rng, dtype, scale)
    return Tensor(dtype, shape, data=contents(rng, dtype, shape, spread) if data is None else np.asarray(data),
                  constant=constant, **q)


def output(rng, dtype, shape=(1,), scale=None, like=None, fixed=None):
    """`fixed`: (scale, zero point) demanded by the operator."""
    if fixed:
        return Tensor(dtype, tuple(shape), [float(np.float32(fixed[0]))], [fixed[1]])
    q = dict(scale=like.scale, zero_point=like.zero_point) if like else quantisation(rng, dtype, scale)
    return Tensor(dtype, tuple(int(n) for n in shape), **q)


def ints(values, dtype="int32", shape=None):
    """A constant index tensor."""
    data = np.asarray(values, NUMPY[dtype])
    return Tensor(dtype, data.shape if shape is None else shape, data=data, constant=True)


def dims(rng, rank, most=7):
    return tuple(int(n) for n in rng.integers(1, most + 1, rank))


def pick(rng, *choices):
    return choices[int(rng.integers(len(choices)))]


def real_spread(t):
    """Half the width of the values a quantised tensor can hold (for output scales)."""
    if t.dtype not in RANGE:
        return 4.0
    low, high = RANGE[t.dtype]
    return float(t.scale[0]) * (high - low) / 2


def scale_for(rng, dtype, spread):
    """An output scale with which `spread` fills the type, give or take a factor of two."""
    if dtype not in RANGE:
        return None
    low, high = RANGE[dtype]
    return max(spread, 1e-6) / ((high - low) / 2) * float(np.exp(rng.uniform(-0.7, 0.7)))
