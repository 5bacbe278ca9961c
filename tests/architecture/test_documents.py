"""The documents agree with the code, with the Makefile and with one another."""

import re
import tomllib
from pathlib import Path

import pytest

import madang
from madang.auto.registry import families
from madang.pipelines.pipeline import TASKS as TASKS_OF_PIPELINES

ROOT = Path(__file__).parents[2]
READMES = [ROOT / "README.md", ROOT / "README.ko.md"]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
TASKS = {
    "sequence-classification": "`AutoModelForSequenceClassification`",
    "token-classification": "`AutoModelForTokenClassification`",
    "question-answering": "`AutoModelForQuestionAnswering`",
    "multiple-choice": "`AutoModelForMultipleChoice`",
    "masked-language": "`AutoModelForMaskedLM`",
    "causal-language": "`AutoModelForCausalLM`",
    "sequence-to-sequence-language": "`AutoModelForSeq2SeqLM`",
    "image-classification": "`AutoModelForImageClassification`",
}


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def family_table() -> str:
    """Which model type has which head, as it must stand in the documents."""
    found = families()
    lines = ["| | " + " | ".join(f"`{family.model_type}`" for family in found) + " |"]
    lines.append("|---|" + ":-:|" * len(found))
    lines.append("| `AutoModel` |" + " ✓ |" * len(found))
    for task, name in TASKS.items():
        lines.append(f"| {name} |" + "".join(" ✓ |" if task in family.recipes else " |" for family in found))
    return "\n".join(lines)


@pytest.mark.parametrize("path", [*READMES, ROOT / "docs" / "models.md"], ids=lambda path: path.name)
def test_the_table_of_families_and_heads_is_that_of_the_code(path: Path) -> None:
    assert family_table() in read(path), f"put this table into {path.name}:\n{family_table()}"


def test_no_head_is_missing_from_the_table() -> None:
    autos = {f"`{name}`": getattr(madang, name).task for name in madang.__all__ if name.startswith("AutoModelFor")}
    assert {name: task for task, name in TASKS.items()} == autos


@pytest.mark.parametrize("path", [*READMES, ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda path: path.name)
def test_every_make_command_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", read(ROOT / "Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`|\n)make ([a-z]+)", read(path)))
    assert named <= targets


def test_both_readmes_name_the_two_commands() -> None:
    for path in READMES:
        assert {"quickstart", "test"} <= set(re.findall(r"^make ([a-z]+)", read(path), re.MULTILINE)), path.name


def outline(path: Path) -> list[int]:
    """The levels of the headings, in order; code blocks don't count."""
    text = re.sub(r"^```.*?^```", "", read(path), flags=re.MULTILINE | re.DOTALL)
    return [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]


def code_blocks(path: Path) -> list[str]:
    """The blocks of Python, without their comments, which are in the language of the page."""
    blocks = re.findall(r"^```python\n(.*?)^```", read(path), re.MULTILINE | re.DOTALL)
    return [re.sub(r" *#.*", "", block) for block in blocks]


@pytest.mark.parametrize(
    ("english", "korean"),
    [("README.md", "README.ko.md"), ("docs/tutorial.md", "docs/tutorial.ko.md")],
)
def test_both_languages_have_the_same_sections_and_code(english: str, korean: str) -> None:
    assert outline(ROOT / english) == outline(ROOT / korean)
    assert code_blocks(ROOT / english) == code_blocks(ROOT / korean)


@pytest.mark.parametrize("path", [*READMES, ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda path: path.name)
def test_links_to_files_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", read(path))
    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []


def test_every_page_can_be_reached_from_the_index() -> None:
    reached, waiting = set(), [ROOT / "docs" / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        waiting += [
            target
            for link in re.findall(r"\]\(([^)#\s]+\.md)", read(page))
            if (target := (page.parent / link).resolve()) in PAGES
        ]
    assert sorted(path.name for path in set(PAGES) - reached) == []


def test_the_architecture_page_lists_the_layers_that_are_checked() -> None:
    contracts = tomllib.loads(read(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    checked = [name for layer in reversed(layers) for name in re.findall(r"[a-z]+", layer)]
    shown = re.findall(r"^\| `([a-z]+)`", read(ROOT / "docs" / "architecture.md"), re.MULTILINE)
    assert shown == checked


def test_every_task_of_a_pipeline_is_documented() -> None:
    shown = re.findall(r"^\| `([a-z-]+)` \|", read(ROOT / "docs" / "pipelines.md"), re.MULTILINE)
    assert sorted(shown) == sorted(TASKS_OF_PIPELINES)


def test_every_environment_variable_is_documented() -> None:
    code = "\n".join(read(path) for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "tests").rglob("*.py")])
    known = set(re.findall(r"\b(?:MADANG|HF|TRANSFORMERS)_[A-Z0-9_]+[A-Z0-9]\b", read(ROOT / "docs" / "settings.md")))
    used = set(re.findall(r"[\"'](MADANG_[A-Z0-9_]+)[\"']", code))
    used |= set(re.findall(r"[\"']((?:HF|TRANSFORMERS)_[A-Z_]+)[\"']", read(ROOT / "src" / "madang" / "settings.py")))
    assert used - known == set()
