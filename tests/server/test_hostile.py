"""What somebody sends who means harm: refused with an answer that says why, never a failure, and never for long."""

import base64
import contextlib
import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from madang.server.accounts.audit import OPERATOR
from madang.server.accounts.finding import organisation_named, user_named
from madang.server.accounts.organisations import remove_member
from madang.server.accounts.users import create_user, delete_user, disable
from madang.server.api import ROUTERS
from madang.server.api.paging import cursor_of
from madang.server.errors import InvalidRequest
from madang.server.repositories.attributes import Attributes, Ignored
from madang.server.repositories.cards import check_card
from madang.server.repositories.names import RESERVED
from madang.server.repositories.records import repositories
from madang.server.repositories.tags import Contents, model_tags
from madang.server.routing import LimitedRoute
from madang.server.web import ROUTERS as PAGES
from madang.testing.hub import HubForTests
from tests.server.committing import commit, file, header, large, lines, step
from tests.server.lfs_requests import actions, bring, name_of

Clients = Callable[..., TestClient]
ROUTES = [route for router in (*PAGES, *ROUTERS) for route in router.routes if isinstance(route, APIRoute)]
# halves of characters, NUL, line ends for headers, signs that turn text around, more than anybody needs
TEXTS = ["\ud800", "\0", "alice/\ud800", "a\0b", "a\r\nSet-Cookie: b=c", "\u202ea", "\x1b[2J", "x" * 100_000]


@pytest.fixture
def alice(client: Clients) -> TestClient:
    signed_in = client("alice")
    for kind in ("model", "dataset", "space"):
        body = {"name": "bert", "type": kind, "sdk": "static"}
        assert signed_in.post("/api/repos/create", json=body).status_code == 200
    return signed_in


def check_refused_or_done(answer: Any) -> None:
    assert answer.status_code < 500, f"{answer.request.method} {answer.request.url}: {answer.text[:300]}"
    for name, value in answer.headers.items():
        assert value.isprintable(), f"{name}: {value!r}"
    assert "set-cookie" not in answer.headers


