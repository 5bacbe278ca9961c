"""Results of `map` and `filter` that are kept in files, and found again."""

import errno
import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from madang import datasets
from madang.datasets import ClassLabel, Dataset, List, Value, cache, load_from_disk
from madang.datasets.dataset import results
from madang.datasets.writer import ArrowWriter
from madang.errors import InputError

ROWS = 2500


@pytest.fixture(autouse=True)
def root(monkeypatch, tmp_path):
    """A cache folder for each test."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_held", {})
    monkeypatch.setattr(cache, "_caching", None)
    monkeypatch.setattr(cache, "_temporary", None)
    yield tmp_path / "cache"
    while cache._held:
        os.close(cache._held.popitem()[1])


@pytest.fixture
def folder(tmp_path):
    Dataset.from_dict({"a": list(range(ROWS)), "t": [f"글{i}" * 20 for i in range(ROWS)]}).save_to_disk(tmp_path / "d")
    return tmp_path / "d"


@pytest.fixture
def data(folder):
    return load_from_disk(folder)


class Counted:
    """How often a function was called, without being part of what it does."""

    def __init__(self, monkeypatch):
        self.blocks = []
        original = results.Collecting.blocks

        def blocks(collecting, given):
            for block in original(collecting, given):
                self.blocks.append(block[1])
                yield block

        monkeypatch.setattr(results.Collecting, "blocks", blocks)

    @property
    def rows(self):
        return sum(self.blocks)


@pytest.fixture
def counted(monkeypatch):
    return Counted(monkeypatch)


def kept(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("cache-"))


def left_over(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def length(row):
    return {"n": len(row["t"])}


class TestReuse:
    def test_the_second_time_nothing_is_computed(self, data, folder, counted):
        first = data.map(length)
        assert counted.rows == ROWS
        second = load_from_disk(folder).map(length)
        assert counted.rows == ROWS
        assert second.to_dict() == first.to_dict()
        assert second.features == first.features
        assert second._fingerprint == first._fingerprint
        assert len(kept(folder)) == 1

    def test_another_process_finds_it(self, data, folder):
        source = """
            import sys
            from madang.datasets import load_from_disk
            def length(row):
                print("called", end="")
                return {"n": len(row["t"])}
            data = load_from_disk(sys.argv[1]).select(range(3))
            data = data.map(length).filter(lambda row: print("asked") or row["a"])
            print("->", data["n"][:])
        """
        said = [run(source, folder).communicate(timeout=60)[0] for _ in range(2)]
        assert said[0].startswith("calledcalledcalled")
        assert said[1] == "-> [40, 40]\n"

    def test_it_survives_other_num_proc(self, data, counted):
        data.map(length, num_proc=2)
        data.map(length)
        data.map(length, num_proc=3)
        assert counted.rows == ROWS

    def test_a_chain_is_found_step_by_step(self, data, folder, counted):
        def chain(begin):
            return begin.map(length).rename_column("n", "m").shuffle(seed=3).map(lambda row: {"k": row["m"] + row["a"]})

        first = chain(data).to_dict()
        assert counted.rows == 2 * ROWS
        assert chain(load_from_disk(folder)).to_dict() == first
        assert counted.rows == 2 * ROWS

    def test_filters_are_kept_too(self, data, folder, monkeypatch):
        first = data.filter(lambda row: row["a"] % 3 == 0)
        monkeypatch.setattr(results, "chosen", None)
        assert (
            load_from_disk(folder).filter(lambda row: row["a"] % 3 == 0)["a"] == first["a"] == list(range(0, ROWS, 3))
        )

    def test_nothing_returned_is_remembered(self, data, folder):
        assert data.map(lambda row: None) is data
        again = load_from_disk(folder)
        assert again.map(lambda row: None) is again

    def test_columns_that_went_stay_away(self, data, folder, counted):
        def renamed(batch):
            batch["u"] = batch.pop("t")
            return batch

        for _ in range(2):
            assert load_from_disk(folder).map(renamed, batched=True).column_names == ["a", "u"]
        assert counted.rows == ROWS

    def test_changed_numbers_of_rows_are_kept(self, folder, counted):
        for _ in range(2):
            twice = load_from_disk(folder).map(
                lambda batch: {"b": batch["a"] * 2}, batched=True, remove_columns=["a", "t"]
            )
            assert (len(twice), twice.column_names) == (2 * ROWS, ["b"])
        assert counted.rows == 2 * ROWS

    def test_features_survive(self, folder):
        label = ClassLabel(names=["even", "odd"])
        for _ in range(2):
            data = load_from_disk(folder)
            wanted = datasets.Features({**data.features, "label": label, "ids": List(Value("int8"))})
            mapped = data.map(lambda row: {"label": row["a"] % 2, "ids": [1]}, features=wanted)
            assert mapped.features == wanted


class TestNoStaleHits:
    def test_whatever_the_function_does_otherwise_counts(self, data, folder):
        def times(factor):
            return lambda row: {"n": row["a"] * factor}

        assert data.map(times(2))["n"][1] == 2
        assert data.map(times(3))["n"][1] == 3
        assert data.map(lambda row, by: {"n": row["a"] * by}, fn_kwargs={"by": 4})["n"][1] == 4
        assert data.map(lambda row, by: {"n": row["a"] * by}, fn_kwargs={"by": 5})["n"][1] == 5

    def test_so_do_the_rows(self, data):
        assert data.select([5, 6]).map(length)["a"] == [5, 6]
        assert data.select([6, 5]).map(length)["a"] == [6, 5]
        assert data.shuffle(seed=1).map(lambda row: {"n": row["a"]})["n"] == data.shuffle(seed=1)["a"]
        assert data.shuffle(seed=2).map(lambda row: {"n": row["a"]})["n"] == data.shuffle(seed=2)["a"]

    def test_so_does_the_file(self, data, folder, tmp_path):
        assert data.map(lambda row: {"n": row["a"]})["n"][0] == 0
        changed = Dataset.from_dict({"a": [-i for i in range(1, ROWS)], "t": ["x"] * (ROWS - 1)})
        changed.save_to_disk(tmp_path / "other")
        for name in os.listdir(tmp_path / "other"):
            os.replace(tmp_path / "other" / name, folder / name)
        assert load_from_disk(folder).map(lambda row: {"n": row["a"]})["n"][0] == -1

    @pytest.mark.parametrize(
        "options",
        [
            {"batched": True, "batch_size": 10},
            {"batched": True, "batch_size": 20},
            {"batched": True, "batch_size": 20, "drop_last_batch": True},
            {"batched": True, "batch_size": 10, "remove_columns": ["t"]},
            {"batched": True, "batch_size": 10, "input_columns": ["a"]},
        ],
    )
    def test_so_do_the_options(self, data, counted, options):
        def either(batch):
            values = batch if isinstance(batch, list) else batch["a"]
            return {"n": [len(values)] * len(values)}

        data = data.take(40)
        data.map(either, batched=True, batch_size=40)
        before = counted.rows
        data.map(either, **options)
        assert counted.rows - before == 40

    def test_so_does_the_format(self, data):
        data = data.take(3)
        assert data.map(lambda row: {"n": type(row["a"]).__name__})["n"][0] == "int"
        assert data.with_format("numpy").map(lambda row: {"n": type(row["a"]).__name__})["n"][0] == "int64"

    def test_map_and_filter_do_not_mix_up(self, data):
        def both(row):
            return {"n": 1} if row["a"] else None

        assert len(data.map(both)) == ROWS
        assert len(data.filter(both)) == ROWS - 1

    def test_names_that_share_a_beginning_are_different(self, data):
        one = data.filter(lambda row: row["a"] % 2 == 0, new_fingerprint="v1.0")
        two = data.filter(lambda row: row["a"] % 2 == 1, new_fingerprint="v1.1")
        assert (one["a"][0], two["a"][0]) == (0, 1)

    def test_what_has_no_key_is_computed_each_time_and_that_is_said(self, data, folder, counted):
        import threading

        lock = threading.Lock()

        def held(row):
            return {"n": lock.locked()}

        for _ in range(2):
            with pytest.warns(UserWarning, match=r"not kept for the next run: .*variable `lock`"):
                assert data.map(held)["n"][0] is False
        assert counted.rows == 2 * ROWS
        assert kept(folder) == []

    def test_a_given_fingerprint_keeps_what_has_no_key(self, data, folder, counted):
        import threading

        lock = threading.Lock()
        for _ in range(2):
            data.map(lambda row: {"n": lock.locked()}, new_fingerprint="mine")
        assert counted.rows == ROWS
        assert kept(folder) == ["cache-mine"]

    @pytest.mark.parametrize("name", ["../x", "a/b", "x" * 65, "a b"])
    def test_a_fingerprint_is_no_path(self, data, name):
        with pytest.raises(InputError, match="names a file"):
            data.map(length, new_fingerprint=name)


class TestOptions:
    def test_in_memory_nothing_is_written(self, folder, counted):
        data = Dataset.from_dict({"a": [1, 2]})
        assert (data.map(lambda row: {"n": 1}).cache_files, data.filter(lambda row: row["a"] + 1).cache_files) == (
            [],
            [],
        )

    def test_keep_in_memory_writes_nothing(self, data, folder):
        mapped = data.map(length, keep_in_memory=True)
        filtered = data.filter(lambda row: row["a"] % 2, keep_in_memory=True)
        assert (kept(folder), mapped["n"][0], len(filtered)) == ([], 40, ROWS // 2)
        assert mapped.cache_files == data.cache_files  # the columns that did not change

    def test_load_from_cache_file_false_computes_anew(self, data, folder, counted):
        data.map(length)
        again = data.map(length, load_from_cache_file=False)
        assert (counted.rows, again["n"][0], len(kept(folder))) == (2 * ROWS, 40, 1)

    def test_disable_caching_leaves_nothing_behind(self, data, folder, counted):
        datasets.disable_caching()
        mapped = data.map(length).filter(lambda row: row["a"] > 5 and row["n"])
        assert (counted.rows, len(mapped), kept(folder)) == (ROWS, ROWS - 6, [])
        data.map(length)
        assert counted.rows == 2 * ROWS
        datasets.enable_caching()
        data.map(length)
        assert len(kept(folder)) == 1

    def test_a_result_that_was_not_kept_survives_a_second_one(self, data):
        datasets.disable_caching()
        one = data.map(lambda row: {"n": 1})
        two = data.map(lambda row: {"n": 2})
        assert (one["n"][5], two["n"][5]) == (1, 2)

    def test_cache_file_name_decides_where(self, data, folder, tmp_path, counted):
        path = tmp_path / "mine.arrow"
        first = data.map(length, cache_file_name=path)
        assert first.cache_files == [{"filename": str(path)}]
        assert Dataset.from_file(path).to_dict() == first.to_dict()
        before = counted.rows
        second = data.with_format("numpy").map(length, cache_file_name=path)
        assert (counted.rows, second["n"][:3].tolist()) == (before, [40, 40, 40])
        assert second.split == data.split
        third = data.map(lambda row: {"n": 7}, cache_file_name=path, load_from_cache_file=False)
        assert (third["n"][0], Dataset.from_file(path)["n"][0]) == (7, 7)
        assert first["n"][0] == 40  # who had read it before goes on

    def test_cache_file_name_of_a_filter(self, data, tmp_path, monkeypatch):
        path = tmp_path / "rows.arrow"
        first = data.filter(lambda row: row["a"] % 5 == 0, cache_file_name=path)
        monkeypatch.setattr(results, "chosen", None)
        assert path.is_file()
        assert data.filter(lambda row: row["a"] % 5 == 0, cache_file_name=path)["a"] == first["a"]

    def test_cleanup_removes_what_this_dataset_does_not_use(self, data, folder):
        one = data.map(length)
        two = one.map(lambda row: {"m": row["n"] + 1})
        data.map(lambda row: {"other": 1})
        data.filter(lambda row: row["a"] % 2)
        assert len(kept(folder)) == 4
        assert two.cleanup_cache_files() == 2
        assert two[0]["m"] == 41
        assert data.cleanup_cache_files() == 2
        assert kept(folder) == []
        assert two[1]["m"] == 41  # its files are mapped
        assert Dataset.from_dict({"a": [1]}).cleanup_cache_files() == 0

    def test_flatten_indices_lays_rows_down_in_a_file(self, data, folder, tmp_path):
        flat = data.shuffle(seed=1).flatten_indices()
        assert flat._indices is None
        assert flat["a"] == data.shuffle(seed=1)["a"]
        assert [file["filename"] for file in flat.cache_files] == [str(folder / name) for name in kept(folder)]
        there = data.shuffle(seed=1).flatten_indices(cache_file_name=tmp_path / "flat.arrow")
        assert there.cache_files == [{"filename": str(tmp_path / "flat.arrow")}]
        assert data.shuffle(seed=1).flatten_indices(keep_in_memory=True).cache_files == []


class TestWhatIsWritten:
    def bytes_of(self, folder):
        return sum(path.stat().st_size for name in kept(folder) for path in (folder / name).rglob("*"))

    def test_one_more_column_writes_that_column(self, data, folder):
        data.map(lambda row: {"n": row["a"]})
        assert ROWS * 8 <= self.bytes_of(folder) < ROWS * 8 + 3000

    def test_a_chain_of_five_writes_five_columns(self, data, folder):
        made = data
        for number in range(5):
            made = made.map(lambda row, name: {name: row["a"]}, fn_kwargs={"name": f"n{number}"})
        assert made.column_names == ["a", "t", "n0", "n1", "n2", "n3", "n4"]
        assert self.bytes_of(folder) < 5 * (ROWS * 8 + 3000)
        assert len(made.cache_files) == 6

    def test_columns_that_stay_are_mapped_from_where_they_were(self, data, folder):
        mapped = data.map(length)
        assert mapped._frame.columns["t"].origins == data._frame.columns["t"].origins
        assert [file["filename"] for file in mapped.cache_files] == [
            str(folder / "data-00000-of-00001.arrow"),
            str(folder / kept(folder)[0] / "data.arrow"),
        ]

    def test_steps_that_choose_rows_write_only_numbers(self, data, folder):
        data.shuffle(seed=1).select(range(100)).sort("a").train_test_split(10, seed=1)
        assert kept(folder) == []
        data.filter(lambda row: row["a"] % 2)
        (name,) = kept(folder)
        assert (folder / name).stat().st_size < ROWS * 8

    def test_results_of_one_folder_stay_in_it(self, data, folder):
        data.map(length).map(lambda row: {"m": 1}).filter(lambda row: row["m"] + row["a"])
        assert len(kept(folder)) == 3


class TestDisasters:
    def test_what_fails_leaves_nothing(self, data, folder):
        with pytest.raises(ZeroDivisionError):
            data.map(lambda row: {"n": 1 // (row["a"] - 2000)})
        with pytest.raises(ZeroDivisionError):
            data.filter(lambda row: 1 // (row["a"] - 2000))
        assert (kept(folder), left_over(folder)) == ([], [])

    @pytest.mark.parametrize("verb", ["map", "filter", "flatten_indices"])
    def test_a_full_disk_is_explained_and_leaves_nothing(self, data, folder, monkeypatch, verb):
        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(ArrowWriter, "_write", full)
        steps = {
            "map": lambda: data.map(length),
            "filter": lambda: data.filter(lambda row: row["a"] % 2),
            "flatten_indices": lambda: data.shuffle(seed=1).flatten_indices(),
        }
        with pytest.raises(OSError, match=f"the disk of {re.escape(str(folder))} is full"):
            steps[verb]()
        assert (kept(folder), left_over(folder)) == ([], [])
        monkeypatch.undo()
        assert len(steps[verb]()) in (ROWS, ROWS // 2)

    @pytest.mark.parametrize("verb", ["map", "generate"])
    def test_a_killed_process_leaves_nothing_that_is_used(self, data, folder, counted, tmp_path, verb):
        source = """
            import os, signal, sys
            from madang.datasets import Dataset, load_from_disk, writer
            writer.BATCH_ROWS = 1
            def length(row):
                if row["a"] == 2000:
                    os.kill(os.getpid(), signal.SIGKILL)
                return {"n": len(row["t"])}
            def rows():
                yield from ({"n": None if i < 1200 else i} for i in range(3000))
                os.kill(os.getpid(), signal.SIGKILL)
            if sys.argv[2] == "map":
                load_from_disk(sys.argv[1]).map(length, new_fingerprint="same")
            else:
                Dataset.from_generator(rows, fingerprint="same")
        """
        process = run(source, folder, verb)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        if verb == "map":
            assert kept(folder) == []
            assert data.map(length, new_fingerprint="same")["n"] == [len(t) for t in data["t"]]
            assert counted.rows == ROWS
        else:
            where = cache.root() / "generator" / "default-same"
            assert left_over(where) != []
            assert Dataset.from_generator(lambda: ({"n": i} for i in range(3)), fingerprint="same")["n"] == [0, 1, 2]
            folder = where
        assert [name for name in left_over(folder) if "incomplete" in name] == []  # nor on the disk

    def test_two_processes_at_once_compute_it_once(self, folder, tmp_path):
        source = """
            import sys, time
            from pathlib import Path
            from madang.datasets import load_from_disk
            def slow(batch):
                time.sleep(0.3)
                with open(sys.argv[2], "a") as log:
                    log.write("x")
                return {"n": [len(t) for t in batch["t"]]}
            data = load_from_disk(sys.argv[1]).map(slow, batched=True, new_fingerprint="same")
            print(len(data), data["n"][5])
        """
        both = [run(source, folder, tmp_path / "log") for _ in range(2)]
        assert [process.communicate(timeout=60)[0] for process in both] == [f"{ROWS} 40\n"] * 2
        assert (tmp_path / "log").read_text() == "xxx"

    def test_results_of_the_same_folder_are_made_at_the_same_time(self, folder, tmp_path):
        """One process must not take what another is writing for the leavings of a dead one."""
        source = """
            import sys, time
            from pathlib import Path
            from madang.datasets import Dataset, writer
            writer.BATCH_ROWS = 1000
            def rows(slow, other):
                for i in range(5000):
                    if slow and i == 2500:
                        Path(sys.argv[1] + ".half").touch()
                        while not Path(sys.argv[1] + ".done").exists():
                            time.sleep(0.01)
                    yield {"n": i}
            if sys.argv[2] == "quick":
                while not Path(sys.argv[1] + ".half").exists():
                    time.sleep(0.01)
            data = Dataset.from_generator(
                rows, gen_kwargs={"slow": sys.argv[2] == "slow", "other": 1}, fingerprint="x", split=sys.argv[2]
            )
            Path(sys.argv[1] + ".done").touch()
            print(data.num_rows, data["n"][4999])
        """
        both = [run(source, tmp_path / "sign", kind) for kind in ("slow", "quick")]
        said = [process.communicate(timeout=60) for process in both]
        assert [out for out, _ in said] == ["5000 4999\n"] * 2, said

    def test_a_folder_that_cannot_be_written(self, data, folder, monkeypatch):
        def refuse(*_, **__):
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr("filelock.FileLock.acquire", refuse)
        with pytest.raises(OSError, match="nothing can be written into"):
            data.map(length)
        assert data.map(length, keep_in_memory=True)["n"][0] == 40


def run(source, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class TestBlocksThatDisagree:
    """What a block does not return comes from before, or is empty; in memory and in a file alike."""

    @pytest.mark.parametrize(
        "function",
        [
            lambda row: {"n": row["a"]} if row["a"] >= 1500 else None,
            lambda row: {"n": row["a"]} if row["a"] >= 1500 else {},
            lambda row: {"n": row["a"]} if row["a"] < 500 else None,
            lambda row: {"a": -row["a"]} if row["a"] >= 1500 else {},
            lambda row: {"a": -row["a"]} if row["a"] < 1500 else {},
            lambda row: {"a": row["a"] + 0.5} if row["a"] >= 1500 else {},
            lambda row: {"a": None} if row["a"] >= 1500 else {},
            lambda row: {"a": "x"} if row["a"] >= 2000 else {"a": "y"},
            lambda row: {"n": None if row["a"] < 1200 else 1 if row["a"] < 2200 else 0.5},
            lambda row: {"n": [] if row["a"] < 1200 else [1] if row["a"] < 2200 else [0.5]},
            lambda row: {"n": {"x": 1} if row["a"] < 1200 else {"y": "b"}},
            lambda row: {"n": 1, "m": 2} if row["a"] % 1000 < 500 else {"m": 3},
            lambda row: {"t": {"x": row["t"]}},
            lambda row: {"t": [row["t"]] if row["a"] < 1500 else []},
        ],
    )
    def test_the_rule_holds(self, data, function):
        def by_hand(row):
            return {**row, **(function(row) or {})}

        names = list(dict.fromkeys(name for row in data for name in by_hand(row)))
        expected = [{name: by_hand(row).get(name) for name in names} for row in data]
        stored, in_memory = data.map(function), data.map(function, keep_in_memory=True)
        assert stored.features == in_memory.features
        assert stored.to_dict() == in_memory.to_dict()
        assert stored.column_names == names
        if "y" not in str(stored.features.get("n")):  # structs are filled up
            assert stored.to_list() == expected

    def test_a_column_that_comes_late_after_others(self, data):
        def late(row):
            return {"n": 1} if row["a"] < 1500 else {"n": 2, "t": "late"}

        mapped = data.map(late)
        assert mapped["t"] == [t if a < 1500 else "late" for a, t in zip(data["a"], data["t"], strict=True)]

    def test_a_column_that_comes_late_from_chosen_rows(self, data):
        chosen = data.select(np.arange(ROWS)[::-1])
        mapped = chosen.map(lambda row: {"t": "late"} if row["a"] < 1000 else {"n": 0})
        assert mapped["t"] == [row["t"] if row["a"] >= 1000 else "late" for row in chosen]

    def test_texts_over_numbers_stay_numbers_when_all_are(self, data, folder):
        for _ in range(2):
            data = load_from_disk(folder)
            if not kept(folder):
                with pytest.warns(UserWarning, match="column 'a' was int64 and came back as text"):
                    made = data.map(lambda row: {"a": str(row["a"])})
            else:
                made = data.map(lambda row: {"a": str(row["a"])})
            assert made.features["a"] == Value("int64")
            assert made["a"] == data["a"]

    def test_texts_over_numbers_stay_texts_when_one_is_none(self, data):
        made = data.map(lambda row: {"a": str(row["a"]) if row["a"] < 2400 else "many"})
        assert made.features["a"] == Value("string")
        assert (made["a"][7], made["a"][2499]) == ("7", "many")


def test_results_are_found_quickly(data):
    data.map(length)
    began = time.perf_counter()
    for _ in range(20):
        data.map(length)
    assert time.perf_counter() - began < 4
