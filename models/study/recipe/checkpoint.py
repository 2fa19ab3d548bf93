"""BERT's published checkpoints: the files in a zip, and their variables in the graph of `networks.bert`."""

import json
import re
import tempfile
import zipfile

import networks
import published

# Inside a zip, at its root or below one folder.
WEIGHTS, CONFIG, VOCABULARY = "bert_model.ckpt", "bert_config.json", "vocab.txt"
OTHER = "fetch the zip of this size"
# What a checkpoint may hold beyond the encoder: heads of the pre-training, its step count, its optimiser's moments.
LEFT_OUT = re.compile(r"cls/.*|global_step|.*/adam_[mv]")
# Names of our variables in a checkpoint.
TABLES = {"token": "word_embeddings", "position": "position_embeddings", "segment": "token_type_embeddings"}
NORM = {"gain": "gamma", "bias": "beta"}


def source(depth, width):
    """The published zip of one size."""
    name = f"uncased_L-{depth}_H-{width}_A-{width // networks.HEAD}.zip"
    return published.Source(
        file=name,
        url=f"https://storage.googleapis.com/bert_models/2020_02_20/{name}",
        what="weights",
        title=f"BERT miniature, {depth} layers of {width}, pre-trained (arXiv 1908.08962)",
        licence="Apache-2.0",
        copyright="Copyright 2018 The Google AI Language Team Authors",
    )


def read(path, name):
    """The bytes of a file in the zip at `path`."""
    try:
        with zipfile.ZipFile(path) as archive:
            for found in archive.namelist():
                if found.rsplit("/", 1)[-1] == name:
                    return archive.read(found)
    except zipfile.BadZipFile as error:
        raise published.Wrong(f"{path}: not a whole zip archive ({error}): {published.AGAIN}") from error
    raise published.Wrong(f"{path}: no {name} inside: {published.AGAIN}")


def vocabulary(path):
    """The word pieces of the zip's vocabulary, in the order of their ids."""
    words = read(path, VOCABULARY).decode().rstrip("\n").split("\n")
    if len(words) != networks.VOCABULARY:
        raise published.Wrong(f"{path}: {VOCABULARY} has {len(words)} word pieces, where {networks.VOCABULARY} are due: "
                              f"{published.AGAIN}")
    return words


def names(model):
    """Name in the checkpoint to variable, of every variable of `networks.bert` but the classifier's."""
    found = {}
    for layer in model.layers:
        if layer.name == "classifier":
            continue
        scope = "bert/" + layer.name.replace(".", "/")
        own = TABLES if layer.name == "embeddings" else NORM if layer.name.endswith("LayerNorm") else {}
        for variable in layer.trainable_variables:
            found[f"{scope}/{own.get(variable.name, variable.name)}"] = variable
    return found


def configured(text, path, depth, width):
    """Compare the zip's own description with the size that is built."""
    due = {"hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": width // networks.HEAD,
           "intermediate_size": 4 * width, "vocab_size": networks.VOCABULARY, "hidden_act": "gelu",
           "max_position_embeddings": networks.POSITIONS, "type_vocab_size": networks.SEGMENTS}
    told = json.loads(text)
    for key, value in due.items():
        if told.get(key) != value:
            raise published.Wrong(f"{path}: {CONFIG} has {key} = {told.get(key)}, where {value} is due: {OTHER}")


def assign(model, reader, path):
    """Set every variable of the model but the classifier's; returns the names of the checkpoint that are left out.

    A variable that is missing, has another shape, or is neither used nor one of LEFT_OUT is refused.
    """
    shapes, used = reader.get_variable_to_shape_map(), names(model)
    for name, variable in used.items():
        if name not in shapes:
            raise published.Wrong(f"{path}: the checkpoint has no variable {name}: {OTHER}")
        if tuple(shapes[name]) != tuple(variable.shape):
            due = list(variable.shape)
            raise published.Wrong(f"{path}: {name} is {shapes[name]} in the checkpoint, where {due} is due: {OTHER}")
    left_out = sorted(shapes.keys() - used.keys())
    if unknown := [name for name in left_out if not LEFT_OUT.fullmatch(name)]:
        raise published.Wrong(f"{path}: the graph has no place for {', '.join(unknown)}: {OTHER}")
    for name, variable in used.items():
        variable.assign(reader.get_tensor(name))
    return left_out


def load(model, path, depth, width):
    """Assign the checkpoint in the zip at `path` to `networks.bert` of this size; returns what `assign` leaves out."""
    import tensorflow as tf

    configured(read(path, CONFIG), path, depth, width)
    with tempfile.TemporaryDirectory() as folder:
        for part in (".index", ".data-00000-of-00001"):
            with open(f"{folder}/{WEIGHTS}{part}", "wb") as file:
                file.write(read(path, WEIGHTS + part))
        try:
            return assign(model, tf.train.load_checkpoint(f"{folder}/{WEIGHTS}"), path)
        except tf.errors.OpError as error:
            raise published.Wrong(f"{path}: {WEIGHTS} is not readable ({error.message}): {published.AGAIN}") from error
