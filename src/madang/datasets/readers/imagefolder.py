"""Folders of pictures: a row per file in the column `image`."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from madang.datasets.options import refuse_unknown
from madang.datasets.readers import folder
from madang.datasets.readers.files import DataFile

ENDINGS = folder.IMAGE_ENDINGS


def settle(splits: Mapping[str, list[DataFile]], **options: Any) -> dict[str, Any]:
    """The options with which every split is read alike."""
    return folder.settle(splits, ENDINGS, **options)


def shards(files: list[DataFile], options: Mapping[str, Any]) -> list[list[DataFile]]:
    """The files in parts that can be read apart from each other."""
    return folder.shards(files, ENDINGS, options.get("metadata"))


def read(files: Iterable[Any], *, labels: Any = None, metadata: Any = None, **others: Any) -> Iterator[pa.Table]:
    """A row per picture, with its class or its metadata; pictures are opened when a row is looked at."""
    from madang.datasets.features import Image

    refuse_unknown("load_dataset('imagefolder')", others, folder.WITHOUT_EFFECT, folder.OPTIONS)
    return folder.read(files, "image", ENDINGS, Image(), labels=labels, metadata=metadata)
