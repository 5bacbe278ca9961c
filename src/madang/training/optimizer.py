"""Which parameters get weight decay, and the optimizers by name."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from madang.errors import unknown_name


class AdamW(torch.optim.AdamW):
    """torch's AdamW with the defaults that older tutorials expect: no weight decay, and `correct_bias` is accepted."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        correct_bias: bool = True,
        no_deprecation_warning: bool = True,
        **options: Any,
    ) -> None:
        if not correct_bias:
            raise unknown_name("option of AdamW", "correct_bias=False", ["correct_bias=True"])
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, **options)


OPTIMIZERS = ("adamw_torch", "adamw_torch_fused", "sgd")


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Trainable parameters in two groups: matrices, which decay, then biases and norms, which do not."""
    decaying: list[nn.Parameter] = []
    steady: list[nn.Parameter] = []
    for path, module in model.named_modules():
        is_norm = "norm" in type(module).__name__.lower()
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                (steady if is_norm or "bias" in f"{path}.{name}" else decaying).append(parameter)
    # one that two modules share (a tied head) is listed once
    seen: set[int] = set()
    groups = []
    for parameters, decay in ((decaying, weight_decay), (steady, 0.0)):
        once = [p for p in parameters if id(p) not in seen and not seen.add(id(p))]  # type: ignore[func-returns-value]
        if once:
            groups.append({"params": once, "weight_decay": decay})
    return groups


def make_optimizer(
    name: str, groups: list[dict[str, Any]], lr: float, betas: tuple[float, float], eps: float
) -> torch.optim.Optimizer:
    """The optimizer called `name` over groups of parameters."""
    if name == "sgd":
        return torch.optim.SGD(groups, lr=lr)
    if name == "adamw_torch":
        return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps)
    if name == "adamw_torch_fused":
        # one kernel for all parameters; torch has it for these devices
        devices = {parameter.device.type for group in groups for parameter in group["params"]}
        return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps, fused=devices <= {"cpu", "cuda", "mps", "xpu"})
    raise unknown_name("optimizer", name, OPTIMIZERS)
