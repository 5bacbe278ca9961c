"""What the hub says first: which refs a repository has, and what it can do."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from madang import __version__
from madang.server.git.protocol.packet_lines import FLUSH, line
from madang.server.git.protocol.raw_objects import RawObjects
from madang.server.git.protocol.reachability import end_of, peel
from madang.server.git.refs import MAIN, list_refs

UPLOAD, RECEIVE = "git-upload-pack", "git-receive-pack"
AGENT = f"agent=madang/{__version__}"
# more of them select nothing: comparing each ref with each would take longer than sending all
MOST_PREFIXES = 1000
NO_OBJECT = "0" * 40

UPLOAD_ABILITIES = (
    "multi_ack multi_ack_detailed no-done side-band side-band-64k no-progress include-tag shallow deepen-since"
    " deepen-not deepen-relative filter allow-tip-sha1-in-want allow-reachable-sha1-in-want object-format=sha1"
)
RECEIVE_ABILITIES = (
    "report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta push-options object-format=sha1"
)


@dataclass(frozen=True)
class Ref:
    """One ref; `peeled` is what an annotated tag names in the end."""

    name: str
    target: str
    peeled: str | None = None


def refs_of(connection: Connection, repository_id: int) -> list[Ref]:
    """All refs; HEAD, which stands for main, is the first."""
    found = list_refs(connection, repository_id)
    targets, _ = peel(RawObjects(connection, repository_id), {bytes.fromhex(target) for _, target in found})
    refs = []
    for name, target in found:
        oid = bytes.fromhex(target)
        refs.append(Ref(name, target, end_of(oid, targets).hex() if oid in targets else None))
    head = [Ref("HEAD", ref.target) for ref in refs if ref.name == MAIN]
    return head + refs


def advertise(connection: Connection, repository_id: int, service: str, version: int) -> bytes:
    """The answer to `GET …/info/refs?service=…`."""
    if version == 2 and service == UPLOAD:
        return b"".join([*_version_2(), FLUSH])
    refs = refs_of(connection, repository_id)
    abilities = RECEIVE_ABILITIES
    if service == UPLOAD:
        abilities = UPLOAD_ABILITIES
        if refs and refs[0].name == "HEAD":
            abilities += f" symref=HEAD:{MAIN}"
    else:
        refs = [ref for ref in refs if ref.name != "HEAD"]
    pieces = [line(f"# service={service}"), FLUSH]
    if version == 1:
        pieces.append(line("version 1"))
    lines = list(_lines(refs, peeled=service == UPLOAD)) or [f"{NO_OBJECT} capabilities^{{}}"]
    pieces.append(line(f"{lines[0]}\0{abilities} {AGENT}"))
    return b"".join([*pieces, *(line(text) for text in lines[1:]), FLUSH])


def list_command(connection: Connection, repository_id: int, arguments: list[bytes]) -> bytes:
    """The answer to protocol 2's `ls-refs`."""
    prefixes = tuple(word[11:].decode("utf-8", "replace") for word in arguments if word.startswith(b"ref-prefix "))
    if len(prefixes) > MOST_PREFIXES:
        prefixes = ()
    answer = []
    refs = refs_of(connection, repository_id)
    for ref in refs:
        if prefixes and not ref.name.startswith(prefixes):
            continue
        text = f"{ref.target} {ref.name}"
        if ref.name == "HEAD" and b"symrefs" in arguments:
            text += f" symref-target:{MAIN}"
        if ref.peeled is not None and b"peel" in arguments:
            text += f" peeled:{ref.peeled}"
        answer.append(line(text))
    has_head = bool(refs) and refs[0].name == "HEAD"
    if not has_head and b"unborn" in arguments and (not prefixes or "HEAD".startswith(prefixes)):
        answer.insert(0, line(f"unborn HEAD symref-target:{MAIN}"))
    return b"".join([*answer, FLUSH])


def _version_2() -> Iterator[bytes]:
    for text in ("version 2", AGENT, "ls-refs=unborn", "fetch=shallow filter", "object-format=sha1"):
        yield line(text)


def _lines(refs: list[Ref], *, peeled: bool) -> Iterator[str]:
    for ref in refs:
        yield f"{ref.target} {ref.name}"
        if peeled and ref.peeled is not None:
            yield f"{ref.peeled} {ref.name}^{{}}"
