"""Files stay small, and are named after what they hold."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = [path for folder in ("src", "tests", "examples", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]
SOURCE = [path for path in CODE if (ROOT / "src") in path.parents]
VAGUE = {"utils", "util", "helpers", "helper", "misc", "common", "manager", "handler", "base"}


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_file_has_more_than_600_lines() -> None:
    lengths = {short(path): len(path.read_text(encoding="utf-8").splitlines()) for path in CODE}
    assert {name: length for name, length in lengths.items() if length > 600} == {}


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [short(path) for path in SOURCE if path.stem in VAGUE] == []


def test_every_source_file_says_what_it_is_for() -> None:
    assert [short(path) for path in SOURCE if not path.read_text(encoding="utf-8").lstrip().startswith('"""')] == []


def test_every_folder_of_the_package_is_a_package() -> None:
    folders = {path.parent for path in SOURCE}
    assert [short(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []
