#!/usr/bin/env python3
"""Writes case files: single TFLite operators with what the reference kernels answer (see case.py).

    python3 -m venv .venv && .venv/bin/pip install -r requirements.txt
    .venv/bin/python make.py --out DIR [--count 20] [--seed 1] [--only add,conv,...]

One file an operator, DIR/<operator>.cases; --count cases each. The same seed makes the same cases.
Combinations that the reference kernels refuse are drawn again and counted.
"""
import argparse
import collections
import pathlib
import zlib

import numpy as np

import detection
import elementwise
import fold
import linear
import movement
from case import Rejected, encode

GENERATORS = {**linear.GENERATORS, **elementwise.GENERATORS, **fold.GENERATORS, **movement.GENERATORS,
              **detection.GENERATORS}


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--out", type=pathlib.Path, required=True)
    options.add_argument("--count", type=int, default=20)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", default="")
    options.add_argument("--why", action="store_true", help="print why combinations were refused")
    chosen = options.parse_args()
    names = chosen.only.split(",") if chosen.only else list(GENERATORS)
    chosen.out.mkdir(parents=True, exist_ok=True)
    for name in names:
        rng = np.random.default_rng([chosen.seed, zlib.crc32(name.encode())])
        made, refused = [], collections.Counter()
        while len(made) < chosen.count:
            case = GENERATORS[name](rng)
            try:
                made.append(encode(f"{name}.{len(made)}", case))
            except Rejected as why:
                refused[f"{case.inputs[0].dtype if case.inputs[0] else '?'}: {why}"] += 1
                if sum(refused.values()) > 20 + 5 * chosen.count:
                    raise SystemExit(f"{name}: nearly everything refused: {refused.most_common(3)}")
        (chosen.out / f"{name}.cases").write_bytes(b"".join(made))
        print(f"{name:20} {len(made)} cases, {sum(map(len, made))} bytes, {sum(refused.values())} refused")
        if chosen.why:
            for why, times in refused.most_common():
                print(f"    {times} x {why}")


if __name__ == "__main__":
    main()
