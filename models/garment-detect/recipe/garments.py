"""garment-detect: the scenes, the architecture and the grid. Everything that decides a number is here."""

import hashlib

import numpy as np

import fashion_mnist

# The grid: channels of the stem x residual blocks a stage.
GRID = [(4, 2), (8, 2), (8, 3), (16, 1), (16, 2), (16, 3)]

SEED = 20243
# Fashion-MNIST's ten classes in five groups that can be told apart at a glance.
CLASSES = ["top", "trouser", "dress", "shoe", "bag"]
GROUP = np.array([0, 1, 0, 2, 0, 3, 0, 3, 4, 3])
SIDE = 48
CELL = 8
CELLS = SIDE // CELL
# Sides of a pasted garment's frame, pixels.
SMALLEST, LARGEST = 16, 28
MOST = 3
# A pixel of a garment is part of it from this value on.
VISIBLE = 12
EVALUATED = 150

RUN_TIME = "7 minutes of processor time on x86-64; 33 minutes on two cores at load 10"
TRAINED = 12000
EPOCHS = 12
BATCH = 64
LEARNING_RATE = 4e-3


def ground(rng):
    """A textured ground: two grids of random patches, stripes or not, and noise; values up to 110."""
    at = np.arange(SIDE)
    coarse, fine = rng.integers(0, 50, (4, 4)), rng.integers(0, 25, (12, 12))
    picture = coarse[at[:, None] // 12, at // 12] + fine[at[:, None] // 4, at // 4]
    slope, period = rng.integers(0, 3, 2), int(rng.integers(3, 9))
    stripes = (slope[0] * at[:, None] + slope[1] * at) // period % 2
    return picture + stripes * rng.integers(0, 16) + rng.integers(0, 20, (SIDE, SIDE))


def overlap(a, b):
    """Area common to two boxes of pixels, over the smaller one's."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    area = lambda c: (c[2] - c[0]) * (c[3] - c[1])
    return max(0, width) * max(0, height) / min(area(a), area(b))


def cell(box):
    """Row and column of the cell that holds the box's centre."""
    return (box[1] + box[3]) // 2 // CELL, (box[0] + box[2]) // 2 // CELL


def scene(rng, images, members):
    """One scene: u8 picture, and for each garment its group and its box (left, top, right, bottom in pixels).

    A box is the extent of the garment's visible pixels where they are pasted, exact by construction. Garments lie in
    different cells and hide at most a fifth of each other; the later one lies on top.
    """
    picture, found = ground(rng), []
    for _ in range(int(rng.integers(1, MOST + 1))):
        group = int(rng.integers(len(CLASSES)))
        image = images[members[group][rng.integers(len(members[group]))]]
        side = int(rng.integers(SMALLEST, LARGEST + 1))
        small = fashion_mnist.resample(image[None], side)[0].astype(np.int64)
        visible = small >= VISIBLE
        rows, columns = np.flatnonzero(visible.any(1)), np.flatnonzero(visible.any(0))
        small = small[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        height, width = small.shape
        for _ in range(20):
            left, top = int(rng.integers(SIDE - width + 1)), int(rng.integers(SIDE - height + 1))
            box = (left, top, left + width, top + height)
            if all(cell(box) != cell(other) and overlap(box, other) <= 0.2 for _, other in found):
                patch = picture[top : top + height, left : left + width]
                patch[:] = np.where(small >= VISIBLE, 55 + small * 200 // 255, patch)
                found.append((group, box))
                break
    return picture.astype(np.uint8), found


def scenes(count, seed, images, labels):
    """`count` scenes drawn from a seed."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(GROUP[labels] == group) for group in range(len(CLASSES))]
    return [scene(rng, images, members) for _ in range(count)]


def load():
    """Training and evaluation scenes, number of test garments left out.

    Training scenes show garments of the source's training half, evaluation scenes those of its test half that do not
    also occur among the training images.
    """
    x, y, tx, ty = fashion_mnist.load()
    seen = {hashlib.sha256(image.tobytes()).digest() for image in x}
    fresh = np.array([hashlib.sha256(image.tobytes()).digest() not in seen for image in tx])
    training = scenes(TRAINED, SEED, x, y)
    return training, scenes(EVALUATED, SEED + 1, tx[fresh], ty[fresh]), int((~fresh).sum())


def slots(found):
    """Box slots of a scene as u16 [MOST, 6], see runner/wire/src/container.rs."""
    rows = np.zeros((MOST, 6), np.uint16)
    rows[:, 0] = 65535
    for row, (group, box) in zip(rows, found):
        row[:5] = [group, *((2 * 65535 * edge + SIDE) // (2 * SIDE) for edge in box)]
    return rows


def targets(found):
    """What the head should say, [CELLS, CELLS, 5 + classes]: presence, centre within the cell, size, group."""
    grid = np.zeros((CELLS, CELLS, 5 + len(CLASSES)), np.float32)
    for group, box in found:
        row, column = cell(box)
        x, y = (box[0] + box[2]) / 2 / CELL - column, (box[1] + box[3]) / 2 / CELL - row
        grid[row, column, :5] = 1, x, y, (box[2] - box[0]) / SIDE, (box[3] - box[1]) / SIDE
        grid[row, column, 5 + group] = 1
    return grid


def network(width, depth, batch=None):
    """Stem, two stages of depthwise-separable residual blocks, each at half the resolution, one block more, and a grid head.

    The head's sigmoids are, for each cell: presence, x and y of the centre within the cell, width and height as a
    share of the picture, and one score a group.
    """
    import keras
    from keras import layers as L

    def norm(x):
        return L.BatchNormalization(momentum=0.9, epsilon=1e-3)(x)

    def block(x, channels, stride):
        y = L.ReLU()(norm(L.DepthwiseConv2D(3, stride, "same", use_bias=False)(x)))
        y = norm(L.Conv2D(channels, 1, use_bias=False)(y))
        if stride == 1:
            y = L.Add()([x, y])
        return L.ReLU()(y)

    inputs = L.Input((SIDE, SIDE, 1), batch_size=batch)
    x = L.ReLU()(norm(L.Conv2D(width, 3, 2, "same", use_bias=False)(inputs)))
    for channels in (2 * width, 4 * width):
        x = block(x, channels, 2)
        for _ in range(depth):
            x = block(x, channels, 1)
    x = block(x, 4 * width, 1)
    x = L.Conv2D(5 + len(CLASSES), 1, activation="sigmoid")(x)
    return keras.Model(inputs, x)


def loss(wanted, said):
    """Cross-entropy of presence everywhere, and of groups and boxes where a garment is."""
    import tensorflow as tf

    entropy = lambda w, s: -(w * tf.math.log(s + 1e-6) + (1 - w) * tf.math.log(1 - s + 1e-6))
    there = wanted[..., :1]
    presence = tf.reduce_sum(entropy(there, said[..., :1]), (1, 2, 3))
    groups = tf.reduce_sum(there * entropy(wanted[..., 5:], said[..., 5:]), (1, 2, 3))
    boxes = tf.reduce_sum(there * tf.abs(wanted[..., 1:5] - said[..., 1:5]), (1, 2, 3))
    return presence + groups + 5 * boxes


def pictures(drawn):
    return np.stack([picture for picture, _ in drawn])


def train(size, drawn, out):
    """Train one size from its seed; weights go to `out`."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(SEED)
    model = network(*size)
    x = pictures(drawn).astype(np.float32)[..., None] / np.float32(255)
    y = np.stack([targets(found) for _, found in drawn])
    steps = EPOCHS * (len(x) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    model.compile(optimizer=keras.optimizers.AdamW(schedule, weight_decay=1e-4), loss=loss)
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=SEED)
    model.fit(data.batch(BATCH, drop_remainder=True).prefetch(2), epochs=EPOCHS, verbose=2)
    model.save_weights(out)


def trained(size, weights):
    """The Keras model with batch 1 holding the weights that `train` wrote."""
    model = network(*size, batch=1)
    model.load_weights(weights)
    return model
