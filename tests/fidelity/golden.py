"""Reference files of the authors' TF1 code, and the same numbers computed by this package."""

import json

import keras
import numpy as np
import tensorflow as tf

from mtnet_tf import networks
from mtnet_tf.layers import ExactLayerNormalization, TaskBatchNormalization, TWLayer
from mtnet_tf.layers.task_weights import find_task_weights
from mtnet_tf.meta import losses, meta_step
from mtnet_tf.meta.mask_sampler import align_masks
from mtnet_tf.tasks import Episode

# Bare defaults of the original's flags (those that define a case).
DEFAULTS = {
    "norm": "batch_norm", "max_pool": False, "update_batch_size": 5, "update_lr": 0.001,
    "num_updates": 1, "use_T": False, "use_M": False, "share_M": False, "stop_grad": False,
    "temp": 1.0, "meta_lr": 0.001, "conv": True,
}  # fmt: skip


def read_manifest(path):
    """What MANIFEST.json, beside a file or one folder up, says of the file."""
    for folder in (path.parent, path.parent.parent):
        manifest = folder / "MANIFEST.json"
        entries = json.loads(manifest.read_text()) if manifest.is_file() else {}
        if path.stem in entries:
            return entries[path.stem]
    raise ValueError(f"{path} must be described in a MANIFEST.json beside it; it is in none.")


class Case:
    """One reference file, and our network with the same initial values."""

    def __init__(self, path, dtype):
        """Reads the file and builds the network in `dtype`."""
        self.arrays = np.load(path)
        entry = read_manifest(path)
        self.dead = set(entry.get("dead_params_zero_gradient") or ())
        self.flags = {**DEFAULTS, **entry["flags"]}
        self.dtype = dtype
        self.is_image = self.flags["datasource"] in ("omniglot", "miniimagenet")
        self.model = self._network()
        self.variables = self._match_variables()
        for key, variable in self.variables.items():
            variable.assign(self.arrays[f"param/{key}"].reshape(variable.shape))
        self.task_weights = find_task_weights(self.model)
        self.loss = keras.losses.MeanSquaredError()
        if self.is_image:
            self.loss = losses.FewShotCrossentropy(self.flags["update_batch_size"])

    def _kernel_keys(self):
        is_kernel = [k for k in self.arrays["param_order"] if k[:1] == "w" or k[:4] == "conv"]
        return sorted(k for k in is_kernel if not k.endswith(("_f", "_prob")))

    def _network(self):
        flags, arrays = self.flags, self.arrays
        mask = ("unit" if flags["share_M"] else "weight") if flags["use_M"] else None
        options = {
            "cell_options": {
                "transform": flags["use_T"], "mask": mask, "temperature": flags["temp"]
            },
            "norm": str(flags["norm"]), "dtype": self.dtype,
        }  # fmt: skip
        sizes = [arrays[f"param/{k}"].shape[-1] for k in self._kernel_keys()]
        if not self.is_image:
            num_inputs = arrays["inputa"].shape[-1]
            return networks.regression_network(
                num_inputs, sizes[-1], dim_hidden=sizes[:-1], **options
            )
        is_mini = flags["datasource"] == "miniimagenet"
        self.image_shape = (84, 84, 3) if is_mini else (28, 28, 1)
        if not flags["conv"]:
            return networks.dense_image_network(self.image_shape, sizes[-1], **options)
        options |= {"max_pool": flags["max_pool"], "flatten": is_mini}
        return networks.convolutional_network(
            self.image_shape, sizes[-1], num_filters=sizes[0], **options
        )

    def _match_variables(self):
        """Dict from the original's key to our variable."""
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
        if set(found) != set(self.arrays["param_order"]):
            raise ValueError(f"Keys differ: {sorted(set(found) ^ set(self.arrays['param_order']))}")
        return found

    def episode(self):
        """The file's support and query sets."""
        x = {h: tf.constant(self.arrays[f"input{h}"], self.dtype) for h in "ab"}
        y = {h: tf.constant(self.arrays[f"label{h}"], self.dtype) for h in "ab"}
        if self.is_image:
            x = {h: tf.reshape(v, [*v.shape[:2], *self.image_shape]) for h, v in x.items()}
            y = {h: tf.argmax(v, -1, tf.int32) for h, v in y.items()}
        return Episode(x["a"], y["a"], x["b"], y["b"])

    def masks(self, step):
        """The file's masks of one inner step, from its uniform draws."""
        names = {id(v): k for k, v in self.variables.items()}
        drawn = {}
        for layer in {id(w.mask_logits): w.mask_logits for w in self.task_weights}.values():
            if layer is None:
                continue
            uniform = self.arrays["U/" + names[id(layer.logits)].removesuffix("_prob")]
            uniform = uniform if uniform.ndim == 3 else uniform[:, step]
            gumbels = -np.log(-np.log(uniform.astype(self.dtype)))
            noise = gumbels[..., 0] - gumbels[..., 1]
            drawn[id(layer)] = layer(tf.constant(noise.reshape(-1, *layer.shape)))
        return align_masks(self.task_weights, drawn)


