"""From a dataset to batches: which columns a model gets, whether its labels fit, in which order the examples come."""

import contextlib
import inspect
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, Sampler

from madang.errors import InputError
from madang.training.seed import epoch_seed

Collate = Callable[[list[Any]], Any]
_LABELS = ("labels", "label", "label_ids")


def input_names(model: nn.Module) -> list[str] | None:
    """The names `model.forward` takes, or None when it takes any."""
    declared = getattr(model, "input_names", None)
    if declared is not None:
        return list(declared)
    parameters = inspect.signature(model.forward).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_POSITIONAL]


def label_names(model: nn.Module, given: Sequence[str] | None) -> list[str]:
    """The names of the model's labels: those given, those it declares, or those of its arguments that are labels."""
    if given is not None:
        return list(given)
    declared = getattr(model, "label_names", None)
    if declared:
        return list(declared)
    names = [
        name for name in input_names(model) or () if "label" in name or name in ("start_positions", "end_positions")
    ]
    return names or ["labels"]


def prepared(dataset: Any, model: nn.Module, collator: Collate, labels: Sequence[str], *, drop: bool) -> Any:
    """The dataset with its labels checked and, if `drop`, only the columns that the model or the collator asks for."""
    columns = getattr(dataset, "column_names", None)
    if not columns or not hasattr(dataset, "remove_columns"):
        return dataset
    for column in columns:
        if column in _LABELS or column in labels:
            check_labels(dataset, column, model)
    names = input_names(model)
    if not drop or names is None:
        return dataset
    wanted = {*names, *labels, *_LABELS, *asked_columns(collator, dataset)}
    unused = [column for column in columns if column not in wanted]
    if not set(columns) - set(unused) - set(_LABELS) - set(labels):
        raise InputError(
            f"no column of the dataset is an input of {type(model).__name__}: it has {list(columns)}, the model takes "
            f"{names}. Tokenize first (dataset.map(lambda rows: tokenizer(rows['text']), batched=True)), "
            "or pass remove_unused_columns=False with a data_collator that makes the inputs."
        )
    return dataset.remove_columns(unused) if unused else dataset


class _Asked:
    """The names rows were asked for, and the one that going through all of them is at."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.passing: str | None = None

    def note(self, name: str) -> None:
        if name != self.passing:
            self.names.add(name)


class _Noting(dict[str, Any]):
    """A row that notes which columns are asked for by name; going through whatever there is asks for none."""

    def __init__(self, row: Mapping[str, Any], asked: _Asked) -> None:
        super().__init__(row)
        self._asked = asked

    def __getitem__(self, name: str) -> Any:
        self._asked.note(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self._asked.note(name)
        return super().get(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        self._asked.note(name)
        return super().pop(name, *default)

    def __iter__(self) -> Iterator[str]:
        for name in list(super().__iter__()):
            self._asked.passing = name
            yield name
        self._asked.passing = None

    def keys(self) -> Any:
        return KeysView(self)

    def items(self) -> Any:
        return ItemsView(self)

    def values(self) -> Any:
        return ValuesView(self)


def asked_columns(collator: Collate, dataset: Any) -> set[str]:
    """The columns a collator asks for by name, found by letting it collate two rows; our own ask for none."""
    if _is_ours(collator) or len(dataset) == 0:
        return set()
    asked = _Asked()
    rows = [_Noting(dataset[place], asked) for place in range(min(2, len(dataset)))]
    chance = torch.get_rng_state()
    # when it fails, the real call will say why, with the real columns
    with contextlib.suppress(Exception):
        collator(rows)
    torch.set_rng_state(chance)
    return asked.names


def _is_ours(collator: Collate) -> bool:
    return (getattr(collator, "__module__", "") or type(collator).__module__) == "madang.training.collate"


def check_labels(dataset: Any, column: str, model: nn.Module) -> None:
    """Refuse labels that the model's loss cannot use before time is spent, naming the column and what is expected."""
    if len(dataset) == 0:
        return
    config, task, name = getattr(model, "config", None), getattr(model, "task", None), type(model).__name__
    classes = getattr(config, "num_labels", None)
    value = dataset[0][column]
    first = value[0] if isinstance(value, (list, tuple)) and value else value
    if isinstance(first, str):
        raise InputError(
            f"column {column!r} holds texts such as {first!r}, but {name} expects numbers"
            f"{f' from 0 to {classes - 1}' if classes and classes > 1 else ''}. "
            f"dataset.class_encode_column({column!r}) turns names of classes into numbers."
        )
    if value is None:
        raise InputError(
            f"column {column!r} has an empty cell in its first row, but {name} expects a label in every row."
        )
    if task == "sequence-classification" and classes:
        _check_classes(dataset, column, value, name, classes, getattr(config, "problem_type", None))


