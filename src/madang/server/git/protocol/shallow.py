"""Shallow clones: where the history that a client wants ends (`--depth`, `--shallow-since`, `--shallow-exclude`)."""

from collections.abc import Iterable

from sqlalchemy.engine import Connection

from madang.server.errors import InvalidRequest
from madang.server.git.protocol.fetch_requests import EVERYTHING, Fetch
from madang.server.git.protocol.raw_objects import CommitGraph, RawObjects
from madang.server.git.protocol.reachability import Boundary, closure, end_of, peel
from madang.server.git.refs import HEADS, TAGS, read_ref

# a boundary, and the commits before it
Reached = tuple[set[bytes], set[bytes]]


def boundary_of(
    connection: Connection, repository_id: int, graph: CommitGraph, tips: set[bytes], asked: Fetch
) -> tuple[Boundary, list[str]]:
    """Where the history of the client ended and will end, and the lines that tell it. Raises InvalidRequest."""
    graph.load(asked.shallow)
    before = frozenset(oid for oid in asked.shallow if graph.get(oid) is not None)
    if not asked.deepens:
        return Boundary(before, before), []
    if asked.since is not None or asked.without:
        excluded = _excluded(connection, repository_id, graph, asked.without)
        ends, interior = _since(graph, tips, asked.since or 0, excluded)
    elif asked.depth == EVERYTHING:
        ends, interior = set(), set(before)
    elif asked.relative:
        ends, interior = _to_depth(graph, before, (asked.depth or 0) + 1)
    else:
        ends, interior = _to_depth(graph, tips, asked.depth or 1)
    after = (before - interior) | ends
    told = [f"shallow {oid.hex()}" for oid in sorted(ends - before)]
    told += [f"unshallow {oid.hex()}" for oid in sorted(before & interior)]
    return Boundary(before, frozenset(after)), told


def _to_depth(graph: CommitGraph, starts: Iterable[bytes], depth: int) -> Reached:
    """Commits at most `depth - 1` steps from a start; those at the last step that have parents are the boundary.

    (git counts those without parents too, and calls a clone shallow that lacks nothing.)
    """
    seen: set[bytes] = set()
    level = set(starts)
    for _ in range(depth - 1):
        if not level:
            break
        graph.load(level)
        seen |= level
        level = {parent for oid in level for parent in graph.parents(oid)} - seen
    graph.load(level)
    ends = {oid for oid in level if graph.parents(oid)}
    return ends, seen | (level - ends)


def _since(graph: CommitGraph, tips: set[bytes], since: int, excluded: set[bytes]) -> Reached:
    """Commits not older than `since` and not excluded; those with a parent that is left out are the boundary."""
    selected: set[bytes] = set()
    level = set(tips)
    while level:
        graph.load(level)
        nodes = {
            oid: node for oid in level - excluded if (node := graph.get(oid)) is not None and node.seconds >= since
        }
        selected |= nodes.keys()
        level = {parent for node in nodes.values() for parent in node.parents} - selected
    if not selected:
        raise InvalidRequest("no commits selected for shallow requests")
    ends = {oid for oid in selected if any(parent not in selected for parent in graph.parents(oid))}
    return ends, selected - ends


def _excluded(connection: Connection, repository_id: int, graph: CommitGraph, names: list[str]) -> set[bytes]:
    """What the refs given to `--shallow-exclude` lead to."""
    found: set[bytes] = set()
    for name in names:
        spellings = (name, f"refs/{name}", TAGS + name, HEADS + name)
        targets = (read_ref(connection, repository_id, spelling) for spelling in spellings if len(spelling) <= 500)
        target = next((oid for oid in targets if oid is not None), None)
        if target is None:
            raise InvalidRequest(f"deepen-not is not a ref: {name[:100]}")
        oid = bytes.fromhex(target)
        steps, _ = peel(RawObjects(connection, repository_id), [oid])
        found |= closure(graph, [end_of(oid, steps)], frozenset())
    return found
