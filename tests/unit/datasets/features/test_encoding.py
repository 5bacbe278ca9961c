import numpy as np
import pyarrow as pa
import pytest

from madang.datasets.features import (
    Array2D,
    Audio,
    ClassLabel,
    Image,
    Json,
    LargeList,
    List,
    Translation,
    TranslationVariableLanguages,
    Value,
    decoder,
    encoder,
    inferred,
)
from madang.datasets.features.audio import Sound
from madang.datasets.features.encoding import encode_value

LABEL = ClassLabel(names=["a", "b"])


@pytest.mark.parametrize(
    "feature", [Value("int8"), List(List(Value("string"))), {"a": Value("int8"), "b": {}}, Translation(["ko"]), {}]
)
def test_plain_features_need_neither_encoder_nor_decoder(feature):
    assert encoder(feature) is None
    assert decoder(feature) is None


@pytest.mark.parametrize(
    "feature", [LABEL, Array2D((1, 2), "int8"), TranslationVariableLanguages(), Image(decode=False)]
)
def test_some_features_are_encoded_and_seen_as_stored(feature):
    assert encoder(feature) is not None
    assert decoder(feature) is None


@pytest.mark.parametrize("feature", [Image(), Audio(), Json(), List(Image()), {"a": Value("int8"), "b": [Json()][0]}])
def test_some_features_are_decoded(feature):
    assert encoder(feature) is not None
    assert decoder(feature) is not None


def test_encoders_compose():
    encode = encoder({"in": LargeList({"label": LABEL, "n": Value("int8")}), "m": Value("int8")})
    row = {"in": [{"label": "b", "n": 1}, None, {"n": 2}], "m": 5, "more": 1}
    assert encode(row) == {"in": [{"label": 1, "n": 1}, None, {"n": 2}], "m": 5, "more": 1}
    assert row["in"][0] == {"label": "b", "n": 1}  # the user's own values stay as they are
    assert encode({"in": None}) == {"in": None}


def test_decoders_compose():
    decode = decoder({"in": List({"any": Json(), "n": Value("int8")}), "m": Value("int8")})
    stored = {"in": [{"any": "[1]", "n": 1}, None, {"any": None, "n": 2}], "m": None}
    assert decode(stored) == {"in": [{"any": [1], "n": 1}, None, {"any": None, "n": 2}], "m": None}


def test_a_struct_of_lists_may_come_as_a_list_of_structs():
    encode = encoder({"text": List(Value("string")), "label": List(LABEL)})
    assert encode([{"text": "x", "label": "b"}, {"text": "y"}]) == {"text": ["x", "y"], "label": [1, None]}
    assert encode([]) == {"text": [], "label": []}
    assert encode({"text": ["x"], "label": ["a"]}) == {"text": ["x"], "label": [0]}


def test_a_struct_is_a_dict():
    with pytest.raises(TypeError, match=r"expected a dict with \['label'\], found 5"):
        encoder({"label": LABEL})(5)


def test_plain_values_change_their_type_when_asked_to():
    assert encode_value([np.array([1, 2]), None], List(List(Value("string")))) == [["1", "2"], None]
    assert encode_value({"a": "5"}, {"a": Value("int8"), "b": Value("int8")}) == {"a": 5, "b": None}


class TestInferred:
    @pytest.fixture
    def image(self):
        return pytest.importorskip("PIL.Image").new("RGB", (2, 3))

    def test_images_and_sounds_are_recognised(self, image):
        assert inferred(image) == Image()
        assert inferred(Sound(None, np.zeros(2), 8000, np.zeros((1, 2)), None)) == Audio()

    def test_inside_of_lists_and_dicts_too(self, image):
        assert inferred([None, image]) == List(Image())
        assert inferred({"a": [image], "n": 3, "v": np.arange(2)}) == {
            "a": List(Image()),
            "n": Value("int64"),
            "v": List(Value("int64")),
        }

    @pytest.mark.parametrize("value", [1, "a", None, [], [[None]], {"a": 1}, np.zeros((2, 3)), pa.scalar(1)])
    def test_what_arrow_understands_is_left_to_arrow(self, value):
        assert inferred(value) is None
