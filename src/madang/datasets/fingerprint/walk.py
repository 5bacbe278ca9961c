"""Going through a value and everything it holds, cycles included, to one digest.

Each kind of value has a generator function (see `kinds`): it yields the values inside, each with words that say where
it is, gets the bytes that stand for them, and returns bytes that stand for the whole. They are run on a stack of their
own, so depth costs no recursion.
"""

import pickle
import struct
from collections.abc import Callable, Generator
from hashlib import blake2b
from typing import Any

from madang.errors import WrongTypeError

# what to go through, and where it was found
Step = tuple[Any, str]
Steps = Generator[Step, bytes, "bytes | Same"]
# for those that never say `Same`, and so can be part of another with `yield from`
Parts = Generator[Step, bytes, bytes]

# a text longer than this stands for itself only by its digest
_LONG = 1 << 12
_CHAIN = 5


class UnhashableError(WrongTypeError, pickle.PicklingError):
    """A value that cannot be recognised in another run: a connection, a lock, a generator, an open file."""


class RefusedError(Exception):
    """Raised by the generator of a kind: this value has no key, for the reason given."""


class Same:
    """Returned by the generator of a kind: this value counts as the one that these bytes stand for."""

    __slots__ = ("encoding",)

    def __init__(self, encoding: bytes) -> None:
        self.encoding = encoding


class Apart:
    """Yielded around a member of a set: its bytes must not depend on which members came before it."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def scalar(value: Any) -> bytes | None:
    """Bytes for a number, a text, a truth value or None, which say where they end; None for anything else."""
    kind = type(value)
    if kind is str:
        data = value.encode("utf-8", "surrogatepass")
        return b"s%d:%b" % (len(data), data) if len(data) <= _LONG else b"S" + digest(data)
    if kind is int:
        return b"i%x;" % value
    if value is None:
        return b"N"
    if kind is bool:
        return b"T" if value else b"F"
    if kind is float:
        return b"f" + struct.pack("<d", value)
    if kind is bytes:
        return b"b%d:%b" % (len(value), value) if len(value) <= _LONG else b"B" + digest(value)
    if kind is complex:
        return b"c" + struct.pack("<dd", value.real, value.imag)
    return None


def digest(data: Any) -> bytes:
    """20 bytes for a buffer of any size."""
    return blake2b(data, digest_size=20).digest()


class _Frame:
    """A value that is being gone through: its place among the unfinished ones, and the least place it refers to."""

    __slots__ = ("low", "place", "steps", "where")

    def __init__(self, steps: Steps, place: int, where: str) -> None:
        self.steps, self.where = steps, where
        self.place = self.low = place


class Walk:
    """One pass over a value. Values met twice are gone through once.

    A value that leads back to one that is still being gone through is the hard case: what stands for it depends on
    where the circle was entered. Such values wait (`pending`, as in Tarjan's algorithm for strongly connected parts)
    until the one they were entered by is finished. References into a circle are counted backwards in that list, which
    gives equal bytes for equal circles, whatever stands around them.
    """

    def __init__(self, steps_of: Callable[[Any], Steps], outer: "Walk | None" = None) -> None:
        self.steps_of, self.outer = steps_of, outer
        self.stack: list[_Frame] = []
        self.done: dict[int, bytes] = {}
        self.places: dict[int, int] = {}
        self.pending: list[int] = []
        # what was gone through stays alive, so that no other value gets its id
        self.kept: list[Any] = []

    def encode(self, value: Any, where: str = "") -> bytes:
        """Bytes that stand for `value`. Raises UnhashableError, naming what was in the way and where it is."""
        try:
            answer = self._begin(value, where)
            while self.stack:
                try:
                    child, child_where = self.stack[-1].steps.send(answer)  # type: ignore[arg-type]
                except StopIteration as end:
                    answer = self._finish(end.value)
                else:
                    answer = self._begin(child, child_where)
        except UnhashableError:
            raise
        except RefusedError as refused:
            raise UnhashableError(self._explained(str(refused))) from refused.__cause__
        except Exception as error:  # objects may fail in any way when they are looked at
            reason = f"a value cannot be looked into ({type(error).__name__}: {error})"
            raise UnhashableError(self._explained(reason)) from error
        assert answer is not None
        return answer

    def _begin(self, value: Any, where: str) -> bytes | None:
        """The bytes of a value that needs no going through; None when it does and was put on the stack."""
        answer = scalar(value)
        if answer is not None:
            return answer
        if type(value) is Apart:
            return Walk(self.steps_of, self).encode(value.value, where)
        number = id(value)
        if number in self.done:
            return self.done[number]
        answer = self._reference(number)
        if answer is None:
            place = len(self.pending)
            self.stack.append(_Frame(self.steps_of(value), place, where))
            self.pending.append(number)
            self.places[number] = place
            self.kept.append(value)
        return answer

    def _reference(self, number: int) -> bytes | None:
        """Bytes for a value that is still being gone through, here or in a walk around this one."""
        walk: Walk | None = self
        passed: list[_Frame] = []
        while walk is not None:
            here = walk.stack[-1] if walk.stack else None
            place = walk.places.get(number)
            if place is not None and here is not None:
                here.low = min(here.low, place)
                for frame in passed:
                    frame.low = -1  # depends on what is around its walk, so it is right nowhere else
                return b"^%d,%d;" % (len(passed), here.place - place)
            passed += [here] if here is not None else []
            walk = walk.outer
        return None

    def _finish(self, content: "bytes | Same") -> bytes:
        frame = self.stack.pop()
        answer = content.encoding if isinstance(content, Same) else b"#" + digest(content)
        if frame.low >= frame.place:
            # nothing in it refers to what is around it: right wherever it is met again
            for offset, number in enumerate(self.pending[frame.place :]):
                del self.places[number]
                self.done[number] = answer if offset == 0 else b"#" + digest(b"%b@%d" % (answer, offset))
            del self.pending[frame.place :]
        elif self.stack:
            self.stack[-1].low = min(self.stack[-1].low, frame.low)
        return answer

    def _explained(self, reason: str) -> str:
        places: list[str] = []
        walk: Walk | None = self
        while walk is not None:
            places += [frame.where for frame in reversed(walk.stack) if frame.where]
            walk = walk.outer
        shown = places[:_CHAIN] + (["…"] if len(places) > _CHAIN else [])
        found = f" It is {', in '.join(shown)}." if shown else ""
        return (
            f"{reason}.{found} Make it inside the function, pass what it is made from (a path, an address, a seed), "
            "or say what identifies it: by a method __madang_key__ of its class, or with "
            "madang.datasets.fingerprint.register()."
        )
