import numpy as np
import pytest

from madang.datasets import Dataset
from madang.errors import InputError
from madang.training.order import EpochSampler, Picks, text_lengths
from tests.unit.training.tiny import examples


def test_every_epoch_has_every_example_in_an_order_of_its_own():
    sampler = EpochSampler(50, seed=1)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    sampler.set_epoch(0)
    assert list(sampler) == first == list(EpochSampler(50, seed=1))
    assert first != list(EpochSampler(50, seed=2))


def test_similar_lengths_share_a_batch():
    lengths = np.random.default_rng(0).integers(1, 100, 403)
    sampler = EpochSampler(403, seed=1, batch_size=8, lengths=lengths)
    order = np.array(list(sampler))
    assert sorted(order) == list(range(403))
    assert lengths[order[0]] == lengths.max()

    def padding(order):
        batches = [lengths[order[start : start + 8]] for start in range(0, 403, 8)]
        return sum(len(batch) * batch.max() - batch.sum() for batch in batches)

    assert padding(order) < 0.2 * padding(np.arange(403))


def picked(rank=0, processes=1, **given):
    return [
        pick.rows for pick in Picks(range(given.pop("count", 11)), 2, seed=1, rank=rank, processes=processes, **given)
    ]


def test_batches_are_cut_from_the_order():
    assert picked() == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10]]
    assert picked(drop_last=True) == picked()[:5]


def test_processes_share_every_row_and_make_equally_many_batches():
    first, second = picked(0, 2), picked(1, 2)
    assert first == [[0, 1], [4, 5], [8, 9]]
    assert second == [[2, 3], [6, 7], [10]]
    spare = list(Picks(range(5), 2, seed=1, rank=1, processes=2))[-1]
    assert (spare.spare, spare.rows) == (True, [4])


def test_an_epoch_can_begin_at_any_batch_with_the_same_rows_and_seeds():
    whole, part = (Picks(EpochSampler(11, seed=3), 2, seed=5) for _ in range(2))
    for picks in (whole, part):
        picks.set_epoch(4)
        picks.sampler.set_epoch(4)
    part.start = 3
    assert list(part) == list(whole)[3:]
    assert len({pick.seed for pick in whole}) == 6


class TestLengths:
    def test_a_column_says_them_or_the_lists_themselves(self):
        rows = Dataset.from_list(examples(5))
        lengths = [len(ids) for ids in rows["input_ids"]]
        assert text_lengths(rows).tolist() == lengths
        assert text_lengths(rows.add_column("length", [5, 4, 3, 2, 1])).tolist() == [5, 4, 3, 2, 1]
        assert text_lengths(rows.select([3, 1])).tolist() == [lengths[3], lengths[1]]
        assert text_lengths(examples(5)).tolist() == lengths  # a plain list of rows

    def test_neither_is_an_error_that_names_the_columns(self):
        with pytest.raises(InputError, match=r"needs a column 'input_ids' or 'length'; the dataset has \['text'\]"):
            text_lengths(Dataset.from_dict({"text": ["a"]}))
