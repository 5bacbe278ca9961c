"""How the learning rate changes from step to step: a rise (warm-up), then a curve.

A curve is a function of the step that gives the factor on the optimizer's own learning rate. Each can be read, copied
and run without the rest of this file. Steps count from 0; `warmup` and `total` are numbers of optimizer steps.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from madang.errors import ConfigError, InputError, unknown_name

Curve = Callable[..., float]


class SchedulerType(StrEnum):
    """The names of the schedules."""

    LINEAR = "linear"
    COSINE = "cosine"
    COSINE_WITH_RESTARTS = "cosine_with_restarts"
    POLYNOMIAL = "polynomial"
    CONSTANT = "constant"
    CONSTANT_WITH_WARMUP = "constant_with_warmup"
    INVERSE_SQRT = "inverse_sqrt"
    REDUCE_ON_PLATEAU = "reduce_lr_on_plateau"
    COSINE_WITH_MIN_LR = "cosine_with_min_lr"
    COSINE_WARMUP_WITH_MIN_LR = "cosine_warmup_with_min_lr"
    WARMUP_STABLE_DECAY = "warmup_stable_decay"


# the curves -----------------------------------------------------------------------------------------------------------


def constant(step: int) -> float:
    """Always the learning rate of the optimizer."""
    return 1.0


def constant_with_warmup(step: int, warmup: int) -> float:
    """Up from 0 in a straight line, then constant."""
    return step / warmup if step < warmup else 1.0


def linear(step: int, warmup: int, total: int) -> float:
    """Up from 0 during the warm-up, then down to 0 at `total`, both in a straight line."""
    if step < warmup:
        return step / warmup
    return max(0.0, (total - step) / max(1, total - warmup))


def cosine(step: int, warmup: int, total: int, num_cycles: float = 0.5) -> float:
    """Up from 0 in a straight line, then down to 0 along half a cosine (Loshchilov & Hutter 2017)."""
    if step < warmup:
        return step / warmup
    progress = (step - warmup) / max(1, total - warmup)
    return max(0.0, 0.5 * (1 + math.cos(math.pi * num_cycles * 2 * progress)))


def cosine_with_restarts(step: int, warmup: int, total: int, num_cycles: int = 1) -> float:
    """Up from 0 in a straight line, then down to 0 along half a cosine, `num_cycles` times from the top."""
    if step < warmup:
        return step / warmup
    progress = (step - warmup) / max(1, total - warmup)
    if progress >= 1:
        return 0.0
    return max(0.0, 0.5 * (1 + math.cos(math.pi * (num_cycles * progress % 1))))


def polynomial(step: int, warmup: int, total: int, lr: float, lr_end: float = 1e-7, power: float = 1.0) -> float:
    """Up from 0 to `lr` in a straight line, then down to `lr_end` as (what is left of the steps) ** power."""
    if step < warmup:
        return step / warmup
    left: float = max(0.0, 1 - (step - warmup) / max(1, total - warmup))
    height: float = (lr - lr_end) * left**power + lr_end
    return height / lr


def inverse_sqrt(step: int, warmup: int, timescale: int | None = None) -> float:
    """Up from 0 in a straight line, then down as 1 / sqrt(step); `timescale` is how slowly, as `warmup` when None."""
    if step < warmup:
        return step / warmup
    timescale = timescale or warmup or 10_000
    return 1 / math.sqrt((step - warmup + timescale) / timescale)


def cosine_with_min_lr(
    step: int,
    warmup: int,
    total: int,
    lr: float,
    num_cycles: float = 0.5,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
) -> float:
    """Up from 0 to `lr` in a straight line, then down along half a cosine to `min_lr`, or to `min_lr_rate` * `lr`."""
    if step < warmup:
        return step / warmup
    lowest = min_lr / lr if min_lr is not None else min_lr_rate or 0.0
    progress = (step - warmup) / max(1, total - warmup)
    height = 0.5 * (1 + math.cos(math.pi * num_cycles * 2 * progress))
    return max(0.0, height * (1 - lowest) + lowest)


def cosine_warmup_with_min_lr(
    step: int,
    warmup: int,
    total: int,
    lr: float,
    num_cycles: float = 0.5,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
    warmup_lr_rate: float | None = None,
) -> float:
    """Like `cosine_with_min_lr`, but the first step already learns and the last one is the lowest.

    The warm-up begins at `warmup_lr_rate` * `lr`, when None at the first of `warmup` equal stairs.
    """
    if step < warmup and warmup_lr_rate is None:
        return (step + 1) / warmup
    if step < warmup and warmup_lr_rate is not None:
        return warmup_lr_rate + (1 - warmup_lr_rate) * step / max(1, warmup - 1)
    lowest = min_lr / lr if min_lr is not None else min_lr_rate or 0.0
    progress = (step - warmup + 1) / max(1, total - warmup)
    height = 0.5 * (1 + math.cos(math.pi * num_cycles * 2 * progress))
    return max(0.0, height * (1 - lowest) + lowest)


def warmup_stable_decay(
    step: int,
    warmup: int,
    total: int | None,
    num_decay_steps: int,
    num_stable_steps: int | None = None,
    warmup_type: str = "linear",
    decay_type: str = "cosine",
    min_lr_ratio: float = 0.0,
    num_cycles: float = 0.5,
) -> float:
    """Up, flat, and down only in the last `num_decay_steps` (Hu et al. 2024, MiniCPM); both ends at `min_lr_ratio`.

    The flat part has `num_stable_steps`; when None it fills what warm-up and decay leave of `total`.
    """
    if num_stable_steps is None:
        num_stable_steps = (total or 0) - warmup - num_decay_steps
    decay = warmup + num_stable_steps  # the step at which it begins
    if step < warmup:
        done = step / warmup
        shapes = {
            "linear": done,
            "cosine": 0.5 * (1 - math.cos(math.pi * done)),
            "1-sqrt": 1 - math.sqrt(1 - done),
        }
        height = shapes[warmup_type]
    elif step < decay:
        return 1.0
    elif step < decay + num_decay_steps:
        done = (step - decay) / num_decay_steps
        shapes = {
            "linear": 1 - done,
            "cosine": 0.5 * (1 + math.cos(math.pi * num_cycles * 2 * done)),
            "1-sqrt": 1 - math.sqrt(done),
        }
        height = shapes[decay_type]
    else:
        height = 0.0
    return max(0.0, height * (1 - min_lr_ratio) + min_lr_ratio)


# the schedules --------------------------------------------------------------------------------------------------------


def get_constant_schedule(optimizer: Optimizer, last_epoch: int = -1) -> LambdaLR:
    """Always the learning rate of the optimizer."""
    return _follow(optimizer, constant, last_epoch)


def get_constant_schedule_with_warmup(optimizer: Optimizer, num_warmup_steps: int, last_epoch: int = -1) -> LambdaLR:
    """Up from 0 during the warm-up, then constant."""
    return _follow(optimizer, constant_with_warmup, last_epoch, warmup=num_warmup_steps)


def get_linear_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, last_epoch: int = -1
) -> LambdaLR:
    """Up from 0 during the warm-up, then down to 0 at `num_training_steps`, both in a straight line."""
    return _follow(optimizer, linear, last_epoch, warmup=num_warmup_steps, total=num_training_steps)


def get_cosine_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, num_cycles: float = 0.5, last_epoch: int = -1
) -> LambdaLR:
    """Up from 0 during the warm-up, then down to 0 along half a cosine (or `num_cycles` of it)."""
    steps = {"warmup": num_warmup_steps, "total": num_training_steps}
    return _follow(optimizer, cosine, last_epoch, **steps, num_cycles=num_cycles)


def get_cosine_with_hard_restarts_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, num_cycles: int = 1, last_epoch: int = -1
) -> LambdaLR:
    """Up from 0 during the warm-up, then `num_cycles` times from the top down to 0 along half a cosine."""
    steps = {"warmup": num_warmup_steps, "total": num_training_steps}
    return _follow(optimizer, cosine_with_restarts, last_epoch, **steps, num_cycles=num_cycles)


def get_polynomial_decay_schedule_with_warmup(
    optimizer: Optimizer,
    num_warmup_steps: int,
    num_training_steps: int,
    lr_end: float = 1e-7,
    power: float = 1.0,
    last_epoch: int = -1,
) -> LambdaLR:
    """Up from 0 during the warm-up, then down to the learning rate `lr_end`; `power` 1 is a straight line."""
    lr = _learning_rate(optimizer)
    if lr_end >= lr:
        raise ConfigError(f"lr_end={lr_end} is where the learning rate ends, but it begins at {lr}: choose less.")
    steps = {"warmup": num_warmup_steps, "total": num_training_steps}
    return _follow(optimizer, polynomial, last_epoch, **steps, lr=lr, lr_end=lr_end, power=power)


def get_inverse_sqrt_schedule(
    optimizer: Optimizer, num_warmup_steps: int, timescale: int | None = None, last_epoch: int = -1
) -> LambdaLR:
    """Up from 0 during the warm-up, then down as 1 / sqrt(step). `timescale`: steps, the warm-up's when not given."""
    return _follow(optimizer, inverse_sqrt, last_epoch, warmup=num_warmup_steps, timescale=timescale)


