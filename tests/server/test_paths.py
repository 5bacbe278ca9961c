"""Paths of files, and what `.gitattributes` and `.gitignore` say of them: as git does, at bounded cost."""

import shutil
import subprocess
import time
import unicodedata
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from madang.server.errors import InvalidRequest
from madang.server.repositories.attributes import Attributes, Ignored, glob, large_line
from madang.server.repositories.paths import IllegalPath, check_path

BAD = ["", "/", "/a", "a//b", "a/", ".", "..", "./a", "a/.", "a/./b", "a/../b", "../a", ".git", ".git/a", "a/.git/b"]
DISGUISED = [
    ".GIT/a",
    "a/.Git",
    ".git. ",
    ".git .",
    "git~1",
    "GIT~1/a",
    ".git::$INDEX_ALLOCATION",
    ".g\u200cit",
    "..\\a",
]
HOSTILE = ["a\0b", "a\nb", "a\x7f", "\ud800", "x" * 256, "한" * 86, "a/" * 100 + "b", "abc/" * 1100 + "d"]
GOOD = [
    "a",
    "a/b",
    ".gitignore",
    ".gitattributes",
    "git",
    ".github/a",
    "a.git",
    "a..b",
    "...",
    "한글 파일 (1).txt",
    "a\\b",
]


@pytest.mark.parametrize("path", [*BAD, *DISGUISED, *HOSTILE])
def test_these_are_no_paths(path: str) -> None:
    with pytest.raises(IllegalPath) as refused:
        check_path(path)
    assert refused.value.status == 422
    str(refused.value).encode()


@pytest.mark.parametrize("path", [*GOOD, "folder/..\\..\\..\\file", "x" * 255])
def test_these_are_paths(path: str) -> None:
    assert check_path(path) == path


@given(st.text(alphabet=st.one_of(st.sampled_from("./\\.git ~1:\0\n"), st.characters()), max_size=40))
@example("a/\u202e.git")
def test_whatever_passes_stays_in_the_repository(text: str) -> None:
    try:
        path = check_path(text)
    except IllegalPath:
        return
    where = PurePosixPath("/repository") / path
    assert where.is_relative_to("/repository")
    assert str(where) == "/repository/" + path
    assert not {"", ".", "..", ".git"} & {part.lower() for part in path.split("/")}
    assert path.isprintable() or not any(unicodedata.category(sign) == "Cc" and sign < "\x80" for sign in path)
    assert check_path(path) == path


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["C"], exclude_characters="/"), min_size=1, max_size=20), min_size=1
    )
)
def test_ordinary_names_pass(names: list[str]) -> None:
    ordinary = ["x" + name for name in names][:50]
    assert check_path("/".join(ordinary)) == unicodedata.normalize("NFC", "/".join(ordinary))


# --------------------------------------------------------------------------------------------------- patterns
ATTRIBUTES = """
# a comment
*.bin filter=lfs diff=lfs merge=lfs -text
saved_model/**/* filter=lfs diff=lfs
*tfevents* filter=lfs
/top.dat filter=lfs
deep/only.dat filter=lfs
"with space/*.dat" filter=lfs
plain.bin -filter
*.md text
models/[0-9]*.x filter=lfs
models/[!a-c]?.y filter=lfs
"""


@pytest.mark.parametrize(
    ("path", "large"),
    [
        ("a.bin", True),
        ("a/b/c.bin", True),
        ("a.bin/b", False),
        ("a.BIN", False),
        ("saved_model/a", True),
        ("saved_model/a/b", True),
        ("x/saved_model/a", False),
        ("logs/events.out.tfevents.1", True),
        ("top.dat", True),
        ("a/top.dat", False),
        ("deep/only.dat", True),
        ("a/deep/only.dat", False),
        ("with space/x.dat", True),
        ("plain.bin", False),
        ("a/plain.bin", False),
        ("a.md", False),
        ("models/7b.x", True),
        ("models/b.x", False),
        ("models/d1.y", True),
        ("models/a1.y", False),
    ],
)
def test_gitattributes_says_what_is_large(path: str, large: bool) -> None:
    assert Attributes(ATTRIBUTES).is_large(path) is large


