"""Pictures for comments: what is taken, and how it is served."""

import hashlib
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from madang.server.discussions import attachments

Clients = Callable[..., TestClient]
PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 50


def test_a_picture_is_served_as_it_was_brought(client: Clients) -> None:
    alice = client("alice")
    answer = alice.post("/uploads", content=PNG, headers={"Content-Type": "text/html"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert answer.text == f"http://testserver/uploads/{hashlib.sha256(PNG).hexdigest()}"
    # twice is as good as once
    assert alice.post("/uploads", content=PNG).text == answer.text
    picture = client().get(answer.text)
    assert picture.content == PNG
    assert picture.headers["content-type"] == "image/png"
    assert picture.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in picture.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"\xff\xd8\xff\xe0JFIF", "image/jpeg"),
        (b"GIF89a....", "image/gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x1cftypavif....", "image/avif"),
    ],
)
def test_pictures_are_known_by_their_bytes(client: Clients, content: bytes, media_type: str) -> None:
    alice = client("alice")
    assert alice.get(alice.post("/uploads", content=content).text).headers["content-type"] == media_type


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<html>",
        b"%PDF-1.7",
        b"\0\0\0\x1cftypmp42",
    ],
)
def test_only_pictures_without_scripts_are_taken(client: Clients, content: bytes) -> None:
    alice = client("alice")
    answer = alice.post("/uploads", content=content, headers={"Content-Type": "image/png"})
    assert answer.status_code == 400
    assert alice.get(f"/uploads/{hashlib.sha256(content).hexdigest()}").status_code == 404


def test_only_signed_in_people_bring_pictures(client: Clients) -> None:
    assert client().post("/uploads", content=PNG).status_code == 401
    assert client("alice", role="read").post("/uploads", content=PNG).status_code == 403


def test_pictures_have_a_greatest_size(client: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "LARGEST", 100)
    alice = client("alice")
    assert alice.post("/uploads", content=PNG + b"x" * 100).status_code == 400

    def without_a_length() -> object:
        yield PNG
        yield b"x" * 100

    assert alice.post("/uploads", content=without_a_length()).status_code == 400
    assert alice.post("/uploads", content=PNG, headers={"Content-Length": "-1"}).status_code == 400


def test_an_account_brings_so_much_a_day(client: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "DAILY_BYTES", 150)
    alice = client("alice")
    answers = [alice.post("/uploads", content=PNG + bytes([number])) for number in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert client("bob").post("/uploads", content=PNG).status_code == 200


@pytest.mark.parametrize("name", ["x", "..%2F..%2Fhub.sqlite3", "A" * 64, "f" * 64, "%00"])
def test_addresses_nobody_was_given_lead_nowhere(client: Clients, name: str) -> None:
    assert client().get(f"/uploads/{name}").status_code in (400, 404)
