"""What hurts people elsewhere, each as a statement that can be checked.

Others stand with what they are about: computing on padding (tests/families), memory of evaluations (test_evaluating),
the best model with any strategies and metrics that are missing (test_bad_input).
"""

import time
import warnings

import numpy as np
import pyarrow as pa
import pytest
import torch

from madang.datasets import Dataset
from madang.errors import InputError
from madang.ops.packing import mask_on, readable
from madang.testing import tiny_inputs, tiny_model
from madang.training import (
    DataCollatorForLanguageModeling,
    DataCollatorWithPadding,
    Trainer,
    loop,
    setup,
)
from tests.families.each import HEADS, each
from tests.unit.training.effects import bert
from tests.unit.training.tiny import TinyClassifier, TinyTokenizer, examples, tagged

LENGTHS = (7, 5, 3, 7, 2, 4)
LEARNING = [(model_type, task) for model_type, task in HEADS if tiny_model(model_type, task).label_names]


def cut(inputs, size):
    """A batch in micro-batches, as wide as it was."""
    return [{name: value[start : start + size] for name, value in inputs.items()} for start in range(0, 6, size)]


@each(LEARNING)
def test_loss_and_gradients_do_not_depend_on_how_a_step_is_cut(make_trainer, model_type, task):
    model = tiny_model(model_type, task)
    model.train = lambda mode=True: model  # without dropout, whose masks would differ
    inputs = tiny_inputs(model, LENGTHS)
    trainer = make_trainer(model=model, tokenizer=None)
    results = []
    for size in (6, 3, 2, 1):
        model.zero_grad()
        micro_batches = cut(inputs, size)
        loss = loop.accumulate(trainer, trainer.targets_of_step(micro_batches), micro_batches)
        gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        results.append((float(loss), torch.cat(gradients)))
    assert results[0][0] > 0
    for loss, gradient in results[1:]:
        assert loss == pytest.approx(results[0][0], rel=1e-5)
        torch.testing.assert_close(gradient, results[0][1], rtol=1e-5, atol=1e-5)


def test_the_evaluations_loss_is_the_mean_over_targets_for_any_batch_size(make_trainer):
    rows, model = Dataset.from_list(tagged(11)), tiny_model("bert", "token-classification")
    losses = [
        make_trainer({"per_device_eval_batch_size": size}, model=model).evaluate(rows)["eval_loss"]
        for size in (1, 4, 11)
    ]
    assert losses == pytest.approx([losses[0]] * 3, abs=1e-6)


def test_the_kind_of_loss_belongs_to_the_head_not_to_the_name_of_a_class():
    losses = []
    for model_type in ("gpt2", "llama"):
        model = tiny_model(model_type, "causal-language")
        inputs = tiny_inputs(model, LENGTHS)
        logits = torch.randn(*inputs["labels"].shape, 61, generator=torch.Generator().manual_seed(1))
        labels = model.head.targets({"labels": inputs["labels"]}, inputs)
        losses.append(float(model.head.loss({"logits": logits}, labels)) / model.count_targets(inputs))
    assert losses[0] == losses[1]


def test_lengths_for_grouping_are_found_without_reading_a_row(make_trainer, monkeypatch):
    count = 1_000_000
    lengths = np.random.default_rng(0).integers(1, 9, count)
    offsets = pa.array(np.concatenate([[0], lengths.cumsum()]).astype(np.int32))
    ids = pa.ListArray.from_arrays(offsets, pa.array(np.ones(lengths.sum(), dtype=np.int32)))
    rows = Dataset(pa.table({"input_ids": ids}))
    for name in ("__getitem__", "__getitems__", "__iter__"):
        monkeypatch.setattr(Dataset, name, lambda *_: pytest.fail("a row was read"))
    trainer = make_trainer()
    trainer.train_dataset, trainer.args.group_by_length = rows, True
    began = time.process_time()
    order = trainer._get_train_sampler().order()
    assert time.process_time() - began < 5  # some 0.4 seconds where nothing else runs
    batches = lengths[order].reshape(-1, 8)
    assert (batches.max(1, keepdims=True) - batches).sum() < 0.02 * lengths.sum()


