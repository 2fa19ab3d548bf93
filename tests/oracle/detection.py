"""The end of single-shot detectors: boxes decoded from anchors and freed of doubles."""
import numpy as np

from case import NUMPY, Operator, Tensor
from draw import RANGE, pick


def held(rng, dtype, real):
    """The real numbers as a tensor, quantised to fill the type if it is one of bytes."""
    if dtype == "float32":
        return Tensor(dtype, real.shape, data=real.astype(np.float32))
    low, high = RANGE[dtype]
    scale = float(np.float32(max(np.ptp(real), 1e-3) / (high - low)))
    zero = int(np.clip(np.round(low - real.min() / scale), low, high))
    data = np.clip(np.round(real / scale) + zero, low, high).astype(NUMPY[dtype])
    return Tensor(dtype, real.shape, [scale], [zero], data=data)


def settle(case):
    """The fast variant leaves its outputs beyond what it found as they were."""
    *lists, count = case.outputs
    found = int(count.data.reshape(-1)[0]) * case.values["max_classes_per_detection"]
    for tensor in lists:
        tensor.data[:, found:] = 0


def post_process(rng):
    dtype = pick(rng, "float32", "float32", "uint8")
    boxes, classes = int(rng.integers(1, 40)), int(rng.integers(1, 7))
    background = int(rng.integers(2))
    regular = bool(rng.integers(2))
    # Of equal scores the reference sorts now one, now the other first; floats have none.
    per_box = int(rng.integers(1, classes + 1)) if dtype == "float32" and not regular else 1
    encodings = rng.normal(0, 1.5, (1, boxes, 4))
    scores = rng.permutation(np.linspace(0.01, 0.99, boxes * (classes + background))).reshape(1, boxes, -1)
    anchors = np.concatenate([rng.uniform(0.2, 0.8, (boxes, 2)), rng.uniform(0.1, 0.5, (boxes, 2))], 1)
    most = int(rng.integers(1, 13))
    places = most * per_box
    outputs = [Tensor("float32", shape) for shape in ((1, places, 4), (1, places), (1, places), (1,))]
    anchors = held(rng, dtype, anchors)
    anchors.constant = True
    return Operator("CUSTOM", [held(rng, dtype, encodings), held(rng, dtype, scores), anchors], outputs, values=dict(
        max_detections=most, max_classes_per_detection=per_box, detections_per_class=int(rng.integers(1, 20)),
        use_regular_nms=regular, nms_score_threshold=float(np.float32(rng.uniform(0.05, 0.6))),
        nms_iou_threshold=float(np.float32(rng.uniform(0.2, 0.8))), num_classes=classes,
        y_scale=10.0, x_scale=10.0, h_scale=5.0, w_scale=5.0), custom="TFLite_Detection_PostProcess", settle=settle)


GENERATORS = dict(detection=post_process)
