"""Anything JSON can say, in columns whose rows have no common type."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from madang.errors import InputError, WrongTypeError

# Arrow knows JSON as a type of its own since version 19; before, it is text
_ARROW_TYPE = getattr(pa, "json_", pa.string)()


@dataclass
class Json:
    """One JSON value per row, stored as its text; a text that is valid JSON is taken for what it says.

    >>> Json().encode_example({"a": [1, "둘"]})
    '{"a":[1,"둘"]}'
    """

    decode: bool = True
    id: str | None = None
    pa_type: ClassVar[Any] = _ARROW_TYPE
    _type: ClassVar[str] = "Json"

    def __repr__(self) -> str:
        return f"Json(decode={self.decode})"

    def __call__(self) -> pa.DataType:
        """The Arrow type values are stored in: JSON over text."""
        return self.pa_type

    def arrow_type(self) -> pa.DataType:
        """The Arrow type values are stored in: JSON over text."""
        return self.pa_type

    def encode_example(self, value: Any) -> str | None:
        """The JSON text of a value."""
        if value is None or (isinstance(value, str) and _is_json(value)):
            return value
        try:
            return _text(value)
        except (TypeError, ValueError) as error:
            raise WrongTypeError(f"a Json column cannot hold {value!r}: {error}") from error

    def decode_example(self, value: str | None, token_per_repo_id: Any = None) -> Any:
        """The value a JSON text stands for."""
        if value is None:
            return None
        try:
            return json.loads(value)
        except ValueError as error:
            raise InputError(f"a Json column holds {value[:80]!r}, which is no JSON: {error}") from error

    def cast_storage(self, array: pa.Array) -> pa.Array:
        """Any array as the JSON texts of its values."""
        if array.type.equals(self.pa_type):
            return array
        if isinstance(array, pa.ExtensionArray):
            array = array.storage
        texts = pa.array([self.encode_example(value) for value in array.to_pylist()], pa.string())
        return texts.cast(self.pa_type)


def _text(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain)
    except ValueError:
        # JSON has no NaN and no infinity
        return json.dumps(_without_nan(value), ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    """What JSON has no word for: numpy's numbers and arrays, tensors, dates."""
    if hasattr(value, "tolist"):
        return _without_nan(value.tolist())
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, dict):
        return {name: _without_nan(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(inner) for inner in value]
    return value


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
