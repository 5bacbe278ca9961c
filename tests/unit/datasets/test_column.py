import json

import numpy as np
import pytest
import torch

from madang.datasets import Dataset


@pytest.fixture
def data():
    return Dataset.from_dict(
        {"t": list("abcdef"), "n": [1, 2, 3, 4, 5, 6], "s": [{"x": i, "y": [i]} for i in range(6)]}
    )


def test_it_behaves_like_the_list_of_its_values(data):
    column = data["t"]
    assert column == list("abcdef")
    assert list("abcdef") == column
    assert (len(column), column[0], column[-1], column[1:3], column[[0, 5]]) == (6, "a", "f", ["b", "c"], ["a", "f"])
    assert (list(column), "c" in column, column.index("d")) == (list("abcdef"), True, 3)
    assert column != list("abcdeg")
    assert json.dumps(list(column)) == '["a", "b", "c", "d", "e", "f"]'


def test_it_prints_its_beginning(data):
    assert repr(data["n"]) == "Column([1, 2, 3, 4, 5, ...])"
    assert repr(data.take(2)["n"]) == "Column([1, 2])"


def test_arrays_and_tensors_are_made_of_it(data):
    assert np.asarray(data["n"]).tolist() == torch.tensor(data["n"]).tolist() == [1, 2, 3, 4, 5, 6]


def test_it_follows_the_format(data):
    assert data.with_format("torch")["n"][:2].tolist() == [1, 2]


def test_members_of_structs_are_columns(data):
    assert data["s"]["x"][2:4] == [2, 3]
    assert data.select([4])["s"]["y"] == [[4]]
    with pytest.raises(KeyError, match="no member 'z'"):
        data["s"]["z"]
    with pytest.raises(KeyError, match="no struct"):
        data["n"]["x"]


def test_places_outside_are_index_errors(data):
    with pytest.raises(IndexError):
        data["n"][6]
    with pytest.raises(TypeError):
        data["n"][1.5]
