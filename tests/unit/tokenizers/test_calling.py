"""Columns, padding, truncation and windows of one call."""

from pathlib import Path
from typing import Any

import numpy
import pytest

from madang.errors import InputError
from madang.tokenizers import AutoTokenizer, PreTrainedTokenizerFast

CLS, SEP, PAD = 2, 3, 0
A, B, C = 5, 6, 7


def test_padding_is_to_the_longest_or_to_a_length_rounded_up(bert: PreTrainedTokenizerFast) -> None:
    texts = ["a", "a b c"]
    assert [len(row) for row in bert(texts, padding=True)["input_ids"]] == [5, 5]
    assert [len(row) for row in bert(texts, padding="longest", pad_to_multiple_of=4)["input_ids"]] == [8, 8]
    assert [len(row) for row in bert(texts, padding="max_length", max_length=7)["input_ids"]] == [7, 7]
    assert [len(row) for row in bert(texts, padding="max_length")["input_ids"]] == [40, 40]
    assert [len(row) for row in bert(texts, padding="do_not_pad")["input_ids"]] == [3, 5]


def test_padding_left_by_argument_for_one_call(bert: PreTrainedTokenizerFast) -> None:
    batch = bert(["a", "a b"], padding=True, padding_side="left")
    assert batch["input_ids"] == [[PAD, CLS, A, SEP], [CLS, A, B, SEP]]
    assert batch["attention_mask"] == [[0, 1, 1, 1], [1, 1, 1, 1]]
    assert bert(["a", "a b"], padding=True)["input_ids"][0] == [CLS, A, SEP, PAD]


def test_every_column_is_padded_with_its_own_value(bert: PreTrainedTokenizerFast) -> None:
    batch = bert(
        ["a", "a b"],
        padding=True,
        return_special_tokens_mask=True,
        return_offsets_mapping=True,
        return_length=True,
    )
    assert list(batch) == [
        "input_ids",
        "token_type_ids",
        "attention_mask",
        "special_tokens_mask",
        "offset_mapping",
        "length",
    ]
    assert batch["special_tokens_mask"] == [[1, 0, 1, 1], [1, 0, 0, 1]]
    assert batch["offset_mapping"] == [[(0, 0), (0, 1), (0, 0), (0, 0)], [(0, 0), (0, 1), (2, 3), (0, 0)]]
    assert batch["length"] == [4, 4]


def test_columns_can_be_asked_for_and_left_out(bert: PreTrainedTokenizerFast, gpt2: PreTrainedTokenizerFast) -> None:
    assert list(bert("a", return_token_type_ids=False, return_attention_mask=False)) == ["input_ids"]
    assert gpt2("he", "ll", return_token_type_ids=True)["token_type_ids"] == [0, 1]


@pytest.mark.parametrize(
    "options", [{}, {"padding": True}, {"padding": "max_length"}, {"padding": True, "padding_side": "left"}]
)
@pytest.mark.parametrize("cut", [{}, {"truncation": True, "max_length": 5}])
def test_many_texts_at_once_give_what_each_gives_alone(
    bert: PreTrainedTokenizerFast, options: dict[str, Any], cut: dict[str, Any]
) -> None:
    texts = ["a b c d e f", "", "hello , it ' s", "a"]
    batch = bert(texts, return_special_tokens_mask=True, **options, **cut)
    exact = bert(texts, return_special_tokens_mask=True, return_offsets_mapping=True, **options, **cut)
    length = {"max_length": len(batch["input_ids"][0]), "padding": "max_length"} if "padding" in options else {}
    for row, text in enumerate(texts):
        alone = bert(text, return_special_tokens_mask=True, **{**options, **cut, **length})
        assert {key: value[row] for key, value in batch.items()} == dict(alone)
        assert batch.tokens(row) == exact.tokens(row) == alone.tokens()
        assert batch.word_ids(row) == exact.word_ids(row) == alone.word_ids()


