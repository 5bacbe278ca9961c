import copy
import pickle

import numpy as np
import pyarrow as pa
import pytest

from madang.datasets.features import (
    Array2D,
    Audio,
    ClassLabel,
    Features,
    Image,
    Json,
    LargeList,
    List,
    Sequence,
    Translation,
    TranslationVariableLanguages,
    Value,
)

FEATURES = Features(
    {
        "title": Value("string"),
        "label": ClassLabel(names=["경제", "사회"]),
        "ids": List(Value("int32")),
        "box": List(Value("float32"), length=4),
        "answers": {"text": List(Value("string")), "at": List(Value("int64"))},
        "when": Value("timestamp[us, tz=Asia/Seoul]"),
        "large": LargeList({"a": Value("int8", id="x")}),
        "pixels": Array2D((2, 3), "uint8"),
        "more_pixels": List(Array2D((None, 3), "uint8")),
        "image": Image(mode="RGB"),
        "sounds": [Audio(sampling_rate=16000, decode=False)],
        "both": Translation(["en", "ko"]),
        "some": TranslationVariableLanguages(["en", "ko"]),
        "any": Json(),
        "nothing": {},
    }
)


def test_printing_is_what_people_know():
    assert repr(Features({"a": Value("int64"), "b": ClassLabel(names=["x"]), "c": [Value("bool")]})) == (
        "{'a': Value('int64'), 'b': ClassLabel(names=['x']), 'c': List(Value('bool'))}"
    )
    assert repr(Image()) == "Image(mode=None, decode=True)"
    assert repr(Audio()) == "Audio(sampling_rate=None, decode=True, num_channels=None, stream_index=None)"
    assert repr(Array2D((None, 3), "uint8")) == "Array2D(shape=(None, 3), dtype='uint8')"


def test_features_survive_an_arrow_schema_and_a_dict():
    assert Features.from_arrow_schema(FEATURES.arrow_schema) == FEATURES
    assert Features.from_dict(FEATURES.to_dict()) == FEATURES
    assert FEATURES.type == pa.struct(list(FEATURES.arrow_schema))


def test_features_can_be_copied_and_pickled():
    for made in (FEATURES.copy(), copy.deepcopy(FEATURES), pickle.loads(pickle.dumps(FEATURES))):
        assert type(made) is Features
        assert made == FEATURES
    made = FEATURES.copy()
    made["answers"]["text"] = Value("int8")
    assert FEATURES["answers"]["text"] == List(Value("string"))


def test_a_column_may_have_any_name():
    features = Features(self=Value("string"), _type=Value("int8"))
    assert Features.from_dict(features.to_dict()) == features


def test_every_way_to_add_a_column_understands_short_forms():
    features = Features([("a", [Value("int8")])])
    features["b"] = {"c": [Value("int8")]}
    features.update({"d": (Value("int8"),)}, e=[[Value("int8")]])
    features.setdefault("f", [Value("int8")])
    assert features.setdefault("a", Value("string")) == List(Value("int8"))
    assert repr(features["b"]) == "{'c': List(Value('int8'))}"
    assert all(isinstance(features[name], List) for name in "adef")
    assert features.keys() == features._column_requires_decoding.keys()


@pytest.mark.parametrize("wrong", ["string", Value, None, 5, [Value("int8"), Value("int8")]])
def test_what_is_no_feature_is_refused_at_once(wrong):
    with pytest.raises(TypeError, match="is not a feature; use Value"):
        Features({"a": wrong})


def test_ids_count_and_order_does_not():
    assert Features({"a": Value("int8")}) != Features({"a": Value("int8", id="x")})
    assert Features({"a": Value("int8"), "b": Value("bool")}) == Features({"b": Value("bool"), "a": Value("int8")})


