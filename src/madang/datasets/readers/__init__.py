"""One file per format: `read(files, **options)` gives the rows as Arrow tables, some megabytes at a time.

A file is a path or a `DataFile`. A table whose schema carries the features of the datasets package (as those of Parquet
files do) says what the columns hold. A format may also have `settle(splits, **options)`, which looks at the files of
all splits before any is read, and `shards(files, options)`, the parts that can be read apart from each other.
"""

from importlib import import_module
from types import ModuleType

from madang.datasets.readers.folder import AUDIO_ENDINGS, IMAGE_ENDINGS
from madang.errors import unknown_name

# the format's name -> the file endings that mean it
FORMATS: dict[str, tuple[str, ...]] = {
    "csv": ("csv", "tsv"),
    "json": ("json", "jsonl", "ndjson"),
    "parquet": ("parquet", "geoparquet", "gpq"),
    "arrow": ("arrow", "feather"),
    "text": ("txt",),
    "webdataset": ("tar",),
    "imagefolder": tuple(sorted(ending[1:] for ending in IMAGE_ENDINGS)),
    "audiofolder": tuple(sorted(ending[1:] for ending in AUDIO_ENDINGS)),
    "sql": (),
    "pandas": ("pkl", "pickle"),
    "xml": ("xml",),
}
# raised when a reader gives other rows for the same files, so that nothing of before is reused
VERSION = 1


def reader(name: str) -> ModuleType:
    """The module that reads a format."""
    if name not in FORMATS:
        raise unknown_name("file format", name, FORMATS)
    return import_module(f"madang.datasets.readers.{name}")
