"""Which objects somebody lacks who wants these commits and has those.

A fetch is a difference of two sets: what the wanted commits lead to, less what the commits the other side has lead to.
Shallow commits (those whose parents a client does not have, and does not want) end both walks.
"""

import heapq
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from madang.server.git.objects import BLOB, COMMIT, TAG, TREE
from madang.server.git.protocol.filters import Filter
from madang.server.git.protocol.raw_objects import CommitGraph, RawObjects, tag_target
from madang.server.git.refs import LONGEST_TAG_CHAIN

_ENTRY = re.compile(rb"([0-7]{5,6}) [^\0]+\0(.{20})", re.DOTALL)
_FOLDER, _MODULE = b"40000", b"160000"


@dataclass
class Lacking:
    """What has to be sent, each object once."""

    commits: set[bytes] = field(default_factory=set)
    tags: set[bytes] = field(default_factory=set)
    trees: set[bytes] = field(default_factory=set)
    blobs: set[bytes] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.commits) + len(self.tags) + len(self.trees) + len(self.blobs)

    def __iter__(self) -> Iterator[bytes]:
        """Commits first; each kind by id, which is how the database finds them quickest."""
        for kind in (self.commits, self.tags, self.trees, self.blobs):
            yield from sorted(kind)


@dataclass(frozen=True)
class Boundary:
    """The commits at which the histories of a shallow clone end: before this fetch, and after it."""

    before: frozenset[bytes] = frozenset()
    after: frozenset[bytes] = frozenset()

    @property
    def deepened(self) -> frozenset[bytes]:
        return self.before - self.after


def closure(graph: CommitGraph, starts: Iterable[bytes], ends: frozenset[bytes]) -> set[bytes]:
    """All commits that `starts` lead to; the parents of `ends` are not looked at."""
    found: set[bytes] = set()
    level = set(starts)
    while level:
        graph.load(level)
        level = {oid for oid in level if graph.get(oid) is not None}
        found |= level
        level = {parent for oid in level - ends for parent in graph.parents(oid)} - found
    return found


def between(graph: CommitGraph, wants: Iterable[bytes], haves: Iterable[bytes]) -> set[bytes]:
    """Commits that `wants` lead to and `haves` do not, without walking through all of history.

    Both sides go back in time together and stop where nothing is left that only one of them reaches. Where clocks
    were wrong a commit too many may come out, never one too few.
    """
    had: set[bytes] = set(haves)
    reached: set[bytes] = set(wants) | had
    graph.load(reached)
    undecided = set(wants) - had
    queue = [(-node.seconds, oid) for oid in reached if (node := graph.get(oid)) is not None]
    heapq.heapify(queue)
    while queue and undecided:
        _, oid = heapq.heappop(queue)
        undecided.discard(oid)
        is_had = oid in had
        parents = graph.parents(oid)
        graph.load(parents)
        for parent in parents:
            if parent in had or (parent in reached and not is_had):
                continue
            node = graph.get(parent)
            if node is None:
                continue
            reached.add(parent)
            if is_had:
                had.add(parent)
                undecided.discard(parent)
            else:
                undecided.add(parent)
            heapq.heappush(queue, (-node.seconds, parent))
    return {oid for oid in reached - had if graph.get(oid) is not None}


def all_reach(graph: CommitGraph, wants: Iterable[bytes], common: set[bytes]) -> bool:
    """Whether from each wanted commit a way leads back to one of `common`: then nobody needs to ask further."""
    oldest = min((node.seconds for oid in common if (node := graph.get(oid)) is not None), default=None)
    if oldest is None:
        return False
    return all(_reaches(graph, want, common, oldest) for want in set(wants))


def _reaches(graph: CommitGraph, want: bytes, common: set[bytes], oldest: int) -> bool:
    seen, level = {want}, {want}
    while level:
        if level & common:
            return True
        graph.load(level)
        nodes = [node for oid in level if (node := graph.get(oid)) is not None]
        level = {parent for node in nodes if node.seconds >= oldest for parent in node.parents} - seen
        seen |= level
    return False


def peel(raw: RawObjects, oids: Iterable[bytes]) -> tuple[dict[bytes, bytes], dict[bytes, int]]:
    """What annotated tags name, step by step (tag -> target), and the kinds of all ids on the way."""
    targets: dict[bytes, bytes] = {}
    kinds: dict[bytes, int] = {}
    level = set(oids)
    for _ in range(LONGEST_TAG_CHAIN + 1):
        sizes = raw.sizes(level)
        kinds.update({oid: size.kind for oid, size in sizes.items()})
        tags = [oid for oid, size in sizes.items() if size.kind == TAG]
        if not tags:
            break
        for oid, _kind, content in raw.contents(tags):
            target = tag_target(content)
            if target is not None:
                targets[oid] = target
        level = {targets[oid] for oid in tags if oid in targets} - kinds.keys()
    return targets, kinds


