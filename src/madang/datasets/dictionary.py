"""Splits by name, with every verb of a dataset applied to each of them."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from madang.datasets.dataset import Dataset
from madang.datasets.features import Features
from madang.errors import UnknownKeyError, nearest

EACH = (
    "add_column", "cast", "cast_column", "class_encode_column", "filter", "map", "remove_columns", "rename_column",
    "rename_columns", "select_columns", "shuffle", "sort", "with_format",
)  # fmt: skip


class DatasetDict(dict[str, Dataset]):
    """A dict of splits: `splits["train"]` is a Dataset, and `splits.map(…)`, `.filter`, `.rename_column` … work on all.

    `num_rows`, `column_names` and `shape` give a dict with one answer per split.
    """

    def __getitem__(self, key: Any) -> Dataset:
        if key in self:
            return super().__getitem__(key)
        if not self:
            raise UnknownKeyError(f"there is no split {key!r}: this DatasetDict is empty.")
        first = next(iter(self))
        if isinstance(key, str) and any(key in dataset.column_names for dataset in self.values()):
            advice = f"{key!r} is a column; choose a split first: dataset[{first!r}][{key!r}]."
        elif isinstance(key, str):
            advice = f"unknown split {key!r}.{nearest(key, self)}"
        else:
            advice = f"Invalid key: {key!r}. Please first select a split, for example dataset[{first!r}][{key!r}]."
        raise UnknownKeyError(f"{advice} Available splits: {list(self)}")

    def __repr__(self) -> str:
        inner = "\n".join(f"{name}: {dataset!r}" for name, dataset in self.items())
        return "DatasetDict({\n" + "\n".join(f"    {line}" for line in inner.split("\n")) + "\n})"

    @property
    def num_rows(self) -> dict[str, int]:
        """How many rows each split has."""
        return {name: dataset.num_rows for name, dataset in self.items()}

    @property
    def num_columns(self) -> dict[str, int]:
        """How many columns each split has."""
        return {name: dataset.num_columns for name, dataset in self.items()}

    @property
    def column_names(self) -> dict[str, list[str]]:
        """The columns of each split."""
        return {name: dataset.column_names for name, dataset in self.items()}

    @property
    def shape(self) -> dict[str, tuple[int, int]]:
        """(rows, columns) of each split."""
        return {name: dataset.shape for name, dataset in self.items()}

    def unique(self, column: str) -> dict[str, list[Any]]:
        """The distinct values of a column in each split."""
        return {name: dataset.unique(column) for name, dataset in self.items()}

    def set_format(self, type: str | None = None, **options: Any) -> None:  # noqa: A002
        """Let the rows of every split come out as `type`; see `Dataset.set_format`."""
        for dataset in self.values():
            dataset.set_format(type, **options)

    def reset_format(self) -> None:
        """Let the rows of every split come out as Python objects."""
        for dataset in self.values():
            dataset.reset_format()

    @classmethod
    def from_csv(cls, paths: dict[str, Any], features: Features | None = None, **options: Any) -> "DatasetDict":
        """From a dict of split name -> CSV file(s)."""
        return cls(
            {name: Dataset.from_csv(path, split=name, features=features, **options) for name, path in paths.items()}
        )

    if TYPE_CHECKING:
        add_column: Callable[..., "DatasetDict"]
        cast: Callable[..., "DatasetDict"]
        cast_column: Callable[..., "DatasetDict"]
        class_encode_column: Callable[..., "DatasetDict"]
        filter: Callable[..., "DatasetDict"]
        map: Callable[..., "DatasetDict"]
        remove_columns: Callable[..., "DatasetDict"]
        rename_column: Callable[..., "DatasetDict"]
        rename_columns: Callable[..., "DatasetDict"]
        select_columns: Callable[..., "DatasetDict"]
        shuffle: Callable[..., "DatasetDict"]
        sort: Callable[..., "DatasetDict"]
        with_format: Callable[..., "DatasetDict"]


def _for_each(name: str) -> Callable[..., DatasetDict]:
    method = getattr(Dataset, name)

    @functools.wraps(method)
    def on_every_split(self: DatasetDict, *arguments: Any, **keywords: Any) -> DatasetDict:
        return DatasetDict({split: method(dataset, *arguments, **keywords) for split, dataset in self.items()})

    return on_every_split


for _name in EACH:
    setattr(DatasetDict, _name, _for_each(_name))
