"""Organisations: what is known of them, their members."""

from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from madang.server.accounts import describing, organisations
from madang.server.accounts.finding import organisation_named, user_named
from madang.server.api.asking import AnyCaller, SignedIn, TheHub
from madang.server.api.paging import link
from madang.server.errors import Forbidden, InvalidRequest
from madang.server.routing import Router

router = Router(tags=["organizations"])
PAGE = 500


class NewOrganisation(BaseModel):
    """What an organisation is made of."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(min_length=1, max_length=200)]
    fullname: str = ""


class OrganisationSettings(BaseModel):
    """What can be changed; absent stays as it is."""

    model_config = ConfigDict(extra="forbid")
    fullname: str | None = None
    private_by_default: Annotated[bool | None, Field(alias="privateByDefault")] = None


class MemberRole(BaseModel):
    """What a member is to be."""

    model_config = ConfigDict(extra="forbid")
    role: str


@router.post("/api/organizations")
def create(hub: TheHub, caller: SignedIn, asked: NewOrganisation) -> dict[str, Any]:
    """Make an organisation, of which the caller is the administrator."""
    if not caller.may_manage:
        raise Forbidden("Organisations are made by people who are signed in, or with a write token.")
    with hub.database.write() as connection:
        made = organisations.create_organisation(connection, caller, asked.name, caller.user, fullname=asked.fullname)
        return describing.organisation_overview(connection, caller, made, hub.settings.address)


@router.get("/api/organizations/{name:piece}/overview")
def overview(hub: TheHub, caller: AnyCaller, name: str) -> dict[str, Any]:
    """What anybody may know of an organisation."""
    with hub.database.read() as connection:
        found = organisation_named(connection, name)
        return describing.organisation_overview(connection, caller, found, hub.settings.address)


@router.put("/api/organizations/{name:piece}/settings")
def change(hub: TheHub, caller: SignedIn, name: str, asked: OrganisationSettings) -> dict[str, Any]:
    """Change the full name, or whether new repositories are private."""
    with hub.database.write() as connection:
        found = organisation_named(connection, name)
        organisations.check_administers(connection, caller, found)
        organisations.change_organisation(
            connection, caller, found, fullname=asked.fullname, private_by_default=asked.private_by_default
        )
        found = organisation_named(connection, name)
        return describing.organisation_overview(connection, caller, found, hub.settings.address)


@router.get("/api/organizations/{name:piece}/members")
def members(
    request: Request,
    hub: TheHub,
    caller: AnyCaller,
    name: str,
    cursor: str = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = PAGE,
) -> JSONResponse:
    """Who belongs to an organisation, page by page; members see one another's roles."""
    if not cursor.isprintable():
        raise InvalidRequest("The cursor is none of this hub's. Begin again at the first page.")
    with hub.database.read() as connection:
        found = organisation_named(connection, name)
        page = organisations.members_of(connection, found, after=cursor, limit=limit + 1)
        account = caller.account
        inside = account is not None and (
            account.administrator or organisations.role_of(connection, found, account) is not None
        )
    items = [
        {**describing.listed(member.account, hub.settings.address), **({"role": member.role} if inside else {})}
        for member in page[:limit]
    ]
    headers = link(request, cursor=items[-1]["user"]) if len(page) > limit else {}
    return JSONResponse(items, headers=headers)


@router.get("/api/organizations/{name:piece}/followers")
def followers(hub: TheHub, caller: AnyCaller, name: str) -> list[dict[str, Any]]:
    """Nobody: people don't follow organisations on this hub."""
    with hub.database.read() as connection:
        organisation_named(connection, name)
    return []


@router.put("/api/organizations/{name:piece}/members/{user:piece}")
def set_member(hub: TheHub, caller: SignedIn, name: str, user: str, asked: MemberRole) -> dict[str, Any]:
    """Take somebody in, or give a member another role."""
    with hub.database.write() as connection:
        found = organisation_named(connection, name)
        organisations.check_administers(connection, caller, found)
        member = user_named(connection, user)
        organisations.set_role(connection, caller, found, member, asked.role)
    return {**describing.listed(member, hub.settings.address), "role": asked.role}


@router.delete("/api/organizations/{name:piece}/members/{user:piece}", status_code=204)
def remove_member(hub: TheHub, caller: SignedIn, name: str, user: str) -> None:
    """Let somebody go; everybody may go by themselves."""
    with hub.database.write() as connection:
        found, member = organisation_named(connection, name), user_named(connection, user)
        if member.id != caller.user.id or not caller.may_manage:
            organisations.check_administers(connection, caller, found)
        organisations.remove_member(connection, caller, found, member)
