"""Files moved into the table: what images and sounds refer to becomes part of their column."""

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from madang.datasets.features.lists import LargeList, List
from madang.datasets.features.nesting import changed_list, changed_struct
from madang.datasets.features.storage import leaves


def embeds(feature: Any) -> bool:
    """Whether values of `feature` may refer to files."""
    return any(hasattr(leaf, "embed_storage") for leaf in leaves(feature))


def embed(array: pa.Array, feature: Any, tokens: Mapping[str, Any] | None = None) -> pa.Array:
    """`array`, stored as `feature` says, with the contents of the files it refers to.

    `tokens` open files of private repositories, by repository id. Raises MissingMediaError (a FileNotFoundError).
    """
    if not embeds(feature):
        return array
    if isinstance(feature, Mapping):
        changes = {name: _member(inner, tokens) for name, inner in feature.items()}
        return changed_struct(array, changes)
    if isinstance(feature, (List, LargeList)):
        return changed_list(array, array.type, lambda values: embed(values, feature.feature, tokens))
    return feature.embed_storage(array) if tokens is None else feature.embed_storage(array, token_per_repo_id=tokens)


def _member(feature: Any, tokens: Mapping[str, Any] | None) -> Callable[[pa.Array], pa.Array]:
    return lambda values: embed(values, feature, tokens)
