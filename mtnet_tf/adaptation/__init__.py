"""Applies a trained learner to a new task: `Adapter`, the adapted Keras model, the SavedModel.

May import: `conversion`, `meta`, `layers`, `_version`, `data_prep.io`.
"""

from mtnet_tf.adaptation.adapted_model import adapted_model
from mtnet_tf.adaptation.adapter import Adapter, check_class_numbers
from mtnet_tf.adaptation.learner import AdaptableLearner
from mtnet_tf.adaptation.model_inputs import ModelInputs
from mtnet_tf.adaptation.saved_model import export

__all__ = [
    "AdaptableLearner",
    "Adapter",
    "ModelInputs",
    "adapted_model",
    "check_class_numbers",
    "export",
]
