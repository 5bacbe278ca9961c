"""Parquet files; what the datasets package notes about the columns in their schema is kept."""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from madang.datasets.options import refuse_unknown
from madang.datasets.readers.files import DataFile, Member, cut_short, local, unpacked
from madang.datasets.readers.tables import chosen, known_columns
from madang.errors import DatasetGenerationError, InputError

_ROWS, _BYTES = 1 << 13, 2 << 20  # what is read at a time, at most: small blocks are quicker and take less memory

_WITHOUT_EFFECT = ("fragment_scan_options", "on_bad_files")


def read(
    files: Iterable[Any],
    *,
    columns: Iterable[str] | None = None,
    filters: Any = None,
    batch_size: int | None = None,
    **others: Any,
) -> Iterator[pa.Table]:
    """The rows of all files, some megabytes at a time.

    `columns` reads only those. `filters` keeps only some rows: an Arrow expression, or the lists of
    (column, operator, value) that pyarrow takes; row groups whose statistics rule them out are not read.
    `fragment_scan_options` and `on_bad_files` are let be, without effect: a file that cannot be read is an error.
    """
    refuse_unknown("load_dataset('parquet')", others, _WITHOUT_EFFECT, ("columns", "filters", "batch_size"))
    names = list(columns) if columns is not None else None
    for file in local(files):
        with file.open() as stored:
            yield from _read_one(file, stored, names, filters, batch_size)


def _read_one(
    file: DataFile, stored: pa.NativeFile, columns: list[str] | None, filters: Any, batch_size: int | None
) -> Iterator[pa.Table]:
    from pyarrow import parquet

    stream = unpacked(stored)
    if stream is not stored or isinstance(file, Member):
        # what can only be read from the beginning: Parquet keeps at its end what it is
        stream = pa.BufferReader(stream.read())
    try:
        opened = parquet.ParquetFile(stream, pre_buffer=False, buffer_size=1 << 16)
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetGenerationError(
            f"{file.name} is not a whole Parquet file: {str(error).rstrip('.')}. It may have been cut short."
        ) from error
    schema = opened.schema_arrow
    known_columns(columns or (), schema, file)
    try:
        if filters is not None:
            yield from _filtered(file, stream, columns, filters)
            return
        rows = batch_size or _rows_at_once(opened)
        for batch in opened.iter_batches(rows, columns=columns, use_threads=False):
            yield chosen(_noted(pa.Table.from_batches([batch]), schema), columns, file)
        if not opened.metadata.num_rows:
            yield chosen(schema.empty_table(), columns, file)
    except (pa.ArrowInvalid, OSError) as error:
        raise cut_short(file, error) from error


def _rows_at_once(opened: Any) -> int:
    """As many rows as take some megabytes."""
    found = opened.metadata
    size = sum(found.row_group(number).total_byte_size for number in range(min(found.num_row_groups, 10)))
    rows = sum(found.row_group(number).num_rows for number in range(min(found.num_row_groups, 10)))
    return max(1, min(_ROWS, int(_BYTES / max(size / max(rows, 1), 1))))


def _filtered(file: DataFile, stream: pa.NativeFile, columns: list[str] | None, filters: Any) -> Iterator[pa.Table]:
    from pyarrow import dataset, parquet

    try:
        kept = filters if isinstance(filters, dataset.Expression) else parquet.filters_to_expression(filters)
        stream.seek(0)
        fragment = dataset.ParquetFileFormat().make_fragment(stream)
        schema = fragment.physical_schema
        empty = True
        for batch in fragment.to_batches(schema=schema, columns=columns, filter=kept, batch_size=_ROWS):
            empty = False
            yield chosen(_noted(pa.Table.from_batches([batch]), schema), columns, file)
        if empty:
            yield chosen(schema.empty_table(), columns, file)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"filters={filters!r} cannot be applied to {file.name}: {error}.") from error


def _noted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    return table.replace_schema_metadata(schema.metadata)
