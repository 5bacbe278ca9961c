import pytest

from madang.datasets import Dataset, Value, concatenate_datasets
from madang.errors import InputError


def test_rows_follow_each_other_and_missing_columns_are_empty():
    one, two = Dataset.from_dict({"a": [1], "b": ["x"]}), Dataset.from_dict({"a": [2, 3]})
    joined = concatenate_datasets([one, two.select([1, 0])])
    assert joined.to_dict() == {"a": [1, 3, 2], "b": ["x", None, None]}


def test_a_column_of_empty_cells_takes_the_others_type():
    joined = concatenate_datasets([Dataset.from_dict({"a": [None]}), Dataset.from_dict({"a": [2]})])
    assert (joined.features["a"], joined["a"]) == (Value("int64"), [None, 2])


def test_columns_side_by_side():
    joined = concatenate_datasets(
        [Dataset.from_dict({"a": [1, 2]}).select([1, 0]), Dataset.from_dict({"b": [3, 4]})], axis=1
    )
    assert joined.to_dict() == {"a": [2, 1], "b": [3, 4]}


@pytest.mark.parametrize(
    ("given", "axis", "message"),
    [
        ([{"a": [1]}, {"a": ["x"]}], 0, "The features can't be aligned because the key a"),
        ([{"a": [1]}, {"a": [2]}], 1, r"\['a'\] are duplicated"),
        ([{"a": [1]}, {"b": [2, 3]}], 1, "equal length"),
        ([], 0, "empty"),
        ([{"a": [1]}], 2, "axis is 0"),
    ],
)
def test_what_does_not_fit_is_explained(given, axis, message):
    with pytest.raises(InputError, match=message):
        concatenate_datasets([Dataset.from_dict(columns) for columns in given], axis=axis)
