"""What `.gitattributes` and `.gitignore` say of a path.

The patterns are those of git's documentation (gitignore, gitattributes). They come from whoever may write to a
repository, and they are matched without regular expressions: `*a*a*a*a*b` costs no more than its length times the
name's, where a regular expression could keep the hub busy for hours. What all patterns of a file may cost together is
limited too.
"""

import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Generic, TypeVar

from madang.server.errors import InvalidRequest

MOST_PATTERNS = 1000  # with wildcards; plain paths are looked up, any number of them costs nothing
# what comparing with the patterns of one file may cost at first, and what each path adds: ordinary ones need a tenth
STEPS, STEPS_OF_A_PATH = 2_000_000, 5_000
MOST_IN_BRACKETS = 100
LARGE: Final = "filter=lfs diff=lfs merge=lfs -text"

Says = TypeVar("Says")
Test = Callable[[str], bool]
_CLASSES: dict[str, Test] = {
    "alnum": lambda sign: sign.isascii() and sign.isalnum(),
    "alpha": lambda sign: sign.isascii() and sign.isalpha(),
    "blank": lambda sign: sign in " \t",
    "cntrl": lambda sign: sign < " " or sign == "\x7f",
    "digit": lambda sign: sign in string.digits,
    "graph": lambda sign: "!" <= sign <= "~",
    "lower": lambda sign: sign in string.ascii_lowercase,
    "print": lambda sign: " " <= sign <= "~",
    "punct": lambda sign: sign in string.punctuation,
    "space": lambda sign: sign in string.whitespace,
    "upper": lambda sign: sign in string.ascii_uppercase,
    "xdigit": lambda sign: sign in string.hexdigits,
}


class Steps:
    """How much may still be compared; whoever writes patterns decides what they cost."""

    def __init__(self, left: int = STEPS) -> None:
        self.left = left

    def take(self, count: int) -> None:
        """Raises InvalidRequest when none are left."""
        self.left -= count
        if self.left < 0:
            raise InvalidRequest("the patterns take too long to compare with these paths. Write fewer or simpler ones.")


_NAMED = re.compile(r"\[:([a-z]+):\]")

# One part of a pattern: characters, tests of one character, and None for `*`.
Part = tuple[str | Test | None, ...]


@dataclass(frozen=True)
class Glob:
    """A pattern, taken apart. `parts` has None for `**`. `weight` is what comparing one character costs at most."""

    parts: tuple[Part | None, ...]
    weight: int = 1

    @cached_property
    def ending(self) -> str:
        """What every name that fits ends with: by this most are told apart at once."""
        signs: list[str] = []
        for sign in reversed(self.parts[-1] or ()):
            if not isinstance(sign, str):
                break
            signs.append(sign)
        return "".join(reversed(signs))

    @property
    def plain(self) -> str | None:
        """The only path this can match, where it has no wildcard."""
        names = []
        for part in self.parts:
            if part is None or not all(isinstance(sign, str) for sign in part):
                return None
            names.append("".join(sign for sign in part if isinstance(sign, str)))
        return "/".join(names)

    def fits(self, path: list[str], steps: Steps | None = None) -> bool:
        """Raises InvalidRequest when it takes more than `steps`."""
        if not path[-1].endswith(self.ending):
            return False
        left = Steps() if steps is None else steps

        def same(part: Part | None, name: str) -> bool:
            return part is not None and _fits(part, name, _same, left, self.weight)

        return _fits(self.parts, path, same, left)


def glob(pattern: str) -> Glob | None:
    """A pattern without its marks (`!` before, `/` behind); None for one that can match nothing."""
    anchored = "/" in pattern
    pieces = pattern.removeprefix("/").split("/")
    parts: list[Part | None] = [] if anchored else [None]
    for number, piece in enumerate(pieces):
        if piece == "**":
            if not parts or parts[-1] is not None:
                parts.append(None)
            if number == len(pieces) - 1:
                parts.append((None,))  # `folder/**` is what is in the folder, and not the folder
            continue
        part = _part(piece)
        if not part:
            return None
        parts.append(part)
    brackets = (sign.weight for part in parts for sign in part or () if isinstance(sign, Bracket))
    return Glob(tuple(parts), max(brackets, default=1))


