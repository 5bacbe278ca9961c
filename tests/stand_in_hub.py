"""A hub small enough for tests: it keeps repositories in memory and speaks what the public clients send.

with stand_in_hub() as hub:
    commit = hub.put("owner/name", {"config.json": b"{}"})
    ...  # HF_ENDPOINT=hub.address
    assert hub.requests == ["HEAD /owner/name/resolve/main/config.json"]
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


class Refusal(Exception):
    """An answer other than success: status, the error code clients look at, and a message."""

    def __init__(self, status: int, code: str | None = None, message: str = "", **headers: str) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers


@dataclass
class Repository:
    """Commits (files by path) and the branches that point at them."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict, repr=False)
    branches: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, files: dict[str, bytes], branch: str, message: str) -> str:
        """Put `files` over those of `branch`; returns the new commit."""
        before = self.commits.get(self.branches.get(branch, ""), {})
        sha = hashlib.sha1(repr((len(self.commits), sorted(files), branch)).encode()).hexdigest()
        self.commits[sha] = {**before, **files}
        self.branches[branch] = sha
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
    # a part of a path -> the status that all requests for it are answered with
    broken: dict[str, int] = field(default_factory=dict)

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
        if found is None or (found.private and user != name.split("/")[0]):
            raise Refusal(401 if user is None else 404, "RepoNotFound", "Repository not found")
        return found


