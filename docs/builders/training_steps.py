"""Builds docs/training-steps.md and its Korean counterpart from the training loop itself.

    python docs/builders/training_steps.py

loop.py gives the code, training_steps_words.py an explanation of every piece of it. A statement without an explanation
is an error, and so is an explanation whose statement is gone.
"""

import ast
import re
import subprocess
import sys
import textwrap
import unicodedata
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOOP = ROOT / "src" / "madang" / "training" / "loop.py"
PAGES = {"en": ROOT / "docs" / "training-steps.md", "ko": ROOT / "docs" / "training-steps.ko.md"}
sys.path.insert(0, str(Path(__file__).parent))

from training_steps_words import DOCSTRING, FRAME, PARTS, Part, Step  # noqa: E402

Statement = tuple[int, str]  # the number of its first line, and that line without indentation


def page(language: str) -> str:
    """The whole page in one language ("en" or "ko")."""
    source = LOOP.read_text(encoding="utf-8")
    tree, frame = ast.parse(source), FRAME[language]
    said = " ".join((ast.get_docstring(tree) or "").split())
    if said != " ".join(DOCSTRING["en"].split()):
        raise ValueError(
            f"the docstring of loop.py is another one now; put it and a translation into DOCSTRING:\n{said}"
        )
    known, found = [part.name for part in PARTS], [node.name for node in tree.body if hasattr(node, "name")]
    if sorted(known) != sorted(found):
        raise ValueError(f"loop.py defines {sorted(found)}, and {sorted(known)} are explained.")
    pieces = [frame["head"], _filled(DOCSTRING[language])]
    if frame["about"]:
        pieces.append(_filled(frame["about"]))
    for part in PARTS:
        node = next(node for node in tree.body if getattr(node, "name", None) == part.name)
        pieces += _part(part, node, source.splitlines(), language)
    return _formatted("\n\n".join(pieces) + "\n", PAGES[language].name)


def _part(part: Part, node: ast.stmt, lines: list[str], language: str) -> Iterator[str]:
    """A function or class: its heading, and its steps."""
    yield f"## {part.title[language]}"
    if part.text:
        yield _filled(part.text[language])
    if not part.steps:
        yield _code(lines[_first_line(node) - 1 : node.end_lineno])
        return
    statements = list(_statements(_body_of(part, node), lines))
    first, number = [], 0
    for step in part.steps:
        first.append(statements[number][0] if number < len(statements) else None)
        for begin in step.begins:
            if number == len(statements):
                raise ValueError(f"{part.name}: there is no statement that begins with {begin!r} any more.")
            line, code = statements[number]
            if not code.startswith(begin):
                raise ValueError(f"loop.py, line {line}: `{code}` has no explanation; {begin!r} was expected here.")
            number += 1
    if number < len(statements):
        raise ValueError(f"loop.py, line {statements[number][0]}: `{statements[number][1]}` has no explanation.")
    end = (_body_of(part, node)[-1].end_lineno or 0) + 1
    for step, begin, after in zip(part.steps, first, [*first[1:], end], strict=True):
        yield f"### {step.title[language]}"
        yield _code(lines[(begin or 1) - 1 : (after or 1) - 1])
        yield _filled(step.text[language])
        yield from _hooks(step, "\n".join(lines[(begin or 1) - 1 : (after or 1) - 1]), language)


def _hooks(step: Step, code: str, language: str) -> Iterator[str]:
    """The callbacks that fire in this piece, and the methods one overrides to change it."""
    events = re.findall(r'fire\("(\w+)"\)', code) + list(step.events)
    methods = [name for name in re.findall(r"trainer\.(\w+)\(", code) if name != "fire"] + list(step.methods)
    frame, said = FRAME[language], []
    if events:
        said.append(f"- {frame['events']}: {', '.join(f'`{name}`' for name in dict.fromkeys(events))}")
    if methods:
        said.append(f"- {frame['methods']}: {', '.join(f'`{name}`' for name in dict.fromkeys(methods))}")
    if said:
        yield "\n".join(said)


def _body_of(part: Part, node: ast.stmt) -> list[ast.stmt]:
    """The statements of a function, or of one method of a class, without the docstring."""
    if part.method:
        assert isinstance(node, ast.ClassDef)
        node = next(each for each in node.body if getattr(each, "name", None) == part.method)
    assert isinstance(node, ast.FunctionDef)
    return node.body[1:] if ast.get_docstring(node) else node.body


def _statements(body: list[ast.stmt], lines: list[str]) -> Iterator[Statement]:
    """Every statement in order, those inside of others too."""
    for node in body:
        yield node.lineno, lines[node.lineno - 1].strip()
        yield from _statements([*getattr(node, "body", []), *getattr(node, "orelse", [])], lines)


def _first_line(node: ast.stmt) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])


def _code(lines: list[str]) -> str:
    return f"```python\n{textwrap.dedent(chr(10).join(lines)).strip()}\n```"


def _filled(text: str) -> str:
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(_wrapped(" ".join(paragraph.split())) for paragraph in paragraphs)


def _wrapped(paragraph: str) -> str:
    """Lines of at most 120 columns, of which a Korean letter takes two."""
    lines, line = [], ""
    for word in paragraph.split():
        longer = f"{line} {word}".strip()
        if line and _columns(longer) > 120:
            lines.append(line)
            longer = word
        line = longer
    return "\n".join([*lines, line])


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _formatted(text: str, name: str) -> str:
    """As the formatter wants pieces of code that stand further left than they did."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", name, "-"]
    return subprocess.run(
        command, input=text, capture_output=True, text=True, encoding="utf-8", check=True, cwd=ROOT
    ).stdout


if __name__ == "__main__":
    for language, path in PAGES.items():
        path.write_text(page(language), encoding="utf-8")
