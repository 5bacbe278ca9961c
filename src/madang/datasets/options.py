"""Options that are passed on by name: those that nobody knows are refused, those of old that do nothing are let be."""

from collections.abc import Iterable

from madang.errors import UnknownNameError, unknown_name


class UnknownOptionError(UnknownNameError, TypeError):
    """An option that nobody knows, probably misspelt."""


def refuse_unknown(
    call: str, given: Iterable[str], without_effect: Iterable[str] = (), known: Iterable[str] = ()
) -> None:
    """Raise UnknownOptionError, naming the nearest, for an option of `call` that is not `known`.

    Those `without_effect` are what the datasets package takes there: they are let be.
    """
    allowed = {*without_effect, *known}
    for name in given:
        if name not in allowed:
            raise UnknownOptionError(str(unknown_name(f"option of {call}", name, allowed)))
