"""Models and tokenizers by the name of their repository: loaded from a hub, uploaded to it, found in the cache."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from madang import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerFast
from madang.auto.model import Model
from madang.errors import HubError, InputError, MissingFileError
from tests.stand_in_hub import StandInHub

pytestmark = pytest.mark.loopback
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "마당", "은", "넓", "##다", "hello", "world"]
SIZES = dict(hidden_size=12, num_attention_heads=3, num_hidden_layers=2, intermediate_size=20, vocab_size=len(WORDS))
NOWHERE = "http://127.0.0.1:9"  # nothing listens on the port for discarding
Load = Callable[..., Model]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny classifier with its tokenizer, in one folder."""
    folder = tmp_path_factory.mktemp("saved")
    torch.manual_seed(0)
    config = AutoConfig.for_model("bert", num_labels=3, **SIZES)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in WORDS), encoding="utf-8")
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def files(saved: Path) -> dict[str, bytes]:
    """What a repository with them holds."""
    return {path.name: path.read_bytes() for path in saved.iterdir()}


def load(name: str, **options: object) -> Model:
    """The classifier called `name`, which has all its weights."""
    model: Model = AutoModelForSequenceClassification.from_pretrained(name, **options)
    assert model.loading_report is not None
    assert not model.loading_report.missing
    return model


def same(first: Model, second: Model) -> bool:
    """Whether all weights are equal, bit for bit."""
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def methods(hub: StandInHub) -> list[str]:
    """What was asked since the last time, without the names of files and commits."""
    asked = [request.split("/resolve/")[0] for request in hub.requests]
    hub.requests.clear()
    return asked


# loading ----------------------------------------------------------------------------------------------------------


def test_config_weights_and_tokenizer_come_by_the_name(hub: StandInHub, saved: Path, files: dict[str, bytes]) -> None:
    commit = hub.put("owner/name", files)
    model, tokenizer = load("owner/name"), AutoTokenizer.from_pretrained("owner/name")
    assert same(model, load(str(saved)))
    assert model.name_or_path == tokenizer.name_or_path == "owner/name"
    assert AutoConfig.from_pretrained("owner/name").num_labels == 3
    assert tokenizer("마당은 넓다").input_ids == AutoTokenizer.from_pretrained(saved)("마당은 넓다").input_ids
    assert commit[:12] in model.summary()


def test_the_first_load_asks_for_the_commit_once_and_for_each_file_once(
    hub: StandInHub, files: dict[str, bytes]
) -> None:
    hub.put("owner/name", files)
    load("owner/name")
    # config.json and model.safetensors: what it is, then its bytes
    assert methods(hub) == ["GET /api/models/owner/name", *["HEAD /owner/name", "GET /owner/name"] * 2]


def test_the_second_load_makes_one_request_and_with_a_known_commit_none(
    hub: StandInHub, files: dict[str, bytes]
) -> None:
    commit = hub.put("owner/name", files)
    load("owner/name"), AutoTokenizer.from_pretrained("owner/name")
    methods(hub)
    load("owner/name")
    assert methods(hub) == ["GET /api/models/owner/name"]
    AutoTokenizer.from_pretrained("owner/name")
    assert methods(hub) == ["GET /api/models/owner/name"]
    load("owner/name", revision=commit), AutoTokenizer.from_pretrained("owner/name", revision=commit)
    assert methods(hub) == []


def test_shards_are_loaded_by_name(hub: StandInHub, saved: Path, tmp_path: Path) -> None:
    model = load(str(saved))
    model.save_pretrained(tmp_path / "shards", max_shard_size=4000)
    shards = {path.name: path.read_bytes() for path in (tmp_path / "shards").iterdir()}
    assert len([name for name in shards if name.endswith(".safetensors")]) > 1
    hub.put("owner/shards", shards)
    assert same(load("owner/shards"), model)
    methods(hub)
    load("owner/shards")
    assert methods(hub) == ["GET /api/models/owner/shards"]


def test_revision_and_subfolder_choose_the_files(hub: StandInHub, files: dict[str, bytes]) -> None:
    hub.put("owner/name", {"README.md": b"nothing here"})
    hub.put("owner/name", {f"inner/{name}": content for name, content in files.items()}, branch="v2")
    where = {"revision": "v2", "subfolder": "inner"}
    assert load("owner/name", **where).config.num_labels == 3
    assert AutoTokenizer.from_pretrained("owner/name", **where)("hello").input_ids[1] == WORDS.index("hello")
    with pytest.raises(MissingFileError, match=r"the repository 'owner/name' has no file 'config\.json'"):
        load("owner/name")
    with pytest.raises(MissingFileError, match=f"'owner/name' has no revision 'v3' on {hub.address}"):
        load("owner/name", revision="v3")


