"""The features of a whole table."""

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from madang.datasets.features import encoding, storage, yaml_form
from madang.datasets.features.lists import LargeList, List
from madang.datasets.features.value import Value
from madang.errors import InputError, UnknownKeyError, nearest


class Features(dict[str, Any]):
    """The features of a table by column name, in the order of the columns.

    >>> Features({"title": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    {'title': Value('string'), 'label': ClassLabel(names=['no', 'yes'])}
    """

    def __init__(self, /, *given: Any, **named: Any) -> None:
        super().__init__()
        self.update(*given, **named)

    def __setitem__(self, name: str, feature: Any) -> None:
        super().__setitem__(name, storage.normal(feature))

    def update(self, /, *given: Any, **named: Any) -> None:
        """Add or replace columns, from a dict, from pairs, or by name."""
        for name, feature in dict(*given, **named).items():
            self[name] = feature

    def setdefault(self, name: str, feature: Any = None) -> Any:
        """The feature of a column, added when it is not there."""
        if name not in self:
            self[name] = feature
        return self[name]

    @property
    def type(self) -> pa.DataType:
        """All columns as one Arrow struct."""
        return storage.arrow_type(self)

    @property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema, with these features in its metadata."""
        metadata = {storage.METADATA_KEY: json.dumps({"info": {"features": self.to_dict()}}).encode()}
        kinds = {name: storage.arrow_type(feature) for name, feature in self.items()}
        return pa.schema(kinds).with_metadata(metadata)

    @classmethod
    def from_arrow_schema(cls, schema: pa.Schema) -> "Features":
        """The features a schema describes: from its metadata where that fits the columns, else from their types."""
        noted = storage.noted_features(schema)
        features = cls()
        for column in schema:
            feature = noted.get(column.name)
            fits = feature is not None and storage.same_storage(storage.arrow_type(feature), column.type)
            features[column.name] = feature if fits else storage.from_arrow_field(column)
        return features

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and lists, as kept in files; `Features.from_dict` undoes it."""
        return {name: storage.to_json(feature) for name, feature in self.items()}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "Features":
        """Features from what `to_dict` returned, here or in the datasets package of any version."""
        return cls({name: storage.from_json(feature) for name, feature in given.items()})

    def _to_yaml_list(self) -> list[dict[str, Any]]:
        return yaml_form.to_yaml(self)

    @classmethod
    def _from_yaml_list(cls, columns: list[dict[str, Any]]) -> "Features":
        return cls(yaml_form.from_yaml(columns))

    def copy(self) -> "Features":
        """Features of one's own to change."""
        return copy.deepcopy(self)

    @property
    def _column_requires_decoding(self) -> dict[str, bool]:
        return {name: encoding.decoder(feature) is not None for name, feature in self.items()}

    def encode_example(self, example: Mapping[str, Any]) -> dict[str, Any]:
        """A row as it is stored; columns it does not have are None."""
        return {name: encoding.encode_value(example.get(name), feature) for name, feature in self.items()}

    def encode_column(self, column: Iterable[Any], column_name: str) -> list[Any]:
        """The values of one column as they are stored."""
        feature = self._feature(column_name)
        return [encoding.encode_value(value, feature) for value in column]

    def encode_batch(self, batch: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
        """Several rows, as a dict of columns, as they are stored."""
        if set(batch) != set(self):
            raise InputError(f"Column mismatch between batch {sorted(batch)} and features {sorted(self)}.")
        return {name: self.encode_column(values, name) for name, values in batch.items()}

    def decode_example(
        self, example: Mapping[str, Any], token_per_repo_id: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """A stored row as users see it: images, sounds and JSON decoded."""
        return {
            name: encoding.decode_value(value, self._feature(name), token_per_repo_id)
            for name, value in example.items()
        }

    def decode_column(
        self, column: Iterable[Any], column_name: str, token_per_repo_id: Mapping[str, Any] | None = None
    ) -> list[Any]:
        """The stored values of one column as users see them."""
        feature = self._feature(column_name)
        return [encoding.decode_value(value, feature, token_per_repo_id) for value in column]

    def decode_batch(
        self, batch: Mapping[str, Iterable[Any]], token_per_repo_id: Mapping[str, Any] | None = None
    ) -> dict[str, list[Any]]:
        """Several stored rows, as a dict of columns, as users see them."""
        return {name: self.decode_column(values, name, token_per_repo_id) for name, values in batch.items()}

    def _feature(self, name: str) -> Any:
        if name not in self:
            raise UnknownKeyError(f"there is no column {name!r}.{nearest(name, self)} Columns: {list(self)}.")
        return self[name]

    def flatten(self, max_depth: int = 16) -> "Features":
        """The members of structs as columns of their own, called `struct.member`, `max_depth` levels deep."""
        flat = Features()
        for name, feature in self.items():
            members = feature.flatten() if hasattr(feature, "flatten") else feature
            if max_depth < 1 or not isinstance(members, Mapping):
                flat[name] = feature
                continue
            inner = Features(members).flatten(max_depth - 1)
            flat.update({f"{name}.{member}": kind for member, kind in inner.items()})
        return flat

    def reorder_fields_as(self, other: Mapping[str, Any]) -> "Features":
        """The same features, with columns and the members of structs in the order they have in `other`.

        Raises InputError (a ValueError) where `other` is built differently.
        """
        return Features(_reordered(self, storage.normal(other), ""))


def _reordered(feature: Any, other: Any, place: str) -> Any:
    where = f" at {place.lstrip('.')!r}" if place else ""
    if isinstance(feature, Mapping) and isinstance(other, Mapping):
        if set(feature) != set(other):
            different = sorted(set(feature) ^ set(other))
            raise InputError(f"the features{where} cannot be reordered: only one side has {different}.")
        return {name: _reordered(feature[name], other[name], f"{place}.{name}") for name in other}
    if isinstance(feature, (List, LargeList)) and type(other) is type(feature):
        if feature.length != other.length:
            raise InputError(f"the features{where} cannot be reordered: lengths {feature.length} and {other.length}.")
        made = copy.copy(feature)
        made.feature = _reordered(feature.feature, other.feature, f"{place}[]")
        return made
    if isinstance(feature, (Mapping, List, LargeList)) or isinstance(other, (Mapping, List, LargeList)):
        raise InputError(f"the features{where} cannot be reordered: {feature!r} is no {other!r}.")
    return feature


def aligned(all_features: Sequence[Features]) -> Features:
    """The columns of all; those of the same name must hold the same, or nothing."""
    features = Features()
    for one in all_features:
        for name, feature in one.items():
            known = features.get(name)
            if known is None or known == Value("null"):
                features[name] = feature
            elif feature not in (known, Value("null")):
                raise InputError(
                    f"The features can't be aligned because the key {name} holds {known!r} in one dataset and "
                    f"{feature!r} in another. `cast_column({name!r}, …)` makes them agree."
                )
    return features
