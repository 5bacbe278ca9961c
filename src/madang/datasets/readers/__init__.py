"""One file per format: `read(paths, **options)` makes one Arrow table of all the files."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pyarrow as pa

from madang.errors import unknown_name

# the format's name -> the file endings that mean it
FORMATS = {"csv": ("csv", "tsv"), "json": ("json", "jsonl", "ndjson"), "parquet": ("parquet",), "text": ("txt",)}


def reader(name: str) -> Callable[..., pa.Table]:
    """The `read` function of a format."""
    if name not in FORMATS:
        raise unknown_name("file format", name, FORMATS)
    read: Callable[..., Any] = import_module(f"madang.datasets.readers.{name}").read
    return read
