#!/usr/bin/env python3
"""Labels generated inputs of MLPerf Tiny's four tasks by the TFLite reference kernels.

    python3 -m venv venv && venv/bin/pip install ai-edge-litert==2.3.0 numpy==2.4.6
    venv/bin/python label.py MODELS          # the folder of the benchmark's int8 models; writes labels/

Inputs are drawn in integers from a seed, here and in tests/src/mlperf.rs alike, so that only what the
reference kernels say of them has to be kept: labels in the form of y_labels.csv, and scores.
"""

import struct
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

MASK = (1 << 64) - 1
FILES = {"ad01": 8, "ic01": 30, "kws01": 40, "vww01": 8}
# Of so many drawn inputs those are kept that show as many answers as possible.
DRAWN = {"ad01": 8, "ic01": 600, "kws01": 1200, "vww01": 1200}
MODEL = {
    "ad01": "ad01_int8.tflite",
    "ic01": "pretrainedResnet_quant.tflite",
    "kws01": "kws_ref_model.tflite",
    "vww01": "vww_96_int8.tflite",
}
BANDS, FRAMES, WINDOW = 128, 8, 5


class Dice:
    """xorshift64: G. Marsaglia, J. Stat. Softw. 8(14), 2003."""

    def __init__(self, seed):
        self.state = seed * 0x9E3779B97F4A7C15 & MASK | 1
        for _ in range(8):
            self.below(2)

    def below(self, bound):
        self.state ^= self.state << 13 & MASK
        self.state ^= self.state >> 7
        self.state ^= self.state << 17 & MASK
        return (self.state >> 32) % bound


def image(dice, side):
    """Ellipses before a ground that changes from top to bottom."""
    top, bottom = ([dice.below(256) for _ in range(3)] for _ in range(2))
    pixels = np.zeros((side, side, 3), np.uint8)
    for y in range(side):
        pixels[y, :] = [(a * (side - y) + b * y) // side for a, b in zip(top, bottom)]
    down, right = np.mgrid[0:side, 0:side]
    for _ in range(3 + dice.below(8)):
        x, y = dice.below(side), dice.below(side)
        wide, high = 1 + dice.below(side // 2), 1 + dice.below(side // 2)
        inside = (right - x) ** 2 * high**2 + (down - y) ** 2 * wide**2 <= (wide * high) ** 2
        pixels[inside] = [dice.below(256) for _ in range(3)]
    return pixels.tobytes()


def cepstrum(dice):
    """49 frames of ten coefficients that wander."""
    values = [dice.below(200) - 100 for _ in range(10)]
    step = 1 + dice.below(60)
    frames = bytearray()
    for _ in range(49):
        values = [max(-128, min(127, v + dice.below(2 * step + 1) - step)) for v in values]
        frames.extend(v & 0xFF for v in values)
    return bytes(frames)


def spectrogram(dice):
    """Frames of band energies in eighths of a decibel, rougher from file to file."""
    rough = 1 + dice.below(160)
    values = [dice.below(rough) - 240 for _ in range(BANDS)]
    frames = bytearray()
    for _ in range(FRAMES):
        values = [v + dice.below(9) - 4 for v in values]
        frames.extend(struct.pack(f"<{BANDS}f", *(v / 8 for v in values)))
    return bytes(frames)


def drawn(task, number):
    dice = Dice(1000 * sorted(FILES).index(task) + number)
    if task == "ad01":
        return spectrogram(dice)
    if task == "kws01":
        return cepstrum(dice)
    return image(dice, 32 if task == "ic01" else 96)


class Reference:
    def __init__(self, path):
        self.interpreter = Interpreter(
            str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF
        )
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]
        self.output = self.interpreter.get_output_details()[0]

    def infer(self, values):
        self.interpreter.set_tensor(self.input["index"], values.reshape(self.input["shape"]))
        self.interpreter.invoke()
        scale, zero_point = self.output["quantization"]
        stored = self.interpreter.get_tensor(self.output["index"]).ravel().astype(np.float32)
        return (stored - np.float32(zero_point)) * np.float32(scale)

    def scores(self, task, stored):
        if task == "kws01":
            return self.infer(np.frombuffer(stored, np.int8))
        if task != "ad01":
            return self.infer((np.frombuffer(stored, np.uint8) ^ 128).view(np.int8))
        features = np.frombuffer(stored, "<f4")
        scale, zero_point = self.input["quantization"]
        steps = features / np.float32(scale)
        rounded = np.trunc(steps + np.copysign(np.float32(0.5), steps)) + zero_point
        off = self.infer(np.clip(rounded, -128, 127).astype(np.int8)) - features
        return np.array([np.mean(off * off, dtype=np.float64)])


def chosen(scores, count):
    """`count` of them, one of each answer in turn."""
    answers = {}
    for name, values in scores.items():
        answers.setdefault(int(np.argmax(values)), []).append(name)
    kept = []
    while len(kept) < count:
        for names in answers.values():
            kept.extend(names[:1])
            del names[:1]
    return {name: scores[name] for name in sorted(kept[:count])}


def main():
    models, here = Path(sys.argv[1]), Path(__file__).parent / "labels"
    here.mkdir(exist_ok=True)
    for task, files in FILES.items():
        reference = Reference(models / MODEL[task])
        scores = {}
        for number in range(DRAWN[task]):
            stored = drawn(task, number)
            width = 4 * BANDS * WINDOW if task == "ad01" else len(stored)
            starts = range(0, len(stored) - width + 1, 4 * BANDS)
            windows = [reference.scores(task, stored[s : s + width]) for s in starts]
            scores[f"{number:04}.bin"] = np.mean(windows, axis=0)
        scores = chosen(scores, files)
        if task == "ad01":
            middle = np.median([s[0] for s in scores.values()])
            lines = [
                f"{name},2,{int(s[0] > middle)},{4 * BANDS * WINDOW},{4 * BANDS}"
                for name, s in scores.items()
            ]
        else:
            lines = [f"{name},{len(s)},{int(np.argmax(s))}" for name, s in scores.items()]
        (here / f"{task}.csv").write_text("\n".join(lines) + "\n")
        rows = [",".join([name, *(f"{v:.3f}" for v in s)]) for name, s in scores.items()]
        (here / f"{task}-scores.csv").write_text("\n".join(rows) + "\n")
        print(task, [line.split(",")[2] for line in lines])


if __name__ == "__main__":
    main()
