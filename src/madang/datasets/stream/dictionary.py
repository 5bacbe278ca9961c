"""Streams by split, with every verb applied to each of them."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from madang.datasets.stream.dataset import IterableDataset
from madang.errors import UnknownKeyError, nearest

EACH = (
    "add_column", "batch", "cast", "cast_column", "decode", "filter", "map", "remove_columns", "rename_column",
    "rename_columns", "repeat", "select_columns", "shuffle", "skip", "take", "with_format", "with_transform",
)  # fmt: skip


class IterableDatasetDict(dict[Any, IterableDataset]):
    """A dict of splits: `splits["train"]` is an IterableDataset, and the verbs of one work on all.

    `column_names`, `num_columns` and `num_shards` give a dict with one answer per split.
    """

    def __getitem__(self, key: Any) -> IterableDataset:
        if key in self:
            return super().__getitem__(key)
        if not self:
            raise UnknownKeyError(f"there is no split {key!r}: this IterableDatasetDict is empty.")
        first = next(iter(self))
        if isinstance(key, str):
            advice = f"unknown split {key!r}.{nearest(key, self)}"
        else:
            advice = f"Invalid key: {key!r}. Please first select a split, for example dataset[{first!r}]."
        raise UnknownKeyError(f"{advice} Available splits: {list(self)}")

    def __repr__(self) -> str:
        inner = "\n".join(f"{name}: {dataset!r}" for name, dataset in self.items())
        return "IterableDatasetDict({\n" + "\n".join(f"    {line}" for line in inner.split("\n")) + "\n})"

    @property
    def column_names(self) -> dict[Any, list[str] | None]:
        """The columns of each split, None where they are not known."""
        return {name: dataset.column_names for name, dataset in self.items()}

    @property
    def num_columns(self) -> dict[Any, int | None]:
        """How many columns each split has."""
        return {name: dataset.num_columns for name, dataset in self.items()}

    @property
    def num_shards(self) -> dict[Any, int]:
        """How many shards each split has."""
        return {name: dataset.num_shards for name, dataset in self.items()}

    def push_to_hub(self, repo_id: str, config_name: str = "default", **options: Any) -> Any:
        """Put all splits into one dataset repository on a hub; options as for `IterableDataset.push_to_hub`."""
        from madang.datasets import share

        return share.push_dataset_dict(self, repo_id, config_name=config_name, **options)

    if TYPE_CHECKING:
        add_column: Callable[..., "IterableDatasetDict"]
        batch: Callable[..., "IterableDatasetDict"]
        cast: Callable[..., "IterableDatasetDict"]
        cast_column: Callable[..., "IterableDatasetDict"]
        decode: Callable[..., "IterableDatasetDict"]
        filter: Callable[..., "IterableDatasetDict"]
        map: Callable[..., "IterableDatasetDict"]
        remove_columns: Callable[..., "IterableDatasetDict"]
        rename_column: Callable[..., "IterableDatasetDict"]
        rename_columns: Callable[..., "IterableDatasetDict"]
        repeat: Callable[..., "IterableDatasetDict"]
        select_columns: Callable[..., "IterableDatasetDict"]
        shuffle: Callable[..., "IterableDatasetDict"]
        skip: Callable[..., "IterableDatasetDict"]
        take: Callable[..., "IterableDatasetDict"]
        with_format: Callable[..., "IterableDatasetDict"]
        with_transform: Callable[..., "IterableDatasetDict"]


def _for_each(name: str) -> Callable[..., IterableDatasetDict]:
    method = getattr(IterableDataset, name)

    @functools.wraps(method)
    def on_every_split(self: IterableDatasetDict, *arguments: Any, **keywords: Any) -> IterableDatasetDict:
        with_split = name == "map" and keywords.pop("with_split", False)
        made = IterableDatasetDict()
        for split, dataset in self.items():
            given = _told(split, arguments, keywords) if with_split else (arguments, keywords)
            made[split] = method(dataset, *given[0], **given[1])
        return made

    return on_every_split


class _WithSplit:
    """A function that is told, as its last argument, from which split its rows are."""

    def __init__(self, function: Callable[..., Any], split: Any) -> None:
        self.function, self.split = function, split

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self.function(*arguments, self.split, **keywords)


def _told(split: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if arguments:
        return (_WithSplit(arguments[0], split), *arguments[1:]), keywords
    return (), {**keywords, "function": _WithSplit(keywords["function"], split)}


for _name in EACH:
    setattr(IterableDatasetDict, _name, _for_each(_name))
