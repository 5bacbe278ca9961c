"""Which columns of a dataset a model gets: those it takes, and those the collator or a loss of one's own asks for."""

import contextlib
import inspect
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, Sequence, ValuesView
from types import CodeType
from typing import Any

from torch import nn

from madang.errors import InputError
from madang.training.labels import check_labels
from madang.training.seed import drawing_from

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


def prepared(
    dataset: Any, model: nn.Module, collator: Collate, labels: Sequence[str], *, drop: bool, users: Iterable[Any] = ()
) -> tuple[Any, Collate]:
    """The dataset with its labels checked and, if `drop`, without the columns nobody asks for; and how to collate it.

    The model, the collator and `users` (functions that get the batch) are asked. A dataset without columns that could
    be removed loses what the model does not take row by row.
    """
    columns = getattr(dataset, "column_names", None)
    names = input_names(model)
    if not columns or not hasattr(dataset, "remove_columns"):
        if drop and names is not None and _is_ours(collator) and not columns:
            wanted = {*names, *labels, *_LABELS, *asked_by_code(users), *getattr(collator, "asks_for", ())}
            collator = _OnlyInputs(collator, wanted)
        return dataset, collator
    is_table = hasattr(dataset, "__len__")
    for column in columns:
        if is_table and (column in _LABELS or column in labels):
            check_labels(dataset, column, model)
    if not drop or names is None:
        return dataset, collator
    wanted = {*names, *labels, *_LABELS, *(asked_by_code(users) & set(columns))}
    wanted |= asked_columns(collator, dataset) if is_table else set(getattr(collator, "asks_for", ()))
    unused = [column for column in columns if column not in wanted]
    if not set(columns) - set(unused) - set(_LABELS) - set(labels):
        raise InputError(
            f"no column of the dataset is an input of {type(model).__name__}: it has {list(columns)}, the model takes "
            f"{names}. Tokenize first (dataset.map(lambda rows: tokenizer(rows['text']), batched=True)), "
            "or pass remove_unused_columns=False with a data_collator that makes the inputs."
        )
    return (dataset.remove_columns(unused) if unused else dataset), collator


def asked_by_code(functions: Iterable[Any]) -> set[str]:
    """The words that functions mention as text, `inputs["weight"]`: a column of that name is wanted there."""
    found: set[str] = set()
    waiting: list[Any] = [getattr(getattr(each, "__func__", each), "__code__", None) for each in functions]
    while waiting:
        code = waiting.pop()
        if isinstance(code, CodeType):
            waiting.extend(code.co_consts)
            found.update(constant for constant in code.co_consts if isinstance(constant, str))
        elif isinstance(code, (tuple, frozenset)):
            waiting.extend(code)
        elif isinstance(code, str):
            found.add(code)
    return found


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
    """The columns a collator asks for by name: ours say it, others are found out by letting them collate two rows."""
    if _is_ours(collator) or len(dataset) == 0:
        return set(getattr(collator, "asks_for", ()))
    asked = _Asked()
    # when it fails, the real call will say why, with the real columns
    with drawing_from(0), contextlib.suppress(Exception):
        collator([_Noting(dataset[place], asked) for place in range(min(2, len(dataset)))])
    return asked.names


def _is_ours(collator: Collate) -> bool:
    return (getattr(collator, "__module__", "") or type(collator).__module__).startswith("madang.training.collate")


class _OnlyInputs:
    """Collates rows of a dataset that has no columns to remove: drops what the model does not take, row by row."""

    def __init__(self, collator: Collate, names: set[str]) -> None:
        self._collator, self._names = collator, names

    def __call__(self, rows: list[Any]) -> Any:
        if rows and isinstance(rows[0], Mapping):
            rows = [{name: value for name, value in row.items() if name in self._names} for row in rows]
        return self._collator(rows)
