"""Signing in with a browser: passwords, one-time links, invitations, and what a session may do."""

import re
from collections.abc import Callable

import pytest
from argon2 import PasswordHasher
from fastapi.testclient import TestClient
from sqlalchemy import text

from madang.server.accounts import links, passwords, users
from madang.server.accounts.audit import OPERATOR
from madang.server.accounts.finding import organisation_named, user_named
from madang.server.accounts.organisations import role_of
from madang.server.accounts.sessions import IDLE, LONGEST
from madang.server.app import create_application
from madang.server.clock import now
from madang.server.rate_limits import SIGN_INS_PER_ACCOUNT, SIGN_INS_PER_ADDRESS
from madang.server.web.pages import safe_path
from madang.server.web.sessions import browser_name
from madang.server.web.translations import WORDS, language_of
from madang.testing.hub import HubForTests, hub_in

PASSWORD = "correct horse battery"
HERE = {"Origin": "http://testserver"}
MARK = re.compile(r'name="mark" value="([0-9a-f]{64})"')


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password costs a good part of a second, on purpose; the tests have many."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    monkeypatch.setattr(passwords, "_of_nobody", [])


@pytest.fixture
def browser(hub: HubForTests) -> Callable[[], TestClient]:
    """A browser that nobody is signed in with; all of them reach the same process."""
    application = create_application(hub.hub)

    def make() -> TestClient:
        return TestClient(application, headers=HERE, raise_server_exceptions=False, follow_redirects=False)

    return make


@pytest.fixture
def alice(hub: HubForTests) -> None:
    """An account with a password."""
    kept = passwords.prepare(PASSWORD, "alice")
    with hub.hub.database.write() as connection:
        users.create_user(connection, OPERATOR, "alice", password=kept)


def sign_in(browser: TestClient, name: str = "alice", password: str = PASSWORD, **more: str):
    return browser.post("/login", data={"name": name, "password": password, **more})


def send(browser: TestClient, page: str, path: str, **fields: str):
    """Fill in the form of a page as a browser does."""
    mark = MARK.search(browser.get(page).text)
    assert mark
    return browser.post(path, data={"mark": mark[1], **fields})


def test_the_right_password_begins_a_session(browser, alice) -> None:
    mine = browser()
    answer = sign_in(mine, next="/settings/tokens")
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings/tokens")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert mine.get("/api/whoami-v2").json()["name"] == "alice"


def test_under_https_the_cookie_is_for_this_host_alone(tmp_path) -> None:
    secure = hub_in(tmp_path / "secure", "https://hub.example.org", sign_up="open")
    try:
        mine = TestClient(
            create_application(secure.hub), "https://hub.example.org", headers={"Origin": "https://hub.example.org"}
        )
        answer = mine.post("/join", data={"name": "alice", "password": PASSWORD}, follow_redirects=False)
        assert re.match(
            r"__Host-madang=session_\w+; HttpOnly; Max-Age=\d+; Path=/; SameSite=lax; Secure",
            (answer.headers["set-cookie"]),
        )
        assert mine.get("/api/whoami-v2").json()["name"] == "alice"
    finally:
        secure.hub.close()


def test_only_a_hash_of_the_session_is_kept(browser, alice, hub: HubForTests) -> None:
    mine = browser()
    sign_in(mine)
    secret = mine.cookies["madang-session"]
    with hub.hub.database.read() as connection:
        for row in connection.execute(text("SELECT * FROM sessions")):
            assert secret not in map(str, row)


@pytest.mark.parametrize(
    ("name", "password"),
    [("alice", "wrong"), ("nobody", PASSWORD), ("", ""), ("lab", PASSWORD), ("a\0", "a\0"), ("가", "a" * 5000)],
)
def test_whatever_was_wrong_is_told_in_the_same_way(name, password, browser, alice, hub: HubForTests) -> None:
    hub.organisation("lab", alice="admin")
    answer = sign_in(browser(), name, password)
    assert answer.status_code == 403
    assert WORDS["en"]["error.SignInRefused"] in answer.text
    assert "set-cookie" not in answer.headers


