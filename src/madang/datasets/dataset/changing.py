"""Applying a function to every row or batch: `map`, `filter`, `batch`."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from madang.datasets import cache, mapping
from madang.datasets.dataset.reading import Names
from madang.datasets.dataset.results import Blocks, Collecting, Result, chosen_once, computed, laid_down
from madang.datasets.dataset.rows import Rows
from madang.datasets.features import Features, List
from madang.datasets.fingerprint import UnhashableError
from madang.datasets.frame import ROWS_AT_ONCE, Frame, StoredColumn
from madang.datasets.predicates import Comparison, comparison
from madang.datasets.recipe import Recipe
from madang.datasets.work import Work, answers
from madang.errors import InputError, WrongTypeError, unknown_name
from madang.notices import notice


class ColumnLengthError(InputError, pa.ArrowInvalid):  # type: ignore[misc]
    """Columns of one dataset would have different numbers of rows."""


class Changing(Rows):
    """What runs the user's function."""

    def map(
        self,
        function: Callable[..., Any] | None = None,
        with_indices: bool = False,
        with_rank: bool = False,
        input_columns: Names | None = None,
        batched: bool = False,
        batch_size: int | None = ROWS_AT_ONCE,
        drop_last_batch: bool = False,
        remove_columns: Names | None = None,
        keep_in_memory: bool = False,
        load_from_cache_file: bool | None = None,
        cache_file_name: str | os.PathLike[str] | None = None,
        writer_batch_size: int | None = None,
        features: Features | None = None,
        disable_nullable: bool = False,
        fn_kwargs: Mapping[str, Any] | None = None,
        num_proc: int | None = None,
        suffix_template: str | None = None,
        new_fingerprint: str | None = None,
        desc: str | None = None,
        try_original_type: bool | None = True,
        on_mixed_types: str | None = None,
        engine: str | None = None,
    ) -> Self:
        """Each row updated by the dict that `function` returns for it, or with `batched=True` each batch of columns.

        A row gets `{**row, **returned}`; `remove_columns` leave before that, so a name that is returned survives.
        A function that returns None changes nothing. A batched function may return another number of rows, if no
        column of the old length remains. `with_indices` adds the row number(s) as an argument, `with_rank` the number
        of the process, `input_columns` gives these columns as arguments instead of the dict, `fn_kwargs` are passed on
        by name. An `async` function works on many rows at the same time.

        A dataset that lies in files keeps the new columns in a file of its cache, where the next run with the same
        function finds them (`load_from_cache_file=False` computes anew); columns that did not change are shared.
        `num_proc` lets several processes work, once that pays; `engine="ray"` the machines of a Ray cluster.
        `features` says how the result is stored; new values without a common type become Json, and with
        `on_mixed_types="use_json"` also dicts of different keys. What the datasets package lets one say about the
        files it writes (`writer_batch_size`, `suffix_template`, `disable_nullable`) changes nothing here.
        """
        if function is None:
            function = _unchanged
        if not callable(function):
            raise WrongTypeError(f"map needs a function, not {type(function).__name__}.")
        if cache_file_name is not None and _reuse(load_from_cache_file) and os.path.exists(cache_file_name):
            return self._like(
                type(self)._from_arrow_files([cache_file_name], split=self.split, fingerprint=new_fingerprint)  # type: ignore[attr-defined]
            )
        drop = set(self._known(remove_columns) or ())
        columns = self._known(input_columns)
        work = Work(
            mapping.Call(function, batched, with_indices, columns, dict(fn_kwargs or {}), with_rank),
            size=_size(batch_size, len(self)) if batched else ROWS_AT_ONCE,
            label=desc or "Map",
            drop=drop,
            features=features,
            on_mixed_types=on_mixed_types,
            drop_last=batched and drop_last_batch,
            processes=_processes(num_proc, len(self)),
            engine=_engine(engine),
        )
        if not len(self):
            return self._with(self._frame.only(name for name in self.column_names if name not in drop))
        arguments = dict(
            batched=batched, size=work.size if batched else None, indices=with_indices, rank=with_rank, columns=columns,
            drop=sorted(drop), keywords=work.call.keywords, features=features, drop_last=work.drop_last,
            original=try_original_type, look=self._look, mixed=on_mixed_types,
        )  # fmt: skip
        recipe, place = self._kept("map", function, arguments, new_fingerprint, keep_in_memory)
        rows = self._cut(0, len(self) // work.size * work.size) if work.drop_last else self
        collecting = Collecting(
            rows._frame, self._features, drop, keep_types=features is None and try_original_type is not False
        )

        def blocks() -> Blocks:
            return answers(work, rows._frame, self._view)

        result = computed(collecting, blocks, place, reuse=_reuse(load_from_cache_file))
        if result.columns is None:
            return self
        made = rows._mapped(result, drop, features, recipe)
        return made if cache_file_name is None else laid_down(made, cache_file_name, in_memory=False, anew=True)

    def _like(self, made: Self) -> Self:
        """Rows from a file, coming out as those of this dataset do."""
        return made._with(made._frame, format=self._format)

    def _mapped(self, result: Result, drop: set[str], features: Features | None, recipe: Recipe) -> Self:
        """Untouched columns shared, the others replaced or added."""
        new, gone = result.columns or {}, drop | result.deleted
        stay = [name for name in self.column_names if name not in gone and name not in new]
        count = result.count if new else len(self) if stay else 0
        if count != len(self) and stay:
            raise ColumnLengthError(
                f"expected length {len(self)} but got length {count}: the function returned {count} rows for "
                f"{len(self)}, but the columns {stay} still have {len(self)}. "
                f"Pass remove_columns={stay}, or return these columns as well."
            )
        kept = [name for name in self.column_names if name not in gone]
        frame = Frame({name: self._frame.columns[name] for name in kept if name not in new}, count)
        order = [*kept, *(name for name in new if name not in kept)]
        frame = Frame({name: new[name] if name in new else frame.columns[name] for name in order}, count)
        shown = self._format
        if shown.columns is not None:
            shown = shown.with_columns((*shown.columns, *(name for name in new if name not in self._features)))
        made = self._with(frame, {**self._features, **result.features}, shown, recipe)
        if features is None:
            return made
        return made.cast(Features({name: features[name] for name in features}))

    def filter(
        self,
        function: Callable[..., Any] | None = None,
        with_indices: bool = False,
        with_rank: bool = False,
        input_columns: Names | None = None,
        batched: bool = False,
        batch_size: int | None = ROWS_AT_ONCE,
        keep_in_memory: bool = False,
        load_from_cache_file: bool | None = None,
        cache_file_name: str | os.PathLike[str] | None = None,
        writer_batch_size: int | None = None,
        fn_kwargs: Mapping[str, Any] | None = None,
        num_proc: int | None = None,
        suffix_template: str | None = None,
        new_fingerprint: str | None = None,
        desc: str | None = None,
    ) -> Self:
        """The rows for which `function` returns something true; arguments as for `map`.

        `function` may also be an expression of pyarrow.compute, `pc.field("label") == 1`, which no row has to become a
        Python object for.
        """
        if function is None:
            return self
        if isinstance(function, _expression_type()):
            return self._matching(function)
        columns = self._known(input_columns)
        if not (batched or with_indices or with_rank or fn_kwargs or new_fingerprint or cache_file_name):
            simple = comparison(function, columns)
            if simple is not None and (made := self._compared(simple)) is not None:
                return made
        work = Work(
            mapping.Call(function, batched, with_indices, columns, dict(fn_kwargs or {}), with_rank),
            size=_size(batch_size, len(self)) if batched else ROWS_AT_ONCE,
            label=desc or "Filter",
            processes=_processes(num_proc, len(self)),
        )
        arguments = dict(
            batched=batched, size=work.size if batched else None, indices=with_indices, rank=with_rank, columns=columns,
            keywords=work.call.keywords, look=self._look,
        )  # fmt: skip
        recipe, place = self._kept("filter", function, arguments, new_fingerprint, keep_in_memory)
        frame = self._frame if columns is None else self._frame.only(dict.fromkeys(columns))

        def blocks() -> Iterator[tuple[int, np.ndarray[Any, Any]]]:
            return ((start, keep) for start, _, keep in answers(work, frame, self._view, kind="filter"))

        path = place and place.with_name(f"{place.name}.arrow") if cache_file_name is None else Path(cache_file_name)
        rows = chosen_once(blocks, path, reuse=_reuse(load_from_cache_file))
        return self._with(self._frame.chosen(rows), recipe=recipe)

    def _compared(self, simple: Comparison) -> Self | None:
        """The rows that a comparison holds for; None where only the function itself can tell."""
        name = simple.column
        if self._format.kind is not None or name not in self._shown.columns or name in self._view.decoders:
            return None
        answers = simple.on(self._frame.column(name).whole())
        if answers is None:
            return None
        rows = np.flatnonzero(answers.to_numpy())
        return self._with(self._frame.chosen(rows), recipe=Recipe(self._recipe, "compared", by=simple))

    def _matching(self, expression: Any) -> Self:
        """The rows that an Arrow expression is true for."""
        import pyarrow.dataset as arrow_dataset

        numbers = pa.array(np.arange(len(self)))
        table = self._frame.table().append_column("__row__", numbers)
        rows = arrow_dataset.dataset(table).to_table(columns=["__row__"], filter=expression)["__row__"].to_numpy()
        return self._with(self._frame.chosen(rows), recipe=Recipe(self._recipe, "matching", expression=str(expression)))

    def batch(
        self,
        batch_size: int | None = None,
        by_column: Names | None = None,
        drop_last_batch: bool = False,
        num_proc: int | None = None,
        new_fingerprint: str | None = None,
    ) -> Self:
        """Every `batch_size` rows as one row, whose columns are lists; or all neighbours that are alike in `by_column`,
        however many they are."""
        if batch_size is None and by_column is None:
            raise InputError("give either batch_size=, a number of rows, or by_column=, a column to compare.")
        if batch_size is not None and batch_size < 1:
            raise InputError(f"batch_size is the number of rows to put into one, at least 1, not {batch_size!r}.")
        stop = len(self)
        if by_column is not None:
            ends = _ends_of_runs([self._frame.column(name).whole() for name in self._known(by_column)])
        else:
            assert batch_size is not None
            stop = stop // batch_size * batch_size if drop_last_batch else stop
            ends = [*range(batch_size, stop, batch_size), stop] if stop else []
        offsets = pa.array([0, *ends], pa.int32())
        columns = {}
        for name, column in self._frame.columns.items():
            flat = column.cut(0, stop).whole().combine_chunks()
            flat = pa.concat_arrays(flat.chunks) if isinstance(flat, pa.ChunkedArray) else flat
            columns[name] = StoredColumn(pa.chunked_array([pa.ListArray.from_arrays(offsets, flat)]))
        features = {name: List(feature) for name, feature in self._features.items()}
        recipe = self._after(new_fingerprint, "batch", size=batch_size, by=by_column, drop=drop_last_batch)
        return self._with(Frame(columns, len(ends)), features, recipe=recipe)

    # ---- the cache of this dataset

    @property
    def _look(self) -> tuple[Any, ...]:
        """What of the format changes the values that a function sees."""
        shown = self._format
        return shown.kind, shown.columns, shown.others, tuple(sorted(shown.options.items(), key=str))

    def _kept(
        self, step: str, function: Any, arguments: dict[str, Any], new_fingerprint: str | None, keep_in_memory: bool
    ) -> tuple[Recipe, Path | None]:
        """The recipe of a result, and where it is kept: nowhere when the rows are in memory."""
        if new_fingerprint is not None and not re.fullmatch(r"[\w.-]{1,64}", new_fingerprint):
            raise InputError(
                f"new_fingerprint={new_fingerprint!r} names a file: up to 64 letters, digits, '_', '.' and '-'."
            )
        folder = self._cache_folder
        if keep_in_memory or folder is None:
            return Recipe.beginning(new_fingerprint), None
        if not cache.is_caching_enabled():
            recipe = Recipe.beginning(new_fingerprint)
            return recipe, cache.temporary_folder() / f"cache-{recipe.key}"
        try:
            recipe = Recipe(self._recipe, step, function=function, **arguments)
            recipe = Recipe.beginning(new_fingerprint or recipe.key)
        except UnhashableError as error:
            notice(f"{step}: the result is computed, but not kept for the next run: {error}")
            recipe = Recipe.beginning(new_fingerprint)
            return recipe, cache.temporary_folder() / f"cache-{recipe.key}"
        return recipe, folder / f"cache-{recipe.key}"

    def cleanup_cache_files(self) -> int:
        """Remove what earlier steps on these rows left in the cache and what this dataset does not use; how many."""
        folder = self._cache_folder
        return 0 if folder is None else cache.clean(folder, keep=[file["filename"] for file in self.cache_files])


def _ends_of_runs(columns: Sequence[pa.ChunkedArray]) -> list[int]:
    """Where the values of any column stop being the same as those before."""
    count = len(columns[0])
    if not count:
        return []
    changes = np.zeros(count - 1, dtype=bool)
    for values in columns:
        codes = values.dictionary_encode().unify_dictionaries()
        numbers = np.concatenate([chunk.indices.fill_null(-1).to_numpy() for chunk in codes.chunks])
        changes |= np.diff(numbers) != 0
    return [*(np.flatnonzero(changes) + 1).tolist(), count]


def _unchanged(row: Any) -> Any:
    return row


def _reuse(load_from_cache_file: bool | None) -> bool:
    return cache.is_caching_enabled() if load_from_cache_file is None else load_from_cache_file


def _size(batch_size: int | None, rows: int) -> int:
    return max(1, rows) if batch_size is None or batch_size <= 0 else batch_size


def _processes(num_proc: int | None, rows: int) -> int:
    if num_proc is None or num_proc == 0:
        return 1
    if num_proc < 0:
        raise InputError(f"num_proc must be an integer > 0, not {num_proc}.")
    return max(1, min(num_proc, rows))


def _engine(name: str | None) -> str | None:
    if name not in (None, "ray"):
        raise unknown_name("engine", str(name), ["ray"])
    return name


def _expression_type() -> type:
    import pyarrow.compute as pc

    expression: type = pc.Expression
    return expression
