"""Tiny ImageNet: its archive, balanced choices of its pictures, and pictures at a network's resolution."""

import hashlib
import zipfile

import numpy as np

import networks
import published

SOURCE = published.Source(
    file="tiny-imagenet-200.zip",
    url="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    what="data",
    title="Tiny ImageNet: 200 classes of ImageNet at 64x64",
    licence="LicenseRef-ImageNet",
    copyright="Stanford CS231n, from ImageNet; the pictures are their owners', for non-commercial research and education by "
              "ImageNet's terms",
    digest=("md5", "90528d7ca1a48142e341f4ef8d21d0de"),
    publisher="Avalanche's TinyImagenet",
)


class Archive:
    """The zip: class names, and (member, class number) of every picture of the training and the validation split.

    Classes are numbered in the order of their WordNet ids.
    """

    def __init__(self, path):
        self.path = path
        try:
            self.zip = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise published.Wrong(f"{path}: not a zip archive ({error}): {published.AGAIN}") from error
        ids = sorted(self.lines("wnids.txt"))
        if len(ids) != networks.TINY_IMAGENET_CLASSES:
            raise published.Wrong(f"{path}: wnids.txt has {len(ids)} classes, where {networks.TINY_IMAGENET_CLASSES} are due: "
                                  f"{published.AGAIN}")
        number = {wnid: n for n, wnid in enumerate(ids)}
        words = dict(line.split("\t", 1) for line in self.lines("words.txt"))
        # The id goes with the word: several classes of ImageNet share a first word.
        self.classes = [f"{wnid} {words.get(wnid, 'unnamed').split(',')[0]}" for wnid in ids]
        self.train, self.val = [], []
        for name in self.zip.namelist():
            parts = name.split("/")
            if len(parts) == 5 and parts[1] == "train" and parts[3] == "images" and parts[4]:
                self.train.append((name, number[parts[2]]))
        for line in self.lines("val/val_annotations.txt"):
            file, wnid, *_ = line.split("\t")
            self.val.append((f"tiny-imagenet-200/val/images/{file}", number[wnid]))

    def lines(self, name):
        """The lines of a text file of the archive."""
        try:
            return self.zip.read(f"tiny-imagenet-200/{name}").decode().splitlines()
        except KeyError as error:
            raise published.Wrong(f"{self.path}: no tiny-imagenet-200/{name} inside: {published.AGAIN}") from error

    def choose(self, split, count, option):
        """`count` pictures of a split, equally many of each class: of each those whose names have the smallest SHA-256.

        Classes alternate, so that every prefix is balanced, and a larger choice begins with a smaller one.
        """
        groups = [[] for _ in self.classes]
        for name, group in split:
            groups[group].append((hashlib.sha256(name.encode()).digest(), name))
        each = count // len(groups)
        if each > (fewest := min(map(len, groups))):
            raise published.Wrong(f"{self.path}: its smallest class has {fewest} pictures: "
                                  f"give {option} at most {fewest * len(groups)}")
        ranked = [sorted(group)[:each] for group in groups]
        return [(ranked[group][k][1], group) for k in range(each) for group in range(len(groups))]

    def pictures(self, names, resolution):
        """Pictures, u8 [len(names), resolution, resolution, 3]: bilinear, rounded; grey ones get three equal channels."""
        import tensorflow as tf

        found = np.empty((len(names), resolution, resolution, 3), np.uint8)
        for at, name in enumerate(names):
            try:
                picture = tf.io.decode_jpeg(self.zip.read(name), channels=3, dct_method="INTEGER_ACCURATE")
            except (KeyError, zipfile.BadZipFile, tf.errors.InvalidArgumentError) as error:
                raise published.Wrong(f"{self.path}: {name} is not there or no JPEG: {published.AGAIN}") from error
            found[at] = np.clip(np.rint(tf.image.resize(picture, (resolution, resolution)).numpy()), 0, 255)
        return found
