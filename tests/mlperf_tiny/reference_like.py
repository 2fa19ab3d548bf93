#!/usr/bin/env python3
"""A runner that behaves as MLPerf Tiny's reference runner does towards a board, written from the benchmark's rules.

    python3 -m venv venv && venv/bin/pip install pyserial==3.5
    venv/bin/python reference_like.py --port /dev/ttyACM0 --data DIR --mode performance|accuracy

Its habits matter: it takes every line with `m-ready` in it for the end of an answer, waits 5 s for a line and 30 s
during `infer`, sends 31 bytes in a command, never looks at `e-[...]`, and names the iterations itself. Any answer
that comes late, twice or not at all makes it fail or get out of step, which is then seen in its figures.
"""

import argparse
import csv
import re
import statistics
import sys
import time
from pathlib import Path

import serial

CHUNK = 31
WINDOWS = 5
WINDOW_US = 10_000_000
ATTEMPTS = 3


class Board:
    def __init__(self, path, baud):
        self.port = serial.Serial(path, baud, timeout=0.1)
        time.sleep(2)

    def line(self, patience):
        text, end = bytearray(), time.monotonic() + patience
        while not text.endswith(b"\n"):
            text += self.port.read(1)
            if time.monotonic() > end:
                raise RuntimeError(f"no line within {patience} s, only {bytes(text)!r}")
        return text.decode("ascii").replace("\r", "").replace("\n", "")

    def command(self, text, patience=5.0):
        self.port.write(text.encode("ascii"))
        self.port.write(b"%")
        lines = []
        while True:
            line = self.line(patience)
            if line:
                lines.append(line)
            if "m-ready" in line:
                return lines

    def ask(self, command, pattern):
        for line in self.command(command):
            match = re.match(pattern, line)
            if match:
                return match.group(1)
        raise RuntimeError(f"`{command}` was not answered by {pattern}")

    def load(self, data):
        self.command(f"db load {len(data)}")
        for at in range(0, len(data), CHUNK):
            answer = self.command("db " + data[at : at + CHUNK].hex())
        if answer != ["m-load-done", "m-ready"]:
            raise RuntimeError(f"the input ended in {answer}")

    def infer(self, inferences, warm_up):
        laps, scores = [], None
        for line in self.command(f"infer {inferences} {warm_up}", 30.0):
            match = re.match(r"^m-results-\[([^]]+)\]$", line)
            if match:
                scores = [float(x) for x in match.group(1).split(",") if x.strip()]
            match = re.match(r"^m-lap-us-([0-9]+)$", line)
            if match:
                laps.append(int(match.group(1)))
        if scores is None or len(laps) != 2:
            raise RuntimeError(f"{laps} {scores}")
        return laps[1] - laps[0], scores


def inputs(data, model):
    folder = Path(data) / model
    with open(folder / "y_labels.csv", newline="") as labels:
        for row in csv.reader(labels):
            content = (folder / row[0]).read_bytes()
            if len(row) < 5:
                yield int(row[2]), [content]
                continue
            width, stride = int(row[3]), int(row[4])
            starts = range(0, len(content) - width + 1, stride)
            yield int(row[2]), [content[s : s + width] for s in starts]


def performance(board, samples):
    """As a person does it: iterations from a first look with a quarter to spare, all windows with the
    same, and all of them again with more when the board became faster meanwhile."""
    samples = list(samples)
    board.load(samples[0][1][0])
    inferences, micros = 1, 0
    while micros < 1_000_000:
        inferences *= 4
        micros, _ = board.infer(inferences, 10)
    for _ in range(ATTEMPTS):
        inferences = int(inferences * 1.25 * WINDOW_US / micros) + 1
        throughputs = []
        for window in range(WINDOWS):
            board.load(samples[window % len(samples)][1][0])
            micros, scores = board.infer(inferences, 10)
            print(f"window {window + 1}: {inferences} inferences, {micros / 1e6:.3f} s, {scores}")
            if micros < WINDOW_US:
                print("a window was shorter than ten seconds")
                break
            throughputs.append(inferences / micros * 1e6)
        else:
            print(f"Median throughput is {statistics.median(throughputs):>10.3f} inf./sec.")
            return
    raise RuntimeError("the board became faster at every attempt")


def accuracy(board, samples):
    right = total = 0
    ranked = []
    for label, windows in samples:
        answers = []
        for window in windows:
            board.load(window)
            answers.append(board.infer(1, 0)[1])
        mean = [statistics.fmean(column) for column in zip(*answers)]
        ranked.append((mean[0], label))
        right += mean.index(max(mean)) == label
        total += 1
    if len(mean) > 1:
        print(f"Top 1% = {100 * right / total:.1f}")
        return
    pairs = [(a, n) for a, la in ranked if la == 1 for n, ln in ranked if ln == 0]
    area = sum((a > n) + (a == n) / 2 for a, n in pairs) / len(pairs)
    print(f"AUC = {area:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", required=True)
    parser.add_argument("--baud", type=int, default=115200)
    parser.add_argument("--data", required=True)
    parser.add_argument("--mode", choices=["performance", "accuracy"], required=True)
    options = parser.parse_args()
    board = Board(options.port, options.baud)
    print("name:", board.ask("name", r"^m-name-dut-\[([^]]+)]$"))
    print("profile:", board.ask("profile", r"^m-profile-\[([^]]+)]$"))
    model = board.ask("profile", r"^m-model-\[([^]]+)]$")
    board.command("timestamp")
    board.command("help")
    samples = inputs(options.data, model)
    (performance if options.mode == "performance" else accuracy)(board, samples)


if __name__ == "__main__":
    sys.exit(main())
