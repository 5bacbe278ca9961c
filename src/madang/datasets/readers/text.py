"""Text files: every line is a row of the column `text`, or every paragraph, or every file."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from madang.datasets.readers.files import DataFile, blocks, lines, local, whole, wrong_encoding
from madang.errors import InputError, unknown_name

SAMPLES = ("line", "paragraph", "document")


def read(
    files: Iterable[Any],
    *,
    encoding: str | None = "utf-8",
    encoding_errors: str | None = None,
    keep_linebreaks: bool = False,
    sample_by: str = "line",
    chunksize: int | None = None,
    column: str = "text",
    texts: Iterable[str] = (),
    types: dict[str, pa.DataType] | None = None,
) -> Iterator[pa.Table]:
    """The texts of all files, some megabytes at a time; a line break at the very end begins no further line.

    `sample_by` says what a row is: a line, a paragraph (up to an empty line) or a document (a file). Line ends of
    every system count; other signs that Unicode calls line breaks do not.
    """
    if sample_by not in SAMPLES:
        raise unknown_name("sample_by", sample_by, SAMPLES)
    encoding, errors = encoding or "utf-8", encoding_errors or "strict"
    for file in local(files):
        found = (block.replace(b"\r\n", b"\n").replace(b"\r", b"\n") for block in lines(blocks(file, encoding, errors)))
        arrays: Iterator[pa.Array]
        if sample_by == "line":
            arrays = (_lines(block, keep_linebreaks) for block in found)
        elif sample_by == "paragraph":
            arrays = _paragraphs(file, found, encoding)
        else:
            content = whole(file, encoding, errors).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            arrays = iter([_texts([content], file, encoding)])
        try:
            for array in arrays:
                array.validate(full=True)
                yield pa.table({column: array})
        except pa.ArrowInvalid as error:
            raise wrong_encoding(file, encoding, str(error)) from error


def _lines(block: bytes, keep_linebreaks: bool) -> pa.Array:
    """Each line as a text, cut without making Python objects."""
    signs = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(signs == ord("\n"))
    last = len(signs) > 0 and signs[-1] != ord("\n")
    offsets = np.empty(len(ends) + 1 + int(last), dtype=np.int32)
    offsets[0] = 0
    if keep_linebreaks:
        offsets[1 : len(ends) + 1] = ends + 1
    else:
        offsets[1 : len(ends) + 1] = ends - np.arange(len(ends))
        signs = signs[signs != ord("\n")]
    if last:
        offsets[-1] = len(signs)
    return pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(signs))


def _paragraphs(file: DataFile, found: Iterable[bytes], encoding: str) -> Iterator[pa.Array]:
    rest = b""
    for block in found:
        *complete, rest = (rest + block).split(b"\n\n")
        if complete:
            yield _texts([text for text in complete if text], file, encoding)
    if rest:
        yield _texts([rest], file, encoding)


def _texts(contents: list[bytes], file: DataFile, encoding: str) -> pa.Array:
    try:
        return pa.array([content.decode() for content in contents], pa.string())
    except UnicodeDecodeError as error:
        raise wrong_encoding(file, encoding, str(error)) from error
    except pa.ArrowInvalid as error:
        raise InputError(f"{file.name} is too large for one text: {error}. Use sample_by='line'.") from error
