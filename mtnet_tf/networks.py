"""The paper's networks (section 6 and the authors' code), as Keras models built from TW cells.

The cells alone determine the method: pass `cell_options` such as `transform=False` or `mask=None`
(see `TWDense`). Nothing else differs between MT-net, T-net, M-net and MAML.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from mtnet_tf.layers import (
    BlockMaxPooling2D,
    ExactLayerNormalization,
    TaskBatchNormalization,
    TWConv2D,
    TWDense,
)

NORMS: dict[str, type[keras.layers.Layer] | None] = {
    "batch_norm": TaskBatchNormalization,
    "layer_norm": ExactLayerNormalization,
    "None": None,
}


# From a number of units to a layer.
LayerFactory = Callable[[int], keras.layers.Layer]


class _Seeds:
    """A new initializer seed at each call, all derived from one seed."""

    def __init__(self, seed: int) -> None:
        self._children = np.random.SeedSequence(seed)

    def __call__(self) -> int:
        return int(self._children.spawn(1)[0].generate_state(1)[0])


def regression_network(
    num_inputs: int = 1,
    num_outputs: int = 1,
    *,
    dim_hidden: Sequence[int] = (40, 40),
    norm: str = "None",
    cell_options: Mapping[str, Any] | None = None,
    after_block: LayerFactory | None = None,
    seed: int = 0,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Sequential:
    """The regression network of section 6.1: 1-40-40-1, ReLU after each hidden T.

    Example:
    >>> regression_network().output_shape
    (None, 1)

    Args:
        num_inputs: D.
        num_outputs: outputs of the last cell.
        dim_hidden: units of the hidden cells.
        norm: "None", "batch_norm" or "layer_norm", after each hidden T.
        cell_options: keyword arguments of `TWDense` (`transform`, `mask`, ...).
        after_block: function from units to a layer that follows each hidden cell and its ReLU, or
            None.
        seed: seed of the initial values.
        dtype: dtype or policy of the layers, None for Keras' default.

    Returns:
        `keras.Sequential`, [n, D] -> [n, num_outputs].

    Raises:
        ValueError: for an unknown `norm`.
    """
    cells = _dense_cells([*dim_hidden, num_outputs], norm, cell_options, after_block, seed, dtype)
    return _sequential((num_inputs,), cells, dtype)


def dense_image_network(
    image_shape: tuple[int, int, int],
    num_ways: int | None,
    *,
    norm: str = "batch_norm",
    cell_options: Mapping[str, Any] | None = None,
    after_block: LayerFactory | None = None,
    seed: int = 0,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Sequential:
    """The authors' network without convolutions: 256-128-64-64 dense cells on flattened images.

    Args:
        image_shape: (H, W, C).
        num_ways: N, number of classes of a task; None omits the last cell.
        norm: "batch_norm", "layer_norm" or "None".
        cell_options: keyword arguments of `TWDense`.
        after_block: see `convolutional_network`.
        seed: seed of the initial values.
        dtype: dtype or policy of the layers, None for Keras' default.

    Returns:
        `keras.Sequential`, [n, H, W, C] -> logits [n, N], or features [n, 64].

    Raises:
        ValueError: for an unknown `norm`.
    """
    sizes: list[int | None] = [256, 128, 64, 64, num_ways]
    cells = _dense_cells(sizes, norm, cell_options, after_block, seed, dtype)
    return _sequential(image_shape, [keras.layers.Flatten(dtype=dtype), *cells], dtype)


def _dense_cells(
    sizes: Sequence[int | None],
    norm: str,
    cell_options: Mapping[str, Any] | None,
    after_block: LayerFactory | None,
    seed: int,
    dtype: Any,
) -> list[keras.layers.Layer]:
    """Cells of these sizes. Nothing follows the last one, which is omitted if its size is None."""
    seeds = _Seeds(seed)
    layers = []
    for before, size in zip([None, *sizes], sizes, strict=False):
        if layers:
            layers += [*_norm(norm, dtype), keras.layers.ReLU(dtype=dtype)]
            layers += [after_block(before)] if after_block and before else []
        if size is None:
            break
        kernel = keras.initializers.TruncatedNormal(stddev=0.01, seed=seeds())
        options = _cell_options(cell_options, 0.1, seeds)
        layers.append(TWDense(size, kernel_initializer=kernel, dtype=dtype, **options))
    return layers


def convolutional_network(
    image_shape: tuple[int, int, int],
    num_ways: int | None,
    *,
    num_filters: int = 64,
    max_pool: bool = False,
    flatten: bool | None = None,
    norm: str = "batch_norm",
    cell_options: Mapping[str, Any] | None = None,
    after_block: LayerFactory | None = None,
    seed: int = 0,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Sequential:
    """Four 3x3 convolutional cells and a dense one, for Omniglot and MiniImagenet.

    Each convolution is followed by normalisation and ReLU, and halves the image: by stride 2
    (Omniglot) or by 2x2 max pooling (MiniImagenet). The input of the dense cell is the mean over
    space (Omniglot), or all remaining pixels (MiniImagenet).

    Example:
    >>> convolutional_network((28, 28, 1), num_ways=5).output_shape
    (None, 5)

    Args:
        image_shape: (H, W, C).
        num_ways: N, number of classes of a task; None omits the last cell, and the outputs are
            features.
        num_filters: channels of each convolution.
        max_pool: pooling instead of strides.
        flatten: all pixels instead of their mean; None: the value of `max_pool`.
        norm: "batch_norm", "layer_norm" or "None".
        cell_options: keyword arguments of `TWConv2D` and `TWDense`.
        after_block: function from filters to a layer that follows each convolution, its ReLU and
            its pooling, or None.
        seed: seed of the initial values.
        dtype: dtype or policy of the layers, None for Keras' default.

    Returns:
        `keras.Sequential`, [n, H, W, C] -> logits [n, N], or features [n, D].

    Raises:
        ValueError: for an unknown `norm`.
    """
    seeds = _Seeds(seed)
    layers = []
    for _ in range(4):
        layers += [
            TWConv2D(
                num_filters,
                3,
                strides=1 if max_pool else 2,
                padding="same",
                kernel_initializer=keras.initializers.GlorotUniform(seed=seeds()),
                dtype=dtype,
                **_cell_options(cell_options, 0.01, seeds),
            ),
            *_norm(norm, dtype),
            keras.layers.ReLU(dtype=dtype),
        ]
        if max_pool:
            layers.append(BlockMaxPooling2D(dtype=dtype))
        layers += [after_block(num_filters)] if after_block else []
    if max_pool if flatten is None else flatten:
        layers.append(keras.layers.Flatten(dtype=dtype))
        kernel = keras.initializers.GlorotUniform(seed=seeds())
    else:
        layers.append(keras.layers.GlobalAveragePooling2D(dtype=dtype))
        kernel = keras.initializers.RandomNormal(stddev=1.0, seed=seeds())
    if num_ways is not None:
        options = _cell_options(cell_options, 0.1, seeds)
        layers.append(TWDense(num_ways, kernel_initializer=kernel, dtype=dtype, **options))
    return _sequential(image_shape, layers, dtype)


def _sequential(
    input_shape: Sequence[int], layers: Sequence[keras.layers.Layer], dtype: Any
) -> keras.Sequential:
    # Inputs are float32 in half-precision policies, too.
    dtype = None if dtype is None else keras.dtype_policies.get(dtype).variable_dtype
    return keras.Sequential([keras.Input(tuple(input_shape), dtype=dtype), *layers])


def _norm(norm: str, dtype: Any) -> list[keras.layers.Layer]:
    if norm not in NORMS:
        raise ValueError(f"`norm` must be one of {list(NORMS)}. Received: norm={norm!r}.")
    kind = NORMS[norm]
    return [] if kind is None else [kind(dtype=dtype)]


def _cell_options(
    cell_options: Mapping[str, Any] | None, stddev: float, seeds: _Seeds
) -> dict[str, Any]:
    """Adds the authors' initial zeta: 0 for unit masks, slightly random for weight masks."""
    options = dict(cell_options or {})
    if options.get("mask", "unit") == "weight":
        random = keras.initializers.TruncatedNormal(stddev=stddev, seed=seeds())
        options.setdefault("mask_initializer", random)
    return options