def test_arguments_of_2024_train_as_those_of_today(make_trainer):
    old = {
        "evaluation_strategy": "epoch", "per_gpu_train_batch_size": 4, "no_cuda": True, "save_safetensors": True,
        "fp16_backend": "auto", "include_tokens_per_second": False,
    }  # fmt: skip
    new = {"eval_strategy": "epoch", "per_device_train_batch_size": 4}
    losses = []
    for given in (old, new):
        with warnings.catch_warnings(record=True) as told:
            torch.manual_seed(0)
            trainer = make_trainer(given, model=TinyClassifier(), eval_dataset=Dataset.from_list(examples(4)))
            losses.append(trainer.train().training_loss)
        assert not told
    assert losses[0] == losses[1]


class TestColumns:
    """Those that somebody asks for are there."""

    rows = Dataset.from_list([{**row, "weight": 0.5, "guid": "a"} for row in examples(8)])

    def test_a_collator_of_ones_own_gets_what_it_asks_for(self, make_trainer):
        seen = []

        def collate(rows):
            seen.append(sorted(rows[0]))
            batch = DataCollatorWithPadding(TinyTokenizer())(
                [{k: row[k] for k in ("input_ids", "label")} for row in rows]
            )
            return {**batch, "weight": torch.tensor([row["weight"] for row in rows])}

        class Weighted(Trainer):
            def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
                weight = inputs.pop("weight").mean()
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch) * weight

        make_trainer({"max_steps": 1}, Weighted, train_dataset=self.rows, data_collator=collate).train()
        assert seen[-1] == ["input_ids", "label", "weight"]

    def test_nothing_left_is_an_error_that_names_columns_and_remedy(self, make_trainer):
        rows = Dataset.from_dict({"title": ["x"], "label": [1]})
        with pytest.raises(InputError, match=r"\['title', 'label'\].*Tokenize first.*remove_unused_columns=False"):
            make_trainer(train_dataset=rows).train()


@pytest.mark.parametrize(
    ("labels", "given"),
    [
        ([1, 2, 0, 3], {"num_labels": 1}),  # whole numbers to predict
        ([0.5, 1.5, 2.5, 0.0], {"num_labels": 1}),
        ([[1, 0, 1, 0]] * 4, {"problem_type": "multi_label_classification"}),  # whole numbers, several classes at once
        ([[1.0, 0.0, 0.5, 0.0]] * 4, {}),
        ([1, 2, 0, 3], {}),
    ],
)
def test_labels_become_what_the_loss_needs_and_decide_nothing_for_later(make_trainer, labels, given):
    model = tiny_model("bert", "sequence-classification", **given)
    rows = Dataset.from_dict({"input_ids": [[5, 6], [7, 8], [9], [5]], "label": labels})
    assert np.isfinite(make_trainer(model=model, train_dataset=rows).train().training_loss)
    assert model.config.problem_type == given.get("problem_type")