def get_reduce_on_plateau_schedule(optimizer: Optimizer, **options: Any) -> ReduceLROnPlateau:
    """Less whenever a number that `step(number)` is told has stopped to get better; options as torch has them."""
    _check_options(SchedulerType.REDUCE_ON_PLATEAU, ReduceLROnPlateau, options)
    return ReduceLROnPlateau(optimizer, **options)


def get_cosine_with_min_lr_schedule_with_warmup(
    optimizer: Optimizer,
    num_warmup_steps: int,
    num_training_steps: int,
    num_cycles: float = 0.5,
    last_epoch: int = -1,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
) -> LambdaLR:
    """Up from 0 during the warm-up, then along half a cosine to `min_lr`, or to a part of the learning rate."""
    lowest = {"lr": _learning_rate(optimizer), **_one_of(min_lr=min_lr, min_lr_rate=min_lr_rate)}
    steps = {"warmup": num_warmup_steps, "total": num_training_steps}
    return _follow(optimizer, cosine_with_min_lr, last_epoch, **steps, **lowest, num_cycles=num_cycles)


def get_cosine_with_min_lr_schedule_with_warmup_lr_rate(
    optimizer: Optimizer,
    num_warmup_steps: int,
    num_training_steps: int,
    num_cycles: float = 0.5,
    last_epoch: int = -1,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
    warmup_lr_rate: float | None = None,
) -> LambdaLR:
    """The same, with a first step above 0: `warmup_lr_rate` of the learning rate, or a `num_warmup_steps`-th of it."""
    lowest = {"lr": _learning_rate(optimizer), **_one_of(min_lr=min_lr, min_lr_rate=min_lr_rate)}
    shape = {"warmup": num_warmup_steps, "total": num_training_steps, "num_cycles": num_cycles}
    return _follow(optimizer, cosine_warmup_with_min_lr, last_epoch, **shape, **lowest, warmup_lr_rate=warmup_lr_rate)