def test_tensors_are_int64_and_hold_what_the_lists_hold(bert: PreTrainedTokenizerFast) -> None:
    texts = ["a b c d", "a", "hello world"]
    for options in (
        {"padding": True},
        {"padding": "max_length", "max_length": 9},
        {"padding": True, "padding_side": "left"},
    ):
        lists = bert(texts, return_special_tokens_mask=True, return_length=True, **options)
        arrays = bert(texts, return_special_tokens_mask=True, return_length=True, return_tensors="np", **options)
        for key, value in arrays.items():
            assert value.dtype == numpy.int64
            assert value.tolist() == lists[key]


def test_torch_tensors(bert: PreTrainedTokenizerFast) -> None:
    torch = pytest.importorskip("torch")
    batch = bert(["a", "a b"], padding=True, return_tensors="pt")
    assert batch.input_ids.dtype == torch.int64
    assert batch.input_ids.tolist() == [[CLS, A, SEP, PAD], [CLS, A, B, SEP]]
    assert bert("a", return_tensors="pt")["input_ids"].shape == (1, 3)
    offsets = bert(["a"], return_tensors="pt", return_offsets_mapping=True)["offset_mapping"]
    assert offsets.shape == (1, 3, 2)


def test_tensors_of_different_lengths_say_to_pad(bert: PreTrainedTokenizerFast) -> None:
    with pytest.raises(InputError, match=r"'input_ids'.*3 to 5 items.*padding=True"):
        bert(["a", "a b c"], return_tensors="np")
    with pytest.raises(InputError, match="rows have 4 to 7"):
        bert(["a", "a b c d e"], return_tensors="np", padding="max_length", max_length=4, truncation=False)


def test_no_texts_give_empty_columns(bert: PreTrainedTokenizerFast) -> None:
    assert bert([]) == {"input_ids": [], "token_type_ids": [], "attention_mask": []}
    assert bert([], padding=True, return_tensors="np")["input_ids"].shape == (0, 0)
    assert bert([], padding="max_length", max_length=4, truncation=True)["input_ids"] == []
    assert bert([], return_overflowing_tokens=True, truncation=True, max_length=4)["overflow_to_sample_mapping"] == []


def test_truncation_counts_special_tokens(bert: PreTrainedTokenizerFast) -> None:
    assert bert("a b c", truncation=True, max_length=4)["input_ids"] == [CLS, A, B, SEP]
    assert bert("a b c", truncation=True, max_length=2, add_special_tokens=False)["input_ids"] == [A, B]
    assert bert("a b c", truncation=True, max_length=2)["input_ids"] == [CLS, SEP]


def test_truncation_of_pairs(bert: PreTrainedTokenizerFast) -> None:
    def cut(strategy: str) -> list[str]:
        return bert("a b c d", "e f g", truncation=strategy, max_length=8).tokens()

    assert cut("longest_first") == ["[CLS]", "a", "b", "c", "[SEP]", "e", "f", "[SEP]"]
    assert cut("only_first") == ["[CLS]", "a", "b", "[SEP]", "e", "f", "g", "[SEP]"]
    assert cut("only_second") == ["[CLS]", "a", "b", "c", "d", "[SEP]", "e", "[SEP]"]


