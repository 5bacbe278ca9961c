"""What a client asks of `git-upload-pack`, in the two spellings there are: protocol 0 (and 1), and protocol 2."""

import re
from dataclasses import dataclass, field

from madang.server.errors import InvalidRequest
from madang.server.git.protocol.filters import Filter, parse_filter
from madang.server.git.protocol.packet_lines import DELIMITER_PACKET, Packet

_OID = re.compile(rb"[0-9a-f]{40}")
EVERYTHING = 0x7FFFFFFF  # the depth that `--unshallow` asks for


@dataclass
class Fetch:
    """One request for a pack, or for what is common to both sides."""

    wants: list[bytes] = field(default_factory=list)
    haves: list[bytes] = field(default_factory=list)
    done: bool = False
    # the ends of the client's history, and where they shall be
    shallow: set[bytes] = field(default_factory=set)
    depth: int | None = None
    relative: bool = False
    since: int | None = None
    without: list[str] = field(default_factory=list)
    filter: Filter = field(default_factory=Filter)
    options: set[str] = field(default_factory=set)
    # protocol 0: what came after the wants, in its order
    negotiation: list[Packet] = field(default_factory=list)

    @property
    def deepens(self) -> bool:
        return self.depth is not None or self.since is not None or bool(self.without)

    def take(self, text: bytes) -> bool:
        """Note what a line asks for; False when it is of another kind. Raises InvalidRequest."""
        word, _, value = text.partition(b" ")
        if word == b"want":
            self.wants.append(oid_of(value))
        elif word == b"shallow":
            self.shallow.add(oid_of(value))
        elif word == b"deepen":
            self.depth = _number(value)
            if self.depth == 0:
                self.depth = None
        elif word == b"deepen-since":
            self.since = _number(value)
        elif word == b"deepen-not":
            self.without.append(value.decode("utf-8", "replace"))
        elif word == b"deepen-relative":
            self.relative = True
        elif word == b"filter":
            self.filter = parse_filter(value.decode("utf-8", "replace"))
        else:
            return False
        return True


def oid_of(text: bytes) -> bytes:
    """An id of 40 hex digits as its 20 bytes. Raises InvalidRequest."""
    if not _OID.fullmatch(text):
        raise InvalidRequest(f"{text[:60]!r} is no id of an object: 40 hex digits are.")
    return bytes.fromhex(text.decode())


def read_fetch(packets: list[Packet]) -> Fetch:
    """A request of protocol 0: wants, the client's options on the first; a flush; haves. Raises InvalidRequest."""
    found = Fetch()
    for place, packet in enumerate(packets):
        if packet is None:
            found.negotiation = packets[place + 1 :]
            break
        text = packet
        if place == 0 and text.startswith(b"want "):
            text, options = packet[:45], packet[45:]
            found.options = set(options.decode("utf-8", "replace").split())
        if not found.take(text):
            raise InvalidRequest(f"git-upload-pack does not know {packet[:60]!r}.")
    found.relative = found.relative or "deepen-relative" in found.options
    return found


def read_fetch_arguments(arguments: list[bytes]) -> Fetch:
    """The arguments of protocol 2's `fetch`. Raises InvalidRequest."""
    found = Fetch()
    for argument in arguments:
        if argument.startswith(b"have "):
            found.haves.append(oid_of(argument[5:]))
        elif argument == b"done":
            found.done = True
        elif argument in (b"thin-pack", b"no-progress", b"include-tag", b"ofs-delta"):
            found.options.add(argument.decode())
        elif not found.take(argument):
            raise InvalidRequest(f"the command fetch does not know {argument[:60]!r}.")
    return found


def read_command(packets: list[Packet]) -> tuple[str, list[bytes]]:
    """Name and arguments of a command of protocol 2; ("", []) for an empty request. Raises InvalidRequest."""
    lines = packets[: packets.index(None)] if None in packets else packets
    if not lines:
        return "", []
    place = lines.index(DELIMITER_PACKET) if DELIMITER_PACKET in lines else len(lines)
    keys = dict((line or b"").partition(b"=")[::2] for line in lines[:place])
    if keys.get(b"object-format", b"sha1") != b"sha1":
        raise InvalidRequest("this hub names objects by SHA-1 only.")
    name = keys.get(b"command", b"").decode("utf-8", "replace")
    if not name:
        raise InvalidRequest("a request of protocol 2 begins with its command.")
    return name, [line for line in lines[place + 1 :] if line]


def _number(text: bytes) -> int:
    if not re.fullmatch(rb"\d{1,18}", text):
        raise InvalidRequest(f"{text[:40]!r} is no number.")
    return int(text)
