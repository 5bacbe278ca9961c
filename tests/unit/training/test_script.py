"""The program that `to_script` writes ends with the Trainer's losses and weights, bit for bit."""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models
from torch import nn
from torch.nn import functional as F

from madang import AutoModelForCausalLM, PreTrainedTokenizerFast
from madang.adapt import LoraConfig
from madang.datasets import Dataset
from madang.errors import InputError
from madang.testing import tiny_model
from madang.training import (
    DataCollatorForLanguageModeling,
    DataCollatorForSeq2Seq,
    DataCollatorForTokenClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    used_rows,
)
from madang.training.early_stopping import EarlyStoppingCallback
from madang.training.optimizer import OPTIMIZERS
from madang.training.schedule import SCHEDULES
from madang.training.script import possible
from tests.unit.training.tiny import TinyTagger, TinyTokenizer, examples, tagged


class Plain(nn.Module):
    """Any torch module that returns its loss first; it can neither count nor save itself."""

    def __init__(self):
        super().__init__()
        self.embed = nn.EmbeddingBag(11, 6)
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(6, 3))

    def forward(self, input_ids, labels=None):
        logits = self.head(self.embed(input_ids))
        return (logits,) if labels is None else (F.cross_entropy(logits, labels), logits)


def accuracy(prediction):
    logits, labels = prediction
    return {"accuracy": (logits.argmax(-1) == labels).mean()}


def focal(outputs, labels, num_items_in_batch):
    chances = F.log_softmax(outputs.logits, -1).gather(1, labels[:, None])
    return -((1 - chances.exp()) * chances).sum() / num_items_in_batch


def stacked(rows):
    """A collator of one's own, with chance in it."""
    ids = torch.tensor([(row["input_ids"] * 4)[:4] for row in rows])
    ids[torch.rand(ids.shape) < 0.3] = 1
    return {"input_ids": ids, "label": torch.tensor([row["label"] for row in rows])}


def make_bert():
    return tiny_model("bert", "sequence-classification", num_labels=3, seed=int(torch.randint(100, ())))


def bert(task="sequence-classification", **changes):
    return tiny_model("bert", task, **{"num_labels": 3, "hidden_dropout_prob": 0.2, **changes})


def loaded_gpt2():
    """Its file holds matrices turned, so they lie in memory in another order than those of a new model."""
    with tempfile.TemporaryDirectory() as folder:
        tiny_model("gpt2", "causal-language").save_pretrained(folder)
        return AutoModelForCausalLM.from_pretrained(folder)


def eager():
    model = bert()
    model.set_attn_implementation("eager")
    return model


def half_frozen():
    model = bert()
    model.body.embed.requires_grad_(False)
    model.body.blocks[0].attention.query.weight.requires_grad_(False)
    return model


def tokenizer():
    words = ["[PAD]", "[CLS]", *"abcdefgh", "[MASK]"]
    inside = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="a"))
    return PreTrainedTokenizerFast(tokenizer_object=inside, pad_token="[PAD]", cls_token="[CLS]", mask_token="[MASK]")


def rows(**columns):
    return Dataset.from_list([{**row, **{name: give(row) for name, give in columns.items()}} for row in examples()])


