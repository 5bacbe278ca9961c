"""A model and its tokenizer as one function: text in, answer out. One file per task.

Importing this costs nothing; torch is loaded when the first pipeline is made.
"""

from importlib import import_module
from typing import Any

from madang.errors import nearest
from madang.pipelines.pipeline import TASKS, pipeline

# class -> the module that defines it; torch is imported there
_HOME = {
    **{place.name: place.module for place in TASKS.values()},
    "Pipeline": "madang.pipelines.task",
    "UntrainedWarning": "madang.pipelines.loading",
}

__all__ = ["pipeline", *_HOME]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"madang.pipelines has no {name!r}.{nearest(name, __all__)}")
