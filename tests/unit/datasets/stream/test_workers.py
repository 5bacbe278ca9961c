"""Streams in torch's DataLoader."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from madang.datasets.stream import IterableDataset, interleave, split_dataset_by_node

torch_data = pytest.importorskip("torch.utils.data")


def rows(shards: list[int]) -> Iterator[dict[str, int]]:
    for shard in shards:
        for number in range(5):
            yield {"i": 10 * shard + number}


def half(row: dict[str, int]) -> dict[str, int]:
    return {"half": row["i"] // 2}


def made(num_shards: int = 4) -> IterableDataset:
    return IterableDataset.from_generator(rows, gen_kwargs={"shards": list(range(num_shards))})


def loaded(data: Any, workers: int = 2, **options: Any) -> list[Any]:
    return list(torch_data.DataLoader(data, batch_size=None, num_workers=workers, **options))


def test_torch_takes_it_whichever_was_imported_first() -> None:
    assert isinstance(made(), torch_data.IterableDataset)
    program = """
import sys
from madang.datasets.stream import IterableDataset
data = IterableDataset.from_dict({"a": [1, 2]})
assert isinstance(data, IterableDataset) and data.__class__ is IterableDataset
assert "torch" not in sys.modules
import torch.utils.data
assert isinstance(data, torch.utils.data.IterableDataset)
assert [int(row["a"]) for row in torch.utils.data.DataLoader(data)] == [1, 2]
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_batches_are_collated() -> None:
    batches = list(torch_data.DataLoader(made(2), batch_size=4))
    assert [batch["i"].tolist() for batch in batches] == [[0, 1, 2, 3], [4, 10, 11, 12], [13, 14]]


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_share_out_the_shards(context: str) -> None:
    data = made().map(half).shuffle(seed=1, buffer_size=3)
    if context == "spawn":
        data = IterableDataset.from_dict({"i": list(range(20))}, num_shards=4).shuffle(seed=1, buffer_size=3)
    found = loaded(data, multiprocessing_context=context)
    assert sorted(row["i"] for row in found) == sorted(row["i"] for row in data)
    assert len(found) == 20


def test_one_worker_too_many_stays_idle_and_is_mentioned(caplog: pytest.LogCaptureFixture) -> None:
    assert [row["i"] for row in loaded(made(1))] == [0, 1, 2, 3, 4]
    from madang.datasets.stream.workers import say_idle

    with caplog.at_level(logging.WARNING):
        say_idle(1, 2)
    assert "Too many dataloader workers: 2" in caplog.text
    assert "num_workers=1" in caplog.text


@pytest.mark.parametrize(("verb", "count"), [("take", 7), ("skip", 13)])
def test_rows_are_counted_over_all_workers(verb: str, count: int) -> None:
    data = getattr(made(), verb)(7)
    assert len(loaded(data)) == count


def test_workers_mix_differently() -> None:
    same = IterableDataset.from_dict({"i": [*range(50), *range(50)]}, num_shards=2).shuffle(seed=1, buffer_size=50)
    found = [row["i"] for row in loaded(same)]
    assert found[0::2] != found[1::2]


def test_machines_and_workers_together() -> None:
    for shards in (3, 4):
        found = [loaded(split_dataset_by_node(made(shards), rank, 2)) for rank in range(2)]
        assert sorted(row["i"] for part in found for row in part) == sorted(row["i"] for row in made(shards))


def test_workers_that_live_on_see_the_next_epoch() -> None:
    data = made(1).shuffle(seed=3)
    loader = torch_data.DataLoader(data, batch_size=None, num_workers=1, persistent_workers=True)
    first = list(loader)
    assert list(loader) == first
    data.set_epoch(1)
    assert list(loader) != first


class WithState(torch_data.IterableDataset):  # type: ignore[misc, name-defined]
    """What a loader that saves states does: each row with the state of its worker after it."""

    def __init__(self, states: list[str | None]) -> None:
        self.states = states

    def __iter__(self) -> Iterator[tuple[Any, int, str]]:
        data = interleave([made().map(half).shuffle(seed=1, buffer_size=4), made()], seed=2).batch(2)
        number = torch_data.get_worker_info().id
        state = self.states[number]
        if state is not None:
            data.load_state_dict(json.loads(state))
        for row in data:
            yield row, number, json.dumps(data.state_dict())


@pytest.mark.parametrize("stop", [1, 5, 9])
def test_two_workers_are_stopped_and_resumed_twice(stop: int) -> None:
    whole = loaded(WithState([None, None]))
    states: list[str | None] = [None, None]
    found: list[tuple[Any, int]] = []
    for _ in range(2):
        for row, number, state in loaded(WithState(states))[:stop]:
            found.append((row, number))
            states[number] = state
    found += [(row, number) for row, number, _ in loaded(WithState(states))]
    for worker in (0, 1):
        expected = [row for row, number, _ in whole if number == worker]
        assert [row for row, number in found if number == worker] == expected
