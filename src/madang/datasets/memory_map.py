"""Arrow files as tables that take no memory until they are read, and then only what the system can give back."""

import os
from collections.abc import Sequence

import pyarrow as pa

from madang.datasets.frame import Frame, Origin, StoredColumn
from madang.errors import InputError

_FILE_FORMAT = b"ARROW1"  # the other one, a stream, begins with the length of its schema


def open_arrow(path: str | os.PathLike[str], *, in_memory: bool = False) -> pa.Table:
    """The table in an Arrow file of either format, memory-mapped unless `in_memory`.

    Raises InputError, naming the file, for one that is cut short or no Arrow file at all.
    """
    path = os.fspath(path)
    if os.path.getsize(path) == 0:
        raise InputError(f"{path} is empty and so no Arrow file; it may have been cut short. Make it again.")
    source = pa.OSFile(path) if in_memory else pa.memory_map(path)
    try:
        begin = source.read(len(_FILE_FORMAT))
        source.seek(0)
        if begin == _FILE_FORMAT:
            return pa.ipc.open_file(source).read_all()
        return pa.ipc.open_stream(source).read_all()
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} is not a whole Arrow file: {error}. It may have been cut short.") from error


def open_frame(paths: Sequence[str | os.PathLike[str]], *, in_memory: bool = False) -> tuple[Frame, pa.Schema]:
    """The rows of all files, one after the other, and the schema of the first."""
    tables = [open_arrow(path, in_memory=in_memory) for path in paths]
    schema = tables[0].schema
    for path, table in zip(paths, tables, strict=True):
        if table.column_names != schema.names:
            raise InputError(f"{path} has the columns {table.column_names}, but {paths[0]} has {schema.names}.")
    columns = {}
    for name in schema.names:
        values = pa.chunked_array([chunk for table in tables for chunk in table[name].chunks], schema.field(name).type)
        origins = tuple(
            Origin(os.path.abspath(path), name, 0, table.num_rows) for path, table in zip(paths, tables, strict=True)
        )
        columns[name] = StoredColumn(values, origins=None if in_memory else origins)
    return Frame(columns, sum(table.num_rows for table in tables)), schema


def reopened(origins: Sequence[Origin], kind: pa.DataType) -> pa.ChunkedArray:
    """The values that came from these places of files, opened anew: after unpickling in another process."""
    tables = {file: open_arrow(file) for file in {origin.file for origin in origins}}
    parts = [tables[origin.file][origin.name].slice(origin.start, origin.length) for origin in origins]
    chunks = [chunk for part in parts for chunk in part.chunks]
    if isinstance(kind, pa.BaseExtensionType):
        chunks = [pa.ExtensionArray.from_storage(kind, chunk) for chunk in chunks]
    return pa.chunked_array(chunks, kind)
