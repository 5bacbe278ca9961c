import pickle
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.datasets import frame
from madang.datasets.frame import Frame, StoredColumn, joined, row_number, row_numbers
from madang.errors import InputError, RowIndexError, UnknownKeyError

# every kind of storage that is gathered in its own way: numbers, lists of equal and of different length, texts, empty
KINDS = {
    "numbers": lambda i: i,
    "pairs": lambda i: [i, -i],
    "ragged": lambda i: [i] * (i % 3),
    "texts": lambda i: f"글{i}",
    "some": lambda i: None if i % 3 == 0 else i,
    "structs": lambda i: {"a": i, "b": [str(i)]},
}


@st.composite
def columns(draw):
    """A column in chunks, and the plain list of its values."""
    make = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    sizes = draw(st.lists(st.integers(0, 5), min_size=1, max_size=4))
    values = [make(i) for i in range(sum(sizes))]
    kind = pa.array([make(i) for i in range(6)]).type
    ends = np.cumsum([0, *sizes])
    chunks = [pa.array(values[start:stop], kind) for start, stop in pairwise(ends)]
    return StoredColumn(pa.chunked_array(chunks, kind)), values


@st.composite
def steps(draw):
    """Choosing and cutting, one after the other, as functions of the number of rows."""
    return draw(
        st.lists(
            st.one_of(
                st.tuples(st.just("chosen"), st.lists(st.integers(0, 2**20), max_size=8)),
                st.tuples(st.just("cut"), st.tuples(st.integers(0, 2**20), st.integers(0, 2**20))),
            ),
            max_size=3,
        )
    )


def applied(column, values, todo):
    for step, numbers in todo:
        count = len(values)
        if step == "chosen":
            places = [number % count for number in numbers] if count else []
            column = column.chosen(np.array(places, dtype=np.int64))
            values = [values[place] for place in places]
        else:
            start, stop = sorted(number % (count + 1) for number in numbers)
            column, values = column.cut(start, stop), values[start:stop]
    return column, values


class TestStoredColumn:
    @given(columns(), steps(), st.data())
    def test_whatever_was_chosen_it_reads_like_a_list(self, made, todo, data):
        column, values = applied(*made, todo)
        assert len(column) == len(values)
        assert column.whole().to_pylist() == values
        start = data.draw(st.integers(0, len(values)))
        stop = data.draw(st.integers(start, len(values)))
        assert column.slice(start, stop).to_pylist() == values[start:stop]
        if values:
            places = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=6))
            assert column.take(np.array(places, dtype=np.int64)).to_pylist() == [values[place] for place in places]
            assert [column.one(place) for place in places] == [values[place] for place in places]

    @given(columns(), steps())
    def test_it_pickles(self, made, todo):
        column, values = applied(*made, todo)
        again = pickle.loads(pickle.dumps(column))
        assert (again.values.type, again.whole().to_pylist()) == (column.values.type, values)

    @given(st.lists(st.tuples(columns(), steps()), min_size=1, max_size=3))
    def test_columns_of_one_type_follow_each_other(self, given_columns):
        made = [applied(*column, todo) for column, todo in given_columns]
        made = [(column, values) for column, values in made if column.values.type == made[0][0].values.type]
        assert joined([column for column, _ in made]).whole().to_pylist() == [v for _, values in made for v in values]

    def test_choosing_and_cutting_copy_nothing(self):
        column = StoredColumn(pa.chunked_array([np.arange(1000)]))
        there = column.values.chunk(0).buffers()[1].address
        assert column.chosen(np.array([5, 3])).values is column.values
        assert column.cut(10, 20).values.chunk(0).buffers()[1].address == there
        assert column.chosen(np.arange(10)).cut(2, 4).values is column.values

    @pytest.mark.parametrize("few", [lambda c: c.cut(5, 9), lambda c: c.chosen(np.array([7, 5]))])
    def test_a_few_rows_of_many_pickle_small(self, few):
        column = StoredColumn(pa.chunked_array([["x" * 100] * 50_000]))
        data = pickle.dumps(few(column))
        assert len(data) < 5000
        assert pickle.loads(data).whole().to_pylist() == few(column).whole().to_pylist()

    def test_a_whole_column_is_gathered_block_by_block(self, monkeypatch):
        monkeypatch.setattr(frame, "ROWS_GATHERED", 3)
        column = StoredColumn(pa.chunked_array([list("abcdefgh")])).chosen(np.arange(8)[::-1])
        whole = column.whole()
        assert whole.num_chunks == 3
        assert whole.to_pylist() == list("hgfedcba")

    def test_texts_of_more_than_two_gigabytes_are_chosen_in_parts(self, monkeypatch):
        # what counts is that no more than ROWS_GATHERED rows are ever put into one array
        asked = []
        gather = StoredColumn._gather
        monkeypatch.setattr(StoredColumn, "_gather", lambda self, rows: asked.append(len(rows)) or gather(self, rows))
        monkeypatch.setattr(frame, "ROWS_GATHERED", 4)
        StoredColumn(pa.chunked_array([["x"] * 10])).chosen(np.arange(10)).whole()
        assert asked == [4, 4, 2]


