"""What users import exists, says what it is for, and stands in the documentation."""

import re
from pathlib import Path

import pytest

import madang

ROOT = Path(__file__).parents[2]
DOCUMENTS = "\n".join(path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
CODE = "\n".join(
    block or word for block, word in re.findall(r"^```python\n(.*?)^```|`([^`\n]+)`", DOCUMENTS, re.M | re.S)
)
NAMES = [name for name in madang.__all__ if name != "__version__"]


@pytest.mark.parametrize("name", NAMES)
def test_resolves_and_says_what_it_is_for(name: str) -> None:
    assert (getattr(madang, name).__doc__ or "").strip()


@pytest.mark.parametrize("name", NAMES)
def test_stands_in_the_documentation(name: str) -> None:
    assert re.search(rf"\b{name}\b", CODE), f"no page of docs/ mentions {name}"


def test_a_misspelled_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(AttributeError, match="AutoModelForSequenceClassification"):
        madang.AutoModelForSequenceClassfication  # noqa: B018


def test_version_is_that_of_the_package() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{madang.__version__}"\n' in project