def _part(text: str) -> Part | None:
    """One part of a pattern, without slashes; None for one that is not finished."""
    found: list[str | Test | None] = []
    place = 0
    while place < len(text):
        sign = text[place]
        place += 1
        if sign == "\\":
            if place == len(text):
                return None
            found.append(text[place])
            place += 1
        elif sign == "*":
            if not found or found[-1] is not None:
                found.append(None)
        elif sign == "?":
            found.append(lambda _: True)
        elif sign == "[":
            read = _bracket(text, place)
            if read is None:
                return None
            test, place = read
            found.append(test)
        else:
            found.append(sign)
    return tuple(found)


@dataclass(frozen=True)
class Bracket:
    """The test that `[…]` stands for."""

    ranges: tuple[tuple[str, str], ...]
    tests: tuple[Test, ...]
    negated: bool

    @property
    def weight(self) -> int:
        return 1 + len(self.ranges) + len(self.tests)

    def __call__(self, sign: str) -> bool:
        found = any(low <= sign <= high for low, high in self.ranges) or any(test(sign) for test in self.tests)
        return found != self.negated


def _bracket(text: str, place: int) -> tuple[Test, int] | None:
    """The test that `[…]` stands for, and where it ends; None when it does not."""
    negated = text[place : place + 1] in ("!", "^")
    place += negated
    ranges: list[tuple[str, str]] = []
    tests: list[Test] = []
    first = True
    while place < len(text) and (first or text[place] != "]"):
        first = False
        named = _NAMED.match(text, place) if text[place] == "[" else None
        if named is not None:
            if named.group(1) not in _CLASSES:
                return None
            tests.append(_CLASSES[named.group(1)])
            place = named.end()
            continue
        low, place = _bracket_sign(text, place)
        high = low
        if text[place : place + 1] == "-" and text[place + 1 : place + 2] not in ("", "]"):
            high, place = _bracket_sign(text, place + 1)
        ranges.append((low, high))
    if place >= len(text):
        return None
    if len(ranges) + len(tests) > MOST_IN_BRACKETS:
        raise InvalidRequest(f"a pattern has more than {MOST_IN_BRACKETS} characters within brackets. Shorten it.")
    return Bracket(tuple(ranges), tuple(tests), negated), place + 1


def _bracket_sign(text: str, place: int) -> tuple[str, int]:
    """A character within brackets, and where the next one is."""
    if text[place] == "\\" and place + 1 < len(text):
        place += 1
    return text[place], place + 1


def _same(wanted: "str | Test | Part | None", sign: str) -> bool:
    return wanted == sign if isinstance(wanted, str) else callable(wanted) and wanted(sign)


def _fits(
    pattern: tuple,  # type: ignore[type-arg]
    items: "str | list[str]",
    same: Callable,  # type: ignore[type-arg]
    steps: Steps,
    weight: int = 1,
) -> bool:
    """Whether `items` are what `pattern` says, where None stands for any number of them.

    Going back to the last None only is enough, and keeps this at length times length.
    """
    at = item = 0
    after, resumed = -1, 0
    while item < len(items):
        steps.take(weight)
        if at < len(pattern) and pattern[at] is None:
            at += 1
            after, resumed = at, item
        elif at < len(pattern) and same(pattern[at], items[item]):
            at += 1
            item += 1
        elif after >= 0:
            resumed += 1
            at, item = after, resumed
        else:
            return False
    return all(left is None for left in pattern[at:])


