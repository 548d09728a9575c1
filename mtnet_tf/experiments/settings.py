"""`Settings`: everything that decides what a run computes, in the library's vocabulary.

The command line's flags and their names are in `flags.py`.
"""

import dataclasses
import math
from typing import Any, Self

import numpy as np

from mtnet_tf.experiments.recipes import IMAGES

# Values of `baseline`, all of which train without inner steps.
JOINT = ("oracle", "pretrained")
_CHOICES: dict[str, tuple[str | None, ...]] = {
    "recipe": ("authors", "none"),
    "baseline": (None, *JOINT),
    "norm": ("batch_norm", "layer_norm", "None"),
    "class_split": ("maml", "original"),
    "task_definition": ("original", "paper"),
    "distribute": ("none", "mirrored", "multi_worker"),
}
_POSITIVE = (
    *("num_ways", "image_size", "meta_batch_size", "meta_learning_rate", "num_shots"),
    *("step_size", "temperature", "hidden_units", "num_filters", "num_test_episodes"),
)
_NOT_NEGATIVE = (
    *("num_meta_iterations", "num_pretrain_iterations", "num_inner_steps", "polynomial_order"),
    *("seed", "validation_interval", "num_test_inner_steps", "num_queries", "num_train_ways"),
    *("num_train_queries", "task_chunk", "num_devices"),
)
_TYPE_NAMES = {bool: "True or False", int: "an integer", str: "text"}
# What may change from one command on a run folder to the next, and what evaluation may change.
_FREE = {
    *("train", "resume", "run_dir", "runs_dir", "write_summaries", "run_eagerly", "jit_compile"),
    *("allow_tf32", "data_dir", "recipe", "num_meta_iterations", "num_pretrain_iterations"),
    *("validation_interval", "packed_dir", "checkpoint_iteration", "use_test_split"),
    *("num_test_episodes", "num_test_inner_steps", "trained_step_size", "trained_num_shots"),
    *("task_chunk", "distribute", "num_devices"),
}
_FREE_IN_EVALUATION = {
    *("step_size", "num_shots", "num_queries", "seed", "num_inner_steps", "meta_batch_size"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a run, validated. Defaults are those of the authors' command line.

    Each field is explained by the help text of its flag, see `flags.FLAGS`.

    Raises:
        ValueError: for the first value that is not allowed, in one sentence.
    """

    data_source: str = "sinusoid"
    num_ways: int = 5
    num_train_classes: int = -1
    baseline: str | None = None
    num_pretrain_iterations: int = 0
    num_meta_iterations: int = 15000
    meta_batch_size: int = 25
    meta_learning_rate: float = 0.001
    num_shots: int = 5
    step_size: float = 0.001
    num_inner_steps: int = 1
    polynomial_order: int = 1
    use_transform: bool = False
    use_mask: bool = False
    unit_mask: bool = False
    temperature: float = 1.0
    initial_mask_logits: float = 0.0
    norm: str = "batch_norm"
    hidden_units: int = 40
    num_filters: int = 64
    convolutional: bool = True
    max_pooling: bool = False
    first_order: bool = False
    write_summaries: bool = True
    runs_dir: str = "/tmp/data"
    run_eagerly: bool = False
    resume: bool = True
    train: bool = True
    checkpoint_iteration: int = -1
    use_test_split: bool = False
    trained_num_shots: int = -1
    trained_step_size: float = -1.0
    method: str | None = None
    recipe: str = "authors"
    seed: int = 0
    data_dir: str = "data"
    packed_dir: str | None = None
    image_size: int = 84
    synthetic: bool = False
    class_split: str = "maml"
    task_definition: str = "original"
    soft_masks: bool = False
    redraw_masks: bool = False
    validation_interval: int = 0
    num_queries: int = 0
    num_train_ways: int = 0
    num_train_queries: int = 0
    num_test_episodes: int = 600
    num_test_inner_steps: int = 10
    jit_compile: bool = True
    allow_tf32: bool = False
    task_chunk: int = 0
    distribute: str = "none"
    num_devices: int = 0
    run_dir: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for the first setting that is not allowed."""
        self._check_values()
        self._check_combinations()

    @property
    def is_image(self) -> bool:
        """Whether the tasks classify images; else they are regression tasks."""
        return self.data_source in IMAGES

    def replace(self, **changes: Any) -> Self:
        """A copy with other values of some fields."""
        return dataclasses.replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """Every field and its value, in order."""
        return dataclasses.asdict(self)

    def _check_values(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.generic | np.ndarray) and value.ndim == 0:  # for JSON
                object.__setattr__(self, field.name, value.item())
            _check_type(field.name, getattr(self, field.name), field.default)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"`{name}` must be one of {', '.join(map(str, choices))}. "
                    f"Received: {name}={getattr(self, name)!r}."
                )
        for name in _POSITIVE:
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(
                    f"`{name}` must be positive. Received: {name}={getattr(self, name)}."
                )
        for name in _NOT_NEGATIVE:
            if getattr(self, name) < 0:
                raise ValueError(
                    f"`{name}` must not be negative. Received: {name}={getattr(self, name)}."
                )
        if self.num_train_classes != -1 and self.num_train_classes < 2:
            raise ValueError(
                "`num_train_classes` must be at least 2, or -1 for all. "
                f"Received: num_train_classes={self.num_train_classes}."
            )
        if self.num_test_episodes < 2:
            raise ValueError(
                "`num_test_episodes` must be at least 2, because one score has no interval. "
                f"Received: num_test_episodes={self.num_test_episodes}."
            )

    def _check_combinations(self) -> None:
        if self.baseline == "oracle" and self.data_source != "sinusoid":
            raise ValueError(
                "`baseline=oracle` requires `data_source=sinusoid`, as in the original. "
                f"Received: data_source={self.data_source}."
            )
        if self.num_devices and self.distribute != "mirrored":
            raise ValueError(
                "`num_devices` requires `distribute=mirrored`. "
                f"Received: num_devices={self.num_devices}, distribute={self.distribute}."
            )
        if self.is_image and self.num_ways < 2:
            raise ValueError(f"`num_ways` must be at least 2. Received: num_ways={self.num_ways}.")
        for name in ("trained_step_size", "trained_num_shots"):
            if self.train and getattr(self, name) > 0:
                raise ValueError(
                    f"`{name}` describes how a run was trained and requires `train=False`; to "
                    f"train with this value, set `{name.removeprefix('trained_')}`. "
                    f"Received: {name}={getattr(self, name)}, train=True."
                )
        if self.synthetic and self.data_source not in ("omniglot", "miniimagenet"):
            raise ValueError(
                "`synthetic` replaces Omniglot or MiniImagenet: add `data_source=omniglot`. "
                f"Received: data_source={self.data_source}."
            )


def _check_type(name: str, value: Any, default: Any) -> None:
    """Raises ValueError unless a value has the type of its field, which its default shows."""
    if default is None:
        is_right, expected = value is None or isinstance(value, str), "text or None"
    elif isinstance(default, float):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        is_right, expected = is_number and math.isfinite(value), "a finite number"
    else:
        is_right, expected = type(value) is type(default), _TYPE_NAMES[type(default)]
    if not is_right:
        raise ValueError(f"`{name}` must be {expected}. Received: {name}={value!r}.")


DEFAULTS: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(Settings)}


def check_same_run(settings: Settings, trained: Settings, *, evaluates: bool = False) -> None:
    """Checks that a command continues a run with the settings it was trained with.

    Args:
        settings: of this command.
        trained: of the run folder.
        evaluates: whether the run is only evaluated, for which some settings may differ.

    Raises:
        ValueError: names the first difference.
    """
    free = _FREE | _FREE_IN_EVALUATION if evaluates else _FREE
    for name, value in settings.as_dict().items():
        before = getattr(trained, name)
        if name not in free and value != before:
            raise ValueError(
                f"`{name}` must be {before}, the value that the run in this folder was trained "
                f"with. Received: {name}={value}. Name another folder with `run_dir` or "
                "`runs_dir`, or train again from the start with `resume=False`."
            )
