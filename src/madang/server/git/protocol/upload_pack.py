"""`git-upload-pack`: what `git clone` and `git fetch` talk to (gitprotocol-pack, gitprotocol-v2).

Anything in a repository can be asked for by its id, whether or not a ref leads to it. Partial clones need that (they
ask for single files by id, and looking for each in all of history would cost more than sending it), and it opens
nothing: the same caller may read any commit of the repository by its id over HTTP, and the clients rely on commits
staying readable. Objects of a push that was refused were never kept. What must become unreadable has to be removed from
the repository, not only from its refs.
"""

from collections.abc import Iterable, Iterator

from sqlalchemy.engine import Connection

from madang.server.database import Database
from madang.server.errors import InvalidRequest, Refusal
from madang.server.git.objects import COMMIT, TAG
from madang.server.git.protocol.advertisement import list_command
from madang.server.git.protocol.fetch_requests import Fetch, oid_of, read_command, read_fetch, read_fetch_arguments
from madang.server.git.protocol.packet_lines import (
    DATA,
    DELIMITER,
    FAILURE,
    FLUSH,
    LONGEST,
    PROGRESS,
    line,
    packets,
    side_band,
)
from madang.server.git.protocol.packs import pack_of
from madang.server.git.protocol.raw_objects import CommitGraph, RawObjects
from madang.server.git.protocol.reachability import Boundary, Lacking, all_reach, chain_of, end_of, lacking, peel
from madang.server.git.protocol.shallow import boundary_of
from madang.server.git.refs import TAGS, list_refs


def answer(database: Database, repository_id: int, body: bytes, version: int) -> Iterator[bytes]:
    """The answer to `POST …/git-upload-pack`, piece by piece. It blocks: iterate over it in a thread.

    What cannot be served is told in the protocol's own words, which git shows; nothing is raised.
    """
    try:
        if version == 2:
            yield from _command(database, repository_id, body)
        else:
            asked = read_fetch(packets(body))
            if asked.wants:
                yield from Conversation(database, repository_id, asked).in_version_0()
    except Refusal as error:
        yield line(f"ERR {error}"[:1000])


def _command(database: Database, repository_id: int, body: bytes) -> Iterator[bytes]:
    name, arguments = read_command(packets(body))
    if name == "ls-refs":
        with database.read() as connection:
            yield list_command(connection, repository_id, arguments)
    elif name == "fetch":
        yield from Conversation(database, repository_id, read_fetch_arguments(arguments)).in_version_2()
    elif name:
        raise InvalidRequest(f"this hub knows no command {name[:60]!r}.")


class Conversation:
    """One request for objects: what both sides have in common, then the pack of what is lacking."""

    def __init__(self, database: Database, repository_id: int, asked: Fetch) -> None:
        self.database, self.repository_id, self.asked = database, repository_id, asked

    def in_version_2(self) -> Iterator[bytes]:
        asked = self.asked
        if not asked.wants:
            return
        # nothing is sent from within the transaction: a slow client must not hold it open
        with self.database.read() as connection:
            negotiation = _Negotiation(connection, self.repository_id, asked)
            said, complete = negotiation.in_version_2()
            if complete:
                boundary, told = negotiation.boundary()
                lacks = negotiation.lacks(boundary)
        yield b"".join(said)
        if not complete:
            return
        if asked.deepens or asked.shallow:
            yield b"".join([line("shallow-info"), *(line(text) for text in told), DELIMITER])
        yield line("packfile")
        yield from self._in_side_band(lacks, LONGEST)
        yield FLUSH

    def in_version_0(self) -> Iterator[bytes]:
        options = self.asked.options
        with self.database.read() as connection:
            negotiation = _Negotiation(connection, self.repository_id, self.asked)
            boundary, told = negotiation.boundary()
            said = [*(line(text) for text in told), FLUSH] if self.asked.deepens else []
            complete = False
            # without negotiation the client only wants to know where its history ends, and comes back
            if self.asked.negotiation:
                acknowledged, complete = negotiation.in_version_0()
                said += acknowledged
            if complete:
                lacks = negotiation.lacks(boundary)
        yield b"".join(said)
        if not complete:
            return
        if "side-band-64k" in options or "side-band" in options:
            yield from self._in_side_band(lacks, LONGEST if "side-band-64k" in options else 1000)
            yield FLUSH
        else:
            yield from pack_of(self.database, self.repository_id, lacks)

    def _in_side_band(self, lacks: Lacking, longest: int) -> Iterator[bytes]:
        if "no-progress" not in self.asked.options:
            yield from side_band(PROGRESS, f"Sending {len(lacks)} objects.\n".encode(), longest)
        try:
            for piece in pack_of(self.database, self.repository_id, lacks):
                yield b"".join(side_band(DATA, piece, longest))
        except Refusal as error:
            yield from side_band(FAILURE, f"{error}\n".encode(), longest)


