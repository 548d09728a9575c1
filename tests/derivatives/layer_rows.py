"""Every class of `keras.layers` and the options that change what it computes.

A row is an expression in the namespace of `keras.layers`, and what the layer is called on. Names
that a version of Keras lacks are skipped; a class that no row and no reason names fails a test.
"""

from typing import NamedTuple


class Row(NamedTuple):
    """A layer or function and the inputs of its check.

    Attributes:
        code: expression for a layer, or for a function of tensors.
        shapes: shape of the input without the batch, or a list of shapes of several inputs.
        values: "normal", "image" (0 to 255), "unit" (0 to 1), "integer" (below 4) or
            "close" (1 to 1.1, of which XLA's pooling confuses neighbours).
        call: further arguments of the call.
    """

    code: str
    shapes: tuple[int, ...] | list[tuple[int, ...]]
    values: str = "normal"
    call: dict = {}

    @property
    def name(self) -> str:
        """The name of the class or function: the code up to the first parenthesis."""
        return self.code.partition("(")[0]

    @property
    def label(self) -> str:
        """The code, and how it is called if that is unusual."""
        call = "".join(
            f", {key} given" if key == "mask" else f", {key}={value}"
            for key, value in self.call.items()
        )
        return self.code + call + (", close values" if self.values == "close" else "")


VECTOR, SEQUENCE, IMAGE, VOLUME = (5,), (6, 4), (6, 5, 4), (4, 5, 4, 2)
STEPS = (3, 4)  # of a recurrent layer, whose second derivative XLA compiles slowly
SPATIAL = {1: SEQUENCE, 2: IMAGE, 3: VOLUME}
FRAMES = {1: (2, 5, 2), 2: (2, 4, 4, 2), 3: (2, 3, 3, 3, 1)}  # of a ConvLSTM


def _normal(shapes: tuple[int, ...] | list[tuple[int, ...]], *codes: str, **call: object) -> list:
    return [Row(code, shapes, call=call) for code in codes]


def _dense_and_merging() -> list[Row]:
    two = [VECTOR, VECTOR]
    return [
        *_normal(
            VECTOR,
            "Dense(3)",
            "Dense(3, 'tanh', use_bias=False)",
            "Dense(3, 'softmax')",
            "EinsumDense('ab,bc->ac', 3, bias_axes='c')",
            "ActivityRegularization(l1=0.1, l2=0.1)",
            "Identity()",
            "RepeatVector(3)",
            "Rescaling(2.0, offset=1.0)",
            "Lambda(lambda x: x * x)",
            "Normalization(mean=1.0, variance=2.0)",
            "Normalization(mean=1.0, variance=2.0, invert=True)",
        ),
        *_normal(
            two,
            *("Add()", "Average()", "Maximum()", "Minimum()", "Multiply()", "Subtract()"),
            *("Concatenate()", "Dot(1)", "Dot(1, normalize=True)"),
        ),
        *_normal(
            SEQUENCE,
            *("Flatten()", "Reshape((4, 6))", "Permute((2, 1))", "Masking()"),
            *("Cropping1D(1)", "ZeroPadding1D(2)", "UpSampling1D(2)"),
            *("TimeDistributed(Dense(2))", "TimeDistributed(LayerNormalization())"),
            "Pipeline([Dense(3), Dense(2)])",
        ),
        *_normal(
            IMAGE,
            *("Cropping2D(1)", "ZeroPadding2D(1)", "UpSampling2D(2)"),
            "UpSampling2D(2, interpolation='bilinear')",
            "UpSampling2D((2, 3), interpolation='bilinear')",
            "UpSampling2D(2, data_format='channels_first', interpolation='bilinear')",
            "UpSampling2D(2, interpolation='bicubic')",
            "UpSampling2D(2, interpolation='lanczos3')",
            "UpSampling2D(2, interpolation='lanczos5')",
            "UpSampling2D(2, data_format='channels_first')",
            "TimeDistributed(TimeDistributed(Dense(2)))",
        ),
        *_normal(VOLUME, "Cropping3D(1)", "ZeroPadding3D(1)", "UpSampling3D(2)"),
        *_normal(
            (4, 4, 6, 2),
            "TimeDistributed(UpSampling2D(2, interpolation='bilinear'))",
            "TimeDistributed(Conv2D(2, 2))",
            "TimeDistributed(MaxPooling2D())",
        ),
    ]


