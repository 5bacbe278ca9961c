import json
from dataclasses import dataclass

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
    Value,
    arrow_type,
    from_arrow_type,
    register_feature,
)
from madang.datasets.features.storage import KINDS, METADATA_KEY, from_json, same_storage, to_json
from tests.unit.datasets.features.test_features import FEATURES


def noted(features, columns):
    """A schema of other columns with a note about `features`."""
    return pa.schema(columns).with_metadata({METADATA_KEY: json.dumps({"info": {"features": features}}).encode()})


def test_the_note_in_the_schema_is_that_of_the_datasets_package():
    note = FEATURES.arrow_schema.metadata[b"huggingface"]
    assert b"\\uacbd" in note  # names are escaped as json.dumps does by default
    kept = json.loads(note)["info"]["features"]
    assert kept["title"] == {"dtype": "string", "_type": "Value"}
    assert kept["label"] == {"names": ["경제", "사회"], "_type": "ClassLabel"}
    assert kept["box"] == {"feature": {"dtype": "float32", "_type": "Value"}, "length": 4, "_type": "List"}
    assert kept["answers"]["at"] == {"feature": {"dtype": "int64", "_type": "Value"}, "_type": "List"}
    assert kept["pixels"] == {"shape": [2, 3], "dtype": "uint8", "_type": "Array2D"}
    assert kept["image"] == {"mode": "RGB", "_type": "Image"}
    assert kept["sounds"]["feature"] == {"sampling_rate": 16000, "decode": False, "_type": "Audio"}
    assert kept["some"]["num_languages"] == 2
    assert kept["any"] == {"_type": "Json"}


def test_older_notes_are_read():
    value = {"dtype": "int32", "id": None, "_type": "Value"}
    given = {
        "a": {"feature": value, "length": -1, "id": None, "_type": "Sequence"},
        "b": [{"dtype": "string", "_type": "Value"}],
        "c": {"feature": {"x": {"dtype": "int8", "_type": "Value"}}, "length": 2, "_type": "Sequence"},
        "d": {"sampling_rate": 8000, "mono": False, "decode": True, "id": None, "_type": "Audio"},
        "e": {"num_classes": 2, "names": ["x", "y"], "names_file": None, "id": None, "_type": "ClassLabel"},
        "f": {"num_classes": 2, "_type": "ClassLabel"},
    }
    assert Features.from_dict(given) == {
        "a": List(Value("int32")),
        "b": List(Value("string")),
        "c": {"x": List(Value("int8"), length=2)},
        "d": Audio(sampling_rate=8000, mono=False),
        "e": ClassLabel(names=["x", "y"]),
        "f": ClassLabel(names=["0", "1"]),
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"_type": "Imige"}, "Did you mean 'Image'"),
        ({"_type": "Value"}, "does not describe a Value"),
        ("string", "a dict with '_type', not by 'string'"),
        ({"_type": "Array2D", "shape": [1], "dtype": "int8"}, "Array2D has 2 axes"),
    ],
)
def test_a_note_nobody_understands_is_a_value_error(given, said):
    with pytest.raises(ValueError, match=said):
        from_json(given)


def test_a_note_that_does_not_fit_the_columns_is_not_believed():
    schema = noted({"label": to_json(ClassLabel(2))}, {"label": pa.string()})
    assert Features.from_arrow_schema(schema) == {"label": Value("string")}


@pytest.mark.parametrize("note", [b"", b"[]", b"{}", b'{"info": {"features": null}}', b'{"info": 5}'])
def test_another_use_of_the_key_is_no_note(note):
    schema = pa.schema({"a": pa.int8()}).with_metadata({METADATA_KEY: note})
    assert Features.from_arrow_schema(schema) == {"a": Value("int8")}


def test_an_unknown_kind_of_column_is_read_as_stored_and_said():
    with pytest.warns(UserWarning, match=r"'a' is read as it is stored.*Video"):
        assert Features.from_arrow_schema(noted({"a": {"_type": "Video"}}, {"a": pa.binary()})) == {
            "a": Value("binary")
        }


def test_wider_offsets_and_extensions_are_the_same_storage():
    assert same_storage(pa.large_list(pa.large_string()), pa.list_(pa.string_view()))
    assert same_storage(arrow_type(Array2D((1, 2), "int8")), pa.list_(pa.list_(pa.int8())))
    assert same_storage(pa.dictionary(pa.int8(), pa.string()), pa.string())
    assert not same_storage(pa.list_(pa.int8(), 2), pa.list_(pa.int8()))
    assert not same_storage(pa.int8(), pa.int16())


@pytest.mark.parametrize(
    ("kind", "feature"),
    [
        (pa.list_(pa.struct({"a": pa.large_list(pa.int8())})), List({"a": LargeList(Value("int8"))})),
        (pa.list_(pa.bool_(), 3), List(Value("bool"), length=3)),
        (pa.dictionary(pa.int8(), pa.string()), Value("string")),
        (arrow_type(Array2D((None, 2), "int8")), Array2D((None, 2), "int8")),
        (pa.json_(), Json()),
        (pa.struct([]), {}),
    ],
)
def test_types_describe_themselves(kind, feature):
    assert from_arrow_type(kind) == feature


def test_a_type_without_a_feature_is_refused():
    with pytest.raises(ValueError, match="map<string, int8>"):
        from_arrow_type(pa.map_(pa.string(), pa.int8()))


def test_arrays_are_recognised_in_a_file_without_a_note():
    features = Features({"a": Array2D((2, 3), "int8"), "b": [Array2D((None, 3), "int8")], "c": {"d": Json()}})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, features.arrow_schema.remove_metadata()):
        pass
    schema = pa.ipc.open_stream(sink.getvalue()).schema
    assert schema.field("a").type == pa.list_(pa.list_(pa.int8()))
    assert Features.from_arrow_schema(schema) == features


@pytest.mark.parametrize("description", [b"", b"5", b"[[2], 3]", b'[[2, 3], "nothing"]', b'[[2, 3], "int16"]'])
def test_a_wrong_description_of_an_array_is_not_believed(description):
    metadata = {
        "ARROW:extension:name": "datasets.features.features.Array2DExtensionType",
        "ARROW:extension:metadata": description,
    }
    column = pa.field("a", pa.list_(pa.list_(pa.int8())), metadata=metadata)
    assert Features.from_arrow_schema(pa.schema([column])) == {"a": List(List(Value("int8")))}


def test_a_kind_of_ones_own_can_be_registered():
    @dataclass
    class Degrees:
        unit: str = "C"
        _type = "Degrees"

        def arrow_type(self):
            return pa.float32()

    register_feature(Degrees, "Degrees")
    try:
        features = Features({"t": [Degrees("F")]})
        assert Features.from_arrow_schema(features.arrow_schema) == features
    finally:
        del KINDS["Degrees"]


def test_images_and_sounds_are_a_struct():
    assert arrow_type(Image()) == arrow_type(Audio()) == pa.struct({"bytes": pa.binary(), "path": pa.string()})
