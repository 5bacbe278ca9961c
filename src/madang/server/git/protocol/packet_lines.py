"""The lines git talks in: four hex digits of length, then the text (gitprotocol-common)."""

from collections.abc import Iterator

from madang.server.errors import InvalidRequest

FLUSH, DELIMITER, RESPONSE_END = b"0000", b"0001", b"0002"
LONGEST = 65520  # the length included
DATA, PROGRESS, FAILURE = b"\x01", b"\x02", b"\x03"

# a line, or None for a flush, or the word for a delimiter
Packet = bytes | None
DELIMITER_PACKET = b"\0delimiter"


def line(text: str | bytes) -> bytes:
    """One packet; text gets the line's end that git puts there."""
    content = text if isinstance(text, bytes) else text.encode("utf-8", "replace") + b"\n"
    if len(content) + 4 > LONGEST:
        raise ValueError(f"a packet has at most {LONGEST - 4} bytes, this one {len(content)}")
    return b"%04x" % (len(content) + 4) + content


def side_band(channel: bytes, content: bytes, longest: int = LONGEST) -> Iterator[bytes]:
    """Content on a channel, in as many packets as it takes (`longest`: 1000 for clients from before 2007)."""
    size = longest - 5
    for start in range(0, len(content), size):
        piece = content[start : start + size]
        yield b"%04x" % (len(piece) + 5) + channel + piece


def next_packet(body: bytes, position: int) -> tuple[Packet, int]:
    """The packet that begins at `position`, and where the one after it begins. Raises InvalidRequest."""
    digits = body[position : position + 4]
    try:
        length = int(digits, 16)
    except ValueError:
        length = 3
    # int() takes blanks and signs too
    if len(digits) != 4 or not digits.isalnum() or length == 3 or length > LONGEST:
        raise InvalidRequest(f"byte {position} of the request begins no packet of git's protocol: {digits!r}.")
    if length == 0:
        return None, position + 4
    if length <= 2:
        return DELIMITER_PACKET, position + 4
    if position + length > len(body):
        raise InvalidRequest("the request ends in the middle of a packet of git's protocol.")
    return body[position + 4 : position + length].removesuffix(b"\n"), position + length


def packets(body: bytes) -> list[Packet]:
    """All packets of a body. Raises InvalidRequest."""
    found: list[Packet] = []
    position = 0
    while position < len(body):
        packet, position = next_packet(body, position)
        found.append(packet)
    return found
