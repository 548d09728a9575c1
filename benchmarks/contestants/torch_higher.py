"""PyTorch with `higher`: a stateless copy of a module, and differentiable SGD; MAML only."""

import higher
import torch

from benchmarks.contestants.torch_common import TorchProgram, adapted_names, set_loss
from benchmarks.work import Arrays, Work


class _Network(torch.nn.Module):
    """The weights as a module, whose forward pass is the loss on a set."""

    def __init__(self, work, weights):
        super().__init__()
        self._work = work
        for name, value in weights.items():
            self.register_parameter(name, torch.nn.Parameter(value.detach()))

    def forward(self, one, part):
        return set_loss(self._work, dict(self.named_parameters()), one, part)


class HigherProgram(TorchProgram):
    """`higher.innerloop_ctx` for each task."""

    def __init__(self, work, weights, batches):
        """Creates the module, which shares its weights with Adam."""
        super().__init__(work, weights, batches)
        self._network = _Network(work, self.weights)
        parameters = dict(self._network.named_parameters())
        for name, value in self.weights.items():
            parameters[name].data = value.data
        adapted = [parameters[name] for name in adapted_names(work)]
        self._sgd = torch.optim.SGD(adapted, lr=work.step_size)
        self._parameters = parameters

    def compute_gradients(self, batch):
        """Backward pass of each task."""
        total = 0.0
        self._network.zero_grad()
        for i in range(self.work.tasks):
            one = {name: value[i] for name, value in batch.items()}
            options = {"copy_initial_weights": False}
            with higher.innerloop_ctx(self._network, self._sgd, **options) as (network, sgd):
                for _ in range(self.work.inner_steps):
                    sgd.step(network(one, "support"))
                loss = network(one, "query") / self.work.tasks
                loss.backward()
            total = total + loss.detach()
        for name, value in self.weights.items():
            value.grad = self._parameters[name].grad
        return total


def program(work: Work, weights: Arrays, batches: list[Arrays]) -> HigherProgram:
    """The program."""
    return HigherProgram(work, weights, batches)
