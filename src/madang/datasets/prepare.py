"""Data files into Arrow files: once, in the cache, a folder per split."""

import json
import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa

from madang.datasets.features import METADATA_KEY, ClassLabel, Features, arrow_type
from madang.datasets.features.embedding import foreign
from madang.datasets.memory_map import open_arrow
from madang.datasets.progress import is_progress_bar_enabled
from madang.datasets.readers import reader
from madang.datasets.readers.files import MEMORY, DataFile, StartOver
from madang.datasets.values import joined_type
from madang.datasets.writer import ArrowWriter, fitted
from madang.errors import DatasetGenerationError, InputError, MadangError
from madang.notices import notice

NOTES = "split.json"
_BATCH_BYTES = 4 << 20
_AHEAD = 2  # blocks that wait to be written
_NAMES_ITS_FILES = ("imagefolder", "audiofolder")  # here paths are our own
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """How files of one format are read into rows of these features (None: whatever is in them)."""

    format: str
    options: Mapping[str, Any]
    features: Any = None

    def tables(self, files: Iterable[DataFile], texts: frozenset[str] = frozenset()) -> Iterator[pa.Table]:
        """The rows of all files, one block after the other. Errors name the file.

        Raises StartOver when a column that was given out turns out to be text.
        """
        following, seen = _Following(files), _Seen()
        found = reader(self.format).read(following, **self._asked(texts))
        try:
            for table in found:
                if self.features is None:
                    seen.check(table.schema, following.name)
                    made = table
                else:
                    made = self._fitted(table, seen, following.name)
                yield self._harmless(made) if following.foreign else made
        except StartOver:
            raise
        except MadangError as error:
            name = following.name
            if name and name not in str(error):
                raise DatasetGenerationError(f"{name}: {error}") from error
            raise
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise DatasetGenerationError(f"{following.name} cannot be read: {error}") from error

    def __call__(self, shard: Sequence[DataFile]) -> Iterator[pa.Table]:
        """The rows of one shard while streaming: a column that turns out to be text is text from there on."""
        texts: frozenset[str] = frozenset()
        given = 0
        while True:
            seen = 0
            try:
                for table in self.tables(shard, texts):
                    seen += table.num_rows
                    if seen > given:
                        yield table if seen - table.num_rows >= given else table.slice(table.num_rows - seen + given)
                        given = seen
                return
            except StartOver as again:
                if again.texts <= texts:
                    raise DatasetGenerationError(f"columns {sorted(again.texts)} cannot be read as text.") from again
                texts |= again.texts

    def _asked(self, texts: frozenset[str]) -> dict[str, Any]:
        """The reader's options, with what the features say of how to read."""
        asked = dict(self.options)
        known = dict(self.features or {})
        kinds = {name: arrow_type(feature) for name, feature in known.items()}
        if self.format in ("csv", "json"):
            as_text = {name for name, kind in kinds.items() if pa.types.is_string(kind) or _is_large_text(kind)}
            asked["texts"] = texts | as_text
            asked["types"] = {name: kind for name, kind in kinds.items() if pa.types.is_floating(kind)}
        if self.format == "json":
            encoded = [name for name, feature in known.items() if type(feature).__name__ == "Json"]
            asked |= {"encoded": encoded} if encoded else {}
        if self.format in ("text", "xml") and len(known) == 1:
            asked["column"] = next(iter(known))
        if self.format == "webdataset" and known:
            asked["features"] = self.features
        return asked

    def _fitted(self, table: pa.Table, seen: "_Seen", file: str) -> pa.Table:
        """The table in the types and the order of the features."""
        schema = self.features.arrow_schema
        if table.schema.equals(schema):
            return table.replace_schema_metadata(schema.metadata)
        unknown = [name for name in table.column_names if name not in schema.names]
        if unknown and self.format != "csv":
            raise InputError(
                f"the columns {unknown} are not among the features, which name {schema.names}. All the data files must "
                "have the same columns; leave features= out, or name these as well."
            )
        if unknown and len(unknown) == table.num_columns:
            raise InputError(f"there are the columns {unknown}, but none of the features, which name {schema.names}.")
        for name in schema.names:
            if name not in table.column_names:
                seen.tell_missing(name, file)
        columns = {name: table[name] for name in table.column_names if name in schema.names}
        return fitted(columns, table.num_rows, self.features, schema)

    def _harmless(self, table: pa.Table) -> pa.Table:
        """A table of a file that is not the user's, in which no picture and no sound is a file of this machine."""
        if self.format in _NAMES_ITS_FILES:
            return table
        if self.features is not None:
            return foreign(table, self.features)
        noted = METADATA_KEY in (table.schema.metadata or {})
        return foreign(table, Features.from_arrow_schema(table.schema)) if noted else table


def _is_large_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_large_string(kind))


