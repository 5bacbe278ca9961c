"""Paths of files in a repository: which are possible, and how they are spelled."""

import re
import unicodedata

from madang.server.errors import Unprocessable

LONGEST_PATH = 4096  # bytes: Linux opens no longer one
LONGEST_NAME = 255  # bytes of one part: file systems take no longer one
DEEPEST = 100
# characters that file systems of Apple leave out when they compare names
_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")


class IllegalPath(Unprocessable):
    """A path that no file of a repository can have."""

    def __init__(self, path: str, reason: str) -> None:
        shown = path[:200].encode("utf-8", "replace").decode()
        super().__init__(f"{shown!r} cannot be the path of a file: {reason}.")


def check_path(path: str) -> str:
    """The path, its characters composed (NFC): what a Mac sends decomposed is found by what others type.

    Raises IllegalPath for what leaves the repository, what git would not check out, and what no disk could hold.
    """
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise IllegalPath(path, "it is no valid text") from None
    if not path:
        raise IllegalPath(path, "it is empty")
    if path.startswith("/"):
        raise IllegalPath(path, "it begins with a slash; paths start at the top of the repository")
    if path.startswith("..\\"):
        raise IllegalPath(path, "it leads out of the repository")
    if any(sign < " " or sign == "\x7f" for sign in path):
        raise IllegalPath(path, "it holds control characters")
    if size > LONGEST_PATH:
        raise IllegalPath(path, f"it is {size} bytes long, {LONGEST_PATH} are possible")
    parts = path.split("/")
    if len(parts) > DEEPEST:
        raise IllegalPath(path, f"it is {len(parts)} folders deep, {DEEPEST} are possible")
    for part in parts:
        _check_part(path, part)
    return unicodedata.normalize("NFC", path)


def _check_part(path: str, part: str) -> None:
    if part in ("", ".", ".."):
        raise IllegalPath(path, f"one of its parts is {part!r}")
    if len(part.encode()) > LONGEST_NAME:
        raise IllegalPath(path, f"one of its parts is longer than {LONGEST_NAME} bytes")
    # git refuses to check out what Windows or macOS would take for the folder `.git`
    plain = _IGNORED.sub("", part).partition(":")[0].rstrip(" .").lower()
    if plain in (".git", "git~1"):
        raise IllegalPath(path, f"{part!r} is git's own folder")
