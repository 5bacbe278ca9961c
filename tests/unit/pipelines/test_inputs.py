"""What people pass: one, many, a source; and where in it something is wrong."""

import itertools

import numpy as np
import pytest

from madang.datasets import Dataset
from madang.errors import InputError
from madang.pipelines.inputs import (
    Chunk,
    in_chunks,
    is_many,
    is_source,
    list_in_chunks,
    read_many,
    read_source,
    texts_of,
)


class Keyed:
    """A dataset by number, as torch has them."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return f"text {index}"


@pytest.mark.parametrize("many", [["a"], ("a", "b"), np.array(["a", "b"]), Dataset.from_dict({"t": ["a"]})["t"], []])
def test_sequences_in_memory_are_many(many):
    assert is_many(many)
    assert list(read_many(many)) == list(many)


@pytest.mark.parametrize("other", ["a", {"text": "a"}, (x for x in "ab"), Dataset.from_dict({"t": ["a"]}), Keyed(), 3])
def test_a_text_and_a_source_are_not_many(other):
    assert not is_many(other)


@pytest.mark.parametrize("source", [(x for x in "ab"), Dataset.from_dict({"t": ["a"]}), Keyed(), iter(["a"])])
def test_generators_and_datasets_are_sources(source):
    assert is_source(source)


def test_a_thing_without_items_is_no_source():
    assert not is_source(3)
    assert not is_source(None)


def test_a_source_read_by_number_ends_at_its_length():
    assert list(read_source(Keyed(), ("text",))) == ["text 0", "text 1", "text 2"]


def test_of_a_dataset_the_column_that_the_task_reads_is_taken():
    rows = Dataset.from_dict({"id": [1, 2], "text": ["a", "b"], "text_pair": ["c", "d"]})
    assert list(read_source(rows, ("text",))) == ["a", "b"]
    assert list(read_source(rows, ("text", "text_pair"))) == [
        {"text": "a", "text_pair": "c"},
        {"text": "b", "text_pair": "d"},
    ]


def test_a_dataset_without_that_column_is_an_error_that_names_its_columns():
    with pytest.raises(InputError, match=r"columns title, label; this task reads text.*dataset\['title'\]"):
        read_source(Dataset.from_dict({"title": ["a"], "label": [0]}), ("text",))


def test_chunks_know_the_numbers_of_their_examples():
    chunks = list(list_in_chunks(list("abcdefg"), 3))
    assert [chunk.items for chunk in chunks] == [list("abc"), list("def"), ["g"]]
    assert chunks[1].name(2) == "input 5"
    assert chunks[1].part([2, 0]).name(1) == "input 3"
    assert Chunk(["a"]).name(0) == "the input"


def test_a_fast_source_is_cut_into_full_chunks():
    chunks = list(in_chunks(iter("abcdefg"), 3, clock=lambda: 0.0))
    assert [len(chunk.items) for chunk in chunks] == [3, 3, 1]
    assert [chunk.name(0) for chunk in chunks] == ["input 0", "input 3", "input 6"]


def test_a_slow_source_is_not_waited_for():
    seconds = itertools.count(0, 1)
    assert [len(chunk.items) for chunk in in_chunks(iter("abc"), 100, clock=lambda: next(seconds))] == [1, 1, 1]


def test_what_is_not_a_text_is_named_with_its_place():
    with pytest.raises(InputError, match=r"input 11 is None; expected a text"):
        texts_of(Chunk(["a", None], range(10, 12)))
    with pytest.raises(InputError, match=r"the input is of type int"):
        texts_of(Chunk([3]))


def test_a_kind_of_str_is_a_text():
    assert texts_of(Chunk([np.str_("a"), "b"])) == ["a", "b"]
