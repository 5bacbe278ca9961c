"""A model as a tree that people can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from madang.auto.model import Model


def summarise(model: Model, depth: int) -> str:
    """Body and head with shapes, parameter counts and where each part's weights came from, `depth` levels deep.

    Blocks that look alike are shown once with their number.
    """
    total = model.num_parameters()
    trainable = model.num_parameters(only_trainable=True)
    origin = model.loading_report.source if model.loading_report is not None else "drawn at random"
    lines = [f"{type(model).__name__}  {total:,} parameters, {trainable:,} trained  from {origin}"]
    fresh = _fresh_parameters(model)
    children = [(name, child) for name, child in model.named_children() if child is not None]
    for number, (name, child) in enumerate(children):
        _branch(lines, name, child, name, "", number == len(children) - 1, depth, fresh)
    return "\n".join(lines)


def _fresh_parameters(model: Model) -> set[str]:
    """The model's own names of parameters that hold random numbers."""
    names = set(model.state_dict())
    if model.loading_report is None:
        return names
    drawn = set(model.loading_report.drawn)
    return {name for step in model.naming.steps(model) if step.stored in drawn for name in step.parameters}


def _branch(
    lines: list[str], label: str, module: nn.Module, path: str, indent: str, last: bool, depth: int, fresh: set[str]
) -> None:
    own = [f"{path}.{name}" for name, _ in module.named_parameters(remove_duplicate=False)]
    if not own:
        return
    count = sum(parameter.numel() for parameter in module.parameters())
    shapes = " ".join("×".join(map(str, p.shape)) for p in module._parameters.values() if p is not None)
    new = sum(name in fresh for name in own)
    state = (
        "" if not new else "  new, untrained" if new == len(own) else f"  {new} of {len(own)} tensors new, untrained"
    )
    kind = type(module).__name__
    lines.append(
        f"{indent}{'└─' if last else '├─'} {label}: {kind}{f' [{shapes}]' if shapes else ''}  {count:,}{state}"
    )
    if depth <= 1:
        return
    shown = [child for child in _grouped(module) if any(True for _ in child[1].parameters())]
    for number, (name, child, first) in enumerate(shown):
        below = indent + ("   " if last else "│  ")
        _branch(lines, name, child, f"{path}.{first}", below, number == len(shown) - 1, depth - 1, fresh)


def _grouped(module: nn.Module) -> list[tuple[str, nn.Module, str]]:
    """(label, child, its name); neighbours in a list that print alike become one, labelled 0-5."""
    groups: list[list[tuple[str, nn.Module]]] = []
    for name, child in module.named_children():
        if groups and isinstance(module, nn.ModuleList) and repr(groups[-1][0][1]) == repr(child):
            groups[-1].append((name, child))
        else:
            groups.append([(name, child)])
    return [
        (group[0][0] if len(group) == 1 else f"{group[0][0]}-{group[-1][0]} (each)", group[0][1], group[0][0])
        for group in groups
    ]
