"""What an import may cost, and what works where torch is not installed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
WITHOUT_TORCH = [
    "errors",
    "settings",
    "notices",
    "writing",
    "client",
    "tokenizers",
    "processors",
    "datasets",
    "metrics",
    "server",
]
PRESENT = [
    name
    for name in WITHOUT_TORCH
    if (SOURCE / "madang" / name).is_dir() or (SOURCE / "madang" / f"{name}.py").is_file()
]
HEAVY = ["torch", "numpy", "pandas", "pyarrow", "tokenizers", "huggingface_hub", "matplotlib", "jinja2", "transformers"]


def run(code: str) -> str:
    """What a fresh interpreter prints for `code`."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(SOURCE)}, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def loaded_by(statement: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded after `statement`."""
    return set(run(f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})").split())


def test_importing_madang_loads_nothing_heavy() -> None:
    assert not loaded_by("import madang") & set(HEAVY)


@pytest.mark.parametrize("name", ["AutoTokenizer", "Dataset", "load_dataset"])
def test_text_and_data_load_no_torch(name: str) -> None:
    assert "torch" not in loaded_by(f"from madang import {name}")


@pytest.mark.parametrize("name", PRESENT)
def test_works_where_torch_is_not_installed(name: str) -> None:
    # None in sys.modules makes `import torch` fail as if it were not there
    run(f"import sys; sys.modules['torch'] = None; import madang.{name}")


def test_the_hub_starts_where_torch_is_not_installed() -> None:
    run("import sys; sys.modules['torch'] = None; import madang.server.app, madang.server.serving, madang.cli.serve")


def test_a_hub_for_tests_loads_no_torch() -> None:
    assert "torch" not in loaded_by("import madang.testing.hub")


@pytest.mark.parametrize("name", ["AutoModel", "Trainer", "BertForMaskedLM"])
def test_what_needs_torch_says_how_to_get_it(name: str) -> None:
    code = f"""
import sys; sys.modules['torch'] = None
try:
    from madang import {name}
except ImportError as error:
    print(error)
"""
    assert run(code) == f"madang.{name} needs torch, which is not installed: pip install 'madang[torch]'"


@pytest.mark.parametrize("name", PRESENT)
def test_torch_is_imported_only_inside_functions(name: str) -> None:
    place = SOURCE / "madang" / name
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    found = [f"{file.name}:{line}" for file in files for line in eager_torch_imports(file)]
    assert not found, f"import torch where it is used, not at the top of the file: {found}"


def eager_torch_imports(file: Path) -> list[int]:
    """The lines that import torch as soon as the file is imported."""
    lines = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import) and any(alias.name.partition(".")[0] == "torch" for alias in node.names):
            lines.append(node.lineno)
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "torch":
            lines.append(node.lineno)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(file.read_text(encoding="utf-8")))
    return lines


def test_eager_torch_imports_are_noticed(tmp_path: Path) -> None:
    file = tmp_path / "example.py"
    file.write_text(
        "import os\nimport torch.nn\nfrom torch import Tensor\ndef later():\n    import torch\n", encoding="utf-8"
    )
    assert eager_torch_imports(file) == [2, 3]
