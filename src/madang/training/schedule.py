"""How the learning rate changes from step to step: a rise (warm-up), then a curve."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from madang.errors import InputError, unknown_name

Factor = Callable[[int], float]


def _rising(step: int, warmup: int, then: Factor) -> float:
    return step / max(1, warmup) if step < warmup else then(step)


def _linear(step: int, warmup: int, total: int) -> float:
    return max(0.0, (total - step) / max(1, total - warmup))


def _cosine(step: int, warmup: int, total: int, cycles: float) -> float:
    progress = (step - warmup) / max(1, total - warmup)
    return max(0.0, 0.5 * (1 + math.cos(math.pi * cycles * 2 * progress)))


def _constant(step: int) -> float:
    return 1.0


def get_linear_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, last_epoch: int = -1
) -> LambdaLR:
    """Up from 0 during the warm-up, then down to 0 at `num_training_steps`, both in a straight line."""
    then = partial(_linear, warmup=num_warmup_steps, total=num_training_steps)
    return LambdaLR(optimizer, partial(_rising, warmup=num_warmup_steps, then=then), last_epoch)


def get_cosine_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, num_cycles: float = 0.5, last_epoch: int = -1
) -> LambdaLR:
    """Up from 0 during the warm-up, then down to 0 along half a cosine (or `num_cycles` of it)."""
    then = partial(_cosine, warmup=num_warmup_steps, total=num_training_steps, cycles=num_cycles)
    return LambdaLR(optimizer, partial(_rising, warmup=num_warmup_steps, then=then), last_epoch)


def get_constant_schedule(optimizer: Optimizer, last_epoch: int = -1) -> LambdaLR:
    """Always the learning rate of the optimizer."""
    return LambdaLR(optimizer, _constant, last_epoch)


def get_constant_schedule_with_warmup(optimizer: Optimizer, num_warmup_steps: int, last_epoch: int = -1) -> LambdaLR:
    """Up from 0 during the warm-up, then constant."""
    return LambdaLR(optimizer, partial(_rising, warmup=num_warmup_steps, then=_constant), last_epoch)


# name -> (how to make it, whether it needs the warm-up, whether it needs the number of all steps)
SCHEDULES: dict[str, tuple[Callable[..., LambdaLR], bool, bool]] = {
    "linear": (get_linear_schedule_with_warmup, True, True),
    "cosine": (get_cosine_schedule_with_warmup, True, True),
    "constant": (get_constant_schedule, False, False),
    "constant_with_warmup": (get_constant_schedule_with_warmup, True, False),
}


def get_scheduler(
    name: str,
    optimizer: Optimizer,
    num_warmup_steps: int | None = None,
    num_training_steps: int | None = None,
    scheduler_specific_kwargs: dict[str, Any] | None = None,
) -> LambdaLR:
    """The schedule called `name`: linear, cosine, constant or constant_with_warmup."""
    name = str(getattr(name, "value", name))
    if name not in SCHEDULES:
        raise unknown_name("schedule", name, SCHEDULES)
    make, warms_up, ends = SCHEDULES[name]
    needed: dict[str, int | None] = {}
    if warms_up:
        needed["num_warmup_steps"] = num_warmup_steps
    if ends:
        needed["num_training_steps"] = num_training_steps
    for argument, value in needed.items():
        if value is None:
            raise InputError(f"the schedule {name!r} needs {argument}.")
    return make(optimizer, **needed, **(scheduler_specific_kwargs or {}))
