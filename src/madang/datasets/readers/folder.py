"""Folders of pictures or sounds: a row per file, with its class from the folder's name, or with what `metadata.csv`,
`metadata.jsonl` or `metadata.parquet` beside the files says about them."""

import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from madang.datasets.readers.files import DataFile, Member, local
from madang.errors import DatasetGenerationError, InputError
from madang.notices import notice

IMAGE_ENDINGS = frozenset((
    ".apng", ".avif", ".blp", ".bmp", ".bufr", ".bw", ".cur", ".dcx", ".dds", ".dib", ".emf", ".eps", ".fit",
    ".fits", ".flc", ".fli", ".ftc", ".ftu", ".gbr", ".gif", ".grib", ".heic", ".icb", ".icns", ".ico", ".iim",
    ".im", ".j2c", ".j2k", ".jfif", ".jp2", ".jpc", ".jpe", ".jpeg", ".jpf", ".jpg", ".jpx", ".mpo", ".msp",
    ".pbm", ".pcd", ".pcx", ".pfm", ".pgm", ".png", ".pnm", ".ppm", ".ps", ".psd", ".pxr", ".qoi", ".ras", ".rgb",
    ".rgba", ".sgi", ".tga", ".tif", ".tiff", ".vda", ".vst", ".webp", ".wmf", ".xbm", ".xpm",
))  # fmt: skip
AUDIO_ENDINGS = frozenset((
    ".3gp", ".aac", ".aif", ".aiff", ".au", ".avr", ".caf", ".flac", ".htk", ".ircam", ".m4a", ".mat4", ".mat5",
    ".mp3", ".mpc2k", ".nist", ".oga", ".ogg", ".opus", ".paf", ".pvf", ".raw", ".rf64", ".sd2", ".sds", ".svx",
    ".voc", ".w64", ".wav", ".wavex", ".weba", ".wma", ".wve", ".xi",
))  # fmt: skip
OPTIONS = ("drop_labels", "drop_metadata", "metadata_filenames")
WITHOUT_EFFECT = ("decode_num_threads",)
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def settle(
    splits: Mapping[str, list[DataFile]],
    endings: frozenset[str],
    *,
    drop_labels: bool | None = None,
    drop_metadata: bool | None = None,
    metadata_filenames: Iterable[str] | None = None,
    **others: Any,
) -> dict[str, Any]:
    """The options with which every split is read alike: whether there are classes, which, and whether there is
    metadata. It looks at the names of all files and opens none."""
    names = tuple(metadata_filenames or METADATA)
    media = [file for files in splits.values() for file in files if _ending(file) in endings]
    described = any(os.path.basename(_place(file)) in names for files in splits.values() for file in files)
    metadata = described and not drop_metadata
    labels = sorted({posixpath.basename(posixpath.dirname(_place(file))) for file in media})
    depths = {_place(file).count("/") for file in media}
    if drop_labels is None:
        labelled = not described and len(labels) > 1 and len(depths) == 1
    else:
        labelled = not drop_labels
    return {**others, "labels": labels if labelled else None, "metadata": names if metadata else None}


def read(
    files: Iterable[Any],
    column: str,
    endings: frozenset[str],
    feature: Any,
    *,
    labels: list[str] | None = None,
    metadata: tuple[str, ...] | None = None,
) -> Iterator[pa.Table]:
    """A row per file of `endings`; files on this machine are named, others (in archives, on a hub) are taken in."""
    found = list(local(files))
    media = [file for file in found if _ending(file) in endings]
    described = [file for file in found if metadata and os.path.basename(_place(file)) in metadata]
    if described:
        yield from _described(described, media, column, feature, labels)
    else:
        for some in _some(media):
            yield _table({}, some, column, feature, labels)


def shards(files: list[DataFile], endings: frozenset[str], metadata: tuple[str, ...] | None) -> list[list[DataFile]]:
    """The files in parts that can be read apart from each other."""
    described = [file for file in files if metadata and os.path.basename(_place(file)) in metadata]
    if not described:
        media = [file for file in files if _ending(file) in endings]
        return [media[start : start + 100] for start in range(0, len(media), 100)]
    parts = []
    for about in described:
        folder = posixpath.dirname(_place(about))
        parts.append([about, *(f for f in files if f not in described and _place(f).startswith(folder))])
    return parts


def _some(files: list[DataFile]) -> Iterator[list[DataFile]]:
    """A thousand files on this machine, or as many others as take some megabytes, at a time."""
    rows = 1000 if files and type(files[0]) is DataFile else 20
    yield from (files[start : start + rows] for start in range(0, len(files), rows))


def _place(file: DataFile) -> str:
    """The path of a file within its folder or archive, with `/`."""
    if isinstance(file, Member):
        return f"{file.archive.name}/{posixpath.normpath(file.inside)}"
    return file.name.replace(os.sep, "/")


def _ending(file: DataFile) -> str:
    return os.path.splitext(_place(file))[1].lower()


