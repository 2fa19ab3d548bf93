"""fashion-cnn: the data, the architecture and the grid. Everything that decides a number is here."""

import hashlib

import numpy as np

from fashion_mnist import load as source
from fashion_mnist import resample

# The grid: compound scaling of resolution (pixels a side), width (channels after the stem) and
# depth (blocks a stage). The second line of sizes adds squeeze-excite to every block.
SIZES = [
    # name, resolution, width, depth, squeeze_excite
    ("s0", 14, 4, 1, 0),
    ("s1", 14, 8, 1, 0),
    ("s2", 20, 8, 2, 0),
    ("s3", 20, 16, 2, 0),
    ("s4", 28, 16, 3, 0),
    ("s5", 28, 32, 3, 0),
    ("s1-se", 14, 8, 1, 1),
    ("s3-se", 20, 16, 2, 1),
]

SEED = 20240
CLASSES = ["t-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
# Seconds of training as logged, summed; the cores were shared with compilers all the while.
RUN_TIME = "50 minutes of training on two x86-64 cores at load 8 to 13; not timed on an idle machine"
EVALUATED = 1000
EPOCHS = 5
BATCH = 128


def load():
    """Training images and labels, evaluation images and labels, number of test images left out.

    The split is the data set's own. From its 10,000 test images the evaluation set takes 100 of each
    class, those with the smallest SHA-256 of their pixels, leaving out every image that also occurs
    in the training half or twice in the test half. Classes alternate, so that every prefix is balanced.
    """
    x, y, tx, ty = source()
    seen = {hashlib.sha256(i.tobytes()).digest() for i in x}
    by_class = [[] for _ in CLASSES]
    left_out = 0
    for k, image in enumerate(tx):
        digest = hashlib.sha256(image.tobytes()).digest()
        if digest in seen:
            left_out += 1
            continue
        seen.add(digest)
        by_class[ty[k]].append((digest, k))
    each = EVALUATED // len(CLASSES)
    ranked = [sorted(c)[:each] for c in by_class]
    chosen = [ranked[c][r][1] for r in range(each) for c in range(len(CLASSES))]
    return x, y, tx[chosen], ty[chosen], left_out


def network(resolution, width, depth, squeeze_excite, batch=None):
    """Stem, two stages of depthwise-separable blocks with residual adds, one pooled map, logits.

    Plain layers only: the whole-map mean is an average pool and a reshape, since not every engine
    computes TFLite's MEAN.
    """
    import keras
    from keras import layers as L

    def norm(x):
        return L.BatchNormalization(momentum=0.9, epsilon=1e-3)(x)

    def squeeze(x):
        side, channels = x.shape[1], x.shape[3]
        s = L.AveragePooling2D(side)(x)
        s = L.Conv2D(max(4, channels // 4), 1, activation="relu")(s)
        s = L.Conv2D(channels, 1, activation="sigmoid")(s)
        return L.Multiply()([x, s])

    def block(x, channels, stride):
        y = L.DepthwiseConv2D(3, stride, "same", use_bias=False)(x)
        y = L.ReLU()(norm(y))
        if squeeze_excite:
            y = squeeze(y)
        y = norm(L.Conv2D(channels, 1, use_bias=False)(y))
        if stride == 1 and x.shape[3] == channels:
            y = L.Add()([x, y])
        return L.ReLU()(y)

    inputs = L.Input((resolution, resolution, 1), batch_size=batch)
    x = L.ReLU()(norm(L.Conv2D(width, 3, 2, "same", use_bias=False)(inputs)))
    for _ in range(depth):
        x = block(x, width, 1)
    x = block(x, 2 * width, 2)
    for _ in range(depth):
        x = block(x, 2 * width, 1)
    x = L.AveragePooling2D(x.shape[1])(x)
    # A dense layer as a 1x1 convolution: the converter would fold the reshape into FULLY_CONNECTED,
    # whose input then has four dimensions, and not every engine takes that.
    x = L.Conv2D(len(CLASSES), 1)(x)
    return keras.Model(inputs, L.Reshape((len(CLASSES),))(x))


def train(size, x, y, out):
    """Train one size from its seed; weights go to `out`."""
    import keras
    import tensorflow as tf

    name, resolution, width, depth, squeeze_excite = size
    keras.utils.set_random_seed(SEED)
    model = network(resolution, width, depth, squeeze_excite)
    images = resample(x, resolution).astype(np.float32)[..., None] / np.float32(255)
    steps = EPOCHS * (len(images) // BATCH)
    model.compile(
        optimizer=keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(6e-3, steps), weight_decay=1e-4),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    data = tf.data.Dataset.from_tensor_slices((images, y.astype(np.int32)))
    data = data.shuffle(len(images), seed=SEED).batch(BATCH, drop_remainder=True).prefetch(2)
    model.fit(data, epochs=EPOCHS, verbose=2)
    model.save_weights(out)


def trained(size, weights):
    """The Keras model with batch 1 and softmax, holding the weights that `train` wrote."""
    import keras

    model = network(*size[1:], batch=1)
    model.load_weights(weights)
    return keras.Model(model.inputs, keras.layers.Softmax()(model.outputs[0]))
