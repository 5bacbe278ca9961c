"""Lists in pages: a cursor leads on in the list that gave it, and nowhere else."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter

from madang.server.api.paging import LONGEST, Number, cursor_of, place_of
from madang.server.errors import InvalidRequest

LISTS = [
    "/api/models/alice/bert/tree/main",
    "/api/models/alice/bert/commits/main",
    "/api/models/alice/bert/likers",
    "/api/models/alice/bert/lfs-files",
    "/api/models/alice/bert/user-access-request/pending",
    "/api/settings/repositories",
    "/api/users/alice/likes",
]
# of no list: numbers are no truths, and no database counts so far
FOREIGN = [True, [True, True], -1, 2**63, 1.5, {}, [[]], ["x"], [1, 2, 3], "0" * LONGEST]


@pytest.fixture
def alice(client: Callable[..., TestClient]) -> TestClient:
    caller = client("alice")
    assert caller.post("/api/repos/create", json={"name": "bert"}).status_code == 200
    return caller


@pytest.mark.parametrize("address", LISTS)
def test_a_cursor_of_another_list_is_refused_saying_what_to_do(alice: TestClient, address: str) -> None:
    for cursor in ["none!", "bnVsbA", *map(cursor_of, FOREIGN)]:
        answer = alice.get(address, params={"cursor": cursor})
        assert answer.status_code == 400, (cursor[:100], answer.text)
        assert "Begin again at the first page" in answer.json()["error"]


def test_a_cursor_leads_back_to_its_place() -> None:
    places = TypeAdapter(tuple[Number, Number])
    assert place_of(cursor_of((1, 2**63 - 1)), places) == (1, 2**63 - 1)
    assert place_of("", places) is None
    with pytest.raises(InvalidRequest, match="none of this list's"):
        place_of("W10" * LONGEST, places)
