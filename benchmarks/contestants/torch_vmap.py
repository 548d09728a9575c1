"""PyTorch: `torch.func.vmap` over tasks, `torch.func.grad` in the inner loop."""

from torch import func

from benchmarks.contestants.torch_common import TorchProgram, adapted_names, masks, set_loss
from benchmarks.work import Arrays, Work


class VmapProgram(TorchProgram):
    """All tasks in one call."""

    def compute_gradients(self, batch):
        """The gradient of the mean over tasks."""

        def meta_loss(weights):
            task = func.vmap(lambda one: _task_loss(self.work, weights, one))
            return task(batch).mean()

        values = {name: value.detach() for name, value in self.weights.items()}
        gradients, loss = func.grad_and_value(meta_loss)(values)
        for name, value in self.weights.items():
            value.grad = gradients[name]
        return loss


def _task_loss(work, weights, one):
    factors = masks(work, weights, one)
    fast = {name: weights[name] for name in adapted_names(work)}
    constant = {name: value for name, value in weights.items() if name not in fast}
    for _ in range(work.inner_steps):
        gradients = func.grad(lambda w: set_loss(work, {**constant, **w}, one, "support"))(fast)
        for name in gradients:
            gradients[name] = factors[name] * gradients[name] if factors else gradients[name]
        fast = {name: value - work.step_size * gradients[name] for name, value in fast.items()}
    return set_loss(work, {**constant, **fast}, one, "query")


def program(work: Work, weights: Arrays, batches: list[Arrays]) -> VmapProgram:
    """The program."""
    return VmapProgram(work, weights, batches)
