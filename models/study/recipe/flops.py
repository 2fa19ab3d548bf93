"""Our multiply-accumulates beside the study's column of FLOPs, and what that column counts, as Markdown tables.

    python flops.py               # EfficientNet is counted on its Keras graph, BERT by its formula
    python flops.py --profile     # counts BERT anew with the tools that give the study's figures to the unit

The study's figures are those of models/published/study-*.toml. `--profile` wants an environment of its own:
pip install tensorflow-cpu==2.15.1 transformers==4.38.2; it downloads no weights.
"""

import argparse
import os
import pathlib
import tomllib

import networks

PUBLISHED = pathlib.Path(__file__).resolve().parents[2] / "published"
# The study's column is that of so many tokens.
TOKENS = 2


def published(name):
    """Variant to row of a published table."""
    return {row["variant"]: row for row in tomllib.loads((PUBLISHED / f"{name}.toml").read_text())["row"]}


def drawn(depth, width):
    """Operations that draw weights: a normal number times its deviation, plus its mean. Biases and gains start constant."""
    tables = (networks.VOCABULARY + networks.POSITIONS + networks.SEGMENTS) * width
    return 2 * (tables + depth * 12 * width**2 + width**2 + 2 * width)


def forward(depth, width):
    """Operations of one inference of TOKENS tokens, as TensorFlow's profiler counts them."""
    t, heads = TOKENS, width // networks.HEAD
    # Two means, the squared difference (2), scale, product, shift (2) and sum; epsilon and root (2) once a token.
    norm = t * (9 * width + 3)
    layer = (
        2 * t * 12 * width**2  # projections and feed-forward
        + 2 * 2 * t**2 * width  # scores and mixture
        + t * 9 * width  # biases
        + 8 * t**2 * heads  # scores: division, mask, a small number, softmax (5)
        + 4 * t * 4 * width  # GELU: halving, division, sum, product; its error function is not counted
        + 2 * (t * width + norm)  # residual sums and normalisation
    )
    embeddings = 2 * t * width + norm
    head = 2 * width**2 + width + 2 * 2 * width + 2
    mask = 2 * t  # 1 - m, times a large number
    bounds = t  # ids are below the vocabulary's size
    return depth * layer + embeddings + head + mask + bounds


def profiled(depth, width):
    """What TensorFlow's profiler says of Hugging Face's graph, weights drawn in the same graph."""
    import tensorflow as tf
    from tensorflow.python.profiler.model_analyzer import profile
    from tensorflow.python.profiler.option_builder import ProfileOptionBuilder
    from transformers import BertConfig, TFBertForSequenceClassification

    config = BertConfig(hidden_size=width, num_hidden_layers=depth, num_attention_heads=width // networks.HEAD,
                        intermediate_size=4 * width)
    graph = tf.Graph()
    with graph.as_default():
        model = TFBertForSequenceClassification(config)
        model(tf.compat.v1.placeholder(tf.int32, [1, TOKENS]))
    options = ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    return profile(graph=graph, options=options).total_float_ops


def bert(profile):
    theirs, wrong = published("study-bert"), []
    print(f"| BERT | our MACs, {networks.SEQUENCE} tokens | the study's FLOPs | of which to draw weights | inference of {TOKENS} tokens |"
          + (" profiler |" if profile else ""))
    print("|---|---:|---:|---:|---:|" + ("---:|" if profile else ""))
    for depth, width in networks.BERT:
        variant = f"l{depth}-h{width}"
        flops, (_, macs) = theirs[variant]["flops"], networks.bert_cost(depth, width)
        parts = drawn(depth, width), forward(depth, width)
        counted = profiled(depth, width) if profile else sum(parts)
        if not flops == sum(parts) == counted:
            wrong.append(variant)
        last = f" {counted:,} |" if profile else ""
        print(f"| {variant} | {macs:,} | {flops:,} | {parts[0]:,} | {parts[1]:,} |{last}", flush=True)
    print(f"\nNot as published: {', '.join(wrong)}" if wrong else "\nAll as published, to the unit.")
    return wrong


def efficientnet():
    import sys

    sys.path.insert(0, str(PUBLISHED.parent / "recipe"))
    import family  # sets thread counts before TensorFlow loads
    import keras

    theirs = published("study-efficientnet")
    print("\n| EfficientNet | our MACs | the study's FLOPs | ours / theirs |")
    print("|---|---:|---:|---:|")
    for index, resolution, *_ in networks.EFFICIENTNET:
        build = getattr(keras.applications, f"EfficientNetB{index}")
        shape = (resolution, resolution, 3)
        _, macs = family.cost(build(weights=None, input_shape=shape, classes=networks.TINY_IMAGENET_CLASSES))
        flops = theirs[f"b{index}"]["macs"]
        print(f"| b{index} | {macs:,} | {flops:,} | {macs / flops:.3f} |")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--profile", action="store_true", help="count BERT with TensorFlow's profiler, instead of EfficientNet")
    asked = ap.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    wrong = bert(asked.profile)
    if not asked.profile:
        efficientnet()
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
