"""A hub small enough for tests: it keeps repositories in memory and speaks what the public clients send.

with stand_in_hub() as hub:
    commit = hub.put("owner/name", {"config.json": b"{}"})
    hub.put("datasets/owner/table", {"data/train.csv": b"a\n1\n"})  # the names of datasets start with "datasets/"
    ...  # HF_ENDPOINT=hub.address
    assert hub.requests == ["HEAD /owner/name/resolve/main/config.json"]
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

Answer = tuple[int, bytes, dict[str, str]]
DATASETS = "datasets/"
# what follows the name of a repository in the addresses of the API
VERBS = {
    *("revision", "tree", "paths-info", "refs", "commits"),
    *("preupload", "commit", "branch", "discussions", "settings"),
}


class Refusal(Exception):
    """An answer other than success: status, the error code clients look at, and a message."""

    def __init__(self, status: int, code: str | None = None, message: str = "", **headers: str) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers


class Large(bytes):
    """The content of a file that is kept in large-file storage, under its SHA-256."""


@dataclass
class Repository:
    """Commits (files by path) and the branches that point at them."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict, repr=False)
    branches: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    # commit -> the one before it, and its message
    history: dict[str, tuple[str, str]] = field(default_factory=dict, repr=False)

    def commit(self, files: dict[str, bytes], branch: str, message: str, deleted: Collection[str] = ()) -> str:
        """Put `files` over those of `branch`, without the `deleted` ones; returns the new commit."""
        parent = self.branches.get(branch, "")
        kept = {path: content for path, content in self.commits.get(parent, {}).items() if path not in deleted}
        content = [(path, blob_name(files[path])) for path in sorted(files)]
        sha = hashlib.sha1(repr((len(self.commits), content, branch, message)).encode()).hexdigest()
        self.commits[sha] = {**kept, **files}
        self.branches[branch] = sha
        self.history[sha] = (parent, message)
        self.messages.append(message)
        return sha

    def find(self, revision: str) -> str:
        """The commit a revision stands for."""
        sha = self.branches.get(revision, revision)
        if sha not in self.commits:
            raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha


@dataclass
class StandInHub:
    """What the hub holds, what it was asked, and how it misbehaves."""

    address: str = ""
    # token -> account
    users: dict[str, str] = field(default_factory=lambda: {"hf_alice": "alice", "hf_bob": "bob"})
    repositories: dict[str, Repository] = field(default_factory=dict)
    # names without an owner, or of before a renaming -> today's
    renamed: dict[str, str] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    lists_files: bool = True
    # entries of one answer to a question for a tree; more are announced by a Link header
    page_size: int = 1000
    # files of this many bytes and more are asked for as large files (with HF_HUB_DISABLE_XET=1); None: no file is
    large_from: int | None = None
    # what large-file storage holds, by SHA-256
    large: dict[str, bytes] = field(default_factory=dict, repr=False)
    # a part of a path -> the status that all requests for it are answered with
    broken: dict[str, int] = field(default_factory=dict)
    # the same for the next requests only: one status each
    broken_once: dict[str, list[int]] = field(default_factory=dict)
    # each is called once, before the next commit is looked at: somebody else who was quicker
    before_commit: list[Callable[[], object]] = field(default_factory=list)
    lock: Any = field(default_factory=threading.RLock, repr=False)

    def put(self, name: str, files: dict[str, bytes], branch: str = "main", **settings: bool) -> str:
        """Add files to a repository, made when it is not there; returns the commit."""
        repository = self.repositories.setdefault(name, Repository(**settings))
        return repository.commit(files, branch, "put")

    def files(self, name: str, branch: str = "main") -> dict[str, bytes]:
        """What a branch holds now."""
        repository = self.repositories[name]
        return repository.commits[repository.branches[branch]]

    def readable(self, name: str, user: str | None) -> Repository:
        """The repository, or the refusal of one that a stranger cannot tell from a missing one."""
        found = self.repositories.get(name)
        if found is None or (found.private and user != owner(name)):
            raise Refusal(401 if user is None else 404, "RepoNotFound", "Repository not found")
        return found


