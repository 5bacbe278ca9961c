import logging
import os
import signal
import threading
import time

import numpy as np
import pytest
import torch

from madang.datasets import Dataset, processes
from madang.datasets.processes import WorkerDied, as_bytes, from_bytes
from madang.errors import MadangError


def helper(value):
    """A function of a module that workers cannot import."""
    return value * 2


@pytest.fixture
def data():
    return Dataset.from_dict({"a": list(range(50)), "t": [f"글{i}" for i in range(50)]})


@pytest.fixture
def at_once(monkeypatch):
    """All processes start, however little there is to do."""
    monkeypatch.setattr(processes, "PATIENCE", 0)


@pytest.mark.usefixtures("at_once")
class TestMap:
    def test_rows_come_in_order(self, data):
        mapped = data.map(lambda row: {"b": row["a"] * 2, "pid": os.getpid()}, num_proc=3)
        assert mapped["b"] == [a * 2 for a in range(50)]
        assert os.getpid() not in mapped["pid"]
        assert len(set(mapped["pid"])) > 1

    def test_the_result_is_that_of_one_process(self, data):
        def late(row):
            return {"n": None if row["a"] < 30 else 0.5 if row["a"] > 40 else row["a"], "t": [row["t"]]}

        one, several = data.map(late), data.map(late, num_proc=3)
        assert several.features == one.features
        assert several.to_dict() == one.to_dict()

    def test_batches_may_change_the_number_of_rows(self, data):
        mapped = data.map(
            lambda batch: {"n": np.repeat(batch["a"], 2)},
            batched=True,
            batch_size=7,
            remove_columns=data.column_names,
            num_proc=2,
        )
        assert mapped["n"] == np.repeat(np.arange(50), 2).tolist()

    def test_indices_are_those_of_the_dataset(self, data):
        mapped = data.select(range(20, 50)).map(lambda row, i: {"i": i}, with_indices=True, num_proc=2)
        assert mapped["i"] == list(range(30))

    def test_ranks_have_equal_shares_of_neighbours(self, data):
        mapped = data.map(lambda row, rank: {"rank": rank}, with_rank=True, num_proc=4)
        assert mapped["rank"] == [0] * 13 + [1] * 13 + [2] * 12 + [3] * 12

    def test_filter_uses_them_too(self, data):
        kept = data.filter(lambda row, i: i % 2 and row["a"] > 10, with_indices=True, num_proc=2)
        assert kept["a"] == list(range(11, 50, 2))

    def test_functions_travel_by_value_with_what_they_use(self, data):
        factor = torch.tensor(3)
        mapped = data.map(lambda row: {"b": helper(row["a"]) + int(factor)}, num_proc=2)
        assert mapped["b"] == [helper(a) + 3 for a in range(50)]
        assert data.map(helper_of_rows, num_proc=2)["b"] == [helper(a) for a in range(50)]

    def test_the_format_goes_along(self, data):
        shown = data.with_format("torch", columns=["a"])
        assert shown.map(lambda row: {"b": torch.ones(2) * row["a"]}, num_proc=2)[7]["b"].tolist() == [7.0, 7.0]

    def test_workers_are_where_this_process_is(self, data, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("SAID_LATE", "yes")
        seen = data.take(2).map(
            lambda row: {
                "folder": os.getcwd(),
                "said": os.environ.get("SAID_LATE"),
                "threads": os.environ.get("TOKENIZERS_PARALLELISM"),
            },
            num_proc=2,
        )
        assert seen[0] == {"a": 0, "t": "글0", "folder": str(tmp_path), "said": "yes", "threads": "false"}

    def test_blocks_larger_than_a_pipe_holds_go_both_ways(self):
        data = Dataset.from_dict({"t": ["x" * 2000] * 2000})
        done = []

        def work():
            done.append(data.map(lambda b: {"u": b["t"]}, batched=True, batch_size=250, num_proc=2))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(30)
        assert done, "parent and worker wait for each other"
        assert done[0]["u"] == data["t"]

    def test_arguments_that_make_no_sense(self, data):
        with pytest.raises(ValueError, match="num_proc must be an integer > 0, not -1"):
            data.map(lambda row: {}, num_proc=-1)
        assert data.map(lambda row: {"pid": os.getpid()}, num_proc=0)["pid"] == [os.getpid()] * 50
        assert len(data.take(2).map(lambda row: {"b": 1}, num_proc=8)) == 2


def helper_of_rows(row):
    return {"b": helper(row["a"])}


class Unpicklable(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


@pytest.mark.usefixtures("at_once")
class TestFailing:
    def test_what_the_function_raises_comes_back(self, data):
        with pytest.raises(ZeroDivisionError) as caught:
            data.map(lambda row: {"b": 1 // (row["a"] - 20)}, num_proc=2)
        told = "\n".join(caught.value.__notes__)
        assert "at row 20 of the dataset" in told
        assert "test_processes.py" in told  # the traceback of the other process

    def test_so_does_what_cannot_travel(self, data):
        def fail(row):
            raise Unpicklable("ham", "eggs")

        with pytest.raises(Exception, match="ham and eggs"):
            data.map(fail, num_proc=2)

    def test_a_function_that_cannot_travel_is_said_to_be_so(self, data):
        lock = threading.Lock()
        with pytest.raises(TypeError, match=r"cannot pickle '_thread.lock'"):
            data.map(lambda row: {"b": lock.locked()}, num_proc=2)

    @pytest.mark.parametrize("place", [0, 30])
    def test_a_process_that_is_killed_is_named_soon(self, data, place):
        def die(row):
            if row["a"] == place:
                os.kill(os.getpid(), signal.SIGKILL)
            return {"b": 1}

        began = time.monotonic()
        with pytest.raises(
            RuntimeError, match=r"process \d \(of num_proc\), was killed by signal 9 \(SIGKILL\)"
        ) as told:
            data.map(die, num_proc=2)
        assert time.monotonic() - began < 10
        assert isinstance(told.value, WorkerDied)
        assert isinstance(told.value, MadangError)

    def test_what_cannot_be_sent_back_is_an_error_of_the_function(self, data):
        with pytest.raises(TypeError, match="the key 7"):
            data.map(lambda row: {7: 1}, num_proc=2)

    def test_a_process_that_exits_is_named(self, data):
        with pytest.raises(WorkerDied, match="ended with status 7"):
            data.map(lambda row: os._exit(7), num_proc=2)

    def test_nothing_goes_on_after_an_error(self, data, tmp_path):
        def slow(row):
            (tmp_path / str(os.getpid())).touch()
            if row["a"] == 0:
                raise ValueError
            time.sleep(30)

        with pytest.raises(ValueError):
            data.map(slow, num_proc=2)
        for path in tmp_path.iterdir():
            with pytest.raises(ProcessLookupError):
                os.kill(int(path.name), 0)

    def test_the_next_map_works(self, data):
        with pytest.raises(WorkerDied):
            data.map(lambda row: os._exit(7), num_proc=2)
        assert data.map(lambda row: {"b": 1}, num_proc=2)["b"] == [1] * 50


class TestWhatPays:
    def test_little_work_is_done_by_one_and_that_is_said(self, data, caplog, monkeypatch):
        monkeypatch.setattr(processes, "PATIENCE", 10)  # this machine may be busy
        with caplog.at_level(logging.INFO, "madang.datasets"):
            mapped = data.map(lambda row: {"pid": os.getpid()}, num_proc=4, desc="Counting")
        assert len(set(mapped["pid"])) == 1
        assert "Counting: one process was done before it paid to start the 4 asked for" in caplog.text

    def test_slow_work_is_done_by_all(self, data):
        def slow(row):
            time.sleep(0.02)
            return {"pid": os.getpid()}

        assert len(set(data.map(slow, num_proc=3)["pid"])) == 3

    def test_many_small_maps_under_torch_do_not_hang(self):
        data = Dataset.from_dict({"a": [1, 2, 3]})
        assert torch.ones(2).sum() == 2
        began = time.monotonic()
        for number in range(50):
            mapped = data.map(lambda row, by: {"b": row["a"] + by}, fn_kwargs={"by": number}, num_proc=4)
            assert mapped["b"] == [1 + number, 2 + number, 3 + number]
        assert time.monotonic() - began < 15

    def test_it_works_while_other_threads_run(self, data):
        stop = threading.Event()
        threads = [threading.Thread(target=stop.wait) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            assert data.map(lambda row: {"b": 1}, num_proc=2)["b"] == [1] * 50
        finally:
            stop.set()


def test_blocks_travel_as_arrow():
    arrays = Dataset.from_dict({"a": [1, 2], "t": ["x", None], "l": [[1], []]})._frame.slice(0, 2)
    again = from_bytes(bytes(as_bytes(arrays)))
    assert again == arrays
    assert from_bytes(bytes(as_bytes({}))) == {}
