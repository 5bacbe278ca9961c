import errno

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.datasets import ClassLabel, Features, List, Value, writer
from madang.datasets.features import Features as AllFeatures
from madang.datasets.memory_map import open_arrow
from madang.datasets.writer import ArrowWriter
from madang.errors import InputError


def write(path, *batches, features=None):
    with ArrowWriter(path, features) as made:
        for batch in batches:
            made.write({name: pa.array(values) for name, values in batch.items()}, len(next(iter(batch.values()))))
    return made


def read(path):
    return open_arrow(path).to_pydict()


@pytest.fixture
def every_batch_at_once(monkeypatch):
    """Nothing waits: a later batch finds the earlier ones on the disk."""
    monkeypatch.setattr(writer, "BATCH_ROWS", 1)


# what widens into what: empty < whole numbers < fractions, also within lists
cells = st.sampled_from(["none", "int", "float", "absent"])
values = {"none": lambda i: None, "int": lambda i: i, "float": lambda i: i + 0.5}


@given(st.lists(st.tuples(cells, cells, st.integers(1, 3)), min_size=1, max_size=6), st.booleans())
def test_types_widen_whatever_comes_when(tmp_path_factory, batches, waiting):
    path = tmp_path_factory.mktemp("w") / "a.arrow"
    expected = {"n": [], "l": []}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "BATCH_ROWS", 100 if waiting else 1)
        with ArrowWriter(path) as made:
            for number, list_of, count in batches:
                arrays = {}
                for name, kind in (("n", number), ("l", list_of)):
                    if kind == "absent":
                        expected[name] += [None] * count
                        continue
                    plain = [values[kind](i) for i in range(count)]
                    plain = plain if name == "n" else [[value] for value in plain]
                    arrays[name] = pa.array(plain)
                    expected[name] += plain
                made.write(arrays, count)
    found = open_arrow(path)
    kinds = {"n": {number for number, _, _ in batches}, "l": {inner for _, inner, _ in batches}}
    for name in found.column_names:
        assert found[name].to_pylist() == expected[name]
        inner = found[name].type if name == "n" else found[name].type.value_type
        best = "float" if "float" in kinds[name] else "int" if "int" in kinds[name] else "none"
        assert inner == {"none": pa.null(), "int": pa.int64(), "float": pa.float64()}[best]
    assert set(found.column_names) == {name for name, seen in kinds.items() if seen != {"absent"}}
    assert AllFeatures.from_arrow_schema(found.schema) == made.features
    assert [path.name for path in path.parent.iterdir()] == ["a.arrow"]


@pytest.mark.usefixtures("every_batch_at_once")
class TestWidening:
    def test_structs_get_members_that_come_late(self, tmp_path):
        write(tmp_path / "a", {"s": [{"a": 1}]}, {"s": [{"b": "x"}]})
        assert read(tmp_path / "a") == {"s": [{"a": 1, "b": None}, {"a": None, "b": "x"}]}

    def test_what_does_not_go_together_is_explained_and_leaves_nothing(self, tmp_path):
        with pytest.raises(InputError, match=r"do not go together.*features="):
            write(tmp_path / "a", {"a": [1]}, {"a": ["x"]})
        assert list(tmp_path.iterdir()) == []

    def test_what_was_written_is_written_again_once(self, tmp_path, monkeypatch):
        opened = []
        original = pa.ipc.new_stream
        monkeypatch.setattr(pa.ipc, "new_stream", lambda *given: opened.append(given) or original(*given))
        write(tmp_path / "a", {"a": [None]}, {"a": [1]}, {"a": [2]}, {"a": [1.5]})
        assert len(opened) == 4  # null, int, float, and all of them in one
        assert read(tmp_path / "a") == {"a": [None, 1.0, 2.0, 1.5]}

    def test_without_a_change_of_type_there_is_one_pass(self, tmp_path, monkeypatch):
        opened = []
        original = pa.ipc.new_stream
        monkeypatch.setattr(pa.ipc, "new_stream", lambda *given: opened.append(given) or original(*given))
        write(tmp_path / "a", *({"a": [i]} for i in range(10)))
        assert len(opened) == 1


def test_given_features_decide(tmp_path):
    features = Features({"label": ClassLabel(names=["no", "yes"]), "l": List(Value("int8")), "late": Value("string")})
    made = write(tmp_path / "a", {"l": [[1]], "label": ["yes"]}, {"label": [0], "l": [None]}, features=features)
    assert read(tmp_path / "a") == {"label": [1, 0], "l": [[1], None], "late": [None, None]}
    assert made.features == Features.from_arrow_schema(open_arrow(tmp_path / "a").schema) == features


def test_a_column_without_a_feature_is_named(tmp_path):
    with pytest.raises(InputError, match=r"columns \['b'\] are not among the features"):
        write(tmp_path / "a", {"a": [1], "b": [2]}, features=Features({"a": Value("int64")}))
    assert list(tmp_path.iterdir()) == []


def test_nothing_written_is_an_empty_file(tmp_path):
    with ArrowWriter(tmp_path / "a") as made:
        pass
    assert (read(tmp_path / "a"), made.num_rows) == ({}, 0)
    with ArrowWriter(tmp_path / "b", Features({"a": Value("int8")})):
        pass
    assert read(tmp_path / "b") == {"a": []}


def test_small_batches_become_large_ones(tmp_path):
    write(tmp_path / "a", *({"a": [i]} for i in range(5000)))
    assert open_arrow(tmp_path / "a")["a"].num_chunks == 1


def test_an_exception_of_the_caller_leaves_nothing(tmp_path, every_batch_at_once):
    def fail():
        with ArrowWriter(tmp_path / "a") as made:
            made.write({"a": pa.array([1])}, 1)
            made.write({"a": pa.array([1.5])}, 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch, every_batch_at_once, fails_at):
    calls = []

    def full(columns, count, features, schema):
        calls.append(count)
        if len(calls) == fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(columns, count, features, schema)

    original = writer.fitted
    monkeypatch.setattr(writer, "fitted", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "a", {"a": [1]}, {"a": [0.5]})  # two parts, united as the third
    assert list(tmp_path.iterdir()) == []


def test_arrays_keep_their_shape(tmp_path):
    from madang.datasets import Array2D

    features = Features({"m": Array2D(shape=(2, 3), dtype="int32")})
    rows = np.arange(12).reshape(2, 2, 3).tolist()
    with ArrowWriter(tmp_path / "a", features) as made:
        made.write({"m": pa.array(rows)}, 2)
    assert Features.from_arrow_schema(open_arrow(tmp_path / "a").schema) == features
    assert read(tmp_path / "a") == {"m": rows}
