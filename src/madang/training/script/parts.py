"""The optimizer and the schedule of a training, as the lines of a program."""

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from madang.errors import InputError
from madang.training import optimizer as optimizers
from madang.training import schedule as schedules
from madang.training.muon import Muon
from madang.training.script.sources import Sources, call
from madang.training.used_rows import UsedRowsAdamW, tables_by_rows

if TYPE_CHECKING:
    from madang.training.trainer import Trainer

_ORDINARY = "[parameter for parameter in model.parameters() if parameter.requires_grad]"
_GROUPS = """\
# matrices decay; biases, norms and other vectors do not
groups = [
    {"params": group["params"], "weight_decay": group["weight_decay"]}
    for group in parameter_groups(model, weight_decay=WEIGHT_DECAY)
]"""
_OWN_GROUPS = """\
# matrices decay; biases, norms and other vectors do not
groups = parameter_groups(model, weight_decay=WEIGHT_DECAY)"""
_MUON_GROUPS = """\
# hidden matrices go to Muon, the rest to AdamW; and matrices decay, vectors do not
groups = _hidden_apart(parameter_groups(model, weight_decay=WEIGHT_DECAY))"""


def optimizer_lines(trainer: "Trainer", sources: Sources) -> str:
    """Lines that make `optimizer`."""
    args = trainer.args
    if trainer.optimizer_cls_and_kwargs is not None:
        cls, options = trainer.optimizer_cls_and_kwargs
        sources.define(optimizers.parameter_groups)
        return f"{_OWN_GROUPS}\noptimizer = " + _made(sources.use(cls), "groups", options, "optimizer = ")
    groups = optimizers.parameter_groups(trainer.model, args.weight_decay)
    if not groups:
        raise InputError("the model has no parameter that requires a gradient")
    betas, options = (args.adam_beta1, args.adam_beta2), optimizers.parse_options(args.optim_args)
    by_rows = bool(tables_by_rows(trainer))
    made = optimizers.make_optimizer(
        args.optim, groups, args.learning_rate, betas, args.adam_epsilon, options, by_rows=by_rows
    )
    settings = _settings(made)
    before = ""
    if type(made) is Muon:
        sources.define(optimizers.parameter_groups)
        sources.define(optimizers._hidden_apart)
        before, parameters = f"{_MUON_GROUPS}\n", "groups"
    elif args.weight_decay:
        sources.define(optimizers.parameter_groups)
        before, parameters = f"{_GROUPS}\n", "groups"
    else:
        frozen = any(not parameter.requires_grad for parameter in trainer.model.parameters())
        parameters = "trained" if frozen else "model.parameters()"
        before = f"trained = {_ORDINARY}\n" if frozen else ""
        if _parameters(made)["weight_decay"].default != 0:
            settings["weight_decay"] = 0.0
    # those of ours are written out, torch's are called by the place where everybody finds them
    ours = type(made).__module__.startswith("madang.")
    name = sources.define(type(made)) if ours else f"torch.optim.{type(made).__name__}"
    return f"{before}optimizer = " + _made(name, parameters, settings, "optimizer = ")


def _settings(made: Any) -> dict[str, Any]:
    """What an optimizer was told that it would not have done by itself."""
    parameters = _parameters(made)
    return {
        name: value
        for name, value in made.defaults.items()
        if name in parameters and name not in ("lr", "weight_decay") and value != parameters[name].default
    } | {"lr": made.defaults["lr"]}


def _parameters(made: Any) -> Mapping[str, inspect.Parameter]:
    """What its class can be told: by rows, what AdamW can."""
    return inspect.signature(torch.optim.AdamW if isinstance(made, UsedRowsAdamW) else type(made)).parameters


def _made(name: str, parameters: str, settings: dict[str, Any], before: str) -> str:
    for option, value in settings.items():
        if not isinstance(value, (bool, int, float, str, tuple, type(None))):
            raise InputError(f"optimizer_cls_and_kwargs: {option} is a {type(value).__name__}")
    told = {"lr": "LEARNING_RATE"} if "lr" in settings else {}
    if "lr" in settings:
        told |= {option: _literal(value) for option, value in settings.items() if option != "lr"}
    else:
        told = {option: _literal(value) for option, value in settings.items()}
    return call(name, [parameters, *(f"{option}={value}" for option, value in told.items())], before)


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def schedule_lines(trainer: "Trainer", steps: int, warmup: int, rate: float, sources: Sources) -> str:
    """Lines that make `schedule`."""
    args = trainer.args
    kind = args.lr_scheduler_type
    if kind == "reduce_lr_on_plateau":
        options = [f"{name}={_literal(value)}" for name, value in args.lr_scheduler_kwargs.items()]
        sources.imports["ReduceLROnPlateau"] = f"from {ReduceLROnPlateau.__module__} import ReduceLROnPlateau"
        return "schedule = " + call("ReduceLROnPlateau", ["optimizer", *options], "schedule = ")
    curve = schedules.curve(kind)
    sources.define(curve)
    sources.imports["LambdaLR"] = "from torch.optim.lr_scheduler import LambdaLR"
    arguments = schedules.curve_arguments(kind, rate, warmup, steps, args.lr_scheduler_kwargs)
    usual = inspect.signature(curve).parameters
    names = {"warmup": "WARMUP_STEPS", "total": "STEPS", "lr": "LEARNING_RATE"}
    told = [
        f"{name}={names.get(name) or _literal(value)}"
        for name, value in arguments.items()
        if name in names or value != usual[name].default
    ]
    shape = call(curve.__name__, ["step", *told], "schedule = LambdaLR(optimizer, lambda step: )")
    if "\n" not in shape:
        return f"schedule = LambdaLR(optimizer, lambda step: {shape})"
    shape = call(curve.__name__, ["step", *told], "    return ")
    return f"\n\ndef factor(step):\n    return {shape}\n\n\nschedule = LambdaLR(optimizer, factor)"