IGNORE = "*.log\n!keep.log\nbuild/\n/only-here\ndocs/*.tmp\n**/cache/**\nspaced\\ \n\\#hash\nfolder\n"


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("a.log", True),
        ("a/b.log", True),
        ("keep.log", False),
        ("build", False),
        ("build/x", True),
        ("a/build/x/y", True),
        ("only-here", True),
        ("a/only-here", False),
        ("docs/a.tmp", True),
        ("docs/a/b.tmp", False),
        ("a/cache/b", True),
        ("cache", False),
        ("spaced ", True),
        ("#hash", True),
        ("folder/keep.log", True),
        ("other.txt", False),
    ],
)
def test_gitignore_says_what_is_left_out(path: str, ignored: bool) -> None:
    assert (path in Ignored(IGNORE)) is ignored


PIECES = st.sampled_from(
    ["a", "b", "*", "?", "**", "/", "[ab]", "[!a]", "[a-c]", ".", "\\*", "\\a", "c", "[[:alpha:]]", " "]
)
PATTERN = st.lists(PIECES, min_size=1, max_size=6).map("".join)
NAME = st.text("abc*. ", min_size=1, max_size=4).filter(lambda name: name.strip(". ") and name == name.strip())
PATHS = st.lists(st.lists(NAME, min_size=1, max_size=3).map("/".join), min_size=1, max_size=8, unique=True)
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return folder


def asked_of_git(folder: Path, *command: str, paths: list[str]) -> list[str]:
    said = subprocess.run(
        ["git", "-C", str(folder), *command, "-z", "--stdin"],
        input="\0".join(paths) + "\0", capture_output=True, text=True,
    ).stdout  # fmt: skip
    return said.split("\0")[:-1]


@needs_git
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(patterns=st.lists(PATTERN.filter(lambda text: text[0] not in " !#"), min_size=1, max_size=4), paths=PATHS)
@example(patterns=["/**"], paths=["a", "a/a"])
def test_attributes_are_what_git_says(repository: Path, patterns: list[str], paths: list[str]) -> None:
    patterns = [pattern.replace(" ", "") or "x" for pattern in patterns]
    text = "".join(f"{pattern} filter=lfs\n" for pattern in patterns)
    (repository / ".gitattributes").write_text(text, encoding="utf-8")
    said = asked_of_git(repository, "check-attr", "filter", paths=paths)
    by_git = {path: value == "lfs" for path, _, value in zip(*[iter(said)] * 3, strict=True)}
    attributes = Attributes(text)
    assert {path: attributes.is_large(path) for path in paths} == by_git


@needs_git
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    patterns=st.lists(
        st.tuples(st.sampled_from(["", "!"]), PATTERN, st.sampled_from(["", "/"])), min_size=1, max_size=4
    ),
    paths=PATHS,
)
def test_ignored_is_what_git_says(repository: Path, patterns: list[tuple[str, str, str]], paths: list[str]) -> None:
    text = "".join("".join(pattern) + "\n" for pattern in patterns)
    (repository / ".gitignore").write_text(text, encoding="utf-8")
    by_git = set(asked_of_git(repository, "check-ignore", "--no-index", paths=paths))
    ignored = Ignored(text)
    assert {path for path in paths if path in ignored} == by_git


@needs_git
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.lists(st.text("ab *?[]\\\"'#!.한", min_size=1, max_size=6), min_size=1, max_size=3).map("/".join))
@example("#a")
@example("!/?")
@example("!a b/c")
@example("[attr]/a")
@example('"a b"')
@example("a\\")
def test_the_line_of_a_large_file_names_that_file_alone(repository: Path, path: str) -> None:
    try:
        check_path(path)
    except IllegalPath:
        return
    (repository / ".gitattributes").write_text(large_line(path), encoding="utf-8")
    others = [path + "x", "x" + path, "x/" + path]
    said = asked_of_git(repository, "check-attr", "filter", paths=[path, *others])
    assert said[2::3] == ["lfs", *["unspecified"] * 3]
    assert Attributes(large_line(path)).is_large(path)
    assert not any(Attributes(large_line(path)).is_large(other) for other in others)


def test_hostile_patterns_cost_little() -> None:
    pattern = glob("*a" * 200 + "b")
    deep = glob("**/a/" * 40 + "b")
    assert pattern is not None
    assert deep is not None
    start = time.process_time()
    assert not pattern.fits(["a" * 255])
    assert not deep.fits(["a"] * 100)
    assert time.process_time() - start < 0.5
    with pytest.raises(InvalidRequest, match="more than 1000 patterns"):
        Attributes("".join(f"*.{number} filter=lfs\n" for number in range(1001)))


def test_plain_paths_may_be_many() -> None:
    attributes = Attributes("".join(f"data/{number}.json filter=lfs\n" for number in range(20_000)))
    assert attributes.is_large("data/19999.json")
    assert not attributes.is_large("data/20000.json")
