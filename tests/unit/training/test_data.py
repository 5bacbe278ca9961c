import numpy as np
import pytest
import torch

from madang.datasets import ClassLabel, Dataset
from madang.errors import InputError
from madang.training import DataCollatorWithPadding, default_data_collator
from madang.training.data import EpochSampler, asked_columns, label_names, prepared
from tests.unit.training.tiny import TinyClassifier, TinyTagger, TinyTokenizer, examples

ROWS = Dataset.from_list([{**row, "weight": 0.5, "guid": f"g{i}"} for i, row in enumerate(examples(6))])


def columns(collator, model=None, data=ROWS):
    return prepared(data, model or TinyClassifier(), collator, ["labels"], drop=True).column_names


def test_only_what_the_model_takes_stays():
    assert columns(DataCollatorWithPadding(TinyTokenizer())) == ["input_ids", "label"]


def test_columns_a_collator_asks_for_by_name_stay():
    def collator(rows):
        return {"input_ids": torch.zeros(2, 3), "weight": torch.tensor([row["weight"] for row in rows])}

    assert columns(collator) == ["input_ids", "label", "weight"]


def test_a_collator_that_takes_what_comes_gets_what_the_model_takes():
    def collator(rows):
        return {name: torch.tensor([row[name] for row in rows]) for name in rows[0]}

    assert columns(collator) == ["input_ids", "label"]


def test_a_collator_that_pops_columns_keeps_them():
    def collator(rows):
        texts = [row.pop("text") for row in rows]
        return {"input_ids": torch.tensor([[len(text)] for text in texts])}

    assert columns(collator) == ["text", "input_ids", "label"]


def test_asking_leaves_the_random_numbers_alone():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    asked_columns(lambda rows: torch.rand(3) * rows[0]["weight"], ROWS)
    assert torch.equal(torch.rand(1), expected)


def test_nothing_left_names_the_columns_and_the_fix():
    data = Dataset.from_dict({"title": ["x"], "label": [1]})
    with pytest.raises(InputError, match=r"has \['title', 'label'\], the model takes \['input_ids'.*Tokenize first"):
        columns(default_data_collator, data=data)


def test_a_custom_collator_over_text_columns_alone_is_served():
    data = Dataset.from_dict({"title": ["x", "yy"], "label": [1, 0], "guid": ["a", "b"]})

    def collator(rows):
        return {
            "input_ids": torch.tensor([[len(row["title"])] for row in rows]),
            "labels": torch.tensor([row["label"] for row in rows]),
        }

    assert columns(collator, data=data) == ["title", "label"]


def test_the_names_of_labels_come_from_the_model_or_its_arguments():
    class Spans(torch.nn.Module):
        def forward(self, input_ids, start_positions=None, end_positions=None):
            pass

    assert label_names(TinyClassifier(), None) == ["labels"]
    assert label_names(Spans(), None) == ["start_positions", "end_positions"]
    assert label_names(torch.nn.Linear(1, 1), None) == ["labels"]
    assert label_names(TinyClassifier(), ["mine"]) == ["mine"]


class TestLabels:
    @pytest.mark.parametrize(
        ("labels", "model", "message"),
        [
            (
                ["사회", "경제"],
                {},
                r"column 'label' holds texts such as '사회'.*numbers from 0 to 2.*class_encode_column\('label'\)",
            ),
            ([0.5, 1.0], {}, "holds float values.*one whole number from 0 to 2"),
            ([0, 5], {}, "holds 5, but TinyClassifier has 3 classes.*num_labels=6"),
            ([0, -1], {}, "holds -1"),
            ([None, 1], {}, "empty cell in its first row"),
            ([1, None], {}, "empty cells"),
            ([[1, 0], [0, 1]], {}, "lists of 2 values.*one list of 3 numbers"),
            ([1, 0], {"problem_type": "multi_label_classification"}, "one list of 3 numbers"),
            ([[1.0], [2.0]], {"num_labels": 3, "problem_type": "regression"}, "expects 3 number"),
        ],
    )
    def test_wrong_ones_are_refused_before_training(self, make_trainer, labels, model, message):
        data = Dataset.from_dict({"input_ids": [[2, 3], [4, 5]], "label": labels})
        trainer = make_trainer(model=TinyClassifier(**model), train_dataset=data)
        with pytest.raises(InputError, match=message):
            trainer.train()

    @pytest.mark.parametrize(
        ("labels", "model"),
        [
            ([0, 2], {}),
            ([1.5, 2.5], {"num_labels": 1}),
            ([1, 2], {"num_labels": 1}),
            ([[1, 0, 1], [0, 0, 0]], {}),
            ([[0.5, 1.0], [1.0, 2.0]], {"num_labels": 2, "problem_type": "regression"}),
        ],
    )
    def test_right_ones_pass(self, labels, model):
        data = Dataset.from_dict({"input_ids": [[2, 3], [4, 5]], "label": labels})
        assert prepared(data, TinyClassifier(**model), default_data_collator, ["labels"], drop=True).num_rows == 2

    def test_texts_as_labels_of_tokens_are_refused(self):
        data = Dataset.from_dict({"input_ids": [[2, 3]], "labels": [["O", "B"]]})
        with pytest.raises(InputError, match="'O'"):
            prepared(data, TinyTagger(), default_data_collator, ["labels"], drop=True)

    def test_class_labels_pass(self):
        data = Dataset.from_dict({"input_ids": [[2]], "label": ["b"]}).cast_column(
            "label", ClassLabel(names=["a", "b"])
        )
        assert prepared(data, TinyClassifier(), default_data_collator, ["labels"], drop=True)["label"] == [1]


class TestOrder:
    def test_every_epoch_has_every_example_in_an_order_of_its_own(self):
        sampler = EpochSampler(50, seed=1)
        first = list(sampler)
        sampler.set_epoch(1)
        second = list(sampler)
        assert sorted(first) == sorted(second) == list(range(50))
        assert first != second
        sampler.set_epoch(0)
        assert list(sampler) == first == list(EpochSampler(50, seed=1))
        assert first != list(EpochSampler(50, seed=2))

    def test_similar_lengths_share_a_batch(self):
        lengths = np.random.default_rng(0).integers(1, 100, 403)
        sampler = EpochSampler(403, seed=1, batch_size=8, lengths=lengths)
        order = np.array(list(sampler))
        assert sorted(order) == list(range(403))
        assert lengths[order[0]] == lengths.max()

        def padding(order):
            batches = [lengths[order[start : start + 8]] for start in range(0, 403, 8)]
            return sum(len(batch) * batch.max() - batch.sum() for batch in batches)

        assert padding(order) < 0.2 * padding(np.arange(403))


def test_a_torch_dataset_of_dicts_loses_what_the_model_does_not_take(make_trainer):
    class Rows(torch.utils.data.Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, place):
            return {**ROWS[place], "weight": torch.tensor(0.5)}

    assert make_trainer(train_dataset=Rows()).train().global_step == 1