def _activations() -> list[Row]:
    return _normal(
        IMAGE,
        *("Activation('tanh')", "Activation('softsign')", "ELU()", "ELU(0.5)", "LeakyReLU()"),
        *("PReLU()", "PReLU(shared_axes=[1, 2])", "ReLU()", "ReLU(0.7, 0.1, 0.2)", "Softmax()"),
        "Softmax((1, 2))",
    )


def _convolutions() -> list[Row]:
    rows = []
    for rank, shape in SPATIAL.items():
        rows += _normal(
            shape,
            f"Conv{rank}D(3, 2)",
            f"Conv{rank}D(3, 3, padding='same', strides=2)",
            f"Conv{rank}D(2, 2, dilation_rate=2)",
            f"Conv{rank}D(4, 2, groups=2)",
            f"Conv{rank}D(2, 1, activation='relu', use_bias=False)",
            f"Conv{rank}DTranspose(3, 2)",
            f"Conv{rank}DTranspose(3, 3, padding='same', strides=2)",
        )
    for rank in (1, 2):
        for kind in ("DepthwiseConv{}D(", "SeparableConv{}D(3, "):
            name = kind.format(rank)
            rows += _normal(
                SPATIAL[rank],
                f"{name}2)",
                f"{name}3, padding='same', strides=2)",
                f"{name}2, dilation_rate=2, depth_multiplier=2)",
            )
    return [*rows, *_normal(SEQUENCE, "Conv1D(3, 2, padding='causal', dilation_rate=2)")]


def _pooling() -> list[Row]:
    rows = []
    for rank, shape in SPATIAL.items():
        for kind in ("Average", "Max"):
            rows += _normal(
                shape,
                f"{kind}Pooling{rank}D(2)",
                f"{kind}Pooling{rank}D(3, 2)",
                f"{kind}Pooling{rank}D(2, 1, padding='same')",
                f"Global{kind}Pooling{rank}D()",
                f"Global{kind}Pooling{rank}D(keepdims=True)",
                f"Adaptive{kind}Pooling{rank}D(2)",
                f"Adaptive{kind}Pooling{rank}D(3)",
            )
    masked = {"mask": [[True, True, False, False, True, False]] * 4}
    rows.append(Row("GlobalAveragePooling1D()", SEQUENCE, call=masked))
    rows += [Row(f"MaxPooling{rank}D(2)", (4,) * rank + (1,), "close") for rank in SPATIAL]
    return rows


def _normalisation() -> list[Row]:
    return [
        *_normal(
            IMAGE,
            *("BatchNormalization()", "BatchNormalization(axis=1)"),
            "BatchNormalization(center=False, scale=False)",
            training=True,
        ),
        *_normal(IMAGE, "BatchNormalization(renorm=True)", training=True),
        *_normal(IMAGE, "BatchNormalization()", training=False),
        *_normal(VECTOR, "BatchNormalization(scale=False)", training=True),
        *_normal(
            IMAGE,
            *("LayerNormalization()", "LayerNormalization(axis=(1, 2, 3))"),
            "LayerNormalization(center=False, scale=False)",
            *("GroupNormalization(2)", "GroupNormalization(-1)", "GroupNormalization(1)"),
            "RMSNormalization()",
            *("UnitNormalization()", "UnitNormalization(axis=(1, 2))"),
            "SpectralNormalization(Conv2D(3, 2))",
        ),
        *_normal(
            IMAGE,
            "SpectralNormalization(Conv2D(3, 2))",
            "SpectralNormalization(Conv2D(3, 2), power_iterations=3)",
            "SpectralNormalization(Dense(3))",
            training=True,
        ),
    ]


