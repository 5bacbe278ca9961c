"""The body of a commit: one JSON object on each line, read as it comes, whatever its length.

The content of a file stands in base64 within its line. It is decoded on the way and goes to disk when it is large, so
that no body, and no line, is ever in memory as a whole.
"""

import binascii
import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from madang.server.errors import InvalidRequest, Refusal
from madang.server.repositories.changes import Draft

# of a line without the content in it
LONGEST_LINE = 256 * 1024
# contents up to this size are in memory while they are read, longer ones in a temporary file
IN_MEMORY = 1024 * 1024
# a quote within JSON text has a backslash before it, so this is a key wherever it is found
_CONTENT = re.compile(rb'"content"\s*:\s*"')
_SHA256 = re.compile("[0-9a-f]{64}")
_PARENT = re.compile("[0-9a-f]{5,40}")


class LineTooLong(Refusal):
    """A line that is not content and has no end."""

    status = 413

    def __init__(self, number: int) -> None:
        super().__init__(f"line {number} of the commit is longer than {LONGEST_LINE} bytes without its content.")


@dataclass(frozen=True)
class Header:
    """What the first line says."""

    summary: str
    description: str
    parent: str | None

    @property
    def message(self) -> str:
        return f"{self.summary}\n\n{self.description}" if self.description else self.summary


