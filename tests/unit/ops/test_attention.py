"""Every way of attention against the formula."""

import pytest
import torch

from madang.ops.attention import (
    Bidirectional,
    Causal,
    attend,
    attend_rectangles,
    attention,
    joint_visibility,
    plain_attention,
    repeat_heads,
    with_visibility,
)
from madang.ops.packing import Packed, Padded, choose_layout

# batch 2, tokens 5, query heads 6, key heads 2, head size 8
LENGTHS = (5, 3)


def by_hand(query, key, value, *, causal=False, scale=None, bias=None):
    """One text, (T, H, D): softmax over the keys a query may see, head by head."""
    tokens, heads, size = query.shape
    out = torch.zeros(tokens, heads, value.shape[-1])
    weights = torch.zeros(heads, tokens, len(key))
    for head in range(heads):
        shared = head // (heads // key.shape[1])
        for place in range(tokens):
            scores = (key[:, shared] @ query[place, head]) * (size**-0.5 if scale is None else scale)
            if bias is not None:
                scores = scores + bias[head, place]
            if causal:
                scores[place + 1 + len(key) - tokens :] = -torch.inf
            weights[head, place] = scores.softmax(0)
            out[place, head] = weights[head, place] @ value[:, shared]
    return out, weights


def drawn(heads=6, shared=2):
    """Queries, keys and values of a batch."""
    return torch.randn(2, 5, heads, 8), torch.randn(2, 5, shared, 8), torch.randn(2, 5, shared, 8)


@pytest.mark.parametrize("sees", [Bidirectional(), Causal()])
@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("way", ["packed", "padded", "plain"])
def test_each_text_attends_to_itself_by_the_formula(sees, scale, biased, way):
    mask = (torch.arange(5) < torch.tensor(LENGTHS)[:, None]).long()
    layout = choose_layout((2, 5), mask, pack=way == "packed")
    assert isinstance(layout, Packed if way == "packed" else Padded)
    query, key, value = drawn()
    bias = torch.randn(6, 5, 5) if biased else None
    mixed, weights = attend(
        layout.pack(query),
        layout.pack(key),
        layout.pack(value),
        layout,
        layout,
        sees,
        bias=bias,
        scale=scale,
        plain=way == "plain",
    )
    mixed = layout.unpack(mixed)
    assert mixed.shape == query.shape
    for row, length in enumerate(LENGTHS):
        corner = None if bias is None else bias[:, :length, :length]
        wanted, seen = by_hand(
            query[row, :length],
            key[row, :length],
            value[row, :length],
            causal=isinstance(sees, Causal),
            scale=scale,
            bias=corner,
        )
        torch.testing.assert_close(mixed[row, :length], wanted, atol=1e-6, rtol=1e-5)
        if way == "plain":
            torch.testing.assert_close(weights[row, :, :length, :length], seen, atol=1e-6, rtol=1e-5)
            assert not weights[row, :, :length, length:].any()
    assert (weights is not None) == (way == "plain")


def test_the_last_queries_see_all_keys_before_them():
    query, key, value = drawn()
    for first in (4, 3, 0):
        mixed, _ = attend(query[:, first:], key, value, Padded(2, 5 - first), Padded(2, 5), Causal())
        for row in range(2):
            wanted, _ = by_hand(query[row, first:], key[row], value[row], causal=True)
            torch.testing.assert_close(mixed[row], wanted, atol=1e-6, rtol=1e-5)


def test_packed_queries_attend_to_another_text():
    here = choose_layout((2, 4), torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]]))
    there = choose_layout((2, 5), torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]))
    query, (_, key, value) = torch.randn(2, 4, 6, 8), drawn()
    mixed, _ = attend(here.pack(query), there.pack(key), there.pack(value), here, there, Bidirectional())
    mixed = here.unpack(mixed)
    for row, (queries, keys) in enumerate(((2, 3), (4, 5))):
        wanted, _ = by_hand(query[row, :queries], key[row, :keys], value[row, :keys])
        torch.testing.assert_close(mixed[row, :queries], wanted, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_the_fast_kernel_equals_the_plain_formula(masked):
    query, key, value = (x.transpose(1, 2) for x in drawn())
    mask = torch.rand(2, 1, 5, 5) > 0.3 if masked else None
    if mask is not None:
        mask[..., 0] = True
    wanted, weights = plain_attention(query, key, value, mask=mask)
    torch.testing.assert_close(attention(query, key, value, mask=mask), wanted, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 6, 5))


def test_a_query_that_may_see_nothing_gives_numbers():
    padded = Padded(2, 3, torch.tensor([[False, False, True], [False, False, False]]))
    query, key, value = torch.randn(3, 2, 3, 2, 4).unbind(0)
    for plain in (False, True):
        mixed, _ = attend(query, key, value, padded, padded, Causal(), plain=plain)
        assert torch.isfinite(mixed[0, 2]).all()
        assert torch.isfinite(mixed).all()


def test_shared_heads_are_neighbours():
    x = torch.arange(2.0).view(1, 2, 1, 1)
    assert repeat_heads(x, 6).flatten().tolist() == [0, 0, 0, 1, 1, 1]


def test_dropout_leaves_out_whole_weights():
    query, key, value = (x.transpose(1, 2) for x in drawn())
    out, weights = plain_attention(query, key, value, dropout=1.0)
    assert not out.any()
    assert weights.any()


def test_visibility_joins_padding_and_pattern():
    real = torch.tensor([[True, True, False]])
    causal = Causal().visible(3, 3, torch.device("cpu"))
    assert joint_visibility(None, None, 3) is None
    assert joint_visibility(real, causal, 3)[0, 0].tolist() == [
        [True, False, False],
        [True, True, False],
        [True, True, False],
    ]
    bias = torch.zeros(1, 3, 3)
    assert with_visibility(None, None) is None
    assert with_visibility(bias, None) is bias
    assert (with_visibility(bias, causal)[0][~causal] < -1e30).all()


def test_patterns_are_values():
    assert Causal() == Causal()
    assert Causal() != Bidirectional()
    assert Bidirectional().visible(2, 3, torch.device("cpu")) is None
    assert Causal().visible(1, 3, torch.device("cpu")) is None


@pytest.mark.parametrize("sees", [Bidirectional(), Causal()], ids=lambda sees: type(sees).__name__)
@pytest.mark.parametrize("biased", [False, True])
def test_texts_of_similar_length_in_one_rectangle_see_what_they_see_apart(sees, biased):
    lengths = (2, 3, 3, 5, 9)
    mask = torch.arange(9) < torch.tensor(lengths)[:, None]
    layout = choose_layout((5, 9), mask)
    few = layout.rectangles
    assert len(few.shapes) < len(layout.runs)
    bias = torch.randn(2, 9, 9) if biased else None
    options = {"bias": bias, "scale": None, "dropout": 0.0}
    given = [torch.randn(sum(lengths), 2, 4, requires_grad=True) for _ in range(3)]
    none = (None,) * len(layout.runs)
    apart = attend_rectangles(*given, layout.runs, none, sees, **options)
    wanted = torch.autograd.grad(apart.square().sum(), given)
    spread = [few.spread(x) for x in given]
    together = few.gather(attend_rectangles(*spread, few.shapes, few.hiding, sees, **options))
    torch.testing.assert_close(together, apart)
    torch.testing.assert_close(torch.autograd.grad(together.square().sum(), given), wanted)


def test_long_texts_stay_apart():
    mask = torch.arange(90) < torch.tensor([80, 85, 90])[:, None]
    assert choose_layout((3, 90), mask).rectangles is None
