"""Downloads: one file of a repository at a revision, and what is to be known of it before."""

from urllib.parse import quote, urlsplit

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from madang.server.accounts.caller import Caller
from madang.server.api.asking import AnyCaller, Content, TheHub
from madang.server.errors import InvalidRequest
from madang.server.git.objects import BLOB
from madang.server.git.pointers import Pointer
from madang.server.git.refs import resolve as resolve_revision
from madang.server.git.store import FileInfo, Objects
from madang.server.hub import Hub
from madang.server.large_files import service as large_files
from madang.server.repositories.errors import EntryNotFound
from madang.server.repositories.files import entry_at
from madang.server.repositories.repository import Repository
from madang.server.routing import Router
from madang.server.sending import StoredFile, safe_headers
from madang.server.storage.blobs import blob_key

router = Router(tags=["files"])

# how long an address in the store can be used; downloads that are resumed ask for a new one
SECONDS_SIGNED = 3600
# a picture within a page is no download
EMBEDDED = frozenset({"image", "audio", "video", "iframe", "embed", "object", "font", "style", "script"})


@router.get("/{type:prefix}{name:repository}/resolve/{revision:piece}/{path:rest}")
@router.head("/{type:prefix}{name:repository}/resolve/{revision:piece}/{path:rest}", include_in_schema=False)
def resolve(
    request: Request, hub: TheHub, found: Content, caller: AnyCaller, revision: str, path: str, download: bool = False
) -> Response:
    """A file, or a range of it."""
    revision, path = split_revision(revision, path)
    if found.moved:
        return _moved(request, found.repository, "resolve", revision, path)
    commit, info, content = _look_up(hub, found.repository, revision, path)
    headers = {**_headers(found.repository, commit), **safe_headers(path, download=download)}
    if _counts(request):
        hub.downloads.count(found.repository.id, _who(caller))
    if info.pointer is None:
        return StoredFile.of_bytes({**headers, "ETag": f'"{info.oid}"'}, content)
    return _large(hub, info.pointer, headers, path)


@router.get("/{type:prefix}{name:repository}/raw/{revision:piece}/{path:rest}")
@router.head("/{type:prefix}{name:repository}/raw/{revision:piece}/{path:rest}", include_in_schema=False)
def raw(request: Request, hub: TheHub, found: Content, revision: str, path: str) -> Response:
    """A file as git has it: of a large file, its pointer."""
    revision, path = split_revision(revision, path)
    if found.moved:
        return _moved(request, found.repository, "raw", revision, path)
    commit, info, content = _look_up(hub, found.repository, revision, path, as_git_has_it=True)
    headers = {**_headers(found.repository, commit), **safe_headers(path), "ETag": f'"{info.oid}"'}
    if info.pointer is not None:
        headers["Content-Type"] = "text/plain; charset=utf-8"
    return StoredFile.of_bytes(headers, content)


def split_revision(revision: str, path: str) -> tuple[str, str]:
    """Revision and path of an address in which `refs/pr/1` was not encoded, as browsers and some tools send it."""
    if revision != "refs":
        return revision, path
    kind, _, rest = path.partition("/")
    name, _, path = rest.partition("/")
    return f"refs/{kind}/{name}", path


def _look_up(
    hub: Hub, repository: Repository, revision: str, path: str, *, as_git_has_it: bool = False
) -> tuple[str, FileInfo, bytes]:
    """The commit, what is known of the file, and its content if git has it. Raises what is missing."""
    with hub.database.read() as connection:
        objects = Objects(connection, repository.id)
        commit = resolve_revision(connection, repository.id, revision)
        entry = entry_at(objects, objects.commit(commit).tree, path)
        if entry is None or entry.is_folder:
            raise EntryNotFound(path, commit)
        info = objects.file(entry.oid)
        if info.pointer is None or as_git_has_it:
            return commit, info, objects.get(entry.oid, BLOB).content
        # who commits the text of a pointer does not get the content of somebody else's file by it
        if large_files.size_in(connection, repository.id, info.pointer.sha256) != info.pointer.size:
            raise EntryNotFound(path, commit)
        return commit, info, b""


def _headers(repository: Repository, commit: str) -> dict[str, str]:
    hidden = repository.private or repository.gated
    return {"X-Repo-Commit": commit, "Cache-Control": "private, no-cache" if hidden else "no-cache"}


def _large(hub: Hub, pointer: Pointer, headers: dict[str, str], path: str) -> Response:
    """A large file: from here, or from where the store says."""
    etag = f'"{pointer.sha256}"'
    headers = {**headers, "ETag": etag, "X-Linked-ETag": etag, "X-Linked-Size": str(pointer.size)}
    key = blob_key(pointer.sha256)
    address = hub.storage.signed_address(key, SECONDS_SIGNED, file_name=path.rpartition("/")[2])
    if address is None:
        return StoredFile.of_blob(headers, hub.storage, key, pointer.size)
    # an address that ends must not be remembered
    headers = {**headers, "Accept-Ranges": "bytes", "Cache-Control": "no-store"}
    del headers["Content-Type"], headers["Content-Disposition"]
    return RedirectResponse(address, 302, headers)


def _moved(request: Request, repository: Repository, verb: str, revision: str, path: str) -> Response:
    """The same file by the name the repository has now. Relative: behind any proxy it stays on the same hub."""
    query = urlsplit(str(request.url)).query
    try:
        there = f"/{repository.path}/{verb}/{quote(revision, safe='')}/{quote(path)}"
    except UnicodeEncodeError:
        raise InvalidRequest("the address is no valid text.") from None
    return RedirectResponse(there + (f"?{query}" if query else ""), 307)


def _counts(request: Request) -> bool:
    """Whether a request is a download: clients say so; without their word, whoever asks for the content."""
    if "x-hf-download-counter" in request.headers:
        return True
    return request.method == "GET" and request.headers.get("sec-fetch-dest") not in EMBEDDED


def _who(caller: Caller) -> object:
    return caller.address if caller.account is None else caller.account.id
