import pickle

import pandas as pd
import pytest

from madang.datasets import load_dataset
from madang.errors import InputError

FRAME = pd.DataFrame({"a": [1, 2]})


def test_feather_and_parquet_are_told_apart_by_their_content(tmp_path):
    FRAME.to_feather(tmp_path / "a.bin")
    FRAME.to_parquet(tmp_path / "b.bin")
    for name in ("a.bin", "b.bin"):
        assert load_dataset("pandas", data_files=str(tmp_path / name), split="train")["a"] == [1, 2]


def test_a_pickle_is_refused_unread(tmp_path):
    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harm"), "w"))

    (tmp_path / "a.pkl").write_bytes(pickle.dumps(Harm()))
    with pytest.raises(InputError, match="A pickle can run any code"):
        load_dataset("pandas", data_files=str(tmp_path / "a.pkl"))
    assert not (tmp_path / "harm").exists()
