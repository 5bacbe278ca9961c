"""Adafactor: an optimizer whose memory for a matrix is one row and one column of numbers."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from madang.errors import ConfigError


class Adafactor(torch.optim.Optimizer):
    """Adaptive learning rates in sublinear memory (Shazeer & Stern 2018, arXiv 1804.04235).

    The mean square of a matrix' gradient is kept as the means of its rows and of its columns, whose product stands for
    the whole. `eps`: added to squared gradients, and the smallest scale of a parameter. An update is shortened to a
    root mean square of `clip_threshold`; the decay of the means at step t is 1 - t ** `decay_rate`; with `beta1` a
    running mean of the updates is applied.

    `relative_step` (without `lr`) makes steps of 1 / sqrt(t), at most 0.01, or after `warmup_init` at most 1e-6 * t;
    `scale_parameter` multiplies a step by the root mean square of the parameter itself.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | None = None,
        eps: tuple[float, float] = (1e-30, 1e-3),
        clip_threshold: float = 1.0,
        decay_rate: float = -0.8,
        beta1: float | None = None,
        weight_decay: float = 0.0,
        scale_parameter: bool = True,
        relative_step: bool = True,
        warmup_init: bool = False,
    ) -> None:
        if (lr is None) != relative_step:
            raise ConfigError(
                f"Adafactor takes either a learning rate or relative_step=True; found lr={lr}, "
                f"relative_step={relative_step}."
            )
        if warmup_init and not relative_step:
            raise ConfigError("warmup_init=True is about relative steps: it needs relative_step=True.")
        defaults = {
            "lr": lr,
            "eps": eps,
            "clip_threshold": clip_threshold,
            "decay_rate": decay_rate,
            "beta1": beta1,
            "weight_decay": weight_decay,
            "scale_parameter": scale_parameter,
            "relative_step": relative_step,
            "warmup_init": warmup_init,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters once."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    # float32: the means of half-precision squares are mostly 0
                    self._change(parameter, _wide(parameter.grad), group)
        return loss

    def _change(self, parameter: nn.Parameter, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state.update(_begin(gradient, group["beta1"] is not None))
        state["step"] += 1
        weights = _wide(parameter)
        lr = _step_size(weights, state["step"], group)

        update = _normalised(gradient, state, group)
        update.div_((_rms(update) / group["clip_threshold"]).clamp_(min=1)).mul_(lr)
        if group["beta1"] is not None:
            update = state["exp_avg"].mul_(group["beta1"]).add_(update, alpha=1 - group["beta1"])
        if group["weight_decay"]:
            weights.add_(weights, alpha=-group["weight_decay"] * lr)
        weights.sub_(update)
        if weights.dtype != parameter.dtype:
            parameter.copy_(weights)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from another optimizer's `state_dict()`. Means stay float32, those of half-precision weights too."""
        super().load_state_dict(state_dict)
        numbers = [number for group in state_dict["param_groups"] for number in group["params"]]
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        for number, parameter in zip(numbers, parameters, strict=True):
            for name, value in state_dict["state"].get(number, {}).items():
                if isinstance(value, Tensor) and value.dtype != parameter.dtype:
                    self.state[parameter][name] = value.to(parameter.device, copy=True)


def _begin(gradient: Tensor, averages: bool) -> dict[str, Any]:
    """What is remembered of a parameter, under its published names."""
    state: dict[str, Any] = {"step": 0}
    if averages:
        state["exp_avg"] = torch.zeros_like(gradient)
    if gradient.ndim >= 2:
        state["exp_avg_sq_row"] = torch.zeros_like(gradient[..., 0])
        state["exp_avg_sq_col"] = torch.zeros_like(gradient[..., 0, :])
    else:
        state["exp_avg_sq"] = torch.zeros_like(gradient)
    return state


def _normalised(gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
    """The gradient divided by the root of its running mean square; the state is brought up to date."""
    new = state["step"] ** group["decay_rate"]  # how much of the mean is of this step
    squares = gradient.square().add_(group["eps"][0])
    if gradient.ndim < 2:
        mean: Tensor = state["exp_avg_sq"].mul_(1 - new).add_(squares, alpha=new)
        return mean.rsqrt().mul_(gradient)
    rows: Tensor = state["exp_avg_sq_row"].mul_(1 - new).add_(squares.mean(-1), alpha=new)
    columns: Tensor = state["exp_avg_sq_col"].mul_(1 - new).add_(squares.mean(-2), alpha=new)
    by_row = (rows / rows.mean(-1, keepdim=True)).rsqrt_().unsqueeze(-1)
    return (by_row * columns.rsqrt().unsqueeze(-2)).mul_(gradient)


def _step_size(weights: Tensor, step: int, group: dict[str, Any]) -> Any:
    size = group["lr"]
    if group["relative_step"]:
        size = min(1e-6 * step if group["warmup_init"] else 1e-2, 1 / math.sqrt(step))
    return size * _rms(weights).clamp(min=group["eps"][1]) if group["scale_parameter"] else size


def _rms(x: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(x)
    return length / math.sqrt(x.numel())


def _wide(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
