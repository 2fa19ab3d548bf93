"""A made-up folder of sources, in exactly the formats of the published files: what test_published.py runs on.

Nothing in it was trained and no picture, sentence or price is real: figures that come of it mean nothing.
"""

import pathlib
import zipfile

import family  # noqa: F401  (sets thread counts before TensorFlow loads)
import h5py
import keras
import numpy as np
import tensorflow as tf
from keras.src.legacy.saving import legacy_h5_format

import networks
import transfer

SEED = 7
TRAINED_PAIRS, TESTED_PAIRS = 70, 12
CLASSES, TRAINED_PICTURES, TESTED_PICTURES = 4, 8, 3
COLOURS = np.array([[150, 0, 0], [0, 150, 0], [0, 0, 150], [150, 150, 0]])
HOUSES = 600
WORDS = "the a cat dog bird house river stone old new red sees finds leaves near under".split()


def vocabulary():
    """As many word pieces as BERT has, the special ones at their places."""
    words = ["[PAD]"] + [f"[unused{n}]" for n in range(99)] + ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += ['"', ".", ",", "##s", "cafe"] + WORDS
    return words + [f"madeup{n}" for n in range(networks.VOCABULARY - len(words))]


def variables(depth, width):
    """The variables of a checkpoint by their published names, drawn so that no two can be taken for each other."""
    rng = np.random.default_rng(SEED)
    found = {}

    def draw(name, *shape, mean=0.0, deviation=0.05):
        found[name] = rng.normal(mean, deviation, shape).astype(np.float32)

    def dense(name, before, after):
        draw(f"{name}/kernel", before, after, deviation=before**-0.5)
        draw(f"{name}/bias", after)

    def norm(name):
        draw(f"{name}/gamma", width, mean=1.0, deviation=0.1)
        draw(f"{name}/beta", width, deviation=0.1)

    tables = {"word": networks.VOCABULARY, "position": networks.POSITIONS, "token_type": networks.SEGMENTS}
    for table, rows in tables.items():
        draw(f"bert/embeddings/{table}_embeddings", rows, width)
    norm("bert/embeddings/LayerNorm")
    for n in range(depth):
        scope = f"bert/encoder/layer_{n}"
        for part in ("self/query", "self/key", "self/value", "output/dense"):
            dense(f"{scope}/attention/{part}", width, width)
        norm(f"{scope}/attention/output/LayerNorm")
        dense(f"{scope}/intermediate/dense", width, 4 * width)
        dense(f"{scope}/output/dense", 4 * width, width)
        norm(f"{scope}/output/LayerNorm")
    dense("bert/pooler/dense", width, width)
    dense("cls/predictions/transform/dense", width, width)
    norm("cls/predictions/transform/LayerNorm")
    draw("cls/predictions/output_bias", networks.VOCABULARY)
    draw("cls/seq_relationship/output_weights", 2, width)
    draw("cls/seq_relationship/output_bias", 2)
    found["global_step"] = np.array(1000, np.int64)
    return found


def miniature(path, depth, width, found, folder):
    """The zip of one size with these variables; `folder` is for the files before they are packed."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, value in found.items():
            tf.compat.v1.get_variable(name, initializer=value)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, f"{folder}/bert_model.ckpt", write_meta_graph=False, write_state=False)
    config = f'''{{"hidden_size": {width}, "hidden_act": "gelu", "initializer_range": 0.02, "vocab_size": {networks.VOCABULARY},
"hidden_dropout_prob": 0.1, "num_attention_heads": {width // networks.HEAD}, "type_vocab_size": 2,
"max_position_embeddings": 512, "num_hidden_layers": {depth}, "intermediate_size": {4 * width},
"attention_probs_dropout_prob": 0.1}}'''
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bert_config.json", config)
        archive.writestr("vocab.txt", "".join(word + "\n" for word in vocabulary()))
        for part in pathlib.Path(folder).glob("bert_model.ckpt.*"):
            archive.write(part, part.name)


def paraphrases(path, count, seed):
    """Pairs in the corpus's format: a byte order mark, a header, tabs, quotation marks that open and never close."""
    rng = np.random.default_rng(seed)
    lines = ["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"]
    for n in range(count):
        first = list(rng.choice(WORDS, rng.integers(4, 12)))
        second = list(rng.permutation(first) if n % 3 else rng.choice(WORDS, rng.integers(4, 12)))
        if n == 1:
            first, second = ['"', "Café"] + first, second * 30
        lines.append(f"{int(n % 3 > 0)}\t{1000 + n}\t{2000 + n}\t{' '.join(first)} .\t{' '.join(second)} .")
    path.write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8")


def pictures(path):
    """The archive: JPEGs of 64x64, every class of its own colour, one of them grey."""
    rng = np.random.default_rng(SEED)
    ids = [f"n{1000 + 7 * n:08}" for n in range(CLASSES)]

    def jpeg(group, grey):
        noise = rng.integers(0, 100, (64, 64, 1 if grey else 3))
        return tf.io.encode_jpeg((noise if grey else noise + COLOURS[group]).astype(np.uint8)).numpy()

    with zipfile.ZipFile(path, "w") as archive:
        put = lambda name, content: archive.writestr(f"tiny-imagenet-200/{name}", content)
        put("wnids.txt", "".join(f"{wnid}\n" for wnid in reversed(ids)))
        put("words.txt", "".join(f"{wnid}\tmade-up thing, made-up object\n" for wnid in ids))
        notes = []
        for group, wnid in enumerate(ids):
            put(f"train/{wnid}/{wnid}_boxes.txt", f"{wnid}_0.JPEG\t0\t0\t63\t63\n")
            for n in range(TRAINED_PICTURES):
                put(f"train/{wnid}/images/{wnid}_{n}.JPEG", jpeg(group, grey=n == 0))
            for n in range(TESTED_PICTURES):
                name = f"val_{len(notes)}.JPEG"
                put(f"val/images/{name}", jpeg(group, grey=False))
                notes.append(f"{name}\t{wnid}\t0\t0\t63\t63\n")
        put("val/val_annotations.txt", "".join(notes))


def efficientnet(path, index, resolution):
    """A file of weights without head, of a seeded net whose normalisations were set from drawn pictures."""
    keras.utils.set_random_seed(SEED)
    build = getattr(keras.applications, f"EfficientNetB{index}")
    model = build(weights=None, include_top=False, input_shape=(resolution, resolution, 3))
    (norm,) = (layer for layer in model.layers if isinstance(layer, keras.layers.Normalization))
    norm.adapt_mean.assign(np.array([0.485, 0.456, 0.406], np.float32))
    norm.adapt_variance.assign(np.array(transfer.DEVIATIONS, np.float32) ** 2)
    norm.finalize_state()
    networks.settle(model, networks.pictures(4, resolution).astype(np.float32))
    norm.adapt_variance.assign(np.array(transfer.DEVIATIONS, np.float32))  # as the published files have it
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


def houses(path):
    """Rows and prices that depend on them, the last row a double of the first."""
    rng = np.random.default_rng(SEED)
    x = np.abs(rng.normal(3.0, 1.0, (HOUSES, networks.HOUSING_FEATURES))).astype(np.float32)
    y = (200_000 + 60_000 * np.tanh(x[:, 0] - x[:, 1]) + 5_000 * rng.normal(size=HOUSES)).astype(np.float32)
    x[-1], y[-1] = x[0], y[0]
    np.savez(path, x=x, y=y)
