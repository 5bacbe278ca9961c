"""What a client sends to `git-receive-pack`: which refs it wants moved, then a pack."""

import os
import re
from dataclasses import dataclass, field

from madang.server.errors import InvalidRequest
from madang.server.git.protocol.packet_lines import DATA, FLUSH, LONGEST, PROGRESS, Packet, line, next_packet, side_band

# refs of one push
MOST_COMMANDS = 10_000
_COMMAND = re.compile(rb"([0-9a-f]{40}) ([0-9a-f]{40}) ([^\0]{1,1000})")
_NOTHING = "0" * 40


@dataclass(frozen=True)
class Command:
    """Move a ref from `old` to `new`; None means that it is not there."""

    name: str
    old: str | None
    new: str | None


@dataclass
class Push:
    """The head of a request, and where in the file its pack begins."""

    commands: list[Command] = field(default_factory=list)
    options: set[str] = field(default_factory=set)
    pack_start: int = 0

    @property
    def has_pack(self) -> bool:
        return any(command.new is not None for command in self.commands)


class _Head:
    """Packets from the beginning of a file."""

    def __init__(self, file: int) -> None:
        self._file, self.position = file, 0

    def next(self) -> Packet:
        packet, length = next_packet(os.pread(self._file, LONGEST, self.position), 0)
        self.position += length
        return packet


def read_push(file: int) -> Push:
    """The commands of a push. Raises InvalidRequest."""
    head, push = _Head(file), Push()
    first = True
    while (packet := head.next()) is not None:
        text, _, options = packet.partition(b"\0")
        if first:
            push.options = set(options.decode("utf-8", "replace").split())
            first = False
        if text.startswith(b"shallow "):
            continue  # what the client's history lacks is here, or the push is found to be incomplete
        if len(push.commands) == MOST_COMMANDS:
            raise InvalidRequest(f"more than {MOST_COMMANDS:,} refs are too many for one push.")
        push.commands.append(_command(text))
    if "push-options" in push.options:
        while head.next() is not None:
            pass
    names = [command.name for command in push.commands]
    if len(set(names)) != len(names):
        raise InvalidRequest("a ref is named twice in this push.")
    push.pack_start = head.position
    return push


def _command(text: bytes) -> Command:
    found = _COMMAND.fullmatch(text)
    if found is None:
        raise InvalidRequest(f"git-receive-pack does not know {text[:60]!r}.")
    old, new, name = found.groups()
    try:
        return Command(name.decode(), *(None if oid == _NOTHING else oid for oid in (old.decode(), new.decode())))
    except UnicodeDecodeError:
        raise InvalidRequest(f"the name {name[:100]!r} of a ref is no UTF-8.") from None


def report(push: Push, unpacked: str, statuses: dict[str, str | None], messages: list[str]) -> bytes:
    """The answer: whether the pack was taken, and for each ref that it moved (None) or why not."""
    if not {"report-status", "report-status-v2"} & push.options:
        return b""
    lines = [line(f"unpack {_one_line(unpacked)}")]
    for command in push.commands:
        reason = statuses.get(command.name)
        text = f"ok {command.name}" if reason is None else f"ng {command.name} {_one_line(reason)}"
        lines.append(line(text))
    said = b"".join([*lines, FLUSH])
    if "side-band-64k" not in push.options:
        return said
    spoken = b"".join(piece for text in messages for piece in side_band(PROGRESS, f"{text}\n".encode()))
    return spoken + b"".join(side_band(DATA, said)) + FLUSH


def _one_line(text: str) -> str:
    return " ".join(text.split())[:2000]
