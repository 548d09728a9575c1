"""How exact conversion is and what meta-training a converted model costs, as a Markdown table.

    python benchmarks/conversion.py [--models MobileNetV2 ResNet50] [--steps 3]

For each architecture: the largest difference of the outputs before and after `to_mtnet` (and
after `fold`) in float64 and float32, with random weights and moving statistics; which layers were
converted; seconds per meta-step (2 tasks of 4 pictures, one inner step, all cells adapt, without
XLA) with the tasks flattened into the batch and processed one by one.
"""

import argparse
import collections
import os
import statistics
import sys
import time

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf import Episode, TWLayer, fold, to_mtnet
from mtnet_tf._keras import flatten_layers
from mtnet_tf.layers import find_task_weights
from mtnet_tf.meta import meta_gradients

NUM_CLASSES = 4
MODELS = {
    "MobileNet": {"alpha": 0.25},
    "MobileNetV2": {"alpha": 0.35},
    "MobileNetV3Small": {},
    "EfficientNetB0": {},
    "ResNet50": {},
    "DenseNet121": {},
    "VGG16": {},
}


def trained(name, dtype):
    """An architecture with random weights and moving statistics."""
    keras.config.set_dtype_policy(dtype)
    options = {"weights": None, "classes": NUM_CLASSES, "input_shape": (32, 32, 3)}
    model = getattr(keras.applications, name)(classifier_activation=None, **options, **MODELS[name])
    random = np.random.default_rng(0)
    for variable in model.variables:
        shape = variable.shape
        if len(shape) > 1:
            variable.assign(random.normal(size=shape) / np.sqrt(np.prod(shape[:-1])))
        elif variable.dtype.startswith("float"):
            variable.assign(random.uniform(0.5, 1.5, size=shape))
    return model


def differences(name, dtype):
    """(largest relative difference after conversion, after folding; the converted model)."""
    model = trained(name, dtype)
    x = tf.constant(np.random.default_rng(1).normal(size=(4, 32, 32, 3)), dtype)
    expected = model(x).numpy()
    converted = to_mtnet(model, mask=None)
    found = [np.max(np.abs(m(x) - expected)) for m in (converted, fold(converted))]
    return [f"{value / np.max(np.abs(expected)):.1e}" for value in found], converted


def seconds(model, folded, steps):
    """Median seconds of one meta-step, or why there is none."""
    random = np.random.default_rng(2)
    x = tf.constant(random.normal(size=(2, 2, NUM_CLASSES, 32, 32, 3)), "float32")
    y = tf.tile(tf.range(NUM_CLASSES)[None], [2, 1])
    weights = [w._replace(flattened=folded) for w in find_task_weights(model)]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    parameters = model.trainable_variables

    @tf.function(autograph=False)
    def step():
        options = {"num_inner_steps": 1, "step_size": 0.01, "masks": None}
        episode = Episode(x[0], y, x[1], y)
        return meta_gradients(model, weights, parameters, loss, episode, **options)[0].value

    step()
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        float(step().value)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--steps", type=int, default=3)
    arguments = parser.parse_args()
    header = ["architecture", "float64", "folded back", "float32", "folded back", "converted"]
    header += ["meta-step, folded (s)", "task by task (s)"]
    rows = [header, ["---"] * len(header)]
    for row in rows:
        sys.stdout.write(f"| {' | '.join(row)} |\n")
    for name in arguments.models:
        keras.backend.clear_session()
        double, _ = differences(name, "float64")
        single, model = differences(name, "float32")
        cells = [type(x).__name__ for x in flatten_layers(model) if isinstance(x, TWLayer)]
        counts = ", ".join(f"{n} {kind}" for kind, n in collections.Counter(cells).items())
        times = [f"{seconds(model, way, arguments.steps):.2f}" for way in (True, False)]
        sys.stdout.write(f"| {' | '.join([name, *double, *single, counts, *times])} |\n")
        sys.stdout.flush()
    sys.stdout.write(f"\nload {os.getloadavg()[0]:.2f}\n")


if __name__ == "__main__":
    main()
