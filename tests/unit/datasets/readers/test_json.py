import json

import pytest

from madang.datasets import Dataset, Features, Json, Value
from madang.errors import DatasetGenerationError, InputError, UnknownNameError

ROWS = [{"title": "축구", "n": 1, "tags": ["a"]}, {"title": "금리", "n": 2, "tags": []}]
MANY = "\n".join(f'{{"a": {n}, "t": "2016-06-30 10:36:00"}}' for n in range(30_000)) + "\n"


def kinds(dataset):
    return {name: feature.dtype for name, feature in dataset.features.items()}


def written(rows):
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


def test_one_object_per_line(file):
    assert Dataset.from_json(file(written(ROWS), "a.jsonl")).to_list() == ROWS


def test_a_byte_order_mark_and_another_encoding(file):
    for encoding in ("utf-8-sig", "cp949", "utf-16"):
        data = Dataset.from_json(file(written(ROWS), f"{encoding}.jsonl", encoding), encoding=encoding)
        assert data.to_list() == ROWS
    assert Dataset.from_json(file(written(ROWS), "a.jsonl", "utf-8-sig")).to_list() == ROWS


def test_a_list_of_objects_and_a_list_under_a_field(file):
    assert Dataset.from_json(file(json.dumps(ROWS, indent=2), "a.json")).to_list() == ROWS
    nested = file(json.dumps({"version": 1, "data": ROWS}, indent=2), "b.json")
    assert Dataset.from_json(nested, field="data").to_list() == ROWS
    with pytest.raises(UnknownNameError, match="Did you mean 'data'"):
        Dataset.from_json(nested, field="date")


def test_a_long_list_is_read_piece_by_piece(file):
    rows = [{"i": n, "s": "x" * 40} for n in range(40_000)]
    data = Dataset.from_json(file(json.dumps(rows), "a.json"))
    assert (data.num_rows, data[39_999]) == (40_000, rows[-1])
    with pytest.raises(DatasetGenerationError, match=r"cut\.json is not JSON: .* in line 1, column \d+"):
        Dataset.from_json(file(json.dumps(rows)[:-30], "cut.json"))


def test_an_object_of_lists_holds_columns_and_a_list_of_texts_rows(file):
    columns = file('{\n "a": [1, 2],\n "b": ["x", "y"]\n}', "a.json")
    assert Dataset.from_json(columns).to_dict() == {"a": [1, 2], "b": ["x", "y"]}
    assert Dataset.from_json(file('["x", "y"]', "b.json")).to_dict() == {"text": ["x", "y"]}
    with pytest.raises(InputError, match="columns of different lengths"):
        Dataset.from_json(file('{\n "a": [1],\n "b": []\n}', "c.json"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[1], [2]]", "list of objects"),
        ("[{", "line 1, column 3"),
        ("", "empty"),
        ('{"a": 1}\nnope', "line 2 does not hold one JSON object"),
        ('{"a": 1}\n[2]', "line 2 should hold one JSON object .*, but holds list"),
        ('[{"a": 1} {"a": 2}]', "Expecting ',' delimiter in line 1, column 11"),
        ('{"a": 1}\n{"a": "x"}', r"line 2 \(row 2\): column 'a' is string there, for example 'x', but int64"),
        ('{"a": [1, "x"]}', "column 'a' cannot be stored"),
    ],
)
def test_a_file_of_another_shape_is_named(file, text, message):
    with pytest.raises(InputError, match=rf"a\.json.*{message}"):
        Dataset.from_json(file(text, "a.json"))


def test_a_text_among_numbers_late_in_the_file_is_found(file):
    with pytest.raises(DatasetGenerationError, match=r"line 30001.*column 'a' is string there, for example 'x'"):
        Dataset.from_json(file(MANY + '{"a": "x"}\n', "a.jsonl"))


