"""Every public layer, with arguments and an input, for the tests that hold for all of them."""

from mtnet_tf import layers

# (layer class, arguments, input shape without the batch)
TABLE = [
    (layers.TWDense, {"units": 3}, (4,)),
    (layers.TWDense, {"units": 3, "mask": "weight", "activation": "tanh"}, (5, 4)),
    (layers.TWDense, {"units": 3, "mask": None, "transform": False, "use_bias": False}, (4,)),
    (layers.TWConv2D, {"filters": 3, "kernel_size": 3}, (7, 6, 2)),
    (layers.TWConv2D, {"filters": 3, "kernel_size": (3, 2), "padding": "same"}, (7, 6, 2)),
    (layers.TWConv2D, {"filters": 3, "kernel_size": 3, "padding": "same", "strides": 2}, (7, 6, 2)),
    (layers.TWConv2D, {"filters": 3, "kernel_size": 2, "strides": (2, 3)}, (7, 6, 2)),
    (layers.TWConv2D, {"filters": 3, "kernel_size": 3, "dilation_rate": 2}, (7, 6, 2)),
    (
        layers.TWConv2D,
        {"filters": 3, "kernel_size": 3, "dilation_rate": 2, "padding": "same", "mask": "weight"},
        (7, 6, 2),
    ),
    (layers.TWConv2D, {"filters": 3, "kernel_size": (3, 2), "groups": 3, "strides": 2}, (7, 6, 6)),
    (
        layers.TWConv2D,
        {"filters": 3, "kernel_size": 3, "groups": 3, "padding": "same", "mask": "weight"},
        (5, 4, 3),
    ),
    (layers.TWConv1D, {"filters": 3, "kernel_size": 3, "padding": "same"}, (7, 2)),
    (
        layers.TWConv1D,
        {"filters": 3, "kernel_size": 2, "groups": 3, "padding": "causal", "dilation_rate": 2},
        (7, 6),
    ),
    (
        layers.TWConv1D,
        {"filters": 3, "kernel_size": 2, "padding": "causal", "dilation_rate": 2},
        (7, 2),
    ),
    (
        layers.TWConv1D,
        {"filters": 3, "kernel_size": 3, "padding": "causal", "strides": 2, "mask": "weight"},
        (7, 2),
    ),
    (layers.TWDepthwiseConv2D, {"kernel_size": 3, "padding": "same", "strides": 2}, (7, 7, 3)),
    (layers.TWDepthwiseConv2D, {"kernel_size": (3, 2), "depth_multiplier": 3}, (7, 6, 1)),
    (
        layers.TWDepthwiseConv2D,
        {"kernel_size": 2, "dilation_rate": 2, "mask": "weight", "activation": "tanh"},
        (7, 6, 3),
    ),
    (layers.TaskBatchNormalization, {}, (5, 4, 3)),
    (layers.TaskBatchNormalization, {"axis": 1, "scale": True, "center": False}, (3, 4, 2)),
    (layers.TaskBatchNormalization, {"frozen": True, "scale": True}, (5, 4, 3)),
    (layers.TaskBatchNormalization, {"moving_statistics": True}, (3,)),
    (layers.ExactLayerNormalization, {"epsilon": 1e-6}, (5, 4, 3)),
    (layers.ExactLayerNormalization, {"axis": -1, "epsilon": 1e-3}, (5, 3)),
    (layers.ExactLayerNormalization, {"axis": [1, 2], "scale": False}, (5, 4, 3)),
    (layers.ExactLayerNormalization, {"axis": -1, "rms_scaling": True}, (5, 3)),
    (layers.ExactGroupNormalization, {"groups": 2}, (5, 4, 6)),
    (layers.ExactGroupNormalization, {"groups": 2, "axis": 1, "center": False}, (6, 4)),
    (layers.ExactGroupNormalization, {"groups": -1, "epsilon": 1e-5}, (5, 4, 3)),
    (layers.BlockMaxPooling2D, {"pool_size": 2}, (5, 4, 3)),
    (layers.ExactResizing, {"height": 4, "width": 6}, (5, 4, 3)),
    (
        layers.ExactResizing,
        {"height": 8, "width": 6, "interpolation": "bicubic", "pad_to_aspect_ratio": True},
        (5, 4, 3),
    ),
    (layers.ExactUpSampling2D, {"size": (2, 3), "interpolation": "bilinear"}, (5, 4, 3)),
    (layers.MaskLogits, {"shape": (3,), "temperature": 0.5, "hard": False}, (3,)),
]
