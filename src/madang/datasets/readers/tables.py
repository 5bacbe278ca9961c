"""What the readers of files that are tables already share."""

from collections.abc import Iterable

import pyarrow as pa

from madang.datasets.readers.files import DataFile
from madang.errors import unknown_name


def chosen(table: pa.Table, columns: Iterable[str] | None, file: DataFile) -> pa.Table:
    """Only `columns`, with dictionary-encoded values as themselves."""
    if columns is not None:
        columns = list(columns)
        known_columns(columns, table.schema, file)
        table = table.select(columns)
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            values = table.column(place).cast(field.type.value_type)
            table = table.set_column(place, field.with_type(field.type.value_type), values)
    return table


def known_columns(columns: Iterable[str], schema: pa.Schema, file: DataFile) -> None:
    """Refuse a column that the file lacks, naming the nearest."""
    for name in columns:
        if name not in schema.names:
            raise unknown_name(f"column of {file.name}", name, schema.names)
