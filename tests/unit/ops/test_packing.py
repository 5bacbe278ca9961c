"""Leaving padding out and putting it back."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from madang.ops.packing import Packed, Padded, choose_layout, texts_in_row


def mask_of(lengths, width, side="right"):
    """1 where there is a token."""
    places = torch.arange(width)
    places = places.flip(0) if side == "left" else places
    return (places < torch.tensor(lengths)[:, None]).long()


BATCHES = st.integers(1, 8).flatmap(
    lambda width: st.tuples(st.lists(st.integers(0, width), min_size=1, max_size=6), st.just(width))
)


@given(BATCHES, st.sampled_from(["right", "left"]))
@settings(max_examples=150, deadline=None)
def test_packed_and_unpacked_is_the_same_on_real_tokens_and_zero_elsewhere(batch, side):
    lengths, width = batch
    mask = mask_of(lengths, width, side)
    layout = choose_layout((len(lengths), width), mask)
    x = torch.randn(len(lengths), width, 3)
    back = layout.unpack(layout.pack(x))
    assert back.shape == x.shape
    assert torch.equal(back[mask.bool()], x[mask.bool()])
    if isinstance(layout, Packed):
        assert not back[~mask.bool()].any()
        assert len(layout.pack(x)) == sum(lengths) == sum(layout.sizes)


@given(BATCHES, st.sampled_from(["right", "left"]))
@settings(max_examples=100, deadline=None)
def test_tokens_of_a_text_stay_neighbours_in_their_order(batch, side):
    lengths, width = batch
    layout = choose_layout((len(lengths), width), mask_of(lengths, width, side))
    if not isinstance(layout, Packed):
        return
    cells = torch.arange(len(lengths) * width).view(len(lengths), width)
    packed, start = layout.pack(cells.unsqueeze(-1)).squeeze(-1), 0
    for row, length in zip(layout.order.tolist(), layout.lengths, strict=True):
        wanted = cells[row][mask_of(lengths, width, side)[row].bool()]
        assert torch.equal(packed[start : start + length], wanted)
        start += length


@given(BATCHES, st.sampled_from(["right", "left"]))
@settings(max_examples=100, deadline=None)
def test_the_first_token_is_that_of_the_text_and_not_of_the_padding(batch, side):
    lengths, width = batch
    mask = mask_of(lengths, width, side)
    layout = choose_layout((len(lengths), width), mask)
    x = torch.randn(len(lengths), width, 2)
    first = layout.first(layout.pack(x))
    for row, length in enumerate(lengths):
        if length:
            assert torch.equal(first[row], x[row][mask[row].bool()][0])
        elif isinstance(layout, Packed):
            assert not first[row].any()


@given(BATCHES, st.data())
@settings(max_examples=60, deadline=None)
def test_a_token_is_found_by_its_column(batch, data):
    lengths, width = batch
    mask = mask_of(lengths, width)
    layout = choose_layout((len(lengths), width), mask)
    x = torch.randn(len(lengths), width, 2)
    columns = torch.tensor([data.draw(st.integers(0, width - 1)) for _ in lengths])
    taken = layout.at(layout.pack(x), columns)
    for row, column in enumerate(columns.tolist()):
        wanted = x[row, column] if mask[row, column] or isinstance(layout, Padded) else torch.zeros(2)
        assert torch.equal(taken[row], wanted)


def test_full_texts_need_no_packing():
    assert choose_layout((2, 3), None) == Padded(2, 3)
    assert choose_layout((2, 3), torch.ones(2, 3)) == Padded(2, 3)


def test_a_hole_inside_a_text_keeps_the_rectangle():
    mask = torch.tensor([[1, 0, 1], [1, 1, 1]])
    layout = choose_layout((2, 3), mask)
    assert isinstance(layout, Padded)
    assert torch.equal(layout.mask, mask.bool())


def test_on_request_nothing_is_packed():
    layout = choose_layout((2, 3), torch.tensor([[1, 1, 0], [1, 1, 1]]), pack=False)
    assert isinstance(layout, Padded)


def test_texts_of_one_length_are_one_run():
    layout = choose_layout((4, 5), mask_of([3, 5, 3, 2], 5))
    assert layout.runs == ((1, 2), (2, 3), (1, 5))
    assert layout.order.tolist() == [3, 0, 2, 1]


def test_packing_lets_gradients_through():
    layout = choose_layout((2, 4), mask_of([4, 2], 4))
    x = torch.randn(2, 4, 3, requires_grad=True)
    layout.unpack(layout.pack(x)).sum().backward()
    assert torch.equal(x.grad, mask_of([4, 2], 4).unsqueeze(-1).expand(-1, -1, 3).float())


@given(st.lists(st.integers(1, 6), min_size=2, max_size=6), st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_texts_of_a_row_are_taken_apart_and_put_together_again(lengths, start):
    positions = torch.cat([torch.arange(start, start + length) for length in lengths])[None]
    row = texts_in_row(positions)
    assert row.lengths == tuple(lengths)
    x = torch.randn(1, sum(lengths), 3)
    apart = row.apart(x)
    assert apart.shape == (len(lengths), max(lengths), 3)
    assert torch.equal(row.mask, mask_of(lengths, max(lengths)))
    assert not apart[row.mask == 0].any()
    assert torch.equal(apart[0, : lengths[0]], x[0, : lengths[0]])
    assert torch.equal(row.together(apart), x)


def test_numbers_of_pairs_stay_within_their_texts():
    row = texts_in_row(torch.tensor([[0, 1, 0]]))
    together = row.pairs_together(torch.arange(1, 17).view(2, 2, 2, 2))
    assert together[0, 1].tolist() == [[5, 6, 0], [7, 8, 0], [0, 0, 13]]


def test_positions_that_do_not_begin_anew_are_one_text():
    for positions in ([0, 1, 2], [4, 5, 6], [0, 1, 3], [3, 2, 1, 0], [0, 1, 2, 1, 2], [7]):
        assert texts_in_row(torch.tensor([positions])) is None
