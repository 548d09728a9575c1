"""JAX: `vmap` over tasks, `grad` of `grad`, one compiled step or a loop of steps in one program."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.work import ADAM_EPSILON, LEARNING_RATE, NORM_EPSILON, Arrays, Work, cells, stacked


def program(work: Work, weights: Arrays, batches: list[Arrays], **options):
    """The program, see `JaxProgram`."""
    return JaxProgram(work, weights, batches, **options)


class JaxProgram:
    """Meta-training in JAX."""

    def __init__(self, work, weights, batches, convolution="patches", loop=False):
        """Prepares the compiled step.

        Args:
            work: see `Work`.
            weights: initial meta-parameters.
            batches: meta-batches.
            convolution: "lax" for `lax.conv_general_dilated`, "patches" for products of slices.
            loop: several steps in one program.
        """
        convolve = {"lax": _lax_convolution, "patches": _patches_convolution}[convolution]
        weights = jax.device_put(weights)
        zeros = jax.tree.map(jnp.zeros_like, weights)
        self._state = (weights, zeros, jax.tree.map(jnp.zeros_like, weights), jnp.zeros((), int))
        self._batches = jax.device_put([stacked(batches)] if loop else batches)
        self._count, self._done, self._loop = len(batches), 0, loop

        def one(state, batch):
            loss, gradients = jax.value_and_grad(_meta_loss)(state[0], batch, work, convolve)
            return _adam(state, gradients), loss

        def many(state, stack, first, steps):
            def body(i, carry):
                return one(carry[0], jax.tree.map(lambda v: v[(first + i) % self._count], stack))

            return lax.fori_loop(0, steps, body, (state, jnp.zeros(())))

        self._step = jax.jit(many if loop else one, donate_argnums=0)

    def _advance(self, steps):
        if self._loop:
            first = self._done % self._count
            self._state, loss = self._step(self._state, self._batches[0], first, steps)
        else:
            for i in range(self._done, self._done + steps):
                self._state, loss = self._step(self._state, self._batches[i % self._count])
        self._done += steps
        return float(jax.block_until_ready(loss))

    def first_step(self):
        """The first step; Adam's mean gradient after it is a tenth of the gradient."""
        loss = self._advance(1)
        return loss, {name: np.asarray(value) / 0.1 for name, value in self._state[1].items()}

    def run(self, steps):
        """Further steps."""
        self._advance(steps)

    def device(self):
        """Kind of the device."""
        device = jax.devices()[0]
        return "CPU" if device.platform == "cpu" else device.device_kind

    def device_memory(self):
        """Peak memory of the GPU in bytes."""
        device = jax.devices()[0]
        return 0 if device.platform == "cpu" else device.memory_stats()["peak_bytes_in_use"]


def _adam(state, gradients):
    weights, mean, square, count = state
    count = count + 1
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradients)
    square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, square, gradients)
    rate = LEARNING_RATE * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
    moved = jax.tree.map(
        lambda w, m, s: w - rate * m / (jnp.sqrt(s) + ADAM_EPSILON), weights, mean, square
    )
    return moved, mean, square, count


def _meta_loss(weights, batch, work, convolve):
    tasks = jax.vmap(lambda one: _task_loss(weights, one, work, convolve))
    return jnp.mean(tasks(batch))


def _task_loss(weights, one, work, convolve):
    adapted = {f"{kind}{i}" for kind in "Wb" for i in range(len(cells(work)))}
    fast = {name: weights[name] for name in adapted}
    constant = {name: value for name, value in weights.items() if name not in adapted}
    masks = {}
    if work.method == "mtnet":
        for i in range(len(cells(work))):
            soft = jax.nn.sigmoid(weights[f"zeta{i}"] + one[f"noise{i}"])
            mask = (soft >= 0.5) + soft - lax.stop_gradient(soft)
            masks |= {f"W{i}": mask, f"b{i}": mask}

    def loss(fast, part):
        outputs = _forward({**constant, **fast}, one[f"{part}_x"], work, convolve)
        y = one[f"{part}_y"]
        if not work.classifies:
            return jnp.mean((outputs - y) ** 2)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(outputs), y[:, None], 1)
        return -jnp.sum(chosen) / work.shots

    for _ in range(work.inner_steps):
        found = jax.grad(loss)(fast, "support")
        fast = {
            name: value - work.step_size * (masks[name] * found[name] if masks else found[name])
            for name, value in fast.items()
        }
    return loss(fast, "query")


def _forward(weights, x, work, convolve):
    for i, cell in enumerate(cells(work)):
        kernel, bias, transform = (weights.get(f"{k}{i}") for k in ("W", "b", "T"))
        if transform is not None and cell.depth < x.shape[0] * cell.pixels:
            kernel, bias, transform = kernel @ transform, bias @ transform, None  # cheaper
        if len(cell.kernel) == 4:
            x = convolve(x, kernel, cell.stride)
        else:
            if x.ndim == 4:
                x = x.reshape(len(x), -1) if work.max_pool else x.mean((1, 2))
            x = x @ kernel
        x = x + bias
        x = x if transform is None else x @ transform
        if cell.is_last:
            return x
        if f"beta{i}" in weights:
            mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
            x = (x - mean) * lax.rsqrt(variance + NORM_EPSILON) + weights[f"beta{i}"]
        x = jax.nn.relu(x)
        x = _pooled(x) if work.max_pool else x
    return x


def _pooled(x):
    """Max pooling by comparisons.

    The derivative of `max` compares its result with the inputs. XLA computes these once more in
    another fragment of the program, with other rounding, which makes gradients wrong by 5 %.
    """
    n, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    x = x.reshape(n, height // 2, 2, width // 2, 2, channels)
    x = jnp.where(x[:, :, 0] > x[:, :, 1], x[:, :, 0], x[:, :, 1])
    return jnp.where(x[:, :, :, 0] > x[:, :, :, 1], x[:, :, :, 0], x[:, :, :, 1])


def _lax_convolution(x, kernel, stride):
    axes = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=axes)


def _patches_convolution(x, kernel, stride):
    """A product over shifted slices: [n, H, W, 9 C] @ [9 C, U]."""
    side = x.shape[1]
    size = -(-side // stride)
    total = max((size - 1) * stride + 3 - side, 0)
    before = total // 2
    x = jnp.pad(x, [(0, 0), (before, total - before), (before, total - before), (0, 0)])
    reach = (size - 1) * stride + 1
    slices = [
        x[:, i : i + reach : stride, j : j + reach : stride] for i in range(3) for j in range(3)
    ]
    return jnp.concatenate(slices, -1) @ kernel.reshape(-1, kernel.shape[-1])
