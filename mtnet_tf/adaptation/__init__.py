"""TODO mtnet_tf.adaptation."""

from mtnet_tf.adaptation.adapted_model import adapted_model
from mtnet_tf.adaptation.adapter import Adapter
from mtnet_tf.adaptation.saved_model import export

__all__ = [
    "Adapter",
    "adapted_model",
    "export",
]
