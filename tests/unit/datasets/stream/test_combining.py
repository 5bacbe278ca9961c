"""Several streams as one."""

from typing import Any

import numpy as np
import pytest

from madang.datasets import Dataset, Features, Value
from madang.datasets.stream import IterableDataset, concatenate, interleave, split_dataset_by_node


def stream(*values: int, name: str = "a") -> IterableDataset:
    return IterableDataset.from_generator(lambda: ({name: value} for value in values))


def values(data: IterableDataset) -> list[int]:
    return [row["a"] for row in data]


class TestConcatenate:
    def test_rows_one_after_the_other(self) -> None:
        joined = concatenate([stream(1, 2), stream(), stream(3)])
        assert values(joined) == [1, 2, 3]
        assert joined.features == Features({"a": Value("int64")})

    def test_a_missing_column_is_empty(self) -> None:
        joined = concatenate([stream(1), IterableDataset.from_dict({"a": [2], "b": ["x"]})])
        assert list(joined) == [{"a": 1, "b": None}, {"a": 2, "b": "x"}]

    def test_features_that_do_not_agree(self) -> None:
        with pytest.raises(ValueError, match=r"can't be aligned because the key a .*cast_column"):
            concatenate([stream(1), IterableDataset.from_dict({"a": ["x"]})])

    def test_columns_side_by_side(self) -> None:
        joined = concatenate([stream(1, 2, 3), stream(4, 5, name="b")], axis=1)
        assert list(joined) == [{"a": 1, "b": 4}, {"a": 2, "b": 5}, {"a": 3, "b": None}]
        mapped = concatenate([stream(1, 2).map(lambda row: {"c": (row["a"],)}), stream(4, 5, name="b")], axis=1)
        assert list(mapped)[1] == {"a": 2, "c": (2,), "b": 5} or list(mapped)[1] == {"a": 2, "c": [2], "b": 5}
        with pytest.raises(ValueError, match=r"columns \['a'\] are duplicated"):
            concatenate([stream(1), stream(2)], axis=1)

    def test_workers_share_out_each(self) -> None:
        both = concatenate([IterableDataset.from_dict({"a": list(range(6))}, num_shards=shards) for shards in (2, 3)])
        assert both.num_shards == 2
        assert sorted(values(both.shard(2, 0)) + values(both.shard(2, 1))) == sorted([*range(6), *range(6)])
        beside = concatenate([stream(1, 2), stream(3, 4, name="b")], axis=1)
        assert (beside.num_shards, len(list(beside.shard(2, 0))), list(beside.shard(2, 1))) == (1, 2, [])

    def test_shuffling_mixes_all(self) -> None:
        both = concatenate([IterableDataset.from_dict({"a": list(range(n, n + 10))}, num_shards=2) for n in (0, 10)])
        mixed = values(both.shuffle(seed=1, buffer_size=3))
        assert sorted(mixed) == list(range(20))
        assert mixed != list(range(20))

    def test_a_format_that_all_have_stays(self) -> None:
        shown = concatenate([stream(1).with_format("numpy"), stream(2).with_format("numpy")])
        assert isinstance(next(iter(shown))["a"], np.int64)

    def test_nothing_to_concatenate(self) -> None:
        with pytest.raises(ValueError, match="list of datasets is empty"):
            concatenate([])
        with pytest.raises(ValueError, match="axis is 0"):
            concatenate([stream(1)], axis=2)


