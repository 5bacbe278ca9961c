"""Batches: all rows, longest first, of a good size, padded with what was asked for."""

import torch

from madang.pipelines.batching import MOST_TEXTS, Filling, batches, cut

CPU = torch.device("cpu")


def test_every_text_is_in_one_batch_and_longer_ones_come_first():
    lengths = [3, 9, 1, 9, 4, 2]
    made = list(cut(lengths, None, 10))
    assert sorted(row for rows in made for row in rows) == list(range(6))
    flat = [lengths[row] for rows in made for row in rows]
    assert flat == sorted(lengths, reverse=True)


def test_a_batch_stays_within_its_tokens():
    lengths = [7, 5, 5, 3, 2, 2, 1]
    for rows in cut(lengths, None, 10):
        assert len(rows) * max(lengths[row] for row in rows) <= 10


def test_a_text_longer_than_the_budget_runs_alone():
    assert list(cut([50, 3], None, 10)) == [[0], [1]]


def test_short_texts_do_not_make_endless_batches():
    assert len(next(cut([1] * 3000, None, 10**6))) == MOST_TEXTS


def test_a_given_size_counts_texts():
    assert [len(rows) for rows in cut([4, 400, 2, 9, 1], 2, 10)] == [2, 2, 1]


def test_rows_are_padded_and_masked_on_the_asked_side():
    columns = {"input_ids": [[5], [6, 7]], "token_type_ids": [[1], [0, 1]]}
    (right,) = batches(columns, Filling(9, 3), CPU)
    assert right.rows == [1, 0]
    assert right.inputs["input_ids"].tolist() == [[6, 7], [5, 9]]
    assert right.inputs["token_type_ids"].tolist() == [[0, 1], [1, 3]]
    assert right.inputs["attention_mask"].tolist() == [[1, 1], [1, 0]]
    (left,) = batches({"input_ids": columns["input_ids"]}, Filling(9, side="left"), CPU)
    assert left.inputs["input_ids"].tolist() == [[6, 7], [9, 5]]
    assert left.inputs["attention_mask"].tolist() == [[1, 1], [0, 1]]


def test_no_text_makes_no_batch():
    assert list(batches({"input_ids": []}, Filling(0), CPU)) == []
