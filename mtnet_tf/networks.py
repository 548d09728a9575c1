"""The paper's networks (section 6 and the authors' code), as Keras models built from cells.

Which method a network belongs to is decided by its cells alone: pass `cell_options` such as
`transform=False` or `mask=None` (see `TWDense`). Nothing else differs between MT-net, T-net,
M-net and MAML.
"""

import keras
import numpy as np

from mtnet_tf.layers import (
    BlockMaxPooling2D,
    ExactLayerNormalization,
    TaskBatchNormalization,
    TWConv2D,
    TWDense,
)

NORMS = {
    "batch_norm": TaskBatchNormalization,
    "layer_norm": ExactLayerNormalization,
    "None": None,
}


class _Seeds:
    """A new initializer seed at each call, all from one seed."""

    def __init__(self, seed):
        self._children = np.random.SeedSequence(seed)

    def __call__(self):
        return int(self._children.spawn(1)[0].generate_state(1)[0])


def regression_network(
    num_inputs=1,
    num_outputs=1,
    *,
    dim_hidden=(40, 40),
    norm="None",
    cell_options=None,
    after_block=None,
    seed=0,
    dtype=None,
):
    """The regression network of section 6.1: 1-40-40-1, ReLU after each hidden T.

    Args:
      num_inputs: D.
      num_outputs: outputs of the last cell.
      dim_hidden: units of the hidden cells.
      norm: "None", "batch_norm" or "layer_norm", after each hidden T.
      cell_options: dict, keyword arguments of `TWDense` (`transform`, `mask`, ...).
      after_block: function from units to a layer that follows each hidden cell and its ReLU, or
        None.
      seed: of the initial values.
      dtype: dtype or policy of the layers, None for Keras' default.

    Returns:
      `keras.Sequential`, [n, D] -> [n, num_outputs].
    """
    cells = _dense_cells([*dim_hidden, num_outputs], norm, cell_options, after_block, seed, dtype)
    return _sequential((num_inputs,), cells, dtype)


def dense_image_network(
    image_shape,
    num_ways,
    *,
    norm="batch_norm",
    cell_options=None,
    after_block=None,
    seed=0,
    dtype=None,
):
    """The authors' `--conv=False` network: 256-128-64-64 dense cells on flattened pictures.

    Args and returns: as `convolutional_network`.
    """
    sizes = [256, 128, 64, 64, num_ways]
    cells = _dense_cells(sizes, norm, cell_options, after_block, seed, dtype)
    return _sequential(image_shape, [keras.layers.Flatten(dtype=dtype), *cells], dtype)


def _dense_cells(sizes, norm, cell_options, after_block, seed, dtype):
    """Cells of these sizes; the last one has nothing after it, and is left out where None."""
    seeds = _Seeds(seed)
    layers = []
    for before, size in zip([None, *sizes], sizes, strict=False):
        if layers:
            layers += [*_norm(norm, dtype), keras.layers.ReLU(dtype=dtype)]
            layers += [after_block(before)] if after_block else []
        if size is None:
            break
        kernel = keras.initializers.TruncatedNormal(stddev=0.01, seed=seeds())
        options = _cell_options(cell_options, 0.1, seeds)
        layers.append(TWDense(size, kernel_initializer=kernel, dtype=dtype, **options))
    return layers


def convolutional_network(
    image_shape,
    num_ways,
    *,
    num_filters=64,
    max_pool=False,
    flatten=None,
    norm="batch_norm",
    cell_options=None,
    after_block=None,
    seed=0,
    dtype=None,
):
    """Four 3x3 convolutional cells and a dense one, for Omniglot and MiniImagenet.

    Each convolution is followed by normalisation and ReLU, and halves the picture: by stride 2
    (Omniglot) or by 2x2 max pooling (MiniImagenet). The dense cell sees the mean over space
    (Omniglot) or every pixel that is left (MiniImagenet).

    Args:
      image_shape: (H, W, C).
      num_ways: N, number of classes of a task; None leaves the last cell out, and the outputs
        are features.
      num_filters: channels of each convolution.
      max_pool: pooling instead of strides.
      flatten: every pixel instead of their mean; None: as `max_pool`.
      norm: "batch_norm", "layer_norm" or "None".
      cell_options: dict, keyword arguments of `TWConv2D` and `TWDense`.
      after_block: function from filters to a layer that follows each convolution, its ReLU and
        its pooling, or None.
      seed: of the initial values.
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


def _sequential(input_shape, layers, dtype):
    # Half-precision policies still take float32 pictures and points.
    dtype = None if dtype is None else keras.dtype_policies.get(dtype).variable_dtype
    return keras.Sequential([keras.Input(tuple(input_shape), dtype=dtype), *layers])


def _norm(norm, dtype):
    if norm not in NORMS:
        raise ValueError(f"`norm` must be one of {list(NORMS)}. Received: norm={norm!r}.")
    return [NORMS[norm](dtype=dtype)] if NORMS[norm] else []


def _cell_options(cell_options, stddev, seeds):
    """Adds the authors' initial zeta: 0 for unit masks, slightly random for weight masks."""
    options = dict(cell_options or {})
    if options.get("mask", "unit") == "weight":
        random = keras.initializers.TruncatedNormal(stddev=stddev, seed=seeds())
        options.setdefault("mask_initializer", random)
    return options