def _stored(file: DataFile) -> dict[str, Any]:
    path = file.path()
    if path is not None:
        return {"bytes": None, "path": path}
    with file.open() as stream:
        return {"bytes": stream.read(), "path": posixpath.basename(_place(file))}


def _table(
    about: Mapping[str, pa.ChunkedArray], files: list[DataFile], column: str, feature: Any, labels: list[str] | None
) -> pa.Table:
    from madang.datasets.features import ClassLabel, Features, arrow_type

    features = Features({column: feature})
    made = {column: pa.array([_stored(file) for file in files], arrow_type(feature))}
    if labels is not None:
        features["label"] = ClassLabel(names=labels)
        numbers = {name: number for number, name in enumerate(labels)}
        made["label"] = pa.array(
            [numbers[posixpath.basename(posixpath.dirname(_place(file)))] for file in files], pa.int64()
        )
    rest = pa.table({name: values for name, values in about.items() if name not in made})
    described = Features.from_arrow_schema(rest.schema)
    features = Features({**features, **described})
    return pa.table({**made, **{name: rest[name] for name in rest.column_names}}, schema=features.arrow_schema)


def _described(
    described: list[DataFile], media: list[DataFile], column: str, feature: Any, labels: list[str] | None
) -> Iterator[pa.Table]:
    kinds = {os.path.splitext(file.name)[1] for file in described}
    if len(kinds) > 1:
        raise DatasetGenerationError(f"Found metadata files with different extensions: {sorted(kinds)}. Use one kind.")
    known = {_place(file): file for file in media}
    unused = dict.fromkeys(known)
    for about in described:
        folder = posixpath.dirname(_place(about))
        for table in _metadata(about):
            links = _links(about, table, column)
            files: dict[str, Any] = {}
            for source, target in links.items():
                paths = table[source].to_pylist()
                files[target] = [_linked(about, folder, path, known, unused) for path in paths]
            yield _with_files(table, links, files, column, feature, labels)
    left = [place for place in unused if place in unused]
    if left:
        notice(
            f"{len(left)} files have no row in {described[0].name} and are left out, for example {left[0]}. "
            "drop_metadata=True takes all files and leaves the metadata out."
        )


def _metadata(about: DataFile) -> Iterator[pa.Table]:
    from madang.datasets.readers import csv, json, parquet

    kind = os.path.splitext(_place(about))[1].lower()
    by_kind = {".csv": csv.read, ".jsonl": json.read, ".parquet": parquet.read}
    if kind not in by_kind:
        raise InputError(f"{about.name} is no metadata file: those are .csv, .jsonl or .parquet.")
    return by_kind[kind]([about])


def _links(about: DataFile, table: pa.Table, column: str) -> dict[str, str]:
    """Columns that name files -> the columns that hold them."""
    links = {}
    for name in table.column_names:
        if name == "file_name" or name.endswith("_file_name"):
            links[name] = name.removesuffix("file_name").removesuffix("_") or column
        elif name == "file_names" or name.endswith("_file_names"):
            links[name] = name.removesuffix("file_names").removesuffix("_") or f"{column}s"
    if not links:
        raise DatasetGenerationError(
            f"`file_name` must be present as dictionary key in metadata files, but {about.name} has only "
            f"{table.column_names}. It names the file that each row is about."
        )
    return links


def _linked(about: DataFile, folder: str, path: Any, known: Mapping[str, DataFile], unused: dict[str, None]) -> Any:
    if path is None:
        return None
    if isinstance(path, list):
        return [_linked(about, folder, one, known, unused) for one in path]
    place = posixpath.normpath(posixpath.join(folder, str(path)))
    if place not in known:
        raise DatasetGenerationError(
            f"{about.name} has a row for {path!r}, but there is no such file beside it. Remove the row or add the file."
        )
    unused.pop(place, None)
    return known[place]


def _with_files(
    table: pa.Table, links: Mapping[str, str], files: dict[str, Any], column: str, feature: Any, labels: Any
) -> pa.Table:
    from madang.datasets.features import ClassLabel, Features, List, arrow_type

    described = Features.from_arrow_schema(table.schema)
    features, made = Features(), {}
    for name in table.column_names:
        target = links.get(name)
        if target is None:
            features[name], made[name] = described[name], table[name]
            continue
        many = name.endswith("s")
        features[target] = List(feature) if many else feature
        stored = [
            None if one is None else [_stored(file) for file in one] if isinstance(one, list) else _stored(one)
            for one in files[target]
        ]
        made[target] = pa.array(stored, arrow_type(features[target]))
    if labels is not None and column in files:
        if "label" in made:
            notice(
                "ignoring metadata columns that hold the labels as well: drop_labels=False takes the folders' names."
            )
        numbers = {name: number for number, name in enumerate(labels)}
        features["label"] = ClassLabel(names=labels)
        made["label"] = pa.array(
            [None if f is None else numbers[posixpath.basename(posixpath.dirname(_place(f)))] for f in files[column]],
            pa.int64(),
        )
    return pa.table(made, schema=features.arrow_schema)
