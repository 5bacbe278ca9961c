"""What commits lead to, all of it: for copying, checking and freeing."""

from collections.abc import Iterable, Iterator

from madang.server.git.objects import GitObject, files_in, named_by
from madang.server.git.store import Objects


def reachable(objects: Objects, starts: Iterable[str]) -> Iterator[GitObject]:
    """The commits, tags and folders that these objects lead to, each once, some hundred with each question.

    Files are named in the folders (`objects.files_in`), and not read.
    """
    seen: set[str] = set()
    waiting = set(starts)
    while waiting:
        seen |= waiting
        found: set[str] = set()
        for item in objects.get_many(waiting):
            yield item
            found.update(named_by(item) - files_in(item))
        waiting = found - seen
