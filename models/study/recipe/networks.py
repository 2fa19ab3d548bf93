"""The study's families at full size: sizes and exact architectures."""

import dataclasses

import numpy as np

SEED = 20244

# BERT miniatures (Turc et al. 2019, arXiv 1908.08962), the study's grid: layers x hidden size.
BERT = [(depth, width) for depth in (2, 4, 6, 8, 10) for width in (128, 256, 512, 768)]
# BERT's uncased vocabulary, positions and segments (Devlin et al. 2018, arXiv 1810.04805).
VOCABULARY, POSITIONS, SEGMENTS = 30522, 512, 2
SEQUENCE = 128
HEAD = 64
# The order in which the converter puts the three inputs.
PAIR = ("segments", "ids", "mask")
# Added to the scores of padding. BERT adds -10000: e^-30 leaves as little in f32, and its range still fits int8.
MASKED = -30.0

# EfficientNet (Tan and Le 2019, arXiv 1905.11946): index, resolution; width and depth factors, dropout.
EFFICIENTNET = [
    (0, 224, 1.0, 1.0, 0.2),
    (1, 240, 1.0, 1.1, 0.2),
    (2, 260, 1.1, 1.2, 0.3),
    (3, 300, 1.2, 1.4, 0.3),
    (4, 380, 1.4, 1.8, 0.4),
    (5, 456, 1.6, 2.2, 0.4),
]
TINY_IMAGENET_CLASSES = 200

# California Housing: eight features, one price.
MLP = [(depth, width) for depth in range(1, 11) for width in (32, 64, 128)]
HOUSING_FEATURES = 8


@dataclasses.dataclass(frozen=True)
class Size:
    """One size of a family: its name, its coordinates, and what its architecture is built from."""

    name: str
    coordinates: dict = dataclasses.field(hash=False)
    arguments: tuple


