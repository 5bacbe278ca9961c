"""Token <-> id, and adding tokens."""

import pytest
from tokenizers import AddedToken

from madang.tokenizers import PreTrainedTokenizerFast


def test_sizes_and_views(bert: PreTrainedTokenizerFast) -> None:
    assert len(bert) == bert.vocab_size == 23
    assert bert.get_vocab()["hello"] == bert.vocab["hello"] == 15
    bert.add_tokens(["new", "newer"])
    assert (len(bert), bert.vocab_size) == (25, 23)
    assert bert.get_vocab()["newer"] == 24
    assert bert.get_added_vocab()["new"] == bert.added_tokens_encoder["new"] == 23
    assert bert.added_tokens_decoder[24].content == "newer"
    assert bool(bert)


def test_tokens_and_ids(bert: PreTrainedTokenizerFast) -> None:
    assert bert.convert_tokens_to_ids("a") == 5
    assert bert.convert_tokens_to_ids(["a", "nobody"]) == [5, bert.unk_token_id]
    assert bert.convert_ids_to_tokens(5) == "a"
    assert bert.convert_ids_to_tokens([2, 5, 3], skip_special_tokens=True) == ["a"]
    assert bert.convert_tokens_to_string(["hello", "##s", "a"]) == "hellos a"
    assert bert.convert_tokens_to_ids(None) is None


def test_an_unknown_token_of_a_tokenizer_without_unknowns_is_none(bert_folder: object) -> None:
    from tests.unit.tokenizers.conftest import klue_backend

    assert PreTrainedTokenizerFast(tokenizer_object=klue_backend()).convert_tokens_to_ids("nobody") is None


def test_added_tokens_are_found_whole_and_only_special_ones_are_skipped(bert: PreTrainedTokenizerFast) -> None:
    assert bert.add_tokens("New") == 1
    assert bert.add_tokens(["new"]) == 1
    assert bert.add_tokens(["New", "a"]) == 0
    assert bert.add_tokens(["<x>"], special_tokens=True) == 1
    assert bert.add_tokens(AddedToken("<y>", rstrip=True)) == 1
    assert bert.convert_ids_to_tokens(bert.encode("a<x>b <y> c"))[1:-1] == ["a", "<x>", "b", "<y>", "c"]
    assert bert.decode(bert.encode("a<x>b<y>"), skip_special_tokens=True) == "a b <y>"


def test_ids_follow_the_order_given_whatever_the_kind(bert: PreTrainedTokenizerFast) -> None:
    bert.add_tokens(
        [AddedToken("<1>"), AddedToken("<2>", special=True), AddedToken("<3>"), AddedToken("<4>", special=True)]
    )
    assert bert.convert_tokens_to_ids(["<1>", "<2>", "<3>", "<4>"]) == [23, 24, 25, 26]
    assert [bert.added_tokens_decoder[number].special for number in range(23, 27)] == [False, True, False, True]


@pytest.mark.parametrize("pair", [False, True])
def test_room_for_text(bert: PreTrainedTokenizerFast, pair: bool) -> None:
    assert bert.num_special_tokens_to_add(pair) == (3 if pair else 2)
    assert bert.max_len_single_sentence == 38
    assert bert.max_len_sentences_pair == 37