def test_a_token_opens_a_private_repository(hub: StandInHub, files: dict[str, bytes]) -> None:
    hub.put("alice/secret", files, private=True)
    assert load("alice/secret", token="hf_alice")
    assert load("alice/secret", use_auth_token="hf_alice")
    assert AutoConfig.from_pretrained("alice/secret", use_auth_token="hf_alice")
    assert AutoTokenizer.from_pretrained("alice/secret", use_auth_token="hf_alice")
    with pytest.raises(MissingFileError, match=f"'alice/secret' is neither a folder here nor .* on {hub.address}"):
        load("alice/secret")


def test_a_gated_repository_says_what_to_do(hub: StandInHub, files: dict[str, bytes]) -> None:
    hub.put("alice/gated", files, gated=True)
    for load_it in (load, AutoTokenizer.from_pretrained):
        with pytest.raises(HubError, match=r"'alice/gated' on .* is gated: open its page"):
            load_it("alice/gated", token="hf_bob")
    assert load("alice/gated", token="hf_alice")


def test_a_name_without_owner_works(hub: StandInHub, files: dict[str, bytes]) -> None:
    hub.put("google-bert/bert-base-uncased", files)
    hub.renamed["bert-base-uncased"] = "google-bert/bert-base-uncased"
    assert load("bert-base-uncased").name_or_path == "bert-base-uncased"
    assert AutoTokenizer.from_pretrained("bert-base-uncased")


@pytest.mark.parametrize("name", ["owner/unknown", "unknown"])
def test_an_unknown_repository_names_the_hub(hub: StandInHub, name: str) -> None:
    for load_it in (AutoModel.from_pretrained, AutoTokenizer.from_pretrained, AutoConfig.from_pretrained):
        with pytest.raises(MissingFileError, match=f"'{name}' is neither a folder here nor a model on {hub.address}"):
            load_it(name)


@pytest.mark.parametrize("name", ["../x", "a/b/c", "a b", "owner/na me", "", "owner/..", "owner\\name"])
def test_bad_names_ask_nobody_and_leave_no_trace(hub: StandInHub, cache: Path, name: str) -> None:
    for load_it in (AutoModel.from_pretrained, AutoTokenizer.from_pretrained, AutoConfig.from_pretrained):
        with pytest.raises(MissingFileError, match=r"no folder|possible name of a repository"):
            load_it(name)
    assert hub.requests == []
    assert not cache.exists()


# the cache --------------------------------------------------------------------------------------------------------


def test_a_cache_folder_of_ones_own(hub: StandInHub, cache: Path, tmp_path: Path, files: dict[str, bytes]) -> None:
    hub.put("owner/name", files)
    load("owner/name", cache_dir=tmp_path / "mine")
    assert not cache.exists()
    assert load("owner/name", cache_dir=tmp_path / "mine", local_files_only=True)


