"""Answers that are files: whole or in part, from memory or from the blob store, without holding them in memory."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

import anyio
from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from madang.server.errors import NotFound
from madang.server.storage.blobs import BlobStore

ZERO_COPY: Final = "http.response.zerocopysend"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")

# What browsers show themselves. Everything else is downloaded, or shown as plain text: no file of a repository may
# run in a browser, where it would speak with the hub in the name of whoever looks at it.
PICTURES = {
    **{"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"},
    **{"avif": "image/avif", "bmp": "image/bmp", "ico": "image/x-icon", "mp4": "video/mp4", "webm": "video/webm"},
    **{"mp3": "audio/mpeg", "wav": "audio/wav", "flac": "audio/flac", "ogg": "audio/ogg", "m4a": "audio/mp4"},
}
TEXTS = frozenset(
    {
        *("txt", "md", "rst", "json", "jsonl", "ndjson", "yaml", "yml", "toml", "csv", "tsv", "xml", "html", "htm"),
        *("xhtml", "css", "js", "mjs", "ts", "py", "ipynb", "sh"),
        *("c", "cc", "cpp", "h", "hpp", "rs", "go", "java", "kt"),
        *("rb", "php", "pl", "r", "sql", "ini", "cfg", "conf", "log", "tex", "bib", "cff", "vocab", "merges"),
        *("dockerfile", "makefile", "license", "readme", "gitattributes", "gitignore"),
    }
)
# shown within other pages, where browsers run nothing of it, and downloaded when it is opened by itself
DRAWINGS = {"svg": "image/svg+xml", "pdf": "application/pdf"}

SAFE: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


def safe_headers(path: str, *, download: bool = False) -> dict[str, str]:
    """Headers under which a browser shows or saves the file, and never runs it."""
    name = path.rpartition("/")[2]
    ending = name.lower().rpartition(".")[2]
    kind, how = "application/octet-stream", "attachment"
    if ending in PICTURES:
        kind, how = PICTURES[ending], "inline"
    elif ending in TEXTS:
        kind, how = "text/plain; charset=utf-8", "inline"
    elif ending in DRAWINGS:
        kind = DRAWINGS[ending]
    return {**SAFE, "Content-Type": kind, "Content-Disposition": disposition("attachment" if download else how, name)}


def disposition(how: str, name: str) -> str:
    """`inline` or `attachment`, with the name of the file in both of its spellings."""
    plain = "".join(sign if " " <= sign <= "~" and sign not in '"\\%' else "_" for sign in name)
    return f"{how}; filename*=UTF-8''{quote(name.encode('utf-8', 'surrogateescape'), safe='')}; filename=\"{plain}\";"


# the bytes of a file from one place up to and without another
Opener = Callable[[int, int], Iterator[bytes]]


class StoredFile(Response):
    """A file of `size` bytes: all of it, the range that is asked for, or only that it has not changed (304).

    `headers` say what is known of it, its `ETag` among it.
    """

    def __init__(self, headers: Mapping[str, str], size: int, open_range: Opener, path: Path | None = None) -> None:
        self.status_code = 200
        self.background = None
        self.body = b""
        self.known, self.size, self.open_range, self.path = dict(headers), size, open_range, path

    @classmethod
    def of_bytes(cls, headers: Mapping[str, str], content: bytes) -> "StoredFile":
        """A small file, from memory."""
        return cls(headers, len(content), lambda start, end: iter([content[start:end]]))

    @classmethod
    def of_blob(cls, headers: Mapping[str, str], storage: BlobStore, key: str, size: int) -> "StoredFile":
        """A large file. From a folder the kernel sends it by itself, where the server can let it."""
        return cls(headers, size, lambda start, end: storage.read(key, start, end), storage.path(key))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Headers(scope=scope)
        status, start, end = self._part(asked, scope["method"])
        headers = {**self.known, "Accept-Ranges": "bytes"}
        if status == 304:
            headers = {name: text for name, text in headers.items() if not name.lower().startswith("content-")}
        else:
            headers["Content-Length"] = str(end - start)
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{self.size}"
        elif status == 416:
            headers["Content-Range"] = f"bytes */{self.size}"
        self.init_headers(headers)
        first = {"type": "http.response.start", "status": status, "headers": self.raw_headers}
        if scope["method"] == "HEAD" or start == end:
            await send(first)
            await send({"type": "http.response.body", "body": b""})
        elif self.path is not None and ZERO_COPY in (scope.get("extensions") or {}):
            await _send_by_kernel(first, self.path, start, end, send)
        else:
            await _send_in_pieces(first, self.open_range, start, end, receive, send)

    def _part(self, asked: Headers, method: str) -> tuple[int, int, int]:
        """The status, and the bytes to send."""
        etag = self.known.get("ETag", "")
        if _names(asked.get("if-none-match"), etag):
            return 304, 0, 0
        fits = _RANGE.fullmatch(asked.get("range", "").strip().lower())
        if fits is None or fits.group(0) == "bytes=-" or method != "GET":
            return 200, 0, self.size  # several ranges at once may be answered with everything
        if asked.get("if-range", etag) != etag:
            return 200, 0, self.size
        first, last = fits.groups()
        if not first:
            start, end = max(0, self.size - int(last)), self.size
        else:
            start, end = int(first), min(int(last) + 1, self.size) if last else self.size
            if last and int(last) < start:
                return 200, 0, self.size  # not a range by the standard
        if start >= end:
            return 416, 0, 0
        return 206, start, end


def _names(listed: str | None, etag: str) -> bool:
    """Whether an `If-None-Match` header names this ETag."""
    if not listed or not etag:
        return False
    return any(item.strip().removeprefix("W/") in (etag, "*") for item in listed.split(","))


async def _send_by_kernel(first: Message, path: Path, start: int, end: int, send: Send) -> None:
    try:
        file = await run_sync(os.open, path, os.O_RDONLY)
    except FileNotFoundError:
        raise NotFound("the content of this file is missing in the store of this hub.") from None
    try:
        await send(first)
        await send({"type": ZERO_COPY, "file": file, "offset": start, "count": end - start, "more_body": False})
    finally:
        os.close(file)


async def _send_in_pieces(
    first: Message, open_range: Opener, start: int, end: int, receive: Receive, send: Send
) -> None:
    """Read in threads, and stop when the client is gone. `send` waits while the client takes nothing."""
    pieces = open_range(start, end)

    async def stop_when_gone(scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    try:
        piece = await run_sync(next, pieces, b"")  # what is missing is told before the answer begins
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop_when_gone, tasks.cancel_scope)
            await send(first)
            while piece != b"":
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece = await run_sync(next, pieces, b"")
            await send({"type": "http.response.body", "body": b""})
            tasks.cancel_scope.cancel()
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            with anyio.CancelScope(shield=True):
                await run_sync(close)
