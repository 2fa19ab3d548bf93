"""One operator, its tensors, and what the TFLite reference kernels answer.

A case file is any number of cases one after the other:

    u32   length of the header (little-endian, as everything here)
    JSON  {"name", "op", "version", "options": {...}, "tensors": [...], "inputs": [...],
           "outputs": [...], "fed": [...], "model_bytes": n}
    the bytes of every tensor in order (constants, fed inputs and reference outputs), raw
    the .tflite file with this one operator

A tensor is {"name", "dtype", "shape", "scale": [...], "zero_point": [...], "axis", "bytes"}.
"inputs" and "outputs" are the operator's (indices into "tensors", -1 for an absent one), "fed" are
the inputs that are not constants, in the order of the model's inputs.
"""
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from flatbuffers import flexbuffers

DTYPES = dict(
    float32=schema.TensorType.FLOAT32, float16=schema.TensorType.FLOAT16,
    int8=schema.TensorType.INT8, uint8=schema.TensorType.UINT8, int16=schema.TensorType.INT16,
    int32=schema.TensorType.INT32, int64=schema.TensorType.INT64, bool=schema.TensorType.BOOL,
)
NUMPY = {name: np.dtype("bool" if name == "bool" else name) for name in DTYPES}


class Rejected(Exception):
    """The reference kernels do not take this combination."""


@dataclass
class Tensor:
    dtype: str
    shape: tuple
    scale: list = field(default_factory=list)
    zero_point: list = field(default_factory=list)
    axis: int = 0
    data: np.ndarray | None = None
    constant: bool = False

    def raw(self):
        return np.ascontiguousarray(self.data).astype(NUMPY[self.dtype]).tobytes()


@dataclass
class Operator:
    op: str
    inputs: list
    outputs: list
    options: str = ""
    values: dict = field(default_factory=dict)
    version: int = 1
    custom: str = ""  # the name of a CUSTOM operator, whose values are a map of numbers
    settle: Callable | None = None  # clears what the reference leaves unwritten


def flexible(values):
    """Options of a custom operator."""
    builder = flexbuffers.Builder()
    with builder.Map():
        for key, value in values.items():
            builder.Key(key)
            builder.Add(value)
    return np.frombuffer(builder.Finish(), np.uint8)


def model_bytes(case):
    """The flatbuffer: buffer 0 is empty, constants get one each."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.description = 3, "single operator"
    model.buffers = [schema.BufferT()]
    tensors = [t for t in case.inputs if t is not None] + case.outputs
    index = {id(t): i for i, t in enumerate(tensors)}
    graph.tensors = []
    for i, t in enumerate(tensors):
        entry = schema.TensorT()
        entry.shape, entry.type, entry.name = list(map(int, t.shape)), DTYPES[t.dtype], f"t{i}"
        entry.hasRank, entry.buffer = True, 0
        if t.constant:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(t.raw(), np.uint8)
            model.buffers.append(buffer)
            entry.buffer = len(model.buffers) - 1
        if t.scale:
            q = schema.QuantizationParametersT()
            q.scale = np.array(t.scale, np.float32)
            q.zeroPoint = np.array(t.zero_point, np.int64)
            q.quantizedDimension = t.axis
            entry.quantization = q
        graph.tensors.append(entry)
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, case.op)
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), case.version
    if case.custom:
        code.customCode = case.custom
    model.operatorCodes = [code]
    operator = schema.OperatorT()
    operator.inputs = [-1 if t is None else index[id(t)] for t in case.inputs]
    operator.outputs = [index[id(t)] for t in case.outputs]
    if case.options:
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, case.options)
        operator.builtinOptions = getattr(schema, case.options + "T")()
        for key, value in case.values.items():
            assert hasattr(operator.builtinOptions, key), (case.options, key)
            setattr(operator.builtinOptions, key, value)
    if case.custom:
        operator.customOptions = flexible(case.values)
    graph.operators = [operator]
    graph.inputs = [index[id(t)] for t in case.inputs if t is not None and not t.constant]
    graph.outputs = list(operator.outputs)
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def answer(case):
    """Runs the reference kernels, fills the outputs' data and shapes; returns the model."""
    blob = model_bytes(case)
    try:
        it = Interpreter(model_content=blob, num_threads=1,
                         experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        it.allocate_tensors()
        fed = [t for t in case.inputs if t is not None and not t.constant]
        details = it.get_input_details()
        for t, d in zip(fed, details):
            it.set_tensor(d["index"], np.ascontiguousarray(t.data).astype(NUMPY[t.dtype]).reshape(d["shape"]))
        it.invoke()
    except (RuntimeError, ValueError) as refused:
        raise Rejected(str(refused).splitlines()[0]) from refused
    reshaped = False
    for t, d in zip(case.outputs, it.get_output_details()):
        t.data = it.get_tensor(d["index"])
        reshaped |= tuple(t.data.shape) != tuple(t.shape)
        t.shape = tuple(t.data.shape)
    # A model made with a wrong output shape would be another case than the one recorded.
    return model_bytes(case) if reshaped else blob


def encode(name, case):
    """The case as bytes of a case file."""
    blob = answer(case)
    if case.settle:
        case.settle(case)
    tensors = [t for t in case.inputs if t is not None] + case.outputs
    index = {id(t): i for i, t in enumerate(tensors)}
    raws = [t.raw() for t in tensors]
    header = dict(
        name=name, op=case.custom or case.op, version=case.version,
        options={k: v for k, v in case.values.items()},
        tensors=[dict(name=f"t{i}", dtype=t.dtype, shape=[int(n) for n in t.shape],
                      scale=[float(np.float32(s)) for s in t.scale],
                      zero_point=[int(z) for z in t.zero_point], axis=t.axis, bytes=len(r))
                 for i, (t, r) in enumerate(zip(tensors, raws))],
        inputs=[-1 if t is None else index[id(t)] for t in case.inputs],
        outputs=[index[id(t)] for t in case.outputs],
        fed=[index[id(t)] for t in case.inputs if t is not None and not t.constant],
        model_bytes=len(blob))
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<I", len(text)) + text + b"".join(raws) + blob
