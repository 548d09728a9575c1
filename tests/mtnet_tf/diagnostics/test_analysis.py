import keras
import numpy as np
import pytest

from mtnet_tf.diagnostics import active_fraction
from mtnet_tf.layers import TWDense


def test_each_layer_counts_by_its_number_of_weights():
    """`sigmoid(log 3) = 3/4` for the 10 weights of a layer; 6 weights without a mask."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            TWDense(2, mask_initializer=keras.initializers.Constant(np.log(3.0))),
            TWDense(2, mask=None),
        ]
    )
    assert active_fraction(model) == pytest.approx((10 * 0.75 + 6) / 16)
    assert active_fraction(model, [model.layers[0]]) == pytest.approx(0.75)
    assert active_fraction(model, [model.layers[1].name]) == 1.0
