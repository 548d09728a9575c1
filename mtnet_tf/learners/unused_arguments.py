"""Arguments of Keras' methods that have no meaning for episodes."""

from typing import Any

_REASONS = {
    "y": "labels are part of the episodes, x=((support_x, support_y), (query_x, query_y))",
    "sample_weight": (
        "weights are part of the episodes, x=((support_x, support_y, support_weight), "
        "(query_x, query_y, query_weight))"
    ),
    "class_weight": (
        "classes are numbered differently in each task. Give each example a weight, "
        "x=((support_x, support_y, support_weight), (query_x, query_y, query_weight))"
    ),
}


def check_unused(**given: Any) -> None:
    """Raises ValueError if an argument that is not used has a value other than None."""
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"`{name}` must be None, because {_REASONS[name]}. "
                f"Received: {name} of type {type(value).__name__}."
            )
