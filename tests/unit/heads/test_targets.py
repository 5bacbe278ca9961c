"""What each head's loss is made of, and what counts as a target."""

import pytest
import torch

from madang.errors import InputError
from madang.heads import Head
from madang.testing import tiny_inputs, tiny_model


def test_a_causal_model_foretells_all_tokens_but_the_first():
    model = tiny_model("gpt2", "causal-language")
    ids = torch.randint(4, 61, (2, 7))
    output = model(ids, labels=ids)
    by_hand = -output.logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None]).sum()
    torch.testing.assert_close(output.loss, by_hand / 12)
    assert model.count_targets({"input_ids": ids, "labels": ids}) == 12


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_is_neither_target_nor_source(side):
    model = tiny_model("llama", "causal-language")
    inputs = tiny_inputs(model, (7, 4), side=side)
    inputs["labels"] = inputs["input_ids"]  # padding not left out: the mask knows
    alone = [row[mask.bool()][None] for row, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)]
    with torch.no_grad():
        wanted = sum(model(ids, labels=ids, num_items_in_batch=1).loss for ids in alone) / 9
        positions = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
        torch.testing.assert_close(model(**inputs, position_ids=positions).loss, wanted)
    assert model.count_targets(inputs) == 9


def test_answers_outside_the_text_are_no_targets():
    model = tiny_model("bert", "question-answering")
    inputs = tiny_inputs(model, (7, 4))
    inputs["start_positions"], inputs["end_positions"] = torch.tensor([2, 30]), torch.tensor([5, 5])
    output = model(**inputs)
    start, end = output.start_logits.log_softmax(-1), output.end_logits.log_softmax(-1)
    torch.testing.assert_close(output.loss, -(start[0, 2] + end[0, 5]) / 2)


def test_padding_is_never_the_answer():
    model = tiny_model("bert", "question-answering")
    output = model(**{name: value for name, value in tiny_inputs(model, (7, 2)).items() if "positions" not in name})
    assert output.start_logits.argmax(-1)[1] < 2
    assert output.start_logits[1].softmax(-1)[2:].sum() == 0


def test_positions_of_answers_may_be_a_column():
    model = tiny_model("bert", "question-answering")
    inputs = tiny_inputs(model)
    column = {
        **inputs,
        "start_positions": inputs["start_positions"][:, None],
        "end_positions": inputs["end_positions"][:, None],
    }
    assert torch.equal(model(**inputs).loss, model(**column).loss)


def test_choices_are_compared_with_one_another():
    model = tiny_model("bert", "multiple-choice")
    inputs = tiny_inputs(model)
    output = model(**inputs)
    assert output.logits.shape == (2, 2)
    torch.testing.assert_close(output.loss, torch.nn.functional.cross_entropy(output.logits, inputs["labels"]))
    with pytest.raises(InputError, match="batch, choices, tokens"):
        model(input_ids=inputs["input_ids"][0])


@pytest.mark.parametrize(
    ("changes", "labels", "loss"),
    [
        ({}, torch.tensor([1, 3]), lambda logits, labels: torch.nn.functional.cross_entropy(logits, labels)),
        ({}, torch.tensor([[0.0, 1, 1, 0], [1, 1, 0, 0]]), torch.nn.functional.binary_cross_entropy_with_logits),
        ({"num_labels": 1}, torch.tensor([0.3, -2.0]), lambda logits, labels: ((logits[:, 0] - labels) ** 2).mean()),
        ({"problem_type": "regression"}, torch.ones(2, 4), lambda logits, labels: ((logits - labels) ** 2).mean()),
        (
            {"problem_type": "multi_label_classification"},
            torch.tensor([[0, 1, 1, 0], [1, 1, 0, 0]]),
            lambda logits, labels: torch.nn.functional.binary_cross_entropy_with_logits(logits, labels.float()),
        ),
    ],
)
def test_the_loss_is_that_of_the_problem(changes, labels, loss):
    model = tiny_model("bert", "sequence-classification", **changes)
    output = model(**{**tiny_inputs(model), "labels": labels})
    torch.testing.assert_close(output.loss, loss(output.logits, labels))


def test_labels_of_several_classes_need_one_number_each():
    model = tiny_model("bert", "sequence-classification", problem_type="multi_label_classification")
    with pytest.raises(InputError, match=r"\(2, 3\).*\(2, 4\)"):
        model(**{**tiny_inputs(model), "labels": torch.ones(2, 3)})


def test_a_class_that_does_not_exist_says_how_many_there_are():
    model = tiny_model("bert", "sequence-classification")
    with pytest.raises(ValueError, match=r"label 9 does not exist.*num_labels=10"):
        model(**{**tiny_inputs(model), "labels": torch.tensor([0, 9])})


def test_a_head_that_gives_no_answer_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        Head()
