"""Which parameters get weight decay, and the optimizers by name."""

import ast
import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from madang.errors import ConfigError, unknown_name
from madang.training.adafactor import Adafactor
from madang.training.lion import Lion
from madang.training.muon import Muon
from madang.training.used_rows import UsedRowsAdamW


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


OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adamw_torch": torch.optim.AdamW,
    "adamw_torch_fused": torch.optim.AdamW,
    "adamw_hf": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "adafactor": Adafactor,
    "lion": Lion,
    "lion_32bit": Lion,
    "muon": Muon,
}
# Where torch has one kernel for the whole step: on a CPU a third of the time (AdamW, Adagrad) or half of it (SGD).
# RMSprop has none; going through lists of tensors (foreach) is slower on a CPU for models of usual size.
_FUSED = {
    "adamw_torch_fused": {"cpu", "cuda", "mps", "xpu"},
    "sgd": {"cpu", "cuda", "mps", "xpu"},
    "adagrad": {"cpu"},
    "muon": {"cpu", "cuda", "mps", "xpu"},  # its AdamW
}


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Trainable parameters in two groups: those that decay, then biases, norms and other vectors, which do not.

    `hidden` of a group says of each parameter whether it is a matrix between the embeddings and the head.
    """
    # one that two modules share (a tied head) is listed once
    seen: set[int] = set()
    outside = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    # a module that is nothing but a bias, such as T5's table of distances
    biases = {id(part) for module in model.modules() if _is("Bias", module) for part in module.modules()}
    decaying: dict[str, Any] = {"params": [], "weight_decay": weight_decay, "hidden": []}
    steady: dict[str, Any] = {"params": [], "weight_decay": 0.0, "hidden": []}
    for path, module in model.named_modules():
        exempt = id(module) in biases or _is("Norm", module)
        of_head = not {"head", "lm_head", "classifier"}.isdisjoint(path.split("."))
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            stays = exempt or parameter.ndim < 2 or "bias" in f"{path}.{name}"
            group = steady if stays else decaying
            group["params"].append(parameter)
            group["hidden"].append(parameter.ndim == 2 and not of_head and id(parameter) not in outside)
    return [group for group in (decaying, steady) if group["params"]]


def _is(kind: str, module: nn.Module) -> bool:
    """Whether the module's class is called after this kind: LayerNorm, RMSNorm, BatchNorm2d, but not PreNormBlock."""
    return re.search(rf"{kind}(\dd)?$", type(module).__name__, re.IGNORECASE) is not None


def parse_options(text: str | Mapping[str, Any] | None) -> dict[str, Any]:
    """`"momentum=0.9, nesterov=true, betas=(0.9, 0.95)"` as a dict, or a dict whose texts are read the same way."""
    if not isinstance(text, str):
        return {name: _value(value) if isinstance(value, str) else value for name, value in (text or {}).items()}
    options = {}
    for part in re.split(r",(?![^(\[]*[)\]])", text):  # at commas that are not inside of brackets
        name, equals, value = part.partition("=")
        if not part.strip():
            continue
        if not equals or not name.strip():
            raise ConfigError(f"optim_args are written name=value,name=value; found {part.strip()!r} in {text!r}.")
        options[name.strip()] = _value(value.strip())
    return options


def _value(text: str) -> Any:
    named = {"true": True, "false": False, "none": None}
    if text.lower() in named:
        return named[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def make_optimizer(
    name: str,
    groups: list[dict[str, Any]],
    lr: float,
    betas: tuple[float, float],
    eps: float,
    options: str | Mapping[str, Any] | None = None,
    *,
    by_rows: bool = False,
) -> torch.optim.Optimizer:
    """The optimizer called `name` over groups of parameters.

    `betas` go to AdamW and Lion, `eps` to AdamW; the others have numbers of their own, which `options` (see
    `parse_options`) change. Adafactor follows `lr`, without relative steps and without scaling by the parameter.
    `by_rows`: AdamW that also takes sparse gradients, where its one kernel can be used.
    """
    if name not in OPTIMIZERS:
        raise unknown_name("optimizer", name, OPTIMIZERS)
    make, given = OPTIMIZERS[name], _checked(name, parse_options(options))
    settings: dict[str, Any] = {}
    if make in (torch.optim.AdamW, Muon):
        settings = {"betas": betas, "eps": eps}
    elif make is Lion:
        settings = {"betas": betas}
    elif make is Adafactor:
        settings = {"scale_parameter": False, "relative_step": False}
    if _can_fuse(name, groups) and not given.keys() & {"fused", "foreach", "differentiable"}:
        settings["fused"] = True
        make = UsedRowsAdamW if by_rows and make is torch.optim.AdamW else make
    groups = _hidden_apart(groups) if make is Muon else [_without(group, "hidden") for group in groups]
    return make(groups, lr=lr, **{**settings, **given})  # type: ignore[call-arg]


def _can_fuse(name: str, groups: list[dict[str, Any]]) -> bool:
    """Whether torch has the kernel for where the parameters are."""
    parameters = [parameter for group in groups for parameter in group["params"]]
    if name not in _FUSED or not {parameter.device.type for parameter in parameters} <= _FUSED[name]:
        return False
    # parameters that are spread over processes know the mesh they lie on; torch has only AdamW's kernel for these
    return name not in ("sgd", "adagrad") or not any(hasattr(parameter, "device_mesh") for parameter in parameters)


def _checked(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options, if this optimizer has them all."""
    parameters = list(inspect.signature(OPTIMIZERS[name]).parameters)
    known = [parameter for parameter in parameters if parameter not in ("params", "lr", "weight_decay")]
    for option in options:
        if option in ("lr", "weight_decay"):
            said = {"lr": "learning_rate"}.get(option, option)
            raise ConfigError(f"optim_args hold {option}; say it by the argument {said}, which goes before it.")
        if option not in known:
            raise unknown_name(f"option of the optimizer '{name}':", option, known)
    return options


def _hidden_apart(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each group in two: hidden matrices for Muon, and the rest."""
    parted = []
    for group in groups:
        if "hidden" not in group:
            raise ConfigError("muon must know which matrices are hidden: make the groups with parameter_groups(model).")
        for wanted in (True, False):
            chosen = [p for p, hidden in zip(group["params"], group["hidden"], strict=True) if hidden is wanted]
            if chosen:
                parted.append({**_without(group, "hidden"), "params": chosen, "muon": wanted})
    return parted


def _without(group: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in group.items() if key != name}
