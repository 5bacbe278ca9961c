"""Before an upload: which way files go, which are left out, what is there already; and cards looked at before."""

import base64
import hashlib
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from madang.server.git.objects import BLOB, GitObject
from madang.server.repositories.cards import check_card, front_matter
from tests.server.committing import Clients, commit, file, large, uploaded

URL = "/api/models/alice/bert/preupload/main"


@pytest.fixture
def alice(client: Clients) -> TestClient:
    made = client("alice")
    made.post("/api/repos/create", json={"name": "bert"})
    return made


def asked(path: str, beginning: bytes = b"text", size: int | None = None) -> dict[str, Any]:
    sample = base64.b64encode(beginning[:512]).decode()
    return {"path": path, "sample": sample, "size": len(beginning) if size is None else size}


def answers(client: TestClient, *files: dict[str, Any], url: str = URL, **more: Any) -> dict[str, dict[str, Any]]:
    answer = client.post(url, json={"files": list(files), **more})
    assert answer.status_code == 200, answer.text
    return {item["path"]: item for item in answer.json()["files"]}


@pytest.mark.parametrize(
    ("wanted", "mode"),
    [
        (asked("config.json", b"{}"), "regular"),
        (asked("weights.safetensors", b"text"), "lfs"),
        (asked("a/b/model.bin", b"text"), "lfs"),
        (asked("big.txt", b"text", 10 * 1024 * 1024), "regular"),
        (asked("big.txt", b"text", 10 * 1024 * 1024 + 1), "lfs"),
        (asked("picture", b"\x89PNG\r\n\x1a\n\0\0"), "lfs"),
        (asked("zeros", b"a\0b"), "lfs"),
        (asked("korean.txt", ("가" * 200).encode()), "regular"),  # 512 bytes end within a character
        (asked("old-korean.txt", "가나다".encode("cp949")), "lfs"),
        (asked("empty.bin", b""), "regular"),
    ],
)
def test_the_way_of_a_file(alice: TestClient, wanted: dict[str, Any], mode: str) -> None:
    answer = answers(alice, wanted)[wanted["path"]]
    assert (answer["uploadMode"], answer["shouldIgnore"]) == (mode, False)


def test_the_attributes_of_the_branch_decide(alice: TestClient) -> None:
    commit(alice, file(".gitattributes", "*.special filter=lfs diff=lfs merge=lfs -text\n"))
    found = answers(alice, asked("a.special"), asked("a.safetensors"))
    assert [found[path]["uploadMode"] for path in ("a.special", "a.safetensors")] == ["lfs", "regular"]


def test_what_gitignore_names_is_left_out(alice: TestClient) -> None:
    commit(alice, file(".gitignore", "*.log\n"))
    assert answers(alice, asked("a.log"))["a.log"]["shouldIgnore"]
    sent = answers(alice, asked("a.log"), asked("a.tmp"), gitIgnore="*.tmp\n")
    assert [sent[path]["shouldIgnore"] for path in ("a.log", "a.tmp")] == [False, True]


def test_what_is_there_is_told_by_its_hash(hub: Any, alice: TestClient) -> None:
    sha256 = uploaded(hub, b"weights")
    head = commit(alice, file("a.txt", "text"), large("a.bin", sha256)).json()["commitOid"]
    found = answers(alice, asked("a.txt"), asked("a.bin"), asked("new.txt"))
    assert found["a.txt"]["oid"] == GitObject.of(BLOB, b"text").oid
    assert found["a.bin"]["oid"] == sha256 == hashlib.sha256(b"weights").hexdigest()
    assert "oid" not in found["new.txt"]
    assert alice.post(URL, json={"files": []}).json() == {"files": [], "commitOid": head}


def test_who_may_ask(client: Clients, alice: TestClient) -> None:
    body = {"files": [asked("a.txt")]}
    bob = client("bob")
    assert bob.post(URL, json=body).status_code == 403
    assert bob.post(URL + "?create_pr=1", json=body).status_code == 200
    assert client().post(URL + "?create_pr=1", json=body).status_code == 401
    assert client("bob", role="read").post(URL + "?create_pr=1", json=body).status_code == 403
    assert (
        alice.post("/api/models/alice/bert/preupload/nothing", json=body).headers["x-error-code"] == "RevisionNotFound"
    )


def test_an_illegal_path_is_refused_before_anything_is_sent(alice: TestClient) -> None:
    assert alice.post(URL, json={"files": [asked("a/../b")]}).status_code == 422
    assert alice.post(URL, json={"files": [asked("a")] * 1001}).status_code == 400
    assert alice.post(URL, json={"files": [{"path": "a", "size": -1}]}).status_code == 400


