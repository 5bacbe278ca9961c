"""Users: making, disabling and deleting them, and what others are told of them."""

import pytest
from sqlalchemy.engine import Connection

from madang.server.accounts import audit, passwords, users
from madang.server.accounts.errors import AccountExists, AccountInUse, LastAdministrator, WeakPassword
from madang.server.accounts.finding import find_account, user_named
from madang.server.errors import InvalidRequest
from madang.testing.hub import HubForTests

OPERATOR = audit.OPERATOR


@pytest.fixture
def connection(hub: HubForTests):
    with hub.hub.database.write() as opened:
        yield opened


def test_whoami_tells_whose_token_it_is(client, hub: HubForTests) -> None:
    alice = client("alice")
    hub.organisation("lab", alice="admin")
    told = alice.get("/api/whoami-v2").json()
    assert (told["name"], told["type"], told["orgs"][0]["name"], told["orgs"][0]["roleInOrg"]) == (
        *("alice", "user", "lab", "admin"),
    )
    token = told["auth"]["accessToken"]
    assert (token["displayName"], token["role"], token["createdAt"][-1]) == ("test", "write", "Z")
    assert len(told["id"]) == 24


def test_whoami_needs_a_token(client) -> None:
    answer = client().get("/api/whoami-v2")
    assert answer.status_code == 401
    assert "x-error-code" not in answer.headers


def test_names_are_found_in_any_case_and_given_once(connection: Connection) -> None:
    users.create_user(connection, OPERATOR, "Alice")
    assert user_named(connection, "aLICE").name == "Alice"
    with pytest.raises(AccountExists, match="'ALICE' is taken"):
        users.create_user(connection, OPERATOR, "ALICE")


def test_users_and_organisations_share_one_space_of_names(hub: HubForTests, connection: Connection) -> None:
    first = users.create_user(connection, OPERATOR, "alice")
    users.insert_account(connection, OPERATOR, "org", "lab")
    with pytest.raises(AccountExists):
        users.create_user(connection, OPERATOR, "lab")
    with pytest.raises(AccountExists):
        users.insert_account(connection, OPERATOR, "org", first.name)


@pytest.mark.parametrize(
    "name",
    ["", "api", "settings", "a/b", "..", "a--b", "-a", "a.git", "x" * 97, "한글", "a b", "a\nb", "<b>", "a\x00", "%2e"],
)
def test_names_that_addresses_cannot_carry_are_refused(name: str, connection: Connection) -> None:
    with pytest.raises(InvalidRequest):
        users.create_user(connection, OPERATOR, name)


@pytest.mark.parametrize("email", ["alice", "a@", "@b", "a b@c.org", "a@b\r\nBcc: x@y", "a@b@c"])
def test_what_is_no_email_address_is_refused(email: str, connection: Connection) -> None:
    with pytest.raises(InvalidRequest):
        users.create_user(connection, OPERATOR, "alice", email=email)


@pytest.mark.parametrize("password", ["short", "a" * 20, "x" * 1001, "administrator"])
def test_weak_passwords_are_refused(password: str) -> None:
    with pytest.raises(WeakPassword):
        passwords.prepare(password, "administrator")


def test_passwords_are_kept_as_argon2() -> None:
    kept = passwords.prepare("correct horse battery", "alice")
    assert kept.startswith("$argon2id$")
    assert passwords.fits("correct horse battery", kept)
    assert not passwords.fits("correct horse batterz", kept)
    assert not passwords.fits("correct horse battery", None)


def test_a_korean_password_fits_composed_and_decomposed() -> None:
    import unicodedata

    composed = "비밀번호는열글자이상"
    kept = passwords.prepare(composed, "alice")
    assert passwords.fits(unicodedata.normalize("NFD", composed), kept)


def test_an_account_with_repositories_cannot_be_deleted(client, hub: HubForTests) -> None:
    client("alice").post("/api/repos/create", json={"name": "bert"})
    with (
        hub.hub.database.write() as connection,
        pytest.raises(AccountInUse, match="alice has repositories: model alice/bert"),
    ):
        users.delete_user(connection, OPERATOR, user_named(connection, "alice"))


def test_a_deleted_account_is_gone_with_its_tokens(client, hub: HubForTests) -> None:
    alice = client("alice")
    with hub.hub.database.write() as connection:
        users.delete_user(connection, OPERATOR, user_named(connection, "alice"))
        assert find_account(connection, "alice") is None
    assert alice.get("/api/whoami-v2").status_code == 401
    assert client().get("/api/users/alice/overview").status_code == 404


def test_a_disabled_account_cannot_come_in_until_it_is_enabled(client, hub: HubForTests) -> None:
    alice = client("alice")
    with hub.hub.database.write() as connection:
        users.disable(connection, OPERATOR, user_named(connection, "alice"))
    refused = alice.get("/api/whoami-v2")
    assert (refused.status_code, refused.headers["x-error-message"]) == (
        401,
        "Invalid credentials in Authorization header",
    )
    with hub.hub.database.write() as connection:
        users.enable(connection, OPERATOR, user_named(connection, "alice"))
    assert alice.get("/api/whoami-v2").status_code == 200


def test_the_last_administrator_stays(connection: Connection) -> None:
    root = users.create_user(connection, OPERATOR, "root", administrator=True)
    for remove in (users.disable, users.delete_user):
        with pytest.raises(LastAdministrator, match="madang hub user admin"):
            remove(connection, OPERATOR, root)
    with pytest.raises(LastAdministrator):
        users.set_administrator(connection, OPERATOR, root, administrator=False)
    users.create_user(connection, OPERATOR, "second", administrator=True)
    users.set_administrator(connection, OPERATOR, root, administrator=False)


def test_an_overview_counts_only_what_the_caller_sees(client) -> None:
    alice = client("alice")
    alice.post("/api/repos/create", json={"name": "open"})
    alice.post("/api/repos/create", json={"name": "secret", "private": True})
    alice.post("/api/repos/create", json={"name": "table", "type": "dataset"})
    mine, theirs = (user.get("/api/users/ALICE/overview").json() for user in (alice, client()))
    assert (mine["user"], mine["numModels"], mine["numDatasets"], mine["numSpaces"]) == ("alice", 2, 1, 0)
    assert (theirs["numModels"], theirs["numDatasets"]) == (1, 1)
    assert "email" not in theirs
    assert client().get("/api/users/alice/followers").json() == []
    assert client().get("/api/users/alice/following").json() == []


def test_what_a_fresh_client_asks_first_is_answered(client) -> None:
    assert client().get("/api/agent-harnesses").json() == {"standardEnvVars": [], "harnesses": {}}
    assert client().head("/api/telemetry/hub/some/topic").status_code == 204
