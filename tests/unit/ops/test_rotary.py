"""Rotary positions and how they are stretched."""

import copy
import math
import pickle

import pytest
import torch

from madang.errors import ConfigError, UnknownNameError
from madang.ops.rotary import Rotary, rotate

SIZE = 8
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


def frequencies(scaling, length=10, base=100.0, trained=64):
    """The angles of position 1."""
    rotary = Rotary(SIZE, base, scaling, trained)
    positions = torch.arange(length)
    cosine, sine = rotary.angles(positions, torch.float64)
    return torch.atan2(sine[1, 0], cosine[1, 0]), (cosine[1, 0] ** 2 + sine[1, 0] ** 2).sqrt()


def plain(base=100.0):
    """base^(-2i/R)."""
    return torch.tensor([base ** (-2 * i / SIZE) for i in range(SIZE // 2)], dtype=torch.float64)


def close(one, other):
    torch.testing.assert_close(one.double(), other.double(), atol=1e-6, rtol=1e-5)


def test_pairs_are_turned_by_their_angle():
    x = torch.randn(5, 3, SIZE)
    cosine, sine = Rotary(SIZE).angles(torch.arange(5), torch.float32)
    turned = rotate(x, cosine, sine)
    for token in range(5):
        for pair in range(SIZE // 2):
            angle = token * 10000.0 ** (-2 * pair / SIZE)
            here, there = x[token, 1, pair], x[token, 1, pair + SIZE // 2]
            close(turned[token, 1, pair], here * math.cos(angle) - there * math.sin(angle))
            close(turned[token, 1, pair + SIZE // 2], there * math.cos(angle) + here * math.sin(angle))


def test_scores_depend_on_the_distance_only():
    query, key = torch.randn(1, SIZE), torch.randn(1, SIZE)
    rotary = Rotary(SIZE)

    def score(here, there):
        (a, b), (c, d) = (rotary.angles(torch.tensor([place]), torch.float32) for place in (here, there))
        return (rotate(query[None], a, b) * rotate(key[None], c, d)).sum()

    close(score(3, 1), score(12, 10))
    assert not torch.isclose(score(3, 1), score(3, 2))


def test_the_rest_of_a_head_is_not_turned():
    x = torch.randn(2, 1, SIZE + 3)
    cosine, sine = Rotary(SIZE).angles(torch.arange(2), torch.float32)
    assert torch.equal(rotate(x, cosine, sine)[..., SIZE:], x[..., SIZE:])


def test_without_scaling_angles_follow_the_base():
    close(frequencies(None)[0], plain())
    close(frequencies({"rope_type": "default"})[0], plain())


@pytest.mark.parametrize("key", ["type", "rope_type"])
def test_linear_divides_positions(key):
    close(frequencies({key: "linear", "factor": 4.0})[0], plain() / 4)


def test_dynamic_changes_only_beyond_the_trained_length():
    scaling = {"rope_type": "dynamic", "factor": 2.0}
    close(frequencies(scaling, 64)[0], plain())
    base = 100.0 * (2.0 * 128 / 64 - 1) ** (SIZE / (SIZE - 2))
    close(frequencies(scaling, 128)[0], plain(base))


def test_llama3_keeps_fast_waves_and_slows_slow_ones():
    found = frequencies({**LLAMA3, "original_max_position_embeddings": 64})[0]
    ratio = plain() / found
    waves = 64 * plain() / (2 * math.pi)
    for wave, slowed in zip(waves.tolist(), ratio.tolist(), strict=True):
        if wave > 4:
            assert slowed == pytest.approx(1, abs=1e-5)
        elif wave < 1:
            assert slowed == pytest.approx(8, abs=1e-4)
        else:
            assert 1 < slowed < 8
    close(frequencies(LLAMA3)[0], found)


def test_yarn_sharpens_scores_by_its_factor():
    _, magnitude = frequencies({"rope_type": "yarn", "factor": 4.0})
    close(magnitude, torch.full((SIZE // 2,), 0.1 * math.log(4) + 1))
    _, magnitude = frequencies({"rope_type": "yarn", "factor": 4.0, "attention_factor": 1.5})
    close(magnitude, torch.full((SIZE // 2,), 1.5))


def test_yarn_takes_its_factor_from_the_lengths_when_it_says_none():
    named = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
    told = {"rope_type": "yarn", "original_max_position_embeddings": 16}
    close(frequencies(named)[0], frequencies(told)[0])


def test_longrope_chooses_its_list_by_the_length_of_the_text():
    scaling = {
        "rope_type": "longrope",
        "short_factor": [1.0, 2.0, 3.0, 4.0],
        "long_factor": [5.0, 6.0, 7.0, 8.0],
        "original_max_position_embeddings": 16,
    }
    short, magnitude = frequencies(scaling, 16)
    close(short, plain() / torch.tensor([1.0, 2.0, 3.0, 4.0]))
    close(frequencies(scaling, 17)[0], plain() / torch.tensor([5.0, 6.0, 7.0, 8.0]))
    close(magnitude, torch.full((4,), math.sqrt(1 + math.log(4) / math.log(16))))
    _, stated = frequencies({**scaling, "factor": 2.0})
    close(stated, torch.full((4,), math.sqrt(1 + math.log(2) / math.log(16))))


def test_angles_stay_exact_in_half_precision():
    positions = torch.tensor([4000])
    half = Rotary(SIZE).angles(positions, torch.bfloat16)[0]
    close(half, Rotary(SIZE).angles(positions, torch.float32)[0].bfloat16())


@pytest.mark.parametrize("kind", ["linear", "dynamic", "yarn", "llama3", "longrope"])
def test_missing_keys_are_named(kind):
    with pytest.raises(ConfigError, match="factor"):
        Rotary(SIZE, scaling={"rope_type": kind})


def test_an_unknown_kind_is_an_error_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'linear'"):
        Rotary(SIZE, scaling={"rope_type": "liner", "factor": 2.0})


def test_copies_are_equal():
    rotary = Rotary(SIZE, 100.0, {"rope_type": "linear", "factor": 2.0}, 64)
    rotary.angles(torch.arange(3), torch.float32)
    assert copy.deepcopy(rotary) == rotary == pickle.loads(pickle.dumps(rotary))
