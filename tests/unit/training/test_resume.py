"""Stopping and going on gives the same bits as not stopping: weights, optimizer, log."""

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset

from madang.datasets import Dataset
from madang.datasets import IterableDataset as Stream
from madang.errors import CheckpointError, MissingFileError
from madang.training import DataCollatorForLanguageModeling, Trainer, TrainingArguments, used_rows
from madang.training.checkpointing import checkpoints
from tests.unit.training.tiny import TinyClassifier, TinyTagger, TinyTokenizer, examples, tagged

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

TIMES = ("_runtime", "_per_second")


class Dropping(TinyClassifier):
    """With dropout: every forward pass in training draws."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.Sequential(torch.nn.LayerNorm(8), torch.nn.Dropout(0.3))


class Wide(Dropping):
    """With more words than any text has, in rows that fill lines of the processor's cache."""

    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(200, 16)
        self.norm = torch.nn.Sequential(torch.nn.LayerNorm(16), torch.nn.Dropout(0.3))
        self.head = torch.nn.Linear(16, 3)


class Masked(TinyTagger):
    """Guesses hidden tokens."""

    def __init__(self):
        super().__init__(num_labels=11)


class Noisy(torch.utils.data.Dataset):
    """Rows that are drawn anew each time they are read, from all three generators."""

    def __len__(self):
        return 21

    def __getitem__(self, row):
        drawn = (random.random() + np.random.rand() + torch.rand(()).item()) * 3
        return {"input_ids": [2 + row % 7, 2 + int(drawn)], "labels": row % 3}


class Foreign(IterableDataset):
    """A stream that cannot say where it is."""

    def __iter__(self):
        info = torch.utils.data.get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        for row in examples(23)[first::step]:
            yield {"input_ids": row["input_ids"], "labels": row["label"]}


def rows_in_shards(shards):
    for shard in shards:
        for row in examples(11, seed=shard):
            yield {"input_ids": row["input_ids"], "labels": row["label"]}


def shuffled_stream():
    return Stream.from_generator(rows_in_shards, gen_kwargs={"shards": [1, 2, 3]}).shuffle(seed=5, buffer_size=7)


class OwnLoader(Trainer):
    """A loader from outside, which draws its order from the global generator."""

    def get_train_dataloader(self):
        return DataLoader(self.train_dataset, batch_size=4, shuffle=True, collate_fn=self.data_collator)


def text_rows():
    return Dataset.from_list(examples(21)).remove_columns("text")


CASES = {
    "rows": (Dropping, text_rows, {}, {}),
    "accumulation": (Dropping, text_rows, {"gradient_accumulation_steps": 2}, {}),
    "by length": (Dropping, text_rows, {"group_by_length": True}, {}),
    "two workers": (Dropping, text_rows, {"dataloader_num_workers": 2}, {}),
    "rows that are drawn": (Dropping, Noisy, {}, {}),
    "rows drawn in workers": (Dropping, Noisy, {"dataloader_num_workers": 2}, {}),
    "random masks": (
        Masked, lambda: Dataset.from_list(tagged(21)).remove_columns("labels"), {},
        {"data_collator": DataCollatorForLanguageModeling(TinyTokenizer(), mlm_probability=0.5)},
    ),
    "stream": (Dropping, shuffled_stream, {}, {}),
    "stream, three workers": (Dropping, shuffled_stream, {"dataloader_num_workers": 3}, {}),
    "stream, more workers than shards": (Dropping, shuffled_stream, {"dataloader_num_workers": 4}, {}),
    "foreign stream": (Dropping, Foreign, {}, {}),
    "foreign stream, two workers": (Dropping, Foreign, {"dataloader_num_workers": 2}, {}),
    "foreign loader": (Dropping, text_rows, {}, {"cls": OwnLoader}),
    "adafactor": (Dropping, text_rows, {"optim": "adafactor", "learning_rate": 0.01}, {}),
    "lion": (Dropping, text_rows, {"optim": "lion", "learning_rate": 0.001}, {}),
    "half precision": (Dropping, text_rows, {"bf16": True}, {}),
    "plateau": (
        Dropping, text_rows,
        {"lr_scheduler_type": "reduce_lr_on_plateau", "eval_strategy": "steps", "eval_steps": 2,
         "lr_scheduler_kwargs": {"patience": 0}}, {},
    ),
}  # fmt: skip

