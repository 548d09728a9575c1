"""Compares this package with reference numbers of the authors' TF1 code.

    python tests/fidelity.py [--jit] FILE.npz ...

Beside the files lies their MANIFEST.json with the authors' command-line flags. For each file and
precision, a row of the table gives the largest relative error of each kind of number: per array,
max|ours - reference| / max|reference|. Exit status 1 where one is above 1e-8 (float64) or 1e-4
(float32; only arrays whose own float32 reference is that close to float64). `--jit` compiles with
XLA, as training does. Under max pooling a near-tie can fall either way in float32 and change a
gradient: there float64 decides, and the float32 gradients are shown but not judged.
"""

import json
import logging
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

# The script also runs from a checkout that is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from mtnet_tf import losses, meta_step, networks
from mtnet_tf.layers import ExampleLayerNormalization, TaskBatchNormalization, TWLayer
from mtnet_tf.tasks import Episode

TOLERANCE = {"float64": 1e-8, "float32": 1e-4}
GROUPS = ("losses", "accuracies", "outputs", "fast", "grad", "adam1", "adam2")
# Bare defaults of the original's flags (those that define a case).
DEFAULTS = {
    "norm": "batch_norm", "max_pool": False, "update_batch_size": 5, "update_lr": 0.001,
    "num_updates": 1, "use_T": False, "use_M": False, "share_M": False, "stop_grad": False,
    "temp": 1.0, "meta_lr": 0.001, "conv": True,
}  # fmt: skip


class Case:
    """One reference file, and our network with the same initial values."""

    def __init__(self, path, dtype):
        """Reads the file and builds the network in `dtype`."""
        self.arrays = np.load(path)
        manifest = json.loads((path.parent / "MANIFEST.json").read_text())
        if path.stem not in manifest:
            raise ValueError(f"{path.name} is not described in the MANIFEST.json beside it.")
        entry = manifest[path.stem]
        self.dead = set(entry.get("dead_params_zero_gradient") or ())
        self.flags = {**DEFAULTS, **entry["flags"]}
        self.dtype = dtype
        self.is_image = self.flags["datasource"] in ("omniglot", "miniimagenet")
        self.model = self._network()
        self.variables = self._match_variables()
        for key, variable in self.variables.items():
            variable.assign(self.arrays[f"param/{key}"].reshape(variable.shape))
        self.task_weights = meta_step.find_task_weights(self.model)
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
        kinds = (TaskBatchNormalization, ExampleLayerNormalization)
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
        return meta_step.align_masks(self.task_weights, drawn)


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
        results |= {"total_accuracy1": before[2], "total_accuracies2": after[2]}
    keys = {id(v): k for k, v in case.variables.items()}
    for name, weights in (("fast1", trajectory[1]), ("fastlast", trajectory[-1])):
        for task_weight, value in zip(case.task_weights, weights, strict=True):
            results[f"{name}_task0/{keys[id(task_weight.variable)]}"] = value[0]


def _score(case, weights, x, y):
    """Losses [B], outputs [B, n, out], accuracy."""
    predictions = meta_step.predict(case.model, case.task_weights, weights, x)
    values = losses.task_losses(case.loss, meta_step.fold(y), predictions, x.shape[0])
    accuracy = tf.zeros([])
    if case.is_image:
        hits = tf.argmax(predictions, -1, tf.int32) == meta_step.fold(y)
        accuracy = tf.reduce_mean(tf.cast(hits, tf.float64))
    return values, tf.reshape(predictions, [*x.shape[:2], -1]), accuracy


def relative_error(ours, reference):
    """max|ours - reference| / max|reference|, absolute where the reference is zero."""
    reference = np.asarray(reference, np.float64)
    ours = np.asarray(ours, np.float64).reshape(reference.shape)
    return np.max(np.abs(ours - reference)) / (np.max(np.abs(reference)) or 1.0)


def compare(path, dtype, jit=False):
    """Largest relative error of each group of numbers, a dict from group to (error, array)."""
    # On NVIDIA GPUs TensorFlow would otherwise round float32 products to ten bits.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    floatx = keras.config.floatx()
    # The optimizer keeps its learning rate in Keras' default dtype.
    keras.config.set_floatx(dtype)
    try:
        case = Case(Path(path), dtype)
        results = compute(case, jit)
    finally:
        keras.config.set_floatx(floatx)
    worst = {}
    for name in (n for n in case.arrays.files if n.startswith("f64/")):
        key = name.removeprefix("f64/")
        reference = case.arrays[name]
        if key.split("/", 1)[-1] in case.dead:
            continue
        if key == "grad_norm":
            alive = np.array([k not in case.dead for k in case.arrays["param_order"]])
            results[key], reference = results[key][alive], reference[alive]
        if dtype == "float32" and not _trusted(case, key, reference):
            continue
        if dtype == "float64" and key.startswith("adam2"):
            continue  # From the second step on the reference's own Adam rounds to float32.
        group = next(g for g, words in _WORDS.items() if key.startswith(words))
        if group == "accuracies":  # float32 fractions in every reference
            results[key], reference = np.round(results[key], 6), np.round(reference, 6)
        error = relative_error(results[key], reference)
        worst[group] = max(worst.get(group, (0.0, "")), (error, key))
    return worst


_WORDS = {
    "losses": ("losses", "total_loss"), "accuracies": "total_acc", "outputs": "output",
    "fast": "fast", "grad": "grad", "adam1": "adam1", "adam2": "adam2",
}  # fmt: skip


def _trusted(case, key, reference):
    """Whether the file's own float32 array is within float32's tolerance of its float64."""
    if f"f32/{key}" not in case.arrays:
        return True
    own = case.arrays[f"f32/{key}"]
    return own.shape == reference.shape and relative_error(own, reference) < TOLERANCE["float32"]


def judged(path, group, dtype):
    """Whether an error above tolerance counts, see the top of this file."""
    is_pooled = Case(Path(path), dtype).flags["max_pool"]
    return not (is_pooled and dtype == "float32" and group in ("grad", "adam1", "adam2"))


def main(arguments):
    """Prints the table; returns the exit status."""
    jit, paths = "--jit" in arguments, [a for a in arguments if a != "--jit"]
    if not paths:
        sys.stderr.write("Usage: python tests/fidelity.py [--jit] FILE.npz ...\n")
        return 2
    # Every file is another network, so every compilation is a new one: not worth a warning.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    sys.stdout.write(f"{'file':44}{'dtype':8}" + "".join(f"{g:>12}" for g in GROUPS) + "\n")
    failed = []
    for path in paths:
        for dtype, tolerance in TOLERANCE.items():
            worst = compare(path, dtype, jit)
            cells = [f"{worst[g][0]:12.1e}" if g in worst else f"{'-':>12}" for g in GROUPS]
            sys.stdout.write(f"{Path(path).stem:44}{dtype:8}" + "".join(cells) + "\n")
            sys.stdout.flush()
            bad = [
                f"{key} {error:.1e}"
                for group, (error, key) in worst.items()
                if not error <= tolerance and judged(path, group, dtype)
            ]
            failed += [f"{Path(path).stem} ({dtype}): {', '.join(bad)}"] if bad else []
    sys.stdout.write("".join(f"ABOVE TOLERANCE {line}\n" for line in failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