class TestInterleave:
    def three(self) -> list[IterableDataset]:
        return [stream(0, 1, 2), stream(10, 11, 12, 13), stream(20, 21, 22, 23, 24)]

    @pytest.mark.parametrize(
        ("stopping", "expected"),
        [
            ("first_exhausted", [0, 10, 20, 1, 11, 21, 2]),
            ("all_exhausted", [0, 10, 20, 1, 11, 21, 2, 12, 22, 0, 13, 23, 1, 10, 24]),
            ("all_exhausted_without_replacement", [0, 10, 20, 1, 11, 21, 2, 12, 22, 13, 23, 24]),
        ],
    )
    def test_in_turn(self, stopping: str, expected: list[int]) -> None:
        assert values(interleave(self.three(), stopping_strategy=stopping)) == expected

    def test_by_chance_as_other_programs_do_for_the_same_seed(self) -> None:
        chances: dict[str, Any] = {"probabilities": [0.5, 0.2, 0.3], "seed": 42}
        expected = [20, 0, 21, 10, 1, 22, 23, 24, 2, 0, 1, 20, 11, 21, 2, 0, 12, 1, 22, 13]
        assert values(interleave(self.three(), stopping_strategy="all_exhausted", **chances)) == expected
        two = [stream(0, 1, 2), stream(10, 11)]
        assert values(interleave(two, probabilities=[0.5, 0.5], seed=42)) == [10, 0, 11]

    @pytest.mark.parametrize("stopping", ["first_exhausted", "all_exhausted", "all_exhausted_without_replacement"])
    def test_a_long_draw_follows_its_rule(self, stopping: str) -> None:
        lengths, chances = [700, 900], [0.4, 0.6]
        streams = [IterableDataset.from_dict({"a": [(number, row) for row in range(length)]}) for number, length in
                   enumerate(lengths)]  # fmt: skip
        mixed = [tuple(row["a"]) for row in interleave(streams, chances, seed=3, stopping_strategy=stopping)]
        taken = [sum(1 for number, _ in mixed if number == source) for source in (0, 1)]
        for source in (0, 1):
            rows = [row for number, row in mixed if number == source]
            assert rows == [row % lengths[source] for row in range(len(rows))]
        if stopping == "first_exhausted":
            assert taken[mixed[-1][0]] == lengths[mixed[-1][0]]
        elif stopping == "all_exhausted":
            assert all(count >= length for count, length in zip(taken, lengths, strict=True))
            assert taken[mixed[-1][0]] == lengths[mixed[-1][0]]
        else:
            assert taken == lengths

    def test_an_empty_stream(self) -> None:
        streams = [stream(1, 2), stream().cast(Features({"a": Value("int64")}))]
        assert values(interleave(streams)) == [1]
        assert values(interleave(streams, stopping_strategy="all_exhausted_without_replacement")) == [1, 2]
        assert values(interleave(streams, stopping_strategy="all_exhausted")) == [1, 2]

    def test_arguments_are_checked(self) -> None:
        with pytest.raises(ValueError, match="unknown stopping strategy 'first'"):
            interleave(self.three(), stopping_strategy="first")
        with pytest.raises(ValueError, match="2 probabilities for 3 datasets"):
            interleave(self.three(), [0.5, 0.5])
        with pytest.raises(ValueError, match="add up to 1"):
            interleave(self.three(), [0.5, 0.5, 0.5])
        with pytest.raises(ValueError, match="would never stop"):
            interleave(self.three(), [0.5, 0.5, 0.0], stopping_strategy="all_exhausted")
        assert values(interleave(self.three(), [1, 0, 0], seed=1)) == [0, 1, 2]

    def test_workers_draw_in_orders_of_their_own(self) -> None:
        many = [IterableDataset.from_dict({"a": [number] * 40}, num_shards=2) for number in range(4)]
        mixed = interleave(many, probabilities=[0.25] * 4, seed=1)
        assert values(mixed.shard(2, 0)) != values(mixed.shard(2, 1))
        assert values(mixed) == values(mixed)


def test_streams_that_were_shared_out_are_put_together_as_a_whole() -> None:
    one = IterableDataset.from_dict({"a": list(range(12))}, num_shards=4)
    other = IterableDataset.from_dict({"a": list(range(100, 112))}, num_shards=3)
    whole = concatenate([one, other])
    for rank in range(3):
        parts = [split_dataset_by_node(part, rank, 3) for part in (one, other)]
        assert values(concatenate(parts)) == values(split_dataset_by_node(whole, rank, 3))
    with pytest.raises(ValueError, match="identically split_by_node"):
        concatenate([split_dataset_by_node(one, 0, 2), other])


def test_a_stream_of_a_table_and_one_of_a_generator() -> None:
    both = interleave([Dataset.from_dict({"a": [1, 2]}).to_iterable_dataset(), stream(5, 6)])
    assert values(both) == [1, 5, 2]