QUICK = [name for name in CASES if "worker" not in name]


def trainer_of(case, out, **more):
    model, rows, given, parts = CASES[case]
    parts = {"data_collator": None, **parts}
    cls = parts.pop("cls", Trainer)
    torch.manual_seed(0)
    args = {
        "output_dir": str(out), "max_steps": 12, "per_device_train_batch_size": 4, "learning_rate": 0.05,
        "save_strategy": "steps", "save_steps": 1, "logging_steps": 3, "warmup_steps": 3, "disable_tqdm": True,
        "overwrite_output_dir": True, **given, **more,
    }  # fmt: skip
    return cls(
        model(), TrainingArguments(**args), train_dataset=rows(), eval_dataset=Dataset.from_list(examples(6)),
        processing_class=TinyTokenizer(), **parts,
    )  # fmt: skip


def told(trainer):
    """The log without what a clock says."""
    return [
        {name: value for name, value in entry.items() if not name.endswith(TIMES)}
        for entry in trainer.state.log_history
    ]


def weights(trainer):
    return trainer.model.state_dict()


def assert_same(one, other):
    for name, value in weights(one).items():
        assert torch.equal(value, weights(other)[name]), name
    assert told(one) == told(other)
    first, second = one.optimizer.state_dict()["state"], other.optimizer.state_dict()["state"]
    for number, entry in first.items():
        for name, value in entry.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(second[number][name])), name


@pytest.mark.parametrize("case", QUICK)
def test_going_on_from_any_step_gives_the_bits_of_not_stopping(case, tmp_path):
    whole = trainer_of(case, tmp_path / "whole")
    whole.train()
    for checkpoint in checkpoints(tmp_path / "whole")[:-1]:
        resumed = trainer_of(case, tmp_path / "resumed", save_strategy="no")
        torch.manual_seed(99)  # whatever the new process drew before
        assert resumed.train(resume_from_checkpoint=checkpoint).global_step == 12
        assert_same(whole, resumed)


