import pyarrow as pa
import pytest

from madang.datasets import load_dataset
from madang.errors import InputError

TABLE = pa.table({"a": [1, 2], "b": ["x", "y"]})


@pytest.mark.parametrize("make", [pa.ipc.new_stream, pa.ipc.new_file])
def test_both_formats_are_read(tmp_path, make):
    with make(str(tmp_path / "a.arrow"), TABLE.schema) as sink:
        sink.write_table(TABLE)
    data = load_dataset("arrow", data_files=str(tmp_path / "a.arrow"), split="train")
    assert data.to_dict() == TABLE.to_pydict()
    assert load_dataset("arrow", data_files=str(tmp_path / "a.arrow"), split="train", columns=["b"]).column_names == [
        "b"
    ]
    (tmp_path / "cut.arrow").write_bytes((tmp_path / "a.arrow").read_bytes()[:-40])
    with pytest.raises(InputError, match=r"cut\.arrow"):
        load_dataset("arrow", data_files=str(tmp_path / "cut.arrow"))


def test_what_is_no_arrow_file_is_named(tmp_path):
    (tmp_path / "a.arrow").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"a\.arrow"):
        load_dataset("arrow", data_files=str(tmp_path / "a.arrow"))
