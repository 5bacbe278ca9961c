"""Discussions and pull requests."""

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import Field, StringConstraints

from madang.server.accounts.caller import Account, Caller
from madang.server.api.asking import Content, SignedIn, TheHub, Writable
from madang.server.api.bodies import Body
from madang.server.discussions import describing, merges, pushes, service
from madang.server.discussions.diff import pull_request_diff
from madang.server.discussions.events import Text
from madang.server.repositories.access import Found
from madang.server.routing import Router

router = Router(tags=["discussions"])
BASE = "/api/{type:plural}/{name:repository}/discussions"
ONE = BASE + "/{number:number}"

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=service.LONGEST_TITLE)]


class NewDiscussion(Body):
    title: Title
    description: str = ""
    pull_request: Annotated[bool, Field(alias="pullRequest")] = False


class NewComment(Body):
    comment: str


class NewContent(Body):
    content: str


class NewTitle(Body):
    title: Title


class NewStatus(Body):
    status: Literal["open", "closed"]
    comment: str | None = None


class MergeRequest(Body):
    comment: str | None = None


def speaker(caller: Caller, found: Found) -> Account:
    """Who says something. Raises Forbidden for tokens that may only read."""
    pushes.check_token(caller, found.repository)
    return caller.user


@router.get(BASE)
def listing(
    hub: TheHub,
    found: Content,
    p: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    kind: Annotated[Literal["all", "discussion", "pull_request"], Query(alias="type")] = "all",
    status: Literal["all", "open", "closed"] = "all",
    author: str | None = None,
) -> dict[str, Any]:
    """The discussions of a repository, page by page."""
    asked = describing.Asked(kind, status, author, p)
    with hub.database.read() as connection:
        return describing.list_page(connection, found.repository, asked)


@router.post(BASE)
def create(hub: TheHub, caller: SignedIn, found: Content, asked: NewDiscussion) -> dict[str, Any]:
    """Open a discussion, or a pull request whose commits follow."""
    author = speaker(caller, found)
    text = Text.of(asked.description)
    with hub.database.write() as connection:
        if asked.pull_request:
            made = service.open_pull_request(connection, found.repository, author, asked.title, text, draft=True)
        else:
            made = service.open_discussion(connection, found.repository, author, asked.title, text)
    url = f"{hub.settings.address}/{found.repository.path}/discussions/{made.number}"
    return {"num": made.number, "pullRequest": made.is_pull_request, "url": url}


@router.get(ONE)
def details(hub: TheHub, found: Content, number: int, diff: bool = False) -> dict[str, Any]:
    """One discussion with all that happened in it."""
    with hub.database.read() as connection:
        discussion = service.find(connection, found.repository, number)
        answer = describing.details(connection, found.repository, discussion)
        if diff and discussion.is_pull_request:
            answer["diff"] = pull_request_diff(connection, found.repository, discussion)
    return answer


@router.post(ONE + "/comment")
def comment(hub: TheHub, caller: SignedIn, found: Content, number: int, asked: NewComment) -> dict[str, Any]:
    """Say something."""
    author, text = speaker(caller, found), Text.of(asked.comment)
    with hub.database.write() as connection:
        discussion = service.find(connection, found.repository, number, lock=True)
        made = service.comment(connection, discussion, author, text)
        return {"newMessage": describing.event(connection, made)}


@router.post(ONE + "/comment/{comment:piece}/edit")
def edit(hub: TheHub, caller: SignedIn, found: Content, number: int, comment: str, asked: NewContent) -> dict[str, Any]:
    """Say it differently."""
    account, text = speaker(caller, found), Text.of(asked.content)
    with hub.database.write() as connection:
        discussion = service.find(connection, found.repository, number, lock=True)
        changed = service.edit(connection, discussion, account, found.right, comment, text)
        return {"updatedComment": describing.event(connection, changed)}


@router.post(ONE + "/comment/{comment:piece}/hide")
def hide(hub: TheHub, caller: SignedIn, found: Content, number: int, comment: str) -> dict[str, Any]:
    """Take a comment away, for good."""
    account = speaker(caller, found)
    with hub.database.write() as connection:
        discussion = service.find(connection, found.repository, number, lock=True)
        changed = service.hide(connection, discussion, account, found.right, comment)
        return {"updatedComment": describing.event(connection, changed)}


@router.post(ONE + "/title")
def rename(hub: TheHub, caller: SignedIn, found: Content, number: int, asked: NewTitle) -> dict[str, Any]:
    """Another title."""
    account = speaker(caller, found)
    with hub.database.write() as connection:
        discussion = service.find(connection, found.repository, number, lock=True)
        made = service.rename(connection, discussion, account, found.right, asked.title)
        return {"newTitle": describing.event(connection, made)}


@router.post(ONE + "/status")
def set_status(hub: TheHub, caller: SignedIn, found: Content, number: int, asked: NewStatus) -> dict[str, Any]:
    """Open, publish or close."""
    account, text = speaker(caller, found), Text.of(asked.comment or "")
    with hub.database.write() as connection:
        discussion = service.find(connection, found.repository, number, lock=True)
        made = service.set_status(connection, discussion, account, found.right, asked.status, text)
        return {"newStatus": describing.event(connection, made)}


@router.post(ONE + "/merge")
def merge(
    hub: TheHub,
    caller: SignedIn,
    found: Writable,
    number: int,
    asked: MergeRequest | None = None,
) -> dict[str, Any]:
    """Put a pull request on the main branch."""
    # comparing the files can take seconds: not while everybody else who writes has to wait
    with hub.database.read() as connection:
        discussion = service.find(connection, found.repository, number)
        prepared = merges.prepare(connection, found.repository, discussion)
    text = Text.of((asked.comment if asked is not None else None) or "")
    with hub.database.write() as connection:
        discussion = service.find(connection, found.repository, number, lock=True)
        commit = merges.merge(connection, found.repository, discussion, prepared, caller, text)
    return {"status": "merged", "mergeCommitId": commit}
