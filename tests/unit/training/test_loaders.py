import random

import numpy as np
import pytest
import torch

from madang.datasets import Dataset
from madang.datasets import IterableDataset as Stream
from madang.errors import InputError
from madang.training.loaders import RowLoader, StreamLoader, length_of, tell_epoch
from madang.training.order import EpochSampler, Picks

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")
ROWS = Dataset.from_dict({"row": list(range(11))})


def drawing(rows):
    """Which rows there are, and a number from each of the three generators."""
    return [row["row"] for row in rows], (random.random(), np.random.rand(), torch.rand(()).item())


def by_rows(epoch=0, start=0, **options):
    loader = RowLoader(ROWS, drawing, Picks(EpochSampler(11, seed=1), 3, seed=1), **options)
    loader.set_epoch(epoch)
    loader.start_at(start)
    return list(loader)


def by_stream(epoch=0, **options):
    loader = StreamLoader(ROWS.to_iterable_dataset(num_shards=2), drawing, 3, seed=1, **options)
    loader.set_epoch(epoch)
    return list(loader)


class TestRows:
    def test_what_is_drawn_depends_on_seed_epoch_and_batch_alone(self):
        whole = by_rows()
        assert by_rows() == whole
        assert by_rows(start=2) == whole[2:]
        assert by_rows(num_workers=2) == whole
        assert by_rows(epoch=1) != whole
        assert len({drawn for _, drawn in whole}) == 4

    def test_making_batches_leaves_the_callers_chance_alone(self):
        torch.manual_seed(3)
        expected = torch.rand(1)
        torch.manual_seed(3)
        by_rows()
        assert torch.equal(torch.rand(1), expected)

    def test_rows_are_asked_for_together_where_that_can_be(self):
        asked = []

        class Rows:
            def __len__(self):
                return 11

            def __getitem__(self, row):
                raise AssertionError

            def __getitems__(self, rows):
                asked.append(rows)
                return rows

        assert len(list(RowLoader(Rows(), list, Picks(range(11), 4, seed=0)))) == 3
        assert asked == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]


class TestStreams:
    def test_every_row_comes_once_whatever_the_number_of_workers(self):
        for workers in (0, 1, 2):
            batches = by_stream(**({"num_workers": workers} if workers else {}))
            assert sorted(row for rows, _ in batches for row in rows) == list(range(11))

    def test_a_short_last_batch_can_be_dropped(self):
        assert [len(rows) for rows, _ in by_stream(drop_last=True)] == [3, 3, 3]

    def test_what_is_drawn_is_repeated_and_differs_by_epoch(self):
        assert by_stream() == by_stream() != by_stream(epoch=1)

    def test_it_goes_on_where_it_was(self):
        def loader():
            return StreamLoader(ROWS.to_iterable_dataset(), drawing, 3, seed=1)

        first = loader()
        batches = iter(first)
        next(batches), next(batches)
        again = loader()
        again.load_state_dict(first.state_dict())
        assert list(again) == list(batches)

    def test_another_number_of_workers_cannot_go_on(self):
        loader = StreamLoader(ROWS.to_iterable_dataset(), drawing, 3, seed=1)
        with pytest.raises(InputError, match=r"made with 2 dataloader worker.*there are 1 now"):
            loader.load_state_dict({"workers": 2, "last": 0, "states": {}})

    def test_nobody_knows_how_long_one_is(self):
        loader = StreamLoader(Stream.from_generator(lambda: iter([])), drawing, 3, seed=1)
        assert length_of(loader) is None
        assert length_of([1, 2]) == 2


def test_whoever_orders_rows_is_told_the_epoch():
    told = []

    class Part:
        def __init__(self, **parts):
            vars(self).update(parts)

        def set_epoch(self, epoch):
            told.append((type(self).__name__, epoch))

    tell_epoch(Part(sampler=Part(), dataset=object()), 3)
    assert told == [("Part", 3)] * 2