class _Following:
    """The same files, and which one is being read."""

    def __init__(self, files: Iterable[DataFile]) -> None:
        self._files = files
        self.name = ""
        self.foreign = False  # whether one of them was not named by the user, but came from a hub, a server, an archive

    def __iter__(self) -> Iterator[DataFile]:
        for file in self._files:
            self.name = file.name
            self.foreign |= isinstance(file, DataFile) and type(file) is not DataFile
            yield file


class _Seen:
    """What the files so far hold."""

    def __init__(self) -> None:
        self._schema = pa.schema([])
        self._first: dict[str, tuple[pa.DataType, str]] = {}
        self._told: set[str] = set()

    def check(self, schema: pa.Schema, file: str) -> None:
        """Refuse a file whose columns do not go together with those before. Types that widen are no matter."""
        if schema.equals(self._schema):
            return
        self._schema = schema
        for column in schema:
            known, first = self._first.setdefault(column.name, (column.type, file))
            try:
                joined = joined_type(known, column.type, column.name)
            except InputError as error:
                raise DatasetGenerationError(
                    f"{file}: column {column.name!r} is {column.type} there, but {known} in {first}. Make the data "
                    "agree, or pass features= to say what the columns hold."
                ) from error
            self._first[column.name] = (joined, first)

    def tell_missing(self, column: str, file: str) -> None:
        """Tell, once, of a column that the features name and the file lacks."""
        if column not in self._told:
            self._told.add(column)
            notice(f"column {column!r} is missing in {file}; it is empty (None) there.")


@dataclass
class Prepared:
    """The Arrow files of one split, and what is known of them."""

    paths: list[Path]
    num_rows: int
    num_bytes: int
    download_size: int = 0
    shard_lengths: list[int] = field(default_factory=list)


def opened(folder: Path) -> Prepared:
    """What `write` left in a folder."""
    try:
        notes = json.loads((folder / NOTES).read_text(encoding="utf-8"))
        paths = [folder / Path(str(name)).name for name in notes["files"]]
        for path, size in zip(paths, notes["sizes"], strict=True):
            if path.stat().st_size != size:  # the power failed before the system had written it
                raise ValueError(f"{path.name} has {path.stat().st_size} bytes instead of {size}")
        return Prepared(
            paths, int(notes["num_rows"]), int(notes["num_bytes"]), int(notes["download_size"]), notes["shard_lengths"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder} is not what a dataset leaves in the cache ({error}); remove it and load again."
        ) from error


def is_whole(folder: Path) -> bool:
    """Whether everything that `write` left in a folder is there."""
    try:
        opened(folder)
    except InputError:
        return False
    return True


def write(
    folder: Path, reading: Reading, files: Sequence[DataFile], split: str, *, shards: Sequence[Sequence[DataFile]]
) -> None:
    """The rows of the files as Arrow files in `folder`, one per shard, which are written side by side."""
    folder.mkdir(parents=True)
    with _memory_given_back():
        _write(folder, reading, files, split, shards)


# the allocator is that of the whole process: the first of several conversions changes it, the last changes it back
_counting = Lock()
_conversions = 0
_usual = MEMORY


@contextmanager
def _memory_given_back() -> Iterator[None]:
    """The system's allocator meanwhile: Arrow's own keeps what was freed, which doubles the peak of a conversion."""
    global _conversions, _usual
    with _counting:
        if not _conversions:
            _usual = pa.default_memory_pool()
            pa.set_memory_pool(MEMORY)
        _conversions += 1
    try:
        yield
    finally:
        with _counting:
            _conversions -= 1
            if not _conversions:
                pa.set_memory_pool(_usual)


def _write(
    folder: Path, reading: Reading, files: Sequence[DataFile], split: str, shards: Sequence[Sequence[DataFile]]
) -> None:
    count = len(shards)
    paths = [folder / f"data-{number:05d}-of-{count:05d}.arrow" for number in range(count)]
    if count == 1:
        written = [_write_one(paths[0], reading, shards[0], split)]
    else:
        with ThreadPoolExecutor(count, thread_name_prefix="madang-prepare") as pool:
            written = list(
                pool.map(lambda job: _write_one(job[0], reading, job[1], split), zip(paths, shards, strict=True))
            )
        _agree(paths, written, shards)
    notes = {
        "files": [path.name for path in paths],
        "sizes": [path.stat().st_size for path in paths],
        "num_rows": sum(one.num_rows for one in written),
        "num_bytes": sum(path.stat().st_size for path in paths),
        "download_size": sum(_size(file) for file in files),
        "shard_lengths": [one.num_rows for one in written],
    }
    (folder / NOTES).write_text(json.dumps(notes), encoding="utf-8")


def _write_one(path: Path, reading: Reading, files: Sequence[DataFile], split: str) -> ArrowWriter:
    texts: frozenset[str] = frozenset()
    while True:
        try:
            return _write_through(path, reading, files, split, texts)
        except StartOver as again:
            if again.texts <= texts:
                raise DatasetGenerationError(f"columns {sorted(again.texts)} cannot be read as text.") from again
            _log.info("columns %s hold text; reading again", sorted(again.texts))
            texts |= again.texts
        except (pa.ArrowInvalid, RecursionError) as error:  # lists in lists, deeper than Arrow's files can hold
            named = ", ".join(file.name for file in files[:3])
            raise DatasetGenerationError(f"{named} cannot be stored as Arrow: {error}.") from error