EVERY_STEP = {"eval_strategy": "steps", "eval_steps": 2}
EVERY_EPOCH = {"eval_strategy": "epoch", "num_train_epochs": 3}
# name -> (training arguments, what else the Trainer is given)
CASES = {
    "default": ({}, {}),
    "accumulation": ({"gradient_accumulation_steps": 2}, {}),
    "stops_within_an_epoch": ({"max_steps": 8}, {}),
    "drop_last": ({"dataloader_drop_last": True, "per_device_train_batch_size": 8, "num_train_epochs": 2}, {}),
    "by_length": ({"group_by_length": True}, {}),
    "by_length_column": (
        {"group_by_length": True, "gradient_accumulation_steps": 3},
        {"train_dataset": rows(length=lambda row: len(row["input_ids"]))},
    ),
    "weight_decay": ({"weight_decay": 0.1}, {}),
    "no_clipping": ({"max_grad_norm": 0}, {}),
    "tight_clipping": ({"max_grad_norm": 0.01, "gradient_accumulation_steps": 2}, {}),
    "warmup": ({"warmup_ratio": 0.5}, {}),
    "smoothing": ({"label_smoothing_factor": 0.1, **EVERY_EPOCH}, {}),
    "bfloat16": ({"bf16": True, **EVERY_STEP, "gradient_accumulation_steps": 2}, {}),
    "float16": ({"fp16": True, **EVERY_STEP}, {}),
    "checkpointing": ({"gradient_checkpointing": True}, {}),
    "noise": ({"neftune_noise_alpha": 5, **EVERY_STEP}, {}),
    "other_order": ({"seed": 7, "data_seed": 3}, {}),
    "eager": ({}, {"model": eager}),
    "logs_by_epoch": ({"logging_strategy": "epoch", "logging_first_step": True, "num_train_epochs": 2}, {}),
    "logs_nothing": ({"logging_strategy": "no"}, {}),
    "logs_seldom": ({"logging_steps": 0.5}, {}),
    "evaluates_by_epoch": ({**EVERY_EPOCH, "eval_delay": 2}, {"compute_metrics": accuracy}),
    "evaluates_by_step": ({**EVERY_STEP, "eval_delay": 2, "eval_on_start": True}, {"compute_metrics": accuracy}),
    "evaluates_several": (EVERY_EPOCH, {"eval_dataset": {"a": rows(), "b c": Dataset.from_list(examples(9, seed=1))}}),
    "best": (
        {**EVERY_STEP, "load_best_model_at_end": True, "metric_for_best_model": "accuracy", "learning_rate": 1e-2},
        {"compute_metrics": accuracy},
    ),
    "stops_early": (
        {**EVERY_STEP, "num_train_epochs": 9, "metric_for_best_model": "loss", "learning_rate": 3e-2},
        {"callbacks": [EarlyStoppingCallback(2)]},
    ),
    "other_metric": ({**EVERY_STEP, "lr_scheduler_type": "reduce_lr_on_plateau"}, {"compute_loss_func": focal}),
    "own_loss": ({"gradient_accumulation_steps": 2}, {"compute_loss_func": focal}),
    "own_optimizer": ({"weight_decay": 0.1}, {"optimizer_cls_and_kwargs": (torch.optim.NAdam, {"lr": 1e-2})}),
    "own_collator": ({"remove_unused_columns": False, **EVERY_STEP}, {"data_collator": stacked}),
    "rows_in_a_list": ({}, {"train_dataset": examples()}),
    "rows_of_tensors": ({}, {"train_dataset": rows().with_format("torch", columns=["input_ids", "label"])}),
    "left": ({}, {"tokenizer": TinyTokenizer("left")}),
    "model_init": ({}, {"model": None, "model_init": make_bert}),
    "frozen": ({}, {"model": half_frozen}),
    "adapter": ({}, {"model": lambda: bert().add_adapter(LoraConfig(r=2, lora_dropout=0.1))}),
    "tokens": (
        {"gradient_accumulation_steps": 2, **EVERY_EPOCH},
        {"model": lambda: bert("token-classification"), "train_dataset": Dataset.from_list(tagged())},
    ),
    "tokens_by_collator": (
        {},
        {
            "model": lambda: bert("token-classification"),
            "train_dataset": Dataset.from_list(tagged()),
            "data_collator": DataCollatorForTokenClassification(TinyTokenizer()),
        },
    ),
    "masked": (
        {"gradient_accumulation_steps": 2, **EVERY_EPOCH},
        {
            "model": lambda: bert("masked-language"),
            "data_collator": DataCollatorForLanguageModeling(tokenizer(), mlm_probability=0.4),
            "tokenizer": None,
        },
    ),
    "masked_one_by_one": (
        EVERY_STEP,
        {
            "model": lambda: bert("masked-language"),
            "data_collator": DataCollatorForLanguageModeling(TinyTokenizer(), mlm_probability=0.4),
        },
    ),
    "causal": (
        {"gradient_accumulation_steps": 2, **EVERY_EPOCH},
        {
            "model": lambda: tiny_model("gpt2", "causal-language"),
            "data_collator": DataCollatorForLanguageModeling(TinyTokenizer(), mlm=False),
        },
    ),
    "causal_from_a_file": (
        {"weight_decay": 0.1},
        {"model": loaded_gpt2, "data_collator": DataCollatorForLanguageModeling(TinyTokenizer(), mlm=False)},
    ),
    "sequence_to_sequence": (
        {"gradient_accumulation_steps": 2, **EVERY_STEP},
        {
            "model": lambda: tiny_model("t5", "sequence-to-sequence-language"),
            "train_dataset": rows(labels=lambda row: row["input_ids"][:3]).remove_columns("label"),
            "data_collator": "of the model",
        },
    ),
    "plain_module": (
        {"gradient_accumulation_steps": 2, **EVERY_STEP},
        {
            "model": Plain,
            "train_dataset": rows(input_ids=lambda row: (row["input_ids"] * 4)[:4]),
            "compute_metrics": accuracy,
            "tokenizer": None,
        },
    ),
    "plain_module_that_counts": (
        {"gradient_accumulation_steps": 2},
        {"model": TinyTagger, "train_dataset": Dataset.from_list(tagged())},
    ),
    **{
        f"schedule_{name}": (
            {"lr_scheduler_type": str(name), "warmup_steps": 2, "learning_rate": 1e-2}
            | (EVERY_STEP if "plateau" in name else {})
            | {"lr_scheduler_kwargs": {"min_lr_rate": 0.1} if "min_lr" in name else {}}
            | ({"lr_scheduler_kwargs": {"num_decay_steps": 2, "decay_type": "1-sqrt"}} if "stable" in name else {}),
            {},
        )
        for name in SCHEDULES
    },
    **{f"optimizer_{name}": ({"optim": name, "weight_decay": 0.1, "learning_rate": 1e-3}, {}) for name in OPTIMIZERS},
    **{f"steady_{name}": ({"optim": name, "learning_rate": 1e-3}, {}) for name in ("adagrad", "lion", "muon")},
    "momentum": ({"optim": "sgd", "optim_args": "momentum=0.9,nesterov=true"}, {}),
    "used_rows": ({}, {"model": lambda: bert(hidden_size=48, vocab_size=256)}),
    "used_rows_decaying": (
        {"weight_decay": 0.1, "gradient_accumulation_steps": 2, "max_grad_norm": 0},
        {"model": lambda: bert(hidden_size=48)},
    ),
}
RUNNER = """
import os, runpy, sys, warnings
warnings.simplefilter("error")
for path in sys.argv[1:]:
    sys.argv = [path, "--output", path.removesuffix(".py")]
    runpy.run_path(path, run_name="__main__")
"""


