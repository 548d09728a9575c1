"""PyTorch: a loop over tasks, with `torch.autograd.grad` in the inner loop."""

import torch

from benchmarks.contestants.torch_common import TorchProgram, adapted_names, masks, set_loss
from benchmarks.work import Arrays, Work


class LoopProgram(TorchProgram):
    """One task after the other; the gradients add up."""

    def compute_gradients(self, batch):
        """Backward pass of each task, so that only one graph is in memory."""
        total = 0.0
        for i in range(self.work.tasks):
            one = {name: value[i] for name, value in batch.items()}
            loss = self._task_loss(one) / self.work.tasks
            loss.backward()
            total = total + loss.detach()
        return total

    def _task_loss(self, one):
        work = self.work
        factors = masks(work, self.weights, one)
        weights, names = dict(self.weights), adapted_names(work)
        for _ in range(work.inner_steps):
            loss = set_loss(work, weights, one, "support")
            found = torch.autograd.grad(loss, [weights[n] for n in names], create_graph=True)
            for name, gradient in zip(names, found, strict=True):
                masked = factors[name] * gradient if factors else gradient
                weights[name] = weights[name] - work.step_size * masked
        return set_loss(work, weights, one, "query")


def program(work: Work, weights: Arrays, batches: list[Arrays]) -> LoopProgram:
    """The program."""
    return LoopProgram(work, weights, batches)
