"""Few-shot classification of a user's own images: `FewShotClassifier` and prediction on files.

May import: `experiments`, `learners`, `adaptation`, `data_prep`.
"""

from mtnet_tf.pictures.few_shot_classifier import FewShotClassifier
from mtnet_tf.pictures.image_preparation import Preparation
from mtnet_tf.pictures.prediction import predict_pictures

__all__ = [
    "FewShotClassifier",
    "Preparation",
    "predict_pictures",
]
