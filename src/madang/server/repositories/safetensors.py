"""How many parameters safetensors files hold, read off their headers: a few kilobytes of files of any size."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from madang.server.database import insert_new
from madang.server.errors import Unprocessable
from madang.server.git.store import FileInfo, Objects
from madang.server.repositories.files import as_json, read_file, read_part
from madang.server.repositories.records import tensor_headers

ONE_FILE, INDEX = "model.safetensors", "model.safetensors.index.json"
LONGEST_HEADER = 16 * 1024 * 1024
LONGEST_INDEX = 32 * 1024 * 1024
MOST_SHARDS = 512
MOST_ELEMENTS = 2**62
FIRST_READ = 64 * 1024
_TYPE = re.compile("[A-Z][A-Z0-9_]{0,15}")


def parameters_of(objects: Objects, tree: str) -> dict[str, Any] | None:
    """`{"parameters": {type: count}, "total": count}` of the weights of a model; None when it has none to read."""
    names = weight_files(objects, tree)
    counts: Counter[str] = Counter()
    for info in _infos(objects, tree, names):
        found = _counts(objects, info)
        if found is None:
            return None
        counts.update(found)
    return {"parameters": dict(counts), "total": sum(counts.values())} if counts else None


def weight_files(objects: Objects, tree: str) -> list[str]:
    """The files the weights are in: those an index names, else the one file."""
    content = read_file(objects, tree, INDEX, LONGEST_INDEX)
    if content is None:
        return [ONE_FILE]
    index = as_json(content)
    where = index.get("weight_map") if isinstance(index, dict) else None
    names = {name for name in where.values() if isinstance(name, str)} if isinstance(where, dict) else set()
    return sorted(names)[:MOST_SHARDS]


def headers_of(objects: Objects, tree: str, index: str) -> dict[str, Any] | None:
    """`{"index": …, "headers": {file: header}}` of the shards that the file `index` names; None if it is no index."""
    content = read_file(objects, tree, index, LONGEST_INDEX)
    found = None if content is None else as_json(content)
    where = found.get("weight_map") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(where, dict):
        return None
    folder = index.rpartition("/")[0]
    names = sorted({name for name in where.values() if isinstance(name, str)})[:MOST_SHARDS]
    headers, left = {}, LONGEST_HEADER
    for name in names:
        entry = objects.find(tree, f"{folder}/{name}" if folder else name)
        if entry is None or entry.is_folder:
            continue
        text = _header(objects, objects.file(entry.oid), left) or b""
        header = as_json(text)
        if not isinstance(header, dict):
            raise Unprocessable(
                f"the header of {name[:200]} cannot be told here: it is none, or the headers together "
                f"are longer than {LONGEST_HEADER} bytes. Ask for the first bytes of each file."
            )
        left -= len(text)
        headers[name] = header
    return {"index": {key: value for key, value in found.items() if key != "weight_map"}, "headers": headers}


def count_parameters(header: bytes) -> dict[str, int]:
    """Type -> number of elements; {} for what is no header."""
    tensors = as_json(header)
    counts: Counter[str] = Counter()
    for name, tensor in tensors.items() if isinstance(tensors, dict) else ():
        if name == "__metadata__" or not isinstance(tensor, dict):
            continue
        kind, shape = tensor.get("dtype"), tensor.get("shape")
        if not isinstance(kind, str) or not _TYPE.fullmatch(kind) or not isinstance(shape, list) or len(shape) > 32:
            return {}
        elements = 1
        for size in shape:
            if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MOST_ELEMENTS:
                return {}
            elements = min(elements * size, MOST_ELEMENTS)
        counts[kind] += elements
    if len(counts) > 32 or sum(counts.values()) > MOST_ELEMENTS:
        return {}
    return dict(counts)


def _infos(objects: Objects, tree: str, names: Iterable[str]) -> list[FileInfo]:
    entries = [objects.find(tree, name) for name in names]
    oids = [entry.oid for entry in entries if entry is not None and not entry.is_folder]
    infos = objects.files(oids)
    return [infos[oid] for oid in oids if oid in infos]


def _counts(objects: Objects, info: FileInfo) -> dict[str, int] | None:
    """What one file holds. Large files are read once, however many repositories have them."""
    if info.pointer is None:
        return count_parameters(_header(objects, info, LONGEST_HEADER) or b"") or None
    sha256 = info.pointer.sha256
    connection = objects.connection
    query = sa.select(tensor_headers.c.parameters).where(tensor_headers.c.sha256 == sha256)
    known: dict[str, int] | None = connection.scalar(query)
    if known is None:
        header = _header(objects, info, LONGEST_HEADER)
        if header is None:
            return None
        known = count_parameters(header)
        insert_new(connection, tensor_headers, [{"sha256": sha256, "parameters": known}])
    return known or None


def _header(objects: Objects, info: FileInfo, limit: int) -> bytes | None:
    """The JSON at the beginning of a safetensors file; None when there is none, or it is longer than `limit`."""
    start = b"".join(read_part(objects, info, 0, min(FIRST_READ, info.size)))
    length = int.from_bytes(start[:8], "little")
    if len(start) < 10 or start[8:9] != b"{" or length > min(limit, info.size - 8):
        return None
    rest = b"".join(read_part(objects, info, len(start), 8 + length)) if 8 + length > len(start) else b""
    return (start + rest)[8 : 8 + length]