def _recurrent() -> list[Row]:
    mask = {"mask": [[True, False, True]] * 4}
    rows = []
    for cell in ("SimpleRNN", "LSTM", "GRU"):
        rows += _normal(
            STEPS,
            f"{cell}(3)",
            f"{cell}(3, return_sequences=True, return_state=True)",
            f"{cell}(3, unroll=True, go_backwards=True)",
            f"Bidirectional({cell}(3))",
            f"Bidirectional({cell}(3, unroll=True), merge_mode='sum')",
            f"RNN({cell}Cell(3))",
            f"RNN([{cell}Cell(3), {cell}Cell(2)], unroll=True)",
        )
        rows.append(Row(f"{cell}(3)", STEPS, call=mask))
        rows += _normal(
            STEPS, f"{cell}(3, 'relu', dropout=0.3, recurrent_dropout=0.3)", training=True
        )
    rows += _normal(STEPS, "GRU(3, reset_after=False)", "RNN(StackedRNNCells([LSTMCell(3)]))")
    for rank, frames in FRAMES.items():
        rows += _normal(
            frames,
            f"ConvLSTM{rank}D(2, 2)",
            f"ConvLSTM{rank}D(2, 2, padding='same', return_sequences=True)",
        )
    return [*rows, *_normal(FRAMES[2], "Bidirectional(ConvLSTM2D(2, 2))")]


def _attention_and_embedding() -> list[Row]:
    two, three = [SEQUENCE] * 2, [SEQUENCE] * 3
    return [
        *_normal(two, "Attention()", "Attention(use_scale=True, score_mode='concat')"),
        *_normal(two, "Attention()", "AdditiveAttention()", use_causal_mask=True),
        *_normal(three, "Attention(dropout=0.3)", training=True),
        *_normal(three, "AdditiveAttention()", "AdditiveAttention(use_scale=False)"),
        *_normal(
            two,
            "MultiHeadAttention(2, 3)",
            "MultiHeadAttention(2, 3, value_dim=2, use_bias=False)",
            "MultiHeadAttention(2, 3, flash_attention=False)",
            "GroupQueryAttention(3, 4, 2)",
            "GroupQueryAttention(3, 4, 1, use_bias=False)",
        ),
        *_normal(
            two, "MultiHeadAttention(2, 3)", "GroupQueryAttention(3, 4, 2)", use_causal_mask=True
        ),
        *_normal(two, "MultiHeadAttention(2, 3, dropout=0.3)", training=True),
        *_normal([IMAGE] * 2, "MultiHeadAttention(2, 3, attention_axes=(1, 2))"),
        Row("Embedding(5, 3)", (6,), "integer"),
        Row("Embedding(5, 3, mask_zero=True)", (6,), "integer"),
        Row("ReversibleEmbedding(5, 3)", (6,), "integer"),
        Row("ReversibleEmbedding(5, 4)", SEQUENCE, call={"reverse": True}),
        Row("ReversibleEmbedding(5, 4, logit_soft_cap=2.0)", SEQUENCE, call={"reverse": True}),
    ]


def _noise() -> list[Row]:
    return [
        *_normal(
            VECTOR,
            *("Dropout(0.3)", "AlphaDropout(0.3)", "GaussianDropout(0.3)", "GaussianNoise(0.3)"),
            training=True,
        ),
        *(Row(f"SpatialDropout{r}D(0.3)", s, call={"training": True}) for r, s in SPATIAL.items()),
    ]


