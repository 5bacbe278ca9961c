"""Heads and what they are made of."""

import pytest

from madang.blocks.attention import Heads
from madang.errors import ConfigError


def test_heads_divide_the_width_or_have_a_size_of_their_own():
    assert Heads.of(24, 3) == Heads(3, 3, 8)
    assert Heads.of(24, 6, 2) == Heads(6, 2, 4)
    assert Heads.of(24, 5, size=7) == Heads(5, 5, 7)


def test_numbers_that_do_not_divide_are_named():
    with pytest.raises(ConfigError, match=r"hidden_size 24.*num_attention_heads 5"):
        Heads.of(24, 5)
    with pytest.raises(ConfigError, match=r"num_attention_heads 6.*num_key_value_heads 4"):
        Heads.of(24, 6, 4)