@pytest.mark.parametrize("given", [{}, {"gradient_accumulation_steps": 2, "weight_decay": 0.1}], ids=str)
def test_a_table_that_learns_by_rows_goes_on_with_the_same_bits_and_without_as_well(given, tmp_path, monkeypatch):
    monkeypatch.setattr(used_rows, "LARGE", 0)
    monkeypatch.setitem(CASES, "used rows", (Wide, text_rows, given, {}))
    whole = trainer_of("used rows", tmp_path / "whole")
    whole.train()
    assert isinstance(whole.optimizer, used_rows.UsedRowsAdamW)
    for checkpoint in checkpoints(tmp_path / "whole")[:-1]:
        resumed = trainer_of("used rows", tmp_path / "resumed", save_strategy="no")
        torch.manual_seed(99)
        resumed.train(resume_from_checkpoint=checkpoint)
        assert_same(whole, resumed)
    monkeypatch.setattr(used_rows, "LARGE", 10**9)
    dense = trainer_of("used rows", tmp_path / "resumed", save_strategy="no")
    dense.train(resume_from_checkpoint=tmp_path / "whole" / "checkpoint-5")
    assert type(dense.optimizer) is torch.optim.AdamW
    for name, value in weights(whole).items():
        torch.testing.assert_close(value, weights(dense)[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("case", [name for name in CASES if "worker" in name])
def test_going_on_with_workers_gives_the_bits_of_not_stopping(case, tmp_path):
    whole = trainer_of(case, tmp_path / "whole")
    whole.train()
    for step in (1, 5, 8):
        resumed = trainer_of(case, tmp_path / "resumed", save_strategy="no")
        resumed.train(resume_from_checkpoint=tmp_path / "whole" / f"checkpoint-{step}")
        assert_same(whole, resumed)


def test_the_number_of_workers_changes_no_batch_of_rows(tmp_path):
    none = trainer_of("rows that are drawn", tmp_path / "a")
    two = trainer_of("rows that are drawn", tmp_path / "b", dataloader_num_workers=2)
    none.train()
    two.train()
    assert_same(none, two)


def test_an_evaluation_due_at_the_end_of_an_epoch_is_made_after_going_on(tmp_path):
    given = {"eval_strategy": "epoch", "max_steps": -1, "num_train_epochs": 2}
    whole = trainer_of("rows", tmp_path / "whole", **given)
    whole.train()
    end_of_epoch = tmp_path / "whole" / "checkpoint-6"
    resumed = trainer_of("rows", tmp_path / "resumed", save_strategy="no", **given)
    resumed.train(resume_from_checkpoint=end_of_epoch)
    assert_same(whole, resumed)


def test_true_means_the_newest_checkpoint_and_the_arguments_may_say_it(tmp_path):
    trainer_of("rows", tmp_path, max_steps=5).train()
    assert trainer_of("rows", tmp_path, max_steps=7).train(resume_from_checkpoint=True).global_step == 7
    again = trainer_of("rows", tmp_path, max_steps=8, resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert again.train().global_step == 8


def test_another_division_of_the_same_step_goes_on_at_the_same_row(tmp_path):
    whole = trainer_of("accumulation", tmp_path / "whole")
    whole.train()
    other = trainer_of(
        "accumulation", tmp_path / "other", per_device_train_batch_size=8, gradient_accumulation_steps=1,
        save_strategy="no",
    )  # fmt: skip
    other.train(resume_from_checkpoint=tmp_path / "whole" / "checkpoint-2")
    assert other.state.global_step == 12


class TestWhatCannotGoOn:
    def test_another_step_size_or_number_of_rows_is_refused(self, tmp_path):
        trainer_of("rows", tmp_path, max_steps=3).train()
        with pytest.raises(CheckpointError, match="4 examples per optimizer step, and now there are 8"):
            trainer_of("rows", tmp_path, gradient_accumulation_steps=2).train(resume_from_checkpoint=True)
        fewer = trainer_of("rows", tmp_path)
        fewer.train_dataset = fewer.train_dataset.take(10)
        with pytest.raises(CheckpointError, match="21 training rows, and now there are 10"):
            fewer.train(resume_from_checkpoint=True)

    def test_a_checkpoint_of_another_model_is_refused_before_anything_changes(self, tmp_path):
        trainer_of("rows", tmp_path, max_steps=3).train()
        other = trainer_of("rows", tmp_path)
        other.model.head = torch.nn.Linear(8, 5)
        before = {name: value.clone() for name, value in weights(other).items()}
        with pytest.raises(CheckpointError, match="another model"):
            other.train(resume_from_checkpoint=True)
        assert all(torch.equal(value, before[name]) for name, value in weights(other).items())

    def test_a_checkpoint_without_the_optimizer_says_so(self, tmp_path):
        trainer_of("rows", tmp_path, max_steps=3, save_only_model=True).train()
        with pytest.raises(CheckpointError, match=r"no optimizer.pt.*save_only_model"):
            trainer_of("rows", tmp_path).train(resume_from_checkpoint=True)

    def test_a_folder_that_is_none_says_what_was_looked_for(self, tmp_path):
        with pytest.raises(MissingFileError, match="no folder checkpoint-<step>"):
            trainer_of("rows", tmp_path).train(resume_from_checkpoint=True)
        trainer_of("rows", tmp_path, max_steps=2).train()
        with pytest.raises(MissingFileError, match=r"no trainer_state.json. It has checkpoints in it: .*checkpoint-2"):
            trainer_of("rows", tmp_path / "x").train(resume_from_checkpoint=tmp_path)

    def test_a_file_that_runs_code_is_refused(self, tmp_path):
        trainer_of("rows", tmp_path, max_steps=2).train()

        class Evil:
            def __reduce__(self):
                return os.system, ("touch /tmp/evil",)

        torch.save({"form": Evil()}, tmp_path / "checkpoint-2" / "optimizer.pt")
        with pytest.raises(CheckpointError, match="cannot be read"):
            trainer_of("rows", tmp_path).train(resume_from_checkpoint=True)

    def test_other_workers_on_a_stream_are_refused(self, tmp_path):
        trainer_of("stream", tmp_path, max_steps=2).train()
        with pytest.raises(ValueError, match="dataloader_num_workers"):
            trainer_of("stream", tmp_path, dataloader_num_workers=2).train(resume_from_checkpoint=True)


class TestCheckpointsAreWholeOrNotThere:
    def test_a_full_disk_keeps_the_last_good_checkpoint_and_says_so(self, tmp_path, monkeypatch):
        trainer = trainer_of("rows", tmp_path)
        save = torch.save

        def fills_up(value, path, *args, **options):
            if "checkpoint-3" in str(path):
                raise OSError(28, "No space left on device")
            return save(value, path, *args, **options)

        monkeypatch.setattr(torch, "save", fills_up)
        with pytest.raises(CheckpointError, match=r"the disk is full.*last good one is .*checkpoint-2"):
            trainer.train()
        assert [path.name for path in sorted(tmp_path.iterdir())] == ["checkpoint-1", "checkpoint-2"]
        monkeypatch.undo()
        assert trainer_of("rows", tmp_path).train(resume_from_checkpoint=True).global_step == 12

    def test_what_a_killed_process_left_is_cleaned_up_or_put_back(self, tmp_path):
        trainer_of("rows", tmp_path, max_steps=2).train()
        (tmp_path / ".checkpoint-3.part").mkdir()
        (tmp_path / "checkpoint-2").rename(tmp_path / ".checkpoint-2.old")  # killed between the two renames
        trainer_of("rows", tmp_path, max_steps=3).train(resume_from_checkpoint=True)
        assert [path.name for path in sorted(tmp_path.iterdir())] == ["checkpoint-1", "checkpoint-2", "checkpoint-3"]

    @pytest.mark.slow
    def test_killed_at_any_moment_the_newest_checkpoint_is_whole(self, tmp_path):
        program = tmp_path / "program.py"
        program.write_text(
            textwrap.dedent(f"""
            from pathlib import Path
            from tests.unit.training.test_resume import trainer_of
            trainer = trainer_of("rows", Path({str(tmp_path / "out")!r}), max_steps=10_000, save_total_limit=2)
            trainer.train()
            """)
        )
        chance = random.Random(4)
        for _ in range(4):
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            running = subprocess.Popen(
                [sys.executable, program], env=environment, stdout=subprocess.DEVNULL, start_new_session=True
            )
            while not checkpoints(tmp_path / "out"):
                assert running.poll() is None
            with pytest.raises(subprocess.TimeoutExpired):
                running.wait(0.3 + chance.random())
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            newest = checkpoints(tmp_path / "out")[-1]
            step = json.loads((newest / "trainer_state.json").read_text())["global_step"]
            resumed = trainer_of("rows", tmp_path / "out", max_steps=step + 2, save_strategy="no")
            assert resumed.train(resume_from_checkpoint=True).global_step == step + 2


def test_the_state_is_that_of_the_familiar_file(tmp_path):
    trainer_of("rows", tmp_path, max_steps=3).train()
    folder = Path(tmp_path / "checkpoint-3")
    names = {path.name for path in folder.iterdir()}
    assert {"optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"} <= names
    state = json.loads((folder / "trainer_state.json").read_text())
    assert state["global_step"] == 3
    assert [entry["step"] for entry in state["log_history"]] == [3]


def test_a_training_cut_short_within_an_epoch_goes_on_there(tmp_path):
    trainer_of("rows", tmp_path, max_steps=4, save_strategy="epoch").train()  # an epoch has 6 steps
    longer = trainer_of("rows", tmp_path, max_steps=6, save_strategy="no")
    assert longer.train(resume_from_checkpoint=True).global_step == 6
    assert [round(entry["epoch"], 2) for entry in longer.state.log_history] == [0.5, 1.0, 1.0]


def test_checkpoints_of_an_earlier_training_go_before_new_ones(tmp_path):
    trainer_of("rows", tmp_path, max_steps=9, save_steps=3).train()
    trainer_of("rows", tmp_path, max_steps=4, save_steps=2, save_total_limit=2).train()
    assert [path.name for path in checkpoints(tmp_path)] == ["checkpoint-2", "checkpoint-4"]
