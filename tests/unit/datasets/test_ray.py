"""engine="ray": blocks worked on by a cluster, here of one machine."""

import os
import sys

import pytest

from madang.datasets import Dataset
from madang.datasets import ray as on_ray
from madang.errors import InputError

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.loopback,
    # of Ray's own
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """Two processors of this machine."""
    import warnings

    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=200 << 20,
            _node_ip_address="127.0.0.1",
            runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}},
        )
        yield
        ray.shutdown()


@pytest.fixture
def data():
    return Dataset.from_dict({"a": list(range(2500)), "t": [f"글{i}" for i in range(2500)]})


def test_rows_come_in_order_from_other_processes(data):
    mapped = data.map(lambda row: {"n": row["a"] * 2, "pid": os.getpid()}, engine="ray")
    assert mapped["n"] == [a * 2 for a in range(2500)]
    assert os.getpid() not in mapped["pid"]
    assert mapped["t"] == data["t"]


def test_it_is_what_one_process_makes(data, monkeypatch):
    monkeypatch.setattr(on_ray, "WINDOW", 2)  # several rounds

    def late(batch):
        return {"n": [None if a < 1200 else a for a in batch["a"]], "l": [[a] for a in batch["a"]]}

    one, there = (data.map(late, batched=True, batch_size=400, engine=engine) for engine in (None, "ray"))
    assert (there.features, there.to_dict()) == (one.features, one.to_dict())


def test_functions_that_wait_and_those_that_return_nothing(data):
    async def slow(row):
        return {"n": row["a"]}

    assert data.take(5).map(slow, engine="ray")["n"] == [0, 1, 2, 3, 4]
    assert data.take(5).map(lambda row: None, engine="ray").column_names == ["a", "t"]


def test_what_the_function_raises_comes_back(data):
    with pytest.raises(ZeroDivisionError) as caught:
        data.map(lambda row: {"n": 1 // (row["a"] - 1500)}, engine="ray")
    assert "at row 1500 of the dataset" in caught.value.__notes__[0]


def test_there_are_no_ranks(data):
    with pytest.raises(InputError, match="has no such number"):
        data.map(lambda row, rank: {}, with_rank=True, engine="ray")


def test_without_the_package_it_says_what_to_install(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install \"madang\[ray\]\""):
        data.map(lambda row: {}, engine="ray")
