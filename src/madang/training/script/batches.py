"""How a program makes batches: written out where padding is all there is, by the same collator otherwise."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from madang.errors import InputError
from madang.training.collate import (
    DataCollatorForLanguageModeling,
    DataCollatorWithFlattening,
    DataCollatorWithPadding,
    DefaultDataCollator,
    default_data_collator,
)
from madang.training.collate.padding import padding_side
from madang.training.columns import _OnlyInputs
from madang.training.script.sources import Sources, call, is_importable
from madang.training.seed import drawing_from

if TYPE_CHECKING:
    from madang.training.loaders import RowLoader
    from madang.training.trainer import Trainer

Batch = dict[str, Any]


@dataclass
class Batches:
    """What a program says about making batches."""

    columns: list[tuple[str, str]]
    """Of a batch written out: each column's name, and the expression for it."""
    pads: bool
    """Whether texts are padded, and the function for that is needed."""
    side: str
    collator: str
    """Otherwise: the expression that makes the collator, or the name of the function."""
    draws: bool
    """Whether chance is involved."""
    renamed: dict[str, str]
    dropped: list[str]
    """What becomes of the columns a collator gives before the model sees them."""
    first: Batch
    """The first batch as the model gets it."""

    @property
    def uses_tokenizer(self) -> bool:
        """Whether the program needs one."""
        return "tokenizer" in self.collator


def batches_of(trainer: "Trainer", loaders: Sequence["RowLoader"], sources: Sources) -> Batches:
    """Find out how batches are made, by looking at the collator and at some batches of each of these loaders."""
    collator, _ = inner_collator(loaders[0])
    if getattr(collator, "seed", None) is not None:
        raise InputError("data_collator: it draws from a generator of its own; leave out its seed")
    with drawing_from(0):
        given = _collate(loaders[0])(_rows(loaders[0].rows, _some(loaders[0])[0]))
    if not isinstance(given, Mapping):
        raise InputError(f"data_collator: it makes a {type(given).__name__} of a batch, and a dict was expected")
    prepared = trainer.prepare_inputs(dict(given))
    columns = _written_out(collator, loaders[0].rows, prepared)
    pads = any(text.startswith("padded(") for _, text in columns)
    side = padding_side(getattr(collator, "tokenizer", None))
    if columns and all(_agrees(trainer, loader, columns, side) for loader in loaders):
        return Batches(columns, pads, side, "", False, {}, [], prepared)
    renamed = {other: "labels" for other in ("label", "label_ids") if other in given and other not in prepared}
    dropped = [name for name in given if name not in prepared and name not in renamed]
    made = _made_again(collator, trainer, sources)
    return Batches([], False, side, made, _draws(collator), renamed, dropped, prepared)


def inner_collator(loader: "RowLoader") -> tuple[Any, set[str] | None]:
    """The collator a Trainer was given, and which columns are left of rows before it sees them (None: all)."""
    collate = _collate(loader)
    return (collate._collator, collate._names) if isinstance(collate, _OnlyInputs) else (collate, None)


def _collate(loader: "RowLoader") -> Any:
    return loader.dataset._collate  # type: ignore[attr-defined]


def _some(loader: "RowLoader") -> list[list[int]]:
    """A few batches of rows to try things on."""
    drawn, count = random.Random(0), len(loader.rows)
    size = min(loader.picks.batch_size, count)
    return [list(range(size)), list(range(count - size, count)), *(drawn.sample(range(count), size) for _ in range(10))]


def _rows(source: Any, numbers: list[int]) -> list[Any]:
    several = getattr(source, "__getitems__", None)
    return list(several(numbers)) if several is not None else [source[number] for number in numbers]


