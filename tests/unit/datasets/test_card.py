import pytest

from madang.datasets import Features, Value
from madang.datasets.card import default_subset, join_card, read_yaml, split_card, subsets
from madang.errors import InputError

TEXT = "---\nlicense: mit\nconfigs:\n- config_name: 가\n  data_files: a.csv\n---\n# Title\n---\nnot YAML\n"


def test_a_card_is_split_and_joined():
    metadata, body = split_card(TEXT)
    assert metadata == {"license": "mit", "configs": [{"config_name": "가", "data_files": "a.csv"}]}
    assert body == "# Title\n---\nnot YAML\n"
    assert split_card(join_card(metadata, body)) == (metadata, body)
    assert "가" in join_card(metadata, body)


@pytest.mark.parametrize(
    ("text", "metadata", "body"),
    [
        ("# only text\n", {}, "# only text\n"),
        ("---\n---\nx", {}, "x"),
        ("", {}, ""),
        ("\ufeff---\r\na: 1\r\n---\r\nx", {"a": 1}, "x"),
        ("text\n---\na: 1\n---\n", {}, "text\n---\na: 1\n---\n"),
    ],
)
def test_cards_without_yaml(text, metadata, body):
    assert split_card(text) == (metadata, body)


def test_yaml_makes_no_objects_and_must_be_a_mapping():
    for text in ("a: !!python/object/apply:os.system ['true']", "- a\n- b", "a: [", "a: b: c"):
        with pytest.raises(InputError, match="YAML"):
            read_yaml(text)


def test_subsets_keep_their_options_and_features():
    metadata = {
        "configs": [
            {"config_name": "a", "data_dir": "x", "sep": ";", "default": True},
            {"config_name": "b", "features": [{"name": "n", "dtype": "int64"}]},
        ]
    }
    known = subsets(metadata)
    assert known["a"] == {"data_dir": "x", "sep": ";", "default": True}
    assert known["b"] == {"features": Features({"n": Value("int64")})}
    assert default_subset(known) == "a"
    assert subsets({"configs": ["en", "de"]}) == {}


@pytest.mark.parametrize(
    ("names", "default"),
    [(["only"], "only"), (["a", "default"], "default"), (["a", "b"], None), ([], None)],
)
def test_which_subset_is_meant_when_none_is_named(names, default):
    assert default_subset({name: {} for name in names}) == default


@pytest.mark.parametrize(
    ("configs", "message"),
    [
        ({"data_dir": "v1"}, "Expected configs to be a list"),
        ([{"data_dir": "v1"}], "must include `config_name`"),
        ([{"config_name": "a", "data_files": {"train": "x"}}], "Expected data_files in YAML"),
        ([{"config_name": "a", "data_files": [{"split": "a/b", "path": "x"}]}], "Expected data_files in YAML"),
    ],
)
def test_wrong_entries_are_explained(configs, message):
    with pytest.raises(InputError, match=message):
        subsets({"configs": configs})


def test_two_defaults_are_an_error():
    with pytest.raises(InputError, match="several default configs: 'a' and 'default'"):
        default_subset({"a": {"default": True}, "default": {}})