def get_wsd_schedule(
    optimizer: Optimizer,
    num_warmup_steps: int,
    num_decay_steps: int,
    num_training_steps: int | None = None,
    num_stable_steps: int | None = None,
    warmup_type: str = "linear",
    decay_type: str = "cosine",
    min_lr_ratio: float = 0.0,
    num_cycles: float = 0.5,
    last_epoch: int = -1,
) -> LambdaLR:
    """Warm-up, a stable learning rate, decay to `min_lr_ratio` of it.

    The types are "linear", "cosine" or "1-sqrt". `num_stable_steps` goes before `num_training_steps`; one is needed.
    """
    for argument, kind in (("warmup_type", warmup_type), ("decay_type", decay_type)):
        if kind not in ("linear", "cosine", "1-sqrt"):
            raise unknown_name(argument, kind, ("linear", "cosine", "1-sqrt"))
    if num_stable_steps is None and num_training_steps is None:
        raise InputError("warmup_stable_decay needs num_training_steps, or num_stable_steps.")
    if num_stable_steps is None and num_warmup_steps + num_decay_steps > (num_training_steps or 0):
        raise ConfigError(
            f"{num_warmup_steps} steps of warm-up and {num_decay_steps} of decay are more than the "
            f"{num_training_steps} steps of training: choose a smaller num_decay_steps or warm-up."
        )
    options = {
        "num_decay_steps": num_decay_steps,
        "num_stable_steps": num_stable_steps,
        "warmup_type": warmup_type,
        "decay_type": decay_type,
        "min_lr_ratio": min_lr_ratio,
        "num_cycles": num_cycles,
    }
    steps = {"warmup": num_warmup_steps, "total": num_training_steps}
    return _follow(optimizer, warmup_stable_decay, last_epoch, **steps, **options)


def _follow(optimizer: Optimizer, shape: Curve, last_epoch: int, **arguments: Any) -> LambdaLR:
    return LambdaLR(optimizer, partial(shape, **arguments), last_epoch)


def _learning_rate(optimizer: Optimizer) -> float:
    return float(optimizer.defaults["lr"])


def _one_of(**given: float | None) -> dict[str, float | None]:
    found = [name for name, value in given.items() if value is not None]
    if len(found) != 1:
        raise ConfigError(f"give one of {' and '.join(given)}; found {' and '.join(found) or 'none'}.")
    return given


# by name --------------------------------------------------------------------------------------------------------------