def test_flattening_names_members_after_their_struct():
    features = Features(
        {"a": {"b": Value("int8"), "c": {"d": Value("string"), "e": [{"f": Value("bool")}]}}, "g": Image(decode=False)}
    )
    assert list(features.flatten()) == ["a.b", "a.c.d", "a.c.e", "g.bytes", "g.path"]
    assert features.flatten()["a.c.e"] == List({"f": Value("bool")})
    assert list(features.flatten(max_depth=1)) == ["a.b", "a.c", "g.bytes", "g.path"]
    assert list(features) == ["a", "g"]
    assert Features({"i": Image(), "s": Audio()}).flatten() == {"i": Image(), "s": Audio()}


class TestReordering:
    features = Features(
        {"a": Value("int8"), "b": [{"c": Value("bool"), "d": {"e": Value("int8"), "f": Value("int8")}}]}
    )

    def test_members_take_the_order_of_the_other(self):
        other = {"b": [{"d": {"f": Value("string"), "e": Value("string")}, "c": Value("string")}], "a": Value("string")}
        made = self.features.reorder_fields_as(other)
        assert made == self.features
        assert made.type != self.features.type
        assert list(made) == ["b", "a"]
        assert list(made["b"].feature["d"]) == ["f", "e"]

    @pytest.mark.parametrize(
        ("other", "said"),
        [
            ({"a": Value("int8")}, r"only one side has \['b'\]"),
            ({"a": Value("int8"), "b": Value("int8")}, "at 'b'"),
            ({"a": Value("int8"), "b": [{"c": Value("bool"), "d": {"e": Value("int8")}}]}, r"at 'b\[\].d'"),
        ],
    )
    def test_another_build_is_refused(self, other, said):
        with pytest.raises(ValueError, match=said):
            self.features.reorder_fields_as(other)


class TestEncoding:
    features = Features(
        {"n": Value("int32"), "label": ClassLabel(names=["a", "b"]), "in": {"x": Value("string"), "y": [ClassLabel(2)]}}
    )

    def test_a_row_is_stored_with_all_its_columns(self):
        row = {"n": "5", "in": {"y": ["1", None]}, "more": 1}
        assert self.features.encode_example(row) == {"n": 5, "label": None, "in": {"x": None, "y": [1, None]}}
        assert self.features.encode_example({"n": np.int64(3), "in": None})["n"] == 3

    def test_batches_and_columns_are_stored_value_by_value(self):
        batch = {"n": [1, None], "label": ["b", 0], "in": [None, {"x": 1, "y": []}]}
        stored = {"n": [1, None], "label": [1, 0], "in": [None, {"x": "1", "y": []}]}
        assert self.features.encode_batch(batch) == stored
        assert self.features.encode_column(["b"], "label") == [1]

    def test_other_columns_are_told(self):
        with pytest.raises(ValueError, match=r"Column mismatch between batch \['n'\] and features"):
            self.features.encode_batch({"n": [1]})
        with pytest.raises(ValueError, match="Did you mean 'label'"):
            self.features.encode_column([1], "labels")

    def test_what_cannot_become_a_number_is_a_value_error(self):
        with pytest.raises(ValueError, match="invalid literal"):
            self.features.encode_example({"n": "x"})

    def test_lists_of_structs_are_the_older_sequence_of_a_dict(self):
        features = Features({"answers": Sequence({"text": Value("string"), "at": Value("int64")})})
        stored = {"answers": {"text": ["a", "b"], "at": [1, None]}}
        assert features.encode_example({"answers": [{"text": "a", "at": 1}, {"text": "b"}]}) == stored
        assert features.encode_example({"answers": []}) == {"answers": {"text": [], "at": []}}

    def test_decoding_undoes_what_was_encoded(self):
        features = Features({"any": [Json()], "n": Value("int8")})
        row = {"any": [{"a": 1}, None], "n": 1}
        stored = features.encode_example(row)
        assert stored == {"any": ['{"a":1}', None], "n": 1}
        assert features.decode_example(stored) == row
        assert features.decode_batch({"any": [stored["any"]]}) == {"any": [row["any"]]}
        assert features.decode_column([None], "any") == [None]
        with pytest.raises(KeyError, match="no column 'none'"):
            features.decode_column([None], "none")
