"""Lists of repositories: filters, orders, pages, and what a caller may see in them."""

import itertools
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient

from madang.server.search import listing, walking
from madang.testing.hub import HubForTests
from tests.server.catalog import Catalog

Clients = Callable[..., TestClient]


@pytest.fixture
def catalog(hub: HubForTests) -> Catalog:
    return Catalog(hub)


def pages(client: TestClient, address: str, **query: Any) -> list[list[dict[str, Any]]]:
    """All pages of a list, by following its links as clients do."""
    found = []
    answer = client.get(address, params=query)
    while True:
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        if "next" not in answer.links:
            return found
        target = urlsplit(answer.links["next"]["url"])
        answer = client.get(f"{target.path}?{target.query}")


def names(client: TestClient, address: str = "/api/models", **query: Any) -> list[str]:
    return [item["id"] for item in itertools.chain(*pages(client, address, **query))]


def test_filters_are_a_conjunction_and_exact(client: Clients, catalog: Catalog) -> None:
    catalog.add("alice/one", "ko", "pytorch")
    catalog.add("alice/two", "ko")
    catalog.add("bob/three", "ko", "pytorch", "pytorch-lightning")
    anyone = client()
    assert names(anyone, filter="ko") == ["bob/three", "alice/two", "alice/one"]
    assert names(anyone, filter=["ko", "pytorch"]) == ["bob/three", "alice/one"]
    assert names(anyone, filter=["ko", "pytorch"], author="ALICE") == ["alice/one"]
    assert names(anyone, filter="pytorc") == names(anyone, filter="KO") == names(anyone, author="carol") == []


def test_a_filter_also_finds_the_task_and_the_task_only_finds_the_task(client: Clients, catalog: Catalog) -> None:
    catalog.add("alice/masks", pipeline_tag="fill-mask")
    catalog.add("alice/says-so", "fill-mask", pipeline_tag="text-classification")
    assert names(client(), filter="fill-mask") == ["alice/says-so", "alice/masks"]
    assert names(client(), pipeline_tag="fill-mask") == ["alice/masks"]


def test_types_are_apart(client: Clients, catalog: Catalog) -> None:
    for kind in ("model", "dataset", "space"):
        catalog.add("alice/same", "language:ko", type=kind)
    for address in ("/api/models", "/api/datasets", "/api/spaces"):
        assert names(client(), address, filter="language:ko") == ["alice/same"]


def test_sizes_and_gates_narrow_a_list(client: Clients, catalog: Catalog) -> None:
    catalog.add("alice/small", parameters=100_000_000)
    catalog.add("alice/middle", parameters=7_000_000_000, gated="auto")
    catalog.add("alice/large", parameters=70_000_000_000, gated="manual")
    catalog.add("alice/unknown")
    anyone = client()
    assert names(anyone, num_parameters="min:6B,max:128B") == ["alice/large", "alice/middle"]
    assert names(anyone, num_parameters="min:6B,max:7B") == ["alice/middle"]
    assert names(anyone, num_parameters="max:0.1B") == ["alice/small"]
    assert names(anyone, gated="true") == ["alice/large", "alice/middle"]
    assert names(anyone, gated="false") == ["alice/unknown", "alice/small"]
    assert names(anyone, gated="true", num_parameters="min:10b") == ["alice/large"]


def test_search_is_a_substring_of_the_id_in_any_case(client: Clients, catalog: Catalog) -> None:
    catalog.add("alice/KoBERT-base")
    catalog.add("bertha/gpt")
    catalog.add("alice/gpt", "bert")
    anyone = client()
    assert names(anyone, search="BERT") == ["bertha/gpt", "alice/KoBERT-base"]
    assert names(anyone, search="ce/k") == ["alice/KoBERT-base"]
    assert names(anyone, search=["bert", "gpt"]) == ["bertha/gpt"]
    assert names(anyone, search="%") == names(anyone, search="_") == []


