"""Modules that a test writes and imports."""

import importlib
import sys
import textwrap

import pytest


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module of the user's and imports it, anew each time."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = set()

    def write(name, source):
        path = tmp_path / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        for known in [known for known in sys.modules if known.partition(".")[0] in names | {name.partition(".")[0]}]:
            del sys.modules[known]
        names.add(name.partition(".")[0])
        importlib.invalidate_caches()
        # the time of the last change is too coarse to notice a second writing
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        return importlib.import_module(name)

    yield write
    for known in [known for known in sys.modules if known.partition(".")[0] in names]:
        del sys.modules[known]
