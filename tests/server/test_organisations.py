"""Organisations: roles, members, what each may do."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from madang.server.accounts import organisations, users
from madang.server.accounts.audit import OPERATOR
from madang.server.accounts.errors import AccountInUse, LastAdministrator
from madang.server.accounts.finding import organisation_named, user_named
from madang.server.errors import InvalidRequest
from madang.testing.hub import HubForTests

Client = Callable[..., TestClient]
PEOPLE = {"anna": "admin", "wim": "write", "carl": "contributor", "rosa": "read"}


@pytest.fixture
def lab(hub: HubForTests, client: Client) -> dict[str, TestClient]:
    """An organisation with somebody in each role, and a stranger."""
    people = {name: client(name) for name in (*PEOPLE, "stranger")}
    hub.organisation("lab", **PEOPLE)
    return people


def create(person: TestClient, name: str, **more: object) -> int:
    return person.post("/api/repos/create", json={"name": name, "organization": "lab", **more}).status_code


def delete(person: TestClient, name: str) -> int:
    return person.request("DELETE", "/api/repos/delete", json={"name": name, "organization": "lab"}).status_code


def test_each_role_may_do_what_it_says(lab) -> None:
    made = {name: create(person, f"of-{name}", private=True) for name, person in lab.items()}
    assert made == {"anna": 200, "wim": 200, "carl": 200, "rosa": 403, "stranger": 403}
    seen = {name: person.get("/api/models/lab/of-anna").status_code for name, person in lab.items()}
    assert seen == {"anna": 200, "wim": 200, "carl": 200, "rosa": 200, "stranger": 404}
    deleted = {name: delete(person, "of-anna") for name, person in reversed(lab.items())}
    assert deleted == {"stranger": 404, "rosa": 403, "carl": 403, "wim": 403, "anna": 200}
    assert delete(lab["carl"], "of-carl") == 200


def test_who_leaves_no_longer_sees_what_is_private(lab) -> None:
    create(lab["anna"], "secret", private=True)
    assert lab["rosa"].delete("/api/organizations/lab/members/rosa").status_code == 204
    assert lab["rosa"].get("/api/models/lab/secret").status_code == 404


def test_only_administrators_decide_about_members(lab) -> None:
    for name in ("wim", "carl", "rosa", "stranger"):
        person = lab[name]
        assert person.put("/api/organizations/lab/members/stranger", json={"role": "admin"}).status_code == 403
        assert person.put(f"/api/organizations/lab/members/{name}", json={"role": "admin"}).status_code == 403
        assert person.delete("/api/organizations/lab/members/anna").status_code == 403
        assert person.put("/api/organizations/lab/settings", json={"fullname": "x"}).status_code == 403
    taken_in = lab["anna"].put("/api/organizations/lab/members/stranger", json={"role": "write"})
    assert (taken_in.status_code, taken_in.json()["role"]) == (200, "write")


def test_an_administrator_with_a_read_token_decides_nothing(lab, client: Client) -> None:
    reader = client("anna", role="read")
    assert reader.put("/api/organizations/lab/members/stranger", json={"role": "read"}).status_code == 403
    assert reader.delete("/api/organizations/lab/members/anna").status_code == 403


def test_the_last_administrator_can_neither_leave_nor_step_down(lab, hub: HubForTests) -> None:
    anna = lab["anna"]
    for answer in (
        anna.delete("/api/organizations/lab/members/anna"),
        anna.put("/api/organizations/lab/members/anna", json={"role": "read"}),
    ):
        assert (answer.status_code, "only administrator of lab" in answer.json()["error"]) == (409, True)
    anna.put("/api/organizations/lab/members/wim", json={"role": "admin"})
    assert anna.delete("/api/organizations/lab/members/anna").status_code == 204


def test_the_last_administrator_cannot_be_deleted(lab, hub: HubForTests) -> None:
    with hub.hub.database.write() as connection, pytest.raises(AccountInUse, match="administrator of lab"):
        users.delete_user(connection, OPERATOR, user_named(connection, "anna"))


def test_anybody_may_make_an_organisation_and_administers_it(client: Client) -> None:
    alice = client("alice")
    made = alice.post("/api/organizations", json={"name": "team", "fullname": "Our  team"})
    assert (made.status_code, made.json()["fullname"]) == (200, "Our team")
    assert alice.get("/api/whoami-v2").json()["orgs"][0]["roleInOrg"] == "admin"
    assert alice.post("/api/organizations", json={"name": "TEAM"}).status_code == 409
    assert alice.post("/api/organizations", json={"name": "settings"}).status_code == 400
    assert client().post("/api/organizations", json={"name": "other"}).status_code == 401


def test_new_repositories_are_private_where_the_organisation_says_so(lab) -> None:
    changed = lab["anna"].put("/api/organizations/lab/settings", json={"privateByDefault": True})
    assert changed.status_code == 200
    create(lab["wim"], "quiet")
    create(lab["wim"], "loud", visibility="public")
    assert lab["wim"].get("/api/models/lab/quiet").json()["private"] is True
    assert lab["wim"].get("/api/models/lab/loud").json()["private"] is False


def test_members_come_page_by_page(lab, client: Client) -> None:
    seen, path = [], "/api/organizations/lab/members?limit=3"
    while path:
        answer = client().get(path)
        seen.append([member["user"] for member in answer.json()])
        path = answer.links["next"]["url"] if "link" in answer.headers else ""
    assert seen == [["anna", "carl", "rosa"], ["wim"]]


@pytest.mark.parametrize("query", ["limit=0", "limit=9999", "limit=x", "cursor=%00", "cursor=%1b"])
def test_senseless_pages_are_refused(query: str, lab, client: Client) -> None:
    assert client().get(f"/api/organizations/lab/members?{query}").status_code == 400


def test_roles_are_shown_to_members_only(lab, client: Client) -> None:
    inside = lab["rosa"].get("/api/organizations/lab/members").json()
    assert {member["user"]: member["role"] for member in inside} == PEOPLE
    for outside in (lab["stranger"], client()):
        assert all("role" not in member for member in outside.get("/api/organizations/lab/members").json())


def test_members_have_what_clients_read(lab, client: Client) -> None:
    for member in client().get("/api/organizations/lab/members").json():
        assert {"user", "fullname", "avatarUrl", "type"} <= member.keys()
        assert client().get(member["avatarUrl"]).status_code == 200


def test_an_overview_counts_members_and_what_the_caller_sees(lab, client: Client) -> None:
    create(lab["anna"], "open")
    create(lab["anna"], "secret", private=True)
    inside, outside = (who.get("/api/organizations/LAB/overview").json() for who in (lab["rosa"], client()))
    assert (inside["name"], inside["numUsers"], inside["numModels"]) == ("lab", 4, 2)
    assert outside["numModels"] == 1
    assert client().get("/api/organizations/lab/followers").json() == []


@pytest.mark.parametrize("path", ["overview", "members", "followers"])
def test_what_is_no_organisation_is_not_found(path: str, lab, client: Client) -> None:
    for name in ("anna", "nothing", "%27%3B--", "%00"):
        assert client().get(f"/api/organizations/{name}/{path}").status_code in (400, 404)


@pytest.mark.parametrize("body", [{"role": "owner"}, {"role": ""}, {}, {"role": ["admin"]}, {"role": "read", "x": 1}])
def test_unknown_roles_are_refused(body, lab) -> None:
    assert lab["anna"].put("/api/organizations/lab/members/stranger", json=body).status_code == 400


def test_organisations_are_no_members(lab, hub: HubForTests) -> None:
    hub.organisation("other", anna="admin")
    with hub.hub.database.write() as connection:
        first, second = (organisation_named(connection, name) for name in ("lab", "other"))
        with pytest.raises(InvalidRequest, match="only users"):
            organisations.set_role(connection, OPERATOR, first, second, "read")


def test_an_organisation_with_repositories_stays(lab, hub: HubForTests) -> None:
    create(lab["anna"], "model")
    with hub.hub.database.write() as connection:
        found = organisation_named(connection, "lab")
        with pytest.raises(AccountInUse, match="lab has repositories: model lab/model"):
            organisations.delete_organisation(connection, OPERATOR, found)
    delete(lab["anna"], "model")
    with hub.hub.database.write() as connection:
        organisations.delete_organisation(connection, OPERATOR, organisation_named(connection, "lab"))
    assert lab["anna"].get("/api/whoami-v2").json()["orgs"] == []


def test_leaving_twice_is_told(lab, hub: HubForTests) -> None:
    lab["rosa"].delete("/api/organizations/lab/members/rosa")
    assert lab["rosa"].delete("/api/organizations/lab/members/rosa").status_code == 404
    with hub.hub.database.write() as connection:
        found, anna = organisation_named(connection, "lab"), user_named(connection, "anna")
        with pytest.raises(LastAdministrator):
            organisations.remove_member(connection, OPERATOR, found, anna)
