"""What one hub is started with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SignUp = Literal["open", "invite", "closed"]


@dataclass(frozen=True)
class ServerSettings:
    """The folder, the address and the two stores of a hub; `madang serve` fills it from its options and `MADANG_*`."""

    data: Path
    # where people and clients reach it, without a slash at the end: answers name this address, never a header's
    address: str
    database_url: str
    storage_url: str
    sign_up: SignUp = "invite"
    # requests per five minutes of one account (or of one address that is not signed in); 0 sets no limit
    rate_limit: int = 0
    # large files that nothing names any more are kept for so many seconds
    grace_seconds: int = 7 * 24 * 3600
    # files above this size are large files, whatever they hold
    large_from_bytes: int = 10 * 1024 * 1024
    # of one `git push`, as it is sent; large files don't count, they go their own way
    largest_push_bytes: int = 2 * 1024 * 1024 * 1024

    @classmethod
    def for_folder(cls, data: Path, address: str, **other: object) -> "ServerSettings":
        """SQLite and a folder: what a hub starts with when nothing else is said."""
        given = {"database_url": f"sqlite:///{data / 'hub.sqlite3'}", "storage_url": (data / "files").as_uri(), **other}
        # the fields have several types, and a mapping of all of them has only the most general
        return cls(data=data, address=address.rstrip("/"), **given)  # type: ignore[arg-type]