def _check_classes(dataset: Any, column: str, value: Any, model: str, classes: int, problem: str | None) -> None:
    """Labels of whole texts: a class number, a number to predict, or a vector with one entry per class."""
    size = np.ndim(value)
    vector = f"column {column!r} holds {'lists of ' + str(len(value)) if size else type(value).__name__} values"
    if problem == "multi_label_classification" or (size and problem is None and classes > 1):
        if size != 1 or len(value) != classes:
            raise InputError(f"{vector}, but {model} expects one list of {classes} numbers (0 or 1) per row.")
        return
    if problem == "regression" or (problem is None and classes == 1):
        if size and len(value) != classes:
            raise InputError(f"{vector}, but {model} expects {classes} number(s) per row.")
        return
    if size or np.asarray(value).dtype.kind not in "iub":
        raise InputError(
            f"{vector}, but {model} expects one whole number from 0 to {classes - 1} per row. For numbers to predict, "
            "load it with num_labels=1; for several classes at once, with problem_type='multi_label_classification'."
        )
    numbers = np.asarray(dataset[column])
    if numbers.dtype.kind not in "iub":
        raise InputError(
            f"column {column!r} has empty cells, but {model} expects a label from 0 to {classes - 1} in every row."
        )
    outside = numbers[(numbers != -100) & ((numbers < 0) | (numbers >= classes))]
    if outside.size:
        raise InputError(
            f"column {column!r} holds {outside[0]}, but {model} has {classes} classes, 0 to {classes - 1}. "
            f"Load it with num_labels={int(numbers.max()) + 1}."
        )


class EpochSampler(Sampler[int]):
    """Every example once per epoch, in an order that only the seed and the number of the epoch decide.

    With `lengths`, examples of similar length come together: fifty batches' worth of examples at a time are drawn at
    random and sorted by length, so that batches differ and yet hold little padding.
    """

    def __init__(self, count: int, seed: int, batch_size: int = 1, lengths: np.ndarray[Any, Any] | None = None) -> None:
        self._count, self._seed, self._batch_size, self._lengths = count, seed, batch_size, lengths
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(epoch_seed(self._seed, self.epoch))
        order = torch.randperm(self._count, generator=generator).numpy()
        if self._lengths is not None:
            order = self._grouped(order, generator)
        yield from order.tolist()

    def _grouped(self, order: np.ndarray[Any, Any], generator: torch.Generator) -> np.ndarray[Any, Any]:
        assert self._lengths is not None
        pool = self._batch_size * min(50, max(1, self._count // (self._batch_size * 4)))
        parts = [order[start : start + pool] for start in range(0, self._count, pool)]
        parts = [part[np.argsort(-self._lengths[part], kind="stable")] for part in parts]
        batches = [
            part[start : start + self._batch_size] for part in parts for start in range(0, len(part), self._batch_size)
        ]
        # the longest first, so that memory runs out at once or never; a short batch stays last
        longest = max(range(len(batches)), key=lambda place: int(self._lengths[batches[place]].max()))  # type: ignore[index]
        full = [place for place in range(len(batches)) if place != longest and len(batches[place]) == self._batch_size]
        short = [place for place in range(len(batches)) if place != longest and len(batches[place]) < self._batch_size]
        shuffled = [full[place] for place in torch.randperm(len(full), generator=generator).tolist()]
        return np.concatenate([batches[place] for place in [longest, *shuffled, *short]])


def text_lengths(dataset: Any) -> np.ndarray[Any, Any]:
    """How many tokens each example has."""
    columns = getattr(dataset, "column_names", None)
    if columns is not None and "input_ids" not in columns:
        raise InputError(f"group_by_length needs a column 'input_ids'; the dataset has {list(columns)}.")
    if hasattr(dataset, "lengths"):
        return np.asarray(dataset.lengths("input_ids"))
    return np.fromiter(
        (len(dataset[place]["input_ids"]) for place in range(len(dataset))), dtype=np.int64, count=len(dataset)
    )


class _OnlyInputs:
    """Collates examples of a dataset that has no columns to remove: drops what the model does not take, row by row."""

    def __init__(self, collator: Collate, names: set[str]) -> None:
        self._collator, self._names = collator, names

    def __call__(self, rows: list[Any]) -> Any:
        if rows and isinstance(rows[0], Mapping):
            rows = [{name: value for name, value in row.items() if name in self._names} for row in rows]
        return self._collator(rows)


def loader(
    dataset: Any,
    collator: Collate,
    *,
    batch_size: int,
    model: nn.Module,
    labels: Sequence[str],
    drop_unused: bool,
    sampler: EpochSampler | None = None,
    drop_last: bool = False,
    workers: int = 0,
    seed: int = 0,
) -> DataLoader[Any]:
    """Batches of a dataset: ours, the datasets package's, or any torch Dataset of dicts."""
    dataset = prepared(dataset, model, collator, labels, drop=drop_unused)
    names = input_names(model)
    if drop_unused and names is not None and _is_ours(collator) and not hasattr(dataset, "column_names"):
        collator = _OnlyInputs(collator, {*names, *labels, *_LABELS})
    iterable = isinstance(dataset, IterableDataset)
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=None if iterable else sampler,
        collate_fn=collator,
        drop_last=drop_last,
        num_workers=workers,
        # without one of its own, every pass would draw from torch's global generator and change what follows
        generator=torch.Generator().manual_seed(seed),
    )
