"""Where computed columns end up: in memory, or in a file that the next run finds again."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa

from madang.datasets import cache
from madang.datasets.features import Features, arrow_type
from madang.datasets.features.kinds import is_text
from madang.datasets.frame import Frame, StoredColumn
from madang.datasets.mapping import Mapped, stays
from madang.datasets.memory_map import open_arrow, open_frame
from madang.datasets.recipe import Recipe
from madang.datasets.values import join, joined_type
from madang.datasets.writer import ArrowWriter, described
from madang.errors import InputError

if TYPE_CHECKING:
    from madang.datasets.dataset.reading import Reading

# (start, stop, what became of these rows)
Blocks = Iterable[tuple[int, int, Mapped | None]]
TABLE, NOTE = "data.arrow", "result.json"
_D = TypeVar("_D", bound="Reading")


@dataclass
class Result:
    """What a function made of all blocks: columns new or replaced, those it deleted, how many rows there are now.

    `columns` is None when it returned nothing at all, which leaves the data as they are.
    """

    columns: dict[str, StoredColumn] | None
    deleted: set[str]
    count: int
    features: dict[str, Any] = field(default_factory=dict)


class Collecting:
    """Takes what became of one block after the other, and fills what a block did not return.

    A column that only some blocks returned keeps its values of before in the others, or is empty there when it is new.
    Types are those that columns had, as far as all new values fit these.
    """

    def __init__(self, frame: Frame, features: Mapping[str, Any], drop: set[str], *, keep_types: bool) -> None:
        self.frame, self.drop = frame, drop
        self.old = {} if not keep_types else {n: arrow_type(features[n]) for n in frame.columns}
        self.features = {name: feature for name, feature in features.items() if name in self.old}
        self.names: list[str] = []
        self.deleted: set[str] = set()
        self.count = 0
        self.nothing = True
        self._kinds: dict[str, pa.DataType] = {}
        # rows that went by before a column of the input was first returned
        self.late: dict[str, int] = {}

    def blocks(self, blocks: Blocks) -> Iterator[tuple[dict[str, pa.Array], int]]:
        """The columns of each block, complete with what is known of them so far."""
        for start, stop, mapped in blocks:
            count = stop - start if mapped is None else mapped.count
            if mapped is not None:
                self.nothing = False
                self.deleted |= mapped.deleted
                self.features.update(mapped.features)
                for name in mapped.columns:
                    if name not in self.names:
                        self.names.append(name)
                        if self.count and name in self.frame.columns and name not in self.drop:
                            self.late[name] = self.count
            columns = {name: self._column(name, start, stop, mapped, count) for name in self.names}
            for name, array in columns.items():
                if array.type != self._kinds.get(name):
                    self._settle(name, array.type, start, stop)
            yield columns, count
            self.count += count

    def _settle(self, name: str, kind: pa.DataType, start: int, stop: int) -> None:
        """Take in that rows hold another type than those before; an error where the two do not go together."""
        known = self._kinds.setdefault(name, kind)
        try:
            self._kinds[name] = joined_type(known, kind, name)
        except InputError as error:
            raise InputError(
                f"column {name!r} came back as {kind} for rows {start} to {stop - 1}, but as {known} for the rows "
                "before. Return one type, or pass features= to say what the column holds."
            ) from error

    def _column(self, name: str, start: int, stop: int, mapped: Mapped | None, count: int) -> pa.Array:
        if mapped is not None and name in mapped.columns:
            array, old = mapped.columns[name], self.old.get(name)
            return array if old is None or name in mapped.features else stays(array, old)
        if name in self.frame.columns and name not in self.drop:
            return self.frame.columns[name].slice(start, stop)
        return pa.nulls(count)

    def describe(self, schema: pa.Schema) -> Features:
        """The features of columns of these types."""
        return described(schema, self.features)

    def in_memory(self, blocks: Blocks) -> Result:
        """Everything as columns in memory."""
        parts: list[tuple[dict[str, pa.Array], int]] = list(self.blocks(blocks))
        columns = {
            name: self._settled(name, join([c[name] if name in c else pa.nulls(n) for c, n in parts], name))
            for name in self.names
        }
        described = self.describe(pa.schema([(name, values.type) for name, values in columns.items()]))
        stored = {name: StoredColumn(values) for name, values in columns.items()}
        return Result(None if self.nothing else stored, self.deleted - set(self.names), self.count, described)

    def in_file(self, blocks: Blocks, path: Path) -> None:
        """Everything in an Arrow file."""
        with ArrowWriter(path, describe=self.describe) as writer:
            for columns, count in self.blocks(blocks):
                writer.write(columns, count)
        texts = [
            n for n in self.names if n in self.old and _holds_text(writer.features, n) and not is_text(self.old[n])
        ]
        if self.late or texts:
            self._again(path)

    def _again(self, path: Path) -> None:
        """Write the file anew, where only the whole column tells what belongs in it."""
        whole = open_arrow(path)
        part = path.with_name(f"{path.name}.again")
        columns = {name: self._settled(name, whole[name]) for name in whole.column_names}
        with ArrowWriter(part, describe=self.describe) as writer:
            writer.write_table(pa.table(columns))
        part.replace(path)

    def _settled(self, name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
        if name in self.late:
            before = self.frame.columns[name].cut(0, self.late[name]).whole()
            values = join([*before.chunks, *values.slice(self.late[name]).chunks], name)
        old = self.old.get(name)
        return values if old is None or values.type.equals(old) else stays(values, old, name=name)

    def note(self) -> dict[str, Any]:
        """What a file of columns does not tell."""
        deleted = sorted(self.deleted - set(self.names))
        return {"nothing": self.nothing, "deleted": deleted, "count": self.count}


def _is_whole(folder: Path) -> bool:
    """Whether a kept result has the size it was noted with: a power cut may have left less."""
    try:
        size: int = json.loads((folder / NOTE).read_text(encoding="utf-8"))["size"]
        return (folder / TABLE).stat().st_size == size
    except (OSError, ValueError, KeyError):
        return False


def computed(
    collecting: Collecting, blocks: Callable[[], Blocks], folder: Path | None, *, reuse: bool = True
) -> Result:
    """The result of going through `blocks`; kept in `folder`, and taken from there when it was kept before."""
    if folder is None:
        return collecting.in_memory(blocks())

    def make(part: Path) -> None:
        part.mkdir()
        collecting.in_file(blocks(), part / TABLE)
        note = {**collecting.note(), "size": (part / TABLE).stat().st_size}
        (part / NOTE).write_text(json.dumps(note), encoding="utf-8")

    if not reuse and folder.exists():
        cache.forget(folder)
    cache.once(folder, make, is_whole=_is_whole)
    note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    if note["nothing"]:
        return Result(None, set(), note["count"])
    frame, schema = open_frame([folder / TABLE])
    return Result(frame.columns, set(note["deleted"]), note["count"], Features.from_arrow_schema(schema))


def chosen(blocks: Iterable[tuple[int, np.ndarray[Any, Any]]]) -> np.ndarray[Any, Any]:
    """Row numbers from (start, yes or no for each row) of one block after the other."""
    places = [np.flatnonzero(keep) + start for start, keep in blocks]
    return np.concatenate(places) if places else np.empty(0, dtype=np.int64)


def chosen_once(
    blocks: Callable[[], Iterable[tuple[int, np.ndarray[Any, Any]]]], path: Path | None, *, reuse: bool = True
) -> np.ndarray[Any, Any]:
    """The same, kept in the file `path`."""
    if path is None:
        return chosen(blocks())

    def make(part: Path) -> None:
        with ArrowWriter(part) as writer:
            writer.write({"indices": (rows := pa.array(chosen(blocks()), pa.uint64()))}, len(rows))

    if not reuse and path.exists():
        cache.forget(path)
    rows = open_frame([cache.once(path, make)])[0].column("indices").whole()
    found: np.ndarray[Any, Any] = rows.to_numpy().astype(np.int64)
    return found


def laid_down(dataset: _D, file: str | os.PathLike[str] | None, *, in_memory: bool, anew: bool = False) -> _D:
    """All rows in the order they have, as columns without row numbers; in `file` or in the cache when not in memory."""
    recipe = Recipe(dataset._recipe, "flatten_indices")
    folder = dataset._cache_folder
    if in_memory or (file is None and folder is None):
        columns = {name: StoredColumn(column.whole()) for name, column in dataset._frame.columns.items()}
        return dataset._with(Frame(columns, dataset.num_rows), recipe=recipe)

    def make(part: Path) -> None:
        with ArrowWriter(part, dataset.features) as writer:
            for table in dataset.arrow_batches():
                writer.write_table(table)

    assert folder is not None or file is not None
    path = Path(file) if file is not None else folder / f"cache-{recipe.key}.arrow"  # type: ignore[operator]
    if anew and path.exists():
        cache.forget(path)
    frame, _ = open_frame([cache.once(path, make)])
    return dataset._with(frame, recipe=recipe)


def _holds_text(features: Features, name: str) -> bool:
    return name in features and is_text(arrow_type(features[name]))