def test_passwords_cannot_be_tried_without_end(browser, alice) -> None:
    mine = browser()
    statuses = [sign_in(mine, password="wrong").status_code for _ in range(SIGN_INS_PER_ACCOUNT + 1)]
    assert statuses == [403] * SIGN_INS_PER_ACCOUNT + [429]
    refused = sign_in(mine)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 900


def test_one_address_cannot_try_many_names(browser, monkeypatch) -> None:
    monkeypatch.setattr(passwords, "fits", lambda password, kept: False)
    mine = browser()
    statuses = [sign_in(mine, f"user{number}").status_code for number in range(SIGN_INS_PER_ADDRESS + 1)]
    assert statuses == [403] * SIGN_INS_PER_ADDRESS + [429]


def test_a_crowd_at_the_door_is_asked_to_come_back(browser, alice, monkeypatch) -> None:
    from threading import BoundedSemaphore

    full = BoundedSemaphore(1)
    full.acquire()
    monkeypatch.setattr(passwords, "_admitted", full)
    answer = sign_in(browser())
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://testserver:7860"},
        {"Origin": "http://testserver.evil.example"},
        {"Origin": "http://[", "Host": "["},
        {"Origin": "http://testserver", "Sec-Fetch-Site": "same-site"},
        {"Origin": "http://testserver", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://testserver", "Sec-Fetch-Site": "none"},
    ],
)
def test_pages_of_other_sites_cannot_use_a_session(headers, browser, alice, hub: HubForTests) -> None:
    mine = browser()
    sign_in(mine)
    made = mine.post("/api/repos/create", json={"name": "bert"}, headers=headers)
    assert made.status_code == 403
    assert mine.post("/login", data={"name": "alice", "password": PASSWORD}, headers=headers).status_code == 403
    assert mine.get("/api/models/alice/bert").status_code == 404


def test_a_page_of_this_hub_may_change_things(browser, alice) -> None:
    mine = browser()
    sign_in(mine)
    assert mine.post("/api/repos/create", json={"name": "bert"}).status_code == 200
    del mine.headers["origin"]
    assert mine.post("/api/repos/create", json={"name": "two"}).status_code == 403
    mine.headers["Sec-Fetch-Site"] = "same-origin"
    assert mine.post("/api/repos/create", json={"name": "two"}).status_code == 200


def test_a_form_of_another_session_is_refused(browser, alice) -> None:
    first, second = browser(), browser()
    sign_in(first)
    sign_in(second)
    mark = MARK.search(second.get("/settings/tokens").text)[1]
    for wrong in ("", mark, "0" * 64, "é"):
        answer = first.post("/settings/tokens", data={"mark": wrong, "name": "x", "role": "write"})
        assert answer.status_code == 403
    assert "hf_" not in first.get("/settings/tokens").text