class Answering(BaseHTTPRequestHandler):
    """One request: the paths are split before they are unquoted, because a revision may hold a quoted slash."""

    protocol_version = "HTTP/1.1"
    hub: StandInHub

    def log_message(self, *_: object) -> None:
        """Tests print nothing."""

    def do_GET(self) -> None:
        self.answer()

    def do_HEAD(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def answer(self) -> None:
        address = urlsplit(self.path)
        parts = [unquote(part) for part in address.path.strip("/").split("/")]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if parts == ["api", "agent-harnesses"]:  # a client's first call on a fresh machine; about no repository
            return self.send(200, b'{"standardEnvVars": [], "harnesses": {}}')
        self.hub.requests.append(f"{self.command} {address.path}")
        try:
            for part, status in self.hub.broken.items():
                if part in address.path:
                    raise Refusal(status, message="out of order")
            status, content, headers = self.route(parts, body, parse_qs(address.query))
            self.send(status, content, **headers)
        except Refusal as refusal:
            headers = {"X-Error-Message": str(refusal), **refusal.headers}
            if refusal.code:
                headers["X-Error-Code"] = refusal.code
            self.send(refusal.status, json.dumps({"error": str(refusal)}).encode(), **headers)
        return None

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

    def route(self, parts: list[str], body: bytes, query: dict[str, list[str]]) -> tuple[int, bytes, dict[str, str]]:
        user = self.user()
        if parts == ["api", "whoami-v2"]:
            if user is None:
                raise Refusal(401, message="Invalid username or password.")
            return as_json(
                {"name": user, "type": "user", "auth": {"accessToken": {"displayName": "t", "role": "write"}}}
            )
        if parts == ["api", "repos", "create"]:
            return self.create(user, json.loads(body))
        if parts[:2] == ["api", "models"]:
            return self.api(user, parts[2:], body, query)
        if "resolve" in parts:
            return self.resolve(user, parts)
        raise Refusal(404, message=f"no such address: {self.path}")

    def moved(self, prefix: str, name: str) -> None:
        """Point to where a renamed repository is now."""
        if name in self.hub.renamed:
            raise Refusal(307, Location=prefix + self.hub.renamed[name] + self.path.removeprefix(prefix + name))

    def create(self, user: str | None, asked: dict[str, Any]) -> tuple[int, bytes, dict[str, str]]:
        if user is None:
            raise Refusal(401, message="Invalid username or password.")
        owner = asked["organization"] or user
        name = f"{owner}/{asked['name']}"
        found = {"url": f"{self.hub.address}/{name}", "name": name}
        if name in self.hub.repositories:
            return as_json({"error": "You already created this model repo", **found}, 409)
        if owner != user:
            raise Refusal(403, message=f"You don't have the rights to create a model under the namespace {owner!r}")
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.hub.put(name, {".gitattributes": b""}, private=private)
        return as_json(found)

    def api(
        self, user: str | None, parts: list[str], body: bytes, query: dict[str, list[str]]
    ) -> tuple[int, bytes, dict[str, str]]:
        verbs = ("revision", "preupload", "commit", "branch", "discussions")
        verb = next((index for index, part in enumerate(parts) if part in verbs), len(parts))
        name, rest = "/".join(parts[:verb]), parts[verb:]
        self.moved("/api/models/", name)
        repository = self.hub.readable(name, user)
        if not rest or rest[0] == "revision":
            sha = repository.find(rest[1] if rest else "main")
            answer: dict[str, Any] = {"id": name, "sha": sha, "private": repository.private}
            if self.hub.lists_files:
                answer["siblings"] = [{"rfilename": path} for path in sorted(repository.commits[sha])]
            return as_json(answer)
        if rest[0] == "discussions":
            return as_json(self.pull_request(name, repository))
        proposed = query.get("create_pr") or rest[1].startswith("refs/pr/")
        if user != name.split("/")[0] and not proposed:
            raise Refusal(401 if user is None else 403, message="You don't have write access")
        if rest[0] == "branch":
            if rest[1] in repository.branches:
                raise Refusal(409, message=f"Reference refs/heads/{rest[1]} already exists")
            repository.branches[rest[1]] = repository.find("main")
            return as_json({})
        if rest[0] == "preupload":
            repository.find(rest[1])
            known = repository.commits[repository.find(rest[1])]
            return as_json({"files": [upload(file["path"], known) for file in json.loads(body)["files"]]})
        return self.commit(name, repository, rest[1], body)

    def pull_request(self, name: str, repository: Repository) -> dict[str, Any]:
        """The first and only one, opened when it is asked for."""
        repository.branches.setdefault("refs/pr/1", repository.find("main"))
        return {
            "num": 1,
            "title": "",
            "status": "draft",
            "createdAt": "2026-01-01T00:00:00.000Z",
            "repo": {"name": name, "type": "model"},
            "isPullRequest": True,
            "changes": {"base": "refs/heads/main"},
            "filesWithConflicts": [],
            "events": [],
        }

    def commit(self, name: str, repository: Repository, branch: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        lines = [json.loads(line) for line in body.splitlines() if line.strip()]
        header = next(line["value"] for line in lines if line["key"] == "header")
        files = {
            line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines if line["key"] == "file"
        }
        if branch not in repository.branches:
            raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {branch}")
        sha = repository.commit(files, branch, header["summary"])
        return as_json({"success": True, "commitUrl": f"{self.hub.address}/{name}/commit/{sha}", "commitOid": sha})

    def resolve(self, user: str | None, parts: list[str]) -> tuple[int, bytes, dict[str, str]]:
        at = parts.index("resolve")
        name, revision, path = "/".join(parts[:at]), parts[at + 1], "/".join(parts[at + 2 :])
        self.moved("/", name)
        repository = self.hub.readable(name, user)
        if repository.gated and user != name.split("/")[0]:
            message = f"Access to model {name} is restricted and you are not in the authorized list"
            raise Refusal(401 if user is None else 403, "GatedRepo", message)
        sha = repository.find(revision)
        content = repository.commits[sha].get(path)
        if content is None:
            raise Refusal(404, "EntryNotFound", "Entry not found", **{"X-Repo-Commit": sha})
        return 200, content, {"X-Repo-Commit": sha, "ETag": f'"{blob_name(content)}"', "Accept-Ranges": "bytes"}


def as_json(value: object, status: int = 200) -> tuple[int, bytes, dict[str, str]]:
    """An answer of JSON."""
    return status, json.dumps(value).encode(), {"Content-Type": "application/json"}


def blob_name(content: bytes) -> str:
    """How git calls a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def upload(path: str, known: dict[str, bytes]) -> dict[str, Any]:
    """How one file is to be uploaded: always inside the commit; what is already there is not sent again."""
    answer: dict[str, Any] = {"path": path, "uploadMode": "regular", "shouldIgnore": False}
    return answer | ({"oid": blob_name(known[path])} if path in known else {})


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
