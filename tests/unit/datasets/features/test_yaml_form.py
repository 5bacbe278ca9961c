import pytest
import yaml

from madang.datasets.features import (
    Array3D,
    Audio,
    ClassLabel,
    Features,
    Image,
    LargeList,
    List,
    Sequence,
    Translation,
    Value,
)

FEATURES = Features(
    {
        "title": Value("string"),
        "named": Value("string", id="x"),
        "label": ClassLabel(names=["아니오", "예"]),
        "labels": List(ClassLabel(names=["no", "yes"])),
        "box": List(Value("float32"), length=4),
        "large": LargeList(List(Value("int8"))),
        "person": {"age": Value("int8"), "at": {"x": Value("float64")}},
        "people": List({"age": Value("int8")}),
        "answers": Sequence({"text": Value("string"), "at": Value("int64")}),
        "pixels": Array3D((None, 2, 3), "uint8"),
        "image": Image(),
        "images": List(Image(mode="RGB", decode=False)),
        "audio": Audio(sampling_rate=16000),
        "both": Translation(["en", "ko"]),
        "nothing": {},
    }
)


def test_features_survive_a_readme():
    text = yaml.safe_dump(FEATURES._to_yaml_list(), sort_keys=False, allow_unicode=True)
    assert Features._from_yaml_list(yaml.safe_load(text)) == FEATURES


def test_the_form_is_the_one_the_hub_knows():
    listed = {column["name"]: column for column in FEATURES._to_yaml_list()}
    assert listed["title"] == {"name": "title", "dtype": "string"}
    assert listed["label"]["dtype"] == {"class_label": {"names": {"0": "아니오", "1": "예"}}}
    assert listed["labels"]["list"] == {"class_label": {"names": {"0": "no", "1": "yes"}}}
    assert listed["box"] == {"name": "box", "list": "float32", "length": 4}
    assert listed["large"] == {"name": "large", "large_list": {"list": "int8"}}
    assert listed["people"] == {"name": "people", "list": [{"name": "age", "dtype": "int8"}]}
    assert listed["pixels"]["dtype"] == {"array3_d": {"shape": [None, 2, 3], "dtype": "uint8"}}
    assert listed["image"] == {"name": "image", "dtype": "image"}


def test_older_lists_are_read():
    text = """
    - {name: a, sequence: int32}
    - {name: b, sequence: [{name: text, dtype: string}, {name: at, dtype: int32}]}
    - {name: c, sequence: {class_label: {names: [x, y]}}}
    - {name: d, sequence: float32, length: 3}
    - {name: e, dtype: null}
    - {name: f, dtype: {class_label: {names: {1: y, 0: x}}}}
    - {name: g, struct: [{name: h, sequence: {sequence: image}}]}
    """
    assert Features._from_yaml_list(yaml.safe_load(text)) == {
        "a": List(Value("int32")),
        "b": {"text": List(Value("string")), "at": List(Value("int32"))},
        "c": List(ClassLabel(names=["x", "y"])),
        "d": List(Value("float32"), length=3),
        "e": Value("null"),
        "f": ClassLabel(names=["x", "y"]),
        "g": {"h": List(List(Image()))},
    }


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ({"dtype": {"class_label": {"names": {"0": "a", "2": "b"}}}}, r"without a gap; missing: \[1\]"),
        ({"dtype": "int23"}, "Did you mean 'int32'"),
        ({"dtype": {"imige": {}}}, "Did you mean 'image'"),
        ({"dtype": 5}, "a name, a list or a mapping, not 5"),
        ({"dtype": {"array2_d": {"shape": [1, 2]}}}, "does not describe a Array2D"),
    ],
)
def test_what_cannot_be_read_is_a_value_error_that_helps(column, said):
    with pytest.raises(ValueError, match=said):
        Features._from_yaml_list([{"name": "a", **column}])
