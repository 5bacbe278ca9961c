"""Tar archives in the WebDataset layout: the files of one example follow each other and share a name up to the first
dot; what comes after it names the column."""

import json
import re
import tarfile
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from madang.datasets.readers.files import DataFile, as_file, blocks_as_stored, cut_short, local, unpacked
from madang.datasets.readers.folder import AUDIO_ENDINGS, IMAGE_ENDINGS
from madang.errors import DatasetGenerationError

_NAME = re.compile(r"((?:.*/)?[^./][^.]*)\.([^/]+)")
_ROWS, _BYTES = 100, 4 << 20  # what is turned into a table at a time
_LOOKED_AT = 5  # examples that say which columns there are
_PACKED = {"gz", "bz2", "zst", "lz4", "xz"}


def read(
    files: Iterable[Any],
    *,
    columns: Iterable[str] | None = None,
    features: Any = None,
    texts: Iterable[str] = (),
    types: dict[str, pa.DataType] | None = None,
) -> Iterator[pa.Table]:
    """The examples of all archives. Pictures and sounds stay encoded; json, txt, cls and npy are decoded.

    Members are only read, never unpacked: their names become column names and keys, not paths. `__key__` is the shared
    name and `__url__` the archive.
    """
    known: Any = features
    for file in local(files):
        waiting: list[dict[str, Any]] = []
        size = 0
        for example in _examples(file):
            waiting.append(example)
            size += sum(len(value) for value in example.values() if isinstance(value, bytes))
            if len(waiting) >= _ROWS or (size > _BYTES and len(waiting) >= _LOOKED_AT):
                known = known or _features(file, waiting)
                yield _table(waiting, known)
                waiting, size = [], 0
        if waiting:
            known = known or _features(file, waiting)
            yield _table(waiting, known)


def _examples(file: DataFile) -> Iterator[dict[str, Any]]:
    example: dict[str, Any] = {}
    key = None
    for name, content in _members(file):
        match = _NAME.fullmatch(name)
        if match is None:
            continue
        if match[1] != key:
            if example:
                yield {**example, "__key__": key, "__url__": file.name}
            key, example = match[1], {}
        column = match[2].lower()
        if column in example:
            raise DatasetGenerationError(f"{file.name} has {name!r} twice among the files of one example.")
        example[column] = _decoded(file, name, column, content)
    if example:
        yield {**example, "__key__": key, "__url__": file.name}


def _members(file: DataFile) -> Iterator[tuple[str, bytes]]:
    """Name and content of the ordinary files in the archive, in its order."""
    try:
        with file.open() as stored, tarfile.open(fileobj=unpacked(stored), mode="r|") as packed:
            for entry in packed:
                found = packed.extractfile(entry) if entry.isreg() else None
                if found is not None and not entry.name.rsplit("/", 1)[-1].startswith("."):
                    content = found.read()
                    if len(content) < entry.size:
                        raise cut_short(file, "unexpected end of data")
                    yield entry.name.removeprefix("./"), content
    except (tarfile.TarError, OSError, EOFError, pa.ArrowInvalid) as error:
        if isinstance(error, DatasetGenerationError):
            raise
        raise cut_short(file, error) from error


def _decoded(file: DataFile, name: str, column: str, content: bytes) -> Any:
    kinds = column.split(".")
    if kinds[-1] in _PACKED:
        content, kinds = b"".join(blocks_as_stored(unpacked(as_file([content])))), kinds[:-1] or [""]
    kind = kinds[-1]
    try:
        if kind in ("json", "jsn"):
            return json.loads(content)
        if kind in ("txt", "text", "transcript"):
            return content.decode()
        if kind in ("cls", "cls2", "index", "inx", "id"):
            return int(content)
        if kind in ("npy", "npz"):
            return _arrays(content)
    except (ValueError, OSError) as error:
        raise DatasetGenerationError(f"{name!r} in {file.name} is not what its ending says: {error}.") from error
    return content


def _arrays(content: bytes) -> Any:
    import io

    import numpy as np

    found = np.load(io.BytesIO(content), allow_pickle=False)  # a pickle inside could run code
    if isinstance(found, np.ndarray):
        return found.tolist()
    return {name: found[name].tolist() for name in found.files}


def _features(file: DataFile, examples: list[dict[str, Any]]) -> Any:
    """What the columns hold, from the first examples."""
    from madang.datasets.features import Audio, Features, Image

    first = examples[:_LOOKED_AT]
    if any(example.keys() != first[0].keys() for example in first):
        shown = sorted({tuple(example) for example in first})[:2]
        raise DatasetGenerationError(
            f"{file.name} is no WebDataset: the files in it don't share the same prefix or the same types. The first "
            f"examples have {' and '.join(str(list(names)) for names in shown)}."
        )
    found = Features.from_arrow_schema(pa.Table.from_pylist(examples).schema)
    for name in found:
        ending = f".{name.rsplit('.', 1)[-1]}"
        if ending in IMAGE_ENDINGS:
            found[name] = Image()
        elif ending in AUDIO_ENDINGS:
            found[name] = Audio()
    return found


def _table(examples: list[dict[str, Any]], features: Any) -> pa.Table:
    schema = features.arrow_schema
    media = {field.name for field in schema if _is_media(field.type)}
    made = []
    for field in schema:
        values = [example.get(field.name) for example in examples]
        if field.name in media:
            values = [
                {"bytes": value, "path": f"{example['__key__']}.{field.name}"} if isinstance(value, bytes) else value
                for value, example in zip(values, examples, strict=True)
            ]
        try:
            made.append(pa.array(values, field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            where = f"{examples[0]['__url__']}, from {examples[0]['__key__']!r} on"
            raise DatasetGenerationError(f"{where}: column {field.name!r} is no {field.type}: {error}.") from error
    return pa.table(made, schema=schema)


def _is_media(kind: pa.DataType) -> bool:
    return bool(pa.types.is_struct(kind) and {field.name for field in kind} == {"bytes", "path"})
