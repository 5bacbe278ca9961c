"""What images and sounds have in common: bytes, or the path of a file that has them."""

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from madang.datasets.features.kinds import is_text
from madang.errors import InputError, MissingFileError, WrongTypeError

# an address on a server, or what lies in an archive there; nothing may follow that leads back to this machine
_ON_A_SERVER = r"^(?:(?:zip|tar)://(?:[^:]|:[^:])*::)*(?:https?|hf)://(?:[^:]|:[^:])*:?$"
STORAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


class DecodingOffError(InputError, RuntimeError):
    """A column with `decode=False` was asked to decode."""


class MissingMediaError(MissingFileError, FileNotFoundError):
    """The file of an image or a sound is not where its path says."""


def encode_file(value: Any, kind: str) -> dict[str, Any] | None:
    """What is stored for a path, for bytes, or for a dict of both; None when `value` is nothing of the kind.

    The bytes of files that are there are not copied.
    """
    if isinstance(value, str):
        return {"path": value, "bytes": None}
    if isinstance(value, os.PathLike):
        return {"path": str(Path(value).absolute()), "bytes": None}
    if isinstance(value, (bytes, bytearray)):
        return {"path": None, "bytes": bytes(value)}
    if not isinstance(value, Mapping):
        return None
    path, content = value.get("path"), value.get("bytes")
    if path is None and content is None:
        raise InputError(f"{kind} needs a 'path' or 'bytes', and neither is in {_short(value)}.")
    if path is not None and os.path.isfile(path):
        content = None
    return {"path": path, "bytes": content}


def stored_parts(value: Mapping[str, Any], kind: str) -> tuple[str | None, bytes | None]:
    """Path and bytes of a stored value, one of which is there."""
    path, content = value.get("path"), value.get("bytes")
    if path is None and content is None:
        raise InputError(f"{kind} needs a 'path' or 'bytes', and both are None in {_short(value)}.")
    return path, content


def is_remote(path: str) -> bool:
    """Whether `path` is an address, not the path of a local file."""
    return "://" in path


def read_file(path: str, tokens: Mapping[str, Any] | None = None) -> bytes:
    """The contents of the file at a local path, an address (`https://`, `hf://`) or inside an archive (`zip://a.png::b.zip`).

    `tokens` are those of private repositories, by repository id. Raises MissingMediaError for a local path without
    a file.
    """
    if not is_remote(path):
        try:
            return Path(path).read_bytes()
        except FileNotFoundError as error:
            raise MissingMediaError(f"there is no file {path!r}. Relative paths start at {os.getcwd()!r}.") from error
    options: dict[str, Any] = {}
    address = urlsplit(path.split("::")[-1])
    if address.scheme == "hf":
        repository = "/".join(f"{address.netloc}{address.path}".removeprefix("datasets/").split("/")[:2])
        options = {"hf": {"token": (tokens or {}).get(repository.partition("@")[0])}}
    with import_module("fsspec").open(path, "rb", **options) as file:
        content: bytes = file.read()
    return content


def cast_storage(array: pa.Array, encode: Callable[[np.ndarray[Any, Any]], dict[str, Any]] | None = None) -> pa.Array:
    """Paths, bytes or structs of those as the struct that is stored; arrays of numbers through `encode`."""
    kind, empty = array.type, array.is_null()
    if isinstance(kind, pa.BaseExtensionType):
        return cast_storage(array.storage, encode)
    if kind.equals(STORAGE):
        return array
    if pa.types.is_null(kind):
        return pa.nulls(len(array), STORAGE)
    if pa.types.is_struct(kind):
        members = dict(zip((member.name for member in kind), array.flatten(), strict=True))
        if not {"bytes", "path"} & set(members):
            raise WrongTypeError(f"a struct of {list(members)} has neither 'bytes' nor 'path'.")
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        members = {"bytes": array}
    elif is_text(kind):
        members = {"path": array}
    elif encode is not None and (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        encoded = [None if value is None else encode(np.array(value)) for value in array.to_pylist()]
        return pa.array(encoded, STORAGE)
    else:
        raise WrongTypeError(f"{kind} is neither a path, bytes nor a struct of those.")
    parts = [
        members[part.name].cast(part.type) if part.name in members else pa.nulls(len(array), part.type)
        for part in STORAGE
    ]
    return pa.StructArray.from_arrays(parts, fields=list(STORAGE), mask=empty)


def embed_storage(array: pa.Array, tokens: Mapping[str, Any] | None = None) -> pa.Array:
    """The same with the contents of the files in `bytes`; of paths only the file names are left."""

    def content(value: dict[str, Any] | None) -> bytes | None:
        if value is None or value["bytes"] is not None or value["path"] is None:
            return None if value is None else value["bytes"]
        return read_file(value["path"], tokens)

    contents = pa.array([content(value) for value in array.to_pylist()], pa.binary())
    paths = [None if path is None else path.replace("\\", "/").rpartition("/")[2] for path in _paths(array)]
    return pa.StructArray.from_arrays(
        [contents, pa.array(paths, pa.string())], fields=list(STORAGE), mask=array.is_null()
    )


def without_local_paths(array: pa.Array) -> pa.Array:
    """The same, where of a path on this machine that no bytes stand beside only the file's name is left.

    Whoever wrote data that came from elsewhere shall not choose which files here are read, and published. Addresses on
    servers stay.
    """
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        names = pc.replace_substring_regex(array, pattern=r"(?s)^.*[/\\]", replacement="")
        return pc.if_else(pc.match_substring_regex(array, pattern=_ON_A_SERVER), array, names)
    if not pa.types.is_struct(kind) or kind.get_field_index("path") < 0:
        return array
    members = array.flatten()
    place, content = kind.get_field_index("path"), kind.get_field_index("bytes")
    alone = members[content].is_null() if content >= 0 else pa.scalar(True)
    members[place] = pc.if_else(alone, without_local_paths(members[place]), members[place])
    return pa.StructArray.from_arrays(members, fields=list(kind), mask=array.is_null())


def _paths(array: pa.Array) -> list[str | None]:
    paths: list[str | None] = array.field("path").to_pylist()
    return paths


def _short(value: Any) -> str:
    return repr(value)[:200]
