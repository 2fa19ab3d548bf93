"""California Housing, and the study's perceptrons trained on it."""

import hashlib
import zipfile

import family
import numpy as np

import containers
import kind
import manifest
import networks
import perceptron
import published
import reference

SOURCE = published.Source(
    file="california_housing.npz",
    url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/california_housing.npz",
    what="data",
    title="California Housing: 20,640 block groups of the 1990 census",
    licence="LicenseRef-StatLib",
    copyright="R. Kelley Pace and Ronald Barry, Sparse Spatial Autoregressions, 1997; from the StatLib repository, where no "
              "licence is stated",
    digest=("sha256", "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"),
    publisher="keras.datasets.california_housing",
)
# The columns of `x`; `y` is the median house value in USD.
FEATURES = ["MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude", "Longitude"]
# Rows whose SHA-256 begins with a byte below this are evaluated: a fifth.
HELD_OUT = 51
# Features are standardised, held within four deviations, and stored as i16.
CLIP = 4.0
SCALE = np.float32(CLIP / 32767)
EPOCHS, BATCH, LEARNING_RATE = 100, 256, 4e-3
CALIBRATED, GOLDEN = 1000, 8


def load(path):
    """Rows [n, 8] and prices [n] of the file, in f64."""
    try:
        with np.load(path, allow_pickle=False) as file:
            x, y = file["x"].astype(np.float64), file["y"].astype(np.float64)
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise published.Wrong(f"{path}: not an .npz with arrays x and y ({error}): {published.AGAIN}") from error
    if x.ndim != 2 or x.shape[1] != len(FEATURES) or y.shape != x.shape[:1]:
        raise published.Wrong(f"{path}: x is {x.shape} and y {y.shape}, where (n, {len(FEATURES)}) and (n,) are due: "
                              f"{published.AGAIN}")
    return x, y


def split(x):
    """Which rows are evaluated: by the SHA-256 of a row's eight numbers, so that equal rows are on one side."""
    return np.array([hashlib.sha256(row.astype("<f8").tobytes()).digest()[0] < HELD_OUT for row in x])


class Housing(kind.Kind):
    """The study's perceptrons."""

    name = "mlp-study"
    metrics = ("r2", "rmse", "mae")
    tolerance = {"absolute": 2e-5, "relative": 1e-4}

    def __init__(self, folder, work, sizes, asked):
        self.folder, self.work, self.keep = folder, work, asked.keep
        x, y = load(folder.path / SOURCE.file)
        held_out = split(x)
        mean, deviation = x[~held_out].mean(axis=0), x[~held_out].std(axis=0)
        standard = np.clip((x - mean) / deviation, -CLIP, CLIP)
        stored = np.rint(standard * (32767 / CLIP)).astype(np.int16)
        self.train, self.evaluated = stored[~held_out].astype(np.float32) * SCALE, stored[held_out]
        self.prices, self.labels = y[~held_out], y[held_out]
        self.mean, self.deviation = self.prices.mean(), self.prices.std()

    @staticmethod
    def sources(sizes):
        return [SOURCE]

    def top(self):
        return {
            "title": '"Median house value of a Californian block group, by multilayer perceptrons"',
            "use_case": '"regression"',
            "licence": '"LicenseRef-StatLib"',
            "notes": manifest.block(
                "The study's grid, trained by this recipe: dense layers with ReLU, He initialisation, mean squared error, Adam "
                f"with cosine decay from {LEARNING_RATE}, less for more than three layers, batches of {BATCH}, {EPOCHS} epochs. "
                f"Every size was trained alike; nothing was chosen by the evaluation set. The {len(self.labels)} evaluated rows are those whose SHA-256 "
                f"(of their eight numbers as f64) begins with a byte below {HELD_OUT}; the other {len(self.prices)} train."
            ),
            "preprocessing": manifest.block(
                "Features are standardised with mean and deviation of the training rows, held within "
                f"{CLIP:g} deviations, and stored as i16. The model's output is the value, standardised the same way; the "
                "dataset's output scale and offset turn it into USD."
            ),
            "dimensions": '["depth", "width"]',
        }

    def quality(self):
        baseline = reference.regression(np.full(len(self.labels), self.mean), self.labels)
        return {
            "metric": '"r2"',
            "direction": '"higher"',
            "unit": '"USD"',
            "baseline_rule": '"always the mean value of the training rows"',
            "baseline": family.table({key: round(baseline[key], 6) for key in self.metrics}),
        }

    def origins(self):
        return [self.folder.origin(SOURCE)]

    def dataset(self, size):
        affine = (float(np.float32(self.deviation)), float(np.float32(self.mean)))
        values = self.labels[:, None].astype(np.float32)
        raw = containers.write_dataset([(self.evaluated, SCALE, 0.0)], values=values, output=affine)
        return manifest.Dataset("rows", raw, len(values), [("house", (len(FEATURES),), FEATURES)])

    def model(self, size):
        weights = self.work / f"{size.name}.npz"
        if not (self.keep and weights.exists()):
            self.work.mkdir(parents=True, exist_ok=True)
            prices = (self.prices - self.mean) / self.deviation
            perceptron.train(size.arguments, self.train, prices, weights, seed=networks.SEED, epochs=EPOCHS,
                             batch=BATCH, rate=LEARNING_RATE)
        return perceptron.trained(len(FEATURES), size.arguments, weights)

    def calibration(self, size):
        count = min(CALIBRATED, len(self.train))
        picked = np.random.default_rng(networks.SEED).choice(len(self.train), count, replace=False)
        return [[self.train[i : i + 1]] for i in picked]

    def golden(self, size):
        """The corners of the input range, its middle, and evaluated rows."""
        top = np.full(len(FEATURES), 32767)
        corners = np.stack([-top, top, 0 * top]).astype(np.int16)
        return [[row] for row in np.concatenate([corners, self.evaluated[:GOLDEN]])]
