"""Models of tf_keras, which is Keras 2, and other objects in place of a model."""

import keras
import numpy as np
import pytest
import tf_keras

from mtnet_tf import MetaLearner, audit, fold, to_mtnet


def network():
    members = [tf_keras.layers.Dense(3, "relu"), tf_keras.layers.Dense(2)]
    return tf_keras.Sequential([tf_keras.Input((4,)), *members])


class Subclass(tf_keras.Model):
    """A model of Keras 2 that a user defines."""


FUNCTIONS = {
    "to_mtnet": to_mtnet,
    "to_mtnet by name": lambda model: to_mtnet(model, layers=["dense"]),
    "fold": fold,
    "MetaLearner": lambda model: MetaLearner(model, step_size=0.1),
    "audit": lambda model: audit(model, np.ones((2, 4)), np.ones((2, 2)), "mean_squared_error"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_message_says_what_the_model_is_and_how_to_convert_it(name):
    for make in (network, Subclass):
        with pytest.raises(ValueError, match="of tf_keras, which is Keras 2. Save it with .*h5"):
            FUNCTIONS[name](make())
    with pytest.raises(ValueError, match="must be a Keras model. Received: an object of class int"):
        FUNCTIONS[name](3)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_the_advice_of_the_message_works(tmp_path):
    model = network()
    model.save(tmp_path / "model.h5")
    loaded = keras.saving.load_model(tmp_path / "model.h5", compile=False)
    new_model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, "relu"), keras.layers.Dense(2)]
    )
    new_model.set_weights(model.get_weights())
    x = np.ones((1, 4), "float32")
    for converted in (to_mtnet(loaded), to_mtnet(new_model)):
        np.testing.assert_allclose(converted(x), model(x), rtol=1e-5)