def trainer_of(name, folder):
    torch.manual_seed(0)
    arguments, given = CASES[name]
    usual = {"per_device_train_batch_size": 4, "num_train_epochs": 1, "logging_steps": 1, "save_strategy": "no"}
    usual |= {"use_cpu": True, "disable_tqdm": True, "report_to": "none", "output_dir": str(folder / "out" / name)}
    parts = {"model": bert, "tokenizer": TinyTokenizer(), **given}
    parts.setdefault("train_dataset", rows())
    parts["model"] = parts["model"] and parts["model"]()
    if parts.get("data_collator") == "of the model":
        parts["data_collator"] = DataCollatorForSeq2Seq(TinyTokenizer(), model=parts["model"])
    if arguments.get("eval_strategy"):
        parts.setdefault("eval_dataset", parts["train_dataset"])
    return Trainer(args=TrainingArguments(**{**usual, **arguments}), **parts)


def run(paths):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RUNNER, *map(str, paths)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Every case trained by a Trainer, and by the program written before."""
    folder, threads = tmp_path_factory.mktemp("scripts"), torch.get_num_threads()
    torch.set_num_threads(1)
    for name in CASES:
        with pytest.MonkeyPatch.context() as patch:
            if name.startswith("used_rows"):
                patch.setattr(used_rows, "LARGE", 0)
            trainer = trainer_of(name, folder)
            trainer.to_script(folder / f"{name}.py")
            trainer.train()
        trainer.save_model(folder / "trained" / name)
        (folder / "trained" / name / "history.json").write_text(json.dumps(trainer.state.log_history))
    torch.set_num_threads(threads)
    run(sorted(folder.glob("*.py")))
    return folder


def weights_in(folder):
    file = next(path for path in sorted(folder.iterdir()) if path.suffix in (".safetensors", ".pt"))
    return torch.load(file) if file.suffix == ".pt" else load_file(file)


def told(history):
    """What was logged, without how long it took; evaluations of several datasets together."""
    found = {}
    for entry in history:
        for name, value in entry.items():
            if name.endswith(("loss", "accuracy", "grad_norm", "learning_rate")):
                found.setdefault((entry["step"], "eval" in name), {})[name] = value
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_program_gives_the_losses_and_the_weights_of_its_trainer(folder, name):
    expected = json.loads((folder / "trained" / name / "history.json").read_text())
    assert told(json.loads((folder / name / "losses.json").read_text())) == told(expected)
    trained, written = weights_in(folder / "trained" / name), weights_in(folder / name)
    assert trained.keys() == written.keys()
    assert all(torch.equal(trained[key], written[key]) for key in trained)


def test_programs_are_formatted_and_have_no_loose_ends(folder):
    programs = [path.name for path in sorted(folder.glob("*.py"))]
    ruff = [sys.executable, "-m", "ruff"]
    options = ["--isolated", "--no-cache", "--line-length", "120"]
    chosen = ["--select", "E,W,F,I,N,UP,B,C4,SIM,RUF"]
    for command in ([*ruff, "format", "--diff", *options], [*ruff, "check", *options, *chosen, "--ignore", "N812"]):
        done = subprocess.run([*command, *programs], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_nothing_that_is_off_is_in_the_program(folder):
    text = (folder / "default.py").read_text()
    for word in ("scaler", "autocast", "evaluate", "drawing_from", "ACCUMULATION", "WEIGHT_DECAY", "copy", "compiled"):
        assert word not in text
    assert "UsedRows" not in text
    assert "from madang.training" not in text
    assert "import Trainer" not in text


def test_a_program_whose_table_learns_by_rows_has_that_optimizer_in_it(folder):
    text = (folder / "used_rows.py").read_text()
    for line in ("class UsedRowsAdamW", 'get_submodule("body.embed.tokens").sparse = True', "= clip_gradient("):
        assert line in text
    assert "clip_gradient" not in (folder / "used_rows_decaying.py").read_text()


def test_writing_a_program_changes_nothing_about_the_training(tmp_path):
    plain, written = (trainer_of("masked", tmp_path) for _ in range(2))
    written.to_script(tmp_path / "train.py")
    plain.train(), written.train()
    assert told(plain.state.log_history) == told(written.state.log_history)


def test_functions_of_the_main_program_are_written_out(tmp_path):
    program = tmp_path / "main_program.py"
    program.write_text(
        """
