"""What can be done with repositories: make them, delete them, change their files."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts.caller import Account, Caller
from madang.server.accounts.finding import find_account
from madang.server.accounts.records import members
from madang.server.clock import now
from madang.server.database import insert
from madang.server.discussions import pushes
from madang.server.errors import Forbidden, NotFound, NotSignedIn
from madang.server.git.commits import NewFile, make_commit
from madang.server.git.objects import Entry
from madang.server.git.refs import MAIN, PULL_REQUESTS
from madang.server.repositories import facts
from madang.server.repositories.authors import signature
from madang.server.repositories.errors import RepositoryExists
from madang.server.repositories.locking import lock
from madang.server.repositories.names import check_repository_name
from madang.server.repositories.records import redirects, repositories
from madang.server.repositories.repository import Repository, repository_of
from madang.server.search import index as search

LARGE_PATTERNS = (
    *("*.7z", "*.arrow", "*.bin", "*.bz2", "*.ckpt", "*.ftz", "*.gguf", "*.gz", "*.h5", "*.joblib", "*.lz4"),
    *("*.mlmodel", "*.model", "*.msgpack", "*.npy", "*.npz", "*.onnx", "*.ot", "*.parquet", "*.pb", "*.pickle"),
    *("*.pkl", "*.pt", "*.pth", "*.rar", "*.safetensors", "saved_model/**/*", "*.tar.*", "*.tar", "*.tflite", "*.tgz"),
    *("*.wasm", "*.xz", "*.zip", "*.zst", "*tfevents*"),
)
MEDIA_PATTERNS = (
    *("*.png", "*.jpg", "*.jpeg", "*.gif", "*.webp", "*.tiff", "*.bmp", "*.mp4", "*.webm"),
    *("*.wav", "*.mp3", "*.flac", "*.ogg", "*.m4a", "*.aac", "*.pcm", "*.sam", "*.raw"),
)


def attributes_file(type: str) -> bytes:
    """The `.gitattributes` of a new repository: which files are large files whatever their size."""
    patterns = LARGE_PATTERNS + (MEDIA_PATTERNS if type == "dataset" else ())
    return "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in patterns).encode()


def owner_for(connection: Connection, caller: Caller, name: str | None) -> Account:
    """The account in whose name the caller makes something: their own, or that of an organisation they may write to.

    Raises NotSignedIn, NotFound or Forbidden.
    """
    account = caller.account
    if account is None:
        raise NotSignedIn("Sign in first: send a token.")
    owner = account
    if name is not None and name.lower() != account.name.lower():
        found = find_account(connection, name)
        if found is None:
            raise NotFound(f"There is no account {name[:100]!r} on this hub.")
        owner = found
        role = connection.scalar(
            sa.select(members.c.role).where(members.c.organisation_id == owner.id, members.c.account_id == account.id)
        )
        if role not in ("contributor", "write", "admin") and not account.administrator:
            raise Forbidden(f"You don't have the rights to create a repository under the namespace {owner.name!r}.")
    if caller.token is not None and not caller.token.may_create_below(owner.name):
        raise Forbidden(f"Your token {caller.token.name!r} may not create repositories under {owner.name!r}.")
    return owner


def create(
    connection: Connection,
    caller: Caller,
    type: str,
    name: str,
    *,
    owner: str | None = None,
    private: bool | None = None,
    sdk: str | None = None,
    protected: bool = False,
) -> Repository:
    """A new repository with one commit, which holds `.gitattributes`. Raises RepositoryExists."""
    repository = add_row(connection, caller, type, name, owner=owner, private=private, sdk=sdk, protected=protected)
    first: dict[str, NewFile | Entry | None] = {".gitattributes": NewFile(attributes_file(type))}
    change_files(connection, repository, MAIN, first, author=caller.user, message="initial commit")
    return repository


def add_row(
    connection: Connection,
    caller: Caller,
    type: str,
    name: str,
    *,
    owner: str | None = None,
    private: bool | None = None,
    **columns: Any,
) -> Repository:
    """A new repository with nothing in it, not even a branch. Raises RepositoryExists."""
    namespace = owner_for(connection, caller, owner)
    check_repository_name(name)
    full_name = f"{namespace.name}/{name}"
    check_free(connection, type, full_name, f"You already created this {type} repo: {full_name}")
    moment = now()
    values = {
        "type": type,
        "owner_id": namespace.id,
        "creator_id": caller.user.id,
        "name": full_name,
        "key": full_name.lower(),
        "private": namespace.private_by_default if private is None else private,
        "created_at": moment,
        "modified_at": moment,
        **columns,
    }
    try:
        with connection.begin_nested():
            identity = insert(connection, repositories, **values)
    except sa.exc.IntegrityError:  # somebody made it since
        raise RepositoryExists(f"You already created this {type} repo: {full_name}") from None
    return repository_of(connection, identity)


def check_free(connection: Connection, type: str, full_name: str, taken: str) -> None:
    """Make room for a name: what a moved repository left there goes. Raises RepositoryExists, saying `taken`."""
    key = full_name.lower()
    there = sa.select(repositories.c.id).where(repositories.c.type == type, repositories.c.key == key)
    if connection.scalar(there) is not None:
        raise RepositoryExists(taken)
    connection.execute(redirects.delete().where(redirects.c.type == type, redirects.c.key == key))


def delete(connection: Connection, repository: Repository) -> None:
    """Remove a repository and everything that hangs on it; its large files go with the next collection."""
    # whoever is changing it comes first
    connection.execute(sa.select(repositories.c.id).where(repositories.c.id == repository.id).with_for_update())
    search.remove(connection, repository.id)
    connection.execute(repositories.delete().where(repositories.c.id == repository.id))


def change_files(
    connection: Connection,
    repository: Repository,
    ref: str,
    changes: Mapping[str, NewFile | Entry | None],
    *,
    author: Account,
    message: str,
    parent: str | None = None,
) -> str:
    """One commit on a ref, and what follows from it; returns the commit. Raises as `git.commits.make_commit`."""
    lock(connection, repository)
    oid = make_commit(connection, repository.id, ref, changes, author=signature(author), message=message, parent=parent)
    after_change(connection, repository, {ref: oid}, author=author)
    return oid


def after_change(
    connection: Connection, repository: Repository, moved: Mapping[str, str | None], *, author: Account | None = None
) -> None:
    """What must happen in the transaction in which refs (name -> new target) moved, however they did.

    `author` is who moved them. Raises NotOpen for commits on a pull request that is closed.
    """
    for ref, target in moved.items():
        if ref.startswith(PULL_REQUESTS):
            pushes.pushed(connection, repository, ref, author, target)
    if moved.get(MAIN) is not None:
        facts.refresh(connection, repository, str(moved[MAIN]))
