"""Adapted models: what learns, what they answer, and how the adapter comes off again."""

import copy
import pickle

import pytest
import torch

from madang.adapt import LoraConfig, LoraLinear, attach, get_peft_model
from madang.errors import InputError
from madang.testing import TINY, tiny_inputs, tiny_model
from madang.training import Trainer, TrainingArguments

TASKS = {"bert": "sequence-classification", "gpt2": "causal-language", "llama": "causal-language"}


def answer(model, inputs=None):
    """The main tensor of the model's answer to small inputs."""
    # without gradients: what needs one may decide which kernel computes
    with torch.no_grad():
        output = model(**(inputs or tiny_inputs(model)))
    return next(output[name] for name in ("logits", "last_hidden_state") if name in output)


def random_adapter(model, **options):
    """`model` with an adapter that changes its answers."""
    return attach(model, LoraConfig(**{"r": 3, "init_lora_weights": False, **options}))


def learning(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("model_type", TINY)
def test_nothing_changes_at_first(model_type):
    model = tiny_model(model_type)
    before = answer(model)
    same = attach(model, LoraConfig(target_modules="all-linear"))
    assert same is model
    assert torch.equal(answer(model), before)


def test_gradients_reach_the_adapter_and_the_new_head_alone():
    model = random_adapter(tiny_model("bert", "sequence-classification"), task_type="SEQ_CLS")
    model(**tiny_inputs(model)).loss.backward()
    reached = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert reached == learning(model)
    assert {name for name in reached if ".lora_" not in name} == {"head.output.weight", "head.output.bias"}
    assert all(model.get_parameter(name).grad.abs().sum() > 0 for name in reached)


@pytest.mark.parametrize(("model_type", "task"), TASKS.items())
def test_merging_keeps_the_answers(model_type, task):
    model = random_adapter(tiny_model(model_type, task), target_modules="all-linear", r=2, lora_alpha=1)
    adapted = answer(model)
    assert model.merge_and_unload() is model
    assert model.adapter is None
    assert not any(isinstance(module, LoraLinear) for module in model.modules())
    torch.testing.assert_close(answer(model), adapted, atol=2e-6, rtol=1e-5)
    assert learning(model) == {name for name, _ in model.named_parameters()}


def test_a_merge_that_overflows_is_refused_and_changes_nothing():
    model = random_adapter(tiny_model("bert"))
    model.get_submodule("body.blocks.0.attention.query").lora_B.weight.data.fill_(float("inf"))
    with pytest.raises(InputError, match=r"not finite.*body\.blocks\.0\.attention\.query"):
        model.merge_and_unload(safe_merge=True)
    assert model.adapter is not None


def test_without_its_adapter_the_model_is_what_it_was():
    model = tiny_model("bert", "sequence-classification")
    before, weights = answer(model), copy.deepcopy(model.state_dict())
    random_adapter(model, bias="all", task_type="SEQ_CLS")
    with torch.no_grad():
        for name in learning(model):
            model.get_parameter(name).add_(0.1)
    adapted = answer(model)
    assert not torch.equal(adapted, before)
    with model.disable_adapter():
        assert torch.equal(answer(model), before)
        with model.disable_adapter():
            assert torch.equal(answer(model), before)
        assert torch.equal(answer(model), before)
    assert torch.equal(answer(model), adapted)
    model.unload()
    assert torch.equal(answer(model), before)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_does_not_change_the_answers(side):
    model = random_adapter(tiny_model("llama", "causal-language"))
    both = tiny_inputs(model, (7, 5), side=side)
    alone = {name: value[1:][both["attention_mask"][1:] == 1][None] for name, value in both.items()}
    inside = answer(model, both)[1][both["attention_mask"][1] == 1]
    torch.testing.assert_close(answer(model, alone)[0], inside, atol=2e-6, rtol=1e-5)


def test_projections_that_are_one_in_files_share_what_reads():
    model = attach(tiny_model("gpt2"), LoraConfig(r=3))
    attention = model.get_submodule("body.blocks.0.attention")
    assert attention.query.lora_A is attention.key.lora_A is attention.value.lora_A
    assert model.adapter.config.fan_in_fan_out
    learned, _ = model.get_nb_trainable_parameters()
    assert learned == 2 * 3 * (24 + 3 * 24)


@pytest.mark.parametrize(
    ("bias", "expected"),
    [
        ("none", set()),
        ("lora_only", {"body.blocks.0.attention.query.bias", "body.blocks.1.attention.query.bias"}),
    ],
)
def test_biases_learn_where_asked(bias, expected):
    model = attach(tiny_model("bert"), LoraConfig(target_modules=["query"], bias=bias))
    assert {name for name in learning(model) if name.endswith("bias")} == expected


def test_all_biases_learn_where_asked():
    model = attach(tiny_model("bert"), LoraConfig(bias="all"))
    assert {name for name in learning(model) if ".lora_" not in name} == {
        name for name, _ in model.named_parameters() if name.endswith(".bias")
    }


def test_the_adapter_of_a_bfloat16_model_is_float32():
    model = tiny_model("bert", "sequence-classification").to(torch.bfloat16)
    before = answer(model)
    attach(model, LoraConfig(task_type="SEQ_CLS"))
    layer = model.get_submodule("body.blocks.0.attention.query")
    assert (layer.weight.dtype, layer.lora_A.weight.dtype, model.dtype) == (
        torch.bfloat16,
        torch.float32,
        torch.bfloat16,
    )
    assert torch.equal(answer(model), before)
    model(**tiny_inputs(model)).loss.backward()
    assert layer.lora_B.weight.grad.dtype == torch.float32
    assert model.merge_and_unload().dtype == torch.bfloat16


def test_under_autocast_answers_are_bfloat16_and_gradients_float32():
    model = random_adapter(tiny_model("bert", "token-classification"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(**tiny_inputs(model))
    assert output.logits.dtype == torch.bfloat16
    output.loss.backward()
    assert model.get_submodule("body.blocks.1.attention.value").lora_A.weight.grad.dtype == torch.float32


def test_dropout_acts_in_training_only():
    model = random_adapter(tiny_model("llama"), lora_dropout=0.5)
    assert torch.equal(answer(model), answer(model))
    model.train()
    assert not torch.equal(answer(model), answer(model))


def test_recomputed_activations_give_the_same_gradients():
    model = random_adapter(tiny_model("llama", "causal-language"))
    gradients = []
    for recompute in (False, True):
        (model.gradient_checkpointing_enable if recompute else model.gradient_checkpointing_disable)()
        model.train().zero_grad()
        model(**tiny_inputs(model)).loss.backward()
        gradients.append([model.get_parameter(name).grad.clone() for name in sorted(learning(model))])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_an_adapted_model_can_be_copied_and_pickled():
    model = random_adapter(tiny_model("gpt2"))
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(answer(again), answer(model))
        assert torch.equal(answer(again.unload()), answer(tiny_model("gpt2")))


def test_a_second_adapter_and_foreign_models_are_refused():
    model = attach(tiny_model("bert"), LoraConfig())
    with pytest.raises(InputError, match="already"):
        attach(model, LoraConfig())
    with pytest.raises(InputError, match="Linear"):
        attach(torch.nn.Linear(2, 3), LoraConfig())
    with pytest.raises(InputError, match="LoraConfig"):
        attach(tiny_model("bert"), {"r": 8})
    with pytest.raises(InputError, match="no adapter"):
        tiny_model("bert").merge_and_unload()


def test_the_caller_keeps_their_config():
    config = LoraConfig(task_type="SEQ_CLS")
    get_peft_model(tiny_model("bert", "sequence-classification"), config)
    assert config == LoraConfig(task_type="SEQ_CLS")


def test_how_much_learns_is_told_in_one_line(capsys):
    model = get_peft_model(tiny_model("bert"), LoraConfig(r=2))
    model.print_trainable_parameters()
    learned = 2 * 2 * 2 * (24 + 24)
    total = sum(parameter.numel() for parameter in model.parameters())
    assert capsys.readouterr().out == (
        f"trainable params: {learned} || all params: {total:,d} || trainable%: {100 * learned / total:.4f}\n"
    )


def padded(rows):
    """A batch of texts of two or three words."""
    ids = [row["input_ids"] + [0] * (3 - len(row["input_ids"])) for row in rows]
    return {
        "input_ids": torch.tensor(ids),
        "attention_mask": torch.tensor([[int(token > 0) for token in row] for row in ids]),
        "labels": torch.tensor([row["labels"] for row in rows]),
    }


def test_training_lowers_the_loss_and_leaves_the_base_alone(tmp_path):
    model = tiny_model("bert", "sequence-classification", num_labels=2)
    base = copy.deepcopy(model.state_dict())
    model = get_peft_model(model, LoraConfig(r=4, lora_alpha=16, task_type="SEQ_CLS"))
    # the label is told by the first word
    rows = [{"input_ids": [4 + i % 2, 9 + i % 7, 20 + i % 5][: 2 + i % 2], "labels": i % 2} for i in range(32)]
    options = {"num_train_epochs": 8, "learning_rate": 1e-2, "logging_steps": 4, "disable_tqdm": True, "use_cpu": True}
    arguments = TrainingArguments(output_dir=str(tmp_path), save_strategy="no", report_to="none", **options)
    trainer = Trainer(model=model, args=arguments, train_dataset=rows, data_collator=padded)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < 0.5 * losses[0]
    after = model.state_dict()
    changed = {name for name, value in base.items() if not torch.equal(after[name], value)}
    assert changed == {"head.output.weight", "head.output.bias"}
