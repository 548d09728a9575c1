"""Checks after adaptation on the host: a model whose weights are NaN would predict NaN silently.

An exported SavedModel cannot raise these errors: it returns what it computed.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from mtnet_tf.adaptation.learner import AdaptableLearner
from mtnet_tf.meta import InnerTrajectory


def check_finite_inputs(**inputs: Any) -> None:
    """Raises ValueError if a tensor, or one in a structure of tensors, has NaN or infinite values.

    Args:
        **inputs: structures of tensors by the name of the argument.
    """
    for name, structure in inputs.items():
        for tensor in tf.nest.flatten(structure):
            if tensor is not None and not _all_finite([tensor]):
                wrong = tf.reduce_sum(1 - tf.cast(tf.math.is_finite(tensor), tf.int32))
                raise ValueError(
                    f"`{name}` must be finite. Received: {int(wrong)} of {int(tf.size(tensor))} "
                    "values are NaN or infinite."
                )


def check_finite_result(
    learner: AdaptableLearner, trajectory: InnerTrajectory, outputs: tf.Tensor | None
) -> None:
    """Raises ValueError if adapted weights, or the outputs of the adapted networks, are not finite.

    Args:
        learner: the learner that adapted.
        trajectory: its weights before the first and after each inner step.
        outputs: outputs of the adapted networks for the support set; None to check the weights.
    """
    if _all_finite([*trajectory.fast_weights, *([] if outputs is None else [outputs])]):
        return
    found = _first_weight_that_is_not_finite(learner, trajectory)
    num_steps = last = len(trajectory.support_losses)
    if found is None:
        size = max(float(tf.reduce_max(tf.abs(w))) for w in trajectory.fast_weights)
        what = (
            f"the outputs for the support set are not finite after {num_steps} inner steps; the "
            f"weights are finite, up to {size:.3g}"
        )
    else:
        last, name = found
        if last == 0:
            raise ValueError(
                f"The weights of the learner must be finite. Received: {name} with NaN or infinite "
                "values before adaptation. Its training has diverged; load an earlier checkpoint."
            )
        what = f"{name} is not finite after inner step {last} of {num_steps}"
    losses = [f"{tf.reduce_max(loss):.3g}" for loss in trajectory.support_losses[:last][-5:]]
    raise ValueError(
        f"The adapted model must be finite. Received: {what}. The last support losses were "
        f"{', '.join(losses)}, with {_describe_steps(learner)}. If they grow, use a smaller step "
        "size or fewer inner steps; if they do not, the derivative of a layer is not finite: "
        "see `mtnet_tf.audit`."
    )


def _first_weight_that_is_not_finite(
    learner: AdaptableLearner, trajectory: InnerTrajectory
) -> tuple[int, str] | None:
    """Pair (number of the inner step, from 1; path of the variable); 0 for before adaptation."""
    for step, weights in enumerate(trajectory.weights):
        for weight, value in zip(learner.task_weights, weights, strict=True):
            if not _all_finite([value]):
                return step, weight.variable.path
    return None


def _describe_steps(learner: AdaptableLearner) -> str:
    """The step size if gradient descent has one, else the class of the update rule."""
    try:
        size = learner.step_size
    except ValueError:
        return f"the update rule {type(learner.update_rule).__name__}"
    sizes = size if isinstance(size, list) else [size]
    values = [f"{float(s):.3g}" if hasattr(s, "__float__") else type(s).__name__ for s in sizes]
    return f"step_size={', '.join(values)}"


def _all_finite(tensors: Sequence[tf.Tensor]) -> bool:
    return all(bool(is_finite(tensor)) for tensor in tensors)


def is_finite(tensor: tf.Tensor) -> tf.Tensor:
    """Whether no value is NaN or infinite, a scalar bool; True for a tensor of integers."""
    if not tensor.dtype.is_floating:
        return tf.constant(True)
    return tf.reduce_all(tf.math.is_finite(tensor))
