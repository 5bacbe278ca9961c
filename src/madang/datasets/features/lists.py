"""Lists: several values of one feature in each row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


class Sequence:
    """The older way to say `List`; given a dict it makes a dict of lists, as it always has.

    >>> Sequence(Value("int64"), length=3), Sequence({"text": Value("string")})
    (List(Value('int64'), length=3), {'text': List(Value('string'))})
    """

    def __new__(cls, feature: Any = None, length: int = -1, **options: Any) -> Any:
        """A List, or a dict of those."""
        if cls is not Sequence:
            return super().__new__(cls)
        if isinstance(feature, Mapping):
            return {name: List(inner, length, **options) for name, inner in feature.items()}
        return List(feature, length, **options)


@dataclass(repr=False)
class List(Sequence):
    """A list per row, all of whose values are `feature`; `length` is -1 when rows differ in length."""

    feature: Any
    length: int = -1
    id: str | None = None
    dtype: ClassVar[str] = "list"
    pa_type: ClassVar[Any] = None
    _type: ClassVar[str] = "List"

    def __repr__(self) -> str:
        length = f", length={self.length}" if self.length != -1 else ""
        return f"{type(self).__name__}({self.feature!r}{length})"

    def __eq__(self, other: object) -> bool:
        """Equal to another list of the same, and to the short form `[feature]`."""
        if isinstance(other, list) and len(other) == 1:
            return self.length == -1 and bool(self.feature == other[0])
        if type(other) is not type(self):
            return NotImplemented
        assert isinstance(other, List)
        return (self.feature, self.length, self.id) == (other.feature, other.length, other.id)

    __hash__ = None  # type: ignore[assignment]


@dataclass(repr=False)
class LargeList:
    """A list per row whose offsets take 64 bits: for columns of more than two thousand million values."""

    feature: Any
    id: str | None = None
    length: ClassVar[int] = -1
    dtype: ClassVar[str] = "list"
    pa_type: ClassVar[Any] = None
    _type: ClassVar[str] = "LargeList"

    def __repr__(self) -> str:
        return f"LargeList({self.feature!r})"
