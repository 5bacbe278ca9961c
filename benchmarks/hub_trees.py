"""How long a page of a listing takes in repositories of 10,000 and 100,000 files, and how much memory.

    python benchmarks/hub_trees.py

In process, without HTTP, on SQLite: what is measured is finding the page. Each repository is made twice: all files in
one folder, and a hundred of them in each folder, added in ten commits.
"""

import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from madang.server.accounts.caller import Caller
from madang.server.accounts.finding import account_of
from madang.server.accounts.records import accounts
from madang.server.database import insert
from madang.server.git.commits import NewFile
from madang.server.git.refs import MAIN
from madang.server.repositories import describing, folders, service
from madang.server.repositories.access import find
from madang.server.repositories.repository import Repository
from madang.testing.hub import HubForTests, hub_in

COMMITS = 10


def make(hub: HubForTests, name: str, count: int, *, flat: bool) -> Repository:
    """A repository with so many small files."""
    with hub.hub.database.write() as connection:
        identity = insert(connection, accounts, kind="user", name=f"{name}-owner", key=f"{name}-owner", created_at=0)
        owner = Caller(account_of(connection, identity))
        made = service.create(connection, owner, "dataset", name)
    assert owner.account is not None
    step = count // COMMITS
    for start in range(0, count, step):
        numbers = range(start, start + step)
        paths = [f"{number:06}.txt" if flat else f"{number // 100:04}/{number % 100:02}.txt" for number in numbers]
        changes = {path: NewFile(path.encode()) for path in paths}
        began = time.perf_counter()
        with hub.hub.database.write() as connection:
            service.change_files(connection, made, MAIN, changes, author=owner.account, message=f"Add {step}")
    print(f"{name}: the last commit of {step} files took {time.perf_counter() - began:.2f} s")
    with hub.hub.database.read() as connection:
        return find(connection, owner, "dataset", made.name).repository


def measure(hub: HubForTests, repository: Repository) -> None:
    """Print the times of the first, a middle and the last page, and of what else a page of the hub needs."""

    def timed(what: str, work: Callable[[Connection], Any]) -> Any:
        times = []
        for _ in range(5):
            with hub.hub.database.read() as connection:
                began = time.perf_counter()
                answer = work(connection)
                times.append(time.perf_counter() - began)
        print(f"  {what:<44} first {1000 * times[0]:8.1f} ms   then {1000 * sorted(times[1:])[1]:8.1f} ms")
        return answer

    def page(**options: Any) -> Callable[[Connection], folders.Page]:
        return lambda connection: folders.folder_page(connection, repository.id, "main", **options)

    last: str | None = ""
    middles = []
    while last is not None:
        middles.append(last)
        with hub.hub.database.read() as connection:
            last = page(recursive=True, after=last)(connection).after
    for what, after in (("first", ""), ("middle", middles[len(middles) // 2]), ("last", middles[-1])):
        timed(f"recursive, {what} page of {len(middles)}", page(recursive=True, after=after))
    timed("the top folder", page())
    timed("the top folder, 100 entries expanded", page(expand=True, limit=100))
    with hub.hub.database.read() as connection:
        paths = [item["path"] for item in page(recursive=True, limit=100)(connection).items]
    timed("100 paths", lambda connection: folders.paths_info(connection, repository.id, "main", paths))
    timed("repository with all its files", lambda connection: describing.describe(connection, repository))
    timed("size of all files", lambda connection: folders.folder_size(connection, repository.id, "main"))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        hub = hub_in(Path(folder))
        for count in (10_000, 100_000):
            for flat in (False, True):
                name = f"{count}-{'flat' if flat else 'folders'}"
                repository = make(hub, name, count, flat=flat)
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                measure(hub, repository)
                after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                print(f"  peak memory {after // 1024} MiB, {(after - before) // 1024} MiB more than before reading\n")
        hub.hub.close()


if __name__ == "__main__":
    main()
