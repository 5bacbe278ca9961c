"""Repositories: make, delete, look at."""

from typing import Annotated, Any, Literal

from fastapi import Query
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import Field

from madang.server.accounts import audit
from madang.server.accounts.caller import Caller, Right
from madang.server.api.asking import Content, Known, SignedIn, TheHub, Writable
from madang.server.api.bodies import Body
from madang.server.errors import InvalidRequest, Unprocessable
from madang.server.git.refs import resolve
from madang.server.git.store import Objects
from madang.server.hub import Hub
from madang.server.repositories import describing, moving, safetensors, service
from madang.server.repositories.access import find
from madang.server.repositories.errors import EntryNotFound, RepositoryExists
from madang.server.routing import Router

router = Router(tags=["repositories"])

RepositoryType = Literal["model", "dataset", "space"]
Visibility = Literal["public", "private", "protected"]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class NewRepository(Body):
    name: Name
    organization: str | None = None
    type: RepositoryType = "model"
    visibility: Visibility | None = None
    private: bool | None = None
    sdk: Literal["gradio", "streamlit", "docker", "static"] | None = None


class NamedRepository(Body):
    name: Name
    organization: str | None = None
    type: RepositoryType = "model"


def private_or_not(type: str, visibility: str | None, private: bool | None) -> bool | None:
    """What the two spellings of it say; None when neither does."""
    if visibility is None:
        return private
    moving.check_visibility(type, visibility)
    return visibility != "public"


def existing(hub: Hub, caller: Caller, type: str, owner: str | None, name: str) -> dict[str, Any]:
    """Where the repository is whose name was asked for: clients go on there. Nothing, if the caller may not see it."""
    with hub.database.read() as connection:
        there = find(connection, caller, type, f"{owner or caller.user.name}/{name}").repository
    return {"url": f"{hub.settings.address}/{there.path}", "name": there.name}


@router.post("/api/repos/create")
def create(hub: TheHub, caller: SignedIn, asked: NewRepository) -> JSONResponse:
    """Make a repository, with a first commit."""
    owner, _, name = asked.name.rpartition("/")
    namespace = asked.organization or owner or None
    private = private_or_not(asked.type, asked.visibility, asked.private)
    if asked.type == "space" and asked.sdk is None:
        raise InvalidRequest("A Space needs an sdk: gradio, streamlit, docker or static.")
    try:
        with hub.database.write() as connection:
            made = service.create(
                connection,
                caller,
                asked.type,
                name,
                owner=namespace,
                private=private,
                sdk=asked.sdk,
                protected=asked.visibility == "protected",
            )
    except RepositoryExists as error:
        error.body = existing(hub, caller, asked.type, namespace, name)
        raise
    return JSONResponse({"url": f"{hub.settings.address}/{made.path}", "name": made.name, "id": made.hex_id})


@router.delete("/api/repos/delete")
def delete(hub: TheHub, caller: SignedIn, asked: NamedRepository) -> PlainTextResponse:
    """Remove a repository and all that is in it."""
    name = asked.name if "/" in asked.name else f"{asked.organization or caller.user.name}/{asked.name}"
    with hub.database.write() as connection:
        repository = find(connection, caller, asked.type, name, Right.ADMIN).repository
        service.delete(connection, repository)
        audit.record(connection, caller, "repository.delete", type=repository.type, repository=repository.name)
    return PlainTextResponse("OK")


@router.get("/api/{type:plural}/{name:repository}/auth-check")
def may_read(found: Content) -> dict[str, Any]:
    """Answers 200 to whoever may download the files."""
    return {}


@router.get("/api/{type:plural}/{name:repository}/auth-check/write")
def may_write(found: Writable) -> dict[str, Any]:
    """Answers 200 to whoever may change the files."""
    return {}


@router.get("/api/{type:plural}/{name:repository}/safetensors-metadata/{path:rest}")
def safetensors_metadata(hub: TheHub, found: Content, path: str, revision: str = "main") -> dict[str, Any]:
    """The headers of all shards that an index file names."""
    with hub.database.read() as connection:
        objects = Objects(connection, found.repository.id)
        commit = resolve(connection, found.repository.id, revision)
        tree = objects.commit(commit).tree
        if objects.find(tree, path) is None:
            raise EntryNotFound(path, commit)
        headers = safetensors.headers_of(objects, tree, path)
    if headers is None:
        raise Unprocessable(f"{path[:200]} is no index of safetensors files.")
    return headers


@router.get("/api/{type:plural}/{name:repository}/revision/{revision:piece}")
@router.get("/api/{type:plural}/{name:repository}")
def info(
    hub: TheHub,
    found: Known,
    revision: str | None = None,
    blobs: bool = False,
    security_status: Annotated[bool, Query(alias="securityStatus")] = False,
    expand: Annotated[list[str] | None, Query()] = None,
    expand_list: Annotated[list[str] | None, Query(alias="expand[]")] = None,
) -> JSONResponse:
    """What is known of a repository, at a revision."""
    with hub.database.read() as connection:
        answer = describing.describe(
            connection,
            found.repository,
            revision=revision,
            blobs=blobs,
            security_status=security_status,
            expand=[*(expand or ()), *(expand_list or ())],
        )
    return JSONResponse(answer)
