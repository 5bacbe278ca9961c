"""Warnings that point at the user's own line, not at ours."""

import logging
import sys
import warnings
from pathlib import Path

_HERE = str(Path(__file__).parent)


def notice(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn with `message`, as coming from the first caller outside this library; silent when its logger is."""
    if not logging.getLogger("madang").isEnabledFor(logging.WARNING):
        return
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)
