"""BatchEncoding: a dict that knows where its tokens came from."""

import copy
import pickle

import numpy
import pytest

from madang.errors import InputError
from madang.tokenizers import BatchEncoding, CharSpan, PreTrainedTokenizerFast, TokenSpan


def test_it_is_a_mapping_with_attributes(bert: PreTrainedTokenizerFast) -> None:
    batch = bert("a b")
    assert dict(**batch) == {"input_ids": [2, 5, 6, 3], "token_type_ids": [0] * 4, "attention_mask": [1] * 4}
    assert batch.input_ids is batch["input_ids"]
    assert "labels" not in batch
    batch["labels"] = 1
    assert batch.labels == 1
    assert batch.pop("labels") == 1
    assert list(batch.keys()) == ["input_ids", "token_type_ids", "attention_mask"]
    assert {**batch, "x": 1}["x"] == 1
    assert str(batch) == str(dict(batch))
    with pytest.raises(AttributeError, match="no 'inputs_ids'"):
        _ = batch.inputs_ids
    with pytest.raises(KeyError):
        batch["labels"]


def test_a_number_gives_an_encoding_and_a_slice_rows_of_every_column(bert: PreTrainedTokenizerFast) -> None:
    batch = bert(["a", "b", "c"])
    assert batch[1].ids == [2, 6, 3]
    assert batch[1:]["input_ids"] == [[2, 6, 3], [2, 7, 3]]
    assert len(batch.encodings or []) == 3
    with pytest.raises(InputError, match="not by float"):
        batch[1.5]


def test_tokens_words_and_characters(bert: PreTrainedTokenizerFast) -> None:
    batch = bert("as b", "hellos")
    assert batch.tokens() == ["[CLS]", "a", "##s", "b", "[SEP]", "hello", "##s", "[SEP]"]
    assert batch.word_ids() == batch.words() == [None, 0, 0, 1, None, 0, 0, None]
    assert batch.sequence_ids() == [None, 0, 0, 0, None, 1, 1, None]
    assert batch.n_sequences == 2
    assert batch.token_to_chars(2) == CharSpan(start=1, end=2)
    assert batch.token_to_chars(0) is None
    assert batch.char_to_token(3) == 3
    assert batch.char_to_token(2) is None
    assert batch.char_to_token(0, 5, sequence_index=1) == 6
    assert batch.word_to_chars(0) == CharSpan(0, 2)
    assert batch.word_to_chars(0, 0, sequence_index=1) == CharSpan(0, 6)
    assert batch.word_to_tokens(0) == TokenSpan(start=1, end=3)
    assert batch.token_to_word(3) == 1
    assert batch.token_to_sequence(5) == 1
    assert batch.char_to_word(3) == 1
    assert batch.token_to_word(-2) == 0
    assert batch.word_to_tokens(9) is None
    with pytest.raises(InputError, match="no word 9"):
        batch.word_to_chars(9)


def test_a_second_number_makes_the_first_the_row(bert: PreTrainedTokenizerFast) -> None:
    batch = bert(["a", "hellos b"])
    assert batch.token_to_chars(1, 2) == CharSpan(5, 6)
    assert batch.char_to_token(1, 7) == 3
    assert batch.word_to_tokens(1, 1) == TokenSpan(3, 4)
    assert batch.n_sequences == 1


def test_a_batch_no_tokenizer_made_says_so() -> None:
    batch = BatchEncoding({"input_ids": [[1, 2]]})
    assert batch.encodings is None
    assert not batch.is_fast
    assert batch.n_sequences is None
    with pytest.raises(InputError, match="not made by a tokenizer"):
        batch.tokens()


def test_pickles_and_copies_keep_where_tokens_came_from(bert: PreTrainedTokenizerFast) -> None:
    batch = bert(["a", "as b"], padding=True)
    for twin in (pickle.loads(pickle.dumps(batch)), copy.deepcopy(batch), copy.copy(batch), batch.copy()):
        assert twin == batch
        assert twin.word_ids(1) == [None, 0, 0, 1, None]
        twin["labels"] = [1, 2]
        assert "labels" not in batch


def test_converting_makes_int64_tensors(bert: PreTrainedTokenizerFast) -> None:
    batch = bert(["a", "b"]).convert_to_tensors("np")
    assert batch["input_ids"].dtype == numpy.int64
    row = BatchEncoding({"input_ids": [1, 2]}, tensor_type="np", prepend_batch_axis=True)
    assert row["input_ids"].shape == (1, 2)
    with pytest.raises(InputError, match="'names' cannot become a tensor"):
        BatchEncoding({"names": ["a", "b"]}, tensor_type="np")


def test_moving_to_a_device_moves_tensors_and_leaves_lists(bert: PreTrainedTokenizerFast) -> None:
    torch = pytest.importorskip("torch")
    batch = bert(["a", "b"], return_tensors="pt")
    batch["texts"] = ["a", "b"]
    assert batch.to("meta") is batch
    assert batch.input_ids.device == torch.device("meta")
    assert batch.texts == ["a", "b"]
