"""A stream shared out among machines."""

from typing import Any

import pytest

from madang.datasets import Dataset
from madang.datasets.stream import IterableDataset, split_dataset_by_node


def numbers(count: int, num_shards: int = 1) -> IterableDataset:
    return IterableDataset.from_dict({"i": list(range(count))}, num_shards=num_shards)


def values(data: Any) -> list[int]:
    return [row["i"] for row in data]


def test_a_dataset_is_cut_into_neighbouring_rows() -> None:
    data = Dataset.from_dict({"i": list(range(17))})
    parts = [values(split_dataset_by_node(data, rank, 3)) for rank in range(3)]
    assert parts == [list(range(6)), list(range(6, 12)), list(range(12, 17))]
    with pytest.raises(ValueError, match="only support strategy='auto'"):
        split_dataset_by_node(data, 0, 3, strategy="examples")


@pytest.mark.parametrize("shards", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("verb", ["nothing", "shuffle", "unseeded shuffle", "map", "batch"])
def test_every_row_goes_to_one_machine(shards: int, verb: str) -> None:
    data = numbers(40, shards)
    if verb == "shuffle":
        data = data.shuffle(seed=1, buffer_size=7)
    elif verb == "unseeded shuffle":
        data = data.shuffle(buffer_size=7)
    elif verb == "map":
        data = data.map(lambda row: row).filter(lambda row: True)
    if verb == "batch":
        parts = [split_dataset_by_node(data.batch(3), rank, 3) for rank in range(3)]
        assert sorted(i for part in parts for batch in part for i in batch["i"]) == list(range(40))
        return
    parts = [split_dataset_by_node(data, rank, 3) for rank in range(3)]
    assert sorted(i for part in parts for i in values(part)) == list(range(40))
    again = [part.shuffle(buffer_size=4) for part in parts]
    assert sorted(i for part in again for i in values(part)) == list(range(40))
    workers = [part.shard(2, index) for part in parts for index in range(2)]
    assert sorted(i for part in workers for i in values(part)) == list(range(40))


def test_by_shards_when_they_come_out_even_else_by_rows() -> None:
    even = split_dataset_by_node(numbers(12, 6), 1, 3)
    assert (even.num_shards, values(even)) == (2, [2, 3, 8, 9])
    uneven = split_dataset_by_node(numbers(12, 4), 1, 3)
    assert (uneven.num_shards, values(uneven)) == (4, [1, 4, 7, 10])


def test_the_strategy_can_be_chosen() -> None:
    assert values(split_dataset_by_node(numbers(12, 6), 1, 3, strategy="examples")) == [1, 4, 7, 10]
    parts = [split_dataset_by_node(numbers(10, 5), rank, 3, strategy="shards") for rank in range(3)]
    assert [part.num_shards for part in parts] == [2, 2, 1]
    assert values(parts[0]) == [0, 1, 6, 7]
    with pytest.raises(ValueError, match="num_shards=2 is less than world_size=3"):
        split_dataset_by_node(numbers(10, 2), 0, 3, strategy="shards")
    with pytest.raises(ValueError, match="num_shards=1 is less than world_size=3"):
        parts[0].shard(5, 0)
    with pytest.raises(ValueError, match="Invalid strategy"):
        split_dataset_by_node(numbers(10), 0, 3, strategy="invalid")
    with pytest.raises(ValueError, match="rank must be from 0"):
        split_dataset_by_node(numbers(10), 3, 3)


def test_shared_out_twice() -> None:
    once = split_dataset_by_node(numbers(16), 1, 2, strategy="examples")
    assert values(split_dataset_by_node(once, 0, 2)) == [2, 6, 10, 14]
    with pytest.raises(ValueError, match="Cannot change the strategy"):
        split_dataset_by_node(once, 0, 2, strategy="shards")


@pytest.mark.parametrize("verb", ["take", "skip"])
def test_rows_are_counted_before_or_after_sharing_out(verb: str) -> None:
    share = split_dataset_by_node(numbers(30, 10), 1, 2)
    expected = values(share)[5:] if verb == "skip" else values(share)[:5]
    assert values(getattr(share, verb)(5)) == expected
    before = split_dataset_by_node(getattr(numbers(30, 10), verb)(6), 1, 2)
    assert len(values(before)) == (3 if verb == "take" else 12)


def test_machines_get_other_shards_in_the_next_epoch() -> None:
    parts = [split_dataset_by_node(numbers(60, 6).shuffle(seed=2), rank, 2) for rank in range(2)]
    first = [sorted(values(part)) for part in parts]
    for part in parts:
        part.set_epoch(1)
    second = [sorted(values(part)) for part in parts]
    assert first != second
    assert sorted(second[0] + second[1]) == list(range(60))
