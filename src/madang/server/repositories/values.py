"""Values that strangers wrote into YAML or JSON, brought into a form that databases and answers can carry."""

import datetime
import math
import re
from typing import Any

DEEPEST = 40
# what the columns that keep one word have room for
LONGEST_WORD = 96
_UNWRITABLE = re.compile("[\ud800-\udfff\0]")


def plain(value: Any, depth: int = 0) -> Any:
    """The same in what JSON has: texts without halves of characters, finite numbers of a bearable length.

    What is nested deeper than anything people write becomes None.
    """
    if depth > DEEPEST:
        return None
    if isinstance(value, str):
        return _UNWRITABLE.sub("\ufffd", value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else hex(value)[:200]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {plain(str(plain(key))): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, datetime.date):
        return value.isoformat()
    return plain(value.decode("latin-1") if isinstance(value, bytes) else str(value))


def texts(value: Any, *, most: int = 500, longest: int = 200) -> list[str]:
    """A value that is a text or a list of them, as a list, each once; anything else is left out."""
    items = value if isinstance(value, list) else [value]
    # YAML reads the language `no` as a truth
    found = ["no" if item is False else str(item) for item in items if isinstance(item, str | int | float)]
    single = [" ".join(text.split()) for text in found]
    return list(dict.fromkeys(text for text in single if 0 < len(text) <= longest and text.isprintable()))[:most]


def text(value: Any) -> str | None:
    """A value that is one short text; None for anything else."""
    found = texts(value, longest=LONGEST_WORD) if isinstance(value, str) else []
    return found[0] if found else None