SIZES = {
    "bert-miniatures": [
        Size(f"l{depth}-h{width}", {"depth": depth, "width": width, "heads": width // HEAD}, (depth, width))
        for depth, width in BERT
    ],
    "efficientnet": [
        Size(f"b{index}", {"depth": depth, "width": width, "resolution": side, "dropout": dropout}, (index, side))
        for index, side, width, depth, dropout in EFFICIENTNET
    ],
    "mlp-study": [
        Size(f"d{depth}-w{width}", {"depth": depth, "width": width}, (depth, width)) for depth, width in MLP
    ],
}


def bert(depth, width, batch=1, dropout=0.0):
    """A BERT classifier of sentence pairs: segments, token ids and mask [batch, SEQUENCE] to two logits.

    Layers are named as the scopes of BERT's own checkpoints. `dropout` is for training only.
    """
    import keras
    import tensorflow as tf
    from keras import layers as L
    from keras import ops

    normal = keras.initializers.TruncatedNormal(stddev=0.02)

    class Embeddings(L.Layer):
        """The sum of token, position and segment vectors."""

        def build(self, shapes):
            rows = lambda name, count: self.add_weight(name=name, shape=(count, width), initializer=normal)
            self.token, self.position = rows("token", VOCABULARY), rows("position", POSITIONS)
            self.segment = rows("segment", SEGMENTS)

        def call(self, inputs):
            ids, segments = inputs
            return tf.gather(self.token, ids) + tf.gather(self.segment, segments) + self.position[:SEQUENCE]

    class Norm(L.Layer):
        """Layer normalisation (Keras's own converts to NEG, which has no int8 kernel)."""

        def build(self, shape):
            self.gain = self.add_weight(name="gain", shape=shape[-1:], initializer=keras.initializers.RandomNormal(1.0, 0.1))
            self.bias = self.add_weight(name="bias", shape=shape[-1:], initializer=keras.initializers.RandomNormal(0.0, 0.1))

        def call(self, x):
            centred = x - tf.reduce_mean(x, -1, keepdims=True)
            variance = tf.reduce_mean(centred * centred, -1, keepdims=True)
            return centred * tf.math.rsqrt(variance + 1e-12) * self.gain + self.bias

    class Gelu(L.Layer):
        """The tanh form that BERT's own code uses."""

        def call(self, x):
            return tf.nn.gelu(x, approximate=True)

    def dense(units, name, activation=None):
        return L.Dense(units, activation, kernel_initializer=keras.initializers.VarianceScaling(1.0), name=name)

    def drop(x):
        return L.Dropout(dropout)(x) if dropout else x

    rows = batch or -1

    def split(x):
        return ops.transpose(ops.reshape(x, (rows, SEQUENCE, width // HEAD, HEAD)), (0, 2, 1, 3))

    def attention(x, mask, scope):
        query, key, value = (split(dense(width, f"{scope}.self.{part}")(x)) for part in ("query", "key", "value"))
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) * (HEAD**-0.5) + mask
        mixed = ops.transpose(ops.matmul(drop(ops.softmax(scores)), value), (0, 2, 1, 3))
        return dense(width, f"{scope}.output.dense")(ops.reshape(mixed, (rows, SEQUENCE, width)))

    segments, ids, mask = (keras.Input((SEQUENCE,), batch_size=batch, dtype="int32", name=name) for name in PAIR)
    penalty = (1.0 - ops.cast(ops.reshape(mask, (rows, 1, 1, SEQUENCE)), "float32")) * MASKED
    x = drop(Norm(name="embeddings.LayerNorm")(Embeddings(name="embeddings")([ids, segments])))
    for n in range(depth):
        scope = f"encoder.layer_{n}"
        x = Norm(name=f"{scope}.attention.output.LayerNorm")(x + drop(attention(x, penalty, f"{scope}.attention")))
        # The outer layer is made before the inner one: seeds are drawn in this order.
        outer, inner = dense(width, f"{scope}.output.dense"), dense(4 * width, f"{scope}.intermediate.dense")
        x = Norm(name=f"{scope}.output.LayerNorm")(x + drop(outer(Gelu()(inner(x)))))
    pooled = dense(width, "pooler.dense", "tanh")(x[:, 0, :])
    return keras.Model([segments, ids, mask], dense(2, "classifier")(drop(pooled)))


def bert_cost(depth, width):
    """Parameters, and multiply-accumulates of dense layers and matrix products."""
    layer = 12 * width * width + 13 * width
    parameters = (VOCABULARY + SEQUENCE + SEGMENTS + 2) * width + depth * layer + (width + 1) * width + 2 * (width + 1)
    macs = depth * (SEQUENCE * 12 * width * width + 2 * SEQUENCE * SEQUENCE * width) + width * width + 2 * width
    return parameters, macs


def settle(model, images):
    """Set the statistics of every batch normalisation from `images`, so that activations keep their size in depth.

    Without this, seeded weights fade to one constant output, and golden vectors would prove nothing.
    """
    import keras

    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in norms:
        layer.momentum = 0.0
    model(images, training=True)
    return model


def efficientnet(index, resolution, images):
    """Keras's EfficientNet with 200 classes, on pixels 0 to 255 as Keras takes them."""
    import keras

    build = getattr(keras.applications, f"EfficientNetB{index}")
    model = build(weights=None, input_shape=(resolution, resolution, 3), classes=TINY_IMAGENET_CLASSES)
    return fixed(settle(model, images), resolution)


def fixed(model, resolution):
    """The same net with batch 1."""
    import keras

    inputs = keras.Input((resolution, resolution, 3), batch_size=1)
    return keras.Model(inputs, model(inputs))


def mlp(depth, width):
    import perceptron

    return perceptron.network(HOUSING_FEATURES, depth, width, batch=1)


def pictures(count, resolution):
    """Seeded u8 pictures with structure at several scales, [count, resolution, resolution, 3]."""
    rng = np.random.default_rng(SEED)
    total = np.zeros((count, resolution, resolution, 3))
    for cells in (2, 5, 16, 64):
        coarse = rng.random((count, cells, cells, 3))
        at = np.arange(resolution) * cells // resolution
        total += coarse[:, at][:, :, at]
    return (total * (255 / 4)).astype(np.uint8)


def pairs(count):
    """Seeded sentence pairs of 40 to 128 tokens, the rest padding: arrays in the order of PAIR."""
    rng = np.random.default_rng(SEED)
    found = []
    for _ in range(count):
        length = int(rng.integers(40, SEQUENCE + 1))
        first = length // 2
        ids = np.zeros(SEQUENCE, np.int32)
        ids[:length] = rng.integers(1000, VOCABULARY, length)
        ids[[0, first, length - 1]] = 101, 102, 102  # [CLS] and [SEP] of BERT's vocabulary
        position = np.arange(SEQUENCE)
        mask, segments = position < length, (position > first) & (position < length)
        found.append([segments.astype(np.int32), ids, mask.astype(np.int32)])
    return found
