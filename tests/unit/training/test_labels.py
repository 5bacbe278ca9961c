import pytest

from madang.datasets import ClassLabel, Dataset
from madang.errors import InputError
from madang.training import default_data_collator
from madang.training.columns import prepared
from tests.unit.training.tiny import TinyClassifier, TinyTagger


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
def test_wrong_ones_are_refused_before_training(make_trainer, labels, model, message):
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
def test_right_ones_pass(labels, model):
    data = Dataset.from_dict({"input_ids": [[2, 3], [4, 5]], "label": labels})
    assert prepared(data, TinyClassifier(**model), default_data_collator, ["labels"], drop=True)[0].num_rows == 2


def test_texts_as_labels_of_tokens_are_refused():
    data = Dataset.from_dict({"input_ids": [[2, 3]], "labels": [["O", "B"]]})
    with pytest.raises(InputError, match="'O'"):
        prepared(data, TinyTagger(), default_data_collator, ["labels"], drop=True)


def test_class_labels_pass():
    data = Dataset.from_dict({"input_ids": [[2]], "label": ["b"]}).cast_column("label", ClassLabel(names=["a", "b"]))
    assert prepared(data, TinyClassifier(), default_data_collator, ["labels"], drop=True)[0]["label"] == [1]
