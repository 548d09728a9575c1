"""TensorFlow in the style of the original program: `map_fn` over tasks, weights in a dict."""

import keras
import tensorflow as tf

from benchmarks.contestants.tf_common import TensorFlowProgram
from benchmarks.work import NORM_EPSILON, Arrays, Work, cells


def program(work: Work, weights: Arrays, batches: list[Arrays]) -> TensorFlowProgram:
    """The program; a graph without XLA, which cannot differentiate `map_fn`."""
    variables = {name: keras.Variable(value, name=name) for name, value in weights.items()}

    def gradients(batch):
        with tf.GradientTape() as tape:
            values = {name: v.value for name, v in variables.items()}

            def task(one):
                return _task_loss(work, values, one)

            losses = tf.map_fn(
                task, batch, fn_output_signature=tf.float32, parallel_iterations=work.tasks
            )
            loss = tf.reduce_mean(losses)
        return loss, tape.gradient(loss, [v.value for v in variables.values()])

    return TensorFlowProgram(gradients, variables, batches, jit_compile=False)


def _task_loss(work, weights, one):
    """The query loss of one task after adaptation."""
    names = [name for name in weights if name[0] in "Wb" and not name.startswith("beta")]
    fast = dict(weights)
    masks = {}
    if work.method == "mtnet":
        for i in range(len(cells(work))):
            soft = tf.sigmoid(weights[f"zeta{i}"] + one[f"noise{i}"])
            mask = tf.cast(soft >= 0.5, tf.float32) + soft - tf.stop_gradient(soft)
            masks |= {f"W{i}": mask, f"b{i}": mask}
    for _ in range(work.inner_steps):
        loss = _loss(work, fast, one["support_x"], one["support_y"])
        found = tf.gradients(loss, [fast[name] for name in names])
        for name, gradient in zip(names, found, strict=True):
            masked = masks[name] * gradient if masks else gradient
            fast[name] = fast[name] - work.step_size * masked
    return _loss(work, fast, one["query_x"], one["query_y"])


def _loss(work, weights, x, y):
    outputs = _forward(work, weights, x)
    if not work.classifies:
        return tf.reduce_mean(tf.square(outputs - y))
    one_hot = tf.one_hot(y, work.ways)
    losses = tf.nn.softmax_cross_entropy_with_logits(one_hot, outputs)
    return tf.reduce_sum(losses) / work.shots


def _forward(work, weights, x):
    for i, cell in enumerate(cells(work)):
        if len(cell.kernel) == 4:
            x = tf.nn.conv2d(x, weights[f"W{i}"], cell.stride, "SAME") + weights[f"b{i}"]
            if work.method == "mtnet":
                x = tf.nn.conv2d(x, weights[f"T{i}"][None, None], 1, "SAME")
        else:
            if x.shape.rank == 4:
                flat = tf.reshape(x, [-1, cell.depth]) if work.max_pool else None
                x = tf.reduce_mean(x, [1, 2]) if flat is None else flat
            x = x @ weights[f"W{i}"] + weights[f"b{i}"]
            x = x @ weights[f"T{i}"] if work.method == "mtnet" else x
        if cell.is_last:
            return x
        if f"beta{i}" in weights:
            mean = tf.reduce_mean(x, [0, 1, 2])
            # The second derivative of `tf.nn.moments` is wrong.
            variance = tf.reduce_mean(tf.square(x - mean), [0, 1, 2])
            offset = weights[f"beta{i}"]
            x = tf.nn.batch_normalization(x, mean, variance, offset, None, NORM_EPSILON)
        x = tf.nn.relu(x)
        if work.max_pool:
            x = tf.nn.max_pool2d(x, 2, 2, "VALID")
    return x
