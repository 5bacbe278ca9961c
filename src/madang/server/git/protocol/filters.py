"""What a partial clone leaves out: `--filter=blob:none`, `blob:limit=1m`, `tree:0`, and several of them together."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from madang.server.errors import InvalidRequest

_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


@dataclass(frozen=True)
class Filter:
    """Trees and files left out by their depth below a commit, files by their size. None leaves out nothing."""

    depth: int | None = None
    size: int | None = None

    def __and__(self, other: "Filter") -> "Filter":
        return Filter(_smallest(self.depth, other.depth), _smallest(self.size, other.size))


def parse_filter(text: str) -> Filter:
    """A filter as git spells it. Raises InvalidRequest for kinds this hub does not have."""
    if text == "blob:none":
        return Filter(size=0)
    if found := re.fullmatch(r"blob:limit=(\d{1,15})([kmg]?)", text.lower()):
        return Filter(size=int(found.group(1)) * _UNITS[found.group(2)])
    if found := re.fullmatch(r"tree:(\d{1,9})", text):
        return Filter(depth=int(found.group(1)))
    if text.startswith("combine:") and "combine" not in text[8:]:
        both = Filter()
        for part in text[8:].split("+"):
            both &= parse_filter(unquote(part))
        return both
    raise InvalidRequest(f"the filter {text[:100]!r} is none of blob:none, blob:limit=N, tree:N, combine:A+B.")


def _smallest(one: int | None, other: int | None) -> int | None:
    return min((value for value in (one, other) if value is not None), default=None)
