"""How large a dataset is, and into how many pieces it is cut when it is written."""

import os
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from madang.datasets.features import Features, embed, embeds
from madang.datasets.sizes import read_size
from madang.errors import InputError

DEFAULT_SHARD_SIZE = "500MB"
SAMPLED_ROWS = 1000  # rows whose outside files are looked at when a dataset's size is estimated


def is_stream(dataset: Any) -> bool:
    """Whether it gives its rows without knowing how many there are, as an IterableDataset does."""
    return not hasattr(dataset, "num_rows")


def bytes_of(dataset: Any) -> int:
    """About how many bytes the rows of a dataset take, with the files that its images and sounds lie in."""
    total = 0.0
    for column in dataset._frame.columns.values():
        stored = len(column.values)
        total += column.values.nbytes * (1 if column.rows is None else len(column.rows) / stored if stored else 0)
    rows = dataset.num_rows
    if rows and any(embeds(feature) for feature in dataset.features.values()):
        sample = next(dataset.arrow_batches(SAMPLED_ROWS))
        outside = sum(_outside_bytes(column, dataset.features[name]) for name, column in _columns(sample))
        total += outside * rows / sample.num_rows
    return int(total)


def shard_count(
    dataset: Any, max_shard_size: int | str | None, num_shards: int | None, num_proc: int | None = None
) -> int:
    """How many files a dataset is written to: `num_shards`, or as many as `max_shard_size` asks for."""
    if max_shard_size is not None and num_shards is not None:
        raise InputError("please specify either max_shard_size or num_shards, but not both.")
    if num_shards is not None:
        if num_shards < 1:
            raise InputError(f"num_shards={num_shards} must be 1 or more.")
        return num_shards
    limit = read_size(max_shard_size if max_shard_size is not None else DEFAULT_SHARD_SIZE)
    if limit < 1:
        raise InputError(f"max_shard_size={max_shard_size!r} must be one byte or more.")
    wanted = max(bytes_of(dataset) // limit + 1, num_proc or 1)
    return max(1, min(wanted, len(dataset)))


def spans(rows: int, pieces: int) -> Iterator[tuple[int, int]]:
    """Start and stop of `pieces` runs of rows, the first ones a row longer when they do not divide evenly."""
    size, longer = divmod(rows, pieces)
    for number in range(pieces):
        start = number * size + min(number, longer)
        yield start, start + size + (number < longer)


def embedded(table: pa.Table, features: Features) -> pa.Table:
    """The table with the content of the files that its images and sounds lie in."""
    for place, (name, column) in enumerate(_columns(table)):
        if embeds(features[name]):
            chunks = [embed(chunk, features[name]) for chunk in column.chunks]
            table = table.set_column(place, table.schema.field(place), pa.chunked_array(chunks, column.type))
    return table


def _columns(table: pa.Table) -> Iterator[tuple[str, pa.ChunkedArray]]:
    yield from zip(table.column_names, table.columns, strict=True)


def _outside_bytes(column: pa.ChunkedArray, feature: Any) -> int:
    """Bytes of the files that the values of a column only name."""
    if not embeds(feature):
        return 0
    return sum(_named_bytes(value) for value in column.to_pylist())


def _named_bytes(value: Any) -> int:
    if isinstance(value, dict):
        if set(value) == {"bytes", "path"}:
            named = value["bytes"] is None and value["path"] is not None
            return os.path.getsize(value["path"]) if named and os.path.isfile(value["path"]) else 0
        return sum(_named_bytes(inner) for inner in value.values())
    return sum(_named_bytes(inner) for inner in value) if isinstance(value, list) else 0
