"""What lies beside a written program: the first weights, the tokenizer, the rows."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from madang.auto import auto
from madang.auto.model import Model
from madang.datasets import Dataset
from madang.errors import InputError
from madang.tokenizers.tokenizer import PreTrainedTokenizerFast
from madang.training import seed
from madang.training.script.batches import inner_collator
from madang.training.script.sources import is_importable

if TYPE_CHECKING:
    from madang.training.loaders import RowLoader
    from madang.training.trainer import Trainer

_AUTO = {cls.task: name for name, cls in vars(auto).items() if name.startswith("AutoModel")}  # by task
_CONTIGUOUS = [
    "for parameter in model.parameters():  # the file holds some matrices turned, which fused optimizers do not see",
    "    parameter.data = parameter.data.contiguous()",
]


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Whatever is tried inside draws nothing, and leaves the model as it was."""
    before, learning = seed.chance(), [module.training for module in model.modules()]
    try:
        yield
    finally:
        seed.restore_chance(before)
        for module, mode in zip(model.modules(), learning, strict=True):
            module.training = mode


def keep_model(trainer: "Trainer", folder: Path) -> list[str]:
    """Save the weights training begins with; returns the lines of a program that load them as `model`."""
    if trainer.model_init is not None:
        model = _made_anew(trainer, folder)
    else:
        model = trainer.model
    return _load_ours(model, folder) or _load_whole(model, folder)


def _made_anew(trainer: "Trainer", folder: Path) -> nn.Module:
    """What `model_init` gives when training begins, and where that leaves chance."""
    assert trainer.model_init is not None
    with undisturbed(trainer.model):
        seed.set_seed(trainer.args.seed)
        # as the Trainer calls it: a function of one argument is told which training of a search this is
        model = trainer.model_init(*[None] * (len(inspect.signature(trainer.model_init).parameters) == 1))
        torch.save(torch.get_rng_state(), folder / "chance.pt")
    return model.to(trainer.device)


def _load_ours(model: nn.Module, folder: Path) -> list[str] | None:
    """By `from_pretrained`, if that gives this very model: somebody may have changed its parts by hand."""
    if not isinstance(model, Model) or model.adapter is not None or model.task not in _AUTO:
        return None
    model.save_pretrained(folder / "model")
    options = "" if model.attn_implementation == "sdpa" else f', attn_implementation="{model.attn_implementation}"'
    name = _AUTO[model.task]
    with undisturbed(model):
        loaded = getattr(auto, name).from_pretrained(folder / "model")
    here, there = model.state_dict(), loaded.state_dict()
    same = here.keys() == there.keys() and all(torch.equal(here[key].cpu(), there[key]) for key in here)
    if not same or repr(model) != repr(loaded):
        return None
    turned = any(not part.is_contiguous() for part in loaded.parameters() if part.ndim == 2)
    load = f'model = {name}.from_pretrained(FILES / "model"{options})'
    return [load, *(_CONTIGUOUS if turned else []), *_freezing(model)]


def _freezing(model: nn.Module) -> list[str]:
    """Lines that freeze what is frozen."""
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    if not frozen:
        return []
    parts = [name for name, part in model.named_modules() if not any(p.requires_grad for p in part.parameters())]
    parts = [f"{name}." for name in parts if any(parameter.startswith(f"{name}.") for parameter in frozen)]
    parts = [part for part in parts if not any(part != other and part.startswith(other) for other in parts)]
    parts += [name for name in frozen if not name.startswith(tuple(parts))]
    names = ", ".join(f'"{part}"' for part in parts)
    names = f"({names},)" if len(parts) == 1 else f"({names})"
    if len(names) > 100:
        names = "(\n" + "".join(f'    "{part}",\n' for part in parts) + ")"
    return [
        f"FROZEN = {names}  # these parameters stay as they are" if "\n" not in names else f"FROZEN = {names}",
        "for name, parameter in model.named_parameters():",
        "    parameter.requires_grad_(not name.startswith(FROZEN))",
    ]


def _load_whole(model: nn.Module, folder: Path) -> list[str]:
    """As an object, which needs the module its class stands in."""
    for cls in {type(module) for module in model.modules()}:
        if not is_importable(cls):
            raise InputError(f"the model's {cls.__name__} is not defined in a module that can be imported")
    torch.save(model, folder / "model.pt")
    return [
        f"# a whole {type(model).__name__}, whose class is in {type(model).__module__}; load no such file from others",
        'model = torch.load(FILES / "model.pt", weights_only=False)',
    ]


def keep_tokenizer(tokenizer: Any, folder: Path, *, needed: bool) -> list[str]:
    """Save the tokenizer; returns the lines that load it as `tokenizer`, none where nobody can or needs to."""
    if isinstance(tokenizer, PreTrainedTokenizerFast):
        tokenizer.save_pretrained(folder / "tokenizer")
        return ['tokenizer = AutoTokenizer.from_pretrained(FILES / "tokenizer")']
    if not needed:
        return []
    if not is_importable(type(tokenizer)):
        raise InputError(f"the tokenizer's {type(tokenizer).__name__} is not defined in a module that can be imported")
    torch.save(tokenizer, folder / "tokenizer.pt")
    return ['tokenizer = torch.load(FILES / "tokenizer.pt", weights_only=False)']


def keep_rows(loader: "RowLoader", folder: Path, name: str) -> str:
    """Save the rows a loader makes batches of; returns the expression that reads them."""
    source, (_, names) = loader.rows, inner_collator(loader)
    if isinstance(source, Dataset):
        source.save_to_disk(folder / name)
        return f'load_from_disk(FILES / "{name}")'
    with seed.drawing_from(0):
        once = source[0]
    with seed.drawing_from(1):
        again = source[0]
    if repr(once) != repr(again):
        raise InputError(f"the rows of the {name} data are drawn when they are asked for")
    rows = [source[place] for place in range(len(source))]
    if names is not None:
        rows = [{column: row[column] for column in row if column in names} for row in rows]
    torch.save(rows, folder / f"{name}.pt")
    try:
        torch.load(folder / f"{name}.pt", weights_only=True)
    except Exception as error:
        raise InputError(f"the rows of the {name} data hold something else than numbers, texts and tensors") from error
    return f'torch.load(FILES / "{name}.pt")'