def test_spaces_are_found_by_what_they_use(client: Clients, catalog: Catalog) -> None:
    catalog.add("alice/demo", type="space", sdk="gradio", card={"models": ["bob/bert"], "datasets": ["Bob/Table"]})
    catalog.add("alice/other", type="space", sdk="static", card={"models": "bob/bert"})
    anyone = client()
    assert names(anyone, "/api/spaces", models="bob/bert") == ["alice/other", "alice/demo"]
    assert names(anyone, "/api/spaces", models="bob/bert", datasets="bob/table") == ["alice/demo"]
    assert names(anyone, "/api/spaces", filter="gradio") == ["alice/demo"]
    plain, linked = (anyone.get("/api/spaces", params=query).json()[1] for query in ({}, {"linked": "true"}))
    assert "models" not in plain
    assert (linked["models"], linked["datasets"]) == (["bob/bert"], ["Bob/Table"])


@pytest.mark.parametrize("direction", [-1, 1])
@pytest.mark.parametrize(
    ("sort", "column"),
    [
        ("lastModified", "modified_at"),
        ("createdAt", "created_at"),
        ("downloads", "downloads"),
        ("likes", "likes"),
        ("trendingScore", "trending"),
    ],
)
def test_pages_follow_each_other_in_order_without_gaps(
    client: Clients, catalog: Catalog, sort: str, column: str, direction: int
) -> None:
    chance = random.Random(3)
    rows = []
    for number in range(40):
        values = {
            "modified_at": chance.randrange(10**12),
            "created_at": chance.randrange(5),
            "downloads": chance.randrange(4),
            "likes": chance.randrange(2),
            "trending": chance.choice([0.0, 0.1, 0.2 + 0.1]),
        }
        identity = catalog.add(f"alice/m{number}", *(["ko"] if number % 3 else []), **values)
        if number % 3:
            rows.append((values[column], identity, f"alice/m{number}"))
    expected = [name for *_, name in sorted(rows, reverse=direction == -1)]
    query = {"sort": sort, "direction": direction, "filter": "ko"}
    assert names(client(), **query, limit=7) == expected
    assert [len(page) for page in pages(client(), "/api/models", **query, limit=13)] == [13, 13]
    assert names(client(), **query) == expected


def test_new_repositories_do_not_move_what_a_reader_has_not_seen(client: Clients, catalog: Catalog) -> None:
    for number in range(4):
        catalog.add(f"alice/m{number}")
    first = client().get("/api/models?limit=2&sort=createdAt")
    catalog.add("alice/new")
    target = urlsplit(first.links["next"]["url"])
    second = client().get(f"{target.path}?{target.query}")
    assert [item["id"] for item in first.json() + second.json()] == [f"alice/m{number}" for number in (3, 2, 1, 0)]


def test_a_link_repeats_the_query_and_names_the_hub(client: Clients, catalog: Catalog) -> None:
    for number in range(3):
        catalog.add(f"alice/m{number}", "한국어", "ko")
    answer = client().get("/api/models?filter=ko&filter=한국어&limit=1&search=m", headers={"Host": "evil.example"})
    link = answer.links["next"]["url"]
    assert link.startswith("http://testserver/api/models?")
    assert "filter=ko&filter=%ED%95%9C%EA%B5%AD%EC%96%B4&limit=1&search=m&cursor=" in link


