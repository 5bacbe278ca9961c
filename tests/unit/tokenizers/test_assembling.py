"""pad, prepare_for_model and truncate_sequences: ready ids."""

from typing import Any

import numpy
import pytest

from madang.errors import InputError
from madang.tokenizers import BatchEncoding, PreTrainedTokenizerFast


def test_pad_takes_dicts_of_lists_lists_of_dicts_and_encodings(bert: PreTrainedTokenizerFast) -> None:
    expected = {
        "input_ids": [[2, 5, 3, 0], [2, 5, 6, 3]],
        "token_type_ids": [[0] * 4] * 2,
        "attention_mask": [[1, 1, 1, 0], [1, 1, 1, 1]],
    }
    assert bert.pad(bert(["a", "a b"])) == expected
    assert bert.pad([bert("a"), bert("a b")]) == expected
    assert bert.pad([dict(bert("a")), dict(bert("a b"))]) == expected
    assert bert.pad(dict(bert(["a", "a b"]))) == expected
    assert isinstance(bert.pad([bert("a")]), BatchEncoding)


def test_pad_makes_the_mask_and_keeps_other_keys(bert: PreTrainedTokenizerFast) -> None:
    batch = bert.pad([{"input_ids": [5], "label": 1, "guid": "x"}, {"input_ids": [5, 6], "label": 0, "guid": "y"}])
    assert batch == {
        "input_ids": [[5, 0], [5, 6]],
        "label": [1, 0],
        "guid": ["x", "y"],
        "attention_mask": [[1, 0], [1, 1]],
    }
    assert "attention_mask" not in bert.pad({"input_ids": [[5]]}, return_attention_mask=False)


def test_pad_to_lengths_and_sides(bert: PreTrainedTokenizerFast) -> None:
    rows = {"input_ids": [[5], [5, 6, 7]], "special_tokens_mask": [[0], [0, 0, 0]]}
    assert bert.pad(rows, pad_to_multiple_of=4)["input_ids"] == [[5, 0, 0, 0], [5, 6, 7, 0]]
    assert bert.pad(rows, padding="max_length", max_length=5)["special_tokens_mask"] == [
        [0, 1, 1, 1, 1],
        [0, 0, 0, 1, 1],
    ]
    assert bert.pad(rows, padding_side="left")["input_ids"] == [[0, 0, 5], [5, 6, 7]]
    assert bert.pad(rows, padding=False)["input_ids"] == [[5], [5, 6, 7]]
    bert.padding_side = "left"
    assert bert.pad(rows)["attention_mask"] == [[0, 0, 1], [1, 1, 1]]


def test_pad_one_example(bert: PreTrainedTokenizerFast) -> None:
    batch = bert.pad({"input_ids": [5, 6]}, padding="max_length", max_length=4)
    assert batch == {"input_ids": [5, 6, 0, 0], "attention_mask": [1, 1, 0, 0]}


@pytest.mark.parametrize("make", [list, numpy.array])
def test_pad_to_tensors_keeps_labels(bert: PreTrainedTokenizerFast, make: Any) -> None:
    batch = bert.pad(
        [{"input_ids": make([5]), "labels": 1}, {"input_ids": make([5, 6]), "labels": 2}], return_tensors="np"
    )
    assert batch["input_ids"].tolist() == [[5, 0], [5, 6]]
    assert batch["labels"].tolist() == [1, 2]


def test_pad_gives_back_the_kind_it_got(bert: PreTrainedTokenizerFast) -> None:
    torch = pytest.importorskip("torch")
    rows = [
        {"input_ids": torch.tensor([5]), "labels": torch.tensor(1)},
        {"input_ids": torch.tensor([5, 6]), "labels": torch.tensor(0)},
    ]
    batch = bert.pad(rows)
    assert torch.equal(batch["input_ids"], torch.tensor([[5, 0], [5, 6]]))
    assert torch.equal(batch["labels"], torch.tensor([1, 0]))
    assert batch["attention_mask"].dtype == torch.int64
    assert isinstance(bert.pad({"input_ids": [numpy.array([1])]})["input_ids"], numpy.ndarray)