class _Negotiation:
    """What is asked for and what is common, within one transaction."""

    def __init__(self, connection: Connection, repository_id: int, asked: Fetch) -> None:
        self.connection, self.repository_id, self.asked = connection, repository_id, asked
        self.raw = RawObjects(connection, repository_id)
        self.graph = CommitGraph(self.raw)
        self.targets, kinds = peel(self.raw, set(asked.wants))
        for oid in asked.wants:
            if oid not in kinds:
                raise InvalidRequest(f"upload-pack: not our ref {oid.hex()}")
        ends = {end_of(oid, self.targets) for oid in asked.wants}
        self.tips = {oid for oid in ends if kinds.get(oid) == COMMIT}
        # what both sides have, in the order in which it was said
        self.common: dict[bytes, None] = {}
        self._enough, self._judged_at = False, 0

    def add(self, haves: Iterable[bytes]) -> list[bytes]:
        """Note what the client has; returns those of it that are here too."""
        haves = list(dict.fromkeys(haves))
        sizes = self.raw.sizes(haves)
        known = [oid for oid in haves if oid in sizes and sizes[oid].kind in (COMMIT, TAG)]
        self.common.update(dict.fromkeys(known))
        return known

    def is_enough(self) -> bool:
        """Whether asking further would not make the pack smaller."""
        if self._judged_at != len(self.common):
            self._judged_at = len(self.common)
            self._enough = all_reach(self.graph, self.tips, set(self.common))
        return self._enough

    def boundary(self) -> tuple[Boundary, list[str]]:
        return boundary_of(self.connection, self.repository_id, self.graph, self.tips, self.asked)

    def lacks(self, boundary: Boundary) -> Lacking:
        found = lacking(self.raw, self.graph, self.asked.wants, self.common, boundary, self.asked.filter)
        if "include-tag" in self.asked.options:
            tags = [bytes.fromhex(target) for _, target in list_refs(self.connection, self.repository_id, TAGS)]
            targets, _ = peel(self.raw, tags)
            complete = (oid for oid in tags if oid in targets and end_of(oid, targets) in found.commits)
            found.tags |= chain_of(complete, targets) & targets.keys()
        return found

    def in_version_2(self) -> tuple[list[bytes], bool]:
        """What is said to the client's haves, and whether the pack follows."""
        known = self.add(self.asked.haves)
        if self.asked.done or not self.asked.haves:
            return [], True
        said = [line("acknowledgments"), *(line(f"ACK {oid.hex()}") for oid in known)]
        if not known:
            said.append(line("NAK"))
        if self.is_enough():
            return [*said, line("ready"), DELIMITER], True
        return [*said, FLUSH], False

    def in_version_0(self) -> tuple[list[bytes], bool]:
        """The same, line by line: the client's options decide how much it is told."""
        options = self.asked.options
        detailed, several = "multi_ack_detailed" in options, "multi_ack" in options or "multi_ack_detailed" in options
        word = " common" if detailed else " continue" if several else ""
        haves = [oid_of(packet[5:]) for packet in self.asked.negotiation if packet and packet.startswith(b"have ")]
        known = set(self.add(haves))
        self.common.clear()
        said: list[bytes] = []
        last, ready, only_known = "", False, True
        for packet in self.asked.negotiation:
            if packet is None:
                if detailed and only_known and self.is_enough():
                    ready = True
                    said.append(line(f"ACK {last} ready"))
                if several or not self.common:
                    said.append(line("NAK"))
                if ready and "no-done" in options:
                    return [*said, line(f"ACK {last}")], True
                only_known = True
            elif packet == b"done":
                if not self.common:
                    said.append(line("NAK"))
                elif several:
                    said.append(line(f"ACK {last}"))
                return said, True
            elif not packet.startswith(b"have "):
                raise InvalidRequest(f"git-upload-pack expected what the client has, and got {packet[:60]!r}.")
            elif (oid := oid_of(packet[5:])) in known:
                if several or not self.common:
                    said.append(line(f"ACK {oid.hex()}{word}"))
                last = oid.hex()
                self.common[oid] = None
            else:
                only_known = False
                # it has what is not here: it need not look for more of what is
                if detailed and self.is_enough():
                    ready = True
                    said.append(line(f"ACK {oid.hex()} ready"))
        return said, False
