"""Large files in an S3 bucket: Amazon's, or any server that speaks its protocol."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from madang.errors import ConfigError
from madang.server.errors import NotFound, StorageFull
from madang.server.storage.blobs import BlobStore, BlobWriter
from madang.server.storage.signing import signed_url
from madang.settings import S3Access

# one request reads so much: a reader who takes their time keeps no connection to the bucket waiting
PIECE = 8 * 1024 * 1024
# what is sent to the bucket at once, by as many connections; a bucket takes up to 10,000 parts of one file
PART, CONNECTIONS, MOST_PARTS = 8 * 1024 * 1024, 4, 9_000
_FULL = re.compile(r"StorageFull|QuotaExceeded|InsufficientStorage|507 ")


class S3BlobWriter(BlobWriter):
    """A multipart upload: the bucket shows nothing of it before it is completed."""

    def __init__(self, store: S3Store, key: str, size: int) -> None:
        part = max(PART, -(-size // MOST_PARTS))
        self._file = obstore.open_writer(store, key, buffer_size=part, max_concurrency=CONNECTIONS)
        self._done = False

    def write(self, data: bytes | memoryview) -> None:
        try:
            self._file.write(data)
        except (BaseError, OSError) as error:
            raise _explained(error) from error

    def commit(self) -> None:
        try:
            self._file.close()
        except (BaseError, OSError) as error:
            raise _explained(error) from error
        self._done = True

    def discard(self) -> None:
        if not self._done:
            self._done = True
            # leaving its block by an exception is how this writer is told to abort the upload
            reason = InterruptedError("the upload was given up")
            self._file.__exit__(type(reason), reason, None)


class S3BlobStore(BlobStore):
    """One object for each key, below `prefix` in `bucket`."""

    def __init__(self, bucket: str, prefix: str, access: S3Access) -> None:
        if not access.key or not access.secret:
            raise ConfigError("a bucket needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: at least one is not set.")
        self.bucket, self.prefix, self.access = bucket, prefix, access
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            config=_configuration(access),
            client_options={"allow_http": True},
            # a bucket that does not answer is reported within half a minute
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=30)},
        )

    def writer(self, key: str, size: int = 0) -> BlobWriter:
        return S3BlobWriter(self._store, key, size)

    def size(self, key: str) -> int | None:
        try:
            return int(obstore.head(self._store, key)["size"])
        except FileNotFoundError:
            return None

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        size = self.size(key)
        if size is None:
            raise NotFound(f"the blob store has no {key}.")
        end = size if end is None else min(end, size)
        for place in range(start, end, PIECE):
            yield obstore.get_range(self._store, key, start=place, end=min(place + PIECE, end)).to_bytes()

    def delete(self, key: str) -> None:
        obstore.delete(self._store, key)

    def keys(self, prefix: str = "") -> Iterator[tuple[str, int, int]]:
        page: Sequence[Any]
        for page in obstore.list(self._store, prefix or None):
            for item in page:
                yield item["path"], item["size"], int(item["last_modified"].timestamp() * 1000)

    def discard_abandoned(self, before: int) -> None:
        """Nothing to do: unfinished uploads are the bucket's, whose lifecycle rules end them."""

    def signed_address(self, key: str, seconds: int, *, file_name: str) -> str | None:
        if self.access.public == "off":
            return None
        path = f"{self.prefix}/{key}" if self.prefix else key
        return signed_url(self.access, self.bucket, path, datetime.now(UTC), seconds, file_name)


def _configuration(access: S3Access) -> Any:
    found = {
        "region": access.region,
        "access_key_id": access.key,
        "secret_access_key": access.secret,
        # servers other than Amazon's have one address for all buckets
        "virtual_hosted_style_request": not access.endpoint,
    }
    if access.endpoint:
        found["endpoint"] = access.endpoint
    if access.session_token:
        found["session_token"] = access.session_token
    return found


def _explained(error: Exception) -> Exception:
    if _FULL.search(str(error)):
        return StorageFull("the bucket of this hub is full. Nothing was kept; ask its administrator for more room.")
    return error
