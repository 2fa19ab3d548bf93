"""BERT miniatures: published checkpoints, fine-tuned on the paraphrase corpus."""

import family
import numpy as np

import checkpoint
import containers
import kind
import manifest
import mrpc
import networks
import published
import reference

# One of the settings that the miniatures' authors list beside their checkpoints (batches of 8 to 128, rates of 3e-4 to
# 3e-5, four epochs), the same for every size: they chose one for each task and size.
BATCH, LEARNING_RATE, EPOCHS = 32, 1e-4, 4
# As in BERT's own optimization.py and run_classifier.py, but that Keras corrects the bias of the moments.
DROPOUT, WARM_UP, WEIGHT_DECAY, CLIP_NORM = 0.1, 0.1, 0.01, 1.0
CALIBRATED, GOLDEN = 100, 2


def compiled(model, steps):
    """The model with BERT's optimiser: AdamW, a linear warm-up and decay of the rate, no decay of biases and gains."""
    import keras
    import tensorflow as tf

    class Linear(keras.optimizers.schedules.LearningRateSchedule):
        """From 0 to LEARNING_RATE in the first WARM_UP of the steps, back to 0 at the last."""

        def __call__(self, step):
            done = tf.cast(step, tf.float32) / steps
            return LEARNING_RATE * tf.minimum(done / WARM_UP, (1 - done) / (1 - WARM_UP))

    optimizer = keras.optimizers.AdamW(Linear(), weight_decay=WEIGHT_DECAY, epsilon=1e-6, global_clipnorm=CLIP_NORM)
    optimizer.exclude_from_weight_decay([v for v in model.trainable_variables if v.name in ("bias", "gain")])
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


