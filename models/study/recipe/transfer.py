"""EfficientNet: published ImageNet weights, frozen, under a head trained on Tiny ImageNet."""

import hashlib

import family
import numpy as np

import containers
import kind
import manifest
import networks
import published
import reference
import tiny_imagenet

# MD5 of the files without a head, B0 to B5, as keras.applications.efficientnet has them.
HASHES = [
    "50bc09e76180e00e4465e1a485ddc09d", "74c4e6b3e1f6a1eea24c589628592432", "111f8e2ac8aa800a7a99e3239f7bfb39",
    "af6d107764bb5b1abb91932881670226", "ebc24e6d6c33eaebbd558eafbeedf1ba", "38879255a25d3c92d5e44e04ae6cec6f",
]
# Of ImageNet's red, green and blue, as shares of 255.
DEVIATIONS = (0.229, 0.224, 0.225)
# Pictures the head is trained on, and evaluated ones: a set of B5's holds 0.6 MB a picture, and goes through a serial line.
HEAD_IMAGES, EVALUATED = 20_000, 200
EPOCHS, BATCH, LEARNING_RATE = 30, 256, 1e-3
# Pictures whose features are computed, and kept, at a time; and those in memory at once.
CHUNK, AT_ONCE = 1000, 20
CALIBRATED, GOLDEN = 100, 2


def source(index):
    name = f"efficientnetb{index}_notop.h5"
    return published.Source(
        file=name,
        url=f"https://storage.googleapis.com/keras-applications/{name}",
        what="weights",
        title=f"EfficientNet-B{index} without head, trained on ImageNet (arXiv 1905.11946), of keras.applications",
        licence="Apache-2.0",
        copyright="Copyright 2019 The TensorFlow Authors and Keras authors",
        digest=("md5", HASHES[index]),
        publisher="keras.applications.efficientnet",
    )


def base(index, resolution, path):
    """The net up to the average over positions, with the weights at `path`: pixels 0 to 255 to features.

    Keras divides by the root of each channel's deviation once more where it loads these weights itself, since their
    `variance` holds deviations; here that division goes into the variance, and the graph is that of the seeded net.
    """
    import keras

    build = getattr(keras.applications, f"EfficientNetB{index}")
    model = build(weights=None, include_top=False, pooling="avg", input_shape=(resolution, resolution, 3))
    try:
        model.load_weights(path)
    except (OSError, KeyError, ValueError) as error:
        what = f"not the weights of EfficientNetB{index} without head"
        raise published.Wrong(f"{path}: {what} ({error}): {published.AGAIN}") from error
    (norm,) = (layer for layer in model.layers if isinstance(layer, keras.layers.Normalization))
    norm.adapt_variance.assign(norm.adapt_variance * np.array(DEVIATIONS, np.float32))
    norm.finalize_state()
    return model


