"""Activations, losses and operations: expressions in `x`, and constants for what they are with.

Every name of `keras.activations` and every class of `keras.losses` must occur, or have a reason.
"""

import keras

from .layer_rows import IMAGE, VECTOR, Row

_NOT_ACTIVATIONS = ("get", "serialize", "deserialize")
ACTIVATIONS = sorted(
    name
    for name in dir(keras.activations)
    if not name.startswith("_") and name not in _NOT_ACTIVATIONS
)
# `glu` halves an axis.
_ARGUMENTS = {"threshold": "x, 0.3, -0.2"}
_ACTIVATION_ROWS = [
    Row(f"activations.{name}({_ARGUMENTS.get(name, 'x')})", (6,)) for name in ACTIVATIONS
]

# Losses with the constant for their targets, and the values of the predictions.
_LOSSES = {
    "BinaryCrossentropy()": ("binary", "unit"),
    "BinaryCrossentropy(from_logits=True)": ("binary", "normal"),
    "BinaryCrossentropy(label_smoothing=0.1)": ("binary", "unit"),
    "BinaryFocalCrossentropy()": ("binary", "unit"),
    "BinaryFocalCrossentropy(from_logits=True)": ("binary", "normal"),
    "CategoricalCrossentropy()": ("one_hot", "unit"),
    "CategoricalCrossentropy(from_logits=True)": ("one_hot", "normal"),
    "CategoricalFocalCrossentropy()": ("one_hot", "unit"),
    "CategoricalFocalCrossentropy(from_logits=True)": ("one_hot", "normal"),
    "CategoricalGeneralizedCrossEntropy()": ("numbers", "unit"),
    "CategoricalHinge()": ("one_hot", "normal"),
    "Circle()": ("numbers", "normal"),
    "CosineSimilarity()": ("targets", "normal"),
    "Dice()": ("binary", "unit"),
    "Hinge()": ("signs", "normal"),
    "Huber()": ("targets", "normal"),
    "KLDivergence()": ("probabilities", "unit"),
    "LogCosh()": ("targets", "normal"),
    "MeanAbsoluteError()": ("targets", "normal"),
    "MeanAbsolutePercentageError()": ("targets", "normal"),
    "MeanSquaredError()": ("targets", "normal"),
    "MeanSquaredLogarithmicError()": ("probabilities", "unit"),
    "Poisson()": ("probabilities", "unit"),
    "SparseCategoricalCrossentropy()": ("numbers", "unit"),
    "SparseCategoricalCrossentropy(from_logits=True)": ("numbers", "normal"),
    "SquaredHinge()": ("signs", "normal"),
    "Tversky()": ("binary", "unit"),
}
_LOSS_ROWS = [
    Row(f"losses.{code}({targets}, x)", (3,), values) for code, (targets, values) in _LOSSES.items()
]
_LOSS_ROWS.append(Row("ops.cast(losses.CTC()(sequences, x), 'float32')", (6, 5)))
NOT_APPLICABLE_LOSSES = {"Loss": "abstract"}