@pytest.mark.parametrize("way", ["local_files_only", "HF_HUB_OFFLINE"])
def test_offline_loads_what_is_cached_and_asks_nobody(
    hub: StandInHub, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    hub.put("owner/name", files)
    hub.put("owner/words", files)
    model, tokenizer = load("owner/name"), AutoTokenizer.from_pretrained("owner/name")
    AutoTokenizer.from_pretrained("owner/words")
    methods(hub)
    options = {"local_files_only": True} if way == "local_files_only" else {}
    if not options:
        monkeypatch.setenv(way, "1")
    assert same(load("owner/name", **options), model)
    again = AutoTokenizer.from_pretrained("owner/name", **options)
    assert again("hello").input_ids == tokenizer("hello").input_ids
    with pytest.raises(MissingFileError, match="'owner/other' is neither a folder here nor in the cache"):
        load("owner/other", **options)
    with pytest.raises(MissingFileError, match=r"has a file 'model\.safetensors', but it was never downloaded"):
        load("owner/words", **options)
    assert methods(hub) == []


def test_the_cached_copy_is_used_when_the_hub_is_down(
    hub: StandInHub, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.put("owner/name", files)
    model = load("owner/name")
    AutoTokenizer.from_pretrained("owner/name")
    monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
    with pytest.warns(UserWarning, match="The cached copy is used") as warned:
        assert same(load("owner/name"), model)
    assert [Path(warning.filename).name for warning in warned] == [Path(__file__).name]
    with pytest.warns(UserWarning, match=f"{NOWHERE} could not be asked for 'owner/name'"):
        assert AutoTokenizer.from_pretrained("owner/name")
    with pytest.raises(HubError, match=f"{NOWHERE} could not be asked for 'owner/other'"):
        load("owner/other")


def test_weights_that_cannot_be_fetched_are_an_error_and_not_drawn_anew(
    hub: StandInHub, files: dict[str, bytes]
) -> None:
    hub.put("owner/name", files)
    hub.broken["model.safetensors"] = 418
    with pytest.raises(HubError, match=f"{hub.address} answered 418 when asked for 'owner/name'"):
        load("owner/name")
    del hub.broken["model.safetensors"]
    assert load("owner/name")


# uploading --------------------------------------------------------------------------------------------------------


def test_model_and_tokenizer_go_up_and_come_back(hub: StandInHub, saved: Path, files: dict[str, bytes]) -> None:
    model, tokenizer = load(str(saved)), AutoTokenizer.from_pretrained(saved)
    model.config.id2label = {0: "정치", 1: "경제", 2: "사회"}
    address = model.push_to_hub("alice/tiny", token="hf_alice", commit_message="나의 첫 모델")
    assert address.startswith(f"{hub.address}/alice/tiny/commit/")
    assert hub.repositories["alice/tiny"].messages[-1] == "나의 첫 모델"
    tokenizer.push_to_hub("alice/tiny", token="hf_alice")
    back, words = load("alice/tiny"), AutoTokenizer.from_pretrained("alice/tiny")
    assert same(back, model)
    assert back.config.id2label == {0: "정치", 1: "경제", 2: "사회"}
    assert words("hello world").input_ids == tokenizer("hello world").input_ids
    stored = hub.files("alice/tiny")
    assert stored["model.safetensors"] == files["model.safetensors"]
    assert {"config.json", "tokenizer.json", "tokenizer_config.json"} <= set(stored)


def test_shards_private_branches_and_proposals(hub: StandInHub, saved: Path) -> None:
    model = load(str(saved))
    model.push_to_hub("alice/private", token="hf_alice", private=True, max_shard_size=4000)
    assert hub.repositories["alice/private"].private
    assert "model.safetensors.index.json" in hub.files("alice/private")
    assert same(load("alice/private", token="hf_alice"), model)
    model.push_to_hub("alice/open", token="hf_alice", revision="v2")
    assert same(load("alice/open", revision="v2"), model)
    address = model.push_to_hub("alice/open", token="hf_bob", create_pr=True)
    assert address.endswith("/alice/open/discussions/1")
    assert same(load("alice/open", revision="refs/pr/1"), model)
    with pytest.raises(MissingFileError, match=r"no file 'config\.json'"):
        load("alice/open")


def test_saving_can_upload_as_well(hub: StandInHub, saved: Path, tmp_path: Path) -> None:
    model = load(str(saved))
    model.save_pretrained(tmp_path / "tiny", push_to_hub=True, token="hf_alice")
    assert same(load("alice/tiny"), model)
    assert same(load(str(tmp_path / "tiny")), model)


@pytest.mark.parametrize("name", ["../x", "a/b/c", "a b", ""])
def test_bad_names_are_refused_before_anything_is_uploaded(hub: StandInHub, saved: Path, name: str) -> None:
    tokenizer: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(saved)
    for thing in (load(str(saved)), tokenizer):
        with pytest.raises(InputError, match="cannot be the name of a repository"):
            thing.push_to_hub(name, token="hf_alice")
    assert hub.requests == []


def test_whoever_is_not_logged_in_or_may_not_write_is_told(hub: StandInHub, saved: Path) -> None:
    hub.put("alice/tiny", {})
    model = load(str(saved))
    with pytest.raises(HubError, match=f"{hub.address} does not know who you are"):
        model.push_to_hub("alice/tiny")
    with pytest.raises(HubError, match=r"does not allow this .* 'alice/tiny'"):
        model.push_to_hub("alice/tiny", token="hf_bob")
    assert hub.files("alice/tiny") == {}
