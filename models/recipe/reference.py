"""The TFLite reference kernels: what a model answers, and how good that is on a dataset.

Formulas of the metrics are those of `Metric` in models/src/vocabulary.rs.
"""

import detection
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType


class Model:
    """A .tflite file run by the reference kernels (or, to compare, by the default ones)."""

    def __init__(self, content, kernels=OpResolverType.BUILTIN_REF):
        self.interpreter = Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=kernels)
        self.interpreter.allocate_tensors()
        self.inputs = self.interpreter.get_input_details()
        self.outputs = self.interpreter.get_output_details()

    def tensors(self, sample, maps):
        """A stored sample (one array an input, with its scale and offset) as input tensors.

        The rule is that of runner/wire/src/container.rs: real values, quantised ones, or plain integers.
        """
        found = []
        for detail, stored, (scale, offset) in zip(self.inputs, sample, maps, strict=True):
            quantum, zero = detail["quantization"]
            if np.issubdtype(detail["dtype"], np.integer) and quantum == 0:
                tensor = stored.astype(detail["dtype"])
            else:
                tensor = stored.astype(np.float32) * np.float32(scale) + np.float32(offset)
                if detail["dtype"] == np.int8:
                    tensor = quantise(tensor, np.float32(quantum), zero)
            found.append(tensor.reshape(detail["shape"]))
        return found

    def run(self, tensors):
        """The output tensors for these input tensors."""
        for detail, tensor in zip(self.inputs, tensors, strict=True):
            self.interpreter.set_tensor(detail["index"], tensor)
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(detail["index"]) for detail in self.outputs]

    def reals(self, tensors):
        """Real values of the output tensors, flat, in f32."""
        found = []
        for detail, tensor in zip(self.outputs, tensors, strict=True):
            flat = tensor.reshape(-1)
            if tensor.dtype != np.float32:
                scale, zero = detail["quantization"]
                flat = (flat.astype(np.int32) - zero).astype(np.float32) * np.float32(scale)
            found.append(flat)
        return found


def quantise(real, scale, zero):
    """See `quantise` in runner/wire/src/container.rs."""
    ratio = real / scale
    whole = np.trunc(ratio)
    rest = ratio - whole
    steps = whole.astype(np.int32) + (rest >= 0.5) - (rest <= -0.5) + zero
    return np.clip(steps, -128, 127).astype(np.int8)


def outputs(model, inputs):
    """Real values of a model's first output for every sample of a dataset's inputs."""
    maps = [(scale, offset) for _, scale, offset in inputs]
    samples = zip(*(data for data, _, _ in inputs), strict=True)
    return np.stack([model.reals(model.run(model.tensors(sample, maps)))[0] for sample in samples])


def macro_f1(predicted, labels):
    """Unweighted mean of F1 over the classes that occur among labels or predictions (as scikit-learn's)."""
    scores = []
    for c in np.union1d(predicted, labels):
        right = int(((predicted == c) & (labels == c)).sum())
        scores.append(2 * right / int((predicted == c).sum() + (labels == c).sum()))
    return float(np.mean(scores))


def classification(outputs, labels):
    labels = labels.astype(np.int64)
    order = np.argsort(-outputs, axis=1, kind="stable")
    p = outputs[np.arange(len(labels)), labels].astype(np.float64)
    return {
        "top1": float(np.mean(order[:, 0] == labels)),
        "top5": float(np.mean((order[:, :5] == labels[:, None]).any(axis=1))),
        "macro_f1": macro_f1(order[:, 0], labels),
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
    inputs, labels, (scale, offset), classes = dataset
    found = outputs(model, inputs)
    if labels.ndim == 3:
        boxes = [detection.decode(picture, classes) for picture in found]
        return detection.quality(boxes, [detection.labels(slots) for slots in labels], classes)
    if classes:
        return classification(found, labels)
    return regression(found * np.float32(scale) + np.float32(offset), labels)
