"""Values of one column that have no common type."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from madang.datasets.features import Json
from madang.errors import unknown_name


def as_json(values: Any, on_mixed_types: str | None) -> Any:
    """`Json()` for mixed values where that was asked for, else None."""
    if on_mixed_types is None:
        return None
    if on_mixed_types != "use_json":
        raise unknown_name("value of on_mixed_types", str(on_mixed_types), ["use_json"])
    if isinstance(values, (np.ndarray, pa.Array, pa.ChunkedArray)) or hasattr(values, "detach"):
        return None
    return Json() if is_mixed(values) else None


def is_mixed(values: Iterable[Any]) -> bool:
    """Whether values are of different kinds, or dicts of different keys, here or further inside; None goes with all."""
    present = [value for value in values if value is not None]
    kinds = {_kind(value) for value in present}
    if len(kinds) > 1 and not kinds <= {int, float, bool}:
        return True
    if kinds == {dict}:
        keys = list(present[0])
        return (
            not keys
            or any(set(value) != set(keys) for value in present)
            or any(is_mixed([value[key] for value in present]) for key in keys)
        )
    if kinds == {list}:
        return is_mixed([inner for value in present for inner in value])
    return False


def _kind(value: Any) -> type:
    if isinstance(value, Mapping):
        return dict
    if isinstance(value, (list, tuple)):
        return list
    return type(value.item()) if isinstance(value, np.generic) else type(value)
