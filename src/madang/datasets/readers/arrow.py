"""Arrow files of either format, stream or file."""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from madang.datasets.options import refuse_unknown
from madang.datasets.readers.files import DataFile, cut_short, local, peeked, unpacked
from madang.datasets.readers.tables import chosen
from madang.errors import DatasetGenerationError

FILE_FORMAT = b"ARROW1"  # the other one, a stream, begins with the length of its schema


def read(files: Iterable[Any], *, columns: Iterable[str] | None = None, **others: Any) -> Iterator[pa.Table]:
    """The rows of all files, a batch as it was written at a time; `columns` gives only those."""
    refuse_unknown("load_dataset('arrow')", others, known=("columns",))
    for file in local(files):
        with file.open() as stored:
            try:
                for batch in _batches(file, unpacked(stored)):
                    yield chosen(pa.Table.from_batches([batch]), columns, file)
            except (pa.ArrowInvalid, OSError) as error:
                raise cut_short(file, error) from error


def _batches(file: DataFile, stored: pa.NativeFile) -> Iterator[pa.RecordBatch]:
    stream, begin = peeked(unpacked(stored), len(FILE_FORMAT))
    if begin == FILE_FORMAT:
        if stream is not stored:
            stream = pa.BufferReader(stream.read())
        reader = pa.ipc.open_file(stream)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)
        if not reader.num_record_batches:
            yield pa.RecordBatch.from_pylist([], schema=reader.schema)
        return
    try:
        reader = pa.ipc.open_stream(stream)
    except pa.ArrowInvalid as error:
        raise DatasetGenerationError(f"{file.name} is no whole Arrow file: {error}.") from error
    empty = True
    for batch in reader:
        empty = False
        yield batch
    if empty:
        yield pa.RecordBatch.from_pylist([], schema=reader.schema)
