"""The blob stores: a folder and a bucket behave alike."""

import errno
import hashlib
import os
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from madang.errors import ConfigError
from madang.server.errors import InvalidRequest, NotFound, StorageFull
from madang.server.large_files.service import receive
from madang.server.storage.blobs import BlobStore, blob_key
from madang.server.storage.filesystem import FolderBlobStore
from madang.server.storage.opening import open_storage
from madang.server.storage.signing import signed_query, signed_url
from madang.settings import S3Access

MEGABYTE = 2**20


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.loopback)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "folder":
        return open_storage((tmp_path / "files").as_uri())
    return open_storage(request.getfixturevalue("bucket"))


def put(store: BlobStore, key: str, content: bytes) -> None:
    with store.writer(key) as writer:
        writer.write(content)
        writer.commit()


def test_what_was_written_is_read_back_whole_and_in_ranges(store: BlobStore) -> None:
    content = os.urandom(20 * MEGABYTE + 7)
    with store.writer("a/b", len(content)) as writer:
        for place in range(0, len(content), 3 * MEGABYTE):
            writer.write(memoryview(content)[place : place + 3 * MEGABYTE])
        writer.commit()
    assert store.size("a/b") == len(content)
    assert b"".join(store.read("a/b")) == content
    for start, end in ((0, 1), (5, 5), (MEGABYTE - 1, 9 * MEGABYTE + 3), (len(content) - 3, None)):
        assert b"".join(store.read("a/b", start, end)) == content[start:end]


def test_nothing_is_seen_before_the_commit_and_nothing_stays_without_it(store: BlobStore, tmp_path: Path) -> None:
    with store.writer("a/b") as writer:
        writer.write(os.urandom(18 * MEGABYTE))
        assert store.size("a/b") is None
        assert list(store.keys()) == []
    assert store.size("a/b") is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_empty_file_is_a_file(store: BlobStore) -> None:
    put(store, "empty", b"")
    assert store.size("empty") == 0
    assert b"".join(store.read("empty")) == b""


def test_a_second_writer_replaces_what_the_first_wrote(store: BlobStore) -> None:
    with store.writer("a") as slow:
        slow.write(b"slow")
        put(store, "a", b"quick")
        slow.commit()
    assert b"".join(store.read("a")) == b"slow"


def test_a_key_that_is_not_there_is_said_to_be_missing(store: BlobStore) -> None:
    assert store.size("nothing") is None
    with pytest.raises(NotFound, match="nothing"):
        list(store.read("nothing"))
    store.delete("nothing")


def test_keys_are_listed_by_prefix_with_size_and_time(store: BlobStore) -> None:
    for key in ("sha256/ab/one", "sha256/cd/three", "parts/x/1"):
        put(store, key, key.encode())
    listed = list(store.keys("sha256/"))
    assert sorted((key, size) for key, size, _ in listed) == [("sha256/ab/one", 13), ("sha256/cd/three", 15)]
    assert all(abs(written / 1000 - datetime.now(UTC).timestamp()) < 60 for _, _, written in listed)
    assert len(list(store.keys())) == 3
    store.delete("parts/x/1")
    assert list(store.keys("parts/")) == []


def test_content_is_received_only_if_it_is_what_was_announced(store: BlobStore) -> None:
    content = os.urandom(2 * MEGABYTE)
    name = hashlib.sha256(content).hexdigest()
    wrong = {
        "SHA-256": [content[:-1], b"\0" if content[-1:] != b"\0" else b"\1"],
        "more bytes": [content, b"x"],
        "bytes came of": [content[:-5]],
    }
    for message, pieces in wrong.items():
        with pytest.raises(InvalidRequest, match=message):
            receive(store, pieces, name, len(content))
        assert list(store.keys()) == []
    receive(store, [content[:100], content[100:]], name, len(content))
    assert b"".join(store.read(blob_key(name), 50, 150)) == content[50:150]


def test_a_source_that_fails_leaves_nothing(store: BlobStore) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * 100
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        receive(store, broken(), "0" * 64, 1000)
    assert list(store.keys()) == []


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderBlobStore(tmp_path / "files")
    with store.writer("a") as writer:
        file = writer._file  # type: ignore[attr-defined]
        first = file.write

        def write(data: memoryview) -> int:
            if file.tell() >= 10:
                raise OSError(errno.ENOSPC, "No space left on device")
            return first(data[:10])

        class Full:
            def __getattr__(self, name: str) -> object:
                return write if name == "write" else getattr(file, name)

        monkeypatch.setattr(writer, "_file", Full())
        with pytest.raises(StorageFull, match="full"):
            writer.write(b"x" * 100)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_files_left_by_a_crash_go_after_their_time(tmp_path: Path) -> None:
    store = FolderBlobStore(tmp_path / "files")
    left = store.writer("a")
    left.write(b"half of a file")
    (path,) = store.incoming.iterdir()
    store.discard_abandoned(int(path.stat().st_mtime * 1000) - 5)
    assert path.exists()
    store.discard_abandoned(int(path.stat().st_mtime * 1000) + 5)
    assert not path.exists()
    left.discard()


@pytest.mark.loopback
def test_anybody_can_read_from_a_signed_address_for_a_while(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_storage(bucket)
    put(store, blob_key("ab" * 32), b"0123456789")
    address = store.signed_address(blob_key("ab" * 32), 60, file_name="모델 1.bin")
    assert address is not None
    request = urllib.request.Request(address, headers={"Range": "bytes=3-5"})
    with urllib.request.urlopen(request) as answer:
        assert (answer.status, answer.read()) == (206, b"345")
        disposition = answer.headers["Content-Disposition"]
        assert disposition == "attachment; filename*=UTF-8''%EB%AA%A8%EB%8D%B8%201.bin"
        assert answer.headers["Content-Type"] == "application/octet-stream"
    monkeypatch.setenv("MADANG_S3_PUBLIC_URL", "https://files.example/s3")
    address = open_storage(bucket).signed_address("a", 60, file_name="a")
    assert address is not None
    assert address.startswith(f"https://files.example/s3/{bucket.removeprefix('s3://')}/a?")
    monkeypatch.setenv("MADANG_S3_PUBLIC_URL", "off")
    assert open_storage(bucket).signed_address("a", 60, file_name="a") is None


def test_addresses_are_signed_as_amazon_documents_it() -> None:
    # "Authenticating Requests: Using Query Parameters", the example of the S3 API reference
    access = S3Access(key="AKIAIOSFODNN7EXAMPLE", secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    moment = datetime(2013, 5, 24, tzinfo=UTC)
    query = signed_query(access, "examplebucket.s3.amazonaws.com", "/test.txt", moment, 86400, {})
    assert query.endswith("X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")


def test_a_signed_address_of_amazon_names_the_bucket_as_its_host() -> None:
    access = S3Access(key="key", secret="secret", region="ap-northeast-2")
    address = signed_url(access, "models", "a b/c", datetime(2026, 1, 2, tzinfo=UTC), 60)
    assert address.startswith("https://models.s3.ap-northeast-2.amazonaws.com/a%20b/c?X-Amz-Algorithm=")


def test_storage_that_cannot_be_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with pytest.raises(ConfigError, match="AWS_ACCESS_KEY_ID"):
        open_storage("s3://bucket/prefix")
    with pytest.raises(ConfigError, match="file:///"):
        open_storage("ftp://somewhere")