def _write_through(
    path: Path, reading: Reading, files: Sequence[DataFile], split: str, texts: frozenset[str]
) -> ArrowWriter:
    tables = reading.tables(files, texts)
    first = next(tables, None)
    features = reading.features
    if features is None and first is not None and METADATA_KEY in (first.schema.metadata or {}):
        features = Features.from_arrow_schema(first.schema)
    if features is None and (first is None or not first.num_rows):
        # without rows there is still to be known what they would hold
        seen = first
        while first is not None and not first.num_rows:
            first = next(tables, None)
        if first is None:
            features = Features() if seen is None else Features.from_arrow_schema(seen.schema)
    with _Writer(path, features) as writer, _bar(split) as bar, ThreadPoolExecutor(1, "madang-write") as aside:
        writing: deque[Future[None]] = deque()
        while first is not None:
            # the next block is read while this one is written
            writing.append(aside.submit(writer.write_table, first))
            bar.update(first.num_rows)
            if len(writing) > _AHEAD:
                writing.popleft().result()
            first = next(tables, None)
        for one in writing:
            one.result()
    return writer


class _Writer(ArrowWriter):
    """Writes small batches while there is little data, so that reading it takes little memory, and larger ones once
    there is much, so that finding a row does not have to look through many."""

    _written = 0

    def write(self, arrays: Mapping[str, pa.Array], count: int) -> None:
        """Add `count` rows, an array per column."""
        super().write(arrays, count)
        if self._pending_bytes >= max(_BATCH_BYTES, self._written // 16):
            self._written += self._pending_bytes
            self._flush()


class _NoBar:
    def __enter__(self) -> "_NoBar":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was shown."""

    def update(self, _: int) -> None:
        """Nothing is shown."""


def _bar(split: str) -> Any:
    if not is_progress_bar_enabled():
        return _NoBar()
    from tqdm import tqdm

    return tqdm(desc=f"Generating {split} split", unit=" examples", delay=1.0, leave=False)


def _agree(paths: Sequence[Path], written: Sequence[ArrowWriter], shards: Sequence[Sequence[DataFile]]) -> None:
    """Shards that were read apart in the same types; the narrower ones are written again."""
    from madang.datasets.readers.columns import widened

    schemas = [open_arrow(path).schema for path in paths]
    if all(schema.equals(schemas[0]) for schema in schemas):
        return
    types: dict[str, pa.DataType] = {}
    first: dict[str, str] = {}
    for schema, files in zip(schemas, shards, strict=True):
        for column in schema:
            known = types.get(column.name, pa.null())
            wider = widened(known, column.type)
            if wider is None:
                raise DatasetGenerationError(
                    f"{files[0].name}: column {column.name!r} is {column.type} there, but {known} in "
                    f"{first[column.name]}. Make the data agree, or pass features= to say what the columns hold."
                )
            types[column.name] = wider
            first.setdefault(column.name, files[0].name)
    features = Features.from_arrow_schema(pa.schema(types.items()))
    for one in written:
        features.update(
            {name: feature for name, feature in one.features.items() if arrow_type(feature).equals(types[name])}
        )
    for path, schema in zip(paths, schemas, strict=True):
        if not schema.equals(features.arrow_schema):
            _rewrite(path, features)


def _rewrite(path: Path, features: Features) -> None:
    narrow = path.with_suffix(".narrow")
    os.replace(path, narrow)
    with ArrowWriter(path, features) as writer:
        for batch in pa.ipc.open_stream(pa.memory_map(os.fspath(narrow))):
            writer.write_table(pa.Table.from_batches([batch]))
    narrow.unlink()


def _size(file: DataFile) -> int:
    path = file.path()
    return os.path.getsize(path) if path is not None else 0


def dealt(files: Sequence[DataFile], parts: int) -> list[list[DataFile]]:
    """The files in as many runs of about equal length; fewer when there are not so many files."""
    parts = max(1, min(parts, len(files)))
    bounds = [len(files) * number // parts for number in range(parts + 1)]
    return [list(files[start:stop]) for start, stop in pairwise(bounds)]


def labelled(options: dict[str, Any], features: Any) -> dict[str, Any]:
    """The classes of a folder in the order in which the features name them."""
    label = (features or {}).get("label")
    if options.get("labels") is None or not isinstance(label, ClassLabel):
        return options
    names = [str(name) for name in label.names or ()]
    missing = [name for name in options["labels"] if name not in names]
    if missing:
        raise InputError(f"the folders {missing} are no classes of the feature 'label', which has {names}.")
    return {**options, "labels": names}
