"""Fashion-MNIST as Debian's dataset-fashion-mnist ships it: reading, and resampling to the same bytes everywhere."""

import gzip
import hashlib
import math
import os
import pathlib

import numpy as np

SOURCE = os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist")
SIDE = 28
# 0.0~git20200523.55506a9-1: SHA-256 of the unpacked idx contents.
FILES = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


def idx(name):
    """One idx file (http://yann.lecun.com/exdb/mnist/) as an array of u8."""
    raw = gzip.decompress((pathlib.Path(SOURCE) / f"{name}.gz").read_bytes())
    assert hashlib.sha256(raw).hexdigest() == FILES[name], f"{name} is not the pinned one"
    rank = raw[3]
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank)]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def load():
    """Training images and labels, test images and labels."""
    return [idx(name) for name in FILES]


def resample(images, side):
    """Area average from 28x28 to side x side in integers: the same bytes on every machine.

    On a grid of lcm(28, side) units an input pixel covers `own` units and an output pixel `span`;
    the mean over span x span units is rounded half up.
    """
    if side == SIDE:
        return images
    common = math.lcm(SIDE, side)
    own, span = common // SIDE, common // side
    weights = np.zeros((side, SIDE), np.int64)
    for unit in range(common):
        weights[unit // span, unit // own] += 1
    total = np.einsum("ij,njk,lk->nil", weights, images.astype(np.int64), weights, optimize=True)
    return ((total + span * span // 2) // (span * span)).astype(np.uint8)


def origins():
    """The manifest's `origin` tables of the four files."""
    return "".join(
        f'''
[[origin]]
what = "data"
title = "Fashion-MNIST: {file}"
source = "Debian package dataset-fashion-mnist 0.0~git20200523.55506a9-1, {file}.gz (hash of the unpacked file)"
licence = "MIT"
copyright = "Copyright 2017 Zalando SE, https://tech.zalando.com"
sha256 = "{digest}"
'''
        for file, digest in FILES.items()
    )
