"""Shuffled streams."""

from itertools import islice

import numpy as np
import pytest

from madang.datasets import Dataset
from madang.datasets.stream import IterableDataset


def numbers(count: int, num_shards: int = 1) -> IterableDataset:
    return IterableDataset.from_dict({"i": list(range(count))}, num_shards=num_shards)


def values(data: IterableDataset) -> list[int]:
    return [row["i"] for row in data]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 30, 100, 1000])
def test_every_row_comes_once(size: int) -> None:
    mixed = values(numbers(100, 5).shuffle(seed=1, buffer_size=size))
    assert sorted(mixed) == list(range(100))
    assert mixed != list(range(100))


def test_the_same_seed_gives_the_same_order_and_another_in_each_epoch() -> None:
    data = numbers(50).shuffle(seed=4, buffer_size=20)
    first = values(data)
    assert values(data) == values(numbers(50).shuffle(seed=4, buffer_size=20)) == first
    assert values(numbers(50).shuffle(seed=5, buffer_size=20)) != first
    data.set_epoch(1)
    second = values(data)
    assert second != first
    assert values(data) == second
    data.set_epoch(0)
    assert values(data) == first


def test_a_generator_gives_the_seed_and_is_not_used_up() -> None:
    generator = np.random.default_rng(3)
    first = values(numbers(50).shuffle(generator=generator))
    assert values(numbers(50).shuffle(generator=generator)) == first
    with pytest.raises(ValueError, match="not both"):
        numbers(5).shuffle(seed=1, generator=generator)


def test_without_a_seed_numpys_global_state_decides() -> None:
    np.random.seed(7)
    first, second = values(numbers(50).shuffle()), values(numbers(50).shuffle())
    assert first != second
    np.random.seed(7)
    assert values(numbers(50).shuffle()) == first


def test_rows_move_far_and_in_both_directions() -> None:
    mixed = np.array(values(numbers(3000).shuffle(seed=0, buffer_size=300)))
    moved = mixed - np.arange(3000)
    assert moved.max() > 150
    assert moved.min() < -150
    assert abs(np.corrcoef(mixed[:-1], mixed[1:])[0, 1]) > 0.9  # it is a window, not the whole
    inside = values(numbers(300).shuffle(seed=0, buffer_size=300))
    assert abs(np.corrcoef(inside[:-1], inside[1:])[0, 1]) < 0.2


def test_the_buffer_is_filled_from_several_shards() -> None:
    def shards_of_first_ten(**options: int) -> int:
        return len({i // 10 for i in values(numbers(100, 10).shuffle(seed=1, buffer_size=10, **options).take(10))})

    assert shards_of_first_ten() > 5
    assert shards_of_first_ten(max_buffer_input_shards=1) <= 2
    assert 2 < shards_of_first_ten(max_buffer_input_shards=4) <= 5


def test_shards_are_still_shared_out_one_by_one() -> None:
    mixed = numbers(190, 19).shuffle(seed=42, buffer_size=7)
    assert mixed.num_shards == 19
    parts = [mixed.shard(4, index, contiguous=False) for index in range(4)]
    assert [part.num_shards for part in parts] == [5, 5, 5, 4]
    assert sorted(i for part in parts for i in values(part)) == list(range(190))


@pytest.mark.parametrize("verb", ["take", "skip"])
def test_rows_taken_before_are_mixed_and_stay_the_same_ones(verb: str) -> None:
    chosen = getattr(numbers(30, 5), verb)(11)
    mixed = chosen.shuffle(seed=3)
    assert sorted(values(mixed)) == values(chosen)
    first = values(mixed)
    mixed.set_epoch(1)
    assert sorted(values(mixed)) == values(chosen)
    assert values(mixed) != first


@pytest.mark.parametrize("verb", ["take", "skip"])
def test_rows_taken_of_a_shuffled_stream_are_the_same_in_every_epoch(verb: str) -> None:
    chosen = getattr(numbers(30, 5).shuffle(seed=3, buffer_size=8), verb)(11)
    first = values(chosen)
    chosen.set_epoch(2)
    assert values(chosen) == first
    assert sorted(first) != values(getattr(numbers(30, 5), verb)(11))


def test_groups_are_not_torn_apart() -> None:
    data = IterableDataset.from_dict({"k": ["a"] * 5 + ["b"] * 5}, num_shards=2).batch(by_column="k")
    assert sorted(row["k"][0] + str(len(row["k"])) for row in data.shuffle(seed=0, buffer_size=2)) == ["a5", "b5"]


def test_objects_are_mixed_with_their_rows() -> None:
    data = Dataset.from_dict({"i": list(range(40))}).to_iterable_dataset().map(lambda row: {"j": (row["i"],)})
    assert all(row["j"] == (row["i"],) for row in data.shuffle(seed=1, buffer_size=9))


@pytest.mark.parametrize("option", ["buffer_size", "max_buffer_input_shards"])
def test_sizes_below_one_are_refused(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} must be 1 or more"):
        numbers(3).shuffle(**{option: 0})


def test_an_endless_stream_can_be_mixed() -> None:
    assert len(list(islice(numbers(5).repeat(None).shuffle(seed=1, buffer_size=12), 40))) == 40