# -------------------------------------------------------------------------------------------------------- cards
VALIDATE = "/api/validate-yaml"


def card(text: str) -> str:
    return f"---\n{text}\n---\n# Title\n"


def test_a_good_card_has_nothing_wrong(client: Clients) -> None:
    answer = client().post(VALIDATE, json={"content": card("license: mit\ntags: [a]"), "repoType": "model"})
    assert (answer.status_code, answer.json()) == (200, {"errors": [], "warnings": []})


@pytest.mark.parametrize(
    "content", ["", "# Title\n", "---\n---\n# Title", "---\n# open\n", "text\n---\nlicense: mit\n---\n"]
)
def test_a_card_without_front_matter_is_warned_of(client: Clients, content: str) -> None:
    answer = client().post(VALIDATE, json={"content": content, "repoType": "model"})
    assert answer.status_code == 200
    assert answer.json()["warnings"] == [{"message": "empty or missing yaml metadata in repo card"}]


def test_people_get_lines_of_text(client: Clients) -> None:
    said = {"content": card("license: nonsense\ntags: 3"), "repoType": "model"}
    answer = client().post(VALIDATE, json=said, headers={"Accept": "text/plain"})
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/plain")
    first, second = answer.text.split("\n")
    assert first.startswith('- Error: "license" must be one of [apache-2.0, mit, ')
    assert second == '- Error: "tags" must be an array of strings'


@pytest.mark.parametrize(
    ("type", "text", "key"),
    [
        ("model", "license: [mit, nonsense]", "license"),
        ("model", "license: 3", "license"),
        ("model", "language: {a: b}", "language"),
        ("model", "pipeline_tag: [a]", "pipeline_tag"),
        ("model", "base_model_relation: child", "base_model_relation"),
        ("model", "model-index: 3", "model-index"),
        ("model", "model-index: [{results: []}]", "model-index[0].name"),
        ("dataset", "configs: [{data_files: a}]", "configs[0].config_name"),
        ("dataset", "dataset_info: [1]", "dataset_info"),
        ("space", "sdk: nonsense", "sdk"),
        ("space", "colorFrom: beige", "colorFrom"),
        ("space", "app_port: 70000", "app_port"),
        ("space", "pinned: 1", "pinned"),
    ],
)
def test_a_wrong_value_is_named(type: str, text: str, key: str) -> None:
    (error,) = check_card(card(text), type).errors
    assert error.startswith(f'"{key}" ')


def test_keys_without_a_value_say_nothing() -> None:
    assert not check_card(card("license:\ntags:\nmodel-index:\ntitle: x"), "model").errors


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + number)}: &{chr(98 + number)} [{', '.join(['*' + chr(97 + number)] * 10)}]\n" for number in range(12)
)
HOSTILE = {
    "alias bomb": BOMB,
    "alias to itself": "a: &a [*a]",
    "merge bomb": BOMB.replace("[", "{k: [").replace("]", "]}"),
    "deep": "a: " + "[" * 50_000,
    "deep blocks": "- " * 50_000 + "a",
    "deep keys": "? " * 50_000,
    "python object": "a: !!python/object/apply:os.system ['true']",
    "unknown tag": "a: !thing b",
    "long": "a: " + "x" * 600_000,
    "huge number": "a: " + "9" * 10_000,
    "no date": "a: 2024-99-99",
    "unhashable": "? [a]\n: b",
    "control": "a: \x01",
    "a list": "- a",
    "a text": "just text",
    "tab": "a:\n\t- b",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_card_is_refused_quickly(text: str) -> None:
    start = time.process_time()
    (error,) = check_card(card(text), "model").errors
    assert error.startswith(("the front matter", "the alias"))
    assert front_matter(card(text)) == {}
    assert time.process_time() - start < 5


def test_what_a_card_says_fits_json() -> None:
    text = (
        'date: 2024-05-01\nscore: .nan\nbig: .inf\n1: one\nzero: "a\\0b"\n'
        "bytes: !!binary aGVsbG8=\nset: !!set {a}\nanchor: &x [1]\nagain: *x"
    )
    assert front_matter("\ufeff" + card(text).replace("\n", "\r\n")) == {
        "date": "2024-05-01",
        "score": "nan",
        "big": "inf",
        "1": "one",
        "zero": "a\ufffdb",
        "bytes": "hello",
        "set": ["a"],
        "anchor": [1],
        "again": [1],
    }


def test_a_pushed_card_that_cannot_be_read_stops_no_commit(alice: TestClient) -> None:
    assert commit(alice, file("README.md", card(BOMB))).status_code == 200
    assert alice.get("/api/models/alice/bert").json()["cardData"] in ({}, None)
