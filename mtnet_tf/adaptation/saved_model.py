"""A SavedModel that learns: it needs no Python package of ours, only TensorFlow's runtime.

Signatures, any number of tasks B, of support examples n and of queries m per call:

    adapt               support_x, support_y -> what the tasks learned, named tensors [B, ...]
    predict             those, query_x       -> probabilities [B, m, N]
    adapt_and_predict   support_x, support_y, query_x -> probabilities; serving_default
    predict_initial     query_x              -> probabilities before any adaptation

A regression model gives "predictions" in the place of "probabilities".
"""

import contextlib
import json
import re
import tempfile
from pathlib import Path

import keras
import tensorflow as tf

from mtnet_tf._version import versions
from mtnet_tf.adaptation.adapter import Adapted, Adapter
from mtnet_tf.meta import output_kind, probabilities

FORMAT = "mtnet_tf export"
METADATA = "mtnet_tf.json"


def export(learner, path, *, classification=None, preparation=None, **options):
    """Writes a SavedModel; see `MetaLearner.export`.

    Args:
      learner: compiled `MetaLearner` on one input and one output.
      path: folder to write. TensorFlow Serving wants a number as its last part, `models/1`.
      classification: True: labels are class numbers, and outputs are logits unless the loss says
        probabilities; False: labels are like outputs; None: as the loss says.
      preparation: JSON-like, how an input was prepared, for the metadata.
      **options: of `Adapter`.

    Returns:
      Path of the folder.

    Raises:
      ValueError: where `path` holds something else, or for options that make no sense.
    """
    path = Path(path)
    check_export_folder(path)
    adapter = Adapter(learner, **options)
    served = _ServedLearner(adapter, classification)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        text = json.dumps(_metadata(served, preparation), indent=2)
        (Path(folder) / METADATA).write_text(text + "\n", encoding="utf-8")
        module = tf.Module()  # a SavedModel keeps what its module holds
        module.kept = [variable.value for variable in learner.variables]
        module.kept += learner.update_rule.borrowed_variables
        module.metadata = tf.saved_model.Asset(f"{folder}/{METADATA}")
        partial = Path(folder) / "partial"
        tf.saved_model.save(module, str(partial), signatures=served.signatures)
        with contextlib.suppress(FileNotFoundError):
            path.rename(Path(folder) / "old")
        partial.rename(path)
    return path


def read_metadata(path):
    """What an export says of itself: shapes, ways, steps, preparation, versions; a dict.

    Raises:
      ValueError: if there is no export of ours.
    """
    file = Path(path) / "assets" / METADATA
    try:
        metadata = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        metadata = {}
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise ValueError(f"{path} is not a SavedModel that `MetaLearner.export` wrote.")
    return metadata


def check_export_folder(path):
    """Raises ValueError unless `path` is free, an empty folder, or an older export of ours."""
    if path.is_symlink() or path.is_file():
        raise ValueError(f"{path} must be a folder to write. Received: a file or a link.")
    if path.is_dir() and any(path.iterdir()):
        try:
            read_metadata(path)
        except ValueError as error:
            raise ValueError(f"{error} It is left alone: export to another folder.") from error


class _ServedLearner:
    """The traced functions of an export."""

    def __init__(self, adapter, classification):
        self.adapter = adapter
        model = adapter.learner.model
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise ValueError(
                "Export needs a model with one input and one output. Received: "
                f"{len(model.inputs)} inputs, {len(model.outputs)} outputs."
            )
        self.classification = classification
        kind, self.has_class_numbers = output_kind(adapter.learner.task_loss)
        self.classifies = kind != "predictions"
        if classification is not None:
            self.classifies = self.has_class_numbers = classification
        self.output_name = "probabilities" if self.classifies else "predictions"
        self.signatures = self._trace(model)

    def _trace(self, model):
        dtype = model.inputs[0].dtype
        x_shape = [None, None, *model.input_shape[1:]]
        y_shape = [None, None, *([] if self.has_class_numbers else self._target_shape(model))]
        y_dtype = "int32" if self.has_class_numbers else dtype
        support = {
            "support_x": tf.TensorSpec(x_shape, dtype, "support_x"),
            "support_y": tf.TensorSpec(y_shape, y_dtype, "support_y"),
        }
        query = {"query_x": tf.TensorSpec(x_shape, dtype, "query_x")}
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

    def _trace_adapt(self, support):
        try:
            return _concrete(self._adapt, support)
        except (TypeError, ValueError) as error:
            if self.classification is not None or self.classifies:
                raise
            raise ValueError(
                "`classification` must be True where the loss is a function on class numbers. "
                "Received: classification=None, and a loss that fails on labels like outputs."
            ) from error

    def _target_shape(self, model):
        ways = self.adapter.num_ways
        return model.output_shape[1:] if ways is None else [*model.output_shape[1:-1], ways]

    def _adapt(self, support_x, support_y):
        adapted = self.adapter.adapt(support_x, support_y)
        pairs = {
            f"normalization_{i}_{name}": tf.identity(value)
            for i, pair in enumerate(adapted.statistics)
            for name, value in zip(("mean", "variance"), pair, strict=True)
        }
        return {**dict(zip(self._weight_names(), adapted.weights, strict=True)), **pairs}

    def _predict(self, query_x, **learned):
        weights = [learned[name] for name in self._weight_names()]
        count = (len(learned) - len(weights)) // 2
        statistics = [
            tuple(learned[f"normalization_{i}_{name}"] for name in ("mean", "variance"))
            for i in range(count)
        ]
        return self._answer(Adapted(weights, statistics, []), query_x)

    def _adapt_and_predict(self, support_x, support_y, query_x):
        return self._answer(self.adapter.adapt(support_x, support_y), query_x)

    def _predict_initial(self, query_x):
        return {self.output_name: self._activate(self.adapter.predict_initial(query_x))}

    def _answer(self, adapted, query_x):
        return {self.output_name: self._activate(self.adapter.predict(adapted, query_x))}

    def _activate(self, outputs):
        if not self.classifies:
            return outputs
        return probabilities(self.adapter.learner.task_loss, outputs)

    def _weight_names(self):
        """Unique names of the fast weights, in order, that are Python identifiers too."""
        paths = [w.variable.path for w in self.adapter.learner.task_weights]
        names = [re.sub(r"\W", "_", path) for path in paths]
        if len(set(names)) < len(names):
            names = [f"{name}_{i}" for i, name in enumerate(names)]
        return names


def _concrete(function, specs):
    return tf.function(function, autograph=False).get_concrete_function(**specs)


def _metadata(served, preparation):
    adapter = served.adapter
    learner = adapter.learner
    classes = adapter.num_ways or learner.model.output_shape[-1]
    return {
        "format": FORMAT,
        "format_version": 1,
        "task": "classification" if served.classifies else "regression",
        "input_shape": list(learner.model.input_shape[1:]),
        "num_ways": classes if served.classifies else None,
        "num_inner_steps": adapter.num_inner_steps,
        "update_rule": type(learner.update_rule).__name__,
        "step_size": learner.update_rule.get_config().get("step_size"),
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