def end_of(oid: bytes, targets: dict[bytes, bytes]) -> bytes:
    """What is at the end of a chain of tags; the id itself when it is no tag."""
    for _ in range(LONGEST_TAG_CHAIN + 1):
        if oid not in targets:
            break
        oid = targets[oid]
    return oid


def lacking(
    raw: RawObjects,
    graph: CommitGraph,
    wants: Iterable[bytes],
    haves: Iterable[bytes],
    boundary: Boundary,
    omitting: Filter,
) -> Lacking:
    """What must be sent. Objects that are wanted by their own id are sent whatever is omitted."""
    found = Lacking()
    wants = set(wants)
    targets, kinds = peel(raw, wants | set(haves))
    ends = {end_of(oid, targets) for oid in wants}
    had_ends = {end_of(oid, targets) for oid in haves}
    had_ends = {oid for oid in had_ends if kinds.get(oid) == COMMIT}
    found.tags = {oid for oid in chain_of(wants, targets) if kinds.get(oid) == TAG} - set(haves)
    tips = {oid for oid in ends if kinds.get(oid) == COMMIT}
    if boundary.before or boundary.after:
        had = closure(graph, had_ends, boundary.before)
        # where a shallow history is deepened, the parents of its old ends are what is asked for
        deeper = {parent for oid in boundary.deepened for parent in graph.parents(oid)}
        found.commits = closure(graph, tips | deeper, boundary.after) - had
        edges = {parent for oid in found.commits for parent in graph.parents(oid)} & had
        edges |= (boundary.deepened | tips) & had
    else:
        found.commits = between(graph, tips, had_ends)
        edges = {parent for oid in found.commits for parent in graph.parents(oid)} - found.commits
    seen: set[bytes] = set()
    for _ in _below(raw, _trees_of(graph, edges), seen, None):
        pass
    roots = _trees_of(graph, found.commits)
    asked = {oid: kinds[oid] for oid in ends if kinds.get(oid) in (TREE, BLOB)}
    explicit_trees = {oid for oid, kind in asked.items() if kind == TREE}
    seen -= explicit_trees
    for trees, blobs in _below(raw, roots, seen, omitting.depth):
        found.trees |= trees
        found.blobs |= blobs
    # a tree asked for by its id counts as its own root
    for trees, blobs in _below(raw, explicit_trees, seen, omitting.depth):
        found.trees |= trees
        found.blobs |= blobs
    found.trees |= explicit_trees
    if omitting.size is not None:
        found.blobs = _smaller(raw, found.blobs, omitting.size)
    found.blobs |= {oid for oid, kind in asked.items() if kind == BLOB}
    return found


def chain_of(oids: Iterable[bytes], targets: dict[bytes, bytes]) -> set[bytes]:
    """These ids and all that they name."""
    found: set[bytes] = set()
    for start in oids:
        oid: bytes | None = start
        while oid is not None and oid not in found:
            found.add(oid)
            oid = targets.get(oid)
    return found


def _trees_of(graph: CommitGraph, commits: Iterable[bytes]) -> set[bytes]:
    commits = list(commits)
    graph.load(commits)
    return {node.tree for oid in commits if (node := graph.get(oid)) is not None}


def _below(
    raw: RawObjects, roots: set[bytes], seen: set[bytes], depth_limit: int | None
) -> Iterator[tuple[set[bytes], set[bytes]]]:
    """Trees and blobs from `roots` down that are not in `seen`, level by level; they are in it afterwards.

    Level by level, so that a tree that is in several places counts with the place nearest to a root.
    """
    depth, level = 0, roots - seen
    while level and (depth_limit is None or depth < depth_limit):
        seen |= level
        with_files = depth_limit is None or depth + 1 < depth_limit
        below: set[bytes] = set()
        blobs: set[bytes] = set()
        for _, kind, content in raw.contents(sorted(level)):
            if kind != TREE:
                continue
            entries = _ENTRY.findall(content)
            below.update(oid for mode, oid in entries if mode == _FOLDER)
            if with_files:
                blobs.update(oid for mode, oid in entries if mode != _FOLDER and mode != _MODULE)
        blobs -= seen
        seen |= blobs
        yield level, blobs
        level = below - seen
        depth += 1


def _smaller(raw: RawObjects, blobs: set[bytes], limit: int) -> set[bytes]:
    if limit <= 0:
        return set()
    return {oid for oid, size in raw.sizes(blobs).items() if size.size < limit}
