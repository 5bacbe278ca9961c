"""What can be done with the rows and columns of a stream. Nothing happens until they are read."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Self

import numpy as np

from madang.datasets.features import Features, List, from_arrow_type
from madang.datasets.formats import Format
from madang.datasets.frame import unknown_columns
from madang.datasets.mapping import Call
from madang.datasets.stream.batches import EVERYTHING, FilterBatches, MapBatches
from madang.datasets.stream.columns import Added, Cast, Only, Renamed, Typed, Without
from madang.datasets.stream.each import FilterRows, MapRows
from madang.datasets.stream.grouping import Batched, Grouped
from madang.datasets.stream.making import Making
from madang.datasets.stream.rows import Node, Repeat, Skip, Take, nodes
from madang.datasets.stream.seeds import agreed, drawn_seed
from madang.datasets.stream.shuffle import Shuffle
from madang.datasets.stream.stage import Stage, Step
from madang.datasets.values import feature_of, to_arrow
from madang.errors import InputError, WrongTypeError

Names = str | Sequence[str]


class Verbs(Making):
    """Every step returns a new stream."""

    # ---- functions

    def map(
        self,
        function: Callable[..., Any] | None = None,
        with_indices: bool = False,
        input_columns: Names | None = None,
        batched: bool = False,
        batch_size: int | None = 1000,
        drop_last_batch: bool = False,
        remove_columns: Names | None = None,
        features: Features | None = None,
        fn_kwargs: Mapping[str, Any] | None = None,
    ) -> Self:
        """Every row updated by what `function` returns for it, while rows are read.

        `function(row)` gets a dict and returns one, or None to change nothing; `batched`, it gets and returns columns
        of `batch_size` rows (all in one batch when that is None or 0), and may return more or fewer. `with_indices`
        gives it the number of the row too, `input_columns` the values of these as arguments, `fn_kwargs` arguments by
        name. `remove_columns` go, unless returned. An `async` function is called for up to 1000 rows at a time.
        What it returns is not changed: a tensor stays one. `features` says what the rows hold then, and stores it so.
        """
        drop = frozenset(_names(remove_columns))
        call = self._call(function or _unchanged, with_indices, input_columns, batched, fn_kwargs)
        stage: Stage
        if batched:
            size = EVERYTHING if batch_size is None or batch_size <= 0 else batch_size
            stage = MapBatches(self._stage, call, self._format, size, drop, drop_last_batch)
        else:
            stage = MapRows(self._stage, call, self._format, drop)
        return self._with(stage if features is None else Typed(stage, features), features)

    def filter(
        self,
        function: Callable[..., Any] | None = None,
        with_indices: bool = False,
        input_columns: Names | None = None,
        batched: bool = False,
        batch_size: int | None = 1000,
        fn_kwargs: Mapping[str, Any] | None = None,
    ) -> Self:
        """The rows for which `function` returns something true; the arguments are those of `map`."""
        call = self._call(function or bool, with_indices, input_columns, batched, fn_kwargs)
        if not batched:
            return self._with(FilterRows(self._stage, call, self._format), self._features)
        size = EVERYTHING if batch_size is None or batch_size <= 0 else batch_size
        return self._with(FilterBatches(self._stage, call, self._format, size), self._features)

    def _call(
        self, function: Any, with_indices: bool, input_columns: Names | None, batched: bool, keywords: Any
    ) -> Call:
        if not callable(function):
            raise WrongTypeError(f"a function is needed, not {function!r} ({type(function).__name__}).")
        columns = None if input_columns is None else _names(input_columns)
        self._check(columns or ())
        return Call(function, batched, with_indices, columns, dict(keywords or {}))

    # ---- rows

    def shuffle(
        self,
        seed: int | None = None,
        generator: np.random.Generator | None = None,
        buffer_size: int = 1000,
        max_buffer_input_shards: int = 10,
    ) -> Self:
        """The shards in random order, and the rows mixed in a buffer of `buffer_size`.

        The buffer is filled from up to `max_buffer_input_shards` shards in turn. The same seed gives the same order,
        another one in each epoch (`set_epoch`). Without a seed one is drawn from numpy's global state; machines that
        share a stream (`split_dataset_by_node`) take 0 then, as they must agree. A saved state holds no rows: when it
        is loaded, up to `buffer_size` of them are read once more.
        """
        if seed is not None and generator is not None:
            raise InputError("give seed= or generator=, not both: either fixes the order.")
        for name, given in (("buffer_size", buffer_size), ("max_buffer_input_shards", max_buffer_input_shards)):
            if given < 1:
                raise InputError(f"{name} must be 1 or more, not {given}.")
        drawn = seed is None and generator is None
        if generator is not None:
            seed = int(deepcopy(generator).integers(0, 1 << 62))
        elif seed is None:
            seed = drawn_seed()
        stage = Shuffle(self._stage, abs(int(seed)), buffer_size, max_buffer_input_shards, drawn)
        return self._with(agreed(stage) if nodes(stage) else stage, self._features)

    def take(self, n: int) -> Self:
        """The first `n` rows, the same ones in every epoch; a `shuffle` after it leaves the shards in their order."""
        return self._with(Take(self._stage, _counted("take", n)), self._features)

    def skip(self, n: int) -> Self:
        """All but the first `n` rows; as `take`."""
        return self._with(Skip(self._stage, _counted("skip", n)), self._features)

    def repeat(self, num_times: int | None) -> Self:
        """All rows `num_times` times over; without end when that is None."""
        times = None if num_times is None else max(0, num_times)
        return self._with(Repeat(self._stage, times), self._features)

    def shard(self, num_shards: int, index: int, contiguous: bool = True) -> Self:
        """Share `index` of the shards, out of `num_shards`; neighbours if `contiguous`, else every `num_shards`-th."""
        if not 0 <= index < num_shards:
            raise InputError(f"index should be in [0, num_shards-1], but it is {index} and num_shards is {num_shards}.")
        made = self._with(self._stage.part(index, num_shards, contiguous=contiguous), self._features)
        check_nodes(made._stage)
        return made

    def reshard(self) -> Self:
        """In as many shards as the sources can be split into."""
        return self._with(self._stage.resharded(), self._features)

    def batch(
        self, batch_size: int | None = None, by_column: Names | None = None, drop_last_batch: bool = False
    ) -> Self:
        """Every `batch_size` rows as one, whose columns are lists; or neighbouring rows that agree `by_column`."""
        features = None
        if self._features is not None:
            features = Features({name: List(feature) for name, feature in self._features.items()})
        if by_column is not None:
            names = _names(by_column)
            self._check(names)
            return self._with(Grouped(self._stage, batch_size or 1000, tuple(names)), features)
        if batch_size is None or batch_size < 1:
            raise InputError(f"batch needs a batch_size of 1 or more (or by_column=), not {batch_size!r}.")
        return self._with(Batched(self._stage, batch_size, drop_last_batch), features)

    # ---- columns

    def remove_columns(self, column_names: Names) -> Self:
        """Without these columns."""
        gone = _names(column_names)
        self._check(gone, "Column name {names} not in the dataset.")
        features = self._features and Features({n: f for n, f in self._features.items() if n not in gone})
        return self._with(Without(self._stage, frozenset(gone)), features)

    def select_columns(self, column_names: Names) -> Self:
        """With only these columns, in this order."""
        names = _names(column_names)
        self._check(names, "Column name {names} not in the dataset.")
        features = self._features and Features({name: self._features[name] for name in names})
        return self._with(Only(self._stage, tuple(names)), features)

    def rename_column(self, original_column_name: str, new_column_name: str) -> Self:
        """The same with one column called otherwise."""
        return self.rename_columns({original_column_name: new_column_name})

    def rename_columns(self, column_mapping: Mapping[str, str]) -> Self:
        """The same with columns called otherwise: {old: new}."""
        self._check(column_mapping, "Original column name {names} not in the dataset.")
        features = None
        if self._features is not None:
            names = [column_mapping.get(name, name) for name in self._features]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise InputError(
                    f"New column name {', '.join(twice)} already in the dataset. Current columns: {self.column_names}"
                )
            features = Features(zip(names, self._features.values(), strict=True))
        return self._with(Renamed(self._stage, dict(column_mapping)), features)

    def add_column(self, name: str, column: Any, feature: Any = None) -> Self:
        """With one more column: the values, one per row in the order of the stream, which is fixed thereby."""
        if self._features is not None and name in self._features:
            raise InputError(f"The table can't have duplicated columns, but it already has a column {name!r}.")
        feature = feature if feature is not None else feature_of(column)
        values = to_arrow(column, name, feature)
        features = None
        if self._features is not None:
            found = feature if feature is not None else from_arrow_type(values.type)
            features = Features({**self._features, name: found})
        return self._with(Added(self._stage, name, values, feature), features)

    def cast_column(self, column: str, feature: Any) -> Self:
        """The same with one column stored as another feature."""
        self._check([column])
        features = self._features and Features({**self._features, column: feature})
        return self._with(Cast(self._stage, Features({column: feature})), features)

    def cast(self, features: Features) -> Self:
        """The same with all columns stored as `features` says."""
        if self._features is not None and set(features) != set(self._features):
            raise InputError(
                f"The columns in features ({list(features)}) must be identical as the columns in the dataset: "
                f"{self.column_names}"
            )
        return self._with(Typed(self._stage, features), features)

    def decode(self, enable: bool = True, num_threads: int | None = None) -> Self:
        """Let images, sounds and the like come out decoded, or (`enable=False`) as they are stored.

        With `num_threads` they are decoded by so many threads; rows keep their order.
        """
        if self._features is None:
            raise InputError(
                "decode needs to know the features of the columns. Give them (`cast`, `map(features=…)`) before it."
            )
        features = deepcopy(self._features)
        for feature in features.values():
            _set_decoding(feature, enable)
        return self._with(Cast(self._stage, features), features, threads=(num_threads or 0) if enable else 0)

    # ---- formats

    def with_format(self, type: str | None = None, **options: Any) -> Self:  # noqa: A002
        """The same with rows that come out as `type`: None (Python), "numpy", "torch", "pandas", "arrow", …"""
        columns = options.pop("columns", None)
        others = options.pop("output_all_columns", False)
        return self._with(
            self._stage, self._features, format=Format.named(type, columns=columns, others=others, options=options)
        )

    def with_transform(self, transform: Callable[..., Any]) -> Self:
        """The same with rows that `transform` makes when they are read: it gets and returns a dict of columns."""
        return self.with_format("custom", transform=transform)

    def _check(self, names: Any, said: str = "") -> None:
        """That the columns are there, where it is known which there are."""
        missing = [] if self._features is None else [name for name in names if name not in self._features]
        if missing:
            assert self._features is not None
            raise unknown_columns(missing, self._features, said.format(names=missing) if said else "")


def _names(given: Names | None) -> list[str]:
    return [] if given is None else [given] if isinstance(given, str) else list(given)


def _unchanged(row: Any, *_: Any, **__: Any) -> None:
    """What `map` without a function does."""


def _counted(verb: str, n: int) -> int:
    if n < 0:
        raise InputError(f"{verb}({n}): the number of rows must be 0 or more.")
    return n


def _set_decoding(feature: Any, enable: bool) -> None:
    if isinstance(feature, Mapping):
        for inner in feature.values():
            _set_decoding(inner, enable)
    elif isinstance(feature, (list, tuple)) or hasattr(feature, "feature"):
        for inner in feature if isinstance(feature, (list, tuple)) else [feature.feature]:
            _set_decoding(inner, enable)
    elif hasattr(feature, "decode") and not callable(feature.decode):
        feature.decode = enable


def check_nodes(stage: Stage) -> None:
    """That every machine gets a shard where shards are shared out whatever their number."""
    if isinstance(stage, Node) and stage.strategy == "shards" and stage.upstream.num_shards < stage.world_size:
        raise InputError(
            f"strategy='shards' needs a shard for each machine, but num_shards={stage.upstream.num_shards} is less "
            f"than world_size={stage.world_size}. Split the data into more files, or use strategy='examples'."
        )
    if isinstance(stage, Step):
        check_nodes(stage.upstream)
