"""One hub: its settings, its database, its store of large files."""

import secrets

import sqlalchemy as sa

from madang.server.database import Database, insert_new, metadata, put
from madang.server.migrations import migrating
from madang.server.repositories.downloads import DownloadCounts
from madang.server.security import Signer
from madang.server.settings import ServerSettings
from madang.server.storage.opening import open_storage

# Facts about the whole hub, the same for all its replicas: the key that signs, the generation of its chunk store.
facts = sa.Table(
    "facts",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)


class Hub:
    """What every request works with. Opening one makes the folder and the tables that are not there."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        settings.data.mkdir(parents=True, exist_ok=True)
        self.storage = open_storage(settings.storage_url)
        self.database = Database(settings.database_url, self.storage)
        migrating.prepare(self.database)
        self.signer = Signer(bytes.fromhex(self.fact("signing-key", secrets.token_hex(32))))
        self.downloads = DownloadCounts(self.database)

    def fact(self, name: str, default: str) -> str:
        """A fact about this hub; `default` becomes it when there is none yet, whichever replica is first."""
        with self.database.read() as connection:
            found = connection.scalar(sa.select(facts.c.value).where(facts.c.name == name))
        if found is not None:
            return str(found)
        with self.database.write() as connection:
            insert_new(connection, facts, [{"name": name, "value": default}])
            return str(connection.scalar(sa.select(facts.c.value).where(facts.c.name == name)))

    def remember(self, name: str, value: str) -> None:
        """Make `value` the fact of this name, whatever it was."""
        with self.database.write() as connection:
            put(connection, facts, [{"name": name, "value": value}], change=["value"])

    def close(self) -> None:
        self.downloads.close()
        self.database.close()
