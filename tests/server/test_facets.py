"""Facets: counts are right after every change, and say when they are lower bounds."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from madang.server.search import facets
from madang.testing.hub import HubForTests
from tests.server.catalog import Catalog

Clients = Callable[..., TestClient]
TAGS = ("ko", "en", "zh", "transformers", "pytorch", "fill-mask", "license:mit", "license:gpl", "dataset:klue", "mine")


@pytest.fixture
def catalog(hub: HubForTests) -> Catalog:
    return Catalog(hub)


def asked(client: TestClient, **query: Any) -> dict[str, Any]:
    answer = client.get("/api/facets", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def counts(answer: dict[str, Any]) -> dict[str, int]:
    """All values of all facets."""
    return {item["value"]: item["count"] for facet in answer["facets"].values() for item in facet["values"]}


def check(client: TestClient, repositories: dict[int, tuple[list[str], bool]]) -> None:
    """Compare the answers with counting the public repositories one by one."""
    public = [tags for tags, private in repositories.values() if not private]
    for filters in ([], ["ko"], ["mine"], ["ko", "transformers"], ["ko", "mine", "license:mit"]):
        having = [tags for tags in public if set(filters) <= set(tags)]
        expected = {tag: number for tag in TAGS if (number := sum(tag in tags for tags in having))}
        answer = asked(client, filter=filters)
        assert counts(answer) == expected, filters
        assert (answer["total"], answer["exact"]) == (len(having), True)


def test_counts_stay_exact_through_every_kind_of_change(client: Clients, catalog: Catalog) -> None:
    chance = random.Random(5)
    repositories: dict[int, tuple[list[str], bool]] = {}

    def some_tags() -> list[str]:
        return chance.sample(TAGS, chance.randint(0, 6))

    for number in range(120):
        step = chance.random()
        if step < 0.5 or not repositories:
            tags, private = some_tags(), chance.random() < 0.3
            repositories[catalog.add(f"alice/m{number}", *tags, private=private)] = (tags, private)
            continue
        identity = chance.choice(list(repositories))
        if step < 0.65:
            catalog.delete(identity)
            del repositories[identity]
        elif step < 0.85:
            repositories[identity] = (some_tags(), repositories[identity][1])
            catalog.change(identity, tags=repositories[identity][0])
        else:
            repositories[identity] = (repositories[identity][0], not repositories[identity][1])
            catalog.change(identity, private=repositories[identity][1])
    check(client(), repositories)
    for identity in list(repositories):
        catalog.delete(identity)
    check(client(), {})
    assert asked(client())["facets"]["language"] == {"exact": True, "values": []}


def test_large_lists_are_exact_for_one_filter_and_say_so_when_they_are_not(
    client: Clients, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facets, "LOOKED_AT", 4)
    for number in range(10):
        catalog.add(f"alice/m{number}", "ko", "transformers", "license:mit", f"own-{number}", "mine")
    one = asked(client(), filter="ko")
    assert (one["total"], one["exact"]) == (10, True)
    assert one["facets"]["language"] == {"exact": True, "values": [{"value": "ko", "count": 10}]}
    assert one["facets"]["license"] == {"exact": True, "values": [{"value": "license:mit", "count": 10}]}
    assert one["facets"]["other"]["exact"] is False
    assert one["facets"]["other"]["values"][0] == {"value": "mine", "count": 4}
    two = asked(client(), filter=["ko", "transformers"])
    assert (two["total"], two["exact"]) == (10, True)
    assert two["facets"]["license"] == {"exact": False, "values": [{"value": "license:mit", "count": 4}]}
    three = asked(client(), filter=["ko", "transformers", "license:mit"])
    assert (three["total"], three["exact"]) == (4, False)


def test_facets_follow_searches_and_other_narrowings(client: Clients, catalog: Catalog) -> None:
    catalog.add("alice/bert", "ko", "license:mit", pipeline_tag="fill-mask", parameters=10**9)
    catalog.add("bob/gpt", "ko", "license:gpl", parameters=10**10)
    assert counts(asked(client(), search="bert"))["license:mit"] == 1
    assert "license:gpl" not in counts(asked(client(), q="bert"))
    assert counts(asked(client(), author="bob")) == {"ko": 1, "license:gpl": 1}
    assert counts(asked(client(), num_parameters="min:5B")) == {"ko": 1, "license:gpl": 1}
    assert asked(client(), pipeline_tag="fill-mask")["total"] == 1
    assert asked(client(), filter="nothing-has-this")["total"] == 0


def test_facets_of_datasets_and_spaces_have_their_own_kinds(client: Clients, catalog: Catalog) -> None:
    catalog.add("alice/table", "language:ko", "task_categories:translation", "size_categories:n<1K", type="dataset")
    catalog.add("alice/demo", "gradio", type="space", sdk="gradio")
    datasets = asked(client(), type="dataset")["facets"]
    assert datasets["task_categories"]["values"] == [{"value": "task_categories:translation", "count": 1}]
    assert datasets["language"]["values"] == [{"value": "language:ko", "count": 1}]
    assert asked(client(), type="space")["facets"]["sdk"]["values"] == [{"value": "gradio", "count": 1}]
    assert client().get("/api/facets?type=modle").json()["error"].count("'model'") == 1


def test_private_repositories_are_not_counted_even_for_their_owner(client: Clients, catalog: Catalog) -> None:
    catalog.add("alice/secret", "ko", "codename", private=True)
    assert asked(client("alice"), filter="ko")["total"] == 0
    assert "codename" not in client("alice").get("/api/models-tags-by-type").text
    assert counts(asked(client("alice"))) == {}


def test_tags_by_type_names_what_there_is(client: Clients, catalog: Catalog) -> None:
    catalog.add("alice/bert", "ko", "transformers", "license:mit", "dataset:klue", pipeline_tag="fill-mask")
    found = client().get("/api/models-tags-by-type").json()
    assert found["language"] == [{"id": "ko", "label": "ko", "type": "language"}]
    assert found["license"] == [{"id": "license:mit", "label": "mit", "type": "license"}]
    assert [item["id"] for item in found["pipeline_tag"]] == ["fill-mask"]
    assert client().get("/api/datasets-tags-by-type").json()["language"] == []


def test_a_card_with_a_flood_of_tags_is_indexed_in_bounds(client: Clients, catalog: Catalog) -> None:
    catalog.add("alice/flood", "ko", *(f"tag-{number}" for number in range(5000)))
    assert asked(client(), filter="ko")["total"] == 1
    assert asked(client(), filter="tag-4999")["total"] == 0
