"""Names of splits, and which rows `train[:10%]+test` means."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from madang.errors import InputError, UnknownKeyError, WrongTypeError, nearest

NAME = re.compile(r"\w+(?:\.\w+)*")
_PART = re.compile(
    r"\s*(?P<split>\w+(?:\.\w+)*)"
    r"(?:\[\s*(?P<start>-?[\d_]+)?(?P<start_percent>%)?\s*:\s*(?P<stop>-?[\d_]+)?(?P<stop_percent>%)?\s*\])?"
    r"(?:\((?P<rounding>\w+)\))?\s*"
)
_ROUNDINGS = ("closest", "pct1_dropremainder")


class NamedSplit(str):
    """The name of a split, perhaps with rows (`train[:10%]`): a text that knows it is one.

    >>> NamedSplit("train") + NamedSplit("test")
    NamedSplit('train+test')
    """

    __slots__ = ()

    def __new__(cls, name: str) -> "NamedSplit":
        for part in str(name).split("+"):
            if not NAME.fullmatch(part.split("[")[0].split("(")[0].strip()):
                raise InputError(
                    f"Split name should match '{NAME.pattern}' but got {part!r}: letters, digits, '_' and '.' only."
                )
        return super().__new__(cls, name)

    def __repr__(self) -> str:
        return f"NamedSplit({str(self)!r})"

    def __add__(self, other: str) -> "NamedSplit":
        return NamedSplit(f"{self!s}+{other!s}" if isinstance(other, NamedSplit) else f"{self!s}{other}")


class Split:
    """The usual splits; `Split("name")` makes any other. `Split.ALL` is all splits, one after the other."""

    TRAIN = NamedSplit("train")
    TEST = NamedSplit("test")
    VALIDATION = NamedSplit("validation")
    ALL = NamedSplit("all")

    def __new__(cls, name: str) -> NamedSplit:  # type: ignore[misc]  # it only makes names
        return NamedSplit(name)


@dataclass(frozen=True)
class _Part:
    """Some rows of one split; the bounds count rows or percents, from the end when negative."""

    split: str
    start: int | None = None
    stop: int | None = None
    unit: str = "abs"
    rounding: str | None = None

    def __post_init__(self) -> None:
        if self.unit not in ("%", "abs"):
            raise InputError(f"unit must be either % or abs, not {self.unit!r}.")
        if self.rounding is not None and self.rounding not in _ROUNDINGS:
            raise InputError(f"rounding must be either closest or pct1_dropremainder, not {self.rounding!r}.")
        if self.rounding is not None and self.unit != "%":
            raise InputError("It is forbidden to specify rounding if not using percent slicing.")
        if self.unit == "%" and any(bound is not None and abs(bound) > 100 for bound in (self.start, self.stop)):
            raise InputError(f"percents lie between -100 and 100, not {self.start} and {self.stop}.")

    def __str__(self) -> str:
        if self.start is None and self.stop is None:
            return self.split
        sign = "%" if self.unit == "%" else ""
        start, stop = (f"{bound}{sign}" if bound is not None else "" for bound in (self.start, self.stop))
        rounding = f"({self.rounding})" if self.rounding not in (None, "closest") else ""
        return f"{self.split}[{start}:{stop}]{rounding}"

    def rows(self, total: int) -> range:
        """The rows of a split of `total` rows."""
        start, stop = (self._absolute(bound, total) for bound in (self.start, self.stop))
        return range(*slice(start, stop).indices(total))

    def _absolute(self, bound: int | None, total: int) -> int | None:
        if bound is None or self.unit != "%":
            return bound
        if self.rounding == "pct1_dropremainder":
            if total < 100:
                raise InputError(
                    f"the rounding pct1_dropremainder takes whole hundredths, and {self.split!r} has {total} rows: "
                    "nothing would be left. Use the rounding 'closest'."
                )
            return bound * math.trunc(total / 100)
        return round(bound * total / 100)


@dataclass(frozen=True)
class AbsoluteInstruction:
    """The rows from `from_` up to `to` of the split `splitname`."""

    splitname: str
    from_: int
    to: int


class ReadInstruction:
    """Which rows of which splits to read; `+` appends.

    >>> ReadInstruction("train", to=10, unit="%") + ReadInstruction("test", from_=-5, unit="abs")
    ReadInstruction('train[:10%]+test[-5:]')

    Percents are rounded to the `closest` row, or count whole hundredths of the split (`pct1_dropremainder`), so that
    all slices of one percent are equally long.
    """

    def __init__(
        self,
        split_name: str,
        rounding: str | None = None,
        from_: int | None = None,
        to: int | None = None,
        unit: str | None = None,
    ) -> None:
        self._parts = [_Part(str(split_name), from_, to, unit or "abs", rounding)]

    @classmethod
    def from_spec(cls, spec: str) -> "ReadInstruction":
        """Read `train`, `train[:10%]`, `train[10%:20%](pct1_dropremainder)+test[-5:]`."""
        parts = [_parsed(part, str(spec)) for part in str(spec).split("+")]
        return cls._of(parts)

    @classmethod
    def _of(cls, parts: list[_Part]) -> "ReadInstruction":
        made = cls.__new__(cls)
        made._parts = parts
        return made

    def to_spec(self) -> str:
        """The text that `from_spec` reads."""
        return "+".join(str(part) for part in self._parts)

    @property
    def names(self) -> list[str]:
        """The splits it needs, each once."""
        return list(dict.fromkeys(part.split for part in self._parts))

    def __add__(self, other: "ReadInstruction") -> "ReadInstruction":
        if not isinstance(other, ReadInstruction):
            raise WrongTypeError(f"only another ReadInstruction can be added to one, not {type(other).__name__}.")
        roundings = {part.rounding or "closest" for part in (*self._parts, *other._parts) if part.unit == "%"}
        if len(roundings) > 1:
            raise InputError("It is forbidden to sum ReadInstruction instances with different rounding values.")
        return self._of([*self._parts, *other._parts])

    def __str__(self) -> str:
        return self.to_spec()

    def __repr__(self) -> str:
        return f"ReadInstruction({self.to_spec()!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReadInstruction) and self._parts == other._parts

    def __hash__(self) -> int:
        return hash(tuple(self._parts))

    def to_absolute(self, name2len: Mapping[str, int]) -> list[AbsoluteInstruction]:
        """The rows by number, where `name2len` says how many rows each split has.

        Raises UnknownKeyError, naming the splits there are, for one that is not among them.
        """
        found = []
        for part in self._parts:
            if part.split not in name2len:
                raise unknown_split(part.split, name2len)
            rows = part.rows(name2len[part.split])
            found.append(AbsoluteInstruction(part.split, rows.start, max(rows.start, rows.stop)))
        return found

    @property
    def whole(self) -> bool:
        """Whether it takes all rows of every split it names."""
        return all(part.start is None and part.stop is None for part in self._parts)


def instruction(split: Any, known: Iterable[str]) -> ReadInstruction:
    """What `split` (a text, a NamedSplit or a ReadInstruction) means; `all` is all of `known`."""
    if isinstance(split, ReadInstruction):
        return split
    if not isinstance(split, str):
        raise WrongTypeError(
            f"split= takes a text like 'train[:10%]', a ReadInstruction or a list of them, not {type(split).__name__}."
        )
    known = list(known)
    if split == Split.ALL and "all" not in known:
        split = "+".join(known)
    return ReadInstruction.from_spec(split)


def unknown_split(name: str, known: Iterable[str]) -> UnknownKeyError:
    """The error for a split that is not there; it names those there are and the nearest."""
    known = [str(split) for split in known]
    return UnknownKeyError(f'Unknown split "{name}". Should be one of {known}.{nearest(name, known)}')


def _parsed(text: str, spec: str) -> _Part:
    match = _PART.fullmatch(text)
    if match is None:
        raise InputError(
            f"Unrecognized instruction format: {spec!r}. Write a split's name, perhaps with rows: 'train', "
            "'train[:100]', 'train[10%:20%]', 'train+test'."
        )
    start, stop = (int(bound.replace("_", "")) if bound else None for bound in (match["start"], match["stop"]))
    percents = {
        match[f"{side}_percent"] or "" for side, bound in (("start", start), ("stop", stop)) if bound is not None
    }
    if len(percents) > 1:
        raise InputError(f"{text!r} counts one bound in percents and the other in rows; use the same for both.")
    unit: Literal["%", "abs"] = "%" if percents == {"%"} else "abs"
    return _Part(match["split"], start, stop, unit, match["rounding"])
