"""Networks that several processes train together: gradients, batch normalization and dropout are those of the whole batch."""

import warnings

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import FunctionCtx
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from pocketgan_trainer.networks.dcgan import UniformDropout
from pocketgan_trainer.processes import Processes


class SharedBatchNorm(_BatchNorm):
    """Batch normalization over the rows of all processes; replaces a layer of one process and has its state.

    `nn.SyncBatchNorm` does the same, but only on GPUs.
    """

    def __init__(self, layer: _BatchNorm, processes: Processes) -> None:
        super().__init__(layer.num_features, layer.eps, layer.momentum, device=layer.weight.device)
        self.weight, self.bias = layer.weight, layer.bias
        self.load_state_dict(layer.state_dict())
        self._processes = processes

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 - torch's name
        """Accept any shape [N, C, ...]."""

    def forward(self, values: Tensor) -> Tensor:
        """Return values [N, C, ...] normalized, in their own type; in training by the mean and variance over all processes."""
        if not self.training:
            return super().forward(values)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        wide = values.float()
        other_axes = [0, *range(2, values.dim())]
        mean = self._mean_of_all(wide.mean(other_axes, keepdim=True))
        variance = self._mean_of_all((wide - mean).square().mean(other_axes, keepdim=True))
        count = values.numel() // values.shape[1] * self._processes.count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean.flatten(), self.momentum)
            self.running_var.lerp_(variance.flatten() * count / (count - 1), self.momentum)
        scale, shift = (parameter.view(mean.shape) for parameter in (self.weight, self.bias))
        return ((wide - mean) * (variance + self.eps).rsqrt() * scale + shift).to(values.dtype)

    def _mean_of_all(self, value: Tensor) -> Tensor:
        total: Tensor = _SumOfAll.apply(value)  # type: ignore[no-untyped-call]
        return total / self._processes.count


class _SumOfAll(torch.autograd.Function):
    """Sums a tensor over all processes; the gradient in each is the sum of the gradients in all."""

    @staticmethod
    def forward(context: FunctionCtx, value: Tensor) -> Tensor:
        total = value.contiguous().clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: FunctionCtx, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        distributed.all_reduce(total)
        return total


def shared(network: nn.Module, processes: Processes) -> nn.Module:
    """Return a network that all processes train together; with one process, `network` itself.

    Call this before making the optimizers. It replaces normalization layers, sets up dropout, and copies the weights of the first
    process to all. In `backward`, the returned network averages gradients over the processes.
    """
    if processes.count == 1:
        return network
    for layer in list(network.modules()):
        if isinstance(layer, UniformDropout):
            layer.processes = processes
        for name, child in layer.named_children():
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(layer, name, SharedBatchNorm(child, processes))
    # torch warns about the strides of matrices of one row, which are harmless.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    return DistributedDataParallel(network)


def own_network(network: nn.Module) -> nn.Module:
    """Return the network that was passed to `shared`, whose weights have their plain names."""
    return network.module if isinstance(network, DistributedDataParallel) else network