class Patterns(Generic[Says]):
    """Patterns in the order of a file, each with what it says; the last that fits a path decides."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._plain: dict[str, list[tuple[int, Says]]] = {}
        self._wild: list[tuple[int, Glob, Says]] = []
        self._count = 0
        self._steps = Steps()

    def add(self, pattern: str, says: Says) -> None:
        made = glob(pattern)
        if made is None:
            return
        self._count += 1
        plain = made.plain
        if plain is not None:
            self._plain.setdefault(plain, []).append((self._count, says))
            return
        if len(self._wild) == MOST_PATTERNS:
            raise InvalidRequest(f"{self._file} has more than {MOST_PATTERNS} patterns with wildcards. Shorten it.")
        self._wild.append((self._count, made, says))

    def that_fit(self, path: str) -> Iterator[Says]:
        """What the patterns that fit say, the last one first. Raises InvalidRequest when finding out takes too long."""
        self._steps.left += STEPS_OF_A_PATH
        names = path.split("/")
        plain = self._plain.get(path, [])[::-1]
        for order, pattern, says in reversed(self._wild):
            while plain and plain[0][0] > order:
                yield plain.pop(0)[1]
            if pattern.fits(names, self._steps):
                yield says
        for _, says in plain:
            yield says


class Attributes:
    """A `.gitattributes` file at the top of a repository: which files are large files."""

    def __init__(self, text: str) -> None:
        self._patterns: Patterns[bool] = Patterns(".gitattributes")
        for line in text.splitlines():
            pattern, said = _attribute_line(line)
            if not pattern or pattern.startswith(("!", "[attr]")) or pattern.endswith("/"):
                continue
            for word in said:
                if word.partition("=")[0].lstrip("-!") == "filter":
                    self._patterns.add(pattern, word == "filter=lfs")

    def is_large(self, path: str) -> bool:
        """Whether the file at `path` is to be kept as a large file."""
        return next(self._patterns.that_fit(path), False)


def _attribute_line(line: str) -> tuple[str, list[str]]:
    """The pattern of a line and the attributes it gives; the pattern can stand in quotes, as in C."""
    line = line.strip(" \t\r")
    if line.startswith("#"):
        return "", []
    quoted = re.match(r'"((?:[^"\\]|\\.)*)"(?:[ \t]+|$)', line)
    if quoted is None:
        pattern, *said = line.split() or [""]
        return pattern, said
    return re.sub(r"\\(.)", r"\1", quoted.group(1)), line[quoted.end() :].split()


def large_line(path: str) -> str:
    """The line of `.gitattributes` by which git, too, knows this one file for a large file."""
    pattern = re.sub(r"([\\*?\[\]]|^!)", r"\\\1", path)
    if "/" not in path:
        pattern = "/" + pattern  # without one it would name files in every folder
    if re.search(r'[\s"]|^#', pattern):
        pattern = '"' + pattern.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{pattern} {LARGE}\n"


class Ignored:
    """A `.gitignore` file at the top of a repository."""

    def __init__(self, text: str) -> None:
        self._patterns: Patterns[tuple[bool, bool]] = Patterns(".gitignore")
        for line in text.splitlines():
            # spaces at the end count only behind a backslash
            pattern = re.sub(r"(?<!\\)[ \t\r]+$", "", line)
            if not pattern or pattern.startswith("#"):
                continue
            wanted = not pattern.startswith("!")
            pattern = pattern.removeprefix("!")
            only_folders = pattern.endswith("/")
            # a slash at the end says nothing about where the folder is
            self._patterns.add(pattern.removesuffix("/"), (wanted, only_folders))

    def __contains__(self, path: str) -> bool:
        """Whether the file at `path` is ignored, by itself or with a folder it is in."""
        names = path.split("/")
        return any(self._ignores("/".join(names[:end]), folder=end < len(names)) for end in range(1, len(names) + 1))

    def _ignores(self, path: str, *, folder: bool) -> bool:
        for wanted, only_folders in self._patterns.that_fit(path):
            if folder or not only_folders:
                return wanted
        return False
