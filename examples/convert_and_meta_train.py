"""Converts a Keras model and meta-trains it on images, which are in one folder per class.

python examples/convert_and_meta_train.py [FOLDER]      without FOLDER, images are drawn
"""

import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from data_prep import ensure_folder, load_packed
from mtnet_tf import FewShotCrossentropy, ImageClasses, MetaLearner, to_mtnet


def draw_images(folder, rng, num_classes=24, num_images=8):
    """Draws 24 classes of stripes, which differ in direction, width and colour."""
    y, x = np.mgrid[:48, :48]
    for number in range(num_classes):
        (Path(folder) / f"stripes{number:02d}").mkdir(parents=True)
        angle, width = rng.uniform(0, np.pi), rng.uniform(0.3, 1.0)
        colour = rng.uniform(60, 255, 3)
        for i in range(num_images):
            phase = rng.uniform(0, 6)
            waves = np.sin(width * (x * np.cos(angle) + y * np.sin(angle)) + phase)
            noise = rng.uniform(0, 40, (48, 48, 3))
            pixels = (waves[..., None] > 0) * colour * 0.8 + noise
            Image.fromarray(pixels.astype("uint8")).save(
                Path(folder) / f"stripes{number:02d}" / f"{i}.png"
            )


def main(folder=None, num_iterations=150, side=20):
    """Trains on the training classes and evaluates on new ones."""
    with tempfile.TemporaryDirectory() as scratch:
        if folder is None:
            folder = f"{scratch}/images"
            draw_images(folder, np.random.default_rng(0))
        packed = ensure_folder(folder, side, grey=False, packed_dir=f"{scratch}/packed")
        splits = [load_packed(packed / split) for split in ("train", "test")]
        options = {"num_ways": 3, "num_shots": 1, "num_queries": 3}
        train, test = (ImageClasses(np.array(s.images), s.counts, **options) for s in splits)
    layers = [keras.Input((side, side, 3))]
    for _ in range(2):
        layers += [keras.layers.Conv2D(16, 3, strides=2), keras.layers.BatchNormalization()]
        layers += [keras.layers.ReLU()]
    model = keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(3)])
    learner = MetaLearner(to_mtnet(model), step_size=0.1)
    adam = keras.optimizers.Adam(0.003)
    learner.compile(adam, FewShotCrossentropy(1), metrics=["accuracy"], jit_compile=False)
    learner.fit(train, batch_size=4, steps_per_epoch=num_iterations, verbose=2)
    scores = learner.evaluate(test, batch_size=4, steps=25, verbose=0, return_dict=True)
    sys.stdout.write(f"Accuracy on new classes after one step: {scores['accuracy']:.2f}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
