"""How many requests are answered, and how clients are told to wait."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from madang.server import rate_limits
from madang.server.app import create_application
from madang.server.rate_limits import FixedWindow, network
from madang.testing.hub import HubForTests, hub_in


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which the test moves."""
    time = [1_000_000_200.0]
    monkeypatch.setattr(rate_limits.time, "time", lambda: time[0])
    return time


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[HubForTests]:
    made = hub_in(tmp_path / "limited", rate_limit=3)
    yield made
    made.hub.close()


def clients(hub: HubForTests) -> Callable[..., TestClient]:
    application = create_application(hub.hub)

    def make(user: str | None = None) -> TestClient:
        headers = {"Authorization": f"Bearer {hub.user(user)}"} if user else {}
        return TestClient(application, headers=headers)

    return make


def test_answers_say_what_is_left(limited: HubForTests, moment: list[float]) -> None:
    alice = clients(limited)("alice")
    told = [alice.get("/api/whoami-v2").headers for _ in range(3)]
    assert [headers["ratelimit"] for headers in told] == [f'"api";r={left};t=300' for left in (2, 1, 0)]
    assert {headers["ratelimit-policy"] for headers in told} == {'"fixed window";"api";q=3;w=300'}


def test_too_many_are_told_how_long_to_wait(limited: HubForTests, moment: list[float]) -> None:
    alice = clients(limited)("alice")
    moment[0] += 100
    assert [alice.get("/api/whoami-v2").status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = alice.get("/api/whoami-v2").headers
    assert (refused["retry-after"], refused["ratelimit"]) == ("200", '"api";r=0;t=200')
    assert refused.get_list("ratelimit-policy") == ['"fixed window";"api";q=3;w=300']
    moment[0] += 200
    assert alice.get("/api/whoami-v2").status_code == 200


def test_an_account_has_one_count_for_all_its_tokens(limited: HubForTests, moment: list[float]) -> None:
    make = clients(limited)
    assert [make("alice").get("/api/whoami-v2").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert make("bob").get("/api/whoami-v2").status_code == 200
    assert make().get("/api/users/bob/overview").status_code == 200


def test_bad_tokens_and_logins_count_for_the_address(limited: HubForTests, moment: list[float]) -> None:
    nobody = clients(limited)()
    statuses = [
        nobody.get("/api/whoami-v2", headers={"Authorization": "Bearer hf_x"}).status_code,
        nobody.post("/oauth/device", data={}).status_code,
        nobody.post("/oauth/token", data={}).status_code,
        nobody.get("/api/users/x/overview").status_code,
    ]
    assert statuses == [401, 401, 400, 429]


def test_errors_say_what_is_left_too(limited: HubForTests, moment: list[float]) -> None:
    assert clients(limited)("alice").get("/api/models/alice/nothing").headers["ratelimit"] == '"api";r=2;t=300'


def test_without_a_limit_nothing_is_said(hub: HubForTests) -> None:
    alice = clients(hub)("alice")
    assert all("ratelimit" not in alice.get("/api/whoami-v2").headers for _ in range(50))


def test_the_client_reads_what_is_said() -> None:
    from huggingface_hub.utils._http import parse_ratelimit_headers

    parsed = parse_ratelimit_headers(
        {"RateLimit": '"api";r=0;t=55', "RateLimit-Policy": '"fixed window";"api";q=3;w=300'}
    )
    assert parsed is not None
    assert (parsed.remaining, parsed.reset_in_seconds, parsed.limit, parsed.window_seconds) == (0, 55, 3, 300)


def test_counts_of_a_window_that_is_over_are_forgotten(moment: list[float]) -> None:
    window = FixedWindow(5, 60)
    for number in range(100):
        window.take(str(number))
    moment[0] += 60
    assert window.take("x") == 4
    assert len(window._counts) == 1


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_with_ipv6_the_network_counts(address: str, counted: str) -> None:
    assert network(address) == counted
