"""The study's families with seeded weights: cost axes only, nothing is downloaded."""

import family
import numpy as np

import containers
import kind
import manifest
import networks

# Inputs that set activation ranges, and inputs of the golden vectors, which are also the data of the windows.
CALIBRATED, GOLDEN = 8, 2
UNMEASURED = "quality not measured: seeded weights"
ARCHITECTURES = {
    "bert-miniatures": ("BERT miniatures, arXiv 1908.08962 and 1810.04805", "language"),
    "efficientnet": ("EfficientNet B0 to B5, arXiv 1905.11946, as in keras.applications", "classification"),
    "mlp-study": ("Multilayer perceptrons of Future Internet 16(12):468", "regression"),
}


class Seeded(kind.Kind):
    """Any of the three: drawn weights on drawn inputs."""

    tolerance = {"absolute": 1e-3, "relative": 1e-2}

    def __init__(self, name):
        self.name = name

    def top(self):
        title, use_case = ARCHITECTURES[self.name]
        return {
            "title": family.text(title),
            "use_case": family.text(use_case),
            "licence": '"MIT OR Apache-2.0"',
            "notes": family.text(f"Seeded weights: cost axes only. {UNMEASURED}."),
            "dimensions": family.text(list(networks.SIZES[self.name][0].coordinates)),
            "weights": '"seeded"',
        }

    def quality(self):
        metric, direction = {"mlp-study": ("mse", "lower")}.get(self.name, ("top1", "higher"))
        return {
            "metric": family.text(metric),
            "direction": family.text(direction),
            "baseline_rule": family.text(UNMEASURED),
            "baseline": "{}",
        }

    def origins(self):
        title, _ = ARCHITECTURES[self.name]
        source = "built by the recipe; no weights are taken"
        return [manifest.origin("architecture", title, source, "MIT OR Apache-2.0", "Copyright the scalebench authors")]

    def drawn(self, size):
        """The name of the size's dataset, its samples (a list of arrays each), and its inputs as a manifest has them."""
        count = CALIBRATED + GOLDEN
        if self.name == "bert-miniatures":
            return "pairs", networks.pairs(count), [(what, (networks.SEQUENCE,), []) for what in networks.PAIR]
        if self.name == "efficientnet":
            side = size.coordinates["resolution"]
            pictures = networks.pictures(count, side)
            return f"pictures-{side}", [[picture] for picture in pictures], [("picture", (side, side, 3), [])]
        rows = np.random.default_rng(networks.SEED).normal(size=(count, networks.HOUSING_FEATURES)).astype(np.float32)
        return "rows", [[row] for row in rows], [("house", (networks.HOUSING_FEATURES,), [])]

    def dataset(self, size):
        name, samples, inputs = self.drawn(size)
        stored = [np.stack([sample[i].reshape(-1) for sample in samples[CALIBRATED:]]) for i in range(len(inputs))]
        raw = containers.write_dataset([(data, 1.0, 0.0) for data in stored])
        return manifest.Dataset(name, raw, GOLDEN, inputs)

    def model(self, size):
        if self.name == "efficientnet":
            index, side = size.arguments
            return networks.efficientnet(index, side, networks.pictures(CALIBRATED, side).astype(np.float32))
        return (networks.bert if self.name == "bert-miniatures" else networks.mlp)(*size.arguments)

    def calibration(self, size):
        return [
            [part[None] if part.dtype == np.int32 else part.astype(np.float32)[None] for part in sample]
            for sample in self.drawn(size)[1][:CALIBRATED]
        ]

    def golden(self, size):
        return [[part.reshape(-1) for part in sample] for sample in self.drawn(size)[1][CALIBRATED:]]