class Answering(BaseHTTPRequestHandler):
    """One request: the paths are split before they are unquoted, because a revision may hold a quoted slash."""

    protocol_version = "HTTP/1.1"
    # head and body of an answer go out together: apart, each answer would wait 40 ms for the client's acknowledgement
    wbufsize = -1
    disable_nagle_algorithm = True
    hub: StandInHub

    def log_message(self, *_: object) -> None:
        """Tests print nothing."""

    def do_GET(self) -> None:
        self.answer()

    def do_HEAD(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def do_PUT(self) -> None:
        self.answer()

    def do_DELETE(self) -> None:
        self.answer()

    def answer(self) -> None:
        address = urlsplit(self.path)
        parts = [unquote(part) for part in address.path.strip("/").split("/")]
        body = self.body()
        if parts == ["api", "agent-harnesses"]:  # a client's first call on a fresh machine; about no repository
            return self.send(200, b'{"standardEnvVars": [], "harnesses": {}}')
        self.hub.requests.append(f"{self.command} {address.path}")
        try:
            self.misbehave(address.path)
            with self.hub.lock:
                status, content, headers = self.route(parts, body, parse_qs(address.query))
            self.send(status, content, **headers)
        except Refusal as refusal:
            headers = {"X-Error-Message": str(refusal), **refusal.headers}
            if refusal.code:
                headers["X-Error-Code"] = refusal.code
            self.send(refusal.status, json.dumps({"error": str(refusal)}).encode(), **headers)
        return None

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def misbehave(self, path: str) -> None:
        for part, status in self.hub.broken.items():
            if part in path:
                raise Refusal(status, message="out of order")
        for part, statuses in self.hub.broken_once.items():
            if part in path and statuses:
                raise Refusal(statuses.pop(0), message="out of order")

    def send(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def user(self) -> str | None:
        said = self.headers.get("Authorization")
        if said is None:
            return None
        user = self.hub.users.get(said.removeprefix("Bearer "))
        if user is None:
            raise Refusal(401, message="Invalid credentials in Authorization header")
        return user

    def route(self, parts: list[str], body: bytes, query: dict[str, list[str]]) -> Answer:
        if parts[0] == "large-files":
            return self.large_file(parts[1:], body)
        user = self.user()
        if parts == ["api", "whoami-v2"]:
            if user is None:
                raise Refusal(401, message="Invalid username or password.")
            return as_json(
                {"name": user, "type": "user", "auth": {"accessToken": {"displayName": "t", "role": "write"}}}
            )
        if parts == ["api", "validate-yaml"]:
            return as_json({"errors": [], "warnings": []})
        if parts == ["api", "repos", "create"]:
            return self.create(user, json.loads(body))
        if parts == ["api", "repos", "delete"]:
            return self.delete(user, json.loads(body))
        if parts[:2] in (["api", "models"], ["api", "datasets"]):
            return self.api(user, parts[1:], body, query)
        if parts[-2:] == ["objects", "batch"]:
            return self.batch(user, "/".join(parts[:-4]).removesuffix(".git"), json.loads(body))
        if "resolve" in parts:
            return self.resolve(user, parts)
        raise Refusal(404, message=f"no such address: {self.path}")

    def moved(self, prefix: str, name: str) -> None:
        """Point to where a renamed repository is now."""
        if name in self.hub.renamed:
            raise Refusal(307, Location=prefix + self.hub.renamed[name] + self.path.removeprefix(prefix + name))

    def create(self, user: str | None, asked: dict[str, Any]) -> Answer:
        if user is None:
            raise Refusal(401, message="Invalid username or password.")
        kind = asked.get("type", "model")
        name = f"{asked.get('organization') or user}/{asked['name']}"
        key = DATASETS + name if kind == "dataset" else name
        found = {"url": f"{self.hub.address}/{key}", "name": name}
        if key in self.hub.repositories:
            return as_json({"error": f"You already created this {kind} repo", **found}, 409)
        if owner(key) != user:
            message = f"You don't have the rights to create a {kind} under the namespace {owner(key)!r}"
            raise Refusal(403, message=message)
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.hub.put(key, {".gitattributes": b""}, private=private)
        return as_json(found)

    def delete(self, user: str | None, asked: dict[str, Any]) -> Answer:
        name = f"{asked.get('organization') or user}/{asked['name']}"
        key = DATASETS + name if asked.get("type") == "dataset" else name
        self.hub.readable(key, user)
        must_own(key, user)
        del self.hub.repositories[key]
        return 200, b"OK", {}

    def api(self, user: str | None, parts: list[str], body: bytes, query: dict[str, list[str]]) -> Answer:
        verb = next((index for index, part in enumerate(parts) if index > 1 and part in VERBS), len(parts))
        kind, name, rest = parts[0], "/".join(parts[1:verb]), parts[verb:]
        key = DATASETS + name if kind == "datasets" else name
        self.moved("/api/" if kind == "datasets" else "/api/models/", key)
        repository = self.hub.readable(key, user)
        match rest:
            case [] | ["revision", _]:
                return self.about(name, repository, rest[1] if rest else "main", "blobs" in query)
            case ["tree", revision, *path]:
                return self.tree(repository, revision, "/".join(path), query)
            case ["paths-info", revision]:
                return self.paths_info(repository, revision, parse_qs(body.decode()))
            case ["refs"]:
                return as_json(refs(repository))
            case ["commits", revision]:
                return as_json(commits(repository, repository.find(revision), owner(key)))
            case ["discussions", *_]:
                return as_json(self.pull_request(name, kind, repository))
        if not (query.get("create_pr") or (len(rest) > 1 and rest[1].startswith("refs/pr/"))):
            must_own(key, user)
        match rest:
            case ["branch", branch]:
                return self.branch(repository, branch, json.loads(body or b"{}"))
            case ["preupload", revision]:
                known = repository.commits[repository.find(revision)]
                return as_json({"files": [self.upload(file, known) for file in json.loads(body)["files"]]})
            case ["commit", revision]:
                return self.commit(key, repository, revision, body, proposed="create_pr" in query)
            case ["settings"]:
                repository.private = json.loads(body).get("visibility") == "private"
                return as_json({})
        raise Refusal(404, message=f"no such address: {self.path}")

    def about(self, name: str, repository: Repository, revision: str, blobs: bool) -> Answer:
        """A repository at a revision, with the list of its files."""
        sha = repository.find(revision)
        answer: dict[str, Any] = {"id": name, "sha": sha, "private": repository.private}
        if self.hub.lists_files:
            files = repository.commits[sha]
            answer["siblings"] = [{"rfilename": path} | (sizes(files[path]) if blobs else {}) for path in sorted(files)]
        return as_json(answer)

    def tree(self, repository: Repository, revision: str, path: str, query: dict[str, list[str]]) -> Answer:
        """Files and folders of a folder, by pages."""
        entries = listing(repository.commits[repository.find(revision)])
        under = {name: entry for name, entry in entries.items() if not path or name.startswith(path + "/")}
        if path and not under:
            raise Refusal(404, "EntryNotFound", f"{path} does not exist on {revision!r}")
        if query.get("recursive", ["false"]) == ["false"]:
            depth = path.count("/") + 1 if path else 0
            under = {name: entry for name, entry in under.items() if name.count("/") == depth}
        names, start = sorted(under), int(query.get("cursor", ["0"])[0])
        headers = {}
        if start + self.hub.page_size < len(names):
            settings = {name: values[0] for name, values in query.items()} | {"cursor": start + self.hub.page_size}
            page = "&".join(f"{name}={quote(str(value))}" for name, value in settings.items())
            headers["Link"] = f'<{self.hub.address}{urlsplit(self.path).path}?{page}>; rel="next"'
        status, content, kind = as_json([under[name] for name in names[start : start + self.hub.page_size]])
        return status, content, headers | kind

    def paths_info(self, repository: Repository, revision: str, form: dict[str, list[str]]) -> Answer:
        entries = listing(repository.commits[repository.find(revision)])
        return as_json([entries[path] for path in form.get("paths", []) if path in entries])

    def branch(self, repository: Repository, branch: str, asked: dict[str, str]) -> Answer:
        if self.command == "DELETE":
            if branch == "main":
                raise Refusal(400, message="Cannot delete refs/heads/main")
            if branch not in repository.branches:
                raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {branch}")
            del repository.branches[branch]
        elif branch in repository.branches:
            raise Refusal(409, message=f"Reference refs/heads/{branch} already exists")
        else:
            repository.branches[branch] = repository.find(asked.get("startingPoint", "main"))
        return as_json({})

    def pull_request(self, name: str, kind: str, repository: Repository) -> dict[str, Any]:
        """The first and only one, opened when it is asked for."""
        repository.branches.setdefault("refs/pr/1", repository.find("main"))
        return {
            "num": 1,
            "title": "",
            "status": "draft",
            "createdAt": "2026-01-01T00:00:00.000Z",
            "repo": {"name": name, "type": kind.removesuffix("s")},
            "isPullRequest": True,
            "changes": {"base": "refs/heads/main"},
            "filesWithConflicts": [],
            "events": [],
        }

    def upload(self, file: dict[str, Any], known: dict[str, bytes]) -> dict[str, Any]:
        """How one file is to be uploaded; what is already there is not sent again."""
        large = self.hub.large_from is not None and file["size"] >= self.hub.large_from
        path = file["path"]
        answer = {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
        return answer | ({"oid": content_name(known[path])} if path in known else {})

    def commit(self, key: str, repository: Repository, branch: str, body: bytes, *, proposed: bool) -> Answer:
        if self.hub.before_commit:
            self.hub.before_commit.pop(0)()
        if branch not in repository.branches:
            raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {branch}")
        lines = [json.loads(line) for line in body.splitlines() if line.strip()]
        header = next(line["value"] for line in lines if line["key"] == "header")
        head = repository.branches[branch]
        if not head.startswith(header.get("parentCommit") or ""):
            message = "The branch was updated since you opened this page. Please refresh and try again."
            raise Refusal(412, message=message)
        files, deleted = self.changes(repository, head, lines)
        answer: dict[str, Any] = {"success": True}
        if proposed:
            branch = "refs/pr/1"
            repository.branches[branch] = head
            answer["pullRequestUrl"] = f"{self.hub.address}/{key}/discussions/1"
        sha = repository.commit(files, branch, header["summary"], deleted)
        return as_json({**answer, "commitUrl": f"{self.hub.address}/{key}/commit/{sha}", "commitOid": sha})

    def changes(self, repository: Repository, head: str, lines: list[Any]) -> tuple[dict[str, bytes], set[str]]:
        """The files that a commit writes, and those it deletes."""
        before = repository.commits[head]
        files: dict[str, bytes] = {}
        deleted: set[str] = set()
        for line in lines:
            value = line["value"]
            match line["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    if value["oid"] not in self.hub.large:
                        raise Refusal(400, message=f"LFS object {value['oid']} of {value['path']} was not uploaded")
                    files[value["path"]] = Large(self.hub.large[value["oid"]])
                case "copyFile":
                    source = repository.commits[repository.find(value.get("srcRevision") or head)]
                    files[value["path"]] = source[value["srcPath"]]
                case "deletedFile" | "deletedFolder":
                    folder = value["path"].rstrip("/") + "/"
                    gone = {path for path in before if path == value["path"] or path.startswith(folder)}
                    if not gone:
                        raise Refusal(404, "EntryNotFound", "A file with this name doesn't exist")
                    deleted |= gone
        return files, deleted

    def batch(self, user: str | None, key: str, asked: dict[str, Any]) -> Answer:
        """Where large files are to be sent: nowhere when they are known."""
        self.hub.readable(key, user)
        if user is None:
            raise Refusal(401, message="Invalid username or password.")
        objects = []
        for one in asked["objects"]:
            place = f"{self.hub.address}/large-files/{one['oid']}"
            actions = {"actions": {"upload": {"href": place}, "verify": {"href": place + "/verify"}}}
            objects.append({**one, **({} if one["oid"] in self.hub.large else actions)})
        status, content, _ = as_json({"transfer": "basic", "objects": objects})
        return status, content, {"Content-Type": "application/vnd.git-lfs+json"}

    def large_file(self, parts: list[str], body: bytes) -> Answer:
        """A large file arrives, or its arrival is checked."""
        if self.command == "PUT":
            if hashlib.sha256(body).hexdigest() != parts[0]:
                raise Refusal(400, message="the content has another SHA-256")
            self.hub.large[parts[0]] = body
        elif parts[0] not in self.hub.large:
            raise Refusal(404, message="this large file was not uploaded")
        return 200, b"", {}

    def resolve(self, user: str | None, parts: list[str]) -> Answer:
        at = parts.index("resolve")
        key, revision, path = "/".join(parts[:at]), parts[at + 1], "/".join(parts[at + 2 :])
        self.moved("/", key)
        repository = self.hub.readable(key, user)
        if repository.gated and user != owner(key):
            message = f"Access to {kind_of(key)} {name_of(key)} is restricted and you are not in the authorized list"
            raise Refusal(401 if user is None else 403, "GatedRepo", message)
        sha = repository.find(revision)
        content = repository.commits[sha].get(path)
        if content is None:
            raise Refusal(404, "EntryNotFound", "Entry not found", **{"X-Repo-Commit": sha})
        name = f'"{content_name(content)}"'
        headers = {"X-Repo-Commit": sha, "ETag": name, "Accept-Ranges": "bytes"}
        if isinstance(content, Large):
            headers |= {"X-Linked-ETag": name, "X-Linked-Size": str(len(content))}
        return part_of(content, self.headers.get("Range"), headers)


def kind_of(key: str) -> str:
    """Whether a key of `hub.repositories` is a dataset or a model."""
    return "dataset" if key.startswith(DATASETS) else "model"


def name_of(key: str) -> str:
    """owner/name."""
    return key.removeprefix(DATASETS)


def owner(key: str) -> str:
    """Whose repository it is."""
    return name_of(key).split("/")[0]


def must_own(key: str, user: str | None) -> None:
    """Refuse strangers who want to write."""
    if user != owner(key):
        raise Refusal(401 if user is None else 403, message="You don't have write access")


def as_json(value: object, status: int = 200) -> Answer:
    """An answer of JSON."""
    return status, json.dumps(value).encode(), {"Content-Type": "application/json"}


def blob_name(content: bytes) -> str:
    """How git calls a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def content_name(content: bytes) -> str:
    """How clients are to call this content: large files by their SHA-256."""
    return hashlib.sha256(content).hexdigest() if isinstance(content, Large) else blob_name(content)


def sizes(content: bytes) -> dict[str, Any]:
    """What the list of files says about one when blobs are asked for."""
    about: dict[str, Any] = {"size": len(content), "blobId": blob_name(content)}
    if isinstance(content, Large):
        about["lfs"] = {"sha256": content_name(content), "size": len(content), "pointerSize": 130}
    return about


def listing(files: dict[str, bytes]) -> dict[str, dict[str, Any]]:
    """The entries of a tree by path: files, and the folders they are in."""
    entries: dict[str, dict[str, Any]] = {}
    for path, content in files.items():
        for at in re.finditer("/", path):
            folder = path[: at.start()]
            entries[folder] = {"type": "directory", "path": folder, "size": 0, "oid": blob_name(folder.encode())}
        entries[path] = {"type": "file", "path": path, "size": len(content), "oid": blob_name(content)}
        if isinstance(content, Large):
            entries[path]["lfs"] = {"oid": content_name(content), "size": len(content), "pointerSize": 130}
    return entries


def refs(repository: Repository) -> dict[str, Any]:
    """Branches and pull requests, as clients list them."""
    found: dict[str, Any] = {"branches": [], "converts": [], "tags": [], "pullRequests": []}
    for name, sha in repository.branches.items():
        kinds = {"refs/pr/": "pullRequests", "refs/convert/": "converts"}
        kind = next((kind for start, kind in kinds.items() if name.startswith(start)), "branches")
        ref = f"refs/heads/{name}" if kind == "branches" else name
        short = name.removeprefix("refs/convert/")
        found[kind].append({"name": short, "ref": ref, "targetCommit": sha})
    return found


def commits(repository: Repository, sha: str, author: str) -> list[dict[str, Any]]:
    """A commit and those before it."""
    found = []
    while sha:
        parent, message = repository.history[sha]
        date = "2026-01-01T00:00:00.000Z"
        found.append({"id": sha, "title": message, "message": "", "date": date, "authors": [{"user": author}]})
        sha = parent
    return found


def part_of(content: bytes, wanted: str | None, headers: dict[str, str]) -> Answer:
    """The bytes that a Range header asks for: all without one."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted or "")
    if found is None:
        return 200, bytes(content), headers
    start, end = found.groups()
    if not start:
        first, last = max(0, len(content) - int(end)), len(content) - 1
    else:
        first, last = int(start), min(int(end or len(content)), len(content) - 1)
    if first >= len(content):
        raise Refusal(416, message="beyond the end", **{"Content-Range": f"bytes */{len(content)}"})
    return 206, content[first : last + 1], {**headers, "Content-Range": f"bytes {first}-{last}/{len(content)}"}


@contextmanager
def stand_in_hub() -> Iterator[StandInHub]:
    """A hub that listens on this machine until the block ends."""
    hub = StandInHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("AnsweringHere", (Answering,), {"hub": hub}))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