def test_a_token_opens_no_settings(client) -> None:
    answer = client("alice").get("/settings/tokens", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/settings/tokens")


def test_signing_out_ends_the_session(browser, alice) -> None:
    mine = browser()
    sign_in(mine)
    kept = mine.cookies["madang-session"]
    assert send(mine, "/settings/tokens", "/logout").status_code == 303
    assert "madang-session" not in mine.cookies
    mine.cookies["madang-session"] = kept
    assert mine.get("/api/whoami-v2").status_code == 401


def test_sessions_are_listed_and_can_be_ended(browser, alice) -> None:
    first, second = browser(), browser()
    sign_in(first)
    second.headers["User-Agent"] = "<script>Firefox"
    sign_in(second)
    page = first.get("/settings/sessions").text
    assert "&lt;script&gt;Firefox" in page
    other = max(int(number) for number in re.findall(r'name="id" value="(\d+)"', page))
    assert send(first, "/settings/sessions", "/settings/sessions/end", id=str(other)).status_code == 303
    assert second.get("/api/whoami-v2").status_code == 401
    assert first.get("/api/whoami-v2").status_code == 200


def test_sessions_of_others_cannot_be_ended(browser, alice, hub: HubForTests) -> None:
    kept = passwords.prepare(PASSWORD, "bob")
    with hub.hub.database.write() as connection:
        users.create_user(connection, OPERATOR, "bob", password=kept)
    mine, theirs = browser(), browser()
    sign_in(mine)
    sign_in(theirs, "bob")
    number = re.search(r'name="id" value="(\d+)"', theirs.get("/settings/sessions").text)[1]
    for wrong in (number, "x", "", "9" * 30, "٣"):
        assert send(mine, "/settings/sessions", "/settings/sessions/end", id=wrong).status_code in (400, 404)
    assert theirs.get("/api/whoami-v2").status_code == 200


@pytest.mark.parametrize("column", ["seen_at", "expires_at"])
def test_sessions_end_when_idle_and_at_the_latest_after_two_months(column, browser, alice, hub: HubForTests) -> None:
    mine = browser()
    sign_in(mine)
    past = {"seen_at": now() - IDLE - 1000, "expires_at": now() - 1000}[column]
    assert LONGEST > IDLE
    with hub.hub.database.write() as connection:
        connection.execute(text(f"UPDATE sessions SET {column} = {past}"))
    assert mine.get("/api/whoami-v2").status_code == 401


def test_using_a_session_keeps_it(browser, alice, hub: HubForTests) -> None:
    mine = browser()
    sign_in(mine)
    with hub.hub.database.write() as connection:
        connection.execute(text(f"UPDATE sessions SET seen_at = {now() - IDLE // 2}"))
    mine.get("/api/whoami-v2")
    with hub.hub.database.read() as connection:
        assert connection.scalar(text("SELECT seen_at FROM sessions")) > now() - 10_000


def test_a_new_password_ends_all_other_sessions(browser, alice) -> None:
    first, second = browser(), browser()
    sign_in(first)
    sign_in(second)
    changed = send(first, "/settings/password", "/settings/password", current=PASSWORD, password="another long one")
    assert changed.status_code == 200
    assert WORDS["en"]["password.done"] in changed.text
    assert first.get("/api/whoami-v2").status_code == 200
    assert second.get("/api/whoami-v2").status_code == 401
    assert sign_in(browser()).status_code == 403
    assert sign_in(browser(), password="another long one").status_code == 303


@pytest.mark.parametrize(("current", "new"), [("wrong", "another long one"), (PASSWORD, "short"), (PASSWORD, "alice")])
def test_a_password_changes_only_by_whoever_knows_it(current, new, browser, alice) -> None:
    mine = browser()
    sign_in(mine)
    changed = send(mine, "/settings/password", "/settings/password", current=current, password=new)
    assert changed.status_code in (400, 403)
    assert sign_in(browser()).status_code == 303


def test_a_disabled_account_has_no_session(browser, alice, hub: HubForTests) -> None:
    mine = browser()
    sign_in(mine)
    with hub.hub.database.write() as connection:
        users.disable(connection, OPERATOR, user_named(connection, "alice"))
    assert mine.get("/api/whoami-v2").status_code == 401
    assert sign_in(mine).status_code == 403


def one_time_link(hub: HubForTests, name: str = "alice") -> str:
    with hub.hub.database.write() as connection:
        return "/login/once/" + links.sign_in_link(connection, OPERATOR, user_named(connection, name))


def test_a_link_signs_in_once(browser, alice, hub: HubForTests) -> None:
    link = one_time_link(hub)
    mine = browser()
    for _ in range(2):  # mail programs and chats look at links before people do
        assert mine.get(link).status_code == 200
    assert mine.post(link, data={}).status_code == 303
    assert mine.get("/api/whoami-v2").json()["name"] == "alice"
    late = browser()
    assert late.get(link).status_code == 404
    assert late.post(link, data={}).status_code == 404
    assert WORDS["en"]["error.LinkOver"] in late.get(link).text


def test_a_link_can_set_a_forgotten_password(browser, alice, hub: HubForTests) -> None:
    before = browser()
    sign_in(before)
    link = one_time_link(hub)
    mine = browser()
    assert mine.post(link, data={"password": "short"}).status_code == 400
    assert mine.post(link, data={"password": "a fresh password"}).status_code == 303
    assert before.get("/api/whoami-v2").status_code == 401
    assert sign_in(browser(), password="a fresh password").status_code == 303


def test_links_end(browser, alice, hub: HubForTests) -> None:
    link = one_time_link(hub)
    with hub.hub.database.write() as connection:
        connection.execute(text(f"UPDATE links SET expires_at = {now() - 1}"))
    assert browser().post(link, data={}).status_code == 404
    assert browser().get("/login/once/nonsense").status_code == 404
    assert browser().get("/login/once/%00").status_code == 400


def invitation(hub: HubForTests, **more) -> str:
    with hub.hub.database.write() as connection:
        return "/join/" + links.invitation(connection, OPERATOR, **more)


def test_an_invitation_makes_one_account(browser, hub: HubForTests) -> None:
    link = invitation(hub)
    taken = {"name": "alice", "password": "short"}
    assert browser().post(link, data=taken).status_code == 400
    mine = browser()
    assert mine.post(link, data={"name": "alice", "password": PASSWORD}).status_code == 303
    assert mine.get("/api/whoami-v2").json()["name"] == "alice"
    assert browser().post(link, data={"name": "eve", "password": PASSWORD}).status_code == 404


def test_a_name_that_is_taken_leaves_the_invitation(browser, alice, hub: HubForTests) -> None:
    link = invitation(hub)
    assert browser().post(link, data={"name": "ALICE", "password": PASSWORD}).status_code == 409
    assert browser().post(link, data={"name": "alice2", "password": PASSWORD}).status_code == 303


def test_an_invitation_can_be_into_an_organisation(browser, alice, hub: HubForTests) -> None:
    hub.organisation("lab", alice="admin")
    with hub.hub.database.read() as connection:
        lab = organisation_named(connection, "lab")
    browser().post(invitation(hub, organisation=lab, role="write"), data={"name": "bob", "password": PASSWORD})
    with hub.hub.database.read() as connection:
        assert role_of(connection, lab, user_named(connection, "bob")) == "write"


@pytest.mark.parametrize(
    ("policy", "alone", "invited"), [("open", 303, 303), ("invite", 403, 303), ("closed", 403, 403)]
)
def test_the_policy_says_who_may_sign_up(policy, alone, invited, tmp_path) -> None:
    other = hub_in(tmp_path / "other", sign_up=policy)
    try:
        application = create_application(other.hub)
        link = invitation(other)
        for path, name, expected in (("/join", "alice", alone), (link, "bob", invited)):
            mine = TestClient(application, headers=HERE, follow_redirects=False)
            assert mine.post(path, data={"name": name, "password": PASSWORD}).status_code == expected
    finally:
        other.hub.close()


def test_the_first_administrator_comes_in_by_a_link_even_into_a_closed_hub(tmp_path) -> None:
    other = hub_in(tmp_path / "other", sign_up="closed")
    try:
        application = create_application(other.hub)
        with other.hub.database.write() as connection:
            old, new = (links.first_link(connection, OPERATOR) for _ in range(2))
        mine = TestClient(application, headers=HERE, follow_redirects=False)
        assert mine.get(f"/join/{old}").status_code == 404
        assert mine.post(f"/join/{new}", data={"name": "root", "password": PASSWORD}).status_code == 303
        assert mine.get("/api/audit").status_code == 200
    finally:
        other.hub.close()


@pytest.mark.parametrize(
    "path", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/a\nb", "", "/é"]
)
def test_after_signing_in_nobody_is_sent_elsewhere(path: str) -> None:
    assert safe_path(path) == "/"


def test_hostile_forms_are_refused(browser, alice) -> None:
    mine = browser()
    assert mine.post("/login", content=b"name=" + b"a" * 100_000).status_code == 400
    assert mine.post("/login", content=b"\xff\xfe").status_code == 400
    assert mine.post("/login", content=b"&".join(b"a=1" for _ in range(2000))).status_code == 400
    assert mine.post("/login", content=b"name=%ff%fe").status_code == 400


def test_pages_forbid_scripts_and_frames(browser, alice) -> None:
    mine = browser()
    sign_in(mine)
    for path in ("/", "/settings/tokens", "/settings/sessions", "/settings/password", "/device", "/join"):
        answer = mine.get(path)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "script-src" not in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert not re.search(r"<script| on\w+=| style=", answer.text)


def test_whoever_reads_an_error_in_a_browser_gets_a_page(browser, alice) -> None:
    mine = browser()
    mine.headers["Accept"] = "text/html,*/*;q=0.8"
    for address in ("/nothing", "/nothing/here/at/all", "/alice/none/resolve/main/x", "/static/none.css"):
        answer = mine.get(address, headers={"Accept-Language": "ko"})
        assert answer.status_code in (401, 404)
        assert answer.headers["content-type"].startswith("text/html")
        assert WORDS["ko"]["refused.title"] in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    for headers, address in (({"Accept": "*/*"}, "/nothing"), ({}, "/api/models/alice/none")):
        assert "error" in mine.get(address, headers=headers).json()


def test_an_error_page_knows_who_is_signed_in(browser, alice) -> None:
    mine = browser()
    sign_in(mine)
    answer = mine.post("/settings/tokens/revoke", data={"mark": "of another", "id": "1"})
    assert answer.status_code == 403
    assert ">alice</a>" in answer.text


def test_the_page_somebody_is_on_is_marked(browser, alice) -> None:
    mine = browser()
    sign_in(mine)
    for path in ("/settings/tokens", "/settings/sessions", "/settings/password"):
        assert re.findall(r'<a href="([^"]+)" aria-current="page">', mine.get(path).text) == [path]


@pytest.mark.parametrize(("policy", "shown"), [("open", True), ("invite", False)])
def test_where_everybody_may_sign_up_the_way_is_shown(policy, shown, tmp_path) -> None:
    other = hub_in(tmp_path / "other", sign_up=policy)
    try:
        mine = TestClient(create_application(other.hub))
        assert ('href="/join"' in mine.get("/login").text) is shown
    finally:
        other.hub.close()


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
            "Chrome, Linux",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Whale/4.1 Safari/537.36", "Whale, Windows"),
        ("Mozilla/5.0 (Linux; Android 15; SM-S921N) SamsungBrowser/28.0 Chrome/130.0", "Samsung Internet, Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1", "Safari, iPhone"),
        ("curl/8.5", "curl/8.5"),
        ("", "—"),
    ],
)
def test_browsers_are_called_as_people_call_them(agent: str, name: str) -> None:
    assert browser_name(agent) == name


