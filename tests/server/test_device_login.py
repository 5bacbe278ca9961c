"""Logging in a command line through a browser, and with a token: the protocol, then the unmodified client."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from argon2 import PasswordHasher
from fastapi.testclient import TestClient
from sqlalchemy import text

from madang.server.accounts import devices, passwords, users
from madang.server.accounts.audit import OPERATOR
from madang.server.accounts.finding import user_named
from madang.server.accounts.tokens import revoke_token, tokens_of
from madang.server.app import create_application
from madang.server.clock import DAY, now
from madang.testing.hub import HubForTests

PASSWORD = "correct horse battery"
CLIENT = {"client_id": devices.PUBLIC_CLIENT}
POLL = {**CLIENT, "grant_type": "urn:ietf:params:oauth:grant-type:device_code"}
MARK = re.compile(r'name="mark" value="([0-9a-f]{64})"')


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))


def make_alice(hub: HubForTests) -> None:
    kept = passwords.prepare(PASSWORD, "alice")
    with hub.hub.database.write() as connection:
        users.create_user(connection, OPERATOR, "alice", password=kept)


@pytest.fixture
def line(hub: HubForTests) -> Callable[[], TestClient]:
    """What reaches the hub from a command line, or from a browser."""
    make_alice(hub)
    application = create_application(hub.hub)

    def make() -> TestClient:
        return TestClient(application, headers={"Origin": "http://testserver"}, follow_redirects=False)

    return make


@pytest.fixture
def alice(line: Callable[[], TestClient]) -> TestClient:
    """Her browser."""
    browser = line()
    assert browser.post("/login", data={"name": "alice", "password": PASSWORD}).status_code == 303
    return browser


def begin(line: Callable[[], TestClient]) -> dict[str, object]:
    return line().post("/oauth/device", data=CLIENT).json()


def poll(line: Callable[[], TestClient], codes: dict[str, object], hub: HubForTests) -> dict[str, object]:
    """Ask for the token, as somebody does who waited long enough."""
    with hub.hub.database.write() as connection:
        connection.execute(text("UPDATE device_logins SET polled_at = 0"))
    answer = line().post("/oauth/token", data={**POLL, "device_code": codes["device_code"]})
    assert answer.status_code == (200 if "access_token" in answer.json() else 400)
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def decide(browser, code: str, decision: str = "approve", role: str = "write"):
    page = browser.get(f"/device?code={code}")
    mark = MARK.search(page.text)
    assert mark
    return browser.post("/device", data={"mark": mark[1], "code": code, "decision": decision, "role": role})


def whoami(line: Callable[[], TestClient], token: object) -> dict[str, object]:
    return line().get("/api/whoami-v2", headers={"Authorization": f"Bearer {token}"}).json()


def test_the_codes_say_where_to_approve(line) -> None:
    codes = begin(line)
    assert re.fullmatch(r"[B-Z]{4}-[B-Z]{4}", str(codes["user_code"]))
    assert codes["verification_uri"] == "http://testserver/device"
    assert codes["verification_uri_complete"] == f"http://testserver/device?code={codes['user_code']}"
    assert codes["expires_in"] == 900


def test_an_approved_login_gives_one_token_that_lasts(line, alice, hub: HubForTests) -> None:
    codes = begin(line)
    assert poll(line, codes, hub)["error"] == "authorization_pending"
    assert decide(alice, str(codes["user_code"])).status_code == 200
    given = poll(line, codes, hub)
    assert given["expires_in"] > 30 * DAY // 1000
    told = whoami(line, given["access_token"])
    assert (told["name"], told["auth"]["accessToken"]["role"]) == ("alice", "write")
    assert poll(line, codes, hub)["error"] == "expired_token"


def test_a_person_can_give_less(line, alice, hub: HubForTests) -> None:
    codes = begin(line)
    decide(alice, str(codes["user_code"]), role="read")
    assert whoami(line, poll(line, codes, hub)["access_token"])["auth"]["accessToken"]["role"] == "read"


def test_a_refused_login_is_told(line, alice, hub: HubForTests) -> None:
    codes = begin(line)
    decide(alice, str(codes["user_code"]), "deny")
    assert poll(line, codes, hub)["error"] == "access_denied"


def test_who_asks_too_often_is_slowed_down(line, hub: HubForTests) -> None:
    codes = begin(line)
    assert poll(line, codes, hub)["error"] == "authorization_pending"
    again = line().post("/oauth/token", data={**POLL, "device_code": codes["device_code"]})
    assert again.json()["error"] == "slow_down"


def test_codes_end(line, alice, hub: HubForTests) -> None:
    codes = begin(line)
    with hub.hub.database.write() as connection:
        connection.execute(text(f"UPDATE device_logins SET expires_at = {now() - 1}"))
    assert poll(line, codes, hub)["error"] == "expired_token"
    assert alice.get(f"/device?code={codes['user_code']}").status_code == 404


def test_nobody_approves_without_being_signed_in(line, hub: HubForTests) -> None:
    codes = begin(line)
    browser = line()
    asked = browser.get(f"/device?code={codes['user_code']}")
    assert asked.headers["location"] == f"/login?next=/device%3Fcode%3D{codes['user_code']}"
    sent = browser.post("/device", data={"code": codes["user_code"], "decision": "approve"})
    assert sent.headers["location"] == "/login"
    assert poll(line, codes, hub)["error"] == "authorization_pending"


def test_another_site_cannot_approve(line, alice, hub: HubForTests) -> None:
    codes = begin(line)
    mark = MARK.search(alice.get("/device").text)[1]
    form = {"mark": mark, "code": codes["user_code"], "decision": "approve"}
    assert alice.post("/device", data=form, headers={"Origin": "https://evil.example"}).status_code == 403
    assert alice.post("/device", data={**form, "mark": ""}).status_code == 403
    assert poll(line, codes, hub)["error"] == "authorization_pending"


@pytest.mark.parametrize("typed", ["{}", "  {} ", "lower", "no dash"])
def test_a_code_is_found_however_it_was_typed(typed: str, line, alice) -> None:
    code = str(begin(line)["user_code"])
    typed = {"lower": code.lower(), "no dash": code.replace("-", "")}.get(typed, typed.format(code))
    assert code in alice.get("/device", params={"code": typed}).text


@pytest.mark.parametrize("wrong", ["ZZZZ-ZZZZ", "<script>", "'; --", "\x00", "가나다라"])
def test_a_wrong_code_is_told(wrong: str, line, alice) -> None:
    answer = alice.get("/device", params={"code": wrong})
    assert answer.status_code == 404
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "unsupported_grant_type"),
        ({"grant_type": "password", **CLIENT}, "unsupported_grant_type"),
        ({**POLL, "client_id": "somebody"}, "invalid_client"),
        (POLL, "expired_token"),
        ({**POLL, "device_code": "\x00" * 50}, "expired_token"),
        ({**CLIENT, "grant_type": "refresh_token"}, "invalid_grant"),
        ({**CLIENT, "grant_type": "refresh_token", "refresh_token": "hf_refresh_x"}, "invalid_grant"),
    ],
)
def test_what_is_no_login_is_refused_in_the_words_of_oauth(form, error: str, line) -> None:
    answer = line().post("/oauth/token", data=form)
    assert answer.status_code in (400, 401)
    assert answer.json()["error"] == error


def test_an_unknown_client_gets_no_codes(line) -> None:
    assert line().post("/oauth/device", data={"client_id": "somebody"}).json()["error"] == "invalid_client"


def test_only_so_many_logins_wait_at_once(line, monkeypatch) -> None:
    monkeypatch.setattr(devices, "WAITING_AT_ONCE", 2)
    assert [line().post("/oauth/device", data=CLIENT).status_code for _ in range(3)] == [200, 200, 429]


def refresh(line, token: object) -> dict[str, object]:
    form = {**CLIENT, "grant_type": "refresh_token", "refresh_token": token}
    return line().post("/oauth/token", data=form).json()


def test_a_login_is_renewed_while_others_finish_with_the_old_token(line, alice, hub: HubForTests) -> None:
    codes = begin(line)
    decide(alice, str(codes["user_code"]))
    first = poll(line, codes, hub)
    second = refresh(line, first["refresh_token"])
    assert second["access_token"] != first["access_token"]
    for given in (first, second):
        assert whoami(line, given["access_token"])["name"] == "alice"
    with hub.hub.database.write() as connection:
        connection.execute(text(f"UPDATE tokens SET previous_until = {now() - 1}"))
    assert whoami(line, first["access_token"])["error"] == "Invalid credentials in Authorization header"
    assert whoami(line, second["access_token"])["name"] == "alice"


def test_revoking_a_login_ends_all_its_tokens(line, alice, hub: HubForTests) -> None:
    codes = begin(line)
    decide(alice, str(codes["user_code"]))
    first = poll(line, codes, hub)
    second = refresh(line, first["refresh_token"])
    with hub.hub.database.write() as connection:
        (listed,) = tokens_of(connection, user_named(connection, "alice"))
        revoke_token(connection, OPERATOR, listed.id)
    assert refresh(line, first["refresh_token"])["error"] == "invalid_grant"
    for given in (first, second):
        assert "error" in whoami(line, given["access_token"])


def test_a_disabled_account_is_not_logged_in(line, alice, hub: HubForTests) -> None:
    codes, other = begin(line), begin(line)
    decide(alice, str(codes["user_code"]))
    decide(alice, str(other["user_code"]))
    given = poll(line, other, hub)
    with hub.hub.database.write() as connection:
        users.disable(connection, OPERATOR, user_named(connection, "alice"))
    assert poll(line, codes, hub)["error"] == "access_denied"
    assert refresh(line, given["refresh_token"])["error"] == "invalid_grant"


# ----------------------------------------------------------------------------------------------- the unmodified client


@pytest.fixture
def environment(served: HubForTests, tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "HF_HOME": str(tmp_path / "hf"),
        "HF_ENDPOINT": served.address,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "PYTHONUNBUFFERED": "1",
    }


def client(code: str, environment: dict[str, str]) -> str:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


HF = "import sys; from huggingface_hub.cli.hf import main; sys.argv = ['hf', *{}]; main()"


@pytest.mark.loopback
def test_the_client_logs_in_with_a_token(served: HubForTests, environment: dict[str, str]) -> None:
    token = served.user("alice")
    said = client(f"import huggingface_hub as hub; hub.login({token!r}); print(hub.whoami()['name'])", environment)
    assert said.splitlines()[-1] == "alice"
    assert "alice" in client(HF.format(["auth", "whoami"]), environment)
    stored = Path(environment["HF_HOME"], "stored_tokens").read_text(encoding="utf-8")
    assert stored.startswith("[test]")


@pytest.mark.loopback
def test_the_client_knows_a_bad_token_from_a_missing_repository(environment: dict[str, str]) -> None:
    code = """
