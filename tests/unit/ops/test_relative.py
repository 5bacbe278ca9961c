"""Buckets of distances."""

import math

import torch

from madang.ops.relative import distances, log_buckets, t5_buckets

FAR = torch.arange(-40, 41)


def test_distances_are_counted_from_the_last_queries():
    assert distances(2, 4, torch.device("cpu")).tolist() == [[-2, -1, 0, 1], [-3, -2, -1, 0]]


def test_near_distances_have_a_bucket_each_and_far_ones_share():
    buckets = t5_buckets(FAR, 8, 16, bidirectional=False)
    near = dict(zip(FAR.tolist(), buckets.tolist(), strict=True))
    assert [near[-distance] for distance in range(4)] == [0, 1, 2, 3]
    assert near[-16] == near[-40] == 7
    assert {near[distance] for distance in range(41)} == {0}, "tokens to come share the bucket of distance 0"
    assert list(buckets) == sorted(buckets, reverse=True)


def test_both_directions_have_buckets_of_their_own():
    buckets = dict(zip(FAR.tolist(), t5_buckets(FAR, 8, 16, bidirectional=True).tolist(), strict=True))
    before, after = {buckets[-distance] for distance in range(1, 41)}, {buckets[distance] for distance in range(1, 41)}
    assert before == {1, 2, 3}
    assert after == {5, 6, 7}
    assert buckets[0] == 0


def test_steps_of_far_buckets_are_logarithmic():
    def by_hand(distance):
        if distance < 16:
            return distance
        return min(31, 16 + int(math.log(distance / 16) / math.log(128 / 16) * 16))

    away = torch.tensor([*range(1, 16), 17, 20, 27, 40, 66, 100, 127, 200])
    assert t5_buckets(-away, 32, 128, bidirectional=False).tolist() == [by_hand(distance) for distance in away.tolist()]


def test_deberta_squeezes_far_distances_and_keeps_their_sign():
    squeezed = log_buckets(FAR, 8, 32)
    assert squeezed[40 - 4 : 40 + 5].tolist() == list(range(-4, 5))
    assert torch.equal(squeezed.flip(0), -squeezed)
    assert squeezed.abs().max() <= 8
    assert list(squeezed) == sorted(squeezed)