class TestFrame:
    def test_columns_have_one_length(self):
        with pytest.raises(InputError, match="'a' 1, 'b' 2"):
            Frame({"a": StoredColumn(pa.chunked_array([[1]])), "b": StoredColumn(pa.chunked_array([[1, 2]]))})

    def test_names_differ(self):
        with pytest.raises(InputError, match=r"more than once: \['a'\]"):
            Frame.from_table(pa.table([[1], [2]], names=["a", "a"]))

    def test_many_small_chunks_are_joined_large_ones_stay(self):
        small = pa.table({"a": pa.chunked_array([[i] for i in range(50)])})
        large = pa.table({"a": pa.chunked_array([np.arange(20_000), np.arange(20_000)])})
        assert Frame.from_table(small).columns["a"].values.num_chunks == 1
        kept = Frame.from_table(large).columns["a"].values
        assert kept.num_chunks == 2
        assert kept.chunk(0).buffers()[1].address == large["a"].chunk(0).buffers()[1].address

    def test_row_numbers_are_written_once_for_all_columns(self):
        table = pa.table({"a": [1, 2, 3], "b": [4, 5, 6]})
        chosen = Frame.from_table(table).chosen(np.array([2, 0])).chosen(np.array([1, 0, 1]))
        assert chosen.columns["a"].rows is chosen.columns["b"].rows
        cut = chosen.cut(0, 2)
        assert cut.columns["a"].rows is cut.columns["b"].rows
        assert cut.table().to_pydict() == {"a": [1, 3], "b": [4, 6]}

    def test_columns_chosen_differently_stay_side_by_side(self):
        one = Frame.from_table(pa.table({"a": [1, 2, 3]})).chosen(np.array([2, 1, 0]))
        both = one.with_columns({"b": StoredColumn(pa.chunked_array([[7, 8, 9]]))})
        assert both.chosen(np.array([0, 2])).table().to_pydict() == {"a": [3, 1], "b": [7, 9]}
        assert both.cut(1, 3).table().to_pydict() == {"a": [2, 1], "b": [8, 9]}

    def test_rows_stay_counted_without_columns(self):
        frame = Frame.from_table(pa.table({"a": [1, 2, 3]})).only([])
        assert (frame.num_rows, frame.cut(0, 2).num_rows, frame.chosen(np.array([0])).num_rows) == (3, 2, 1)

    def test_blocks_cover_all_rows(self):
        frame = Frame.from_table(pa.table({"a": range(7)}))
        assert list(frame.blocks(3)) == [(0, 3), (3, 6), (6, 7)]

    def test_an_unknown_column_names_the_nearest(self):
        with pytest.raises(UnknownKeyError, match=r"Did you mean 'title'\?"):
            Frame.from_table(pa.table({"title": [1]})).column("titel")


class TestRowNumbers:
    @given(st.lists(st.integers(-5, 4)))
    def test_they_count_from_the_end_like_those_of_a_list(self, places):
        values = np.arange(5)
        assert row_numbers(places, 5).tolist() == values[np.array(places, dtype=int)].tolist()
        assert [row_number(place, 5) for place in places] == row_numbers(places, 5).tolist()

    @pytest.mark.parametrize("outside", [5, -6, 2**40])
    def test_outside_is_an_index_error(self, outside):
        with pytest.raises(RowIndexError, match="size 5"):
            row_numbers([0, outside], 5)
        with pytest.raises(IndexError, match="out of bounds for size 5"):
            row_number(outside, 5)

    @pytest.mark.parametrize("given", [[True, False], [0.5], ["a"], [[0, 1], [1, 0]]])
    def test_only_whole_numbers_choose_rows(self, given):
        with pytest.raises(InputError, match="whole numbers"):
            row_numbers(given, 5)
