"""Stopping after any number of rows and going on from the saved state gives exactly the rest."""

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pyarrow as pa
import pytest

from madang.datasets.stream import IterableDataset, concatenate, interleave, split_dataset_by_node


def generated(shards: list[int]) -> Iterator[dict[str, Any]]:
    for shard in shards:
        for row in range(9):
            yield {"i": 100 * shard + row, "t": f"shard {shard}"}


def tables(shard: int) -> Iterator[pa.Table]:
    for part in range(3):
        rows = [100 * shard + 10 * part + row for row in range(4)]
        yield pa.table({"i": rows, "t": [f"table {part}"] * 4})


def generator() -> IterableDataset:
    return IterableDataset.from_generator(generated, gen_kwargs={"shards": [0, 1, 2]})


def arrow() -> IterableDataset:
    return IterableDataset.from_shards(tables, [3, 4])


def held() -> IterableDataset:
    return IterableDataset.from_dict({"i": list(range(31)), "t": list("abcdefghijklmnopqrstuvwxyzäöüßé")}, num_shards=3)


async def later(row: dict[str, Any]) -> dict[str, Any]:
    return {"n": row["i"] + 1}


def doubled(batch: dict[str, Any]) -> dict[str, Any]:
    return {name: [value for value in values for _ in range(2)] for name, values in batch.items()}


PIPELINES: dict[str, Callable[[IterableDataset], IterableDataset]] = {
    "nothing": lambda data: data,
    "map": lambda data: data.map(lambda row, index: {"n": index}, with_indices=True),
    "async map": lambda data: data.map(later),
    "batched map": lambda data: data.map(lambda b: {"n": [sum(b["i"])] * len(b["i"])}, batched=True, batch_size=4),
    "batched map that makes more rows": lambda data: data.map(doubled, batched=True, batch_size=4),
    "filter": lambda data: data.filter(lambda row: row["i"] % 3),
    "batched filter": lambda data: data.filter(lambda b: [i % 4 > 1 for i in b["i"]], batched=True, batch_size=5),
    "shuffle": lambda data: data.shuffle(seed=3, buffer_size=7),
    "shuffle with a large buffer": lambda data: data.shuffle(seed=3, buffer_size=500),
    "shuffle of one shard at a time": lambda data: data.shuffle(seed=3, buffer_size=5, max_buffer_input_shards=1),
    "interleave": lambda data: interleave([data, arrow()]),
    "interleave by chance": lambda data: interleave([data, arrow()], probabilities=[0.3, 0.7], seed=5),
    "interleave until all end": lambda data: interleave([data, arrow()], stopping_strategy="all_exhausted"),
    "interleave without replacement": lambda data: interleave(
        [data, arrow()], probabilities=[0.6, 0.4], seed=5, stopping_strategy="all_exhausted_without_replacement"
    ),
    "concatenate": lambda data: concatenate([data, arrow()]),
    "concatenate columns": lambda data: concatenate([data, arrow().rename_columns({"i": "j", "t": "u"})], axis=1),
    "batch": lambda data: data.batch(4),
    "batch by column": lambda data: data.batch(by_column="t"),
    "take": lambda data: data.take(11),
    "skip": lambda data: data.skip(6),
    "repeat": lambda data: data.repeat(2),
    "rename": lambda data: data.rename_column("i", "j"),
    "add column": lambda data: data.take(12).add_column("k", list(range(12))),
    "numpy": lambda data: data.with_format("numpy").map(lambda row: {"n": row["i"] + 1}),
    "a node's rows": lambda data: split_dataset_by_node(data, rank=1, world_size=2),
    "many things": lambda data: (
        interleave([data.map(lambda row: {"n": row["i"]}).shuffle(seed=1, buffer_size=6), arrow()], seed=2)
        .filter(lambda row: row["i"] % 5)
        .batch(3)
        .skip(1)
        .repeat(2)
    ),
}


@pytest.mark.parametrize("source", [generator, arrow, held])
@pytest.mark.parametrize("name", PIPELINES)
def test_every_place_can_be_resumed_and_resumed_again(name: str, source: Callable[[], IterableDataset]) -> None:
    def made() -> IterableDataset:
        return PIPELINES[name](source())

    whole = [repr(row) for row in made()]
    assert whole
    for stop in {*range(0, len(whole) + 1, max(1, len(whole) // 12)), len(whole)}:
        data = made()
        before = [repr(row) for row in islice(data, stop)]
        data = continued(made(), data)
        between = [repr(row) for row in islice(data, 3)]
        data = continued(made(), data)
        assert before + between + [repr(row) for row in data] == whole, f"stopped after {stop}"


def continued(fresh: IterableDataset, stopped: IterableDataset) -> IterableDataset:
    """A dataset made anew that goes on where the other one stopped; the state went through a JSON file."""
    fresh.load_state_dict(json.loads(json.dumps(stopped.state_dict())))
    return fresh


def test_a_shuffle_without_a_seed_is_resumed_too() -> None:
    first = held().shuffle(buffer_size=8)
    before = list(islice(first, 10))
    second = continued(held().shuffle(buffer_size=8), first)
    assert sorted(row["i"] for row in [*before, *second]) == list(range(31))


def test_batches_read_with_iter_are_resumed() -> None:
    data = arrow()
    batches = data.iter(5)
    first = [next(batches), next(batches)]
    rest = list(continued(arrow(), data).iter(5))
    assert [*first, *rest] == list(arrow().iter(5))


def test_a_state_counts_for_its_epoch() -> None:
    data = held()
    count = len(list(data))
    data.load_state_dict(data.state_dict())
    assert list(data) == []
    data.set_epoch(1)
    assert len(list(data)) == count


def test_a_state_before_the_first_row_is_the_beginning() -> None:
    assert list(continued(held(), held())) == list(held())


def test_the_state_of_other_verbs_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit the dataset: its stage 'shuffle' needs an entry 'skip'"):
        list(continued(held().shuffle(seed=1), held().map(lambda row: row)))
    stopped = held()
    assert len(list(islice(stopped, 25))) == 25
    fewer = continued(held().shard(3, 0), stopped)
    with pytest.raises(ValueError, match="it stands in shard 2, but there are 1 here"):
        list(fewer)


def test_a_resumed_batched_function_sees_the_same_batches() -> None:
    def packed(batch: dict[str, Any]) -> dict[str, Any]:
        return {"sum": [sum(batch["i"])], "count": [len(batch["i"])]}

    def made() -> IterableDataset:
        return held().map(packed, batched=True, batch_size=6, remove_columns=["i", "t"])

    data = made()
    first = list(islice(data, 2))
    assert [*first, *continued(made(), data)] == list(made())
