"""Files from a folder, from a hub, from the cache, and what is said when there are none."""

import json
from pathlib import Path

import pytest

import madang.client.source
from madang.client import Source, open_source
from madang.errors import HubError, InputError, MissingFileError
from tests.stand_in_hub import StandInHub

loopback = pytest.mark.loopback
NOWHERE = "http://127.0.0.1:9"  # nothing listens on the port for discarding


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client waits between its attempts; here it needs no time."""
    import huggingface_hub.utils._http

    class Time:
        @staticmethod
        def sleep(_: float) -> None: ...

    monkeypatch.setattr(huggingface_hub.utils._http, "time", Time)


# a folder ---------------------------------------------------------------------------------------------------------


def test_a_folder_gives_its_files(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "a.json").write_text("{}")
    source = open_source(tmp_path, subfolder="inside/")
    assert source.require("a.json") == tmp_path / "inside" / "a.json"
    assert source.path("b.json") is None
    with pytest.raises(MissingFileError, match=r"the folder .* has no file 'b.json' in 'inside'"):
        source.require("b.json")


def test_the_home_folder_may_be_spelled_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "model").mkdir()
    assert open_source("~/model").folder == tmp_path / "model"


def test_an_open_source_is_given_back(tmp_path: Path) -> None:
    source = open_source(tmp_path)
    assert open_source(source) is source


def test_files_outside_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("")
    (tmp_path / "model").mkdir()
    with pytest.raises(InputError, match="not the name of a file inside"):
        open_source(tmp_path / "model").path("../secret")
    with pytest.raises(InputError, match="leads out of"):
        open_source(tmp_path / "model", subfolder="../other")


@pytest.mark.parametrize("name", ["./no", "/no/where", "~/nowhere-at-all", "a/b/c", "..\\x", "../x"])
def test_a_path_that_is_not_there_is_never_asked_for(name: str) -> None:
    with pytest.raises(MissingFileError, match="there is no folder"):
        open_source(name)


@pytest.mark.parametrize("name", ["", "a b", "owner/na me", "owner/..", "a--b", "모델", "owner/x.git"])
def test_an_impossible_name_is_never_asked_for(name: str) -> None:
    with pytest.raises(MissingFileError, match="neither a folder here nor a possible name"):
        open_source(name)


def test_a_revision_cannot_be_a_way_out_of_the_cache() -> None:
    with pytest.raises(InputError, match="not the name of a branch"):
        open_source("owner/name", revision="../../elsewhere")


# a repository -----------------------------------------------------------------------------------------------------


@loopback
def test_files_come_from_the_commit_that_was_found_first(hub: StandInHub) -> None:
    first = hub.put("owner/name", {"a": b"one", "b": b"one"})
    source = open_source("owner/name")
    hub.put("owner/name", {"a": b"two", "b": b"two"})
    assert source.commit == first
    assert source.require("a").read_bytes() == source.require("b").read_bytes() == b"one"
    assert open_source("owner/name").require("a").read_bytes() == b"two"


@loopback
def test_a_file_that_is_not_listed_costs_no_request(hub: StandInHub) -> None:
    hub.put("owner/name", {"a": b""})
    source = open_source("owner/name")
    hub.requests.clear()
    assert source.path("b") is None
    assert hub.requests == []
    with pytest.raises(MissingFileError, match="the repository 'owner/name' has no file 'b'"):
        source.require("b")


@loopback
def test_a_hub_that_lists_no_files_is_asked_for_each(hub: StandInHub) -> None:
    commit = hub.put("owner/name", {"a": b"x"})
    hub.lists_files = False
    source = open_source("owner/name")
    assert source.path("b") is None
    assert source.require("a").read_bytes() == b"x"
    hub.requests.clear()
    again = open_source("owner/name", revision=commit)
    assert again.path("b") is None
    assert again.require("a")
    assert hub.requests == []  # each answer is remembered, the "no" as well


@loopback
def test_a_second_look_asks_once_and_a_known_commit_not_at_all(hub: StandInHub) -> None:
    commit = hub.put("owner/name", {"a": b"a", "sub/b": b"b"})
    open_source("owner/name").require("a")
    hub.requests.clear()
    assert open_source("owner/name").require("a")
    assert hub.requests == ["GET /api/models/owner/name"]
    hub.requests.clear()
    source = open_source("owner/name", revision=commit)
    assert source.require("a")
    assert source.path("c") is None
    assert hub.requests == []
    assert open_source("owner/name", revision=commit, subfolder="sub").require("b")  # not downloaded before
    assert [request.split()[0] for request in hub.requests] == ["HEAD", "GET"]


@loopback
def test_revision_subfolder_and_cache_folder(hub: StandInHub, cache: Path, tmp_path: Path) -> None:
    hub.put("owner/name", {"sub/a": b"main"})
    hub.put("owner/name", {"sub/a": b"other"}, branch="refs/pr/1")
    source = open_source("owner/name", revision="refs/pr/1", subfolder="sub", cache_dir=tmp_path / "mine")
    assert source.require("a").read_bytes() == b"other"
    assert (tmp_path / "mine") in source.require("a").parents
    assert not cache.exists()
    again = open_source(
        "owner/name", revision="refs/pr/1", subfolder="sub", cache_dir=tmp_path / "mine", local_files_only=True
    )
    assert again.require("a").read_bytes() == b"other"


@loopback
def test_a_name_without_owner_leads_to_its_repository(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.put("google-bert/bert-base-uncased", {"a": b"x"})
    hub.renamed["bert-base-uncased"] = "google-bert/bert-base-uncased"
    assert open_source("bert-base-uncased").require("a").read_bytes() == b"x"
    assert open_source("bert-base-uncased", local_files_only=True).require("a").read_bytes() == b"x"


@loopback
def test_private_repositories_need_the_right_token(hub: StandInHub) -> None:
    hub.put("alice/secret", {"a": b"x"}, private=True)
    source = open_source("alice/secret", token="hf_alice")
    assert source.require("a").read_bytes() == b"x"
    assert "hf_alice" not in repr(source)
    for token in (None, False, "hf_bob"):
        with pytest.raises(MissingFileError, match=f"nor a model on {hub.address} that you may read.*cache"):
            open_source("alice/secret", token=token)
    with pytest.raises(HubError, match="does not know who you are"):
        open_source("alice/secret", token="hf_wrong")
    with pytest.raises(HubError, match="nobody is logged in"):
        open_source("alice/secret", token=True)


@loopback
def test_an_unknown_repository_or_revision_names_the_hub(hub: StandInHub) -> None:
    hub.put("owner/name", {"a": b""})
    with pytest.raises(MissingFileError, match=f"'owner/other' is neither .* on {hub.address}"):
        open_source("owner/other")
    with pytest.raises(MissingFileError, match=f"'owner/name' has no revision 'v2' on {hub.address}"):
        open_source("owner/name", revision="v2")


@loopback
def test_a_gated_repository_says_what_to_do(hub: StandInHub) -> None:
    hub.put("alice/gated", {"a": b"x"}, gated=True)
    for token in (None, "hf_bob"):
        with pytest.raises(HubError, match=f"'alice/gated' on {hub.address} is gated: open its page"):
            open_source("alice/gated", token=token).path("a")
    assert open_source("alice/gated", token="hf_alice").require("a")


# a hub that does not answer ---------------------------------------------------------------------------------------


@loopback
@pytest.mark.parametrize("failure", ["down", "error 500", "busy", "another server"])
def test_the_cached_copy_is_used_when_the_hub_gives_no_answer(
    hub: StandInHub, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    commit = hub.put("owner/name", {"a": b"x", "b": b""})
    open_source("owner/name").require("a")
    if failure == "down":
        monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
    elif failure == "another server":
        monkeypatch.setattr(madang.client.source, "_answer", lambda *_: raise_(HubError("not what a hub says")))
    else:
        hub.broken["/api/"] = 500 if failure == "error 500" else 429
    with pytest.warns(UserWarning, match=f"cached copy is used, which may be older: commit {commit[:12]}"):
        source = open_source("owner/name")
    assert source.require("a").read_bytes() == b"x"
    assert source.path("c") is None
    with pytest.raises(MissingFileError, match="has a file 'b', but it was never downloaded"):
        source.path("b")


def raise_(error: Exception) -> None:
    raise error


@loopback
def test_without_a_cached_copy_the_error_names_the_hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"{NOWHERE}/")
    with pytest.raises(HubError, match=f"{NOWHERE} could not be asked for 'owner/name' .*ConnectError"):
        open_source("owner/name")


@loopback
@pytest.mark.parametrize("status", [418, 503])
def test_a_hub_that_fails_in_the_middle_is_an_error_not_a_missing_file(
    hub: StandInHub, no_waiting: None, status: int
) -> None:
    hub.put("owner/name", {"a": b""})
    source = open_source("owner/name")
    hub.broken["/resolve/"] = status
    with pytest.raises(HubError, match=f"{hub.address} answered {status} when asked for 'owner/name': out of order"):
        source.path("a")


@loopback
def test_a_hub_that_goes_away_in_the_middle_is_an_error(
    hub: StandInHub, no_waiting: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.put("owner/name", {"a": b""})
    source = open_source("owner/name")
    monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
    with pytest.raises(HubError, match="could not be asked for 'owner/name'"):
        source.path("a")


@loopback
def test_a_server_that_is_no_hub_is_told_apart(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.put("owner/name", {"a": b""})
    monkeypatch.setattr(
        StandInHub,
        "readable",
        lambda *_: type("Page", (), {"find": lambda *_: None, "private": 0, "commits": {None: ()}})(),
    )
    with pytest.raises(HubError, match="is not what a hub says of a repository"):
        open_source("owner/name")


# offline ----------------------------------------------------------------------------------------------------------


@loopback
@pytest.mark.parametrize("way", ["local_files_only", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_uses_the_cache_and_asks_nobody(hub: StandInHub, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    hub.put("owner/name", {"a": b"x", "b": b""})
    open_source("owner/name").require("a")
    hub.requests.clear()
    options = {"local_files_only": True} if way == "local_files_only" else {}
    if not options:
        monkeypatch.setenv(way, "1")
    source = open_source("owner/name", **options)  # type: ignore[arg-type]
    assert source.require("a").read_bytes() == b"x"
    assert source.path("c") is None
    with pytest.raises(MissingFileError, match="'b', but it was never downloaded"):
        source.path("b")
    for name, revision in (("owner/other", None), ("owner/name", "v2"), ("owner/name", "0" * 40)):
        with pytest.raises(MissingFileError, match=r"neither a folder here nor in the cache, and working offline"):
            open_source(name, revision=revision, **options)  # type: ignore[arg-type]
    assert hub.requests == []


@loopback
def test_a_cache_that_other_clients_filled_is_understood(hub: StandInHub) -> None:
    from huggingface_hub import hf_hub_download

    hub.put("owner/name", {"a": b"x"})
    hf_hub_download("owner/name", "a", endpoint=hub.address)
    source = open_source("owner/name", local_files_only=True)
    assert source.require("a").read_bytes() == b"x"
    assert source.path("b") is None
    with pytest.raises(MissingFileError, match="the cached copy of the repository 'owner/name' has no file 'b'"):
        source.require("b")


@loopback
def test_other_clients_understand_the_cache(hub: StandInHub, cache: Path) -> None:
    from huggingface_hub import hf_hub_download, scan_cache_dir

    commit = hub.put("owner/name", {"a": b"x"})
    path = open_source("owner/name").require("a")
    assert hf_hub_download("owner/name", "a", local_files_only=True) == str(path)
    scanned = scan_cache_dir(cache)
    assert scanned.warnings == []
    assert [(repo.repo_id, sorted(repo.refs)) for repo in scanned.repos] == [("owner/name", ["main"])]
    assert (cache / "models--owner--name" / "refs" / "main").read_text() == commit


@loopback
def test_a_cache_that_cannot_be_written_is_used_as_it_is(hub: StandInHub, cache: Path) -> None:
    hub.put("owner/name", {"a": b"x"})
    open_source("owner/name").require("a")
    listings = cache / "models--owner--name" / "listings"
    for file in listings.iterdir():
        file.unlink()
    listings.rmdir()
    listings.write_text("")  # a folder cannot be made here any more, whoever runs the test
    assert open_source("owner/name").require("a").read_bytes() == b"x"


@loopback
def test_a_damaged_listing_counts_as_none(hub: StandInHub, cache: Path) -> None:
    commit = hub.put("owner/name", {"a": b"x"})
    open_source("owner/name").require("a")
    listing = cache / "models--owner--name" / "listings" / commit
    assert json.loads(listing.read_text()) == ["a"]
    listing.write_text('["a')
    source = open_source("owner/name", revision=commit)
    assert isinstance(source, Source)
    assert source.path("b") is None
