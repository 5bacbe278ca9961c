import pytest
import torch

from madang.datasets import Dataset
from madang.errors import InputError
from madang.training import DataCollatorWithPadding, Trainer, default_data_collator
from madang.training.columns import asked_columns, label_names, prepared
from tests.unit.training.tiny import TinyClassifier, TinyTokenizer, examples

ROWS = Dataset.from_list([{**row, "weight": 0.5, "guid": f"g{i}"} for i, row in enumerate(examples(6))])


def columns(collator, model=None, data=ROWS):
    return prepared(data, model or TinyClassifier(), collator, ["labels"], drop=True)[0].column_names


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


def test_a_torch_dataset_of_dicts_loses_what_the_model_does_not_take(make_trainer):
    class Rows(torch.utils.data.Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, place):
            return {**ROWS[place], "weight": torch.tensor(0.5)}

    assert make_trainer(train_dataset=Rows()).train().global_step == 1


def test_columns_that_a_loss_of_ones_own_asks_for_stay(make_trainer):
    seen = []

    class Weighted(Trainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            seen.append(sorted(inputs))
            weights = inputs.pop("weight")
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch) * weights.mean()

    make_trainer({"max_steps": 1}, Weighted, train_dataset=ROWS).train()
    assert seen == [["attention_mask", "input_ids", "labels", "weight"]]


def test_a_stream_keeps_what_the_model_takes(make_trainer):
    stream = ROWS.to_iterable_dataset()
    batch = next(iter(make_trainer({"max_steps": 1}, train_dataset=stream).get_train_dataloader()))
    assert sorted(batch) == ["attention_mask", "input_ids", "labels"]
