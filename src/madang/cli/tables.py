"""Tables of text that fit a terminal, also with letters that take two places, as Hangul does."""

import shutil
import unicodedata
from collections.abc import Sequence

GAP = "  "
NARROWEST = 6  # a column that would become narrower is not shown at all


def width_of(text: str) -> int:
    """How many places a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_places(letter) for letter in text)


def _places(letter: str) -> int:
    if unicodedata.combining(letter) or unicodedata.category(letter) in ("Cf", "Me", "Mn"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def printable(text: str) -> str:
    """The text in one line, without what a terminal would obey: line ends as ↵, control characters spelled out."""
    if text.isprintable():
        return text
    told = (
        "↵" if letter == "\n" else letter if letter.isprintable() or letter == "\u200d" else _spelled(letter)
        for letter in text.replace("\r\n", "\n")
    )
    return "".join(told)


def _spelled(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def cut(text: str, width: int) -> str:
    """The text, or as much of its beginning as fits `width` places with an ellipsis."""
    if width_of(text) <= width:
        return text
    used, kept = 1, []
    for letter in text:
        used += _places(letter)
        if used > width:
            break
        kept.append(letter)
    return "".join(kept) + "…"


def padded(text: str, width: int, *, right: bool = False) -> str:
    """The text filled up with blanks to `width` places."""
    blanks = " " * (width - width_of(text))
    return blanks + text if right else text + blanks


def terminal_width() -> int:
    """Places in a line of the terminal (COLUMNS, when set); 120 when there is no terminal."""
    return shutil.get_terminal_size((120, 24)).columns


def table(header: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool], width: int) -> list[str]:
    """The lines of a table at most `width` wide. Long cells are cut; columns that find no place are named below it."""
    cells = [[printable(cell) for cell in row] for row in [list(header), *rows]]
    natural = [max(width_of(row[place]) for row in cells) for place in range(len(header))]
    shown = len(header)
    while shown > 1 and sum(min(n, NARROWEST) for n in natural[:shown]) + len(GAP) * (shown - 1) > width:
        shown -= 1
    widths = shared(natural[:shown], width - len(GAP) * (shown - 1))
    lines = []
    for row in cells:
        texts = [
            padded(cut(cell, size), size, right=right)
            for cell, size, right in zip(row[:shown], widths, numeric[:shown], strict=True)
        ]
        lines.append(GAP.join(texts).rstrip())
    lines.insert(1, GAP.join("─" * size for size in widths))
    if shown < len(header):
        hidden = ", ".join(printable(name) for name in header[shown:])
        lines.append(cut(f"… and {len(header) - shown} more: {hidden}", width))
    return lines


def shared(natural: Sequence[int], room: int) -> list[int]:
    """Widths that together fit `room`: narrow columns keep theirs, wide ones share what is left."""
    widths = [0] * len(natural)
    order = sorted(range(len(natural)), key=lambda place: natural[place])
    for done, place in enumerate(order):
        fair = max(1, room // (len(natural) - done))
        widths[place] = min(natural[place], fair)
        room -= widths[place]
    return widths


def bars(counts: Sequence[int]) -> str:
    """A small picture of numbers: ▁▂▅█▃."""
    blocks, most = "▁▂▃▄▅▆▇█", max(counts, default=0)
    if not most:
        return " " * len(counts)
    return "".join(" " if not count else blocks[max(0, -(-count * 8 // most) - 1)] for count in counts)
