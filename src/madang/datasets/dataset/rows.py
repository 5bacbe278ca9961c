"""Rows: chosen, ordered, split. Only row numbers are written; the columns stay where they are."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa

from madang.datasets import train_test
from madang.datasets.dataset.columns import Columns
from madang.datasets.dataset.reading import Names
from madang.datasets.features import ClassLabel, Features, Value
from madang.datasets.frame import StoredColumn, row_numbers
from madang.datasets.options import refuse_unknown
from madang.datasets.values import to_arrow
from madang.errors import InputError

if TYPE_CHECKING:
    from madang.datasets.dictionary import DatasetDict

# Rows that are chosen are numbers in memory, so what the datasets package says of files for them changes nothing here.
_ABOUT_FILES = {
    "indices_cache_file_name", "keep_in_memory", "load_from_cache_file", "test_indices_cache_file_name",
    "train_indices_cache_file_name", "writer_batch_size", "kind",
}  # fmt: skip
_FLATTEN_WITHOUT_EFFECT = ("writer_batch_size", "features", "disable_nullable", "num_proc", "new_fingerprint")

LOOKED_AT = 10_000  # rows that tell whether a column has few distinct values


class Rows(Columns):
    """What can be done with whole rows."""

    def select(self, indices: Iterable[int], new_fingerprint: str | None = None, **about_files: Any) -> Self:
        """The rows at `indices`, in that order; nothing is copied."""
        _only_about_files(about_files)
        if isinstance(indices, range) and indices.step == 1 and 0 <= indices.start <= indices.stop <= len(self):
            return self._cut(indices.start, indices.stop, new_fingerprint)
        rows = row_numbers(indices, len(self))
        if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and bool((np.diff(rows) == 1).all()):
            return self._cut(int(rows[0]), int(rows[-1]) + 1, new_fingerprint)
        recipe = self._after(new_fingerprint, "select", rows=rows)
        return self._with(self._frame.chosen(rows), recipe=recipe)

    def _cut(self, start: int, stop: int, new_fingerprint: str | None = None) -> Self:
        recipe = self._after(new_fingerprint, "cut", start=start, stop=stop)
        return self._with(self._frame.cut(start, stop), recipe=recipe)

    def take(self, n: int) -> Self:
        """The first `n` rows."""
        return self._cut(0, max(0, min(n, len(self))))

    def skip(self, n: int) -> Self:
        """All but the first `n` rows."""
        return self._cut(max(0, min(n, len(self))), len(self))

    def repeat(self, num_times: int) -> Self:
        """The rows `num_times` over; none for 0 or less."""
        if num_times is None:
            raise InputError("Map style datasets do not support indefinite repetition: num_times is a number.")
        return self.select(np.tile(np.arange(len(self)), max(0, num_times)))

    def shard(self, num_shards: int, index: int, contiguous: bool = True, **about_files: Any) -> Self:
        """Part `index` of `num_shards`, of which the first may have a row more; every n-th row if not `contiguous`."""
        _only_about_files(about_files)
        if not 0 <= index < num_shards:
            raise InputError(f"index should be in [0, num_shards-1]: index={index}, num_shards={num_shards}.")
        if not contiguous:
            return self.select(np.arange(index, len(self), num_shards))
        size, more = divmod(len(self), num_shards)
        start = size * index + min(index, more)
        return self._cut(start, start + size + (index < more))

    def shuffle(
        self,
        seed: int | None = None,
        generator: np.random.Generator | None = None,
        new_fingerprint: str | None = None,
        **about_files: Any,
    ) -> Self:
        """The rows in random order; the same order for the same seed, as the datasets package has it."""
        _only_about_files(about_files)
        return self.select(_random(seed, generator).permutation(len(self)), new_fingerprint)

    def sort(
        self,
        column_names: Names,
        reverse: bool | Sequence[bool] = False,
        null_placement: str = "at_end",
        new_fingerprint: str | None = None,
        **about_files: Any,
    ) -> Self:
        """The rows in the order of one column, or of several; empty cells come `at_end` or `at_start`."""
        _only_about_files(about_files)
        names = self._known(column_names)
        falling = [reverse] * len(names) if isinstance(reverse, bool) else list(reverse)
        if len(falling) != len(names):
            raise InputError(
                f"Parameter 'reverse' should be either a boolean or a list of booleans with the same length as "
                f"'column_names': it has {len(falling)} entries for {len(names)} columns."
            )
        placements = {"at_end": "at_end", "last": "at_end", "at_start": "at_start", "first": "at_start"}
        if null_placement not in placements:
            raise InputError(f"null_placement is 'at_end' or 'at_start', not {null_placement!r}.")
        if not len(self):
            return self
        columns = {name: self._frame.column(name).whole() for name in names}
        order = _order(columns, falling, empty_first=placements[null_placement] == "at_start")
        return self._with(self._frame.chosen(order), recipe=self._after(new_fingerprint, "select", rows=order))

    def train_test_split(
        self,
        test_size: float | int | None = None,
        train_size: float | int | None = None,
        shuffle: bool = True,
        stratify_by_column: str | None = None,
        seed: int | None = None,
        generator: np.random.Generator | None = None,
        train_new_fingerprint: str | None = None,
        test_new_fingerprint: str | None = None,
        **about_files: Any,
    ) -> "DatasetDict":
        """A DatasetDict of `train` and `test`; sizes are rows or fractions, a quarter is for testing by default.

        `stratify_by_column` names a ClassLabel column whose classes get equal shares in both. The same seed gives the
        same rows as the datasets package.
        """
        from madang.datasets.dictionary import DatasetDict

        _only_about_files(about_files)
        train, test = train_test.sizes(len(self), test_size, train_size)
        if not shuffle:
            if stratify_by_column is not None:
                raise InputError("Stratified train/test split is not implemented for `shuffle=False`")
            rows: tuple[Any, Any] = range(train), range(train, train + test)
        elif stratify_by_column is None:
            rows = train_test.shuffled(len(self), train, test, _random(seed, generator))
        else:
            labels = self._frame.column(stratify_by_column).whole().to_numpy()
            if not isinstance(self._features[stratify_by_column], ClassLabel):
                raise InputError(
                    f"Stratifying by column is only supported for ClassLabel column, column {stratify_by_column} is "
                    f"{self._features[stratify_by_column]!r}; `class_encode_column({stratify_by_column!r})` makes one"
                )
            rows = train_test.stratified(labels, train, test, _random(seed, generator))
        parts: Any = {
            "train": self.select(rows[0], train_new_fingerprint),
            "test": self.select(rows[1], test_new_fingerprint),
        }
        return DatasetDict(parts)

    def add_item(self, item: Mapping[str, Any], new_fingerprint: str | None = None) -> Self:
        """With one more row at the end; what it does not name is empty there."""
        from madang.datasets.combine import concatenate_datasets

        untyped = Value("null")
        known = {name: feature for name, feature in self._features.items() if name in item and feature != untyped}
        arrays = {name: to_arrow([value], name, known.get(name)) for name, value in item.items()}
        found = Features.from_arrow_schema(pa.schema([(name, array.type) for name, array in arrays.items()]))
        row = type(self)(pa.table(arrays), features=Features({**found, **known}))
        made: Self = concatenate_datasets([self, row])
        return made._with(made._frame, format=self._format, recipe=self._after(new_fingerprint, "add_item", item=item))

    def flatten_indices(
        self, keep_in_memory: bool = False, cache_file_name: str | Path | None = None, **options: Any
    ) -> Self:
        """The same rows laid down in the order they have, so that reading them in order needs no jumping.

        They are written to a file when they came from one, unless `keep_in_memory`. `writer_batch_size`, `features`,
        `disable_nullable`, `num_proc` and `new_fingerprint` are let be, without effect.
        """
        from madang.datasets.dataset.results import laid_down

        refuse_unknown("flatten_indices", options, _FLATTEN_WITHOUT_EFFECT, ("keep_in_memory", "cache_file_name"))
        if all(column.rows is None for column in self._frame.columns.values()) and cache_file_name is None:
            return self
        return laid_down(self, None if keep_in_memory else cache_file_name, in_memory=keep_in_memory)


def _order(
    columns: Mapping[str, pa.ChunkedArray], falling: Sequence[bool], *, empty_first: bool
) -> np.ndarray[Any, Any]:
    """The row numbers in the order of the values; rows of equal values stay as they were."""
    import pyarrow.compute as pc

    table, keys = {}, []
    for place, (values, down) in enumerate(zip(columns.values(), falling, strict=True)):
        if len(columns) == 1 and not values.null_count and (ranks := _ranks(values, falling=down)) is not None:
            found: np.ndarray[Any, Any] = np.argsort(ranks, kind="stable")
            return found
        # an extra key in front says which cells are empty; without it Arrow puts these last
        if values.null_count and empty_first:
            table[f"empty{place}"] = pc.cast(values.is_null(), pa.int8())
            keys.append((f"empty{place}", "descending"))
        table[f"value{place}"] = values
        keys.append((f"value{place}", "descending" if down else "ascending"))
    order: np.ndarray[Any, Any] = pc.sort_indices(pa.table(table), sort_keys=keys).to_numpy().astype(np.int64)
    return order


def _ranks(values: pa.ChunkedArray, *, falling: bool) -> np.ndarray[Any, Any] | None:
    """The place of each value among the distinct ones in their order, or None where few are alike.

    Many rows and few values, as classes and repeated texts are, sort several times faster by these small numbers.
    """
    import pyarrow.compute as pc

    if len(values) < 10 * LOOKED_AT or pa.types.is_nested(values.type) or isinstance(values.type, pa.BaseExtensionType):
        return None
    # Of n rows drawn from N values that are equally frequent, about n²/2N come twice.
    drawn = StoredColumn(values).take(np.random.default_rng(0).integers(0, len(values), LOOKED_AT))
    twice = LOOKED_AT - len(drawn.unique())
    if twice * len(values) / 2 < LOOKED_AT**2:
        return None
    coded = values.dictionary_encode().unify_dictionaries()
    distinct = coded.chunk(0).dictionary
    kind = np.int16 if len(distinct) < 2**15 else np.int32  # of 16 bits, numpy sorts in linear time
    ranks = np.empty(len(distinct), dtype=kind)
    order = pc.array_sort_indices(distinct, order="descending" if falling else "ascending")
    ranks[order.to_numpy()] = np.arange(len(distinct), dtype=kind)
    ranked: np.ndarray[Any, Any] = ranks[np.concatenate([chunk.indices.to_numpy() for chunk in coded.chunks])]
    return ranked


def _random(seed: Any, generator: np.random.Generator | None) -> np.random.Generator:
    """A generator for `seed`; without one, numpy's global state decides and moves on by one draw."""
    if generator is not None:
        if seed is not None:
            raise InputError("Both `seed` and `generator` were provided. Please specify just one of them.")
        if not isinstance(generator, np.random.Generator):
            raise InputError("The provided generator must be an instance of numpy.random.Generator")
        return generator
    if seed is None:
        state: Any = np.random.get_state(legacy=True)
        seed = int(state[1][state[2]] if state[2] < 624 else state[1][0])
        np.random.random()
    return np.random.default_rng(seed)


def _only_about_files(options: Mapping[str, Any]) -> None:
    refuse_unknown("rows", options, _ABOUT_FILES, ("seed", "new_fingerprint"))