import huggingface_hub as hub
for call in (hub.whoami, lambda token: hub.model_info("alice/bert", token=token)):
    for token in ("hf_wrong", False):
        try:
            print(call(token=token))
        except Exception as error:
            print(type(error).__name__, "Invalid user token." in str(error))
"""
    assert client(code, environment).splitlines() == [
        "HfHubHTTPError True",
        "ValueError False",
        "HfHubHTTPError False",
        "RepositoryNotFoundError False",
    ]


@pytest.fixture
def login(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """`hf auth login`, waiting for somebody to approve it."""
    command = [sys.executable, "-c", HF.format(["auth", "login"])]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = subprocess.Popen(command, env=environment, text=True, **pipes)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.loopback
def test_the_client_logs_in_through_a_browser(served: HubForTests, environment: dict[str, str], login) -> None:
    make_alice(served)
    for shown in login.stdout:
        found = re.search(r"(http://\S+/device\?code=(\S+))", shown)
        if found:
            break
    with httpx2.Client(base_url=served.address, headers={"Origin": served.address}, follow_redirects=True) as browser:
        asked = browser.get(found[1])  # shows the page for signing in, and comes back
        form = {"name": "alice", "password": PASSWORD, "next": re.search(r'name="next" value="([^"]+)"', asked.text)[1]}
        page = browser.post("/login", data=form)
        assert found[2] in page.text
        approved = decide(browser, found[2])
        assert approved.status_code == 200
    said, _ = login.communicate(timeout=60)
    assert login.returncode == 0, said
    assert "alice" in client(HF.format(["auth", "whoami"]), environment)


@pytest.mark.loopback
def test_the_client_renews_its_login(served: HubForTests, environment: dict[str, str]) -> None:
    from madang.server.accounts.tokens import give_login

    make_alice(served)
    with served.hub.database.write() as connection:
        given = give_login(connection, OPERATOR, user_named(connection, "alice"), "laptop", "write")
    home = Path(environment["HF_HOME"])
    home.mkdir()
    home.joinpath("token").write_text(given.access, encoding="utf-8")
    soon = now() // 1000 + 3600
    stored = f"[laptop]\nhf_token = {given.access}\nrefresh_token = {given.refresh}\nexpires_at = {soon}\n"
    home.joinpath("stored_tokens").write_text(stored, encoding="utf-8")
    assert client("import huggingface_hub as hub; print(hub.whoami()['name'])", environment) == "alice"
    assert home.joinpath("token").read_text(encoding="utf-8") != given.access