# ----------------------------------------------------------------------------------------- text of every kind, anywhere
def filled(document: dict[str, Any], schema: dict[str, Any], text: str) -> Any:
    """A value of this schema, with `text` wherever a text can be."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for choice in schema.get("anyOf", ()):
        if choice.get("type") != "null":
            return filled(document, choice, text)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    match schema.get("type"):
        case "object":
            known = {name: filled(document, item, text) for name, item in schema.get("properties", {}).items()}
            return {**known, text: text}
        case "array":
            return [filled(document, schema.get("items", {}), text)]
        case "integer":
            return 1
        case "boolean":
            return False
    return "0" * 64 if "0-9a-f" in schema.get("pattern", "") else text


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:20]))
def test_every_body_may_hold_any_text(alice: TestClient, text: str) -> None:
    """With texts that JSON can spell and generators of requests leave out."""
    document = alice.get("/api/openapi.json").json()
    places = {"name": "alice/bert", "type": "models", "revision": "main", "number": "1", "comment": "0" * 24}
    asked = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" not in content:
                continue
            address = path
            for item in operation.get("parameters", ()):
                if item["in"] == "path":
                    address = address.replace("{" + item["name"] + "}", places.get(item["name"], "x"))
            body = json.dumps(filled(document, content["application/json"].get("schema", {}), text))
            headers = {"Content-Type": "application/json"}
            check_refused_or_done(alice.request(method, address, content=body, headers=headers))
            asked += 1
    assert asked > 20


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:20]))
def test_every_line_of_a_commit_may_hold_any_text(alice: TestClient, text: str) -> None:
    steps = [
        *({"key": key, "value": {"path": text, "content": "", "encoding": "base64"}} for key in ("file", text)),
        step("copyFile", "a", srcPath=text),
        step("copyFile", "a", srcPath="a", srcRevision=text),
        step("deletedFile", text),
        step("deletedFolder", text),
        step("lfsFile", text, oid="0" * 64, algo=text),
        step("lfsFile", "a", oid=text),
    ]
    for one in steps:
        check_refused_or_done(commit(alice, one))
    check_refused_or_done(commit(alice, file("a", text.encode("utf-8", "replace")), summary=text, description=text))
    check_refused_or_done(commit(alice, file("b"), parentCommit=text))


@pytest.mark.parametrize("text", ["%00", "%ff", "%ed%a0%80", "%0d%0aSet-Cookie:%20a=b", "x" * 5000, "9" * 5000])
def test_every_parameter_of_an_address_may_hold_any_text(alice: TestClient, text: str) -> None:
    for route in ROUTES:
        if "GET" not in route.methods or "/lfs/" in route.path:
            continue
        address = route.path.replace("{type:plural}", "models").replace("{type:prefix}", "")
        address = address.replace("{name:repository}", "alice/bert")
        inside = address
        while "{" in inside:
            inside = inside[: inside.index("{")] + text + inside[inside.index("}") + 1 :]
        while "{" in address:
            address = address[: address.index("{")] + "main" + address[address.index("}") + 1 :]
        named = {item.alias for item in route.dependant.query_params} | {"search", "q", "author", text}
        check_refused_or_done(alice.get(address + "?" + "&".join(f"{name}={text}" for name in sorted(named))))
        check_refused_or_done(alice.get(inside))


PLACES = ["\ud800", "\0", 2**63, -1, True, None, 1e308, [2**63, "a" * 64], [1, 2], {"a": 1}, ["0" * 40] * 700]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ascii(place)[:20])
def test_cursors_that_this_hub_never_made_are_refused(alice: TestClient, place: Any) -> None:
    listed = [route for route in ROUTES if any(item.alias == "cursor" for item in route.dependant.query_params)]
    assert len(listed) > 6
    for route in listed:
        address = route.path.replace("{type:plural}", "models").replace("{name:repository}", "alice/bert")
        for name, value in {"{revision:piece}": "main", "{status:piece}": "pending", "{user:piece}": "alice"}.items():
            address = address.replace(name, value)
        address = address.replace("{path:rest}", "").replace("{name:piece}", "x").replace("{organization:piece}", "x")
        check_refused_or_done(alice.get(address, params={"cursor": cursor_of(place)}))


@pytest.mark.parametrize(
    "authorization", [b"Basic \xe9", b"Basic !", b"Basic gICA", b"Bearer \xe9", b"Bearer", b"Basic", b"\xff", b"X y"]
)
def test_what_is_no_token_is_told_so(client: Clients, authorization: bytes) -> None:
    answer = client().get("/api/whoami-v2", headers={"Authorization": authorization})
    assert (answer.status_code, answer.json()["error"]) == (401, "Invalid credentials in Authorization header")


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:20]))
def test_bodies_without_a_schema_may_hold_any_text(alice: TestClient, text: str) -> None:
    body = json.dumps({"paths": [text, "README.md"], text: text})
    headers = {"Content-Type": "application/json"}
    for address in ("/api/models/alice/bert/paths-info/main", "/alice/bert/ask-access"):
        check_refused_or_done(alice.post(address, content=body, headers=headers))
    alice.put("/api/models/alice/bert/settings", json={"gated": "manual"}).raise_for_status()
    check_refused_or_done(alice.post("/alice/bert/ask-access", content=body, headers=headers))


def test_numbers_without_end_are_no_addresses(alice: TestClient) -> None:
    for number in ("9" * 19, "9" * 5000, "0" * 5000):
        assert alice.get(f"/api/models/alice/bert/discussions/{number}").status_code == 404
        assert alice.get(f"/xet/0/{number}/v1/chunks/default/{'0' * 64}").status_code in (401, 404)


# ----------------------------------------------------------------------------------------------------- work without end
SLOW_PATTERNS = {
    "stars": "\n".join("*" + "a*" * 60 + "b*" + str(number) + "*" for number in range(1000)),
    "folders": "\n".join("**/" + "/".join(["*a*a*b*"] * 50) + f"/*{number}?" for number in range(1000)),
    "half": "\n".join("*" + "a" * 120 + f"b{number}*" for number in range(1000)),
    "brackets": "\n".join(f"*{'[b-zb-zb-zb-zb-zb-zb-z]' * 100}{number}*" for number in range(1000)),
}


@pytest.mark.parametrize("patterns", SLOW_PATTERNS.values(), ids=SLOW_PATTERNS)
def test_patterns_may_not_take_long(patterns: str) -> None:
    start = time.process_time()
    for looks in (Ignored(patterns).__contains__, Attributes(patterns.replace("\n", " filter=lfs\n")).is_large):
        for path in ("a" * 255, "b" * 255, "/".join(["a" * 40] * 100)):
            with contextlib.suppress(InvalidRequest):
                looks(path)
    assert time.process_time() - start < 30  # one alone took a minute


def test_a_long_list_in_brackets_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="within brackets"):
        Ignored(f"*[{'ab' * 100}]*")


def test_ordinary_patterns_of_ordinary_paths_are_never_too_many(alice: TestClient) -> None:
    text = (
        "".join(f"*.{number} filter=lfs\n*x{number}y*.z filter=lfs\n" for number in range(200))
        + "*tfevents* filter=lfs"
    )
    attributes = Attributes(text)
    for number in range(5_000):
        assert not attributes.is_large(f"data/train/part-{number % 7}/shard-{number:05}-of-05000.parquet")


def test_whoever_may_only_read_cannot_keep_the_hub_busy_by_patterns(alice: TestClient, client: Clients) -> None:
    files = [{"path": "/".join([f"{number:03}" + "a" * 36] * 100), "size": 1} for number in range(50)]
    start = time.process_time()
    answer = client("bob").post(
        "/api/models/alice/bert/preupload/main?create_pr=1",
        json={"files": files, "gitIgnore": SLOW_PATTERNS["folders"]},
    )
    assert answer.status_code == 400
    assert "take too long" in answer.json()["error"]
    assert time.process_time() - start < 20


@pytest.mark.parametrize(
    "number", ["1" + ":1" * 200_000, "!!int '1" + " :1" * 150_000 + "'", "1" + ":1" * 200_000 + ".5"]
)
def test_numbers_to_the_base_of_sixty_do_not_keep_the_hub_busy(number: str) -> None:
    start = time.process_time()
    (error,) = check_card(f"---\na: {number}\n---\n", "model").errors
    assert "a number of more than 1000 digits" in error
    assert time.process_time() - start < 5


def test_long_paths_do_not_keep_the_hub_busy() -> None:
    start = time.process_time()
    model_tags(Contents(files=["/".join(["a.bin" * 8] * 99)] * 20_000), None, None)
    assert time.process_time() - start < 5


def test_every_body_that_is_read_as_a_whole_has_a_limit() -> None:
    assert all(isinstance(route, LimitedRoute) for route in ROUTES if route.body_field is not None)
    assert sum(route.body_field is not None for route in ROUTES) > 20


@pytest.mark.loopback
@pytest.mark.parametrize(
    "begin",
    [
        b"GET /",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: ",
        b"POST /oauth/token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: ",
    ],
    ids=["address", "header", "trailer"],
)
def test_addresses_and_headers_without_end_are_cut_off(served: HubForTests, begin: bytes) -> None:
    host, _, port = served.address.removeprefix("http://").partition(":")
    sent = 0
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(begin)
        try:
            while sent < 32 * 1024 * 1024:
                sent += connection.send(b"a" * 65536)
        except OSError:
            pass
    assert sent < 16 * 1024 * 1024


# ------------------------------------------------------------------------------------- what was allowed is not any more
@pytest.fixture
def bob(hub: HubForTests, client: Clients) -> TestClient:
    """A member of the organisation `lab`, which has a private and a gated repository."""
    signed_in = client("bob")
    client("alice")
    hub.organisation("lab", alice="admin", bob="write")
    for name, private in (("secret", True), ("gated", False)):
        made = signed_in.post("/api/repos/create", json={"name": name, "organization": "lab", "private": private})
        assert made.status_code == 200
    with hub.hub.database.write() as connection:
        connection.execute(repositories.update().where(repositories.c.name == "lab/gated").values(gated="manual"))
    return signed_in


def let_go(hub: HubForTests) -> None:
    with hub.hub.database.write() as connection:
        remove_member(connection, OPERATOR, organisation_named(connection, "lab"), user_named(connection, "bob"))


def close_account(hub: HubForTests) -> None:
    with hub.hub.database.write() as connection:
        disable(connection, OPERATOR, user_named(connection, "bob"))


@pytest.mark.parametrize("repository", ["lab/secret", "lab/gated"])
@pytest.mark.parametrize("end", [let_go, close_account])
def test_addresses_that_were_given_to_a_member_end_with_the_membership(
    hub: HubForTests, bob: TestClient, client: Clients, end: Callable[[HubForTests], None], repository: str
) -> None:
    content, other = b"weights" * 100, b"other" * 100
    bring(bob, content, f"{repository}.git")
    asked = {"repository": f"{repository}.git"}
    download = actions(bob, content, operation="download", **asked)["download"]["href"]
    upload = actions(bob, other, **asked)["upload"]["href"]
    verify = actions(bob, other, **asked)["verify"]["href"]
    assert client().get(download).content == content
    end(hub)
    for method, address, body in (("GET", download, None), ("PUT", upload, other), ("POST", verify, b"{}")):
        answer = client().request(method, address, content=body)
        assert (answer.status_code, "weights" in answer.text) == (403, False), f"{method}: {answer.text}"


def test_a_commit_that_was_sent_slowly_is_not_made_when_its_author_lost_the_right(
    hub: HubForTests, bob: TestClient, client: Clients
) -> None:
    def body() -> Any:
        yield lines(header("slow"), file("a"))
        let_go(hub)
        yield lines(file("b"))

    answer = bob.post("/api/models/lab/secret/commit/main", content=body())
    assert (answer.status_code, answer.headers["x-error-code"]) == (404, "RepoNotFound")
    paths = [item["path"] for item in client("alice").get("/api/models/lab/secret/tree/main").json()]
    assert paths == [".gitattributes"]


def test_a_commit_that_was_sent_slowly_is_not_made_in_a_repository_of_the_same_name(
    hub: HubForTests, bob: TestClient, client: Clients
) -> None:
    alice = client("alice")

    def body() -> Any:
        yield lines(header("slow"), file("a"))
        alice.post("/api/repos/move", json={"fromRepo": "lab/secret", "toRepo": "lab/moved"}).raise_for_status()
        alice.post("/api/repos/create", json={"name": "secret", "organization": "lab"}).raise_for_status()

    assert bob.post("/api/models/lab/secret/commit/main", content=body()).status_code == 200
    assert "a" not in [item["path"] for item in alice.get("/api/models/lab/secret/tree/main").json()]
    assert "a" in [item["path"] for item in alice.get("/api/models/lab/moved/tree/main").json()]


def test_the_number_of_a_deleted_account_is_never_anothers(hub: HubForTests) -> None:
    """Tickets name accounts by their numbers."""
    with hub.hub.database.write() as connection:
        first = create_user(connection, OPERATOR, "first")
        delete_user(connection, OPERATOR, first)
        assert create_user(connection, OPERATOR, "second").id > first.id


def test_content_known_by_an_account_that_left_opens_nothing(
    hub: HubForTests, bob: TestClient, client: Clients
) -> None:
    """Bob brought one file to the repository; what alice brought there he knows by its hash only."""
    alice, mine, hers = client("alice"), b"bob's" * 100, b"alice's" * 100
    bring(bob, mine, "lab/secret.git")
    bring(alice, hers, "lab/secret.git")
    let_go(hub)
    assert bob.post("/api/repos/create", json={"name": "own"}).status_code == 200
    url = "/api/models/bob/own/commit/main"
    assert commit(bob, large("hers", name_of(hers), len(hers)), url=url).status_code == 400
    assert commit(bob, large("mine", name_of(mine), len(mine)), url=url).status_code == 200
    alice.request("DELETE", "/api/repos/delete", json={"name": "lab/secret"}).raise_for_status()
    assert commit(bob, large("hers", name_of(hers), len(hers)), url=url).status_code == 400


# --------------------------------------------------------------------------------------------- names of what is private
def test_a_private_repository_and_none_are_answered_alike_everywhere(alice: TestClient, client: Clients) -> None:
    """Status, headers and body, at every address that names a repository, for a stranger and for nobody."""
    assert alice.post("/api/repos/create", json={"name": "secret", "private": True}).status_code == 200
    assert alice.post("/api/repos/create", json={"name": "old", "private": True}).status_code == 200
    assert alice.post("/api/repos/move", json={"fromRepo": "alice/old", "toRepo": "alice/gone"}).status_code == 200
    varying = ("x-request-id", "date", "content-length")
    for caller in (client("bob"), client()):
        for route in ROUTES:
            if "{name:repository}" not in route.path:
                continue
            for method in sorted(route.methods):
                told = []
                for name in ("alice/secret", "alice/old", "alice/none"):
                    address = route.path.replace("{type:plural}", "models").replace("{type:prefix}", "")
                    address = address.replace("{name:repository}", name).replace("{number:number}", "1")
                    while "{" in address:
                        address = address[: address.index("{")] + "main" + address[address.index("}") + 1 :]
                    body = {} if method in ("GET", "HEAD") else {"json": {}}
                    answer = caller.request(method, address, **body)
                    headers = {key: value for key, value in answer.headers.items() if key not in varying}
                    told.append((answer.status_code, headers, answer.text.replace(name, "NAME")))
                assert told[0] == told[1] == told[2], f"{method} {route.path}"
                assert told[0][0] in (401, 404, 400, 405), f"{method} {route.path}: {told[0]}"


def test_what_belongs_to_one_repository_is_not_found_by_its_number_in_another(alice: TestClient) -> None:
    """Comments and requests for access have numbers of their own, whose owner must be the repository in the address."""
    alice.post("/api/repos/create", json={"name": "other"}).raise_for_status()
    for name in ("bert", "other"):
        made = alice.post(f"/api/models/alice/{name}/discussions", json={"title": "Title", "description": "hello"})
        assert made.json()["num"] == 1
    (comment,) = alice.get("/api/models/alice/other/discussions/1").json()["events"]
    for verb, body in (("edit", {"content": "changed"}), ("hide", {})):
        answer = alice.post(f"/api/models/alice/bert/discussions/1/comment/{comment['id']}/{verb}", json=body)
        assert answer.status_code == 404
        assert alice.post(f"/api/models/alice/other/discussions/1/comment/{comment['id']}/{verb}", json=body).is_success


def test_every_word_that_addresses_begin_with_is_the_name_of_no_account() -> None:
    """Else an account could take over a page, or a page hide the repositories of an account."""
    first = {route.path.split("/")[1] for route in ROUTES} - {""}
    literal = {word for word in first if "{" not in word}
    assert literal - RESERVED == set()


def test_a_header_has_no_control_characters_whatever_is_asked(alice: TestClient) -> None:
    for text in ("\0", "\x7f", "\x1b", "\x85", "\u2028"):
        answer = alice.get("/api/models/alice/bert", params={"revision": f"a{text}b"})
        assert answer.status_code == 404
        check_refused_or_done(answer)


def test_reading_changes_nothing(hub: HubForTests, alice: TestClient) -> None:
    """No GET and no HEAD of a page or an API writes anything that people would notice: links in pages are harmless."""
    with hub.hub.database.read() as connection:
        before = connection.execute(sa.text("SELECT COUNT(*) FROM audit_log")).scalar()
    for route in ROUTES:
        if not route.methods & {"GET", "HEAD"}:
            continue
        address = route.path.replace("{type:plural}", "models").replace("{type:prefix}", "")
        address = address.replace("{name:repository}", "alice/bert")
        while "{" in address:
            address = address[: address.index("{")] + "1" + address[address.index("}") + 1 :]
        check_refused_or_done(alice.request(min(route.methods & {"GET", "HEAD"}), address))
    with hub.hub.database.read() as connection:
        assert connection.execute(sa.text("SELECT COUNT(*) FROM audit_log")).scalar() == before


def test_a_basic_token_is_a_password_without_a_name_too(alice: TestClient, client: Clients) -> None:
    """Else the refusals of tokens above would prove little."""
    token = alice.headers["Authorization"].removeprefix("Bearer ")
    for pair in (f"alice:{token}", f":{token}", f"{token}:"):
        answer = client().get(
            "/api/whoami-v2", headers={"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        )
        assert answer.json()["name"] == "alice"