_ON_VECTORS = [
    *("ops.var(x, 0)", "ops.std(x, 0)", "ops.moments(x, [0])[1]", "ops.norm(x, axis=1)"),
    *(
        "ops.normalize(x)",
        "ops.logsumexp(x, 1)",
        "ops.softmax(x)",
        "ops.max(x, 1)",
        "ops.min(x, 1)",
    ),
    *("ops.prod(x, 1)", "ops.cumsum(x, 1)", "ops.cumprod(x, 1)", "ops.sort(x)", "ops.median(x, 1)"),
    *("ops.top_k(x, 2)[0]", "ops.take(x, [0, 2], 1)", "ops.tile(x, [1, 2])", "ops.erf(x)"),
    *("ops.matmul(x, ops.transpose(x))", "ops.einsum('ab,cb->ac', x, x)", "ops.outer(x, x)"),
    *("ops.layer_normalization(x)", "ops.rms_normalization(x)", "ops.flip(x)", "ops.roll(x, 1)"),
    *("ops.rfft(x)[0]", "ops.fft((x, x))[1]", "ops.segment_sum(x, numbers, 3)"),
    *("ops.quantile(x, 0.3)", "ops.clip(x, -0.5, 0.5)", "ops.abs(x)", "ops.where(x > 0, x, x * x)"),
    *(
        "ops.logaddexp(x, 2 * x)",
        "ops.arctan2(x, 2.0)",
        "ops.diff(x)",
        "ops.slice(x, [0, 1], [4, 2])",
    ),
    *("tf.nn.moments(x, [0])[1]", "tf.math.reduce_variance(x, 0)", "tf.math.reduce_std(x, 0)"),
    *(
        "tf.nn.l2_normalize(x, 1)",
        "tf.norm(x, axis=1)",
        "tf.slice(x, [0, 1], [4, 2])",
        "tf.tile(x, [1, 2])",
    ),
    *("tf.gather(x, [0, 2])", "tf.gather_nd(x, [[0, 1], [2, 3]])", "tf.nn.softsign(x)"),
    *("tf.quantization.fake_quant_with_min_max_args(x)", "tf.math.segment_mean(x, [0, 0, 1, 1])"),
    "tf.scatter_nd([[0], [2]], x[:2], [4, 5])",
    "tf.tensor_scatter_nd_update(x, [[0]], x[1:2])",
    "tf.clip_by_norm(x, 1.0)",
]
_ON_MATRICES = [
    *("ops.inv(x @ ops.transpose(x) + eye)", "ops.solve(x @ ops.transpose(x) + eye, x)"),
    *("ops.det(x)", "ops.cholesky(x @ ops.transpose(x) + eye)", "ops.slogdet(x)[1]"),
    *("ops.eigh(x + ops.transpose(x))[0]", "ops.svd(x, compute_uv=False)", "ops.qr(x)[1]"),
    "tf.linalg.logdet(x @ ops.transpose(x) + eye)",
]
_ON_IMAGES = [
    *("ops.image.resize(x, (8, 3))", "ops.image.resize(x, (8, 3), 'nearest')"),
    "ops.image.affine_transform(x, affine)",
    *(
        "ops.image.extract_patches(x, 2)",
        "ops.image.gaussian_blur(x)",
        "ops.image.crop_images(x, 1, 1, 1, 1)",
    ),
    *("ops.average_pool(x, 2)", "ops.max_pool(x, 2)", "ops.image.pad_images(x, 1, 1, 1, 1)"),
    *("ops.image.map_coordinates(x[0, ..., 0], grid, 1)", "ops.image.sobel_edges(x)"),
    *(
        "ops.batch_normalization(x, 0.1, 2.0, -1)",
        "ops.depth_to_space(x, 2)",
        "ops.space_to_depth(x, 2)",
    ),
    *(
        "tf.nn.moments(x, [1, 2])[1]",
        "tf.nn.local_response_normalization(x)",
        "tf.image.per_image_standardization(x)",
    ),
    *(
        "tf.image.resize(x, (8, 3))",
        "tf.image.resize(x, (8, 3), 'area')",
        "tf.image.resize(x, (8, 3), antialias=True)",
    ),
    *("tf.image.resize(x, (8, 3), 'gaussian')", "tf.image.resize(x, (8, 3), 'mitchellcubic')"),
    *(
        "tf.image.crop_and_resize(x, [[0.1, 0.1, 0.8, 0.9]], [0], (3, 3))",
        "tf.image.extract_glimpse(x, (2, 2), zeros)",
    ),
    *(
        "tf.nn.max_pool_with_argmax(x, 2, 2, 'VALID')[0]",
        "tf.nn.fractional_max_pool(x, [1, 1.4, 1.4, 1], seed=1)[0]",
    ),
    *(
        "tf.pad(x, pads)",
        "tf.pad(x, pads, 'REFLECT')",
        "tf.pad(x, pads, 'SYMMETRIC')",
        "tf.image.total_variation(x)",
    ),
    "tf.nn.dilation2d(x, x[0, :2, :2], ones, 'VALID', 'NHWC', ones)",
    "tf.compat.v1.nn.fused_batch_norm(x, [1.0] * 4, [0.0] * 4)[0]",
    "tf.image.extract_patches(x, [1, 2, 2, 1], ones, ones, 'VALID')",
    "ops.dot_product_attention(x, x, x)",
]
_ON_COLOURS = [
    *("ops.image.rgb_to_grayscale(x)", "ops.image.rgb_to_hsv(x)", "ops.image.hsv_to_rgb(x)"),
    *(
        "tf.image.adjust_hue(x, 0.1)",
        "tf.image.adjust_saturation(x, 1.3)",
        "tf.image.adjust_contrast(x, 1.3)",
    ),
]

FUNCTION_ROWS: list[Row] = [
    *_ACTIVATION_ROWS,
    *_LOSS_ROWS,
    *(Row(code, VECTOR) for code in _ON_VECTORS),
    *(Row(code, (4,)) for code in _ON_MATRICES),
    *(Row(code, IMAGE if "space" not in code else (4, 4, 4)) for code in _ON_IMAGES),
    *(Row(code, (4, 5, 3), "unit") for code in _ON_COLOURS),
]
