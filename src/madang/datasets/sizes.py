"""Numbers of bytes as people write them."""

import re
from typing import Any

from madang.errors import InputError

_UNITS = {letter: 1000**power for power, letter in enumerate(("", "K", "M", "G", "T", "P"))}
_BINARY = {f"{letter}I": 1024**power for power, letter in enumerate("KMGTP", 1)}


def read_size(size: Any) -> int:
    """Bytes from `20GB`, `500 MB`, `1.5TiB` or a number. KB, MB, GB count in thousands, KiB, MiB, GiB in 1024.

    Raises InputError for anything else, also for a number below 0.
    """
    if isinstance(size, int) and not isinstance(size, bool) and size >= 0:
        return size
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGTP]?I?)B?\s*", str(size).upper())
    unit = None if found is None else {**_UNITS, **_BINARY}.get(found[2])
    if found is None or unit is None:
        raise InputError(
            f"`size={size!r}` is not in a valid format: write it like 20GB, 500MB, 1.5TiB, or as a number of bytes."
        )
    return int(float(found[1]) * unit) if "." in found[1] else int(found[1]) * unit


def readable(count: int) -> str:
    """Bytes for people: `1.2 GB`."""
    if count < 1000:
        return f"{count} bytes"
    number = float(count)
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        number /= 1000
        if number < 999.95 or unit == "PB":
            break
    return f"{number:.1f} {unit}"