def test_truncation_on_the_left(bert_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(bert_folder, truncation_side="left")
    assert tokenizer("a b c", truncation=True, max_length=4)["input_ids"] == [CLS, B, C, SEP]


def test_windows_overlap_and_name_their_text(bert: PreTrainedTokenizerFast) -> None:
    batch = bert(
        ["a b c d e", "a"],
        truncation=True,
        max_length=5,
        stride=1,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        padding=True,
    )
    assert batch["overflow_to_sample_mapping"] == [0, 0, 1]
    assert [batch.tokens(row) for row in range(3)] == [
        ["[CLS]", "a", "b", "c", "[SEP]"],
        ["[CLS]", "c", "d", "e", "[SEP]"],
        ["[CLS]", "a", "[SEP]", "[PAD]", "[PAD]"],
    ]
    assert batch["offset_mapping"][1] == [(0, 0), (4, 5), (6, 7), (8, 9), (0, 0)]


def test_windows_over_the_second_text_keep_the_question(bert: PreTrainedTokenizerFast) -> None:
    batch = bert("a b", "c d e f g", truncation="only_second", max_length=8, stride=1, return_overflowing_tokens=True)
    assert [batch.tokens(row)[1:3] for row in range(2)] == [["a", "b"]] * 2
    assert [batch.tokens(row)[4:7] for row in range(2)] == [["c", "d", "e"], ["e", "f", "g"]]
    assert batch.sequence_ids(1) == [None, 0, 0, None, 1, 1, 1, None]
    assert batch["overflow_to_sample_mapping"] == [0, 0]


def test_windows_as_tensors(bert: PreTrainedTokenizerFast) -> None:
    options = {"truncation": True, "max_length": 4, "return_overflowing_tokens": True, "padding": True}
    batch = bert(["a b c", "a"], return_tensors="np", **options)
    assert batch["input_ids"].shape == (3, 4)
    assert batch["overflow_to_sample_mapping"].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"truncation": True, "max_length": 1}, "leaves no room: 2 special tokens"),
        ({"truncation": True, "max_length": 5, "stride": 3}, "stride=3 has to be smaller than the 3 tokens"),
        ({"truncation": "only_second", "max_length": 3}, "truncation='only_second' cannot"),
        ({"max_length": 0}, "max_length=0"),
        ({"padding": True, "truncation": True, "max_length": 9, "pad_to_multiple_of": 4}, "not a multiple"),
    ],
)
def test_impossible_lengths_are_explained(bert: PreTrainedTokenizerFast, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        bert("a b c d", **options)


def test_a_first_text_that_leaves_no_room_for_the_stride_is_explained(bert: PreTrainedTokenizerFast) -> None:
    with pytest.raises(InputError, match="stride=3 is too large"):
        bert("a b", "c d e f g h", truncation="only_second", max_length=8, stride=3, return_overflowing_tokens=True)


def test_words_given_apart_keep_their_numbers(bert: PreTrainedTokenizerFast) -> None:
    batch = bert([["as", "b"], ["hellos"]], is_split_into_words=True)
    assert [batch.tokens(row) for row in range(2)] == [
        ["[CLS]", "a", "##s", "b", "[SEP]"],
        ["[CLS]", "hello", "##s", "[SEP]"],
    ]
    assert [batch.word_ids(row) for row in range(2)] == [[None, 0, 0, 1, None], [None, 0, 0, None]]
    single = bert(["as", "b"], is_split_into_words=True)
    assert single["input_ids"] == batch["input_ids"][0]
    pair = bert(["a"], ["b", "c"], is_split_into_words=True)
    assert pair.tokens() == ["[CLS]", "a", "[SEP]", "b", "c", "[SEP]"]
    pairs = bert([["a"]], [["b", "c"]], is_split_into_words=True)
    assert pairs["input_ids"] == [pair["input_ids"]]


def test_where_tokens_came_from_is_known_later_but_not_after_the_vocabulary_grew(bert: PreTrainedTokenizerFast) -> None:
    batch = bert(["a b", "c"], padding=True)
    assert batch.tokens(1) == ["[CLS]", "c", "[SEP]", "[PAD]"]
    other = bert(["a b", "c"])
    bert.add_tokens(["zz"])
    assert batch.tokens(0) == ["[CLS]", "a", "b", "[SEP]"]
    with pytest.raises(InputError, match="got new tokens"):
        other.tokens(0)


def test_half_a_character_is_named(bert: PreTrainedTokenizerFast) -> None:
    with pytest.raises(InputError, match=r"`text\[1\]` cannot be written as UTF-8"):
        bert(["a", "b \ud800"])


def test_words_given_apart_to_a_tokenizer_that_would_join_them_bring_a_warning(gpt2_folder: Path) -> None:
    with pytest.warns(UserWarning, match="add_prefix_space=True"):
        AutoTokenizer.from_pretrained(gpt2_folder)(["he", "he"], is_split_into_words=True)
    spaced = AutoTokenizer.from_pretrained(gpt2_folder, add_prefix_space=True)
    assert spaced(["he", "he"], is_split_into_words=True).tokens() == ["Ġhe", "Ġhe"]