def finetune(size, inputs, labels, archive, out, keep):
    """Fine-tune one size from its checkpoint and its seed; weights of the batch-1 graph go to `out`.

    After each epoch weights and moments are kept beside `out`; with `keep` a broken run goes on there, to the same end.
    """
    import keras

    keras.utils.set_random_seed(networks.SEED)
    model = networks.bert(*size.arguments, batch=None, dropout=DROPOUT)
    left_out = checkpoint.load(model, archive, *size.arguments)
    print(f"{archive.name}: not used: {', '.join(left_out) or 'nothing'}", flush=True)
    classifier = model.get_layer("classifier").kernel
    classifier.assign(keras.initializers.TruncatedNormal(stddev=0.02, seed=networks.SEED)(classifier.shape))
    dropouts = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    an_epoch = -(-len(labels) // BATCH)
    compiled(model, EPOCHS * an_epoch)
    state = out.with_name(f"{size.name}.epoch.weights.h5")
    unfinished = out.with_name(f"{size.name}.part.weights.h5")
    if keep and state.exists():
        model.load_weights(state)
    for epoch in range(int(model.optimizer.iterations) // an_epoch, EPOCHS):
        order = np.random.default_rng([networks.SEED, epoch]).permutation(len(labels))
        for number, layer in enumerate(dropouts):
            layer.seed_generator.state.assign([networks.SEED + number, epoch * an_epoch])
        model.fit([part[order] for part in inputs], labels[order], batch_size=BATCH, shuffle=False, initial_epoch=epoch,
                  epochs=epoch + 1, verbose=2)
        model.save_weights(unfinished)
        unfinished.replace(state)
    plain = networks.bert(*size.arguments)
    for layer in plain.layers:
        if layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    plain.save_weights(unfinished)
    unfinished.replace(out)
    state.unlink()


class Miniatures(kind.Kind):
    """The study's BERT sizes."""

    name = "bert-miniatures"
    metrics = ("top1", "macro_f1", "log_loss")

    def __init__(self, folder, work, sizes, asked):
        self.folder, self.work, self.sizes, self.keep = folder, work, sizes, asked.keep
        self.words = checkpoint.vocabulary(self.archive(sizes[0]))
        for size in sizes[1:]:
            if checkpoint.vocabulary(self.archive(size)) != self.words:
                raise published.Wrong(f"{self.archive(size)}: its vocabulary is not that of {self.archive(sizes[0]).name}: "
                                      "delete both, so that they are fetched anew")
        pairs, self.labels = mrpc.rows(folder, mrpc.TRAIN)
        self.inputs = mrpc.encode(self.words, pairs)
        pairs, self.due = mrpc.rows(folder, mrpc.TEST)
        self.evaluated = mrpc.encode(self.words, pairs)

    @staticmethod
    def sources(sizes):
        return [mrpc.TRAIN, mrpc.TEST] + [checkpoint.source(*size.arguments) for size in sizes]

    def archive(self, size):
        return self.folder.path / checkpoint.source(*size.arguments).file

    def top(self):
        return {
            "title": '"Whether two sentences say the same, by BERT miniatures fine-tuned on MRPC"',
            "use_case": '"language"',
            "licence": '"Apache-2.0 AND LicenseRef-MRPC"',
            "notes": manifest.block(
                f"Published checkpoints (arXiv 1908.08962), fine-tuned by this recipe on the corpus's {len(self.labels)} training "
                f"pairs: {EPOCHS} epochs in batches of {BATCH}, AdamW, rate {LEARNING_RATE} with linear warm-up over {WARM_UP:.0%} "
                f"of the steps and linear decay, dropout {DROPOUT}. That is one of the settings that the checkpoints' authors "
                "list, and the same for every size; they chose among theirs for each. Nothing was chosen by the evaluation set, "
                f"which is the corpus's own test split of {len(self.due)} pairs. Of a checkpoint, only the heads of its "
                "pre-training (cls/), its step count and its optimiser's moments are left out. The graph masks padding with "
                f"{networks.MASKED:g} instead of -10000, in fine-tuning too, and softmax is appended for deployment."
            ),
            "preprocessing": manifest.block(
                "WordPiece by the checkpoint's vocabulary, in lower case, by the package tokenizers: [CLS] first sentence [SEP] "
                f"second [SEP], {networks.SEQUENCE} ids, the longer sentence cut first, padded with [PAD]."
            ),
            "dimensions": '["depth", "width", "heads"]',
            "classes": family.text(mrpc.CLASSES),
        }

    def quality(self):
        shares = np.bincount(self.labels, minlength=2) / len(self.labels)
        baseline = reference.classification(np.tile(shares, (len(self.due), 1)), self.due)
        commoner = mrpc.CLASSES[int(shares.argmax())]
        rule = f"each class with its share in the training pairs, so always `{commoner}`, the commoner"
        return {
            "metric": '"top1"',
            "direction": '"higher"',
            "baseline_rule": family.text(rule),
            "baseline": family.table({key: round(baseline[key], 6) for key in self.metrics}),
        }

    def origins(self):
        return [self.folder.origin(source) for source in self.sources(self.sizes)]

    def attachments(self):
        return {"vocabulary": ("data/vocabulary.txt", "".join(word + "\n" for word in self.words).encode())}

    def dataset(self, size):
        smallest = {"ids": np.int16, "segments": np.uint8, "mask": np.uint8}
        stored = [part.astype(smallest[what]) for what, part in zip(networks.PAIR, self.evaluated)]
        raw = containers.write_dataset([(part, 1.0, 0.0) for part in stored], classes=(self.due, len(mrpc.CLASSES)))
        return manifest.Dataset("pairs", raw, len(self.due), [(what, (networks.SEQUENCE,), []) for what in networks.PAIR])

    def model(self, size):
        import keras

        weights = self.work / f"{size.name}.weights.h5"
        if not (self.keep and weights.exists()):
            self.work.mkdir(parents=True, exist_ok=True)
            finetune(size, self.inputs, self.labels, self.archive(size), weights, self.keep)
        model = networks.bert(*size.arguments)
        model.load_weights(weights)
        return keras.Model(model.inputs, keras.layers.Softmax()(model.outputs[0]))

    def calibration(self, size):
        count = min(CALIBRATED, len(self.labels))
        picked = np.random.default_rng(networks.SEED).choice(len(self.labels), count, replace=False)
        return [[part[i : i + 1] for part in self.inputs] for i in picked]

    def golden(self, size):
        """A pair of empty sentences, one without padding, and evaluated pairs."""
        drawn = mrpc.encode(self.words, [("", ""), ("word " * networks.SEQUENCE,) * 2])
        both = [np.concatenate([ours, part[:GOLDEN]]) for ours, part in zip(drawn, self.evaluated)]
        return [list(sample) for sample in zip(*both)]
