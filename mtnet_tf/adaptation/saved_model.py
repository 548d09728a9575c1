"""`export`: writes a SavedModel that adapts to new tasks and predicts.

It needs TensorFlow, but neither this package nor Keras. Its signatures accept any number of tasks
B, of support examples n and of queries m in each call:

    adapt               support_x, support_y -> what the tasks learned, named tensors [B, ...]
    predict             these and query_x    -> probabilities [B, m, N]
    adapt_and_predict   support_x, support_y, query_x -> probabilities; serving_default
    predict_initial     query_x              -> probabilities before any adaptation

A regression model returns "predictions" instead of "probabilities". A model with several inputs
takes "support_x_NAME" and "query_x_NAME" for each of them.
"""

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from data_prep.io import building, user_path, write_json
from mtnet_tf._version import versions
from mtnet_tf.adaptation.adapted import Adapted
from mtnet_tf.adaptation.adapter import Adapter
from mtnet_tf.adaptation.learner import AdaptableLearner
from mtnet_tf.meta import output_kind, probabilities

FORMAT = "mtnet_tf export"
METADATA = "mtnet_tf.json"


def export(
    learner: AdaptableLearner,
    path: str | Path,
    *,
    classification: bool | None = None,
    preparation: Any = None,
    num_inner_steps: int | None = None,
    masks: str | int = "most_probable",
    statistics: str = "support",
    num_ways: int | None = None,
) -> Path:
    """Writes a SavedModel; see `MetaLearner.export`.

    Args:
        learner: compiled `MetaLearner`.
        path: folder to write. TensorFlow Serving needs a number as its last part, `models/1`.
        classification: whether labels are class numbers, and outputs are logits unless the loss
            is defined on probabilities. False: labels have the shape of the outputs. None: decided
            by the loss.
        preparation: how the inputs were prepared, a value that JSON can represent; it is stored in
            the metadata.
        num_inner_steps: as in `Adapter`.
        masks: as in `Adapter`.
        statistics: as in `Adapter`.
        num_ways: as in `Adapter`.

    Returns:
        Path of the folder.

    Raises:
        ValueError: if `path` contains anything except an older export, or if an option has a wrong
            value.
    """
    path = user_path(path)
    check_export_folder(path)
    adapter = Adapter(
        learner,
        num_inner_steps=num_inner_steps,
        masks=masks,
        statistics=statistics,
        num_ways=num_ways,
    )
    served = _ServedLearner(adapter, classification)
    with building(path, replace=True) as partial, tempfile.TemporaryDirectory() as folder:
        metadata = Path(folder) / METADATA
        write_json(metadata, _metadata(served, preparation))
        module: Any = tf.Module()  # a SavedModel contains the variables that its module holds
        module.kept = _variables(learner)
        module.metadata = tf.saved_model.Asset(str(metadata))
        tf.saved_model.save(module, str(partial), signatures=served.signatures)
    return path


def _variables(learner: AdaptableLearner) -> list[Any]:
    """The variables that an export needs: those of the learner, and step sizes it only reads."""
    own = [variable.value for variable in learner.variables]
    return [*own, *learner.update_rule.borrowed_variables]


def read_metadata(path: str | Path) -> dict[str, Any]:
    """The metadata of an export: shapes, ways, steps, preparation and versions.

    Raises:
        ValueError: if the folder contains no export of this package.
    """
    file = user_path(path) / "assets" / METADATA
    try:
        metadata = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        metadata = {}
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise ValueError(f"{path} is not a SavedModel written by `MetaLearner.export`.")
    return metadata


def check_export_folder(path: Path) -> None:
    """Raises ValueError unless `path` does not exist, is empty, or contains an older export."""
    if path.is_symlink() or path.is_file():
        raise ValueError(f"{path} must be a folder. Received: a file or a link.")
    if path.is_dir() and any(path.iterdir()):
        try:
            read_metadata(path)
        except ValueError as error:
            raise ValueError(f"{error} It was not changed. Export to another folder.") from error


