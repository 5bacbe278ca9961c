"""Files that images and sounds refer to: moved into the table, or refused."""

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from madang.datasets.features.lists import LargeList, List
from madang.datasets.features.media import without_local_paths
from madang.datasets.features.nesting import changed_list, changed_struct
from madang.datasets.features.storage import leaves


def embeds(feature: Any) -> bool:
    """Whether values of `feature` may refer to files."""
    return any(hasattr(leaf, "embed_storage") for leaf in leaves(feature))


def embed(array: pa.Array, feature: Any, tokens: Mapping[str, Any] | None = None) -> pa.Array:
    """`array`, stored as `feature` says, with the contents of the files it refers to.

    `tokens` open files of private repositories, by repository id. Raises MissingMediaError (a FileNotFoundError).
    """
    options = {} if tokens is None else {"token_per_repo_id": tokens}
    return _changed(array, feature, lambda values, leaf: leaf.embed_storage(values, **options))


def foreign(table: pa.Table, features: Mapping[str, Any]) -> pa.Table:
    """A table that somebody else wrote, in which images and sounds name no file of this machine."""
    for place, name in enumerate(table.column_names):
        if embeds(features[name]):
            column = table.column(place)
            chunks = [
                _changed(chunk, features[name], lambda values, _: without_local_paths(values))
                for chunk in column.chunks
            ]
            table = table.set_column(place, table.schema.field(place), pa.chunked_array(chunks, column.type))
    return table


def _changed(array: pa.Array, feature: Any, change: Callable[[pa.Array, Any], pa.Array]) -> pa.Array:
    """`array` with `change(values, feature)` of all that refers to files, however deep in lists and structs."""
    if not embeds(feature):
        return array
    if isinstance(feature, Mapping):
        return changed_struct(array, {name: _member(inner, change) for name, inner in feature.items()})
    if isinstance(feature, (List, LargeList)):
        return changed_list(array, array.type, lambda values: _changed(values, feature.feature, change))
    return change(array, feature)


def _member(feature: Any, change: Callable[[pa.Array, Any], pa.Array]) -> Callable[[pa.Array], pa.Array]:
    return lambda values: _changed(values, feature, change)
