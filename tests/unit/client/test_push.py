"""Files into a repository."""

from pathlib import Path

import pytest

from madang.client import open_source, push_saved
from madang.errors import HubError, InputError
from tests.stand_in_hub import StandInHub

loopback = pytest.mark.loopback
WEIGHTS = bytes(range(256)) * 20


def save(folder: Path) -> None:
    """Text, bytes and a subfolder, as a model has."""
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "sub").mkdir()
    (folder / "sub" / "empty.txt").write_text("")


def push(repo_id: str, token: str = "hf_alice", **options: object) -> str:
    return push_saved(save, repo_id, **{"commit_message": "Upload", "token": token, **options})  # type: ignore[arg-type]


@loopback
def test_the_repository_is_made_and_filled_in_one_commit(hub: StandInHub) -> None:
    address = push("alice/name")
    repository = hub.repositories["alice/name"]
    assert address == f"{hub.address}/alice/name/commit/{repository.branches['main']}"
    assert hub.files("alice/name") == {
        ".gitattributes": b"",
        "config.json": b'{"model_type": "bert"}',
        "model.safetensors": WEIGHTS,
        "sub/empty.txt": b"",
    }
    assert repository.messages[-1] == "Upload"
    assert not repository.private
    assert open_source("alice/name").require("model.safetensors").read_bytes() == WEIGHTS


@loopback
def test_files_that_are_already_there_stay(hub: StandInHub) -> None:
    hub.put("alice/name", {"README.md": b"card", "config.json": b"old"})
    push("alice/name", commit_message="Better")
    assert hub.files("alice/name")["README.md"] == b"card"
    assert hub.files("alice/name")["config.json"] == b'{"model_type": "bert"}'
    assert hub.repositories["alice/name"].messages[-1] == "Better"


@loopback
def test_pushing_the_same_again_makes_no_commit(hub: StandInHub) -> None:
    first = push("alice/name")
    assert push("alice/name") == first
    assert len(hub.repositories["alice/name"].commits) == 2  # the empty one of its making, and ours


@loopback
def test_private_stays_private(hub: StandInHub) -> None:
    push("alice/name", private=True)
    assert hub.repositories["alice/name"].private
    push("alice/name")
    assert hub.repositories["alice/name"].private


@loopback
def test_a_name_alone_is_the_callers_own(hub: StandInHub) -> None:
    push("name", token="hf_bob")
    assert set(hub.repositories) == {"bob/name"}


@loopback
def test_a_branch_is_made_when_it_is_not_there(hub: StandInHub) -> None:
    for _ in range(2):
        push("alice/name", revision="v2")
    assert "config.json" in hub.files("alice/name", "v2")
    assert "config.json" not in hub.files("alice/name")


@loopback
def test_a_proposal_leaves_the_repository_of_somebody_else_as_it_is(hub: StandInHub) -> None:
    hub.put("alice/name", {"config.json": b"old"})
    assert push("alice/name", token="hf_bob", create_pr=True) == f"{hub.address}/alice/name/discussions/1"
    assert hub.files("alice/name") == {"config.json": b"old"}
    assert "model.safetensors" in hub.files("alice/name", "refs/pr/1")


@loopback
def test_refusals_say_why(hub: StandInHub) -> None:
    hub.put("alice/name", {})
    with pytest.raises(HubError, match="does not know who you are"):
        push_saved(save, "alice/name", commit_message="Upload")
    with pytest.raises(HubError, match=r"does not allow this with your token for 'alice/name': .*write access"):
        push("alice/name", token="hf_bob")
    with pytest.raises(HubError, match=r"does not allow this .* under the namespace 'alice'"):
        push("alice/new", token="hf_bob")
    assert set(hub.repositories) == {"alice/name"}


@loopback
def test_a_hub_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"http://127.0.0.1:9 could not be asked for 'alice/name'"):
        push("alice/name")


def test_impossible_names_and_options_are_refused_before_anything_is_asked_or_saved() -> None:
    for name in ("../x", "a/b/c", "a b", "", "/tmp/model"):
        with pytest.raises(InputError, match="cannot be the name of a repository"):
            push(name)
    with pytest.raises(InputError, match="leave out revision='v2'"):
        push("alice/name", create_pr=True, revision="v2")


@loopback
def test_a_save_that_fails_uploads_nothing(hub: StandInHub) -> None:
    def fail(folder: Path) -> None:
        (folder / "config.json").write_text("")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        push_saved(fail, "alice/name", commit_message="Upload", token="hf_alice")
    assert "config.json" not in hub.files("alice/name")
