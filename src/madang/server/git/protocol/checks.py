"""What objects must be like before the hub keeps them: valid, complete, and nothing that harms who checks them out.

The objects of a repository are always complete: whatever one names is there too. So it is enough to look at the new
ones, and whether what they name is new as well or there already.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from madang.server.errors import InvalidRequest, Refusal
from madang.server.git.objects import BLOB, COMMIT, KIND_NAMES, TAG, TREE, parse_commit
from madang.server.git.pointers import Pointer, read_pointer
from madang.server.git.protocol.pack_file import PackRefused
from madang.server.git.protocol.raw_objects import RawObjects, parse_node
from madang.server.repositories.paths import DEEPEST, check_path

# of one commit, unfolded: a few trees that name each other many times stand for more files than anybody can list
MOST_FILES = 1_000_000

_ENTRY = re.compile(rb"(\d{1,6}) ([^\0]+)\0(.{20})", re.DOTALL)
# possessive: bytes that are no tree are found out in one pass
_ENTRIES = re.compile(rb"(?:\d{1,6}+ [^\0]++\0.{20})*+", re.DOTALL)
_HEAD = re.compile(
    rb"tree ([0-9a-f]{40})\n((?:parent [0-9a-f]{40}\n)*)author [^\n]+\ncommitter [^\n]+\n(?:[^\n]+\n)*(?:\n|\Z)"
)
_TAG = re.compile(rb"object ([0-9a-f]{40})\ntype (commit|tree|blob|tag)\ntag [^\n]+\n(?:tagger [^\n]*\n)?")
_FOLDER, _LINK, _MODULE = b"40000", b"120000", b"160000"
_MODES = {_FOLDER, _LINK, b"100644", b"100755"}
_KINDS = {name.encode(): kind for kind, name in KIND_NAMES.items()}
# characters that Apple's file systems pass over, and what Windows passes over at the end of a name
_UNSEEN = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]|[ .]+$|:.*$")


@dataclass
class Inspection:
    """Looks at each new object, and gathers what they name."""

    # what new objects name, by the kind it must have
    named: dict[int, set[bytes]] = field(default_factory=lambda: {kind: set() for kind in KIND_NAMES})
    pointers: dict[bytes, Pointer] = field(default_factory=dict)
    # of each new tree: how many files it has itself, and its folders, each as often as it is there
    trees: dict[bytes, tuple[int, list[bytes]]] = field(default_factory=dict)
    _good_names: set[bytes] = field(default_factory=set)

    def look(self, oid: bytes, kind: int, content: bytes) -> None:
        """Raises PackRefused for an object the hub does not keep."""
        if kind == TREE:
            self._tree(oid, content)
        elif kind == COMMIT:
            self._commit(oid, content)
        elif kind == TAG:
            self._tag(oid, content)
        else:
            pointer = read_pointer(content)
            if pointer is not None:
                self.pointers[oid] = pointer

    def check_connected(self, raw: RawObjects, new: dict[bytes, int]) -> None:
        """Raises PackRefused when something that is named is neither among the new objects (id -> kind) nor here."""
        for kind, oids in self.named.items():
            wrong = next((oid for oid in oids if new.get(oid, kind) != kind), None)
            if wrong is not None:
                raise PackRefused(f"{wrong.hex()} is a {KIND_NAMES[new[wrong]]} and is named as a {KIND_NAMES[kind]}.")
            outside = oids - new.keys()
            there = raw.sizes(outside)
            missing = [oid for oid in outside if oid not in there or there[oid].kind != kind]
            if missing:
                raise PackRefused(
                    f"{len(missing)} objects that the push needs were neither sent nor are here:"
                    f" {KIND_NAMES[kind]} {missing[0].hex()}. If your clone is shallow or broken, run"
                    " `git fetch --unshallow` or `git fsck`."
                )

    def check_extent(self, raw: RawObjects) -> None:
        """Raises PackRefused for trees that unfold to too many files or too many folders within each other."""
        known = dict(self.trees)
        level = {oid for _, folders in known.values() for oid in folders} - known.keys()
        while level:
            for oid, kind, content in raw.contents(sorted(level)):
                if kind == TREE:
                    known[oid] = _extent(_ENTRY.findall(content))
            level = {oid for tree in level if tree in known for oid in known[tree][1]} - known.keys()
        measured: dict[bytes, tuple[int, int]] = {}
        for tree in self.trees:
            _measure(tree, known, measured)

    def _tree(self, oid: bytes, content: bytes) -> None:
        # by whole lists, not entry by entry: long histories of large folders have millions of entries
        if not _ENTRIES.fullmatch(content):
            raise PackRefused(f"the tree {oid.hex()} is damaged.")
        entries = _ENTRY.findall(content)
        names = [name for _, name, _ in entries]
        if not {mode for mode, _, _ in entries} <= _MODES:
            mode, name = next((mode, name) for mode, name, _ in entries if mode not in _MODES)
            raise PackRefused(_about_mode(oid, mode, name))
        unseen = set(names) - self._good_names
        for name in unseen:
            _check_name(oid, name)
        self._good_names |= unseen
        keys = [name + b"/" if mode == _FOLDER else name for mode, name, _ in entries]
        # a file and a folder of one name can be in order, with others between them
        if keys != sorted(keys) or len(set(names)) != len(names):
            raise PackRefused(f"the names in the tree {oid.hex()} are not in order, or one is there twice.")
        if any(mode == _LINK and _folded(name) == ".gitmodules" for mode, name, _ in entries):
            raise PackRefused(f"the tree {oid.hex()} has a symbolic link for .gitmodules, which git does not follow.")
        self.trees[oid] = extent = _extent(entries)
        self.named[TREE].update(extent[1])
        self.named[BLOB].update(target for mode, _, target in entries if mode != _FOLDER)

    def _commit(self, oid: bytes, content: bytes) -> None:
        found = _HEAD.match(content)
        try:
            if found is None or parse_node(content) is None:
                raise InvalidRequest("its lines are not those of a commit")
            commit = parse_commit(content)
            # every page and answer shows them
            assert commit.author.moment
            assert commit.committer.moment
        except (Refusal, ValueError, OverflowError) as error:
            raise PackRefused(f"the commit {oid.hex()} cannot be read: {error}") from error
        assert found is not None
        self._name(found.group(1), TREE)
        for line in found.group(2).splitlines():
            self._name(line[7:], COMMIT)

    def _tag(self, oid: bytes, content: bytes) -> None:
        found = _TAG.match(content)
        if found is None:
            raise PackRefused(f"the tag {oid.hex()} cannot be read.")
        self._name(found.group(1), _KINDS[found.group(2)])

    def _name(self, hex_oid: bytes, kind: int) -> None:
        self.named[kind].add(bytes.fromhex(hex_oid.decode()))


def paths_in(trees: Iterable[tuple[bytes, bytes]], wanted: list[bytes]) -> dict[bytes, str]:
    """A path that leads to each of these objects, from trees (id and content); their ids where there is none."""
    parents: dict[bytes, tuple[bytes, str]] = {}
    for tree, content in trees:
        for _, name, oid in _ENTRY.findall(content):
            parents.setdefault(oid, (tree, name.decode("utf-8", "replace")))
    paths = {}
    for start in wanted:
        oid = start
        names: list[str] = []
        while oid in parents and len(names) <= DEEPEST:
            oid, name = parents[oid]
            names.append(name)
        paths[start] = "/".join(reversed(names)) or start.hex()
    return paths


def _extent(entries: list[tuple[bytes, bytes, bytes]]) -> tuple[int, list[bytes]]:
    folders = [oid for mode, _, oid in entries if mode == _FOLDER]
    return len(entries) - len(folders), folders


def _measure(root: bytes, known: dict[bytes, tuple[int, list[bytes]]], measured: dict[bytes, tuple[int, int]]) -> None:
    """Files below each tree and the depth of its folders. Each tree is counted once, however often it is named."""
    waiting = [root]
    while waiting:
        tree = waiting[-1]
        files, folders = known.get(tree, (0, []))
        unknown = [oid for oid in folders if oid not in measured]
        if tree in measured:
            waiting.pop()
            continue
        if unknown:
            waiting += dict.fromkeys(unknown)
            continue
        waiting.pop()
        depth = 1 + max((measured[oid][1] for oid in folders), default=0)
        total = files + len(folders) + sum(measured[oid][0] for oid in folders)
        if depth > DEEPEST:
            raise PackRefused(f"the tree {tree.hex()} has folders within folders, more than {DEEPEST} deep.")
        if total > MOST_FILES:
            raise PackRefused(f"the tree {tree.hex()} stands for more than {MOST_FILES:,} files.")
        measured[tree] = total, depth


def _check_name(tree: bytes, name: bytes) -> None:
    text = name.decode("utf-8", "surrogateescape")
    try:
        if "/" in text:
            raise InvalidRequest(f"{name!r} has a slash in it")
        # as it is spelled, composed or not: its id depends on that, and old histories have both
        check_path(text)
    except Refusal as error:
        raise PackRefused(f"the tree {tree.hex()} has a name that cannot be: {error}") from error


def _about_mode(tree: bytes, mode: bytes, name: bytes) -> str:
    shown = name[:200].decode("utf-8", "replace")
    if mode == _MODULE:
        return (
            f"{shown!r} is a submodule, and the hub keeps none: its files would be missing in every download. Take it"
            f" out with `git rm --cached` and commit the files themselves."
        )
    return f"the tree {tree.hex()} gives {shown!r} the mode {mode[:20]!r}, which git does not have."


def _folded(name: bytes) -> str:
    text = name.decode("utf-8", "replace").casefold()
    while (shorter := _UNSEEN.sub("", text)) != text:
        text = shorter
    return ".gitmodules" if re.fullmatch(r"gitmod~\d|gi7eba~\d", text) else text
