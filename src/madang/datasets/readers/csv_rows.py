"""Where a row of a CSV file ends: at a line end outside quotes. Found without parsing, so that blocks of rows can be
parsed side by side."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from madang.datasets.readers.files import DataFile, blocks

LINE_END = ord("\n")


class UnclosedQuote(ValueError):
    """A cell that begins with a quote and goes on to the end of the file; `lines` were read from its row on."""

    def __init__(self, lines: int) -> None:
        super().__init__("a quote is never closed")
        self.lines = lines


def cut(
    found: Iterable[bytes], mark: str, quote: str | bool | None, escape: str | None, doubled: bool = True
) -> Iterator[bytes]:
    """The same bytes, cut so that every piece begins and ends with a row. Raises UnclosedQuote at the end."""
    rest = b""
    for block in found:
        data = rest + block if rest else block
        end = _end(data, mark, str(quote or ""), escape or "", doubled)
        if end:
            yield data[:end]
        rest = data[end:]
    if rest.strip(b"\r\n"):
        if not _end(rest + b"\n", mark, str(quote or ""), escape or "", doubled):
            raise UnclosedQuote(rest.count(b"\n") + (not rest.endswith(b"\n")))
        yield rest


def _end(data: bytes, mark: str, quote: str, escape: str, doubled: bool) -> int:
    """The place after the last row that is whole; `data` begins with a row."""
    if not escape and (not quote or quote.encode() not in data):
        return data.rfind(b"\n") + 1
    if not escape and doubled:
        places = _regular_quotes(data, mark, quote)
        if places is not None:
            return _end_by_parity(data, places)
    return _end_by_state(data, mark, quote, escape, doubled)


def _regular_quotes(data: bytes, mark: str, quote: str) -> "np.ndarray[Any, Any] | None":
    """Where the quotes are, when all stand at the beginning or the end of a cell or are doubled; else None."""
    held = np.frombuffer(data, dtype=np.uint8)
    places = np.flatnonzero(held == ord(quote))
    allowed = np.zeros(256, dtype=bool)
    allowed[[ord(mark), LINE_END, ord("\r"), ord(quote)]] = True
    opening, closing = places[0::2], places[1::2]
    # the place before the first byte is a line end; what follows the last one is not known and not needed
    before = held[opening[1:] - 1] if len(opening) and opening[0] == 0 else held[opening - 1]
    after = held[closing[closing + 1 < len(held)] + 1]
    return places if bool(allowed[before].all() and allowed[after].all()) else None


def _end_by_parity(data: bytes, quotes: "np.ndarray[Any, Any]") -> int:
    end = data.rfind(b"\n")
    while end >= 0:
        seen = int(np.searchsorted(quotes, end))
        if seen % 2 == 0:
            return end + 1
        end = data.rfind(b"\n", 0, int(quotes[seen - 1]))
    return 0


def _end_by_state(data: bytes, mark: str, quote: str, escape: str, doubled: bool) -> int:
    """The slow way: every separator, quote and line end in turn, as the parser sees them."""
    signs = "|".join(re.escape(sign) for sign in (mark, quote, "\n", "\r") if sign)
    token = re.compile((re.escape(escape) + r"(?s:.)|" if escape else "").encode() + signs.encode())
    inside, fresh, end, skip = False, 0, 0, -1
    quoted = quote.encode()
    for match in token.finditer(data):
        start, sign = match.start(), match.group()
        if start < skip:
            continue
        if inside:
            if sign == quoted:
                if doubled and data[start + 1 : start + 2] == quoted:
                    skip = start + 2
                else:
                    inside = False
        elif sign == quoted:
            inside = start == fresh
        elif len(sign) == 1:
            fresh = match.end()
            if sign == b"\n":
                end = fresh
    return end


def lines_of(file: DataFile, asked: Any) -> Iterator[bytes]:
    """The lines of a file with their line ends."""
    rest = b""
    for block in blocks(file, asked.encoding or "utf-8", "replace"):
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest
