"""The optimizer's state by the published names of the parameters: no internal name or order reaches a disk."""

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer

from madang.checkpoints.names import plan
from madang.errors import CheckpointError
from madang.training.distributed.fsdp import spread_like

_FORM = "madang-optimizer-1"
_OF_THE_MACHINE = ("params", "fused", "foreach")


def published(model: nn.Module, optimizer: Optimizer) -> dict[str, Any]:
    """{"state": {name: …}, "param_groups": [{"params": [names], …}]}, as `restore` reads it."""
    state, names = optimizer.state_dict(), _names(model, optimizer)
    return {
        "form": _FORM,
        "state": {names[number]: entry for number, entry in state["state"].items()},
        "param_groups": [
            {**group, "params": [names[number] for number in group["params"]]} for group in state["param_groups"]
        ],
    }


def restore(model: nn.Module, optimizer: Optimizer, saved: Mapping[str, Any]) -> None:
    """Give `optimizer` the saved state; the same parameters in another order or grouping are fine."""
    if saved.get("form") != _FORM:
        raise CheckpointError(
            "optimizer.pt numbers its parameters in another program's order, so it cannot be told which state belongs "
            "to which. Load the weights with from_pretrained and begin a new training from them."
        )
    names = _names(model, optimizer)
    numbers = {name: number for number, name in enumerate(names)}
    known = {name for group in saved["param_groups"] for name in group["params"]}
    if known != set(names):
        missing, extra = sorted(set(names) - known), sorted(known - set(names))
        raise CheckpointError(
            f"the checkpoint's optimizer belongs to other parameters: {len(missing)} of the model's are missing there "
            f"{missing[:3]}, {len(extra)} are unknown here {extra[:3]}. Resume with the model it was made with."
        )
    now = optimizer.state_dict()
    settings = {frozenset(group["params"]): group for group in saved["param_groups"]}
    groups = []
    for group in now["param_groups"]:
        before = settings.get(frozenset(names[number] for number in group["params"]))
        if before is None:
            raise CheckpointError("the checkpoint's optimizer groups its parameters differently; was `optim` another?")
        # which kernel does it is a matter of the machine and of how the parameters lie, not of the training
        groups.append({**group, **{name: value for name, value in before.items() if name not in _OF_THE_MACHINE}})
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state = {
        numbers[name]: {key: spread_like(parameters[numbers[name]], value) for key, value in entry.items()}
        for name, entry in saved["state"].items()
    }
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def published_names(model: nn.Module) -> dict[str, str]:
    """For every parameter its name on disk. Several that lie in one tensor there are told apart by `#` and a number."""
    own = [name for name, _ in model.named_parameters()]
    naming = getattr(model, "naming", None)
    if naming is None:
        return {name: name for name in own}
    found: dict[str, str] = {}
    for step in plan(naming.table, own):
        for part, name in enumerate(step.parameters):
            found[name] = step.stored if len(step.parameters) == 1 else f"{step.stored}#{part}"
    return found


def _names(model: nn.Module, optimizer: Optimizer) -> list[str]:
    """The published name of every parameter, in the optimizer's order."""
    by_name = published_names(model)
    by_parameter = {id(parameter): by_name[name] for name, parameter in model.named_parameters()}
    ordered = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    # one that belongs to no module (an optimizer of the user's own) is known by its place
    return [by_parameter.get(id(parameter), f"#{place}") for place, parameter in enumerate(ordered)]
