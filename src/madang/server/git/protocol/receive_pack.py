"""`git-receive-pack`: what `git push` talks to (gitprotocol-pack).

A push is checked as far as possible before anything is written; then its objects, its refs and all that follows from
them are one transaction, and the answer is given after that was committed.
"""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts.caller import Caller, Right
from madang.server.discussions import pushes
from madang.server.discussions.records import discussions
from madang.server.errors import Forbidden, InvalidRequest, NotSignedIn, Refusal
from madang.server.git.objects import COMMIT, KIND_NAMES
from madang.server.git.protocol.checks import Inspection, paths_in
from madang.server.git.protocol.incoming import IncomingPack, PackLimits
from madang.server.git.protocol.pack_file import PackFile, PackRefused
from madang.server.git.protocol.push_requests import Command, Push, read_push, report
from madang.server.git.protocol.raw_objects import RawObjects
from madang.server.git.protocol.reachability import end_of, peel
from madang.server.git.protocol.room import temporary_file
from madang.server.git.protocol.storing import store_pack
from madang.server.git.refs import HEADS, MAIN, PULL_REQUESTS, TAGS, MainBranchKept, check_ref_name, move_ref
from madang.server.hub import Hub
from madang.server.large_files import service as large_files
from madang.server.repositories.access import Found, check_content, find, refusal
from madang.server.repositories.locking import lock
from madang.server.repositories.repository import Repository
from madang.server.repositories.service import after_change

# of files that are named in a message
MOST_NAMED = 10


def check_may_push(connection: Connection, caller: Caller, found: Found) -> None:
    """Raises NotSignedIn or Forbidden for who can push to no ref: no writer, and no author of a pull request."""
    if caller.account is None:
        raise NotSignedIn("Sign in to push: git asks for a user name, and for a password, which is your token.")
    if found.right >= Right.WRITE:
        return
    own = sa.exists().where(
        discussions.c.repository_id == found.repository.id,
        discussions.c.is_pull_request,
        discussions.c.author_id == caller.account.id,
    )
    if not connection.scalar(sa.select(own)):
        raise Forbidden(refusal(caller, found.repository, Right.WRITE))


def receive(hub: Hub, caller: Caller, found: Found, file: int) -> bytes:
    """The answer to the push whose body lies in an open file. It blocks: call it in a thread.

    What cannot be taken is told in the protocol's own words, which git shows. Raises InvalidRequest for what is none.
    """
    push = read_push(file)
    if not push.commands:
        return b""  # git asks whether it may, before it sends much
    return _Receiving(hub, caller, found, push).answer(file)


class _Undone(Exception):
    """Nothing is to be kept of this push: the reasons are with its refs."""


