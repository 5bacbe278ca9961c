"""A cache and files of each test's own."""

import pyarrow as pa
import pytest


@pytest.fixture(autouse=True)
def kept(monkeypatch, tmp_path):
    """Where converted data of this test is kept."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    return tmp_path / "datasets"


@pytest.fixture
def file(tmp_path):
    """Write a file and return its path."""

    def write(content, name="data", encoding="utf-8"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


@pytest.fixture
def rows():
    """All rows of some tables, as columns."""

    def joined(tables):
        return pa.concat_tables(list(tables), promote_options="permissive").to_pydict()

    return joined