def test_files_that_disagree_are_both_named(file):
    paths = [file('{"a": 1}', "one.jsonl"), file('{"a": 1}\n{"a": "x"}', "two.jsonl")]
    with pytest.raises(InputError, match=r"two\.jsonl, line 2 .*column 'a' is string.*int64 in .*one\.jsonl"):
        Dataset.from_json(paths)
    assert Dataset.from_json(paths, features=Features({"a": Value("string")}))["a"] == ["1", "1", "x"]


def test_later_rows_widen_types_and_add_columns(file):
    data = Dataset.from_json(file(MANY + '{"a": 1.5, "z": {"k": [1]}}\n{"z": {"more": "x"}}\n', "a.jsonl"))
    assert data[0]["a"] == 0.0
    assert data[0]["z"] is None
    assert data[30_001]["z"] == {"k": None, "more": "x"}
    assert data.column_names == ["a", "t", "z"]


def test_a_text_among_dates_makes_all_texts_as_they_were_written(file):
    data = Dataset.from_json(file(MANY + '{"a": 1, "t": "soon"}\n', "a.jsonl"))
    assert (data[0]["t"], data[30_000]["t"]) == ("2016-06-30 10:36:00", "soon")


def test_what_arrow_does_not_take_is_read_by_python(file):
    data = Dataset.from_json(file('{"a": NaN, "b": 1}\n{"b": 2}\n', "a.jsonl"))
    assert data["b"] == [1, 2]
    assert data[1]["a"] is None


def test_a_key_that_one_file_lacks_is_empty_there_with_one_warning(file):
    paths = [file('{"a": 1, "b": 1}', "one.jsonl"), file('{"a": 2}', "two.jsonl"), file('{"a": 3}', "three.jsonl")]
    with pytest.warns(UserWarning, match="column 'b' of .*one.jsonl is missing in .*two.jsonl") as told:
        assert Dataset.from_json(paths)["b"] == [1, None, None]
    assert len(told) == 1


def test_features_add_what_is_missing(file):
    features = Features({"a": Value("int32"), "more": Value("string")})
    assert Dataset.from_json(file('{"a": 1}', "a.jsonl"), features=features).to_list() == [{"a": 1, "more": None}]
    with pytest.raises(DatasetGenerationError, match=r"a\.jsonl: the columns \['b'\] are not among the features"):
        Dataset.from_json(file('{"a": 1, "b": 2}', "a.jsonl"), features=features)


def test_an_unknown_option_is_an_error(file):
    with pytest.raises(UnknownNameError, match="option for JSON files"):
        Dataset.from_json(file('{"a": 1}', "a.jsonl"), feild="x")


def test_values_of_any_kind_are_kept_where_features_say_so(file):
    rows = [{"a": 1}, {"a": "x"}, {"a": {"b": [1, "y"]}}, {"a": None}]
    data = Dataset.from_json(file(written(rows), "a.jsonl"), features=Features({"a": Json()}))
    assert data.to_list() == rows


@pytest.mark.parametrize("content", ['{"a": "금리"}\n', '[{"a": "금리"}]', '{\n"data":\n["금리"]}'])
def test_a_wrong_encoding_names_the_file_and_the_encoding_to_try(file, content):
    path = file(content, "a.json", "cp949")
    with pytest.raises(DatasetGenerationError, match=r"a\.json is not utf-8.*encoding='cp949'"):
        Dataset.from_json(path)
    assert "금리" in str(Dataset.from_json(path, encoding="cp949")[0])


@pytest.mark.parametrize("depth", [100, 900, 100_000])
@pytest.mark.parametrize("content", ['{"a": NEST}\n', '[{"a": NEST}]', '{\n"a":\nNEST}'])
def test_lists_in_lists_without_end_are_refused(file, content, depth):
    path = file(content.replace("NEST", "[" * depth + "]" * depth), "a.json")
    with pytest.raises(DatasetGenerationError, match=r"a\.json"):
        Dataset.from_json(path)


def test_a_list_of_values_is_a_column_of_texts(file):
    assert Dataset.from_json(file("[1, null, 3]", "a.json")).to_dict() == {"text": [1, None, 3]}
