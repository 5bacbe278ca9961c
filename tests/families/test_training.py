"""What every family learns: gradients that reach everything, and do not depend on how a step was taken."""

import copy

import pytest
import torch

from madang.auto.registry import families
from tests.families.each import HEADS, LABELLED, answers, close, each, real, tiny_inputs, tiny_model, without_labels


def gradients(model, inputs, **options):
    """The gradients of the loss; of the mean square of all answers where there is no head."""
    model.zero_grad()
    output = model(**inputs, **options)
    parts = [real(inputs, name, value, model) for name, value in answers(output).items() if model.head is None]
    loss = output.loss if model.head is not None else sum(part.square().mean() for part in parts)
    loss.backward()
    return {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}


def same_gradients(one, other, tolerance=1e-5):
    """As good as equal, and on the same parameters."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert (value is None) == (other[name] is None), name
        if value is not None:
            torch.testing.assert_close(
                value, other[name], atol=tolerance, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
            )


@each(HEADS)
def test_gradients_reach_every_parameter(model_type, task):
    model = tiny_model(model_type, task)
    found = gradients(model, tiny_inputs(model, (7, 5)))
    without = [name for name, gradient in found.items() if gradient is None]
    assert not without
    # a bias of the keys moves all scores of a query alike, which softmax does not see
    unseen = {name for name in found if name.endswith("key.bias")}
    if task in ("question-answering", "multiple-choice"):
        unseen.add("head.output.bias")  # it moves all places, all choices alike
    assert not [name for name, gradient in found.items() if not gradient.any() and name not in unseen]
    assert all(torch.isfinite(gradient).all() for gradient in found.values())


@each(HEADS)
def test_packed_and_padded_give_the_same_gradients(model_type, task):
    model = tiny_model(model_type, task)
    inputs = tiny_inputs(model)
    packed = gradients(model, inputs)
    model.set_attn_implementation("eager")
    same_gradients(packed, gradients(model, inputs))


@each(HEADS)
def test_recomputing_activations_gives_the_same_gradients(model_type, task):
    model = tiny_model(model_type, task, **without_dropout(model_type)).train()
    inputs = tiny_inputs(model)
    kept = gradients(model, inputs)
    model.gradient_checkpointing_enable()
    assert model.is_gradient_checkpointing
    same_gradients(kept, gradients(model, inputs))
    model.gradient_checkpointing_disable()
    assert not model.is_gradient_checkpointing
    same_gradients(kept, gradients(model, inputs))


def without_dropout(model_type):
    """Every key of the config that is a dropout, 0."""
    found = next(family for family in families() if family.model_type == model_type)
    names = [name for name in found.config.defaults if "drop" in name]
    assert names or model_type == "llama"
    return dict.fromkeys(names, 0.0)


@each(LABELLED)
def test_recomputing_draws_the_same_dropout(model_type, task):
    model = tiny_model(model_type, task).train()
    inputs = tiny_inputs(model)
    torch.manual_seed(5)
    kept = gradients(model, inputs)
    model.gradient_checkpointing_enable()
    torch.manual_seed(5)
    same_gradients(kept, gradients(model, inputs))


@each(HEADS)
def test_dropout_acts_while_training_and_only_then(model_type, task):
    names = [name for name in without_dropout(model_type) if "classifier" not in name]
    model = tiny_model(model_type, task, **dict.fromkeys(names, 0.5))
    inputs = without_labels(model, tiny_inputs(model))
    with torch.no_grad():
        first, again = answers(model(**inputs)), answers(model(**inputs))
        assert all(torch.equal(first[name], again[name]) for name in first)
        torch.manual_seed(1)
        dropped = answers(model.train()(**inputs))
        torch.manual_seed(1)
        same = answers(model(**inputs))
        other = answers(model(**inputs))
    assert all(torch.equal(dropped[name], same[name]) for name in dropped)
    if names:
        assert any(not torch.equal(dropped[name], other[name]) for name in dropped)


SPLITS = [((0, 1, 2, 3),), ((0,), (1, 2, 3)), ((0, 1), (2, 3)), ((0,), (1,), (2,), (3,)), ((3, 1), (2, 0))]


@each(LABELLED)
def test_any_split_of_a_step_gives_the_same_loss_and_gradients(model_type, task):
    model = tiny_model(model_type, task)
    inputs = tiny_inputs(model, (7, 2, 5, 3))
    if "labels" in inputs and inputs["labels"].ndim == 2:
        inputs["labels"][1, 1:] = -100  # one text with hardly a target, another with some
        inputs["labels"][2, :2] = -100
    if "start_positions" in inputs:
        inputs["end_positions"][1] = 6  # beyond its text
    whole = model.count_targets(inputs)
    assert whole > 0
    wanted_loss = model(**inputs).loss
    wanted = gradients(model, inputs)
    close(model(**inputs, num_items_in_batch=whole).loss, wanted_loss)
    for split in SPLITS:
        model.zero_grad()
        total, counted = 0.0, 0
        for rows in split:
            part = trimmed({name: value[list(rows)] for name, value in inputs.items()}, model)
            loss = model(**part, num_items_in_batch=torch.tensor(whole)).loss
            loss.backward()
            total += loss.detach()
            counted += model.count_targets(part)
        assert counted == whole
        close(total, wanted_loss.detach())
        same_gradients({name: p.grad for name, p in model.named_parameters()}, wanted)


def trimmed(inputs, model):
    """A micro-batch as a collator would make it: no wider than its longest text."""
    mask = inputs.get("attention_mask")
    if mask is None or mask.ndim > 2:
        return inputs
    width = int(mask.sum(1).max())
    by_token = {"input_ids", "attention_mask", "token_type_ids"}
    if model.task in ("masked-language", "causal-language", "token-classification"):
        by_token.add("labels")
    return {name: value[:, :width] if name in by_token else value for name, value in inputs.items()}


PROBLEMS = {
    "regression": ({"problem_type": "regression", "num_labels": 1}, lambda: torch.randn(4)),
    "regression of several": ({"problem_type": "regression", "num_labels": 3}, lambda: torch.randn(4, 3)),
    "several classes": (
        {"problem_type": "multi_label_classification", "num_labels": 3},
        lambda: torch.randint(0, 2, (4, 3)).float(),
    ),
    "told by whole numbers": ({"num_labels": 3}, lambda: torch.tensor([2, 0, 1, 1])),
    "told by floating point numbers": ({"num_labels": 3}, lambda: torch.randint(0, 2, (4, 3)).float()),
    "told by one class": ({"num_labels": 1}, lambda: torch.randn(4, 1)),
}


@each([head for head in HEADS if head[1] in ("sequence-classification", "image-classification")])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_kind_of_problem_is_the_same_in_any_split(model_type, task, problem):
    changes, labels = PROBLEMS[problem]
    model = tiny_model(model_type, task, **changes)
    inputs = {**tiny_inputs(model, (7, 2, 5, 3)), "labels": labels()}
    whole = model.count_targets(inputs)
    wanted = model(**inputs).loss
    for split in SPLITS:
        parts = [{name: value[list(rows)] for name, value in inputs.items()} for rows in split]
        close(sum(model(**part, num_items_in_batch=whole).loss for part in parts), wanted)
        assert sum(model.count_targets(part) for part in parts) == whole


@each(LABELLED)
def test_without_any_target_the_loss_is_zero_and_not_undefined(model_type, task):
    model = tiny_model(model_type, task)
    inputs = tiny_inputs(model)
    for name in model.label_names:
        inputs[name] = torch.full_like(inputs[name], -100)
    if model.task == "sequence-to-sequence-language":
        inputs["decoder_input_ids"] = torch.zeros_like(inputs["labels"])
    assert model.count_targets(inputs) == 0
    loss = model(**inputs).loss
    assert loss == 0
    loss.backward()


@each(HEADS)
def test_targets_are_counted_only_where_there_are_labels(model_type, task):
    model = tiny_model(model_type, task)
    assert model.count_targets(without_labels(model, tiny_inputs(model))) == 0


@each(LABELLED)
def test_a_step_of_training_lowers_the_loss(model_type, task):
    model = tiny_model(model_type, task)
    inputs = tiny_inputs(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    before = model(**inputs).loss
    before.backward()
    optimizer.step()
    assert model(**inputs).loss < before


@each(LABELLED)
def test_a_copy_trains_apart(model_type, task):
    model = tiny_model(model_type, task)
    other = copy.deepcopy(model)
    gradients(other, tiny_inputs(other))
    assert all(parameter.grad is None for parameter in model.parameters())