SCHEDULES: dict[str, Callable[..., LRScheduler]] = {
    SchedulerType.LINEAR: get_linear_schedule_with_warmup,
    SchedulerType.COSINE: get_cosine_schedule_with_warmup,
    SchedulerType.COSINE_WITH_RESTARTS: get_cosine_with_hard_restarts_schedule_with_warmup,
    SchedulerType.POLYNOMIAL: get_polynomial_decay_schedule_with_warmup,
    SchedulerType.CONSTANT: get_constant_schedule,
    SchedulerType.CONSTANT_WITH_WARMUP: get_constant_schedule_with_warmup,
    SchedulerType.INVERSE_SQRT: get_inverse_sqrt_schedule,
    SchedulerType.REDUCE_ON_PLATEAU: get_reduce_on_plateau_schedule,
    SchedulerType.COSINE_WITH_MIN_LR: get_cosine_with_min_lr_schedule_with_warmup,
    SchedulerType.COSINE_WARMUP_WITH_MIN_LR: get_cosine_with_min_lr_schedule_with_warmup_lr_rate,
    SchedulerType.WARMUP_STABLE_DECAY: get_wsd_schedule,
}
_CURVES: dict[str, Curve] = {
    SchedulerType.LINEAR: linear,
    SchedulerType.COSINE: cosine,
    SchedulerType.COSINE_WITH_RESTARTS: cosine_with_restarts,
    SchedulerType.POLYNOMIAL: polynomial,
    SchedulerType.CONSTANT: constant,
    SchedulerType.CONSTANT_WITH_WARMUP: constant_with_warmup,
    SchedulerType.INVERSE_SQRT: inverse_sqrt,
    SchedulerType.COSINE_WITH_MIN_LR: cosine_with_min_lr,
    SchedulerType.COSINE_WARMUP_WITH_MIN_LR: cosine_warmup_with_min_lr,
    SchedulerType.WARMUP_STABLE_DECAY: warmup_stable_decay,
}


def get_scheduler(
    name: str,
    optimizer: Optimizer,
    num_warmup_steps: int | None = None,
    num_training_steps: int | None = None,
    scheduler_specific_kwargs: Mapping[str, Any] | None = None,
) -> Any:
    """The schedule called `name`, one of SchedulerType; the rest are arguments of its `get_…_schedule` function.

    A LambdaLR, or for "reduce_lr_on_plateau" a ReduceLROnPlateau, whose `step` wants the number to watch.
    """
    name = _known(name, SCHEDULES)
    make, options = SCHEDULES[name], dict(scheduler_specific_kwargs or {})
    if name == SchedulerType.REDUCE_ON_PLATEAU:
        return make(optimizer, **options)
    steps = {"num_warmup_steps": num_warmup_steps, "num_training_steps": num_training_steps}
    taken = {argument: steps[argument] for argument in inspect.signature(make).parameters if argument in steps}
    _check_options(name, make, options, taken)
    return make(optimizer, **taken, **options)


def curve(name: str) -> Curve:
    """The function (step, …) -> factor of the schedule called `name`; `curve_arguments` are its other arguments.

    "reduce_lr_on_plateau" has none: there the evaluations decide.
    """
    return _CURVES[_known(name, _CURVES)]


def curve_arguments(
    name: str, lr: float, warmup: int, total: int, options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """All arguments of `curve(name)` but the step, for an optimizer with this `lr`; checked as `get_scheduler` does."""
    from torch import zeros
    from torch.optim import SGD

    schedule = get_scheduler(_known(name, _CURVES), SGD([zeros(1)], lr=lr), warmup, total, options)
    return dict(schedule.lr_lambdas[0].keywords)


def _known(name: str, names: Mapping[str, Any]) -> str:
    name = str(getattr(name, "value", name))
    if name not in names:
        raise unknown_name("schedule", name, names)
    return name


def _check_options(
    name: str, make: Callable[..., Any], options: Mapping[str, Any], steps: Mapping[str, int | None] | None = None
) -> None:
    """Refuse options that `make` does not have, and say which it lacks."""
    own = {"optimizer", "last_epoch", *(steps or {})}
    known = {key: value for key, value in inspect.signature(make).parameters.items() if key not in own}
    for option in options:
        if not known:
            raise InputError(f"the schedule '{name}' has no options, but {option} was given.")
        if option not in known:
            raise unknown_name(f"option of the schedule '{name}':", option, known)
    given = {**options, **{key: value for key, value in (steps or {}).items() if value is not None}}
    for argument, parameter in inspect.signature(make).parameters.items():
        if parameter.default is parameter.empty and argument != "optimizer" and argument not in given:
            raise InputError(f"the schedule '{name}' needs {argument}.")
