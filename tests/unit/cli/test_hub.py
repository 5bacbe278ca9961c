"""`madang hub user|token|org|invite|audit`."""

import io
import json
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="the server's packages are not installed: pip install 'madang[server]'")
pytest.importorskip("argon2", reason="the server's packages are not installed: pip install 'madang[server]'")

from madang.cli.main import main
from madang.server.accounts import links, passwords
from madang.server.accounts.caller import Caller
from madang.server.accounts.errors import LinkOver
from madang.server.accounts.finding import find_account, user_named
from madang.server.accounts.records import accounts
from madang.server.accounts.tokens import caller_of
from madang.testing.hub import HubForTests, hub_in


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HubForTests:
    """A hub in a folder that the commands find by the environment."""
    monkeypatch.setenv("MADANG_DATA", str(tmp_path / "hub"))
    made = hub_in(tmp_path / "hub", "http://hub.test")
    made.hub.remember("address", "http://hub.test")
    yield made
    made.hub.close()


class Command:
    """Runs `madang hub …` and keeps what it said."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.error = ""

    def __call__(self, *words: str, status: int = 0) -> str:
        self.capsys.readouterr()
        assert main(["hub", *words]) == status
        said = self.capsys.readouterr()
        self.error = said.err
        return said.out


@pytest.fixture
def run(hub: HubForTests, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def test_an_added_user_gets_a_link_that_signs_in(run: Command, hub: HubForTests) -> None:
    said = run("user", "add", "alice", "--email", "alice@example.org", "--fullname", "Alice Kim")
    address = said.split()[-1]
    assert address.startswith("http://hub.test/login/once/")
    with hub.hub.database.write() as connection:
        assert links.sign_in_by(connection, address.rpartition("/")[2]).name == "alice"
    (listed,) = json.loads(run("user", "list", "--json"))
    assert (listed["name"], listed["email"], listed["fullname"]) == ("alice", "alice@example.org", "Alice Kim")


def test_a_password_comes_from_standard_input(run: Command, hub: HubForTests, monkeypatch) -> None:
    for command in (("add", "alice", "--password"), ("password", "alice")):
        monkeypatch.setattr("sys.stdin", io.StringIO(f"a long password for {command[0]}\n"))
        assert "login/once" not in run("user", *command)
        with hub.hub.database.read() as connection:
            kept = connection.scalar(accounts.select().with_only_columns(accounts.c.password))
        assert passwords.fits(f"a long password for {command[0]}", kept)
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    run("user", "password", "alice", status=1)
    assert "10 to 1000 characters" in run.error


def test_people_are_disabled_promoted_and_deleted(run: Command, hub: HubForTests) -> None:
    for name in ("alice", "root"):
        run("user", "add", name)
    run("user", "admin", "root")
    run("user", "disable", "alice")
    shown = run("user", "list")
    assert "administrator" in shown
    assert "disabled" in shown
    run("user", "link", "alice", status=1)
    assert "disabled" in run.error
    run("user", "disable", "alice", "--undo")
    run("user", "admin", "root", "--undo", status=1)
    assert "only administrator" in run.error
    run("user", "delete", "alice")
    with hub.hub.database.read() as connection:
        assert find_account(connection, "alice") is None


@pytest.mark.parametrize(
    "words",
    [
        ("user", "disable", "nobody"),
        ("user", "link", "nobody"),
        ("token", "create", "nobody"),
        ("token", "revoke", "99"),
        ("org", "add", "nothing", "nobody"),
        ("invite", "--org", "nothing"),
        ("user", "add", "a/b"),
    ],
)
def test_what_is_not_there_is_one_line(words: tuple[str, ...], run: Command) -> None:
    assert run(*words, status=1) == ""
    assert run.error.startswith("madang: ")
    assert run.error.count("\n") == 1


def test_a_token_is_all_that_is_printed(run: Command, hub: HubForTests) -> None:
    run("user", "add", "alice")
    secret = run("token", "create", "alice", "--role", "write", "--name", "laptop").strip()
    with hub.hub.database.read() as connection:
        caller = caller_of(connection, f"Bearer {secret}")
    assert caller.account is not None
    assert caller.token is not None
    assert (caller.account.name, caller.token.role) == ("alice", "write")
    (listed,) = json.loads(run("token", "list", "--json"))
    assert (listed["name"], listed["used_at"]) == ("laptop", None)
    run("token", "revoke", str(listed["id"]))
    assert json.loads(run("token", "list", "alice", "--json")) == []


def test_a_fine_grained_token_has_scopes(run: Command, hub: HubForTests) -> None:
    run("user", "add", "alice")
    secret = run("token", "create", "alice", "--scope", "user:alice=repo.content.read,discussion.write").strip()
    with hub.hub.database.read() as connection:
        token = caller_of(connection, f"Bearer {secret}").token
    assert token is not None
    assert token.may("discussion.write", "model", "alice/x")
    run("token", "create", "alice", "--role", "read", "--scope", "user:alice=repo.write", status=1)
    assert "either a role, or scopes" in run.error
    run("token", "create", "alice", "--scope", "alice", status=1)
    assert "is no scope" in run.error


def test_organisations_are_made_and_filled(run: Command) -> None:
    for name in ("alice", "bob"):
        run("user", "add", name)
    run("org", "create", "lab", "--admin", "alice", "--fullname", "The lab")
    run("org", "add", "lab", "bob", "--role", "write")
    assert json.loads(run("org", "list", "--json")) == [{"name": "lab", "fullname": "The lab", "members": "2"}]
    members = {item["name"]: item["role"] for item in json.loads(run("org", "list", "lab", "--json"))}
    assert members == {"alice": "admin", "bob": "write"}
    run("org", "remove", "lab", "alice", status=1)
    assert "only administrator" in run.error
    run("org", "remove", "lab", "bob")
    run("org", "add", "lab", "bob", "--role", "owner", status=1)
    assert "read, contributor, write, admin" in run.error
    run("org", "delete", "lab")
    assert json.loads(run("org", "list", "--json")) == []


def test_an_invitation_works_once(run: Command, hub: HubForTests) -> None:
    run("user", "add", "alice")
    run("org", "create", "lab", "--admin", "alice")
    secret = run("invite", "--org", "lab", "--role", "write", "--days", "3").strip().rpartition("/join/")[2]
    kept = passwords.prepare("a long password", "bob")
    with hub.hub.database.write() as connection:
        links.join_by(connection, secret, "bob", kept)
        with pytest.raises(LinkOver):
            links.join_by(connection, secret, "eve", kept)
    assert "bob" in run("org", "list", "lab")
    run("invite", "--days", "1000", status=1)
    assert "between 1 and 90 days" in run.error


def test_the_log_names_what_was_done_here(run: Command, hub: HubForTests) -> None:
    run("user", "add", "alice")
    run("token", "create", "alice")
    lines = [json.loads(line) for line in run("audit", "--json").splitlines()]
    assert [line["action"] for line in lines] == ["token.create", "user.link", "user.create"]
    assert {line["address"] for line in lines} == {"command line"}
    assert len(run("audit", "--limit", "1").splitlines()) == 3
    assert "token.create" in run("audit")


def test_what_others_typed_cannot_move_the_terminal(run: Command, hub: HubForTests) -> None:
    from madang.server.accounts import audit

    run("user", "add", "alice")
    with hub.hub.database.write() as connection:
        caller = Caller(user_named(connection, "alice"))
        audit.record(connection, caller, "user.sign_in_refused", name="\x1b[2J")
    assert "\x1b" not in run("audit")


def test_a_folder_without_a_hub_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hub", "user", "list", "--data", str(tmp_path / "nothing")]) == 1
    assert "there is no hub in" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_does_not_answer_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for url in ("nonsense", "sqlite:////nowhere/at/all.sqlite3"):
        assert main(["hub", "user", "list", "--data", str(tmp_path), "--database-url", url]) == 1
        assert capsys.readouterr().err.count("\n") == 1
