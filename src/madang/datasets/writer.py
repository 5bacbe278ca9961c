"""Batches of columns as one Arrow file, whatever the later batches bring."""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from madang.datasets.cast import cast
from madang.datasets.features import Features, Json, arrow_type
from madang.datasets.values import join
from madang.errors import InputError

BATCH_ROWS, BATCH_BYTES = 131_072, 32 << 20  # what one record batch of the file holds, roughly


class ArrowWriter:
    """Writes batches into an Arrow file (the stream format, the features in its schema).

    With `features`, every batch is stored as these say. Without, types are those of the arrays, and widen where a
    later batch needs it: an empty column becomes any type, whole numbers become fractions, a column that comes late is
    empty before. What was written by then is written again at the end, once.

    with ArrowWriter(path) as writer:
        writer.write({"text": pa.array(["a", "b"])}, 2)
    writer.features
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        features: Features | None = None,
        describe: Callable[[pa.Schema], Features] = Features.from_arrow_schema,
    ) -> None:
        self.path, self._declared, self._describe = Path(path), features, describe
        self.features = features or Features()
        self.num_rows = 0
        self._pending: list[tuple[Mapping[str, pa.Array], int]] = []
        self._pending_rows = self._pending_bytes = 0
        # a file as long as the columns and their types stay the same, a further one after every change
        self._parts: list[Path] = []
        self._schema: pa.Schema | None = None
        self._sink: pa.ipc.RecordBatchStreamWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.close()
        finally:  # nothing is left of what could not be finished
            with contextlib.suppress(OSError):
                self._end_part()
            _remove(self._parts)

    def write(self, arrays: Mapping[str, pa.Array], count: int) -> None:
        """Add `count` rows, an array per column."""
        self.num_rows += count
        self._pending.append((arrays, count))
        self._pending_rows += count
        self._pending_bytes += sum(array.nbytes for array in arrays.values())
        if self._pending_rows >= BATCH_ROWS or self._pending_bytes >= BATCH_BYTES:
            self._flush()

    def write_table(self, table: pa.Table) -> None:
        """Add the rows of a table."""
        for batch in table.to_batches(max_chunksize=BATCH_ROWS):
            self.write(dict(zip(batch.schema.names, batch.columns, strict=True)), batch.num_rows)

    def close(self) -> None:
        """Finish the file; `features` then says what its columns hold."""
        self._flush()
        if self._schema is None:
            self._write({}, 0)
        self._end_part()
        if len(self._parts) > 1:
            self._unite()
        os.replace(self._parts[0], self.path)

    # ---- inside

    def _flush(self) -> None:
        names = list(dict.fromkeys(name for arrays, _ in self._pending for name in arrays))
        if not names and (not self._pending_rows or (self._schema is None and self._declared is None)):
            self._pending = [({}, self._pending_rows)]  # rows that nothing is known of yet wait for the first column
            return
        columns = {
            name: self._joined([arrays[name] if name in arrays else pa.nulls(n) for arrays, n in self._pending], name)
            for name in names
        }
        self._write(columns, self._pending_rows)
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0

    def _joined(self, parts: Sequence[pa.Array], name: str) -> pa.ChunkedArray:
        feature = None if self._declared is None else self._declared.get(name)
        if feature is None or len({part.type for part in parts}) == 1:
            return join(parts, name)
        # each as it is declared: joined first, 1 before 2.5 would become the text "1.0"
        stored = [cast(pa.chunked_array([part]), feature, name) for part in parts]
        return pa.chunked_array([chunk for part in stored for chunk in part.chunks], arrow_type(feature))

    def _write(self, columns: Mapping[str, pa.ChunkedArray], count: int) -> None:
        schema = self._wanted(pa.schema([(name, values.type) for name, values in columns.items()]))
        if self._sink is None or not schema.equals(self._schema):
            self._begin(schema)
        assert self._sink is not None
        self._sink.write_table(fitted(columns, count, self.features, schema).combine_chunks())

    def _wanted(self, found: pa.Schema) -> pa.Schema:
        """The schema after a batch of schema `found`."""
        if self._declared is not None:
            return self._declared.arrow_schema
        if self._schema is None or found.equals(self._schema):
            return found
        try:
            known, found = _with_json(self._schema, found), _with_json(found, self._schema)
            return pa.unify_schemas([known, found], promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise InputError(
                f"the rows up to about {self.num_rows - self._pending_rows} and those after it do not go together: "
                f"{error}. Pass features= to say what the columns hold."
            ) from error

    def _begin(self, schema: pa.Schema) -> None:
        self._end_part()
        if self._declared is None:
            self.features = self._describe(schema)
        self._schema = schema
        part = self.path.with_name(f"{self.path.name}.{len(self._parts)}.part")
        self._parts.append(part)
        self._sink = pa.ipc.new_stream(os.fspath(part), self.features.arrow_schema)

    def _end_part(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.close()

    def _unite(self) -> None:
        """All parts as one file, in the types that the last one has."""
        whole = self.path.with_name(f"{self.path.name}.whole.part")
        parts, self._parts = self._parts, [whole, *self._parts]
        with pa.ipc.new_stream(os.fspath(whole), self.features.arrow_schema) as sink:
            for part in parts:
                for batch in pa.ipc.open_stream(pa.memory_map(os.fspath(part))):
                    table = pa.Table.from_batches([batch])
                    columns = dict(zip(table.column_names, table.columns, strict=True))
                    sink.write_table(fitted(columns, table.num_rows, self.features, self.features.arrow_schema))
        _remove(parts)


def _with_json(schema: pa.Schema, other: pa.Schema) -> pa.Schema:
    """The schema with Json columns where `other` has them: any value can become one."""
    kind = arrow_type(Json())
    json = {field.name for field in other if field.type.equals(kind)}
    return pa.schema([field.with_type(kind) if field.name in json else field for field in schema])


def fitted(columns: Mapping[str, pa.ChunkedArray], count: int, features: Features, schema: pa.Schema) -> pa.Table:
    """The columns as a table in the order and types of a schema that describes `features`; missing ones are empty."""
    made = {}
    for field in schema:
        values = columns.get(field.name)
        if values is None:
            values = pa.chunked_array([pa.nulls(count, field.type)])
        made[field.name] = values if values.type.equals(field.type) else cast(values, features[field.name], field.name)
    unknown = [name for name in columns if name not in made]
    if unknown:
        raise InputError(f"columns {unknown} are not among the features, which name {schema.names}.")
    return pa.table(made, schema=features.arrow_schema)


def described(schema: pa.Schema, known: Mapping[str, Any]) -> Features:
    """The features of columns of these types: those that are known, where they are stored so."""
    found = Features.from_arrow_schema(schema)
    for name, feature in known.items():
        if name in found and arrow_type(feature).equals(schema.field(name).type):
            found[name] = feature
    return found


def _remove(parts: Sequence[Path]) -> None:
    for part in parts:
        part.unlink(missing_ok=True)