class _ServedLearner:
    """The traced functions of an export."""

    def __init__(self, adapter: Adapter, classification: bool | None) -> None:
        self.adapter = adapter
        self.classification = classification
        kind, self.has_class_numbers = output_kind(
            adapter.learner.task_loss, adapter.inputs.output_shape
        )
        self.classifies = kind in ("logits", "probabilities")
        if classification is not None:
            self.classifies = self.has_class_numbers = classification
        self.output_name = "probabilities" if self.classifies else "predictions"
        self.signatures = self._trace()

    def _trace(self) -> dict[str, Any]:
        targets = tf.TensorSpec(self._target_shape(), self._target_dtype(), "support_y")
        support = {**self._input_specs("support_x"), "support_y": targets}
        query = self._input_specs("query_x")
        adapt = self._trace_adapt(support)
        learned = {
            name: tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype, name)
            for name, tensor in adapt.structured_outputs.items()
        }
        both = _concrete(self._adapt_and_predict, {**support, **query})
        return {
            "adapt": adapt,
            "predict": _concrete(self._predict, {**learned, **query}),
            "adapt_and_predict": both,
            "predict_initial": _concrete(self._predict_initial, query),
            tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY: both,
        }

    def _input_specs(self, prefix: str) -> dict[str, tf.TensorSpec]:
        """The tensors [B, n, ...] of the inputs of a set, by their names in the signatures."""
        specs = self.adapter.inputs.specs
        names = self._input_names(prefix)
        return {
            name: tf.TensorSpec([None, *spec.shape.with_rank_at_least(1)], spec.dtype, name)
            for name, spec in zip(names, specs, strict=True)
        }

    def _input_names(self, prefix: str) -> list[str]:
        names = self.adapter.inputs.names
        return [f"{prefix}_{_identifier(name)}" if name else prefix for name in names]

    def _inputs(self, prefix: str, tensors: Mapping[str, tf.Tensor]) -> Any:
        """The inputs of a set, as the model expects them."""
        return self.adapter.inputs.pack([tensors[name] for name in self._input_names(prefix)])

    def _trace_adapt(self, support: dict[str, tf.TensorSpec]) -> Any:
        try:
            return _concrete(self._adapt, support)
        except (TypeError, ValueError) as error:
            if self.classification is not None or self.classifies:
                raise
            raise ValueError(
                "`classification` must be True if the loss is a function of class numbers. "
                "Received: classification=None, and a loss that fails on labels with the shape of "
                "the outputs."
            ) from error

    def _target_shape(self) -> list[int | None]:
        shape = list(self.adapter.inputs.output_shape[1:])
        if self.has_class_numbers:  # one for each example, pixel or step
            return [None, None, *shape[:-1]]
        ways = self.adapter.num_ways
        return [None, None, *(shape if ways is None else [*shape[:-1], ways])]

    def _target_dtype(self) -> str:
        return "int32" if self.has_class_numbers else self.adapter.inputs.target_dtype

    def _adapt(self, support_y: tf.Tensor, **parts: tf.Tensor) -> dict[str, tf.Tensor]:
        adapted = self.adapter.adapt(self._inputs("support_x", parts), support_y)
        pairs = {
            f"normalization_{i}_{name}": tf.identity(value)
            for i, pair in enumerate(adapted.statistics)
            for name, value in zip(("mean", "variance"), pair, strict=True)
        }
        return {**dict(zip(self._weight_names(), adapted.weights, strict=True)), **pairs}

    def _predict(self, **parts: tf.Tensor) -> dict[str, tf.Tensor]:
        weights = [parts[name] for name in self._weight_names()]
        count = sum(name.startswith("normalization_") for name in parts) // 2
        statistics = [
            tuple(parts[f"normalization_{i}_{name}"] for name in ("mean", "variance"))
            for i in range(count)
        ]
        return self._answer(Adapted(weights, statistics, []), parts)

    def _adapt_and_predict(self, support_y: tf.Tensor, **parts: tf.Tensor) -> dict[str, tf.Tensor]:
        adapted = self.adapter.adapt(self._inputs("support_x", parts), support_y)
        return self._answer(adapted, parts)

    def _predict_initial(self, **parts: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = self.adapter.predict_initial(self._inputs("query_x", parts))
        return {self.output_name: self._activate(outputs)}

    def _answer(self, adapted: Adapted, parts: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        outputs = self.adapter.predict(adapted, self._inputs("query_x", parts))
        return {self.output_name: self._activate(outputs)}

    def _activate(self, outputs: tf.Tensor) -> tf.Tensor:
        if not self.classifies:
            return outputs
        return probabilities(self.adapter.learner.task_loss, outputs, num_batch_axes=2)

    def _weight_names(self) -> list[str]:
        """Unique names of the fast weights, in order; all are Python identifiers."""
        paths = [w.variable.path for w in self.adapter.learner.task_weights]
        names = [_identifier(path) for path in paths]
        if len(set(names)) < len(names):
            names = [f"{name}_{i}" for i, name in enumerate(names)]
        return names


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _concrete(function: Callable[..., Any], specs: Mapping[str, tf.TensorSpec]) -> Any:
    return tf.function(function, autograph=False).get_concrete_function(**specs)


def _metadata(served: _ServedLearner, preparation: Any) -> dict[str, Any]:
    adapter = served.adapter
    learner = adapter.learner
    return {
        "format": FORMAT,
        "format_version": 1,
        "task": "classification" if served.classifies else "regression",
        "input_shape": adapter.inputs.shapes,
        "num_ways": adapter.num_classes if served.classifies else None,
        "num_inner_steps": adapter.num_inner_steps,
        **describe_update_rule(learner),
        "loss": keras.losses.serialize(learner.task_loss),
        "masks": adapter.masks,
        "statistics": adapter.statistics,
        "preparation": preparation,
        "signatures": {
            name: {
                "inputs": [
                    spec.name for spec in tf.nest.flatten(function.structured_input_signature)
                ],
                "outputs": sorted(function.structured_outputs),
            }
            for name, function in served.signatures.items()
        },
        "versions": versions(),
    }


def describe_update_rule(learner: AdaptableLearner) -> dict[str, Any]:
    """The class of the update rule, and its step size if that is one number, else None."""
    try:
        step_size = float(learner.step_size)
    except (TypeError, ValueError):  # one per layer, a schedule, or a rule without a step size
        step_size = None
    return {"update_rule": type(learner.update_rule).__name__, "step_size": step_size}
