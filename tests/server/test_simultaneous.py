"""Many at the same moment: of what cannot be done twice, one does it and the others are told; on both databases."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from madang.testing.hub import HubForTests
from tests.server.committing import file, header, lines
from tests.server.git_packs import BLOB, NOTHING, Pack, push_body

pytestmark = pytest.mark.loopback
AT_ONCE = 8


def together(*works: Callable[[], Any]) -> list[Any]:
    """What these return, begun at the same moment."""
    found: list[Any] = [None] * len(works)
    ready = threading.Barrier(len(works))

    def work(number: int, do: Callable[[], Any]) -> None:
        ready.wait()
        found[number] = do()

    threads = [threading.Thread(target=work, args=item) for item in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.fixture
def alice(served: HubForTests) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {served.user('alice')}"}
    with httpx2.Client(base_url=served.address, headers=headers, timeout=120) as client:
        client.post("/api/repos/create", json={"name": "bert"}).raise_for_status()
        yield client


def head_of(alice: httpx2.Client, ref: str = "main") -> str:
    return str(alice.get(f"/api/models/alice/bert/revision/{ref}").json()["sha"])


def committer(alice: httpx2.Client, name: str, parent: str, revision: str = "main") -> Callable[[], httpx2.Response]:
    body = lines(header(name, parentCommit=parent), file(name, name))
    return lambda: alice.post(f"/api/models/alice/bert/commit/{revision}", content=body)


def pusher(alice: httpx2.Client, name: str, old: str, ref: str = "refs/heads/main") -> Callable[[], httpx2.Response]:
    """A push of one commit made by hand."""
    pack = Pack()
    parents = () if old == NOTHING else (old,)
    head = pack.commit(("100644", name.encode(), pack.add(BLOB, name.encode())), parents=parents)
    body = push_body((old, head, ref), pack=pack.bytes())
    kind = {"Content-Type": "application/x-git-receive-pack-request"}
    return lambda: alice.post("/alice/bert.git/git-receive-pack", content=body, headers=kind)


def won(answer: httpx2.Response) -> bool:
    """Whether a commit or a push was made; else it was refused as documented."""
    if "receive-pack" in answer.headers["content-type"]:
        assert answer.status_code == 200, answer.text
        assert ("ok refs/" in answer.text) != ("ng refs/" in answer.text), answer.text
        return "ok refs/" in answer.text
    assert answer.status_code in (200, 409, 412), answer.text
    return answer.status_code == 200


def names(alice: httpx2.Client) -> set[str]:
    return {item["path"] for item in alice.get("/api/models/alice/bert/tree/main").json()} - {".gitattributes"}


def test_of_commits_on_one_parent_one_is_made_each_time(alice: httpx2.Client) -> None:
    for turn in range(5):
        head = head_of(alice)
        answers = together(*(committer(alice, f"{turn}-{number}", head) for number in range(AT_ONCE)))
        assert sum(map(won, answers)) == 1
    history = alice.get("/api/models/alice/bert/commits/main").json()
    assert len(history) == 1 + 5
    assert len(names(alice)) == 5


def test_of_pushes_on_one_parent_one_is_taken(alice: httpx2.Client) -> None:
    head = head_of(alice)
    answers = together(*(pusher(alice, str(number), head) for number in range(AT_ONCE)))
    assert sum(map(won, answers)) == 1
    assert len(names(alice)) == 1


def test_of_a_push_and_commits_on_one_parent_one_is_made(alice: httpx2.Client) -> None:
    for turn in range(3):
        head = head_of(alice)
        answers = together(
            *(pusher(alice, f"push{turn}-{number}", head) for number in range(3)),
            *(committer(alice, f"commit{turn}-{number}", head) for number in range(3)),
        )
        assert sum(map(won, answers)) == 1
        assert alice.get(f"/api/models/alice/bert/commit/{head_of(alice)}").json()["parents"] == [head]


def test_of_new_branches_of_one_name_one_is_made(alice: httpx2.Client) -> None:
    branch = "/api/models/alice/bert/branch/new"
    statuses = [answer.status_code for answer in together(*[lambda: alice.post(branch)] * AT_ONCE)]
    assert sorted(statuses) == [201, *[409] * (AT_ONCE - 1)]
    # git keeps refs as files: of `a` and `a/b` there can be one
    at = ("a", "a/b", "a/b/c")
    works = [lambda name=name: alice.post(f"/api/models/alice/bert/branch/{name}") for name in at]
    assert sorted(answer.status_code for answer in together(*works)) == [201, 409, 409]


def test_of_repositories_of_one_name_one_is_made(alice: httpx2.Client) -> None:
    body = {"name": "same"}
    answers = together(*[lambda: alice.post("/api/repos/create", json=body)] * AT_ONCE)
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * (AT_ONCE - 1)]


def test_of_repositories_moved_to_one_name_one_gets_it(alice: httpx2.Client) -> None:
    for number in range(4):
        alice.post("/api/repos/create", json={"name": f"r{number}"}).raise_for_status()
    bodies = [{"fromRepo": f"alice/r{number}", "toRepo": "alice/taken", "type": "model"} for number in range(4)]
    answers = together(*(lambda body=body: alice.post("/api/repos/move", json=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]


def test_of_accounts_of_one_name_one_is_made(alice: httpx2.Client) -> None:
    answers = together(*[lambda: alice.post("/api/organizations", json={"name": "lab"})] * AT_ONCE)
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * (AT_ONCE - 1)]


def test_of_two_administrators_who_let_each_other_go_one_stays(served: HubForTests, alice: httpx2.Client) -> None:
    of_bob = {"Authorization": f"Bearer {served.user('bob')}"}
    for turn in range(5):
        name = f"lab{turn}"
        served.organisation(name, alice="admin", bob="admin")
        members = f"/api/organizations/{name}/members"
        answers = together(
            lambda members=members: alice.delete(f"{members}/bob"),
            lambda members=members: alice.put(f"{members}/alice", json={"role": "read"}, headers=of_bob),
        )
        assert sum(answer.is_success for answer in answers) == 1, [answer.text for answer in answers]
        assert all(answer.status_code < 500 for answer in answers)


def test_a_member_taken_in_twice_at_once_is_one(served: HubForTests, alice: httpx2.Client) -> None:
    served.user("carol")
    served.organisation("lab", alice="admin")
    roles = ["read", "write", "contributor", "admin"] * 2
    answers = together(
        *(lambda role=role: alice.put("/api/organizations/lab/members/carol", json={"role": role}) for role in roles)
    )
    assert {answer.status_code for answer in answers} == {200}
    listed = alice.get("/api/organizations/lab/members").json()
    assert [item["user"] for item in listed] == ["alice", "carol"]


def test_commits_while_the_repository_moves_are_kept(alice: httpx2.Client) -> None:
    def move(old: str, new: str) -> httpx2.Response:
        return alice.post("/api/repos/move", json={"fromRepo": f"alice/{old}", "toRepo": f"alice/{new}"})

    def commit(name: str) -> httpx2.Response:
        return alice.post("/api/models/alice/bert/commit/main", content=lines(header(name), file(name)))

    answers = together(
        *(lambda number=number: commit(f"f{number}") for number in range(AT_ONCE)), lambda: move("bert", "other")
    )
    assert {answer.status_code for answer in answers} == {200}
    assert names(alice) == {f"f{number}" for number in range(AT_ONCE)}


def test_commits_while_the_repository_is_deleted_fail_or_are_made(alice: httpx2.Client) -> None:
    body = {"name": "bert"}
    answers = together(
        *(committer(alice, f"f{number}", head_of(alice)) for number in range(4)),
        lambda: alice.request("DELETE", "/api/repos/delete", json=body),
    )
    assert answers[-1].status_code == 200
    assert {answer.status_code for answer in answers[:-1]} <= {200, 404, 409, 412}
    assert alice.get("/api/models/alice/bert").status_code == 404
