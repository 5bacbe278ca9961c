"""Small models and inputs for tests, ours and yours; `madang.testing.hub` is a hub for them.

Names are loaded on first use: tests of a hub need no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from madang.testing.tiny import TINY, tiny_config, tiny_inputs, tiny_model

__all__ = ["TINY", "tiny_config", "tiny_inputs", "tiny_model"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"madang.testing has no {name!r}: it has {', '.join(__all__)}.")
    return getattr(import_module("madang.testing.tiny"), name)