def _images() -> list[Row]:
    resizing = [
        *("height=8, width=3", "height=4, width=9, antialias=True"),
        *(
            "height=8, width=8, crop_to_aspect_ratio=True",
            "height=8, width=8, pad_to_aspect_ratio=True",
        ),
        "height=8, width=8, data_format='channels_first'",
        *(
            f"height=8, width=3, interpolation='{kind}'"
            for kind in ("nearest", "bicubic", "lanczos3", "lanczos5", "area")
        ),
    ]
    # Layers that change colours, on images from 0 to 255 or from 0 to 1.
    colours = [
        *("AutoContrast()", "CutMix()", "Equalization()", "MixUp()", "RandomBrightness(0.3)"),
        "ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(2, 2))",
        *("RandomColorDegeneration(0.5)", "RandomContrast(0.3)", "RandomElasticTransform()"),
        "RandomColorJitter(brightness_factor=0.3, saturation_factor=0.3, hue_factor=0.2)",
        *("RandomErasing(1.0)", "RandomFlip()", "RandomGaussianBlur(1.0)", "RandomGrayscale(1.0)"),
        *("RandomHue(0.3)", "RandomInvert(1.0)", "RandomPosterization(4)"),
        *("RandomSaturation(0.3)", "RandomSharpness(0.5)", "Solarization(0.1)"),
    ]
    shapes = [
        *("AugMix((0, 1))", "RandAugment((0, 1))", "RandomShear(0.5, 0.5)", "RandomZoom(0.3)"),
        *("RandomPerspective(1.0)", "RandomPerspective(1.0, interpolation='nearest')"),
        *("RandomRotation(0.2)", "RandomRotation(0.2, interpolation='nearest')"),
        *("RandomRotation(0.2, fill_mode='constant')", "RandomRotation(0.2, fill_mode='wrap')"),
        *("RandomTranslation(0.3, 0.3)", "RandomTranslation(0.3, 0.3, interpolation='nearest')"),
        "RandomZoom(0.3, interpolation='nearest')",
    ]
    size = (6, 8, 3)
    return [
        *(Row(f"Resizing({options})", IMAGE) for options in resizing),
        *_normal(IMAGE, "CenterCrop(3, 3)", "CenterCrop(8, 8)"),
        *_normal(IMAGE, "RandomCrop(3, 3)", "RandomCrop(8, 8)", training=True),
        *(Row(code, size, "image", {"training": True}) for code in colours),
        *(Row(code, size, "unit", {"training": True}) for code in shapes),
    ]


def _sound() -> list[Row]:
    spectrum = "frame_length=16, frame_step=8, fft_length=16"
    modes = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")
    return [
        *_normal(
            (64,),
            "MelSpectrogram(fft_length=16, sequence_stride=8, num_mel_bins=3)",
            "MelSpectrogram(fft_length=16, sequence_stride=8, num_mel_bins=3, power_to_db=False)",
        ),
        *_normal((64, 1), *(f"STFTSpectrogram('{mode}', {spectrum})" for mode in modes)),
    ]


LAYER_ROWS: list[Row] = [
    *_dense_and_merging(),
    *_activations(),
    *_convolutions(),
    *_pooling(),
    *_normalisation(),
    *_recurrent(),
    *_attention_and_embedding(),
    *_noise(),
    *_images(),
    *_sound(),
]

_NO_DERIVATIVE = "its output has no derivative with respect to its input: it maps categories"
NOT_APPLICABLE = {
    "CategoryEncoding": _NO_DERIVATIVE,
    "Discretization": _NO_DERIVATIVE,
    "HashedCrossing": _NO_DERIVATIVE,
    "Hashing": _NO_DERIVATIVE,
    "IntegerLookup": _NO_DERIVATIVE,
    "StringLookup": _NO_DERIVATIVE,
    "TextVectorization": _NO_DERIVATIVE,
    "InputLayer": "it computes nothing",
    "InputSpec": "it is not a layer",
    "Layer": "abstract",
    "Wrapper": "abstract",
    "MaxNumBoundingBoxes": "it selects bounding boxes, which are labels",
    "FlaxLayer": "it needs JAX",
    "JaxLayer": "it needs JAX",
    "TorchModuleWrapper": "it needs PyTorch",
    "TFSMLayer": "it computes what the file contains; use `audit`",
    "SimpleRNNCell": "checked inside RNN",
    "LSTMCell": "checked inside RNN",
    "GRUCell": "checked inside RNN",
    "StackedRNNCells": "checked inside RNN",
}
