"""The numbers of a reference file, computed by this package."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf import networks
from mtnet_tf.layers import (
    ExactLayerNormalization,
    TaskBatchNormalization,
    TWLayer,
    find_task_weights,
)
from mtnet_tf.meta import (
    FewShotCrossentropy,
    adapt_to_support,
    flatten_tasks,
    meta_gradients,
    predict,
    task_losses,
)
from mtnet_tf.meta.mask_sampler import align_masks
from mtnet_tf.tasks import Episode

from .reference_file import ReferenceFile

IMAGE_SHAPES = {"omniglot": (28, 28, 1), "miniimagenet": (84, 84, 3)}


class Case:
    """Our network with the initial values of a reference file.

    Attributes:
        variables: dict from the authors' name of a parameter to our variable.
    """

    def __init__(self, reference: ReferenceFile, dtype: str) -> None:
        """Builds the network in `dtype` and assigns the initial values."""
        self.arrays, self.flags, self.dtype = reference.arrays, reference.flags, dtype
        self.image_shape = IMAGE_SHAPES.get(self.flags["datasource"])
        self.model = self._network()
        self.variables = self._match_variables()
        for key, variable in self.variables.items():
            variable.assign(self.arrays[f"param/{key}"].reshape(variable.shape))
        self.task_weights = find_task_weights(self.model)
        self.loss: keras.losses.Loss = keras.losses.MeanSquaredError()
        if self.image_shape:
            self.loss = FewShotCrossentropy(self.flags["update_batch_size"])

    def _kernel_keys(self) -> list[str]:
        kernels = [k for k in self.arrays["param_order"] if k[:1] == "w" or k[:4] == "conv"]
        return sorted(k for k in kernels if not k.endswith(("_f", "_prob")))

    def _network(self) -> keras.Model:
        flags = self.flags
        mask = ("unit" if flags["share_M"] else "weight") if flags["use_M"] else None
        cell_options = {"transform": flags["use_T"], "mask": mask, "temperature": flags["temp"]}
        options: dict[str, Any] = {
            "cell_options": cell_options, "norm": str(flags["norm"]), "dtype": self.dtype
        }  # fmt: skip
        sizes = [self.arrays[f"param/{k}"].shape[-1] for k in self._kernel_keys()]
        if not self.image_shape:
            num_inputs = self.arrays["inputa"].shape[-1]
            return networks.regression_network(
                num_inputs, sizes[-1], dim_hidden=sizes[:-1], **options
            )
        if not flags["conv"]:
            return networks.dense_image_network(self.image_shape, sizes[-1], **options)
        options["max_pool"] = flags["max_pool"]
        options["flatten"] = flags["datasource"] == "miniimagenet"
        return networks.convolutional_network(
            self.image_shape, sizes[-1], num_filters=sizes[0], **options
        )

    def _match_variables(self) -> dict[str, keras.Variable]:
        cells = [layer for layer in self.model.layers if isinstance(layer, TWLayer)]
        found = {}
        for key, cell in zip(self._kernel_keys(), cells, strict=True):
            number = key[-1]
            found |= {key: cell.kernel, f"b{number}": cell.bias, f"{key}_f": cell.transform}
            if cell.mask is not None:
                found[f"{key}_prob"] = cell.kernel_mask.logits
            if cell.mask == "weight":
                found[f"b{number}_prob"] = cell.bias_mask.logits
        kinds = (TaskBatchNormalization, ExactLayerNormalization)
        for i, norm in enumerate(x for x in self.model.layers if isinstance(x, kinds)):
            found |= {f"{i}/beta": norm.beta, f"{i}/gamma": getattr(norm, "gamma", None)}
        found = {key: variable for key, variable in found.items() if variable is not None}
        different = set(found) ^ set(self.arrays["param_order"])
        if different:
            raise ValueError(f"These parameters exist on one side only: {sorted(different)}.")
        return found

    def episode(self) -> Episode:
        """The support and query sets: x [B, n, ...], y [B, n, out] or labels [B, n]."""
        x = {half: tf.constant(self.arrays[f"input{half}"], self.dtype) for half in "ab"}
        y = {half: tf.constant(self.arrays[f"label{half}"], self.dtype) for half in "ab"}
        if self.image_shape:
            x = {h: tf.reshape(v, [*v.shape[:2], *self.image_shape]) for h, v in x.items()}
            y = {h: tf.argmax(v, -1, tf.int32) for h, v in y.items()}
        return Episode(x["a"], y["a"], x["b"], y["b"])

    def masks(self, step: int) -> list[tf.Tensor | None]:
        """The masks of one inner step, from the uniform draws in the file.

        Returns:
            List with, for each task weight, a mask that broadcasts against it, or None.
        """
        names = {id(variable): key for key, variable in self.variables.items()}
        drawn = {}
        for layer in {id(w.mask_logits): w.mask_logits for w in self.task_weights}.values():
            if layer is None:
                continue
            uniform = self.arrays["U/" + names[id(layer.logits)].removesuffix("_prob")]
            uniform = uniform if uniform.ndim == 3 else uniform[:, step]  # [B, size, 2]
            gumbels = -np.log(-np.log(uniform.astype(self.dtype)))
            noise = gumbels[..., 0] - gumbels[..., 1]  # [B, size]
            drawn[id(layer)] = layer(tf.constant(noise.reshape(-1, *layer.shape)))
        return align_masks(self.task_weights, drawn)

    def inner_loop_options(self) -> dict[str, Any]:
        """The arguments of `adapt_to_support` and `meta_gradients` that describe the inner loop."""
        return {
            "num_inner_steps": self.flags["num_updates"],
            "step_size": self.flags["update_lr"],
            "first_order": self.flags["stop_grad"],
            "masks": self.masks,
        }


def compute(reference: ReferenceFile, dtype: str, jit: bool) -> dict[str, np.ndarray]:
    """Our value of every array that a reference file can contain.

    Args:
        reference: the file.
        dtype: "float64" or "float32".
        jit: whether to compile with XLA; otherwise runs eagerly.

    Returns:
        Dict from the array's name, without the prefix "f64/", to its value.
    """
    case = Case(reference, dtype)
    run = tf.function(jit_compile=True, autograph=False) if jit else lambda function: function
    results = _forward(case, run)
    num_adam_steps = 2 if any(n.startswith("adam2") for n in reference.names()) else 1
    results |= _meta_steps(case, run, num_adam_steps)
    return results


def _forward(case: Case, run: Callable) -> dict[str, np.ndarray]:
    """Losses, outputs, accuracies, and the adapted weights of task 0."""
    episode = case.episode()
    support = (episode.support_x, episode.support_y)
    query = (episode.query_x, episode.query_y)

    options = case.inner_loop_options()
    if "f64/lossesb" in case.arrays:  # a file may contain more steps than the meta-gradient uses
        options["num_inner_steps"] = len(case.arrays["f64/lossesb"])

    @run
    def adapt_and_score() -> tuple[list, list]:
        weights = adapt_to_support(
            case.model, case.task_weights, case.loss, support, **options
        ).weights
        scores = [_score(case, weights[0], *support)]
        return weights, scores + [_score(case, adapted, *query) for adapted in weights[1:]]

    weights, (before, *steps) = adapt_and_score()
    after = [np.stack(values) for values in zip(*steps, strict=True)]  # [steps, B, ...]
    results = {
        "lossesa": before[0], "total_loss1": np.mean(before[0]),
        "lossesb": after[0], "total_losses2": after[0].mean(1),
        "outputas": before[1], "outputbs": after[1],
    }  # fmt: skip
    if case.image_shape:
        results |= {
            "accuraciesa": before[2], "total_accuracy1": np.mean(before[2]),
            "accuraciesb": after[2], "total_accuracies2": after[2].mean(1),
        }  # fmt: skip
    keys = {id(variable): key for key, variable in case.variables.items()}
    for name, adapted in (("fast1", weights[1]), ("fastlast", weights[-1])):
        for task_weight, value in zip(case.task_weights, adapted, strict=True):
            results[f"{name}_task0/{keys[id(task_weight.variable)]}"] = value[0]
    return results


def _score(
    case: Case, weights: list[tf.Tensor], x: tf.Tensor, y: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Losses [B], outputs [B, n, out], accuracies [B]."""
    predictions = predict(case.model, case.task_weights, weights, x)
    losses = task_losses(case.loss, flatten_tasks(y), predictions, x.shape[0])
    accuracies = tf.zeros([x.shape[0]])
    if case.image_shape:
        hits = tf.argmax(predictions, -1, tf.int32) == flatten_tasks(y)
        accuracies = tf.reduce_mean(tf.reshape(tf.cast(hits, tf.float64), [x.shape[0], -1]), 1)
    return losses, tf.reshape(predictions, [*x.shape[:2], -1]), accuracies


