import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from madang.datasets import DownloadConfig, load_dataset, urls
from madang.datasets.urls import RangeReader, downloaded
from madang.errors import HubError, UnreachableHubError

pytestmark = pytest.mark.loopback


class Site:
    """A web server of some files, which counts what it is asked."""

    def __init__(self):
        self.files, self.requests, self.ranges, self.tags, self.failures = {}, [], True, True, []
        self.moved = {}
        site = self

        class Answering(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_HEAD(self):
                self.do_GET()

            def do_GET(self):
                site.requests.append((self.command, self.path, dict(self.headers)))
                if self.path in site.moved:
                    return self.say(302, b"", {"Location": site.moved[self.path]})
                content = site.files.get(self.path)
                if site.failures:
                    failure = site.failures.pop(0)
                    if failure != "cut":
                        return self.say(failure, b"", {})
                    return self.say(200, content[:1], {"ETag": '"x"'}, len(content))
                if content is None:
                    return self.say(404, b"", {})
                headers = {"ETag": f'"{hash(content)}"'} if site.tags else {}
                if site.tags and self.headers.get("If-None-Match") == headers["ETag"]:
                    return self.say(304, b"", headers)
                asked = self.headers.get("Range")
                if asked and site.ranges:
                    first, last = (int(number) for number in asked.removeprefix("bytes=").split("-"))
                    if first >= len(content):
                        return self.say(416, b"", headers)
                    part = content[first : last + 1]
                    place = f"bytes {first}-{first + len(part) - 1}/{len(content)}"
                    return self.say(206, part, {**headers, "Content-Range": place})
                return self.say(200, content, headers)

            def say(self, status, content, headers, announced=None):
                self.close_connection = announced is not None
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(announced or len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()


@pytest.fixture
def site(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    monkeypatch.setattr(urls.time, "sleep", lambda _: None)
    urls._fresh.clear()
    running = Site()
    yield running
    running.server.shutdown()
    running.server.server_close()
    running.thread.join()


def bodies(site):
    return [path for command, path, _ in site.requests if command == "GET"]


def test_a_file_is_downloaded_once_while_it_stays_the_same(site):
    site.files["/a.csv"] = b"n\n1\n"
    address = f"{site.address}/a.csv"
    assert load_dataset("csv", data_files=address, split="train")["n"] == [1]
    urls._fresh.clear()
    assert load_dataset("csv", data_files=address, split="train")["n"] == [1]
    assert len(bodies(site)) == 1
    site.files["/a.csv"] = b"n\n2\n"
    urls._fresh.clear()
    assert load_dataset("csv", data_files=address, split="train")["n"] == [2]


def test_only_the_split_that_is_asked_for_is_downloaded(site):
    site.files |= {"/a.csv": b"n\n1\n", "/b.csv": b"n\n2\n"}
    files = {"train": f"{site.address}/a.csv", "test": f"{site.address}/b.csv"}
    assert load_dataset("csv", data_files=files, split="test")["n"] == [2]
    assert bodies(site) == ["/b.csv"]


def test_a_server_without_versions_is_asked_each_time(site):
    site.tags = False
    site.files["/a.csv"] = b"n\n1\n"
    address = f"{site.address}/a.csv"
    assert load_dataset("csv", data_files=address, split="train")["n"] == [1]
    site.files["/a.csv"] = b"n\n2\n"
    urls._fresh.clear()
    assert load_dataset("csv", data_files=address, split="train")["n"] == [2]


def test_what_was_downloaded_is_there_offline(site, monkeypatch):
    site.files["/a.csv"] = b"n\n1\n"
    load_dataset("csv", data_files=f"{site.address}/a.csv", split="train")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    urls._fresh.clear()
    asked = len(site.requests)
    assert load_dataset("csv", data_files=f"{site.address}/a.csv", split="train")["n"] == [1]
    with pytest.raises(UnreachableHubError, match="was never downloaded"):
        load_dataset("csv", data_files=f"{site.address}/b.csv")
    assert len(site.requests) == asked


def test_a_busy_server_is_asked_again_and_a_missing_file_is_named(site, tmp_path):
    site.files["/a.csv"] = b"n\n1\n"
    site.failures = [503, 429]
    assert downloaded(f"{site.address}/a.csv", {}, tmp_path).read_bytes() == b"n\n1\n"
    with pytest.raises(FileNotFoundError, match=r"Unable to find http.*/none\.csv"):
        load_dataset("csv", data_files=f"{site.address}/none.csv")
    site.failures = [403]
    with pytest.raises(HubError, match="answered 403"):
        downloaded(f"{site.address}/b.csv", {}, tmp_path)
    with pytest.raises(UnreachableHubError, match="tried 4 times"):
        downloaded("http://127.0.0.1:9/a.csv", {}, tmp_path)


def test_a_connection_that_breaks_in_the_middle_is_made_again(site, tmp_path):
    site.files["/a.csv"] = b"n\n1\n"
    site.failures = ["cut"]
    assert downloaded(f"{site.address}/a.csv", {}, tmp_path).read_bytes() == b"n\n1\n"
    site.failures = ["cut"]
    assert RangeReader(f"{site.address}/a.csv", {}).read() == b"n\n1\n"


def test_no_token_is_sent_to_other_servers(site):
    site.files["/a.csv"] = b"n\n1\n"
    load_dataset("csv", data_files=f"{site.address}/a.csv", token="hf_secret")
    assert not [headers for _, _, headers in site.requests if "Authorization" in headers or "authorization" in headers]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_on_the_web_is_read_from_any_place(site, ranges, monkeypatch):
    monkeypatch.setattr(urls, "_WINDOW", 1000)
    site.ranges = ranges
    content = bytes(range(256)) * 40
    site.files["/a"] = content
    reader = RangeReader(f"{site.address}/a", {})
    assert reader.read(10) == content[:10]
    assert reader.seek(5000) == 5000
    assert reader.read(3000) == content[5000:8000]
    assert reader.seek(-20, 2) == len(content) - 20
    assert reader.read() == content[-20:]
    assert reader.read() == b""
    reader.seek(3)
    assert reader.read(4) == content[3:7]
    reader.close()


@pytest.mark.parametrize("ranges", [True, False])
def test_streams_read_the_web_without_keeping_it(site, ranges, tmp_path):
    site.ranges = ranges
    table = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": [1, 2, 3]}), table)
    site.files |= {"/a.parquet": table.read_bytes(), "/a.csv": b"n\n1\n2\n3\n"}
    for kind in ("parquet", "csv"):
        stream = load_dataset(kind, data_files=f"{site.address}/a.{kind}", split="train", streaming=True)
        assert [row["n"] for row in stream] == [1, 2, 3]
    assert not (tmp_path / "datasets" / "downloads").exists()


GIVEN = {"Authorization": "Bearer x", "X-Key": "secret", "Cookie": "a=b"}


def given(site):
    return [{name for name in GIVEN if name in {key.title() for key in headers}} for _, _, headers in site.requests]


def test_headers_are_sent_to_the_server_they_are_for_and_to_no_other(site, tmp_path):
    other = Site()
    try:
        other.files["/b.csv"] = b"n\n1\n"
        site.moved = {"/a.csv": "/c.csv", "/c.csv": f"{other.address}/b.csv"}
        assert downloaded(f"{site.address}/a.csv", GIVEN, tmp_path).read_bytes() == b"n\n1\n"
        assert RangeReader(f"{site.address}/a.csv", GIVEN).read(2) == b"n\n"
        assert given(site) == [set(GIVEN)] * 4
        assert given(other) == [set()] * 2
        assert other.requests[1][2]["Range"].startswith("bytes=0-")
    finally:
        other.server.shutdown()
        other.server.server_close()
        other.thread.join()


def test_servers_that_send_us_in_circles_are_left(site, tmp_path):
    site.moved = {"/a.csv": "/a.csv"}
    with pytest.raises(HubError, match="moved more than"):
        downloaded(f"{site.address}/a.csv", {}, tmp_path)


def test_there_is_no_waiting_after_the_last_try(site, monkeypatch, tmp_path):
    waits = []
    monkeypatch.setattr(urls.time, "sleep", waits.append)
    site.files["/a.csv"] = b"n\n1\n"
    site.failures = ["cut"] * 9
    with pytest.raises(UnreachableHubError, match="tried 4 times"):
        downloaded(f"{site.address}/a.csv", {}, tmp_path)
    assert len(waits) == 3


def test_settings_for_downloads_are_honoured(site, tmp_path):
    site.files["/a.csv"] = b"n\n1\n"
    site.failures = [503, 503, 503]
    with pytest.raises(UnreachableHubError, match="tried 3 times"):
        downloaded(f"{site.address}/a.csv", {}, tmp_path, how=urls.How(tries=3))
    here = DownloadConfig(local_files_only=True, disable_tqdm=True, max_retries=2)
    with pytest.raises(UnreachableHubError, match="was never downloaded"):
        load_dataset("csv", data_files=f"{site.address}/a.csv", split="train", download_config=here)
    load_dataset("csv", data_files=f"{site.address}/a.csv", split="train")
    urls._fresh.clear()
    asked = len(site.requests)
    assert load_dataset("csv", data_files=f"{site.address}/a.csv", split="train", download_config=here)["n"] == [1]
    stream = load_dataset(
        "csv", data_files=f"{site.address}/a.csv", split="train", download_config=here, streaming=True
    )
    assert [row["n"] for row in stream] == [1]
    assert len(site.requests) == asked