def compute(case, jit):
    """Our value of every reference array, by its name without the tag."""
    results = {}
    options = {
        "step_size": case.flags["update_lr"],
        "first_order": case.flags["stop_grad"],
        "masks": case.masks,
    }
    episode = case.episode()
    _forward(case, episode, options, results, jit)
    parameters = list(case.variables.values())
    clip = 10.0 if case.flags["datasource"] == "miniimagenet" else None
    adam = _adam(case.flags["meta_lr"], clip, case.dtype)
    step = tf.function(
        lambda: meta_step.meta_gradients(
            case.model, case.task_weights, parameters, case.loss, episode,
            num_inner_steps=case.flags["num_updates"], **options,
        )[1],
        jit_compile=jit, autograph=False,
    )  # fmt: skip
    for i in (1, 2):
        gradients = step()
        if i == 1:
            results |= {f"grad/{k}": g for k, g in zip(case.variables, gradients, strict=True)}
        adam.apply(gradients, parameters)
        results |= {f"adam{i}/{k}": v.numpy() for k, v in case.variables.items()}
    keys = [f"grad/{k}" for k in case.arrays["param_order"]]
    results["grad_norm"] = np.array([np.linalg.norm(results[k]) for k in keys])
    return results


def _adam(learning_rate, clip, dtype):
    # TF1's Adam holds its constants in float32 whatever the dtype of the weights.
    rate, beta_1, beta_2, epsilon = (
        float(np.float32(x)) for x in (learning_rate, 0.9, 0.999, 1e-8)
    )
    return keras.optimizers.Adam(
        rate, tf.constant(beta_1, dtype), tf.constant(beta_2, dtype), epsilon, clipvalue=clip
    )


def _forward(case, episode, options, results, jit):
    """Adds losses, outputs, accuracies and the fast weights of task 0."""
    steps = case.arrays["f64/lossesb"].shape[0] if "f64/lossesb" in case.arrays else None
    steps = steps or case.flags["num_updates"]
    support = (episode.support_x, episode.support_y)

    @tf.function(jit_compile=jit, autograph=False)
    def run():
        trajectory = meta_step.adapt_to_support(
            case.model, case.task_weights, case.loss, support, num_inner_steps=steps, **options
        ).trajectory
        halves = [(trajectory[0], *support)]
        halves += [(weights, episode.query_x, episode.query_y) for weights in trajectory[1:]]
        return trajectory, [_score(case, *half) for half in halves]

    trajectory, scores = run()
    before, after = scores[0], [np.stack(values) for values in zip(*scores[1:], strict=True)]
    results |= {"lossesa": before[0], "outputas": before[1]}
    results |= {"lossesb": after[0], "outputbs": after[1]}
    results |= {"total_loss1": np.mean(before[0]), "total_losses2": after[0].mean(1)}
    if case.is_image:
        results |= {"accuraciesa": before[2], "accuraciesb": after[2]}
        results |= {"total_accuracy1": np.mean(before[2]), "total_accuracies2": after[2].mean(1)}
    keys = {id(v): k for k, v in case.variables.items()}
    for name, weights in (("fast1", trajectory[1]), ("fastlast", trajectory[-1])):
        for task_weight, value in zip(case.task_weights, weights, strict=True):
            results[f"{name}_task0/{keys[id(task_weight.variable)]}"] = value[0]


def _score(case, weights, x, y):
    """Losses [B], outputs [B, n, out], accuracies [B]."""
    predictions = meta_step.predict(case.model, case.task_weights, weights, x)
    values = losses.task_losses(case.loss, meta_step.flatten_tasks(y), predictions, x.shape[0])
    accuracies = tf.zeros([x.shape[0]])
    if case.is_image:
        hits = tf.argmax(predictions, -1, tf.int32) == meta_step.flatten_tasks(y)
        accuracies = tf.reduce_mean(tf.reshape(tf.cast(hits, tf.float64), [x.shape[0], -1]), 1)
    return values, tf.reshape(predictions, [*x.shape[:2], -1]), accuracies