def _meta_steps(case: Case, run: Callable, num_adam_steps: int) -> dict[str, np.ndarray]:
    """Meta-gradients, their norms, and the parameters after each Adam step on this batch."""
    parameters = list(case.variables.values())
    gradients_of = run(functools.partial(_gradients, case, parameters, case.episode()))
    adam = _adam(case)
    results = {}
    for step in range(1, num_adam_steps + 1):
        gradients = gradients_of()
        if step == 1:
            results |= {f"grad/{k}": g for k, g in zip(case.variables, gradients, strict=True)}
        adam.apply(gradients, parameters)
        results |= {f"adam{step}/{k}": v.numpy() for k, v in case.variables.items()}
    keys = [f"grad/{key}" for key in case.arrays["param_order"]]
    results["grad_norm"] = np.array([np.linalg.norm(results[key]) for key in keys])
    return results


def _gradients(case: Case, parameters: list[keras.Variable], episode: Episode) -> list[tf.Tensor]:
    _, gradients = meta_gradients(
        case.model, case.task_weights, parameters, case.loss, episode, **case.inner_loop_options()
    )
    return gradients


def _adam(case: Case) -> keras.optimizers.Optimizer:
    # TF1's Adam stores its constants in float32, also for float64 weights.
    rate, beta_1, beta_2, epsilon = (
        float(np.float32(x)) for x in (case.flags["meta_lr"], 0.9, 0.999, 1e-8)
    )
    return keras.optimizers.Adam(
        rate, tf.constant(beta_1, case.dtype), tf.constant(beta_2, case.dtype), epsilon,
        clipvalue=10.0 if case.flags["datasource"] == "miniimagenet" else None,
    )  # fmt: skip
