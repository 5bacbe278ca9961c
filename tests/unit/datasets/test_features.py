import json

import pyarrow as pa
import pytest

from madang.datasets import ClassLabel, Features, LargeList, List, Sequence, Value
from madang.errors import InputError, UnknownNameError

FEATURES = Features(
    {
        "title": Value("string"),
        "label": ClassLabel(names=["경제", "사회"]),
        "ids": List(Value("int32")),
        "box": List(Value("float32"), length=4),
        "answers": {"text": List(Value("string")), "at": List(Value("int64"))},
        "when": Value("timestamp[us, tz=Asia/Seoul]"),
    }
)


def test_printing_is_what_people_know():
    assert repr(Features({"a": Value("int64"), "b": ClassLabel(names=["x"])})) == (
        "{'a': Value('int64'), 'b': ClassLabel(names=['x'])}"
    )
    assert repr(List(Value("int32"), length=3)) == "List(Value('int32'), length=3)"
    assert repr(Sequence({"a": Value("int64")})) == "{'a': List(Value('int64'))}"
    assert repr(LargeList(Value("int8"))) == "LargeList(Value('int8'))"


def test_features_survive_an_arrow_schema():
    assert Features.from_arrow_schema(FEATURES.arrow_schema) == FEATURES


def test_the_note_in_the_schema_is_that_of_the_datasets_package():
    note = FEATURES.arrow_schema.metadata[b"huggingface"]
    assert b"\\uacbd" in note  # names are escaped as json.dumps does by default
    noted = json.loads(note)["info"]["features"]
    assert noted["title"] == {"dtype": "string", "_type": "Value"}
    assert noted["label"] == {"names": ["경제", "사회"], "_type": "ClassLabel"}
    assert noted["box"] == {"feature": {"dtype": "float32", "_type": "Value"}, "length": 4, "_type": "List"}
    assert noted["answers"]["at"] == {"feature": {"dtype": "int64", "_type": "Value"}, "_type": "List"}


def test_older_notes_are_read():
    given = {
        "a": {
            "feature": {"dtype": "int32", "id": None, "_type": "Value"},
            "length": -1,
            "id": None,
            "_type": "Sequence",
        },
        "b": [{"dtype": "string", "_type": "Value"}],
        "c": {"feature": {"x": {"dtype": "int8", "_type": "Value"}}, "_type": "Sequence"},
    }
    assert Features.from_dict(given) == {
        "a": List(Value("int32")),
        "b": List(Value("string")),
        "c": {"x": List(Value("int8"))},
    }


def test_a_note_that_does_not_fit_the_columns_is_not_believed():
    schema = pa.schema({"label": pa.string()}).with_metadata(Features({"label": ClassLabel(2)}).arrow_schema.metadata)
    assert Features.from_arrow_schema(schema) == {"label": Value("string")}


def test_an_unknown_kind_of_column_is_read_as_stored_and_said():
    note = json.dumps({"info": {"features": {"a": {"_type": "Video"}}}}).encode()
    schema = pa.schema({"a": pa.binary()}).with_metadata({b"huggingface": note})
    with pytest.warns(UserWarning, match=r"'a' is read as it is stored.*Video"):
        assert Features.from_arrow_schema(schema) == {"a": Value("binary")}


def test_an_unknown_dtype_names_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'int32'"):
        Value("int23")


class TestClassLabel:
    label = ClassLabel(names=["경제", "사회", "7"])

    def test_names_and_numbers_turn_into_each_other(self):
        assert self.label.int2str(1) == "사회"
        assert self.label.int2str([0, 1]) == ["경제", "사회"]
        assert self.label.str2int("사회") == 1
        assert self.label.str2int([" 경제 ", "1", "7"]) == [0, 1, 2]
        assert self.label.num_classes == 3

    def test_names_can_be_left_to_numbers(self):
        assert ClassLabel(num_classes=2).names == ["0", "1"]

    def test_a_number_outside_is_refused(self):
        with pytest.raises(ValueError, match="Invalid integer class label 9"):
            self.label.int2str(9)

    def test_an_unknown_name_is_refused_with_the_nearest(self):
        with pytest.raises(ValueError, match=r"Invalid string class label.*Did you mean '사회'"):
            self.label.str2int("사회면")

    @pytest.mark.parametrize("given", [{"names": ["a", "a"]}, {"names": ["a"], "num_classes": 2}, {}])
    def test_contradictions_are_refused(self, given):
        with pytest.raises(InputError):
            ClassLabel(**given)
