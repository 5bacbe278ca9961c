"""Splits by name, with every verb of a dataset applied to each of them."""

import functools
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from madang.datasets.dataset import Dataset
from madang.errors import UnknownKeyError, WrongTypeError, nearest

# verbs that make a new dataset of each split
EACH = (
    "add_column", "align_labels_with_mapping", "batch", "cast", "cast_column", "class_encode_column", "filter",
    "flatten", "flatten_indices", "remove_columns", "rename_column", "rename_columns", "repeat",
    "select_columns", "skip", "sort", "take", "with_format", "with_transform",
)  # fmt: skip
# arguments that have an entry per split here -> what they are called for one dataset
BY_SPLIT = {"cache_file_names": "cache_file_name", "indices_cache_file_names": "indices_cache_file_name"}


class DatasetDict(dict[Any, Dataset]):
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

    def __enter__(self) -> "DatasetDict":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing has to be closed: memory maps end with the last array that uses them."""

    @property
    def data(self) -> dict[Any, Any]:
        """The Arrow table of each split."""
        return {name: dataset.data for name, dataset in self.items()}

    @property
    def cache_files(self) -> dict[Any, list[dict[str, str]]]:
        """The files that the rows of each split are memory-mapped from."""
        return {name: dataset.cache_files for name, dataset in self.items()}

    @property
    def num_rows(self) -> dict[Any, int]:
        """How many rows each split has."""
        return {name: dataset.num_rows for name, dataset in self.items()}

    @property
    def num_columns(self) -> dict[Any, int]:
        """How many columns each split has."""
        return {name: dataset.num_columns for name, dataset in self.items()}

    @property
    def column_names(self) -> dict[Any, list[str]]:
        """The columns of each split."""
        return {name: dataset.column_names for name, dataset in self.items()}

    @property
    def shape(self) -> dict[Any, tuple[int, int]]:
        """(rows, columns) of each split."""
        return {name: dataset.shape for name, dataset in self.items()}

    def unique(self, column: str) -> dict[Any, list[Any]]:
        """The distinct values of a column in each split."""
        return {name: dataset.unique(column) for name, dataset in self.items()}

    def cleanup_cache_files(self) -> dict[Any, int]:
        """How many files of earlier steps were removed for each split."""
        return {name: dataset.cleanup_cache_files() for name, dataset in self.items()}

    def map(
        self, function: Callable[..., Any] | None = None, *arguments: Any, with_split: bool = False, **options: Any
    ) -> "DatasetDict":
        """Each split as `Dataset.map` makes it; `with_split` gives the function the split's name as its last argument.

        `cache_file_names` has a file for each split.
        """
        made = {}
        for split, dataset in self._checked():
            own = _told(function, split) if with_split and function is not None else function
            made[split] = dataset.map(own, *arguments, **_of_split(options, split))
        return DatasetDict(made)

    def _checked(self) -> Iterator[tuple[Any, Dataset]]:
        for split, dataset in self.items():
            if not isinstance(dataset, Dataset):
                raise WrongTypeError(
                    f"Values in `DatasetDict` should be of type `Dataset` but got type '{type(dataset)}' for {split!r}."
                )
            yield split, dataset

    def shuffle(
        self,
        seeds: Any = None,
        seed: int | None = None,
        generators: Mapping[Any, Any] | None = None,
        **options: Any,
    ) -> "DatasetDict":
        """The rows of each split in random order: one `seed` for all, or a dict of seeds (or `generators`) by split."""
        if seeds is not None and seed is not None:
            raise WrongTypeError("Please specify seed or seeds, but not both")
        seed = seed if seed is not None else None if isinstance(seeds, Mapping) else seeds
        by_split = seeds if isinstance(seeds, Mapping) else dict.fromkeys(self, seed)
        chosen = generators or {}
        return DatasetDict(
            {
                name: dataset.shuffle(by_split.get(name), chosen.get(name), **_of_split(options, name))
                for name, dataset in self._checked()
            }
        )

    # ---- formats, of this very dict

    def set_format(self, type: str | None = None, *arguments: Any, **options: Any) -> None:  # noqa: A002
        """Let the rows of every split come out as `type`; see `Dataset.set_format`."""
        for dataset in self.values():
            dataset.set_format(type, *arguments, **options)

    def set_transform(self, transform: Any, *arguments: Any, **options: Any) -> None:
        """Let the rows of every split come out of `transform`; see `Dataset.set_transform`."""
        for dataset in self.values():
            dataset.set_transform(transform, *arguments, **options)

    def reset_format(self) -> None:
        """Let the rows of every split come out as Python objects."""
        for dataset in self.values():
            dataset.reset_format()

    @contextmanager
    def formatted_as(self, *arguments: Any, **options: Any) -> Iterator[None]:
        """`set_format` until the `with` block ends."""
        with ExitStack() as stack:
            for dataset in self.values():
                stack.enter_context(dataset.formatted_as(*arguments, **options))
            yield

    # ---- from files and out

    @classmethod
    def from_csv(cls, path_or_paths: Mapping[str, Any], **options: Any) -> "DatasetDict":
        """From a dict of split name -> CSV file(s)."""
        return cls._read("from_csv", path_or_paths, options)

    @classmethod
    def from_json(cls, path_or_paths: Mapping[str, Any], **options: Any) -> "DatasetDict":
        """From a dict of split name -> JSON file(s)."""
        return cls._read("from_json", path_or_paths, options)

    @classmethod
    def from_parquet(cls, path_or_paths: Mapping[str, Any], **options: Any) -> "DatasetDict":
        """From a dict of split name -> Parquet file(s)."""
        return cls._read("from_parquet", path_or_paths, options)

    @classmethod
    def from_text(cls, path_or_paths: Mapping[str, Any], **options: Any) -> "DatasetDict":
        """From a dict of split name -> text file(s)."""
        return cls._read("from_text", path_or_paths, options)

    @classmethod
    def _read(cls, maker: str, paths: Any, options: dict[str, Any]) -> "DatasetDict":
        paths = paths if isinstance(paths, Mapping) else {"train": paths}
        return cls({name: getattr(Dataset, maker)(path, split=name, **options) for name, path in paths.items()})

    def save_to_disk(self, dataset_dict_path: str | os.PathLike[str], *arguments: Any, **options: Any) -> None:
        """Save every split to a folder of its own in this one; `load_from_disk` opens it."""
        from madang.datasets import disk

        disk.save_dict(self, dataset_dict_path, *arguments, **options)

    @staticmethod
    def load_from_disk(dataset_dict_path: str | os.PathLike[str], **options: Any) -> Any:
        """What `save_to_disk` saved."""
        from madang.datasets import disk

        return disk.load_dict_from_disk(dataset_dict_path, **options)

    def push_to_hub(self, repo_id: str, config_name: str = "default", **options: Any) -> Any:
        """Put all splits into a dataset repository on a hub; see `Dataset.push_to_hub`."""
        from madang.datasets import share

        return share.push_dataset_dict(self, repo_id, config_name=config_name, **options)

    if TYPE_CHECKING:
        add_column: Callable[..., "DatasetDict"]
        align_labels_with_mapping: Callable[..., "DatasetDict"]
        batch: Callable[..., "DatasetDict"]
        cast: Callable[..., "DatasetDict"]
        cast_column: Callable[..., "DatasetDict"]
        class_encode_column: Callable[..., "DatasetDict"]
        filter: Callable[..., "DatasetDict"]
        flatten: Callable[..., "DatasetDict"]
        flatten_indices: Callable[..., "DatasetDict"]
        remove_columns: Callable[..., "DatasetDict"]
        rename_column: Callable[..., "DatasetDict"]
        rename_columns: Callable[..., "DatasetDict"]
        repeat: Callable[..., "DatasetDict"]
        select_columns: Callable[..., "DatasetDict"]
        skip: Callable[..., "DatasetDict"]
        sort: Callable[..., "DatasetDict"]
        take: Callable[..., "DatasetDict"]
        with_format: Callable[..., "DatasetDict"]
        with_transform: Callable[..., "DatasetDict"]


def _of_split(options: Mapping[str, Any], split: Any) -> dict[str, Any]:
    """The options for one split."""
    own = {name: value for name, value in options.items() if name not in BY_SPLIT}
    return own | {one: (options[name] or {}).get(split) for name, one in BY_SPLIT.items() if name in options}


def _told(function: Callable[..., Any], split: Any) -> Callable[..., Any]:
    """The function, given a split's name after its other arguments."""

    @functools.wraps(function)
    def called(*arguments: Any, **keywords: Any) -> Any:
        return function(*arguments, split, **keywords)

    @functools.wraps(function)
    async def awaited(*arguments: Any, **keywords: Any) -> Any:
        return await function(*arguments, split, **keywords)

    return awaited if inspect.iscoroutinefunction(function) else called


def _for_each(name: str) -> Callable[..., DatasetDict]:
    method = getattr(Dataset, name)

    @functools.wraps(method)
    def on_every_split(self: DatasetDict, *arguments: Any, **options: Any) -> DatasetDict:
        return DatasetDict(
            {split: method(dataset, *arguments, **_of_split(options, split)) for split, dataset in self._checked()}
        )

    return on_every_split


for _name in EACH:
    setattr(DatasetDict, _name, _for_each(_name))
