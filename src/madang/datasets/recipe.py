"""How a dataset came to be, as a key that is computed when somebody asks for it."""

import uuid
from typing import Any

from madang.datasets.fingerprint import key


class Recipe:
    """A step after another recipe, or a beginning with a key of its own.

    Most datasets are never asked for their key: those in memory are not cached. So a step only notes its arguments.
    """

    __slots__ = ("_arguments", "_before", "_key", "_step")

    def __init__(self, before: "Recipe", step: str, **arguments: Any) -> None:
        self._before: Recipe | None = before
        self._step, self._arguments = step, arguments
        self._key: str | None = None

    @classmethod
    def beginning(cls, known: str | None = None) -> "Recipe":
        """A recipe with this key, or one that nothing else has."""
        made = cls.__new__(cls)
        made._before, made._step, made._arguments = None, "", {}
        made._key = known or uuid.uuid4().hex
        return made

    @property
    def key(self) -> str:
        """32 hexadecimal digits; the same for the same steps on the same data."""
        waiting, at = [], self
        while at._key is None:
            waiting.append(at)
            assert at._before is not None
            at = at._before
        found: str = at._key
        for step in reversed(waiting):
            found = step._key = key(found, step._step, step._arguments)
            step._before, step._arguments = None, {}
        return found

    def __reduce__(self) -> Any:
        return Recipe.beginning, (self.key,)
