"""Full text: Korean words inside other words, exactly; kept true by every change of a repository."""

import subprocess
import sys
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from madang.server.accounts.caller import Account
from madang.server.accounts.records import accounts
from madang.server.git.commits import NewFile
from madang.server.git.refs import MAIN
from madang.server.repositories import service
from madang.server.repositories.records import repositories
from madang.server.repositories.repository import COLUMNS, from_row
from madang.server.search import index, listing, text
from madang.testing.hub import HubForTests
from tests.server.catalog import Catalog
from tests.server.test_listing import names

Clients = Callable[..., TestClient]


@pytest.fixture
def catalog(hub: HubForTests) -> Catalog:
    return Catalog(hub)


def write_card(hub: HubForTests, name: str, card: str) -> None:
    """Commit a README.md to a repository."""
    with hub.hub.database.write() as connection:
        row = connection.execute(sa.select(*COLUMNS).where(repositories.c.name == name)).one()
        fields = [accounts.c[field] for field in Account.__dataclass_fields__]
        author = Account(*connection.execute(sa.select(*fields).where(accounts.c.id == row.owner_id)).one())
        changes: dict[str, Any] = {"README.md": NewFile(card.encode())}
        service.change_files(connection, from_row(row), MAIN, changes, author=author, message="card")


def make(client: TestClient, name: str, **fields: Any) -> None:
    assert client.post("/api/repos/create", json={"name": name, **fields}).status_code == 200


@pytest.mark.parametrize("walked", [True, False], ids=["by walking", "by the index"])
class TestKorean:
    @pytest.fixture(autouse=True)
    def cards(self, hub: HubForTests, client: Clients, walked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listing, "TESTED_FIRST", 1000 if walked else 0)
        monkeypatch.setattr(listing, "MOST_TESTED", 1000 if walked else 0)
        alice = client("alice")
        for name, card in {
            "compound": "이 모델은 기계번역을 합니다.",
            "word": "번역 모델",
            "decomposed": unicodedata.normalize("NFD", "번역기 입니다"),
            "similar": "번영과 반역, 벼녁",
            "syllable": "---\nlicense: mit\n---\n갈 길",
            "english": "A Machine-Translation model, 100% open_source",
        }.items():
            make(alice, name)
            write_card(hub, f"alice/{name}", card)

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("번역", ["decomposed", "word", "compound"]),
            ("기계번역", ["compound"]),
            ("번역 모델", ["word", "compound"]),
            (unicodedata.normalize("NFD", "번역기"), ["decomposed"]),
            ("갈", ["syllable"]),
            ("가", []),
            ("역", ["similar", "decomposed", "word", "compound"]),
            ("translation", ["english"]),
            ("TRANSL", ["english"]),
            ("-t", ["english"]),
            ("100%", ["english"]),
            ("open_", ["english"]),
            ("license", ["syllable"]),
            ("---", []),
            ("없는말", []),
        ],
    )
    def test_words_are_found_inside_words_and_only_there(self, client: Clients, query: str, found: list[str]) -> None:
        assert names(client(), q=query, sort="createdAt") == [f"alice/{name}" for name in found]

    def test_a_search_keeps_to_filters_and_pages(self, client: Clients) -> None:
        assert names(client(), q="역", sort="createdAt", limit=1) == names(client(), q="역", sort="createdAt")
        assert names(client(), q="역", filter="license:mit") == []
        assert names(client(), q="길", filter="license:mit") == ["alice/syllable"]

    def test_names_and_tags_are_searched_too(self, client: Clients) -> None:
        assert names(client(), q="license:mit") == ["alice/syllable"]
        assert names(client(), q="alice/sy") == ["alice/syllable"]


def test_what_a_card_no_longer_says_is_no_longer_found(hub: HubForTests, client: Clients) -> None:
    make(client("alice"), "bert")
    write_card(hub, "alice/bert", "기계번역")
    write_card(hub, "alice/bert", "요약")
    assert (names(client(), q="번역"), names(client(), q="요약")) == ([], ["alice/bert"])
    with hub.hub.database.read() as connection:
        assert text.proposals(connection, text.grams("번역", whole=False), 10) == []
        assert text.proposals(connection, text.grams("요약", whole=False), 10) == [1]