class CommitBody:
    """Takes a body in pieces, and puts what it says into a draft. All methods block.

    with CommitBody(draft, folder) as body:
        body.feed(piece)
        header = body.finish()
    """

    def __init__(self, draft: Draft, folder: Path) -> None:
        self._draft, self._folder = draft, folder
        self._line = bytearray()  # the current one, without content
        self._number = 1
        self._reading: _Content | None = None  # the content the next bytes belong to
        self._content: _Content | None = None  # that of the current line
        self._header: Header | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises InvalidRequest and what the draft raises."""
        place = 0
        while place < len(data):
            if self._reading is not None:
                place = self._feed_content(data, place)
                continue
            end = data.find(b"\n", place)
            stop = len(data) if end < 0 else end
            self._line += data[place:stop]
            found = _CONTENT.search(self._line) if self._content is None else None
            if found is not None:
                place = stop - (len(self._line) - found.end())
                del self._line[found.end() :]
                self._reading = self._content = _Content(self._folder, self._number)
                continue
            if len(self._line) > LONGEST_LINE:
                raise LineTooLong(self._number)
            place = stop
            if end >= 0:
                self._end_line()
                place += 1

    def finish(self) -> Header:
        """The header, when all bytes were taken. Raises InvalidRequest when the body ends in the middle."""
        if self._reading is not None:
            raise InvalidRequest(f"the commit ends within the content of line {self._number}.")
        self._end_line()
        if self._header is None:
            raise InvalidRequest("the commit is empty: its first line must be a header with a summary.")
        return self._header

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._content is not None:
            self._content.file.close()

    def _feed_content(self, data: bytes, place: int) -> int:
        assert self._reading is not None
        end = data.find(b'"', place)
        stop = len(data) if end < 0 else end
        self._reading.write(data[place:stop])
        if end >= 0:
            self._reading.end()
            self._reading = None
        return stop

    def _end_line(self) -> None:
        line, content = bytes(self._line).strip(), self._content
        self._line, self._content = bytearray(), None
        try:
            if line:
                key, value = self._parsed(line)
                self._take(key, value, content)
        finally:
            if content is not None:
                content.file.close()
        self._number += 1

    def _parsed(self, line: bytes) -> tuple[str, dict[str, Any]]:
        try:
            item = json.loads(line)
        except (ValueError, RecursionError):
            raise InvalidRequest(f"line {self._number} of the commit is no JSON.") from None
        if (
            not isinstance(item, dict)
            or not isinstance(item.get("value"), dict)
            or not isinstance(item.get("key"), str)
        ):
            raise InvalidRequest(f"line {self._number} of the commit must be an object with key and value.")
        return item["key"], item["value"]

    def _take(self, key: str, value: dict[str, Any], content: "_Content | None") -> None:
        if key == "header":
            if self._header is not None:
                raise InvalidRequest(f"line {self._number} of the commit is a second header.")
            self._header = self._read_header(value)
            return
        if self._header is None:
            raise InvalidRequest("the first line of a commit must be its header.")
        path = self._text(value, "path")
        match key:
            case "file":
                if content is None or value.get("encoding", "base64") != "base64":
                    raise InvalidRequest(f"line {self._number}: a file needs its content, with the encoding base64.")
                self._draft.put(path, content.file, content.size)
            case "lfsFile":
                self._draft.put_large(path, *self._large(value))
            case "deletedFile" | "deletedFolder":
                self._draft.remove(path)
            case "copyFile":
                revision = self._text(value, "srcRevision") if value.get("srcRevision") is not None else None
                self._draft.copy(path, self._text(value, "srcPath"), revision)
            case _:
                raise InvalidRequest(
                    f"line {self._number}: the key {key[:50]!r} is none of header, file, lfsFile, deletedFile, "
                    "deletedFolder and copyFile."
                )

    def _read_header(self, value: dict[str, Any]) -> Header:
        summary = " ".join(_readable(self._text(value, "summary")).split())
        if not summary:
            raise InvalidRequest("a commit needs a summary.")
        parent = value.get("parentCommit") or None
        if parent is not None and not (isinstance(parent, str) and _PARENT.fullmatch(parent)):
            raise InvalidRequest("parentCommit must be 5 to 40 hex digits of a commit.")
        description = value.get("description")
        return Header(summary, _readable(description).strip() if isinstance(description, str) else "", parent)

    def _large(self, value: dict[str, Any]) -> tuple[str, int | None]:
        sha256, size = self._text(value, "oid"), value.get("size")
        if value.get("algo", "sha256") != "sha256" or not _SHA256.fullmatch(sha256):
            raise InvalidRequest(f"line {self._number}: a large file is named by its sha256, 64 hex digits.")
        if size is not None and (type(size) is not int or size < 0):
            raise InvalidRequest(f"line {self._number}: the size must be a number of bytes.")
        return sha256, size

    def _text(self, value: dict[str, Any], key: str) -> str:
        found = value.get(key)
        if not isinstance(found, str):
            raise InvalidRequest(f"line {self._number}: {key} must be a text.")
        return found


class _Content:
    """Base64 on its way into a file."""

    def __init__(self, folder: Path, line: int) -> None:
        self.file = tempfile.SpooledTemporaryFile(IN_MEMORY, dir=str(folder))  # noqa: SIM115 - closed with its line
        self.size = 0
        self._line, self._rest, self._ended = line, b"", False

    def write(self, data: bytes) -> None:
        data = self._rest + data
        if b"\\" in data:
            # JSON lets some write `\/` for `/`, and line breaks are no part of base64
            self._rest = b"\\" if data.endswith(b"\\") else b""
            data = data.removesuffix(b"\\").replace(b"\\/", b"/").replace(b"\\n", b"").replace(b"\\r", b"")
        else:
            self._rest = b""
        whole = len(data) - len(data) % 4
        self._rest = data[whole:] + self._rest
        self._decode(data[:whole])

    def end(self) -> None:
        if self._rest:
            self._decode(self._rest)

    def _decode(self, data: bytes) -> None:
        if not data:
            return
        try:
            if self._ended:
                raise binascii.Error
            decoded = binascii.a2b_base64(data, strict_mode=True)
        except binascii.Error:
            raise InvalidRequest(f"the content in line {self._line} of the commit is no base64.") from None
        self._ended = data.endswith(b"=")
        self.file.write(decoded)
        self.size += len(decoded)


def _readable(text: str) -> str:
    """Text that git can keep: without what is no character, and without zeros."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")
