"""Filling a model with the tensors of a file, and drawing the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from madang.checkpoints.names import Doubled, Step, Table, covered, ignored, plan
from madang.checkpoints.report import LoadingReport
from madang.checkpoints.tensors import Stored
from madang.errors import CheckpointError

Draw = Callable[[nn.Module, list[str]], None]


@dataclass(frozen=True)
class Naming:
    """How one model's parameters are called on disk.

    `prefix` (as "bert.", or nothing) stands before the body's names in files of this class, those in `elsewhere` in
    files of its family's other classes. `known` are the tables of the family's other heads: a file may have their
    tensors without this model needing them.
    """

    table: Table
    prefix: str
    elsewhere: Sequence[str] = ()
    known: Sequence[Table] = ()

    def steps(self, model: nn.Module) -> list[Step]:
        """Every parameter of `model` with its full name on disk, tied ones once."""
        tied = tied_names(model)
        return plan(self.table, [name for name in model.state_dict(keep_vars=True) if name not in tied])


def tied_names(model: nn.Module) -> set[str]:
    """Names under which a parameter appears for the second time."""
    first = {name for name, _ in model.named_parameters()}
    return {name for name, _ in model.named_parameters(remove_duplicate=False)} - first


def fill(
    model: nn.Module,
    naming: Naming,
    stored: Stored,
    *,
    source: str,
    draw: Draw,
    dtype: torch.dtype | None = None,
    ignore_mismatched_sizes: bool = False,
    device: torch.device | str = "cpu",
) -> LoadingReport:
    """Put the stored tensors into `model`, which was built on the meta device; `draw` what the file does not have.

    Tensors are used as they lie in the mapped file where nothing asks for another dtype or layout: nothing is copied.
    Raises CheckpointError for tensors of another shape, all of them at once.
    """
    report = LoadingReport(type(model).__name__, source)
    steps = naming.steps(model)
    locate = _locator(naming, stored, steps)
    parameters = dict(model.state_dict(keep_vars=True))
    places = _places(model)
    used: set[str] = set()
    wanting: list[str] = []
    for step in steps:
        shapes = [parameters[name].shape for name in step.parameters]
        name = locate(step)
        if name is None:
            report.missing.append(step.stored)
            wanting.extend(step.parameters)
            continue
        used.add(name)
        expected = step.entry.stored_shape(shapes)
        if stored.shapes[name] != expected:
            report.mismatched.append((step.stored, tuple(stored.shapes[name]), tuple(expected)))
            wanting.extend(step.parameters)
            continue
        tensor = _converted(stored.take(name), dtype, device)
        for parameter, part in zip(step.parameters, step.entry.split(tensor, shapes), strict=True):
            _assign(places, parameters[parameter], part)
        report.loaded += 1
    if report.mismatched and not ignore_mismatched_sizes:
        raise _wrong_shapes(report)
    _sort_leftovers(report, naming, stored, used)
    for name in wanting:
        fresh = torch.empty(parameters[name].shape, dtype=dtype or _common_dtype(stored), device=device)
        _assign(places, parameters[name], fresh)
    draw(model, wanting)
    return report


def refill(model: nn.Module, naming: Naming, stored: Stored, *, source: str) -> None:
    """Copy stored tensors into the parameters a model has, which stay the same objects: nothing missing, nothing drawn.

    Raises CheckpointError, before anything is changed, when a tensor is missing or has another shape.
    """
    steps = naming.steps(model)
    parameters = dict(model.state_dict(keep_vars=True))
    wrong = []
    for step in steps:
        expected = step.entry.stored_shape([parameters[name].shape for name in step.parameters])
        found = stored.shapes.get(step.stored)
        if found != expected:
            wrong.append(f"  {step.stored}: {tuple(found) if found else 'nothing'} there, {tuple(expected)} here")
    if wrong:
        raise CheckpointError(
            f"{source} is a checkpoint of another model: {len(wrong)} of {len(steps)} tensors do not fit this "
            + "\n".join([f"{type(model).__name__}:", *wrong[:8], *["  …"] * (len(wrong) > 8)])
        )
    with torch.no_grad():
        for step in steps:
            shapes = [parameters[name].shape for name in step.parameters]
            for name, part in zip(step.parameters, step.entry.split(stored.take(step.stored), shapes), strict=True):
                parameters[name].copy_(part)


def _locator(naming: Naming, stored: Stored, steps: Sequence[Step]) -> Callable[[Step], str | None]:
    """A function that tells what this file calls the tensor of a step: the body's prefix is the one most names have."""
    body = {
        step.stored: step.stored.removeprefix(naming.prefix) for step in steps if step.parameters[0].startswith("body.")
    }
    candidates = (naming.prefix, *naming.elsewhere)
    prefix = max(candidates, key=lambda prefix: sum(prefix + name in stored for name in body.values()))

    def locate(step: Step) -> str | None:
        name = prefix + body[step.stored] if step.stored in body else step.stored
        if isinstance(step.entry, Doubled) and name not in stored:
            name = step.entry.other
        return name if name in stored else None

    return locate


def _sort_leftovers(report: LoadingReport, naming: Naming, stored: Stored, used: set[str]) -> None:
    """Tensors of the file that were not used: meaningless ones, those of other heads, and the unexpected."""
    tables = [naming.table, *naming.known]
    twins = {entry.other for entry in naming.table.values() if isinstance(entry, Doubled)}
    for name in stored.readers:
        if name in used or name in twins:
            continue
        stems = {name, *(name.removeprefix(prefix) for prefix in naming.elsewhere)}
        spellings = stems | {naming.prefix + stem for stem in stems}
        if any(ignored(table, spelling) for table in tables for spelling in spellings):
            continue
        if any(covered(table, spelling) for table in tables for spelling in spellings):
            report.unused.append(name)
        else:
            report.unexpected.append(name)


def _converted(tensor: Tensor, dtype: torch.dtype | None, device: torch.device | str) -> Tensor:
    if dtype is not None and tensor.is_floating_point():
        return tensor.to(device=device, dtype=dtype)
    return tensor.to(device=device)


def _common_dtype(stored: Stored) -> torch.dtype:
    """The dtype of the first floating point tensor of the file."""
    return next((dtype for dtype in stored.dtypes.values() if dtype.is_floating_point), torch.float32)


def _places(model: nn.Module) -> dict[int, list[tuple[nn.Module, str]]]:
    """Where each parameter is used, by its identity: a tied one in several modules."""
    places: dict[int, list[tuple[nn.Module, str]]] = {}
    for owner in model.modules():
        for key, parameter in owner._parameters.items():
            if parameter is not None:
                places.setdefault(id(parameter), []).append((owner, key))
    return places


def _assign(places: dict[int, list[tuple[nn.Module, str]]], old: Tensor, tensor: Tensor) -> None:
    """Make `tensor` the parameter that `old` was, wherever that is used."""
    new = nn.Parameter(tensor, requires_grad=tensor.is_floating_point())
    for owner, key in places[id(old)]:
        owner._parameters[key] = new


def _wrong_shapes(report: LoadingReport) -> CheckpointError:
    lines = [f"  {name}: the file has {found}, this model {expected}" for name, found, expected in report.mismatched]
    return CheckpointError(
        "\n".join(
            [
                f"{len(lines)} tensors of {report.source} have another shape than this {report.model}:",
                *lines,
                "Pass ignore_mismatched_sizes=True to draw these anew (for example for another number of labels).",
            ]
        )
    )
