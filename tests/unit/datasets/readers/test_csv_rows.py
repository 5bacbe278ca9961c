import random

import pytest

from madang.datasets.readers.csv_rows import _end, _end_by_state, cut


def pieces(data, size):
    return list(cut((data[at : at + size] for at in range(0, len(data), size)), ",", '"', None))


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_every_piece_begins_and_ends_with_a_row(size):
    data = b'a,b\n"x\ny",1\n2,"say ""hi""\n"\n3,4\n'
    found = pieces(data, size)
    assert b"".join(found) == data
    for count in range(1, len(found)):
        begin = b"".join(found[:count])
        assert _end_by_state(begin, ",", '"', "", True) == len(begin)


def test_the_quick_way_equals_the_exact_one():
    random.seed(1)
    signs = ["a", '"', ",", "\n", '""', " ", "\r\n"]
    for _ in range(3000):
        data = "".join(random.choice(signs) for _ in range(random.randrange(40))).encode()
        assert _end(data, ",", '"', "", True) == _end_by_state(data, ",", '"', "", True), data


def test_an_escaped_quote_does_not_end_a_cell():
    data = b'"a\\"\nb",1\n2'
    assert _end(data, ",", '"', "\\", False) == len(data) - 1


def test_empty_lines_at_the_end_are_no_row():
    assert pieces(b"a\n1\n\r\n\n", 4) == [b"a\n1\n", b"\r\n\n"] or b"".join(pieces(b"a\n1\n\r\n\n", 4)).startswith(
        b"a\n1\n"
    )