def test_a_padding_token_that_is_the_end_token_stays_a_target():
    tokenizer = TinyTokenizer()
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == 0
    rows = [{"input_ids": [5, 6, 7, 0]}, {"input_ids": [8, 0]}]
    batch = DataCollatorForLanguageModeling(tokenizer, mlm=False)(rows)
    assert batch["labels"].tolist() == [[5, 6, 7, 0], [8, 0, -100, -100]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_training_in_half_precision_by_accident_is_said_in_one_line(make_trainer, dtype):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        make_trainer({"optim": "sgd", "max_grad_norm": 0}, model=TinyClassifier().to(dtype)).train()
    assert len(told) == 1
    assert "\n" not in str(told[0].message)
    assert f"training in {str(dtype)[6:]}" in str(told[0].message)
    assert told[0].filename == __file__


def test_going_on_makes_no_batch_that_was_seen_already(make_trainer, tmp_path):
    made = []

    class Count(DataCollatorWithPadding):
        def __call__(self, rows):
            made.append(len(rows))
            return super().__call__(rows)

    given = {
        "max_steps": 90, "per_device_train_batch_size": 1, "save_strategy": "steps", "save_steps": 88,
        "save_only_model": False,
    }  # fmt: skip
    rows = Dataset.from_list(examples(100))
    make_trainer(given, data_collator=Count(TinyTokenizer()), train_dataset=rows).train()
    made.clear()
    trainer = make_trainer(given, data_collator=Count(TinyTokenizer()), train_dataset=rows)
    assert trainer.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-88")).global_step == 90
    assert made == [2, 1, 1]  # two rows tell which columns it asks for


class TestWaiting:
    """A device "meta" has no values: whatever would have to wait for one fails there."""

    @pytest.fixture(autouse=True)
    def _elsewhere(self, monkeypatch):
        monkeypatch.setattr(setup, "best_device", lambda: torch.device("meta"))
        # the end reads the losses' mean; only the end does
        monkeypatch.setattr(Trainer, "training_metrics", lambda self, *_: {"train_loss": 0.0})

    # those of T5 look for the end of each text, and say which text has none
    @each([pair for pair in LEARNING if pair != ("t5", "sequence-classification")])
    def test_no_step_waits_for_the_device(self, make_trainer, model_type, task):
        self.train(make_trainer, tiny_model(model_type, task))

    @pytest.mark.parametrize(
        "given",
        [
            {"gradient_accumulation_steps": 3}, {"gradient_checkpointing": True}, {"label_smoothing_factor": 0.1},
            {"neftune_noise_alpha": 5}, {"max_grad_norm": 0}, {"optim": "adafactor"}, {"optim": "lion"},
            {"lr_scheduler_type": "cosine"},
        ],
        ids=lambda given: next(iter(given)),
    )  # fmt: skip
    def test_no_way_of_training_waits_for_the_device(self, make_trainer, given):
        self.train(make_trainer, bert(), given)

    def train(self, make_trainer, model, given=None):
        batches = cut(tiny_inputs(model, LENGTHS), 2)

        class Ready(Trainer):
            def get_train_dataloader(self):
                return batches

        result = make_trainer(
            {"use_cpu": False, "optim": "sgd", "max_steps": 2, **(given or {})}, Ready, model=model
        ).train()
        assert result.global_step == 2
        assert all(parameter.is_meta for parameter in model.parameters())

    @each([("bert", "token-classification"), ("gpt2", "causal-language"), ("t5", "sequence-to-sequence-language")])
    def test_no_batch_that_is_evaluated_waits_for_the_device(self, make_trainer, model_type, task):
        trainer = make_trainer({"use_cpu": False}, model=tiny_model(model_type, task))
        inputs = tiny_inputs(trainer.model, LENGTHS)
        assert trainer.count_targets([inputs]) > 0  # on the CPU, where the batch still is
        loss, logits, _ = trainer.prediction_step(trainer.model, inputs, prediction_loss_only=False)
        assert loss.is_meta
        assert logits.is_meta

    def test_a_mask_that_was_changed_on_the_device_is_read_there(self):
        mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
        moved = mask_on(torch.device("meta"), mask)
        assert readable(moved) is mask
        assert readable(moved[:1]) is not mask
        moved.mul_(0)
        assert readable(moved) is moved
        assert mask_on(mask.device, mask) is mask

    def test_a_step_of_ones_own_that_waits_is_found_out(self, make_trainer):
        class Waits(Trainer):
            def training_step(self, *given, **more):
                return torch.tensor(super().training_step(*given, **more).item())

        with pytest.raises(RuntimeError, match="meta"):
            make_trainer({"use_cpu": False}, Waits, model=bert()).train()
