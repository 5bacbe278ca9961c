"""Uploads and downloads of single large files: who may make them (tickets), in how many parts, and how they end.

An address in the answer to a batch request is all that a client needs: it sends no token with what follows. So the
address holds a ticket, which says for whom, into which repository and of what content the upload is.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts.caller import Caller, Right
from madang.server.accounts.finding import ACCOUNT
from madang.server.accounts.finding import from_row as account_from_row
from madang.server.accounts.records import accounts
from madang.server.errors import Conflict, Forbidden, InvalidRequest, NotFound, Refusal
from madang.server.hub import Hub
from madang.server.large_files import service
from madang.server.large_files.collecting import PARTS
from madang.server.repositories.access import Found, check_content, right_of
from madang.server.repositories.records import repositories
from madang.server.repositories.repository import COLUMNS, from_row
from madang.server.storage.blobs import BlobStore, blob_key

TICKET_SECONDS = 24 * 3600
DOWNLOAD_SECONDS = 3600
# what is larger is sent in parts by clients that can: a part that fails is repeated alone
MULTIPART_FROM = 2 * 1024**3
SMALLEST_PART = 256 * 1024**2
# addresses in one answer, all its files together
MOST_PARTS = 10_000
# what one file can have: the limit of S3, and more than any disk of today
LARGEST_FILE = 5 * 1024**4


@dataclass(frozen=True)
class Upload:
    """One file that may be sent. The size of its parts is 0 when it comes as a whole."""

    repository_id: int
    account_id: int
    sha256: str
    size: int
    part_size: int = 0

    @property
    def parts(self) -> int:
        """How many parts it has; the last may be smaller."""
        return -(-self.size // self.part_size) if self.part_size else 0

    def size_of(self, number: int) -> int:
        """The bytes of a part, counted from 1. Raises NotFound."""
        if not 1 <= number <= self.parts:
            raise NotFound(f"this file has {self.parts} parts, counted from 1; there is no part {number}.")
        return min(self.part_size, self.size - (number - 1) * self.part_size)

    def part_key(self, number: int) -> str:
        """Where a part waits for the others. Who starts again writes to the same place: nothing piles up."""
        return f"{PARTS}{self.repository_id}-{self.account_id}-{self.sha256}-{self.part_size}/{number}"


def upload_ticket(hub: Hub, upload: Upload) -> str:
    """The ticket of an upload, valid for a day."""
    return hub.signer.sign("lfs-upload", TICKET_SECONDS, **asdict(upload))


def read_upload(hub: Hub, ticket: str) -> Upload:
    """The upload of a ticket. Raises Forbidden when it is not ours, is over, or its account or repository has gone."""
    facts = hub.signer.read("lfs-upload", ticket)
    upload = Upload(**{name: facts[name] for name in Upload.__dataclass_fields__})
    with hub.database.read() as connection:
        check_still_allowed(connection, upload)
    return upload


def check_still_allowed(connection: Connection, upload: Upload) -> None:
    """Raises Forbidden when the account was closed or may no longer read the repository, or when that was deleted."""
    _check_reader(connection, upload.repository_id, upload.account_id)


def _check_reader(connection: Connection, repository_id: int, account_id: int | None) -> None:
    """What was allowed when a ticket was given must be so when it is used. Raises Forbidden."""
    over = Forbidden("this address is no longer valid: its account or its repository was closed to it.")
    row = connection.execute(sa.select(*COLUMNS).where(repositories.c.id == repository_id)).first()
    account = None
    if account_id is not None:
        account = connection.execute(sa.select(*ACCOUNT).where(accounts.c.id == account_id)).first()
        if account is None or account_from_row(account).disabled:
            raise over
    if row is None:
        raise over
    caller, repository = Caller(account_from_row(account) if account is not None else None), from_row(row)
    right = right_of(connection, caller, repository)
    if right < Right.READ:
        raise over
    try:
        check_content(connection, caller, Found(repository, right))
    except Refusal:
        raise over from None


def download_ticket(hub: Hub, repository_id: int, sha256: str, account_id: int | None) -> str:
    """Who has it may read this file of a repository until it ends, as long as that account (None: anybody) may."""
    facts = {"repository_id": repository_id, "sha256": sha256, "account_id": account_id}
    return hub.signer.sign("lfs-download", DOWNLOAD_SECONDS, **facts)


def read_download(hub: Hub, ticket: str) -> tuple[str, int]:
    """SHA-256 and size of the file of a ticket. Raises Forbidden, and NotFound when the repository has it no more."""
    facts = hub.signer.read("lfs-download", ticket)
    with hub.database.read() as connection:
        _check_reader(connection, facts["repository_id"], facts["account_id"])
        size = service.known(connection, facts["repository_id"], facts["sha256"], None)
    if size is None:
        raise NotFound("the repository does not have this file any more.")
    return facts["sha256"], size


def part_size_for(size: int, files: int) -> int:
    """How large the parts of a file are, when an answer holds the addresses of so many files."""
    return max(SMALLEST_PART, -(-size // max(1, MOST_PARTS // files)))


def begin_part(hub: Hub, upload: Upload, number: int) -> service.Arrival:
    """A part on its way in; it is hashed with the others, when the file is complete."""
    return service.Arrival(hub.storage, upload.part_key(number), upload.size_of(number))


def begin(hub: Hub, upload: Upload) -> service.Arrival:
    """The whole file on its way in, announced."""
    with hub.database.write() as connection:
        service.announce(connection, upload.sha256, upload.size)
    return service.Arrival(hub.storage, blob_key(upload.sha256), upload.size, upload.sha256)


def end(hub: Hub, upload: Upload) -> None:
    """The repository has the file that arrived. Raises Forbidden, FreedMeanwhile."""
    with hub.database.write() as connection:
        check_still_allowed(connection, upload)
        service.add_received(
            connection, hub.storage, upload.repository_id, upload.sha256, upload.size, upload.account_id
        )


def complete(hub: Hub, upload: Upload) -> None:
    """Put the parts together. Raises Conflict when some are missing, InvalidRequest when they are not the file."""
    with hub.database.read() as connection:
        if service.known(connection, upload.repository_id, upload.sha256, None) is not None:
            return  # completed before: the client missed the answer
    missing = [
        number
        for number in range(1, upload.parts + 1)
        if hub.storage.size(upload.part_key(number)) != upload.size_of(number)
    ]
    if missing:
        some = ", ".join(str(number) for number in missing[:10])
        raise Conflict(f"{len(missing)} of {upload.parts} parts have not come, the first of them: {some}. Send them.")
    try:
        with begin(hub, upload) as arrival:
            for piece in _joined(hub.storage, upload):
                arrival.write(piece)
            arrival.finish()
    except InvalidRequest:
        _drop_parts(hub.storage, upload)  # they are not this file: whoever tries again sends all of them
        raise
    end(hub, upload)
    _drop_parts(hub.storage, upload)


def _drop_parts(storage: BlobStore, upload: Upload) -> None:
    for number in range(1, upload.parts + 1):
        storage.delete(upload.part_key(number))


def _joined(storage: BlobStore, upload: Upload) -> Iterator[bytes]:
    for number in range(1, upload.parts + 1):
        yield from storage.read(upload.part_key(number))
