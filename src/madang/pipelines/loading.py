"""The model and the tokenizer of a pipeline, from what was passed for them."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import madang.auto
from madang.auto import LoadingWarning, Model
from madang.errors import InputError, MadangError, WrongTypeError
from madang.notices import notice
from madang.ops.devices import best_device, place
from madang.tokenizers import AutoTokenizer

if TYPE_CHECKING:
    from madang.pipelines.task import Pipeline


# options of from_pretrained that say where to look, for the tokenizer too
SOURCE_OPTIONS = ("revision", "token", "cache_dir", "local_files_only", "subfolder")


class UntrainedWarning(LoadingWarning):
    """A pipeline's answers are random, because parameters that make them were not in the file."""


def load(
    task: type[Pipeline], model: Any, tokenizer: Any, *, config: Any, device: Any, options: dict[str, Any]
) -> tuple[Any, Any]:
    """The loaded model on its device and its tokenizer. `options` are those of from_pretrained."""
    where: dict[str, Any] = {key: options[key] for key in SOURCE_OPTIONS if key in options}
    if isinstance(model, (str, os.PathLike)):
        if isinstance(config, (str, os.PathLike)):
            config = madang.auto.AutoConfig.from_pretrained(config, **where)
        loaded = _load_model(task, model, config=config, device=place(device, default=best_device()), **options)
        named: Any = model
    else:
        loaded = check_model(task, model)
        fresh = _fresh(task, loaded)
        if fresh and not _is_trained(loaded, fresh):
            _warn_untrained(task, loaded, fresh)
        if device is not None:
            loaded = loaded.to(place(device))
        named = model.name_or_path
    if tokenizer is None:
        return loaded, _its_tokenizer(named, loaded, where)
    if isinstance(tokenizer, (str, os.PathLike)):
        return loaded, AutoTokenizer.from_pretrained(tokenizer, **where)
    if isinstance(tokenizer, tuple):  # (name, options of its own)
        return loaded, AutoTokenizer.from_pretrained(tokenizer[0], **{**where, **tokenizer[1]})
    return loaded, tokenizer


def check_model(task: type[Pipeline], model: Any) -> Model:
    """`model` itself when this task can use it."""
    if not isinstance(model, Model):
        raise WrongTypeError(
            f"model= is of type {type(model).__name__}; pass a folder, a repository ('owner/name') or a model loaded "
            f"with {task.auto}.from_pretrained."
        )
    if task.heads and model.task not in task.heads:
        head = "no head" if model.task is None else f"a head for {model.task}"
        raise InputError(
            f"{task.task} cannot use this {type(model).__name__}: it has {head}. "
            f"Load it with {task.auto}.from_pretrained."
        )
    return model


def _load_model(task: type[Pipeline], name: str | os.PathLike[str], **options: Any) -> Any:
    """Load, with the loader's warning put in stronger words when the answers depend on fresh weights."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        loaded = getattr(madang.auto, task.auto).from_pretrained(name, **options)
    for warning in said:
        if not issubclass(warning.category, LoadingWarning):
            notice(str(warning.message), warning.category)
    fresh = _fresh(task, loaded)
    if fresh:
        _warn_untrained(task, loaded, fresh)
    elif loaded.loading_report.unexpected:
        notice(str(loaded.loading_report), LoadingWarning)
    return loaded


def _fresh(task: type[Pipeline], model: Model) -> list[str]:
    """The parameters, by their published names, that loading drew at random and this task's answers depend on."""
    report = model.loading_report
    return [] if report is None else [name for name in report.drawn if not name.startswith(task.unused_parts)]


def _is_trained(model: Model, names: list[str]) -> bool:
    """Whether the parameters drawn at loading have changed since: fresh biases are exactly 0; True without any."""
    wanted = set(names)
    drawn = [name for step in model.naming.steps(model) if step.stored in wanted for name in step.parameters]
    held = model.state_dict()
    biases = [held[name] for name in drawn if name.endswith("bias")]
    return not biases or any(bool(bias.any()) for bias in biases)


def _warn_untrained(task: type[Pipeline], model: Model, fresh: list[str]) -> None:
    listed = ", ".join(f"`{name}`" for name in fresh[:12]) + (", …" if len(fresh) > 12 else "")
    notice(
        f"the answers of this {task.task} pipeline are random: {type(model).__name__} from {model.name_or_path} has "
        f"parameters that were not in the file and hold random numbers: {listed}. "
        "Train the model first, or name one that was trained for this task.",
        UntrainedWarning,
    )


def _its_tokenizer(name: Any, model: Model, where: dict[str, Any]) -> Any:
    if not name:
        raise InputError(
            f"this {type(model).__name__} was not loaded from anywhere, so its tokenizer is not known: pass tokenizer=."
        )
    try:
        return AutoTokenizer.from_pretrained(name, **where)
    except MadangError as error:
        raise type(error)(
            f"{error} A pipeline needs the tokenizer too: pass tokenizer=, or save it beside the model."
        ) from error