class _Receiving:
    """One push."""

    def __init__(self, hub: Hub, caller: Caller, found: Found, push: Push) -> None:
        self.hub, self.caller, self.found, self.push = hub, caller, found, push
        # of each ref why it did not move; None: it did
        self.statuses: dict[str, str | None] = {}

    @property
    def repository(self) -> Repository:
        return self.found.repository

    def answer(self, file: int) -> bytes:
        unpacked, messages = "ok", []
        try:
            if self.push.has_pack:
                self._with_pack(file)
            else:
                self._write(None, Inspection())
        except _Undone:
            pass
        except Refusal as error:
            unpacked = str(error)
            messages.append(str(error))
            self._fail_all("the push was refused as a whole")
        return report(self.push, unpacked, self.statuses, messages)

    def _with_pack(self, file: int) -> None:
        settings = self.hub.settings
        limits = PackLimits(
            file_bytes=settings.large_from_bytes,
            total_bytes=4 * settings.largest_push_bytes,
            object_bytes=max(PackLimits.object_bytes, settings.large_from_bytes),
        )
        inspection = Inspection()
        pack = PackFile(file, self.push.pack_start)
        with temporary_file(settings.data / "incoming") as room:
            incoming = IncomingPack(pack, limits, room, self._base, inspection.look)
            incoming.read()
            self._refuse_large(incoming, inspection)
            with self.hub.database.read() as connection:
                inspection.check_extent(RawObjects(connection, self.repository.id))
            self._write(incoming, inspection)

    def _base(self, oid: bytes) -> tuple[int, bytes] | None:
        """What a delta of a thin pack changes: an object the repository has."""
        with self.hub.database.read() as connection:
            found = RawObjects(connection, self.repository.id).contents([oid])
            return next(((kind, content) for _, kind, content in found), None)

    def _refuse_large(self, incoming: IncomingPack, inspection: Inspection) -> None:
        if not incoming.too_large:
            return
        limit = self.hub.settings.large_from_bytes
        files = _paths(incoming, inspection, list(incoming.too_large))
        named = ", ".join(f"{path} ({incoming.too_large[oid]:,} bytes)" for oid, path in files.items())
        raise PackRefused(
            f"files above {limit:,} bytes belong to git lfs: {named}. Put them there with `git lfs install` and"
            f" `git lfs migrate import --everything --above={max(1, limit // 1000)}kb`, and push again."
        )

    def _write(self, incoming: IncomingPack | None, inspection: Inspection) -> None:
        """Everything that is kept of a push, in one transaction."""
        with self.hub.database.write() as connection:
            lock(connection, self.repository)
            # the answer may have changed while a large push arrived
            self.found = find(connection, self.caller, self.repository.type, self.repository.name)
            check_content(connection, self.caller, self.found)
            check_may_push(connection, self.caller, self.found)
            raw = RawObjects(connection, self.repository.id)
            if incoming is not None:
                inspection.check_connected(raw, {oid: kept.kind for oid, kept in incoming.entries.items()})
                self._check_pointers(connection, incoming, inspection)
                store_pack(connection, self.repository.id, raw, incoming)
            for command in self.push.commands:
                self.statuses[command.name] = self._moved(connection, raw, command)
            failed = [reason for reason in self.statuses.values() if reason is not None]
            if failed and "atomic" in self.push.options:
                self._fail_all("atomic push failed: another ref was refused")
            # objects that no ref leads to are not kept
            if failed and all(reason is not None for reason in self.statuses.values()):
                raise _Undone

    def _fail_all(self, reason: str) -> None:
        for command in self.push.commands:
            if self.statuses.get(command.name) is None:
                self.statuses[command.name] = reason

    def _check_pointers(self, connection: Connection, incoming: IncomingPack, inspection: Inspection) -> None:
        """Let the repository have the large files that new pointers name; refuse those whose content nobody brought."""
        account_id = self.caller.account.id if self.caller.account is not None else None
        wanted = {pointer.sha256: pointer for pointer in inspection.pointers.values()}
        sizes = large_files.known_sizes(connection, self.repository.id, wanted, account_id)
        missing = [oid for oid, pointer in inspection.pointers.items() if sizes.get(pointer.sha256) != pointer.size]
        if missing:
            named = ", ".join(
                f"{path} ({inspection.pointers[oid].sha256[:12]}…)"
                for oid, path in _paths(incoming, inspection, missing).items()
            )
            raise PackRefused(
                f"the content of {len(missing)} large files was not uploaded: {named}. Install git lfs and run"
                " `git lfs push --all <remote> <branch>`, then push again."
            )
        for pointer in wanted.values():
            large_files.add(connection, self.repository.id, pointer.sha256, pointer.size, account_id)

    def _moved(self, connection: Connection, raw: RawObjects, command: Command) -> str | None:
        """Move one ref, with all that follows from it; returns why not."""
        try:
            with connection.begin_nested():
                self._check_command(connection, raw, command)
                move_ref(connection, self.repository.id, command.name, command.old, command.new)
                moved = {command.name: command.new}
                after_change(connection, self.repository, moved, author=self.caller.account)
        except Refusal as error:
            return str(error)
        return None

    def _check_command(self, connection: Connection, raw: RawObjects, command: Command) -> None:
        """Raises a Refusal for a ref that cannot be moved like this, or not by this caller."""
        name = command.name
        if command.old is None and command.new is None:
            raise InvalidRequest("there is nothing to delete.")
        if name.startswith(PULL_REQUESTS):
            pushes.check_push(connection, self.caller, self.found, name)
        elif not name.startswith((HEADS, TAGS)):
            raise Forbidden("only branches, tags and pull requests can be pushed: refs/heads/…, refs/tags/…, refs/pr/…")
        elif self.found.right < Right.WRITE:
            raise Forbidden(refusal(self.caller, self.repository, Right.WRITE))
        if command.new is None:
            if name == MAIN:
                raise MainBranchKept
            return
        if command.old is None:
            check_ref_name(name.split("/", 2)[2])
        oid = bytes.fromhex(command.new)
        targets, kinds = peel(raw, [oid])
        kind = kinds.get(end_of(oid, targets) if name.startswith(TAGS) else oid)
        if kind != COMMIT:
            found = "nothing that is here" if kind is None else f"a {KIND_NAMES[kind]}"
            raise InvalidRequest(f"it must lead to a commit, and {command.new} is {found}.")


def _paths(incoming: IncomingPack, inspection: Inspection, oids: list[bytes]) -> dict[bytes, str]:
    """Where some new files are, for messages to people."""
    trees = ((oid, incoming.content(oid)) for oid in inspection.trees)
    return paths_in(trees, oids[:MOST_NAMED])
