"""Files move both ways between madang.datasets and the datasets package, with every kind of column.

Needs MADANG_REFERENCE_5, a Python that has datasets 5.2 (`make references`).
"""

import json
import os
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from madang.datasets import features as ours
from madang.datasets.cast import cast, marked
from tests.parity import datasets_features_observed as observed
from tests.parity.cases import NEW
from tests.parity.conftest import interpreter

pytestmark = pytest.mark.parity

FEATURES = observed.features(ours)


def ask(direction, folder):
    """What the datasets package saw or wrote."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "home")}
    environment.pop("PYTHONPATH", None)
    command = [interpreter(NEW), observed.__file__, direction, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads((folder / "seen.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A folder with the files of the datasets package, and what it says of them."""
    folder = tmp_path_factory.mktemp("theirs")
    return folder, ask("write", folder)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What the datasets package sees in our files."""
    folder = tmp_path_factory.mktemp("ours")
    observed.write(FEATURES, folder)
    return ask("read", folder)


def opened(folder: Path, name: str) -> pa.Table:
    """A file as Arrow reads it."""
    if name == "parquet":
        return pq.read_table(folder / "table.parquet")
    with pa.memory_map(str(folder / "table.arrow")) as file:
        return pa.ipc.open_stream(file).read_all()


@pytest.mark.parametrize("name", ["arrow", "parquet"])
class TestFiles:
    def test_theirs_are_read_here(self, theirs, name):
        folder, told = theirs
        table = opened(folder, name)
        assert ours.Features.from_arrow_schema(table.schema) == FEATURES
        assert observed.rows(table) == told["rows"]
        for column in table.schema.names:
            values = cast(marked(table.column(column), FEATURES[column]), FEATURES[column], column)
            assert values.type == FEATURES.arrow_schema.field(column).type
            assert values.to_pylist() == table.column(column).to_pylist()

    def test_theirs_are_recognised_without_the_note_as_far_as_types_go(self, theirs, name):
        found = ours.Features.from_arrow_schema(opened(theirs[0], name).schema.remove_metadata())
        for column in ("text", "box", "large", "pixels", "clip", "clips", "any", "anys"):
            expected = ours.LargeList(ours.Value("int64")) if column == "large" else FEATURES[column]
            assert found[column] == expected

    def test_ours_are_read_there(self, seen, name):
        assert seen[name]["features"] == FEATURES.to_dict()
        assert seen[name]["rows"] == observed.rows(observed.table(FEATURES))
        assert seen[name]["image"] == ["RGB", [1, 1]]
        assert seen[name]["any"] == {"a": [1, "둘"]}
        assert seen[name]["pixels"] == [[1, 2, 3], [4, 5, 6]]


def test_the_schemas_are_byte_for_byte_the_same(theirs, tmp_path):
    observed.write(FEATURES, tmp_path)
    mine, other = (opened(folder, "arrow").schema for folder in (tmp_path, theirs[0]))
    assert mine.metadata == other.metadata
    assert mine.equals(other, check_metadata=True)


def test_the_lists_for_a_readme_are_the_same(theirs):
    assert FEATURES._to_yaml_list() == theirs[1]["yaml"]
    assert ours.Features._from_yaml_list(theirs[1]["yaml"]) == FEATURES
    assert FEATURES.to_dict() == theirs[1]["features"]
