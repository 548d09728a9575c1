"""A `FewShotClassifier` whose model has one output, the score of the second class."""

import keras
import numpy as np
import pytest

from mtnet_tf import FewShotClassifier, MetaLearner
from mtnet_tf.layers import TWDense

DARK, BRIGHT = np.full([4, 4, 1], 40, "uint8"), np.full([4, 4, 1], 210, "uint8")


def classifier(loss, activation=None, outputs=1):
    inputs = keras.Input((4, 4, 1))
    cell = TWDense(outputs, activation, mask=None, kernel_initializer="zeros")
    model = keras.Model(inputs, cell(keras.layers.Flatten()(inputs)))
    learner = MetaLearner(model, step_size=0.5, num_inner_steps=20)
    learner.compile("sgd", loss)
    return FewShotClassifier(learner)


@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        (keras.losses.BinaryCrossentropy(from_logits=True), None),
        (keras.losses.BinaryFocalCrossentropy(from_logits=True), None),
        ("binary_crossentropy", "sigmoid"),
        ("hinge", None),
        (keras.losses.SquaredHinge(), None),
    ],
)
@pytest.mark.parametrize("labels", [["dark", "light"], [7, 3], [-1, 1], [1, 2]])
def test_two_classes_are_learned_with_one_output(loss, activation, labels):
    fitted = classifier(loss, activation).fit([DARK, BRIGHT, DARK], [*labels, labels[0]])
    assert fitted.classes_.tolist() == sorted(labels)
    assert fitted.predict([BRIGHT, DARK]).tolist() == labels[::-1]
    assert fitted.score([BRIGHT, DARK], labels[::-1]) == 1.0


def test_both_classes_have_a_probability():
    logits = classifier(keras.losses.BinaryCrossentropy(from_logits=True))
    fitted = logits.fit([DARK, BRIGHT], ["dark", "light"])
    found = fitted.predict_proba([DARK, BRIGHT, DARK])
    assert found.shape == (3, 2)
    np.testing.assert_allclose(found.sum(1), 1.0, rtol=1e-6)
    assert found[0, 0] > 0.5 > found[1, 0]
    # The probabilities are those of the adapted model's logit.
    x = fitted.preparation.load([DARK, BRIGHT], False)
    adapted = fitted.learner.adapt(x, [0, 1])
    p = 1 / (1 + np.exp(-adapted.predict(x, verbose=0)))
    np.testing.assert_allclose(found[:2], np.concatenate([1 - p, p], 1), rtol=1e-4)


def test_a_hinge_loss_has_no_probabilities():
    fitted = classifier("hinge").fit([DARK, BRIGHT], [0, 1])
    with pytest.raises(ValueError, match="must define probabilities.*hinge"):
        fitted.predict_proba([DARK])


def test_one_output_distinguishes_two_classes():
    with pytest.raises(ValueError, match="contain 2 classes.*Received: 3 classes"):
        classifier("binary_crossentropy", "sigmoid").fit([DARK, BRIGHT, DARK], [1, 2, 3])


def test_several_independent_outputs_are_not_classes():
    with pytest.raises(ValueError, match="must accept class numbers"):
        classifier("binary_crossentropy", "sigmoid", outputs=3)


def test_weights_that_are_not_finite_are_an_error():
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, TWDense(1, mask=None)(keras.layers.Flatten()(inputs)))
    learner = MetaLearner(model, step_size=1e30, num_inner_steps=5)
    learner.compile("sgd", "squared_hinge")
    with pytest.raises(ValueError, match="must be finite. .* after inner step"):
        FewShotClassifier(learner).fit([DARK, BRIGHT], [0, 1])
