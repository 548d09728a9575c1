"""Checks of the options of an adaptation."""

from collections.abc import Sequence

from mtnet_tf.adaptation.learner import AdaptableLearner
from mtnet_tf.layers import is_integer
from mtnet_tf.meta import TaskLoss, output_kind

STATISTICS = ("support", "query")


def check_learner(learner: AdaptableLearner) -> None:
    """Raises ValueError unless the learner adapts its weights and is compiled."""
    if not learner.adapts_weights:
        raise ValueError(
            "The learner must adapt its weights to a task, as a `MetaLearner` does. Received: "
            f"{type(learner).__name__}, which compares embeddings. Use its `predictors`."
        )
    if not learner.compiled:
        raise ValueError(
            "The learner must be compiled, since the inner loop minimises its loss. "
            "Call `learner.compile(optimizer, loss)` first."
        )


def check_options(
    num_classes: int, masks: str | int, statistics: str, num_ways: int | None
) -> None:
    """Raises ValueError if an option of `Adapter` has a wrong value."""
    is_known = masks == "most_probable" if isinstance(masks, str) else is_integer(masks)
    if not is_known:
        raise ValueError(
            f"`masks` must be 'most_probable' or an int seed. Received: masks={masks!r}."
        )
    if statistics not in STATISTICS:
        raise ValueError(
            f"`statistics` must be one of {STATISTICS}. Received: statistics={statistics!r}."
        )
    if num_ways is not None and not 1 <= num_ways <= num_classes:
        raise ValueError(
            f"`num_ways` must be from 1 to {num_classes}, the number of classes of the model. "
            f"Received: num_ways={num_ways}."
        )


def check_class_numbers(loss: TaskLoss, output_shape: Sequence[int | None] | None = None) -> None:
    """Raises ValueError if a classification loss takes one-hot labels, or several per example.

    Args:
        loss: Keras loss or function.
        output_shape: shape of the model's outputs, (None, ..., N); None for N > 1 outputs.
    """
    kind, has_class_numbers = output_kind(loss, output_shape)
    if kind != "predictions" and not has_class_numbers:
        name = getattr(loss, "name", getattr(loss, "__name__", loss))
        raise ValueError(
            "The learner's loss must accept class numbers, like `sparse_categorical_"
            f"crossentropy`. Received: {name}, which takes one-hot labels for the outputs of this "
            "model."
        )
