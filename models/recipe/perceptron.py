"""Multilayer perceptrons with ReLU and one output: the graph, and its training in plain numpy."""

import numpy as np


def network(features, depth, width, batch=None):
    """`depth` hidden layers of `width` units: [batch, features] to [batch, 1]."""
    import keras

    inputs = keras.Input((features,), batch_size=batch)
    x = inputs
    for _ in range(depth):
        x = keras.layers.Dense(width, activation="relu", kernel_initializer="he_normal")(x)
    return keras.Model(inputs, keras.layers.Dense(1)(x))


def train(size, x, y, out, *, seed, epochs, batch, rate):
    """Train one size (depth, width) from its seed on inputs [rows, features] and standardised values [rows].

    Weights go to `out`. Plain numpy: for nets this small the bookkeeping of a framework costs more than the arithmetic.
    ReLU, mean squared error, Adam (Kingma and Ba, algorithm 1) with a cosine decay of the rate, which is smaller for
    nets of more than three layers. Initialised after He et al. 2015.
    """
    depth, width = size
    rng = np.random.default_rng(seed)
    x, y = x.astype(np.float32), y.astype(np.float32)[:, None]
    edges = [x.shape[1]] + [width] * depth + [1]
    params = []
    for before, after in zip(edges, edges[1:]):
        params.append(rng.normal(0, np.sqrt(2 / before), (before, after)).astype(np.float32))
        params.append(np.zeros(after, np.float32))
    first, second = [np.zeros_like(p) for p in params], [np.zeros_like(p) for p in params]
    steps_an_epoch = len(x) // batch
    steps, step = epochs * steps_an_epoch, 0
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for k in range(steps_an_epoch):
            rows = order[k * batch : (k + 1) * batch]
            acts = [x[rows]]
            for layer in range(depth + 1):
                z = acts[-1] @ params[2 * layer] + params[2 * layer + 1]
                acts.append(np.maximum(z, 0) if layer < depth else z)
            delta = (acts[-1] - y[rows]) * np.float32(2 / batch)
            grads = [None] * len(params)
            for layer in range(depth, -1, -1):
                grads[2 * layer], grads[2 * layer + 1] = acts[layer].T @ delta, delta.sum(axis=0)
                if layer:
                    delta = (delta @ params[2 * layer].T) * (acts[layer] > 0)
            step += 1
            now = rate / max(1, depth / 3) * (1 + np.cos(np.pi * step / steps)) / 2
            now *= np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            for p, g, m, v in zip(params, grads, first, second):
                m += np.float32(0.1) * (g - m)
                v += np.float32(0.001) * (g * g - v)
                p -= np.float32(now) * m / (np.sqrt(v) + np.float32(1e-8))
    np.savez(out, *params)


def trained(features, size, weights):
    """The Keras model with batch 1 holding the weights that `train` wrote."""
    model = network(features, *size, batch=1)
    with np.load(weights) as stored:
        model.set_weights([stored[f"arr_{i}"] for i in range(len(stored.files))])
    return model
