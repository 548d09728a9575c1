"""Applies a trained learner to a new task: `Adapter`, the adapted Keras model, the SavedModel.

May import: `conversion`, `meta`, `layers`, `_keras`, `_version`, `data_prep.io`.
"""

from mtnet_tf.adaptation.adapted_model import adapted_model
from mtnet_tf.adaptation.adapter import Adapter
from mtnet_tf.adaptation.compiled import AdaptationCache
from mtnet_tf.adaptation.learner import AdaptableLearner
from mtnet_tf.adaptation.model_inputs import ModelInputs
from mtnet_tf.adaptation.options import check_class_numbers
from mtnet_tf.adaptation.saved_model import export

__all__ = [
    "AdaptableLearner",
    "AdaptationCache",
    "Adapter",
    "ModelInputs",
    "adapted_model",
    "check_class_numbers",
    "export",
]
