"""Folders of sounds: a row per file in the column `audio`."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from madang.datasets.options import refuse_unknown
from madang.datasets.readers import folder
from madang.datasets.readers.files import DataFile

ENDINGS = folder.AUDIO_ENDINGS


def settle(splits: Mapping[str, list[DataFile]], **options: Any) -> dict[str, Any]:
    """The options with which every split is read alike."""
    return folder.settle(splits, ENDINGS, **options)


def shards(files: list[DataFile], options: Mapping[str, Any]) -> list[list[DataFile]]:
    """The files in parts that can be read apart from each other."""
    return folder.shards(files, ENDINGS, options.get("metadata"))


def read(files: Iterable[Any], *, labels: Any = None, metadata: Any = None, **others: Any) -> Iterator[pa.Table]:
    """A row per sound, with its class or its metadata; sounds are opened when a row is looked at."""
    from madang.datasets.features import Audio

    refuse_unknown("load_dataset('audiofolder')", others, folder.WITHOUT_EFFECT, folder.OPTIONS)
    return folder.read(files, "audio", ENDINGS, Audio(), labels=labels, metadata=metadata)
