"""A hub for tests: in this process, in a temporary folder, on a free port.

with running_hub() as hub:
    token = hub.user("alice")
    ...  # HF_ENDPOINT=hub.address, HF_TOKEN=token
"""

import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from madang.server.accounts.audit import OPERATOR
from madang.server.accounts.finding import find_account, user_named
from madang.server.accounts.organisations import create_organisation, set_role
from madang.server.accounts.tokens import create_token
from madang.server.accounts.users import create_user
from madang.server.app import create_application
from madang.server.database import Database
from madang.server.hub import Hub
from madang.server.migrations import migrating
from madang.server.settings import ServerSettings


@dataclass
class HubForTests:
    """A hub that tests can look into."""

    hub: Hub
    address: str

    def user(self, name: str, *, role: str = "write", administrator: bool = False, **scopes: Any) -> str:
        """A token of the account `name`, which is made when it is not there."""
        with self.hub.database.write() as connection:
            account = find_account(connection, name)
            if account is None:
                account = create_user(connection, OPERATOR, name, administrator=administrator)
            return create_token(connection, account.id, "test", role, scopes.get("scopes", ()))

    def organisation(self, name: str, **roles: str) -> None:
        """An organisation with these members: `organisation("lab", alice="admin", bob="read")`."""
        with self.hub.database.write() as connection:
            users = {user: user_named(connection, user) for user in roles}
            first = next(user for user, role in roles.items() if role == "admin")
            made = create_organisation(connection, OPERATOR, name, users[first])
            for user, role in roles.items():
                set_role(connection, OPERATOR, made, users[user], role)


def hub_in(folder: Path, address: str = "http://testserver", **settings: Any) -> HubForTests:
    """A hub without a server: for `fastapi.testclient.TestClient(create_application(hub.hub))`."""
    if "database_url" not in settings:
        _write_database(folder / "hub.sqlite3")
    return HubForTests(Hub(ServerSettings.for_folder(folder, address, **settings)), address)


def _write_database(path: Path) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_new_database())


@cache
def _new_database() -> bytes:
    """A database with all tables and no rows: to write a copy is much quicker than to make the tables once more."""
    with tempfile.TemporaryDirectory(prefix="madang-hub-") as folder:
        path = Path(folder) / "hub.sqlite3"
        database = Database(f"sqlite:///{path}")
        migrating.prepare(database)
        database.close()
        return path.read_bytes()


@contextmanager
def running_hub(folder: Path | None = None, **settings: Any) -> Iterator[HubForTests]:
    """A hub that answers at a port of this machine while the block lasts."""
    from madang.server.serving import server_for

    with tempfile.TemporaryDirectory(prefix="madang-hub-") as temporary, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        found = hub_in(folder or Path(temporary), f"http://127.0.0.1:{listener.getsockname()[1]}", **settings)
        server = server_for(create_application(found.hub))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the hub did not start")
            time.sleep(0.01)
        try:
            yield found
        finally:
            server.should_exit = True
            thread.join(timeout=10)
            found.hub.close()
