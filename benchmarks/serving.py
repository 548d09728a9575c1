"""A served learner: size of the SavedModel, latency of `adapt_and_predict`, agreement with Python.

    python benchmarks/serving.py [--calls 100]

Omniglot's network (28x28, 64 filters, MT-net), untrained, 5-way 1-shot, one query per class.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from mtnet_tf import FewShotCrossentropy, MetaLearner, networks
from mtnet_tf.adaptation import Adapter


def timed(function, inputs, calls):
    """Seconds of each call, after three that warm up."""
    seconds = []
    for i in range(calls + 3):
        start = time.perf_counter()
        for output in function(**inputs).values():
            output.numpy()
        if i >= 3:
            seconds.append(time.perf_counter() - start)
    return np.median(seconds), np.percentile(seconds, 95)


def main():
    """Prints the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=100)
    calls = parser.parse_args().calls
    learner = MetaLearner(networks.convolutional_network((28, 28, 1), 5), 0.4)
    learner.compile("adam", FewShotCrossentropy(1))
    rng = np.random.default_rng(0)
    pictures = tf.constant(rng.integers(0, 2, (2, 1, 5, 28, 28, 1)), tf.float32)
    inputs = {"support_x": pictures[0], "support_y": tf.range(5)[None], "query_x": pictures[1]}
    with tempfile.TemporaryDirectory() as folder:
        path = learner.export(Path(folder) / "1")
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        signatures = tf.saved_model.load(path).signatures
        served = signatures["adapt_and_predict"](**inputs)["probabilities"]
        median, p95 = timed(signatures["adapt_and_predict"], inputs, calls)
        learned = signatures["adapt"](**{k: inputs[k] for k in ("support_x", "support_y")})
        known = {"query_x": inputs["query_x"], **learned}
        alone, alone_p95 = timed(signatures["predict"], known, calls)
    adapter = Adapter(learner)
    adapted = adapter.adapt(inputs["support_x"], inputs["support_y"])
    ours = tf.nn.softmax(adapter.predict(adapted, inputs["query_x"]))
    sys.stdout.write(
        f"SavedModel: {size / 2**20:.2f} MiB\n"
        f"adapt_and_predict: median {1e3 * median:.1f} ms, p95 {1e3 * p95:.1f} ms\n"
        f"predict, adapted before: median {1e3 * alone:.1f} ms, p95 {1e3 * alone_p95:.1f} ms\n"
        f"largest difference from Python: {np.abs(served - ours).max():.1e}\n"
        f"{calls} calls each, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n"
    )


if __name__ == "__main__":
    main()
