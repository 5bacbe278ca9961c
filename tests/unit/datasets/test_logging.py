import warnings

import pytest

from madang.datasets import Dataset, logging


@pytest.fixture(autouse=True)
def as_before():
    logger = logging.get_logger()
    level, propagate = logger.level, logger.propagate
    yield
    logger.setLevel(level)
    logger.propagate = propagate


@pytest.mark.parametrize("name", ["debug", "info", "warning", "error"])
def test_levels_go_by_the_names_people_know(name):
    getattr(logging, f"set_verbosity_{name}")()
    assert logging.get_verbosity() == getattr(logging, name.upper())


def test_verbosity_is_that_of_the_whole_library():
    logging.set_verbosity(logging.ERROR)
    assert logging.get_logger("madang.datasets.cache").getEffectiveLevel() == logging.ERROR
    assert logging.get_logger("madang.datasets.cache").parent.name.startswith("madang")


def test_propagation_can_be_switched():
    logging.disable_propagation()
    assert not logging.get_logger().propagate
    logging.enable_propagation()
    assert logging.get_logger().propagate


def test_above_warning_warnings_are_silent():
    data = Dataset.from_dict({"a": [1, 2]})
    logging.set_verbosity_error()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.map(lambda row: {"a": str(row["a"])})
    logging.set_verbosity_warning()
    with pytest.warns(UserWarning, match="came back as text"):
        data.map(lambda row: {"a": str(row["a"])})


def test_every_name_is_there():
    assert all(hasattr(logging, name) for name in logging.__all__)
