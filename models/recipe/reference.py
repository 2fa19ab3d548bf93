"""The TFLite reference kernels: what a model answers, and how good that is on a dataset.

Formulas of the metrics are those of `Metric` in models/src/vocabulary.rs.
"""

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType


class Model:
    """A .tflite file run by the reference kernels (or, to compare, by the default ones)."""

    def __init__(self, content, kernels=OpResolverType.BUILTIN_REF):
        self.interpreter = Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=kernels)
        self.interpreter.allocate_tensors()
        (self.input,) = self.interpreter.get_input_details()
        (self.output,) = self.interpreter.get_output_details()

    def quantise(self, real):
        """A real f32 sample as the input tensor, see `quantise` in models/src/container.rs."""
        if self.input["dtype"] == np.float32:
            return real.reshape(self.input["shape"])
        scale, zero = self.input["quantization"]
        ratio = real.astype(np.float32) / np.float32(scale)
        whole = np.trunc(ratio)
        rest = ratio - whole
        steps = whole.astype(np.int32) + (rest >= 0.5) - (rest <= -0.5) + zero
        return np.clip(steps, -128, 127).astype(np.int8).reshape(self.input["shape"])

    def run(self, tensor):
        self.interpreter.set_tensor(self.input["index"], tensor)
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.output["index"])

    def real(self, tensor):
        """An output tensor's real values in f32."""
        if tensor.dtype == np.float32:
            return tensor.reshape(-1)
        scale, zero = self.output["quantization"]
        return (tensor.reshape(-1).astype(np.int32) - zero).astype(np.float32) * np.float32(scale)

    def outputs(self, stored, scale, offset):
        """Real outputs for all samples of a dataset's only input."""
        real = stored.astype(np.float32) * scale + offset
        return np.stack([self.real(self.run(self.quantise(sample))) for sample in real])


def classification(outputs, labels):
    labels = labels.astype(np.int64)
    order = np.argsort(-outputs, axis=1, kind="stable")
    p = outputs[np.arange(len(labels)), labels].astype(np.float64)
    return {
        "top1": float(np.mean(order[:, 0] == labels)),
        "top5": float(np.mean((order[:, :5] == labels[:, None]).any(axis=1))),
        "log_loss": float(np.mean(-np.log(np.maximum(p, 1e-7)))),
    }


def regression(predicted, labels):
    error = predicted.astype(np.float64) - labels.astype(np.float64)
    spread = labels.astype(np.float64) - labels.astype(np.float64).mean()
    return {
        "r2": float(1 - (error**2).sum() / (spread**2).sum()),
        "rmse": float(np.sqrt((error**2).mean())),
        "mae": float(np.abs(error).mean()),
    }


def quality(model, dataset):
    """Quality of a Model on a dataset as read_dataset gives it."""
    (entry,), labels, (scale, offset), classes = dataset
    outputs = model.outputs(*entry)
    if classes:
        return classification(outputs, labels)
    return regression(outputs * np.float32(scale) + np.float32(offset), labels)
