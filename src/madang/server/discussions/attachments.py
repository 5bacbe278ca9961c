"""Pictures in comments: kept by the SHA-256 of their bytes, and only what browsers draw without running anything."""

import hashlib
import re

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts.caller import Account
from madang.server.clock import now
from madang.server.database import insert_new
from madang.server.discussions.records import attachments
from madang.server.errors import InvalidRequest, NotFound, TooManyRequests
from madang.server.storage.blobs import BlobStore

LARGEST = 10 * 1024 * 1024
# what one account may bring in a day
DAILY_BYTES = 250 * 1024 * 1024
DAY = 24 * 3600 * 1000


def media_type_of(content: bytes) -> str | None:
    """The kind of picture these bytes begin like; None for everything else. What a sender says of it does not count."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content[4:12] in (b"ftypavif", b"ftypavis"):
        return "image/avif"
    return None


def attachment_key(sha256: str) -> str:
    """Where a picture is in the blob store: apart from large files, which are collected when no repository has them."""
    return f"uploads/{sha256[:2]}/{sha256}"


def check_allowance(connection: Connection, account: Account, size: int) -> None:
    """Raises TooManyRequests when an account brought too much within a day."""
    total = sa.select(sa.func.sum(attachments.c.size)).where(
        attachments.c.account_id == account.id, attachments.c.created_at > now() - DAY
    )
    if (connection.scalar(total) or 0) + size > DAILY_BYTES:
        raise TooManyRequests(
            f"An account can attach {DAILY_BYTES // 2**20} MiB a day. Try again tomorrow.",
            headers={"Retry-After": "3600"},
        )


def check_picture(content: bytes) -> str:
    """The kind of a picture. Raises InvalidRequest."""
    media_type = media_type_of(content)
    if media_type is None:
        raise InvalidRequest("Only pictures can be attached: PNG, JPEG, GIF, WebP or AVIF.")
    return media_type


def store(storage: BlobStore, content: bytes) -> str:
    """Write a picture to the blob store; returns its SHA-256. Raises StorageFull."""
    sha256 = hashlib.sha256(content).hexdigest()
    with storage.writer(attachment_key(sha256), len(content)) as writer:
        writer.write(content)
        writer.commit()
    return sha256


def note(connection: Connection, account: Account, sha256: str, media_type: str, size: int) -> None:
    """Make a picture that was stored known; whoever brought it first stays its owner."""
    row = {"sha256": sha256, "account_id": account.id, "media_type": media_type, "size": size, "created_at": now()}
    insert_new(connection, attachments, [row])


def find(connection: Connection, sha256: str) -> tuple[str, int]:
    """Kind and size of a picture. Raises NotFound."""
    row = None
    if re.fullmatch("[0-9a-f]{64}", sha256):
        query = sa.select(attachments.c.media_type, attachments.c.size).where(attachments.c.sha256 == sha256)
        row = connection.execute(query).first()
    if row is None:
        raise NotFound("There is no such picture.")
    return row.media_type, row.size