def test_pad_of_nothing(bert: PreTrainedTokenizerFast) -> None:
    assert bert.pad([]) == {}
    assert bert.pad({"input_ids": []}) == {"input_ids": [], "attention_mask": []}


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        ({"ids": [[1]]}, "expected the key 'input_ids', found"),
        ([{"input_ids": [1]}, {"input_ids": [1], "label": 0}], "item 1 to pad has the keys"),
        ([{"input_ids": [1]}, 5], "item 1 to pad is of type int"),
        (
            {"input_ids": [[1, 2]], "attention_mask": [[1]]},
            r"attention_mask\[0\] has 1 items, but its text has 2 tokens",
        ),
    ],
)
def test_what_cannot_be_padded_is_explained(bert: PreTrainedTokenizerFast, encoded: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        bert.pad(encoded)


def test_labels_of_different_lengths_cannot_become_tensors(bert: PreTrainedTokenizerFast) -> None:
    with pytest.raises(InputError, match="'labels' cannot become one tensor"):
        bert.pad({"input_ids": [[1], [1, 2]], "labels": [[1], [1, 2]]}, return_tensors="np")


def test_prepare_for_model_does_what_a_call_on_the_text_does(bert: PreTrainedTokenizerFast) -> None:
    def ids(text: str) -> list[int]:
        return bert.encode(text, add_special_tokens=False)

    for options in (
        {},
        {"truncation": True, "max_length": 5},
        {"padding": "max_length", "max_length": 12, "truncation": True, "return_special_tokens_mask": True},
        {"add_special_tokens": False},
    ):
        one = bert.prepare_for_model(ids("a b c d"), **options)
        assert dict(one) == dict(bert("a b c d", **options))
        for strategy in ("longest_first", "only_first", "only_second"):
            cut = (
                {**options, "truncation": strategy}
                if "max_length" in options and options["max_length"] > 5
                else options
            )
            two = bert.prepare_for_model(ids("a b c d"), ids("e f g"), **cut)
            assert dict(two) == dict(bert("a b c d", "e f g", **cut))


def test_prepare_for_model_returns_what_was_cut(bert: PreTrainedTokenizerFast) -> None:
    batch = bert.prepare_for_model(
        [5, 6, 7, 8], truncation=True, max_length=4, stride=1, return_overflowing_tokens=True, return_length=True
    )
    assert batch["input_ids"] == [2, 5, 6, 3]
    assert batch["overflowing_tokens"] == [6, 7, 8]
    assert batch["num_truncated_tokens"] == 2
    assert batch["length"] == 4


def test_truncate_sequences(bert: PreTrainedTokenizerFast) -> None:
    assert bert.truncate_sequences([1, 2, 3, 4], num_tokens_to_remove=2) == ([1, 2], None, [3, 4])
    assert bert.truncate_sequences([1, 2, 3, 4], num_tokens_to_remove=2, stride=1) == ([1, 2], None, [2, 3, 4])
    assert bert.truncate_sequences([1, 2, 3, 4], [5, 6], 3) == ([1, 2], [5], [])
    assert bert.truncate_sequences([1, 2], [5, 6, 7], 1, "only_second") == ([1, 2], [5, 6], [7])
    assert bert.truncate_sequences([1, 2], [5], 0) == ([1, 2], [5], [])
    bert.truncation_side = "left"
    assert bert.truncate_sequences([1, 2, 3, 4], num_tokens_to_remove=3) == ([4], None, [1, 2, 3])
    with pytest.raises(InputError, match="cannot remove 4 tokens from a text of 2"):
        bert.truncate_sequences([1, 2], [5], 4, "only_first")
    with pytest.raises(InputError, match="needs a pair"):
        bert.truncate_sequences([1, 2], None, 1, "only_second")


def test_labels_that_are_numbers_with_a_point_become_single_precision(bert: PreTrainedTokenizerFast) -> None:
    torch = pytest.importorskip("torch")
    batch = bert.pad([{"input_ids": [5], "labels": 0.5}, {"input_ids": [5, 6], "labels": 1.0}], return_tensors="pt")
    assert batch["labels"].dtype == torch.float32
