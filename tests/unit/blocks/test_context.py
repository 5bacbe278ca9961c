"""The cache, and what a pass works out once."""

import torch
from torch import nn

from madang.blocks.context import Cache, Context
from madang.ops.packing import Padded
from madang.ops.rotary import Rotary


def test_keys_and_values_are_appended_for_each_attention():
    cache, one, other = Cache(), nn.Identity(), nn.Identity()
    keys, values = torch.randn(2, 90, 3, 4), torch.randn(2, 90, 3, 4)
    for first, last in ((0, 3), (3, 4), (4, 5), (5, 40), (40, 90)):
        for attention, sign in ((one, 1), (other, -1)):
            key, value = cache.extend(attention, sign * keys[:, first:last], sign * values[:, first:last])
            assert torch.equal(key, sign * keys[:, :last])
            assert torch.equal(value, sign * values[:, :last])
        cache.advance(last - first)
    assert cache.length == cache.get_seq_length() == 90


def test_rows_are_reordered():
    cache, attention = Cache(), nn.Identity()
    keys = torch.randn(3, 2, 1, 4)
    cache.extend(attention, keys, keys)
    cache.remember(attention, keys, keys)
    cache.advance(2)
    cache.reorder(torch.tensor([2, 2, 0]))
    more = torch.randn(3, 1, 1, 4)
    key, _ = cache.extend(attention, more, more)
    assert torch.equal(key, torch.cat((keys[[2, 2, 0]], more), 1))
    assert torch.equal(cache.remembered(attention)[0], keys[[2, 2, 0]])
    assert cache.remembered(nn.Identity()) is None


def test_a_cache_does_not_change_what_it_was_given():
    cache, attention = Cache(), nn.Identity()
    keys = torch.randn(1, 2, 1, 4)
    before = keys.clone()
    cache.extend(attention, keys, keys)
    cache.advance(2)
    cache.extend(attention, torch.zeros(1, 1, 1, 4), torch.zeros(1, 1, 1, 4))
    assert torch.equal(keys, before)


def test_angles_are_worked_out_once_for_all_layers():
    context, rotary = Context(Padded(1, 3), torch.arange(3)[None]), Rotary(4)
    assert context.angles(rotary, torch.float32) is context.angles(rotary, torch.float32)
    assert context.angles(rotary, torch.float32) is not context.angles(rotary, torch.bfloat16)