def test_private_cards_are_found_by_those_who_may_read_them(hub: HubForTests, client: Clients) -> None:
    make(client("alice"), "secret", private=True)
    write_card(hub, "alice/secret", "훈민정음")
    assert names(client(), q="훈민정음") == names(client("bob"), q="훈민정음") == []
    assert names(client("alice"), q="훈민정음") == ["alice/secret"]
    assert client().get("/api/quicksearch?q=secret").json()["models"] == []


def test_a_deleted_repository_leaves_nothing_behind(hub: HubForTests, client: Clients) -> None:
    alice = client("alice")
    make(alice, "bert")
    write_card(hub, "alice/bert", "기계번역")
    assert alice.request("DELETE", "/api/repos/delete", json={"name": "bert"}).status_code == 200
    with hub.hub.database.read() as connection:
        for table in ("search_postings", "search_texts"):
            assert connection.scalar(sa.text(f"SELECT count(*) FROM {table}")) == 0
        assert text.proposals(connection, text.grams("번역", whole=False), 10) == []
    # its number may be given out again: nothing of the old one may be found there
    make(alice, "other")
    assert names(client(), q="번역") == []


def test_a_row_deleted_past_the_search_is_refused_by_the_database(catalog: Catalog) -> None:
    found = catalog.add("alice/bert", "ko")
    with pytest.raises(sa.exc.IntegrityError), catalog.hub.hub.database.write() as connection:
        connection.execute(repositories.delete().where(repositories.c.id == found))


def test_a_renamed_repository_is_found_by_its_new_name(client: Clients, catalog: Catalog) -> None:
    found = catalog.add("alice/old")
    catalog.hub.user("bob")
    catalog.change(found, name="bob/new", key="bob/new")
    assert names(client(), author="bob") == names(client(), search="bob/n") == names(client(), q="new") == ["bob/new"]
    assert names(client(), author="alice") == names(client(), search="old") == names(client(), q="old") == []


def test_the_index_of_a_very_long_card_is_bounded(hub: HubForTests, client: Clients) -> None:
    make(client("alice"), "bert")
    write_card(
        hub, "alice/bert", "시작 " + "".join(chr(0xAC00 + number % 11000) for number in range(200_000)) + " 끝말"
    )
    assert (names(client(), q="시작"), names(client(), q="끝말")) == (["alice/bert"], [])


def test_a_card_with_control_characters_is_searched(hub: HubForTests, client: Clients) -> None:
    make(client("alice"), "bert")
    write_card(hub, "alice/bert", "기계\0번역 \x1b[31m")
    assert names(client(), q="번역") == ["alice/bert"]


def test_suggestions_name_repositories_people_and_organisations(
    hub: HubForTests, client: Clients, catalog: Catalog
) -> None:
    catalog.add("alice/kobert")
    catalog.add("bob/bertha", type="dataset")
    catalog.hub.user("bertram")
    with hub.hub.database.write() as connection:
        row = {"kind": "org", "name": "Bert-Lab", "key": "bert-lab", "fullname": "버트 연구실", "created_at": 0}
        connection.execute(accounts.insert().values(**row))
        connection.execute(
            accounts.insert().values(kind="user", name="bertold", key="bertold", created_at=0, disabled=True)
        )
    found = client().get("/api/quicksearch?q=Bert").json()
    assert [item["id"] for item in found["models"]] == ["alice/kobert"]
    assert [item["id"] for item in found["datasets"]] == ["bob/bertha"]
    assert [item["name"] for item in found["users"]] == ["bertram"]
    assert [(item["name"], item["fullname"]) for item in found["orgs"]] == [("Bert-Lab", "버트 연구실")]
    assert set(client().get("/api/quicksearch?q=bert&type=user").json()) == {"users"}
    assert client().get("/api/quicksearch").json()["models"] == []
    assert client().get("/api/quicksearch?q=x&type=pet").status_code == 400


def test_a_query_is_found_by_the_pieces_of_every_text_that_holds_it() -> None:
    content = text.normal("Ko-BERT는 기계번역을 위한 모델입니다 v2.5")
    for word in content.split():
        for start in range(len(word)):
            for end in range(start + 1, len(word) + 1):
                assert text.grams(word[start:end], whole=False) <= text.grams(content), word[start:end]


