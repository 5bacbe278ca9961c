import datetime

import numpy as np
import pyarrow as pa
import pytest

from madang.datasets.features import Json


def test_values_become_compact_text_and_come_back():
    value = {"이름": [1, 2.5, None, {"a": True}]}
    stored = Json().encode_example(value)
    assert stored == '{"이름":[1,2.5,null,{"a":true}]}'
    assert Json().decode_example(stored) == value


def test_a_text_that_is_json_is_taken_for_what_it_says():
    assert Json().encode_example('{"a": 1}') == '{"a": 1}'
    assert Json().encode_example("{a") == '"{a"'
    assert Json().encode_example(None) is None


def test_what_json_has_no_word_for():
    value = {"n": np.int64(3), "v": np.arange(2), "when": datetime.date(2020, 1, 2), "none": [float("nan"), np.nan]}
    assert Json().encode_example(value) == '{"n":3,"v":[0,1],"when":"2020-01-02","none":[null,null]}'
    with pytest.raises(TypeError, match="object has no JSON form"):
        Json().encode_example({"a": object()})


def test_a_stored_text_that_is_no_json_is_told():
    with pytest.raises(ValueError, match=r"holds '\{a', which is no JSON"):
        Json().decode_example("{a")


@pytest.mark.parametrize(
    ("array", "texts"),
    [
        (pa.array([{"a": 1}, None]), ['{"a":1}', None]),
        (pa.array(['{"a": 1}', "x", None]), ['{"a": 1}', '"x"', None]),
        (pa.array([[1], []]), ["[1]", "[]"]),
        (pa.array(["1"], pa.string()).cast(pa.json_()), ["1"]),
    ],
)
def test_any_array_becomes_json(array, texts):
    stored = Json().cast_storage(array)
    assert stored.type == pa.json_()
    assert stored.to_pylist() == texts
