"""What the PyTorch programs share: the network as a function, Adam and the loop over batches."""

import torch
from torch.nn import functional

from benchmarks.work import ADAM_EPSILON, LEARNING_RATE, NORM_EPSILON, Arrays, Work, cells

Tensors = dict[str, torch.Tensor]


class TorchProgram:
    """Meta-training with `torch.optim.Adam`; a subclass computes the gradients."""

    def __init__(self, work: Work, weights: Arrays, batches: list[Arrays]) -> None:
        """Moves everything to the device."""
        self.work, self._done = work, 0
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.weights = {name: self._tensor(value) for name, value in weights.items()}
        for value in self.weights.values():
            value.requires_grad_()
        self._batches = [{name: self._tensor(v) for name, v in b.items()} for b in batches]
        for batch in self._batches:  # PyTorch's layout of images, and its integers
            for part in ("support", "query"):
                x, y = batch[f"{part}_x"], batch[f"{part}_y"]
                images = x.dim() == 5
                batch[f"{part}_x"] = x.movedim(-1, 2).contiguous() if images else x
                batch[f"{part}_y"] = y.long() if work.classifies else y
        options = {"lr": LEARNING_RATE, "eps": ADAM_EPSILON, "fused": True}
        self._adam = torch.optim.Adam(self.weights.values(), **options)

    def _tensor(self, value):
        return torch.tensor(value, device=self._device)

    def compute_gradients(self, batch: Tensors) -> torch.Tensor:
        """Sets the `grad` of every weight, and returns the loss."""
        raise NotImplementedError

    def _advance(self, steps):
        for i in range(self._done, self._done + steps):
            self._adam.zero_grad()
            loss = self.compute_gradients(self._batches[i % len(self._batches)])
            self._adam.step()
        self._done += steps
        return float(loss)  # waits for the result

    def first_step(self):
        """The first step."""
        loss = self._advance(1)
        return loss, {k: v.grad.cpu().numpy() for k, v in self.weights.items()}

    def run(self, steps):
        """Further steps."""
        self._advance(steps)

    def device(self):
        """Name of the GPU, or "CPU"."""
        return "CPU" if self._device.type == "cpu" else torch.cuda.get_device_name()

    def device_memory(self):
        """Peak memory of the GPU in bytes."""
        return 0 if self._device.type == "cpu" else torch.cuda.max_memory_allocated()


def adapted_names(work: Work) -> list[str]:
    """The weights that the inner loop changes."""
    return [f"{kind}{i}" for kind in "Wb" for i in range(len(cells(work)))]


def masks(work: Work, weights: Tensors, one: Tensors) -> Tensors:
    """The mask of each weight, with the gradient of the soft sample; empty for MAML."""
    found = {}
    for i in range(len(cells(work)) if work.method == "mtnet" else 0):
        soft = torch.sigmoid(weights[f"zeta{i}"] + one[f"noise{i}"])
        mask = (soft >= 0.5).float() + soft - soft.detach()
        found |= {f"W{i}": mask, f"b{i}": mask}
    return found


def set_loss(work: Work, weights: Tensors, one: Tensors, part: str) -> torch.Tensor:
    """The loss of one task on a set."""
    outputs, y = forward(work, weights, one[f"{part}_x"]), one[f"{part}_y"]
    if not work.classifies:
        return functional.mse_loss(outputs, y)
    return functional.cross_entropy(outputs, y, reduction="sum") / work.shots


def forward(work: Work, weights: Tensors, x: torch.Tensor) -> torch.Tensor:
    """The network; images are [n, C, H, W]."""
    for i, cell in enumerate(cells(work)):
        kernel, bias, transform = (weights.get(f"{k}{i}") for k in ("W", "b", "T"))
        merge = transform is not None and cell.depth < x.shape[0] * cell.pixels
        if merge:  # cheaper
            kernel, bias, transform = kernel @ transform, bias @ transform, None
        if len(cell.kernel) == 4:
            x = _convolution(x, kernel.permute(3, 2, 0, 1), bias, cell.stride)
            if transform is not None:
                x = functional.conv2d(x, transform.T[:, :, None, None])
        else:
            if x.dim() == 4:
                pixels = x.permute(0, 2, 3, 1).flatten(1) if work.max_pool else None
                x = x.mean((2, 3)) if pixels is None else pixels
            x = x @ kernel + bias
            x = x if transform is None else x @ transform
        if cell.is_last:
            return x
        if f"beta{i}" in weights:
            options = {"training": True, "eps": NORM_EPSILON}
            scale = torch.ones_like(weights[f"beta{i}"])
            x = functional.batch_norm(x, None, None, scale, weights[f"beta{i}"], **options)
        x = functional.relu(x)
        x = functional.max_pool2d(x, 2) if work.max_pool else x
    return x


def _convolution(x, kernel, bias, stride):
    """Padding "same" as in TensorFlow: the odd pixel is at the bottom and right."""
    if stride == 1:
        return functional.conv2d(x, kernel, bias, padding=1)
    side = x.shape[-1]
    total = max((-(-side // stride) - 1) * stride + 3 - side, 0)
    if total % 2 == 0:
        return functional.conv2d(x, kernel, bias, stride, padding=total // 2)
    pads = (total // 2, total - total // 2) * 2
    return functional.conv2d(functional.pad(x, pads), kernel, bias, stride)
