"""Columns: taken away, renamed, added, stored as another type."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import pyarrow as pa

from madang.datasets.cast import cast
from madang.datasets.dataset.reading import Names, Reading
from madang.datasets.features import ClassLabel, Features, List, Value
from madang.datasets.features.nesting import changed_list
from madang.datasets.frame import Frame, StoredColumn, unknown_columns
from madang.datasets.options import refuse_unknown
from madang.datasets.recipe import Recipe
from madang.datasets.values import feature_of, to_arrow
from madang.errors import InputError

_CAST_WITHOUT_EFFECT = (
    "batch_size", "keep_in_memory", "load_from_cache_file", "cache_file_name", "writer_batch_size", "num_proc",
)  # fmt: skip


class Columns(Reading):
    """What can be done with whole columns; all others are shared with the dataset before."""

    def remove_columns(self, column_names: Names, new_fingerprint: str | None = None) -> Self:
        """Without these columns."""
        gone = self._known(column_names)
        frame = self._frame.only(name for name in self.column_names if name not in gone)
        return self._with(frame, recipe=self._after(new_fingerprint, "remove_columns", names=gone))

    def select_columns(self, column_names: Names, new_fingerprint: str | None = None) -> Self:
        """With only these columns, in this order."""
        names = self._known(column_names)
        return self._with(self._frame.only(names), recipe=self._after(new_fingerprint, "select_columns", names=names))

    def rename_column(
        self, original_column_name: str, new_column_name: str, new_fingerprint: str | None = None
    ) -> Self:
        """The same with one column called otherwise."""
        return self.rename_columns({original_column_name: new_column_name}, new_fingerprint)

    def rename_columns(
        self, column_mapping: Mapping[str, str] | Sequence[str], new_fingerprint: str | None = None
    ) -> Self:
        """The same with columns called otherwise: {old: new}, or all new names in order."""
        if not isinstance(column_mapping, Mapping):
            column_mapping = dict(zip(self.column_names, column_mapping, strict=True))
        missing = [name for name in column_mapping if name not in self._frame.columns]
        if missing:
            said = f"Original column name {', '.join(missing)} not in the dataset."
            raise unknown_columns(missing, self.column_names, said)
        names = [column_mapping.get(name, name) for name in self.column_names]
        if not all(names):
            raise InputError("New column name is empty; every column needs a name.")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(
                f"New column name {', '.join(twice)} already in the dataset. Current columns: {self.column_names}"
            )
        frame = Frame(dict(zip(names, self._frame.columns.values(), strict=True)), self.num_rows)
        features = dict(zip(names, self._features.values(), strict=True))
        shown = self._format.columns
        shown = shown if shown is None else tuple(column_mapping.get(name, name) for name in shown)
        recipe = self._after(new_fingerprint, "rename_columns", names=names)
        return self._with(frame, features, self._format.with_columns(shown), recipe)

    def add_column(self, name: str, column: Any, new_fingerprint: str | None = None, feature: Any = None) -> Self:
        """With one more column, given as a list, array or tensor of one value per row."""
        if name in self._frame.columns:
            raise InputError(f"The table can't have duplicated columns, but it already has a column {name!r}.")
        feature = feature if feature is not None else feature_of(column)
        values = to_arrow(column, name, feature)
        if len(values) != len(self) and self.column_names:
            raise InputError(f"the new column {name!r} has {len(values)} values for {len(self)} rows.")
        recipe = self._after(new_fingerprint, "add_column", name=name, values=values)
        told = {} if feature is None else {name: feature}
        return self._with_columns({name: StoredColumn(pa.chunked_array([values]))}, told, recipe)

    def cast_column(self, column: str, feature: Any, new_fingerprint: str | None = None) -> Self:
        """The same with one column stored as another feature: `ClassLabel(names=[…])` for a column of names."""
        stored = self._frame.column(column)
        old = self._features[column]
        # the rows are not touched: of a memory-mapped column that was selected from, all values are cast
        values = cast(stored.values if stored.rows is None else stored.whole(), feature, column, old)
        origins = stored.origins if stored.rows is None and values is stored.values else None
        frame = self._frame.with_columns({column: StoredColumn(values, origins=origins)})
        recipe = self._after(new_fingerprint, "cast_column", name=column, feature=feature)
        return self._with(frame, Features({**self._features, column: feature}), recipe=recipe)

    def cast(self, features: Features, **options: Any) -> Self:
        """The same with all columns stored as `features` says; it names every column, in any order.

        Columns are cast whole and at once, so `batch_size`, `num_proc`, `keep_in_memory` and those that speak of files
        (`load_from_cache_file`, `cache_file_name`, `writer_batch_size`) are let be, without effect.
        """
        refuse_unknown("cast", options, _CAST_WITHOUT_EFFECT)
        if set(features) != set(self.column_names):
            raise InputError(
                f"The columns in features ({list(features)}) must be identical as the columns in the dataset: "
                f"{self.column_names}"
            )
        made = self
        for name, feature in features.items():
            if feature != self._features[name] or type(feature) is not type(self._features[name]):
                made = made.cast_column(name, feature)
        return made if list(features) == self.column_names else made.select_columns(list(features))

    def class_encode_column(self, column: str, include_nulls: bool = False) -> Self:
        """A column of names (or numbers) as a ClassLabel; the classes are its distinct values in sorted order."""
        stored = self._frame.column(column).whole()
        if not isinstance(self._features[column], (Value, ClassLabel)):
            raise InputError(
                f"Class encoding is only supported for columns of single values, and {column!r} holds "
                f"{self._features[column]!r}."
            )
        coded = stored.dictionary_encode().combine_chunks()
        coded = coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded
        texts = pa.array([str(value) for value in coded.dictionary.to_pylist()], pa.string()).take(coded.indices)
        if include_nulls:
            texts = texts.fill_null("None")
        names = sorted(value for value in texts.unique().to_pylist() if value is not None)
        feature = ClassLabel(names=names)
        frame = self._frame.with_columns({column: StoredColumn(cast(pa.chunked_array([texts]), feature, column))})
        recipe = self._after(None, "class_encode_column", name=column, nulls=include_nulls)
        return self._with(frame, Features({**self._features, column: feature}), recipe=recipe)

    def align_labels_with_mapping(self, label2id: Mapping[str, int], label_column: str) -> Self:
        """The class numbers of a ClassLabel column as `label2id` (that of a model, say) numbers the same names.

        Case does not matter. Raises InputError when a name of the column is not in `label2id`.
        """
        outer = self._features[self._known(label_column)[0]]
        feature = outer.feature if isinstance(outer, List) else outer
        if not isinstance(feature, ClassLabel):
            raise InputError(
                f"Aligning labels with a mapping is only supported for ClassLabel column or Sequence column with "
                f"ClassLabel feature, and column {label_column} is {outer!r}."
            )
        classes = [str(name) for name, _ in sorted(label2id.items(), key=lambda item: item[1])]
        ordered = {str(name).lower(): number for name, number in label2id.items()}
        names = [str(name).lower() for name in feature.names or ()]
        missing = [name for name in names if name not in ordered]
        if missing:
            raise InputError(f"the labels {missing} of column {label_column!r} are not in label2id: {list(ordered)}.")
        numbers = pa.array([ordered[name] for name in names], pa.int64())
        stored = self._frame.column(label_column).whole()
        chunks = [_renumbered(chunk, numbers) for chunk in stored.chunks]
        aligned = pa.chunked_array(chunks, stored.type)
        frame = self._frame.with_columns({label_column: StoredColumn(aligned)})
        recipe = self._after(None, "align_labels_with_mapping", name=label_column, mapping=dict(label2id))
        made: Any = ClassLabel(names=classes)
        told = {**self._features, label_column: List(made, outer.length) if isinstance(outer, List) else made}
        return self._with(frame, told, recipe=recipe)

    def flatten(self, new_fingerprint: str | None = None, max_depth: int = 16) -> Self:
        """Every struct column as one column per member, called `struct.member`; members of members too."""
        import pyarrow.compute as pc

        columns, features = dict(self._frame.columns), dict(self._features)
        for _ in range(max_depth):
            if not any(_is_struct(feature, columns[name]) for name, feature in features.items()):
                break
            flat_columns, flat_features = {}, {}
            for name, feature in features.items():
                stored = columns[name]
                if not _is_struct(feature, stored):
                    flat_columns[name], flat_features[name] = stored, feature
                    continue
                told = Features.from_arrow_schema(pa.schema([(f.name, f.type) for f in stored.values.type]))
                for member in told:
                    values = pc.struct_field(stored.values, member)
                    flat_columns[f"{name}.{member}"] = StoredColumn(values, stored.rows)
                    inner = feature[member] if isinstance(feature, Mapping) else told[member]
                    flat_features[f"{name}.{member}"] = inner
            columns, features = flat_columns, flat_features
        frame = Frame(columns, self.num_rows)
        return self._with(frame, features, recipe=self._after(new_fingerprint, "flatten", depth=max_depth))

    def _after(self, new_fingerprint: str | None, step: str, **arguments: Any) -> Recipe:
        """The recipe of a dataset that comes from this one by a step."""
        return Recipe.beginning(new_fingerprint) if new_fingerprint else Recipe(self._recipe, step, **arguments)


def _is_struct(feature: Any, stored: StoredColumn) -> bool:
    """A dict of features, or a feature that is stored as one and comes out so (translations, undecoded images)."""
    return isinstance(feature, Mapping) or (
        pa.types.is_struct(stored.values.type) and not getattr(feature, "decode", False)
    )


def _renumbered(classes: pa.Array, numbers: pa.Array) -> pa.Array:
    """Class numbers, or lists of them, replaced by those at their places in `numbers`; -1 means "no label"."""
    import pyarrow.compute as pc

    if pa.types.is_nested(classes.type):
        return changed_list(classes, classes.type, lambda inner: _renumbered(inner, numbers))
    return numbers.take(pc.if_else(pc.less(classes, 0), pa.scalar(None, pa.int64()), classes))