CLIENT = """
import os
from huggingface_hub import HfApi
api = HfApi()
ids = lambda items: [item.id for item in items]
assert ids(api.list_models(search="BERT", sort="created_at")) == ["alice/bert-2", "alice/bert-1", "alice/bert-0"]
assert ids(api.list_models(filter=["ko", "license:mit"], sort="downloads", limit=2)) == ["alice/bert-2", "alice/bert-1"]
middle = dict(pipeline_tag="fill-mask", author="alice", num_parameters="min:1B,max:2B")
assert ids(api.list_models(**middle)) == ["alice/bert-1"]
assert ids(api.list_models(trained_dataset="klue")) == ["alice/bert-0"]
assert ids(api.list_models(gated=True)) == ["alice/bert-2"]
assert len(ids(api.list_models(author="many"))) == 2500
assert len(ids(api.list_models(author="many", limit=1700, sort="last_modified"))) == 1700
assert len(set(ids(api.list_models(author="many", full=True, limit=250)))) == 250
for sort in ("created_at", "downloads", "last_modified", "likes", "trending_score"):
    assert len(ids(api.list_models(sort=sort, limit=3))) == 3
plain, full, card, config = (
    next(iter(api.list_models(search="bert-0", **given)))
    for given in ({}, {"full": True}, {"cardData": True}, {"fetch_config": True})
)
assert plain.card_data is None and plain.config is None and plain.siblings is None and plain.created_at
assert plain.pipeline_tag == "fill-mask" and "ko" in plain.tags and plain.private is False
assert full.last_modified and full.author == "alice" and full.card_data.license == "mit"
assert card.card_data.license == "mit" and card.config is None
assert config.config == {"model_type": "bert"} and config.card_data is None
some = next(iter(api.list_models(search="bert-0", expand=["downloads", "tags"])))
assert some.downloads == 0 and some.tags and some.likes is None
api.create_repo("alice/files", token=os.environ["TOKEN"])
for given in ({"full": True}, {"expand": ["siblings", "sha"]}):
    files = next(iter(api.list_models(search="files", **given)))
    assert [file.rfilename for file in files.siblings] == [".gitattributes"] and len(files.sha) == 40
assert ids(api.list_models(apps="vllm", author="alice", search="bert-0")) == ["alice/bert-0"]
assert ids(api.list_datasets(language="ko", task_categories="translation")) == ["alice/table"]
assert ids(api.list_datasets(dataset_name="ta", search="ble", filter="license:mit", full=True)) == ["alice/table"]
assert next(iter(api.list_datasets(expand=["downloads"]))).downloads == 5
assert ids(api.list_spaces(models="alice/bert-0", filter="gradio", linked=True)) == ["alice/demo"]
assert ids(api.list_spaces(datasets=["alice/table"], search="DEMO", sort="trending_score")) == ["alice/demo"]
assert next(iter(api.list_spaces(full=True))).models == ["alice/bert-0"]
"""


@pytest.mark.loopback
def test_the_public_client_lists_with_all_its_parameters(served: HubForTests) -> None:
    catalog = Catalog(served)
    for number in range(3):
        catalog.add(
            f"alice/bert-{number}",
            *("ko", "license:mit"),
            *(["dataset:klue"] if number == 0 else []),
            pipeline_tag="fill-mask",
            parameters=number * 1_500_000_000,
            downloads=number,
            gated="auto" if number == 2 else "",
            card={"license": "mit"},
            config={"model_type": "bert"},
        )
    catalog.add_many("many", 2500)
    catalog.add("alice/table", "language:ko", "task_categories:translation", "license:mit", type="dataset", downloads=5)
    card = {"models": ["alice/bert-0"], "datasets": ["alice/table"]}
    catalog.add("alice/demo", "gradio", type="space", sdk="gradio", card=card)
    pytest.importorskip("huggingface_hub")
    environment = {
        "HF_ENDPOINT": served.address,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PATH": "",
        "TOKEN": served.user("alice"),
    }
    ran = subprocess.run(
        [sys.executable, "-c", CLIENT], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3000:]


def test_indexing_again_changes_nothing(hub: HubForTests, catalog: Catalog) -> None:
    found = catalog.add("alice/bert", "ko", "license:mit")

    def everything() -> list[Any]:
        with hub.hub.database.read() as connection:
            tables = ("search_terms", "search_postings", "search_pairs", "search_texts")
            return [sorted(map(tuple, connection.execute(sa.text(f"SELECT * FROM {table}")))) for table in tables]

    before = everything()
    with hub.hub.database.write() as connection:
        index.update(connection, found)
    assert everything() == before
