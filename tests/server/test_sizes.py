"""Lists of a range of sizes: read off term by term, and the same as comparing every number."""

import itertools
import random
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from madang.server.search import listing, sizes, walking
from madang.testing.hub import HubForTests
from tests.server.catalog import Catalog
from tests.server.test_listing import names

Clients = Callable[..., TestClient]


def some_number(chance: random.Random) -> int:
    power = 10 ** chance.randrange(19)
    near = chance.choice((0, power, 9 * power, chance.randint(1, 9) * power, chance.randrange(10 * power)))
    return max(0, min(2**62, near + chance.choice((-1, 0, 0, 1))))


def test_a_range_is_held_by_its_terms_and_each_number_by_one_of_them() -> None:
    chance = random.Random(11)
    for _ in range(3000):
        least, most = sorted((some_number(chance), some_number(chance)))
        touched = dict(sizes.touched(least, most))
        for number in (least, most, some_number(chance), chance.randint(least, most)):
            within = [touched[name] for name in sizes.names(number) if name in touched]
            assert len(within) <= 1, (least, most, number)
            if least <= number <= most:
                assert within, (least, most, number)
            elif within:
                assert within == [False], (least, most, number)


def test_a_range_needs_few_terms() -> None:
    assert list(sizes.touched(6 * 10**9, 8 * 10**9)) == [("6e9", True), ("7e9", True), ("8e9", False)]
    assert max(len(list(sizes.touched(*ends))) for ends in ((0, 2**62), (2, 2**62), (1, 8), (19, 8 * 10**17))) < 40
    assert list(sizes.touched(5, 4)) == []


def test_numbers_out_of_bounds_have_no_term() -> None:
    assert (sizes.names(-1), sizes.names(2**63), sizes.names(0)) == ([], [], ["0"])
    assert sizes.names(2**63 - 1) == ["e18", "9e18"]


@pytest.mark.parametrize("tested", [2, 3000])
def test_lists_of_a_range_keep_to_the_order_the_filters_and_what_the_caller_may_see(
    hub: HubForTests, client: Clients, tested: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MOST_TESTED", tested)
    monkeypatch.setattr(walking, "LEAST_TESTED", tested)
    catalog, chance = Catalog(hub), random.Random(2)
    rows = []
    for number in range(60):
        name, private = f"{chance.choice(('alice', 'bob'))}/m{number}", chance.random() < 0.3
        parameters = chance.choice(
            (None, 0, 10**6, 5 * 10**9, 6 * 10**9, 7 * 10**9 + 1, 8 * 10**9, 8 * 10**9 + 1, 10**11)
        )
        tags, likes = chance.sample(("ko", "en"), 1), chance.randrange(4)
        identity = catalog.add(name, *tags, private=private, parameters=parameters, likes=likes)
        if parameters is not None:
            rows.append((likes, identity, name, tags, private, parameters))
    for (spelled, least, most), direction, tag, user in itertools.product(
        (("min:6B,max:8B", 6 * 10**9, 8 * 10**9), ("max:6B", 0, 6 * 10**9), ("min:1M", 10**6, 2**62)),
        (-1, 1),
        (None, "ko"),
        (None, "alice"),
    ):
        expected = [
            name
            for *_, name, tags, private, parameters in sorted(rows, reverse=direction == -1)
            if least <= parameters <= most
            and (tag is None or tag in tags)
            and (not private or (user is not None and name.startswith(user)))
        ]
        query = {"num_parameters": spelled, "sort": "likes", "direction": direction, "limit": 7}
        assert expected, spelled
        assert names(client(user), **query, **({"filter": tag} if tag else {})) == expected


def test_a_range_of_sizes_reads_no_more_of_a_large_list(hub: HubForTests, client: Clients) -> None:
    """What lies in the range is read off: models of other sizes are not looked at one by one."""
    catalog = Catalog(hub)
    catalog.add("alice/seven", parameters=7 * 10**9)
    catalog.add_many("many", 60)
    seen: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    sa.event.listen(hub.hub.database.engine, "before_cursor_execute", note)
    assert names(client(), num_parameters="min:6B,max:7.5B") == ["alice/seven"]
    walked = [statement for statement in seen if "FROM search_postings" in statement]
    # `6e9` has nobody: only the term of the one that is found was walked
    assert len(walked) == 1


def test_a_model_that_changes_its_size_moves(hub: HubForTests, client: Clients) -> None:
    catalog = Catalog(hub)
    found = catalog.add("alice/bert", parameters=7 * 10**9)
    catalog.change(found, parameters=9 * 10**9)
    assert (names(client(), num_parameters="max:8B"), names(client(), num_parameters="min:8B")) == ([], ["alice/bert"])
    catalog.change(found, parameters=None)
    assert names(client(), num_parameters="min:0") == []