def _written_out(collator: Any, source: Any, batch: Batch) -> list[tuple[str, str]]:
    """Each column's expression, as far as one can tell from the first row; empty if it is not that simple."""
    pads = type(collator) is DataCollatorWithPadding
    if not pads and collator is not default_data_collator and type(collator) is not DefaultDataCollator:
        return []
    row = source[0]
    if not isinstance(row, Mapping) or getattr(collator, "return_tensors", "pt") != "pt":
        return []
    if pads and (collator.padding not in (True, "longest") or collator.pad_to_multiple_of):
        return []
    columns = []
    for name, values in batch.items():
        from_column = next((other for other in (name, "label", "label_ids") if other in row), None)
        per_token = isinstance(values, Tensor) and values.ndim > 1
        if name == "attention_mask" and name not in row:
            columns.append((name, 'padded([[1] * len(row["input_ids"]) for row in chosen], 0)'))
        elif from_column is None or (from_column != name and name != "labels") or not _is_plain(row[from_column]):
            return []
        elif pads and per_token and len(row[from_column]) == len(row.get("input_ids", ())):
            fill = _fill(collator, name)
            columns.append((name, f'padded([row["{from_column}"] for row in chosen], {fill})'))
        else:
            columns.append((name, f'torch.tensor([row["{from_column}"] for row in chosen])'))
    return columns


def _is_plain(value: Any) -> bool:
    while isinstance(value, list) and value:
        value = value[0]
    return isinstance(value, (int, float))


def _fill(collator: DataCollatorWithPadding, name: str) -> int:
    fills = {
        "input_ids": getattr(collator.tokenizer, "pad_token_id", 0) or 0,
        "token_type_ids": getattr(collator.tokenizer, "pad_token_type_id", 0),
        "special_tokens_mask": 1,
        "labels": collator.label_pad_token_id,
    }
    return int(fills.get(name, 0))


def _agrees(trainer: "Trainer", loader: "RowLoader", columns: list[tuple[str, str]], side: str) -> bool:
    """Whether the expressions give what the collator gives."""
    collate, batches = _collate(loader), [_rows(loader.rows, numbers) for numbers in _some(loader)]
    return all(_makes_the_same(trainer, collate, columns, side, rows) for rows in batches)


def _makes_the_same(
    trainer: "Trainer", collate: Any, columns: list[tuple[str, str]], side: str, rows: list[Any]
) -> bool:

    def padded(lists: list[list[Any]], fill: int) -> Tensor:
        width = max(map(len, lists))
        if side == "left":
            return torch.tensor([[fill] * (width - len(values)) + values for values in lists])
        return torch.tensor([values + [fill] * (width - len(values)) for values in lists])

    try:
        names = {"torch": torch, "padded": padded, "chosen": rows}
        made = {name: eval(text, names) for name, text in columns}  # our own text, from above
    except (TypeError, ValueError, KeyError):
        return False
    wanted = trainer.prepare_inputs(dict(collate(rows)))
    return made.keys() == wanted.keys() and all(
        made[name].dtype == wanted[name].dtype and torch.equal(made[name], wanted[name].cpu()) for name in made
    )


def _draws(collator: Any) -> bool:
    """Whether a collator may draw at random: of ours, the one that hides words; of others, nobody knows."""
    if isinstance(collator, DataCollatorForLanguageModeling):
        return collator.mlm
    ours = (getattr(collator, "__module__", "") or type(collator).__module__).startswith("madang.")
    return not ours


def _made_again(collator: Any, trainer: "Trainer", sources: Sources) -> str:
    """An expression for the same collator."""
    if hasattr(collator, "__name__"):
        try:
            return sources.use(collator)
        except InputError as error:
            raise InputError(f"data_collator: {error}") from None
    cls = type(collator)
    if not is_importable(cls):
        raise InputError(f"data_collator: its {cls.__name__} is not defined in a module that can be imported")
    sources.use(cls)
    if not is_dataclass(collator):
        wanted = DataCollatorWithFlattening() if cls is DataCollatorWithFlattening else None
        if wanted is None or vars(wanted) != vars(collator):
            raise InputError(f"data_collator: {cls.__name__} is no dataclass, so nobody knows how it was made")
        return f"{cls.__name__}()"
    arguments = []
    for field in fields(collator):
        value = getattr(collator, field.name)
        if (field.default is not MISSING and value is field.default) or value == field.default or not field.init:
            continue
        if value is trainer.model:
            text = "model"
        elif field.name in ("tokenizer", "processor"):
            text = "tokenizer"
        elif value is None or isinstance(value, (bool, int, float, str)):
            text = f'"{value}"' if isinstance(value, str) else repr(value)
        else:
            raise InputError(
                f"data_collator: its {field.name} is a {type(value).__name__}, which cannot be written out"
            )
        arguments.append(f"{field.name}={text}")
    return call(cls.__name__, arguments, "collate = ")
