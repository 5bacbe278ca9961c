"""The blob store that an address names."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from madang.errors import ConfigError
from madang.server.storage.blobs import BlobStore
from madang.settings import s3_access


def open_storage(url: str) -> BlobStore:
    """`file:///folder` or `s3://bucket/prefix`. Raises ConfigError for anything else."""
    parts = urlsplit(url)
    # each kind of store is loaded where it is used: that of buckets takes a third of a second
    if parts.scheme == "file":
        from madang.server.storage.filesystem import FolderBlobStore

        return FolderBlobStore(Path(unquote(parts.path)))
    if parts.scheme == "s3":
        from madang.server.storage.s3 import S3BlobStore

        return S3BlobStore(parts.netloc, parts.path.strip("/"), s3_access())
    raise ConfigError(f"MADANG_STORAGE_URL={url!r} is neither file:///… nor s3://bucket/….")
