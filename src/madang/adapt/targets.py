"""Which projections of a model are adapted. Everything goes by published names: ours never reach a disk."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import nn

from madang.adapt.adaptable import Adaptable
from madang.adapt.config import ALL_LINEAR, HEADS, LoraConfig, TaskType
from madang.checkpoints.load import tied_names
from madang.checkpoints.names import Transposed, plan
from madang.errors import InputError, unknown_name


@dataclass(frozen=True)
class Projection:
    """A matrix under its published name, and the modules of the model that hold it: three for GPT-2's c_attn."""

    name: str
    parts: tuple[str, ...]
    transposed: bool
    tied: bool


def projections(model: Adaptable) -> list[Projection]:
    """Every linear projection of `model`."""
    tied = tied_names(model)
    # of matrices that several modules share, each has a name of its own
    weights = [f"{path}.weight" for path, module in model.named_modules() if isinstance(module, nn.Linear)]
    return [
        Projection(
            step.stored.removesuffix(".weight"),
            tuple(name.removesuffix(".weight") for name in step.parameters),
            isinstance(step.entry, Transposed),
            not tied.isdisjoint(step.parameters),
        )
        for step in plan(model.naming.table, weights)
    ]


def chosen(model: Adaptable, config: LoraConfig, *, strict: bool) -> list[Projection]:
    """The projections that `config` names, whose target_modules become an explicit list or stay an expression.

    With `strict`, an ending that fits nothing is an error; else only when nothing at all fits.
    """
    everything = projections(model)
    if config.target_modules is None:
        config.target_modules = sorted({p.name.rpartition(".")[2] for p in everything if _asks_or_answers(p)})
    elif isinstance(config.target_modules, str) and config.target_modules.lower() == ALL_LINEAR:
        last = _last_projections(model)
        config.target_modules = sorted(p.name for p in everything if not p.tied and not _matches(last, p.name))
    elif strict and not isinstance(config.target_modules, str):
        _check_endings(model, config.target_modules, everything)
    targets = [p for p in everything if _is_target(config, p.name)]
    if not targets:
        raise InputError(
            f"target_modules={config.target_modules!r} fits no projection of this {type(model).__name__}, with what "
            f"else the adapter's config says. There are: {', '.join(_endings(p.name for p in everything))}."
        )
    if tied := [p.name for p in targets if p.tied]:
        raise InputError(
            f"{tied[0]} is the embedding table itself (tie_word_embeddings), so it cannot be changed alone. Leave it "
            "out of target_modules (exclude_modules does), or untie the model first."
        )
    return targets


def whole_modules(model: Adaptable, config: LoraConfig, *, strict: bool) -> list[str]:
    """Names of the modules to train and save as a whole: those asked for, and the task's head.

    With `strict`, for adapters that are new, also whatever is new in the model; a name that fits nothing is an error.
    """
    asked = config.modules_to_save or []
    heads = HEADS.get(TaskType(config.task_type), ()) if config.task_type else ()
    names = [*asked, *(name for name in heads if name not in asked)]
    if strict:
        _check_whole(model, [name for name in asked if name not in heads])
        for module in _new_modules(model):
            if not is_inside(names, module):
                names.append(module)
    return names


def is_inside(modules: Sequence[str], name: str) -> bool:
    """Whether the tensor or module with this published `name` is one of `modules` or inside one."""
    return any(re.fullmatch(rf"(.*\.)?{re.escape(module)}(\..*)?", name) for module in modules)


def _check_whole(model: Adaptable, asked: Sequence[str]) -> None:
    """Every name of modules_to_save fits a module, and none of these is used in two places."""
    steps = model.naming.steps(model)
    shared = tied_names(model)
    twice = {id(parameter) for name, parameter in model.named_parameters(remove_duplicate=False) if name in shared}
    everything = [(step.stored, model.get_parameter(step.parameters[0])) for step in steps]
    everything += [(f"{p.name}.weight", model.get_parameter(f"{p.parts[0]}.weight")) for p in projections(model)]
    known = _modules(name for name, _ in everything)
    for name in asked:
        if not any(_matches([name], module) for module in known):
            raise unknown_name("module to save", name, _endings(known))
        if any(id(parameter) in twice for stored, parameter in everything if is_inside([name], stored)):
            raise InputError(
                f"modules_to_save names {name!r}, whose matrix is used in a second place (tie_word_embeddings). The "
                "published format has no word for this: other readers would change one of the two only. Untie the "
                "model first."
            )


def _new_modules(model: Adaptable) -> list[str]:
    """The modules whose values were drawn when the model was loaded; a head that never was loaded is new too."""
    stored = {step.stored: step.parameters[0] for step in model.naming.steps(model)}
    if model.loading_report is not None:
        drawn = [name for name in model.loading_report.drawn if name in stored]
    elif model.task is not None and not model.task.endswith("language"):
        drawn = [name for name, parameter in stored.items() if parameter.startswith("head.")]
    else:
        drawn = []
    return list(dict.fromkeys(name.rpartition(".")[0] for name in drawn))


def _is_target(config: LoraConfig, name: str) -> bool:
    wanted = config.target_modules
    if config.exclude_modules and _matches(config.exclude_modules, name):
        return False
    if is_inside(config.modules_to_save or (), name) or wanted is None or not _matches(wanted, name):
        return False
    if isinstance(wanted, str) or config.layers_to_transform in (None, []):
        return True
    layers = config.layers_to_transform
    return _layer(config, name) in ([layers] if isinstance(layers, int) else layers or ())


def _layer(config: LoraConfig, name: str) -> int | None:
    """The number of the layer that a module belongs to."""
    patterns = config.layers_pattern or [r"[^.]+"]
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        if (found := re.match(rf"(?:.*?\.)?{pattern}\.(\d+)\.", name)) is not None:
            return int(found[1])
    return None


def _matches(wanted: Sequence[str] | str, name: str) -> bool:
    """A text is an expression for the whole name; of several, one must be its end."""
    if isinstance(wanted, str):
        return re.fullmatch(wanted, name) is not None
    return any(name == ending or name.endswith(f".{ending}") for ending in wanted)


def _asks_or_answers(projection: Projection) -> bool:
    return any(part.endswith((".query", ".value")) for part in projection.parts)


def _last_projections(model: Adaptable) -> list[str]:
    """The projection onto words or classes: it learns as a whole or not at all."""
    last = [name for name in model.state_dict() if name == "head.output.weight"]
    return [step.stored.removesuffix(".weight") for step in plan(model.naming.table, last)]


def _check_endings(model: Adaptable, endings: Sequence[str], everything: Sequence[Projection]) -> None:
    others = _modules(step.stored for step in model.naming.steps(model))
    for ending in endings:
        if any(_matches([ending], p.name) for p in everything):
            continue
        if any(_matches([ending], module) for module in others):
            raise InputError(
                f"target_modules names {ending!r}, which is no linear projection. LoRA changes projections only: "
                f"{', '.join(_endings(p.name for p in everything))}. modules_to_save trains any module as a whole."
            )
        raise unknown_name("target module", ending, _endings(p.name for p in everything))


def _modules(stored: Iterable[str]) -> list[str]:
    """All modules, also those of modules, that these tensors are in."""
    found: dict[str, None] = {}
    for name in stored:
        while name := name.rpartition(".")[0]:
            found[name] = None
    return list(found)


def _endings(names: Iterable[str]) -> list[str]:
    """The last words of names, without numbers."""
    return sorted({last for name in names if not (last := name.rpartition(".")[2]).isdigit()})
