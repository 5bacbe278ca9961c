"""Streams from anything: functions that open shards, generators, tables in memory, files."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from madang.datasets.features import Features
from madang.datasets.stream.columns import Typed
from madang.datasets.stream.reading import Reading
from madang.datasets.stream.source import Generated, Held, Opened, Shards, Source
from madang.errors import InputError

if TYPE_CHECKING:
    from madang.datasets.dataset import Dataset
    from madang.datasets.info import DatasetInfo


class Making(Reading):
    """The ways in."""

    @classmethod
    def from_shards(
        cls,
        open_shard: Callable[[Any], Iterator[pa.Table]],
        shards: Sequence[Any],
        features: Features | None = None,
        split: Any = None,
        info: "DatasetInfo | None" = None,
    ) -> Self:
        """From parts that a function opens: `open_shard(shard)` gives the Arrow tables of one of `shards`, in order.

        It must give the same rows every time, and both must pickle where DataLoader workers are spawned. Only a few
        shards are open at a time, and one table of each is held. `features` are those of the rows, None when unknown.
        """
        return cls._of(Opened(open_shard, list(shards)), features, info, split)

    @classmethod
    def from_generator(
        cls,
        generator: Callable[..., Iterable[Mapping[str, Any]]],
        features: Features | None = None,
        gen_kwargs: Mapping[str, Any] | None = None,
        split: Any = "train",
    ) -> Self:
        """From a function that yields rows as dicts, called with `gen_kwargs`.

        Lists in `gen_kwargs` are shards: the function is called once for each entry, with a list of that one. So
        workers and machines can share them out. No row is asked for before it is needed.
        """
        return cls._of(Generated(generator, dict(gen_kwargs or {})), features, None, split)

    @classmethod
    def from_dict(
        cls,
        mapping: Mapping[str, Any],
        features: Features | None = None,
        info: Any = None,
        split: Any = None,
        num_shards: int = 1,
    ) -> Self:
        """From a dict of columns."""
        from madang.datasets.dataset import Dataset

        return cls._held(Dataset.from_dict(mapping, features, info, split), num_shards)

    @classmethod
    def from_list(
        cls,
        mapping: Sequence[Mapping[str, Any]],
        features: Features | None = None,
        info: Any = None,
        split: Any = None,
        num_shards: int = 1,
    ) -> Self:
        """From a list of dicts, one per row."""
        from madang.datasets.dataset import Dataset

        return cls._held(Dataset.from_list(mapping, features, info, split), num_shards)

    @classmethod
    def from_pandas(
        cls,
        df: Any,
        features: Features | None = None,
        info: Any = None,
        split: Any = None,
        preserve_index: bool | None = None,
        num_shards: int = 1,
    ) -> Self:
        """From a pandas DataFrame."""
        from madang.datasets.dataset import Dataset

        made = Dataset.from_pandas(df, features=features, info=info, split=split, preserve_index=preserve_index)
        return cls._held(made, num_shards)

    @classmethod
    def from_polars(cls, df: Any, features: Features | None = None, info: Any = None, split: Any = None) -> Self:
        """From a polars DataFrame or LazyFrame."""
        from madang.datasets.dataset import Dataset

        table = df.collect() if hasattr(df, "collect") else df
        return cls._held(Dataset.from_polars(table, features=features, info=info, split=split), 1)

    @classmethod
    def from_file(cls, filename: str | os.PathLike[str]) -> Self:
        """From an Arrow file, which is memory-mapped."""
        from madang.datasets.dataset import Dataset

        return cls._held(Dataset.from_file(os.fspath(filename)), 1)

    @classmethod
    def from_csv(cls, path_or_paths: Any, split: Any = None, features: Features | None = None, **options: Any) -> Self:
        """From one CSV file or several, which are shards; options as for `load_dataset("csv", …)`."""
        return cls._from_format("csv", path_or_paths, split, features, options)

    @classmethod
    def from_json(cls, path_or_paths: Any, split: Any = None, features: Features | None = None, **options: Any) -> Self:
        """From JSON files, which are shards; options as for `load_dataset("json", …)`."""
        return cls._from_format("json", path_or_paths, split, features, options)

    @classmethod
    def from_parquet(
        cls, path_or_paths: Any, split: Any = None, features: Features | None = None, **options: Any
    ) -> Self:
        """From Parquet files, which are shards; options as for `load_dataset("parquet", …)`."""
        return cls._from_format("parquet", path_or_paths, split, features, options)

    @classmethod
    def from_text(cls, path_or_paths: Any, split: Any = None, features: Features | None = None, **options: Any) -> Self:
        """From text files, which are shards; options as for `load_dataset("text", …)`."""
        return cls._from_format("text", path_or_paths, split, features, options)

    @classmethod
    def _from_format(
        cls, name: str, paths: Any, split: Any, features: Features | None, options: dict[str, Any]
    ) -> Self:
        from madang.datasets.load import load_dataset

        part = str(split) if split is not None else "train"
        options.pop("keep_in_memory", None)
        if features is not None:
            options["features"] = features
        made: Self = load_dataset(name, data_files={part: paths}, split=part, streaming=True, **options)
        return made

    @classmethod
    def _of(cls, shards: Shards, features: Features | None, info: Any, split: Any) -> Self:
        if features is None and info is not None:
            features = info.features
        source = Source.of(shards, None)
        return cls(source if features is None else Typed(source, features), info, split, features=features)

    @classmethod
    def _held(cls, dataset: "Dataset", num_shards: int) -> Self:
        """The rows of a dataset; nothing is copied."""
        if num_shards > max(1, len(dataset)):
            raise InputError(
                f"Unable to shard a dataset of size {len(dataset)} into {num_shards} shards (the number of shards "
                "exceeds the number of samples)."
            )
        features = dataset.features
        stage = Typed(Source.of(Held(dataset._frame, num_shards), features), features)
        return cls(stage, dataset._info, dataset.split, features=features)
