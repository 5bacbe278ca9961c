"""Repositories: make, delete, look at."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from madang.server.accounts.caller import Right
from madang.server.api.asking import Known, SignedIn, TheHub
from madang.server.errors import InvalidRequest
from madang.server.repositories import describing, service
from madang.server.repositories.access import find
from madang.server.repositories.errors import RepositoryExists

router = APIRouter(tags=["repositories"])

RepositoryType = Literal["model", "dataset", "space"]


class Body(BaseModel):
    """A JSON body. Keys nobody knows are let through: clients send more than this hub has."""

    model_config = ConfigDict(extra="ignore")


class NewRepository(Body):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    organization: str | None = None
    type: RepositoryType = "model"
    visibility: Literal["public", "private", "protected"] | None = None
    private: bool | None = None
    sdk: str | None = None


class NamedRepository(Body):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    organization: str | None = None
    type: RepositoryType = "model"


@router.post("/api/repos/create")
def create(hub: TheHub, caller: SignedIn, asked: NewRepository) -> JSONResponse:
    """Make a repository, with a first commit."""
    owner, _, name = asked.name.rpartition("/")
    private = asked.private if asked.visibility is None else asked.visibility != "public"
    if asked.type == "space" and asked.sdk is None:
        raise InvalidRequest("A Space needs an sdk: gradio, streamlit, docker or static.")
    address = f"{hub.settings.address}/"
    with hub.database.write() as connection:
        try:
            made = service.create(
                connection,
                caller,
                asked.type,
                name,
                owner=asked.organization or owner or None,
                private=private,
                sdk=asked.sdk,
            )
        except RepositoryExists as error:
            account = service.owner_for(connection, caller, asked.organization or owner or None)
            there = find(connection, caller, asked.type, f"{account.name}/{name}").repository
            error.body = {"url": address + there.path, "name": there.name}
            raise
    return JSONResponse({"url": address + made.path, "name": made.name, "id": made.hex_id})


@router.delete("/api/repos/delete")
def delete(hub: TheHub, caller: SignedIn, asked: NamedRepository) -> PlainTextResponse:
    """Remove a repository and all that is in it."""
    assert caller.account is not None
    name = asked.name if "/" in asked.name else f"{asked.organization or caller.account.name}/{asked.name}"
    with hub.database.write() as connection:
        found = find(connection, caller, asked.type, name, Right.ADMIN)
        service.delete(connection, found.repository)
    return PlainTextResponse("OK")


@router.get("/api/{type:plural}/{name:repository}/revision/{revision:piece}")
@router.get("/api/{type:plural}/{name:repository}")
def info(hub: TheHub, found: Known, revision: str | None = None, blobs: bool = False) -> dict[str, Any]:
    """What is known of a repository, at a revision."""
    with hub.database.read() as connection:
        return describing.describe(connection, found.repository, revision=revision, blobs=blobs)
