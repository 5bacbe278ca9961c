import json

import pytest

from madang.datasets import Dataset
from madang.errors import InputError, UnknownNameError

ROWS = [{"title": "축구", "n": 1, "tags": ["a"]}, {"title": "금리", "n": 2, "tags": []}]


def test_one_object_per_line(tmp_path):
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS), encoding="utf-8")
    assert Dataset.from_json(tmp_path / "a.jsonl").to_list() == ROWS


def test_a_byte_order_mark_and_another_encoding(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps(ROWS[0], ensure_ascii=False), encoding="utf-8-sig")
    (tmp_path / "b.jsonl").write_text(json.dumps(ROWS[0], ensure_ascii=False), encoding="cp949")
    assert Dataset.from_json(tmp_path / "a.jsonl")[0] == ROWS[0]
    assert Dataset.from_json(tmp_path / "b.jsonl", encoding="cp949")[0] == ROWS[0]


def test_a_list_of_objects_and_a_list_under_a_field(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(ROWS, indent=2), encoding="utf-8")
    (tmp_path / "b.json").write_text(json.dumps({"version": 1, "data": ROWS}, indent=2), encoding="utf-8")
    assert Dataset.from_json(tmp_path / "a.json").to_list() == ROWS
    assert Dataset.from_json(tmp_path / "b.json", field="data").to_list() == ROWS
    with pytest.raises(UnknownNameError, match="Did you mean 'data'"):
        Dataset.from_json(tmp_path / "b.json", field="date")


@pytest.mark.parametrize(
    ("text", "message"),
    [("[1, 2]", "list of objects"), ("[{", r"line 1, column 3"), ("", "empty"), ('{"a": 1}\nnope', "one JSON object")],
)
def test_a_file_of_another_shape_is_named(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rf"a\.json.*{message}"):
        Dataset.from_json(tmp_path / "a.json")
