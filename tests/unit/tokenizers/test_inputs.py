"""What people pass as texts."""

from collections.abc import Iterator
from typing import Any

import numpy
import pytest

from madang.errors import InputError
from madang.tokenizers import PreTrainedTokenizerFast
from madang.tokenizers.inputs import read_texts


class Column:
    """Like the column of a data set: texts one after the other, and no list."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]


@pytest.mark.parametrize(
    "make", [list, tuple, Column, iter, numpy.array, lambda items: numpy.array(items, dtype=object)]
)
def test_any_sequence_of_texts_is_a_batch(bert: PreTrainedTokenizerFast, make: Any) -> None:
    assert bert(make(["a", "b c"])) == bert(["a", "b c"])


def test_tables_give_their_columns(bert: PreTrainedTokenizerFast) -> None:
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    assert bert(pandas.Series(["a", "b c"])) == bert(["a", "b c"])
    assert bert(pyarrow.array(["a", "b c"])) == bert(["a", "b c"])
    assert bert(pyarrow.chunked_array([["a"], ["b c"]])) == bert(["a", "b c"])


def test_pairs_come_as_lists_tuples_or_two_columns(bert: PreTrainedTokenizerFast) -> None:
    expected = bert(["a", "b"], ["c", "d"])
    assert expected["token_type_ids"] == [[0, 0, 0, 1, 1]] * 2
    assert bert([["a", "c"], ["b", "d"]]) == expected
    assert bert([("a", "c"), ("b", "d")]) == expected
    assert bert(Column(["a", "b"]), Column(["c", "d"])) == expected
    assert bert("a", "c")["input_ids"] == expected["input_ids"][0]


def test_numpy_text_is_text(bert: PreTrainedTokenizerFast) -> None:
    assert bert([numpy.str_("a")]) == bert(["a"])
    assert bert(numpy.str_("a")) == bert("a")


@pytest.mark.parametrize(
    ("text", "pair", "message"),
    [
        (["a", None], None, r"`text\[1\]` is None"),
        (["a", 3], None, r"`text\[1\]` is of type int \(3\)"),
        (["a", float("nan")], None, r"`text\[1\]` is of type float \(nan\)"),
        ([None, "a"], None, r"`text\[0\]` is None"),
        (5, None, "`text` is of type int"),
        (b"a", None, "`text` is of type bytes"),
        ({"text": "a"}, None, "`text` is of type dict"),
        ([["a", "b", "c"]], None, r"`text\[0\]` has 3 items; a pair has 2.*is_split_into_words=True"),
        ([["a", None]], None, r"`text\[0\]\[1\]` is None"),
        ([("a", "b"), "c"], None, r"`text\[1\]` is of type str"),
        (["a", "b"], ["c"], "`text` has 2 items and `text_pair` has 1"),
        (["a"], "b", "several texts but `text_pair` is one text"),
        (["a"], [None], r"`text_pair\[0\]` is None"),
    ],
)
def test_what_is_not_a_text_is_named_with_its_place(text: Any, pair: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_texts(text, pair, words=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b", "is one str"),
        (["a", None], r"`text\[1\]` is None"),
        ([["a"], "b"], r"`text\[1\]` is a str"),
        ([["a"], ["b", 3]], r"`text\[1\]\[1\]` is of type int"),
    ],
)
def test_what_is_not_a_word_is_named_with_its_place(text: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_texts(text, None, words=True)


def test_a_list_given_is_not_kept(bert: PreTrainedTokenizerFast) -> None:
    texts = ["a", "b"]
    batch = bert(texts)
    texts[0] = "c d e"
    assert batch.tokens(0) == ["[CLS]", "a", "[SEP]"]