def test_pages_speak_korean_and_english(browser) -> None:
    mine = browser()
    korean = mine.get("/login", headers={"Accept-Language": "ko-KR,ko;q=0.9,en;q=0.8"})
    assert WORDS["ko"]["login.forgotten"] in korean.text
    assert korean.headers["content-language"] == "ko"
    assert WORDS["en"]["login.forgotten"] in mine.get("/login", headers={"Accept-Language": "de"}).text


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("", "en"), ("ko", "ko"), ("en;q=0.5, ko;q=0.9", "ko"), ("en, ko;q=0.9", "en"), ("ko;q=x", "en"), ("fr,*", "en")],
)
def test_the_language_is_the_one_liked_best(accepted: str, language: str) -> None:
    assert language_of(accepted) == language


def test_both_languages_have_the_same_words_with_the_same_gaps() -> None:
    gaps = {
        language: {key: sorted(re.findall(r"\{\w+\}", said)) for key, said in words.items()}
        for language, words in WORDS.items()
    }
    assert gaps["en"] == gaps["ko"]


def test_style_and_pictures_are_served(browser) -> None:
    style = browser().get("/static/style.css")
    assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    again = browser().get("/static/style.css", headers={"If-None-Match": style.headers["etag"]})
    assert again.status_code == 304
    for hostile in ("..%2fpages.py", "nothing.css", "%2e%2e", "style.css%00"):
        assert browser().get(f"/static/{hostile}").status_code in (400, 404)
