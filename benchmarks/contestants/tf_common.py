"""What both TensorFlow programs share: Adam, the loop over batches, and reading the gradient."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from benchmarks.work import ADAM_EPSILON, LEARNING_RATE, Arrays, stacked

BETA = 0.9  # Adam's decay of the mean gradient


class TensorFlowProgram:
    """Steps of a compiled function from the tensors of a batch to the loss."""

    def __init__(
        self,
        gradients: Callable[[dict[str, tf.Tensor]], tuple[tf.Tensor, Sequence[tf.Tensor]]],
        variables: dict[str, keras.Variable],
        batches: list[Arrays],
        *,
        jit_compile: bool,
        loop: bool = False,
    ) -> None:
        """Prepares the function.

        Args:
            gradients: from a batch to the loss and the gradient of each variable.
            variables: meta-parameters by name.
            batches: see `benchmarks.work.batches`.
            jit_compile: whether XLA compiles the step.
            loop: several steps in one program, over stacked batches.
        """
        self._variables = variables
        self._adam = keras.optimizers.Adam(LEARNING_RATE, beta_1=BETA, epsilon=ADAM_EPSILON)
        self._adam.build(list(variables.values()))
        self._gradients = gradients
        self._done, self._loop = 0, loop
        if loop:
            stack = stacked(batches)
            self._batches = [{name: tf.constant(value) for name, value in stack.items()}]
            self._count = len(batches)
            self._steps = tf.function(self._many, jit_compile=jit_compile, autograph=False)
        else:
            self._batches = [{k: tf.constant(v) for k, v in b.items()} for b in batches]
            self._step = tf.function(self._one, jit_compile=jit_compile, autograph=False)

    def _one(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        loss, gradients = self._gradients(batch)
        self._adam.apply_gradients(zip(gradients, self._variables.values(), strict=True))
        return loss

    def _many(self, stack: dict[str, tf.Tensor], first: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
        def body(i: tf.Tensor, loss: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            position = (first + i) % self._count
            # A slice would make `first` a constant of the program, compiled anew for each value.
            batch = {name: tf.gather(value, position) for name, value in stack.items()}
            return i + 1, self._one(batch)

        return tf.while_loop(lambda i, loss: i < steps, body, [0, 0.0])[1]

    def _advance(self, steps: int) -> float:
        if self._loop:
            first = tf.constant(self._done % self._count)
            loss = self._steps(self._batches[0], first, tf.constant(steps))
        else:
            for i in range(self._done, self._done + steps):
                loss = self._step(self._batches[i % len(self._batches)])
        self._done += steps
        return float(loss)  # waits for the result

    def first_step(self) -> tuple[float, Arrays]:
        """The first step; Adam's mean gradient after it is a tenth of the gradient."""
        loss = self._advance(1)
        means = [v for v in self._adam.variables if v.path.endswith("_momentum")]
        values = [keras.ops.convert_to_numpy(v) / (1 - BETA) for v in means]
        return loss, dict(zip(self._variables, values, strict=True))

    def run(self, steps: int) -> None:
        """Further steps."""
        self._advance(steps)

    def device(self) -> str:
        """Name of the GPU, or "CPU"."""
        gpus = tf.config.list_physical_devices("GPU")
        return tf.config.experimental.get_device_details(gpus[0])["device_name"] if gpus else "CPU"

    def device_memory(self) -> int:
        """Peak memory of the GPU in bytes."""
        if not tf.config.list_physical_devices("GPU"):
            return 0
        return tf.config.experimental.get_memory_info("GPU:0")["peak"]