def test_work_is_bounded_and_goes_on_by_the_link(
    client: Clients, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        catalog.add(f"alice/m{number}", "left" if number % 2 else "right", *(["left", "right"] if number == 7 else []))
    monkeypatch.setattr(listing, "MOST_TESTED", 10)
    found = pages(client(), "/api/models", filter=["left", "right"], limit=2)
    assert [[item["id"] for item in page] for page in found if page] == [["alice/m7"]]
    assert len(found) == 4


def test_every_plan_answers_the_same(client: Clients, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(50):
        catalog.add(f"alice/m{number:02}", "ko", f"word{number % 7}", parameters=number)
    queries = [{"q": "word3"}, {"search": "m2"}, {"num_parameters": "min:10,max:20"}, {"q": "word3", "search": "m3"}]
    usual = [names(client(), limit=3, sort="createdAt", **query) for query in queries]
    assert all(usual)
    for tested, proposed in itertools.product((4, 20, 1000), (0, 5, 1000)):
        monkeypatch.setattr(listing, "MOST_TESTED", tested)
        monkeypatch.setattr(listing, "TESTED_FIRST", tested // 2)
        monkeypatch.setattr(listing, "MOST_PROPOSALS", proposed)
        assert [names(client(), limit=3, sort="createdAt", **query) for query in queries] == usual


class TestWhoSeesWhat:
    @pytest.fixture(autouse=True)
    def repositories(self, client: Clients, catalog: Catalog) -> None:
        for owner, number in itertools.product(("alice", "bob", "lab"), range(4)):
            catalog.add(f"{owner}/m{number}", "ko", private=number % 2 == 1)
        admin = client("root", administrator=True)
        assert admin.get("/api/models").status_code == 200

    def test_strangers_see_public_repositories_only(self, client: Clients) -> None:
        expected = ["lab/m2", "lab/m0", "bob/m2", "bob/m0", "alice/m2", "alice/m0"]
        assert names(client(), limit=2) == names(client("carol"), limit=2) == expected

    def test_owners_see_their_private_ones_in_their_places(self, client: Clients) -> None:
        expected = ["bob/m3", "bob/m2", "bob/m1", "bob/m0"]
        seen = names(client("bob"), limit=2, filter="ko", sort="createdAt")
        assert seen == ["lab/m2", "lab/m0", *expected, "alice/m2", "alice/m0"]
        assert names(client("bob"), limit=3, filter="ko", sort="createdAt", direction=1) == seen[::-1]
        assert names(client("bob"), author="bob") == expected
        assert names(client("alice"), author="bob") == ["bob/m2", "bob/m0"]

    def test_administrators_see_everything(self, client: Clients) -> None:
        assert len(names(client("root"), limit=5)) == 12

    def test_a_token_for_one_repository_sees_that_one(self, client: Clients) -> None:
        scope = {"entity": {"type": "model", "name": "alice/m1"}, "permissions": ["repo.content.read"]}
        assert names(client("alice", role="fineGrained", scopes=[scope]), limit=1) == ["alice/m1"]
        own = {"entity": {"type": "user", "name": "alice"}, "permissions": ["repo.content.read"]}
        seen = names(client("alice", role="fineGrained", scopes=[own]), limit=1)
        assert seen == [f"alice/m{number}" for number in (3, 2, 1, 0)]
        assert names(client("alice", role="fineGrained", scopes=[]), limit=1) == []
        others = {"entity": {"type": "user", "name": "bob"}, "permissions": ["repo.content.read"]}
        assert names(client("alice", role="fineGrained", scopes=[others])) == ["bob/m2", "bob/m0"]

    def test_becoming_private_and_being_deleted_take_effect_at_once(self, client: Clients, catalog: Catalog) -> None:
        found = catalog.add("alice/new", "ko")
        assert "alice/new" in names(client())
        catalog.change(found, private=True)
        assert "alice/new" not in names(client())
        assert "alice/new" in names(client("alice"))
        catalog.delete(found)
        assert "alice/new" not in names(client("alice"))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("serach=bert", "Did you mean 'search'?"),
        ("pipeline-tag=x", "Did you mean 'pipeline_tag'?"),
        ("sort=like", "Did you mean 'likes'?"),
        ("sort=name", "lastModified"),
        ("direction=2", "-1"),
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=²", "limit"),
        ("limit=ten", "limit"),
        ("gated=maybe", "neither true nor false"),
        ("full=yes", "neither true nor false"),
        ("num_parameters=6B", "min:6B,max:128B"),
        ("num_parameters=min:6X", "min:6B,max:128B"),
        ("cursor=abc", "cursor"),
        ("cursor=%FF%FE", "cursor"),
        ("cursor=" + "W1tb" * 5000, "cursor"),
        ("expand=sizes", "expected one of"),
        ("expand=tags&full=true", "expand"),
        ("q=" + "가" * 201, "200"),
        ("&".join(f"filter=t{number}" for number in range(21)), "20"),
    ],
)
def test_what_cannot_be_understood_is_refused_and_explained(client: Clients, query: str, said: str) -> None:
    answer = client().get(f"/api/models?{query}")
    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_a_cursor_belongs_to_its_order(client: Clients, catalog: Catalog) -> None:
    for number in range(3):
        catalog.add(f"alice/m{number}")
    link = client().get("/api/models?limit=1&sort=likes").links["next"]["url"]
    cursor = link.rpartition("=")[2]
    assert client().get(f"/api/models?limit=1&sort=likes&cursor={cursor}").status_code == 200
    for other in ("sort=downloads", "sort=likes&direction=1", "sort=trendingScore"):
        assert client().get(f"/api/models?limit=1&{other}&cursor={cursor}").status_code == 400


def test_spaces_have_no_downloads_to_sort_by(client: Clients) -> None:
    assert client().get("/api/spaces?sort=downloads").status_code == 400
    assert client().get("/api/spaces?num_parameters=min:1B").status_code == 400


@pytest.mark.parametrize("value", ["%00", "%1f", "a" * 300, "%F0%9F%92%A9", "'--", "NEAR(", '"', "%ED%A0%80"])
@pytest.mark.parametrize("name", ["filter", "search", "q", "author", "pipeline_tag"])
def test_hostile_values_find_nothing_and_break_nothing(
    client: Clients, catalog: Catalog, name: str, value: str
) -> None:
    catalog.add("alice/bert", "ko")
    assert client().get(f"/api/models?{name}={value}").status_code in (200, 400)
    assert client().get(f"/api/quicksearch?q={value}").status_code in (200, 400)


def test_parameters_without_effect_say_so(client: Clients, catalog: Catalog) -> None:
    catalog.add("alice/bert")
    answer = client().get("/api/models?apps=vllm&inference=warm")
    assert (len(answer.json()), answer.headers["x-hf-warning"].partition(";")[0]) == (1, "filters")
    assert "apps, inference" in answer.headers["x-hf-warning"]


def test_fields_are_there_only_when_asked_for(client: Clients, catalog: Catalog) -> None:
    catalog.add("alice/bert", "ko", card={"license": "mit"}, config={"model_type": "bert"})
    anyone = client()

    def item(**query: Any) -> dict[str, Any]:
        found: dict[str, Any] = anyone.get("/api/models", params=query).json()[0]
        return found

    assert not {"cardData", "config", "siblings", "sha"} & set(item())
    assert item(cardData="true")["cardData"] == {"license": "mit"}
    assert item(config="true")["config"] == {"model_type": "bert"}
    assert set(item(expand=["tags", "likes"])) == {"_id", "id", "tags", "likes"}
    assert item()["_id"] == anyone.get("/api/models?expand=tags").json()[0]["_id"]


def test_a_model_tells_what_was_made_of_it_and_which_spaces_use_it(client: Clients, catalog: Catalog) -> None:
    catalog.add("alice/Base")
    catalog.add("bob/one", "base_model:finetune:alice/Base")
    catalog.add("bob/two", "base_model:finetune:alice/Base")
    catalog.add("bob/secret", "base_model:finetune:alice/Base", private=True)
    catalog.add("bob/small", "base_model:quantized:alice/Base", "base_model:finetune:alice/Base2")
    for name, likes, models, private in (
        ("carol/first", 1, ["alice/Base"], False),
        ("carol/liked", 5, "alice/Base", False),
        ("carol/other", 9, ["alice/Base2"], False),
        ("carol/secret", 9, ["alice/Base"], True),
    ):
        catalog.add(name, type="space", card={"models": models}, likes=likes, private=private)
    catalog.add("carol/data", type="space", card={"datasets": ["alice/Base"], "note": "alice/Base"})
    told = client().get("/api/models?author=alice&expand=spaces&expand=childrenModelCount").json()[0]
    assert told["childrenModelCount"] == {"adapter": 0, "finetune": 2, "merge": 0, "quantized": 1}
    assert told["spaces"] == ["carol/liked", "carol/first"]


def test_a_page_of_a_thousand_is_the_largest(client: Clients, catalog: Catalog) -> None:
    catalog.add("alice/bert")
    assert client().get("/api/models?limit=5000").status_code == 200


def test_a_repository_the_lists_forgot_to_hide_is_not_shown(client: Clients, catalog: Catalog) -> None:
    import sqlalchemy as sa

    from madang.server.repositories.records import repositories

    found = catalog.add("alice/secret")
    with catalog.hub.hub.database.write() as connection:
        connection.execute(repositories.update().where(repositories.c.id == found).values(private=sa.true()))
    assert names(client()) == []


def test_postgresql_sees_terms_when_it_plans() -> None:
    from sqlalchemy.dialects import postgresql

    class Connection:
        dialect = postgresql.dialect()

    statement = walking.has_term(Connection(), 77).compile(  # type: ignore[arg-type]
        dialect=postgresql.dialect(), compile_kwargs={"render_postcompile": True}
    )
    assert "= 77" in str(statement)