import json
import numpy as np
import torch
from torch.nn import functional as F
from tests.unit.training.test_script import trainer_of, CASES
from pathlib import Path

SCALE = 2.0

def scaled(logits):
    return F.log_softmax(logits * SCALE, -1)

def sharp(outputs, labels, num_items_in_batch):
    return F.nll_loss(scaled(outputs.logits), labels, reduction="sum") / num_items_in_batch

def right(prediction):
    return {"accuracy": np.mean(prediction.predictions.argmax(-1) == prediction.label_ids)}

torch.set_num_threads(1)
folder = Path(__file__).parent
CASES["main"] = ({"eval_strategy": "epoch"}, {"compute_metrics": right, "compute_loss_func": sharp})
trainer = trainer_of("main", folder)
trainer.to_script(folder / "train.py")
trainer.train()
(folder / "history.json").write_text(json.dumps(trainer.state.log_history))
""",
        encoding="utf-8",
    )
    run([program, tmp_path / "train.py"])
    expected = told(json.loads((tmp_path / "history.json").read_text()))
    assert told(json.loads((tmp_path / "train" / "losses.json").read_text())) == expected
    assert any("eval_accuracy" in entry for entry in expected.values())


class Own(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    def evaluate(self, *given, **named):
        return super().evaluate(*given, **named)


class Watching(TrainerCallback):
    pass


def test_one_error_lists_everything_that_cannot_be_written_out(tmp_path):
    arguments = TrainingArguments(str(tmp_path / "out"), use_cpu=True, auto_find_batch_size=True)
    stream = rows().to_iterable_dataset()
    trainer = Own(bert(), arguments, train_dataset=stream, tokenizer=TinyTokenizer(), callbacks=[Watching])
    trainer.args.max_steps = 2
    with pytest.raises(InputError) as raised:
        trainer.to_script(tmp_path / "train.py")
    said = str(raised.value)
    for part in (
        "auto_find_batch_size",
        "compute_loss(): overridden in Own",
        "Watching",
        "train_dataset: it is a stream",
    ):
        assert part in said
    assert "evaluate()" not in said  # nothing is evaluated on the way
    assert not list(tmp_path.glob("train*"))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"compute_loss_func": lambda outputs, labels, num_items_in_batch: outputs.loss}, "lambda"),
        ({"data_collator": DataCollatorForLanguageModeling(TinyTokenizer(), seed=3)}, "generator of its own"),
        ({"optimizers": (torch.optim.SGD([nn.Parameter(torch.zeros(1))]), None)}, "optimizers"),
    ],
)
def test_what_has_no_source_or_a_state_of_its_own_is_refused(tmp_path, parts, said):
    arguments = TrainingArguments(str(tmp_path / "out"), use_cpu=True)
    given = {"train_dataset": rows(), "tokenizer": TinyTokenizer(), **parts}
    with pytest.raises(InputError, match=said):
        Trainer(bert(), arguments, **given).to_script(tmp_path / "train.py")


def test_a_program_is_a_file_that_python_can_run(tmp_path):
    with pytest.raises(InputError, match=r"train\.py"):
        trainer_of("default", tmp_path).to_script(tmp_path / "train.txt")


def test_every_training_argument_is_followed_left_out_or_refused():
    kinds = (possible.WRITTEN, possible.WITHOUT_EFFECT, set(possible.REFUSED), set(possible.REFUSED_IN_EVALUATION))
    known = [name for kind in kinds for name in kind]
    assert sorted(known) == sorted(field.name for field in dataclasses.fields(TrainingArguments))
