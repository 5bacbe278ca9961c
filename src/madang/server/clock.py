"""Time as the hub keeps it: whole milliseconds since 1970, UTC."""

import time
from datetime import UTC, datetime

MINUTE = 60 * 1000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def now() -> int:
    """The present, in milliseconds."""
    return time.time_ns() // 1_000_000


def iso(milliseconds: int) -> str:
    """`2024-05-01T12:00:00.000Z`: the only form clients parse."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"
