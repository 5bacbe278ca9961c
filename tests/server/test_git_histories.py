"""Tangled histories: the hub and git's own server send the same, whatever is asked for in whatever order."""

import random
import shutil
from pathlib import Path

import httpx2
import pytest

from madang.testing.hub import HubForTests
from tests.server.git_commands import Git

pytestmark = [
    pytest.mark.loopback,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
]

START = 1_600_000_000


def tangled(chance: random.Random, commits: int = 60) -> bytes:
    """A history for `git fast-import`: merges, several roots, clocks that are wrong, tags on the way."""
    lines, heads = [], {"main": 0}
    for mark in range(1, commits + 1):
        branch = chance.choice([*heads, f"branch{mark}"] if chance.random() < 0.3 else [*heads])
        moment = START + mark * 1000 + (chance.randrange(-20_000, 20_000) if chance.random() < 0.2 else 0)
        lines += [f"commit refs/heads/{branch}", f"mark :{mark}", f"committer A <a@b> {moment} +0000", "data 1", "x"]
        known = [other for other in heads.values() if other]
        parent = heads.get(branch) or (chance.choice(known) if known and chance.random() < 0.9 else 0)
        if parent:
            lines.append(f"from :{parent}")
        others = {other for other in known if other != parent}
        if parent and others and chance.random() < 0.4:
            lines.append(f"merge :{chance.choice(sorted(others))}")
        content = str(chance.randrange(40))
        for path in (f"folder{chance.randrange(4)}/file{chance.randrange(5)}", f"top{chance.randrange(3)}"):
            lines += [f"M 644 inline {path}", f"data {len(content)}", content]
        heads[branch] = mark
        if chance.random() < 0.15:
            lines += [f"tag tag{mark}", f"from :{mark}", f"tagger A <a@b> {moment} +0000", "data 1", "t"]
    return "\n".join([*lines, ""]).encode()


def state(git: Git, at: str) -> tuple[list[str], list[str], list[str]]:
    """Refs, the ends of a shallow history, and all commits."""
    shallow = git.home / at / ".git/shallow"
    ends = sorted(shallow.read_text().split()) if shallow.exists() else []
    return git("show-ref", at=at).splitlines(), ends, sorted(git("rev-list", "--all", at=at).split())


def fetches(git: Git, at: str, *arguments: str) -> bool:
    try:
        git("fetch", "--quiet", "--no-tags", *arguments, at=at)
    except AssertionError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_every_fetch_gives_what_gits_own_server_gives(served: HubForTests, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    home = tmp_path / "home"
    home.mkdir()
    git = Git(home)
    token = served.user("alice")
    httpx2.post(
        f"{served.address}/api/repos/create", json={"name": "x"}, headers={"Authorization": f"Bearer {token}"}
    ).raise_for_status()
    address = f"{served.address.replace('://', f'://x:{token}@')}/alice/x"
    git("init", "--quiet", "--bare", "--initial-branch=main", "own")
    git("fast-import", "--quiet", at="own", feed=tangled(chance))
    git("config", "uploadpack.allowFilter", "true", at="own")
    git("push", "--force", "--all", address, at="own")
    git("push", "--tags", address, at="own")
    branches = git("for-each-ref", "--format=%(refname:short)", "refs/heads", at="own").split()
    tags = git("tag", at="own").split()
    git("config", "--global", "protocol.version", chance.choice("012"))
    git("config", "--global", "gc.auto", "0")
    places = {"ours": address, "theirs": f"file://{home}/own"}
    first = [f"--branch={chance.choice(branches)}", *chance.choice([[], ["--depth=2"], ["--single-branch"]])]
    for at, url in places.items():
        git("clone", "--quiet", *first, url, at)
    for _ in range(8):
        steps = [
            [f"--depth={chance.randrange(1, 9)}"],
            [f"--shallow-since={START + chance.randrange(60_000)}"],
            [f"--shallow-exclude={chance.choice(tags or branches)}"],
            [],
            [f"refs/heads/{chance.choice(branches)}:refs/heads/{chance.choice('abc')}", "--force", "--update-head-ok"],
        ]
        step = chance.choice(steps)
        if not step or not step[0].startswith("--"):
            step = ["origin", *step]
        answers = [fetches(git, at, *step) for at in places]
        assert answers[0] == answers[1], step
        assert state(git, "ours") == state(git, "theirs"), step
        git("fsck", "--full", at="ours")
    if state(git, "ours")[1]:
        # git's own server tells clients of ends that other ends hide, after which they fail at this; so does the hub
        answers = [fetches(git, at, "--unshallow") for at in places]
        assert answers[0] == answers[1]
        if not answers[0]:
            return
    for at in places:
        git("fetch", "--quiet", "--tags", "origin", "refs/heads/*:refs/remotes/all/*", at=at)
    assert state(git, "ours") == state(git, "theirs")
    git("fsck", "--full", "--strict", at="ours")