def features(model, archive, names, folder, keep):
    """The frozen net's features of pictures, f32 [len(names), features]; computed in chunks that are kept in `folder`.

    A chunk's file is named by its pictures, so that it serves any choice that holds the same chunk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    side, found = model.input_shape[1], []
    for start in range(0, len(names), CHUNK):
        chunk = names[start : start + CHUNK]
        path = folder / f"{hashlib.sha256(' '.join(chunk).encode()).hexdigest()[:32]}.npy"
        if not (keep and path.exists()):
            batches = (archive.pictures(chunk[at : at + AT_ONCE], side) for at in range(0, len(chunk), AT_ONCE))
            part = path.with_suffix(".part.npy")
            np.save(part, np.concatenate([model.predict_on_batch(batch.astype(np.float32)) for batch in batches]))
            part.replace(path)
            print(f"{model.name}: features of {start + len(chunk)} of {len(names)} pictures", flush=True)
        found.append(np.load(path))
    return np.concatenate(found)


def train_head(x, y, dropout):
    """A dense layer of logits on features, trained from the seed: kernel and bias."""
    import keras

    keras.utils.set_random_seed(networks.SEED)
    inputs = keras.Input(x.shape[1:])
    dense = keras.layers.Dense(networks.TINY_IMAGENET_CLASSES)
    model = keras.Model(inputs, dense(keras.layers.Dropout(dropout)(inputs)))
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, EPOCHS * -(-len(x) // BATCH))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    for epoch in range(EPOCHS):
        order = np.random.default_rng([networks.SEED, epoch]).permutation(len(x))
        model.fit(x[order], y[order], batch_size=BATCH, shuffle=False, initial_epoch=epoch, epochs=epoch + 1, verbose=0)
    return dense.get_weights()


class Transfer(kind.Kind):
    """EfficientNet B0 to B5."""

    name = "efficientnet"
    metrics = ("top1", "top5", "log_loss")

    def __init__(self, folder, work, sizes, asked):
        self.folder, self.work, self.sizes, self.keep = folder, work, sizes, asked.keep
        self.options = f"--head-images {asked.head_images} --pictures {asked.pictures} "
        self.archive = tiny_imagenet.Archive(folder.path / tiny_imagenet.SOURCE.file)
        self.train = self.archive.choose(self.archive.train, asked.head_images, "--head-images")
        self.evaluated = self.archive.choose(self.archive.val, asked.pictures, "--pictures")
        self.val = {}

    @staticmethod
    def sources(sizes):
        return [tiny_imagenet.SOURCE] + [source(size.arguments[0]) for size in sizes]

    def top(self):
        return {
            "title": '"Pictures of 200 classes told apart by EfficientNet B0 to B5 with a head trained on Tiny ImageNet"',
            "use_case": '"classification"',
            "licence": '"Apache-2.0 AND LicenseRef-ImageNet"',
            "notes": manifest.block(
                "Published ImageNet weights without their head (keras.applications), frozen; a new head of "
                f"{len(self.archive.classes)} classes was trained by this recipe on the features of {len(self.train)} of the "
                f"{len(self.archive.train)} training pictures, equally many of each class, chosen by hash: softmax regression "
                f"with the size's dropout, Adam with cosine decay from {LEARNING_RATE}, {EPOCHS} epochs of batches of {BATCH}, no "
                "augmentation. Tiny ImageNet's pictures were made from ImageNet's: the frozen nets may have been trained on "
                f"larger versions of the evaluated ones. The evaluation set is {len(self.evaluated)} of the "
                f"{len(self.archive.val)} pictures of the validation split, equally many of each class, chosen by hash, classes "
                "alternating so that every prefix is balanced. A comment beside each variant says what its Keras model scores "
                "on the whole split."
            ),
            "preprocessing": manifest.block(
                "Pictures of 64x64 are resized to the variant's resolution (bilinear), rounded, and stored as u8; the model takes "
                "pixels 0 to 255 and normalises them itself."
            ),
            "dimensions": '["depth", "width", "resolution", "dropout"]',
            "classes": family.text(self.archive.classes),
        }

    def quality(self):
        labels = np.array([group for _, group in self.evaluated])
        uniform = np.full((len(labels), len(self.archive.classes)), 1 / len(self.archive.classes))
        baseline = reference.classification(uniform, labels)
        return {
            "metric": '"top1"',
            "direction": '"higher"',
            "baseline_rule": '"the same probability for every class, the first class chosen (all classes are equally frequent)"',
            "baseline": family.table({key: round(baseline[key], 6) for key in self.metrics}),
        }

    def origins(self):
        return [self.folder.origin(source) for source in self.sources(self.sizes)]

    def dataset(self, size):
        side = size.coordinates["resolution"]
        names, labels = zip(*self.evaluated)
        stored = self.archive.pictures(names, side).reshape(len(names), -1)
        raw = containers.write_dataset([(stored, 1.0, 0.0)], classes=(np.array(labels), len(self.archive.classes)))
        return manifest.Dataset(f"val-{side}", raw, len(names), [("picture", (side, side, 3), [])])

    def model(self, size):
        import keras

        index, side = size.arguments
        net, folder = base(index, side, self.folder.path / source(index).file), self.work / size.name

        def seen(split):
            names, labels = zip(*split)
            return features(net, self.archive, names, folder, self.keep), np.array(labels)

        kernel, bias = train_head(*seen(self.train), size.coordinates["dropout"])
        x, labels = seen(self.archive.val)
        self.val[size] = reference.classification(np.asarray(keras.ops.softmax(x @ kernel + bias)), labels)
        inputs = keras.Input((side, side, 3), batch_size=1)
        head = keras.layers.Dense(len(bias), activation="softmax", name="predictions")
        model = keras.Model(inputs, head(net(inputs)))
        head.set_weights([kernel, bias])
        return model

    def calibration(self, size):
        """The first of the training pictures, which are balanced."""
        pictures = self.archive.pictures([name for name, _ in self.train[:CALIBRATED]], size.coordinates["resolution"])
        return [[picture[None].astype(np.float32)] for picture in pictures]

    def golden(self, size):
        """Black, chequered, and evaluated pictures."""
        side = size.coordinates["resolution"]
        chequered = np.broadcast_to((np.indices((side, side)).sum(axis=0) % 2 * 255)[..., None], (side, side, 3))
        drawn = np.stack([0 * chequered, chequered]).astype(np.uint8)
        evaluated = self.archive.pictures([name for name, _ in self.evaluated[:GOLDEN]], side)
        return [[picture.reshape(-1)] for picture in np.concatenate([drawn, evaluated])]

    def remarks(self, size):
        told = ", ".join(f"{key} {self.val[size][key]:.6f}" for key in self.metrics)
        return [f"The Keras model in float, on all {len(self.archive.val)} pictures of the validation split: {told}."]
