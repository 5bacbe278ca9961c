"""Precision, memory, devices, data and processes: every argument does something."""

import os
import warnings
from datetime import timedelta

import pytest
import torch

from madang.datasets import Dataset
from madang.errors import InputError
from madang.training import Trainer, TrainerCallback, TrainingArguments, setup
from madang.training.distributed import Processes, fsdp
from tests.unit.training.effects import Checks, carry_out
from tests.unit.training.tiny import TinyClassifier, examples

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

CHECKS = Checks()


@pytest.fixture
def several(monkeypatch):
    """This process is the second of two, on the first of two machines' GPUs; nothing is started, calls are noted."""
    noted = {}
    for name, value in (("RANK", "1"), ("LOCAL_RANK", "1"), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        torch.distributed, "init_process_group", lambda backend, **how: noted.update(backend=backend, **how)
    )
    monkeypatch.setattr("atexit.register", lambda function: None)
    monkeypatch.setattr(torch.nn.parallel, "DistributedDataParallel", lambda model, **how: noted.update(how) or model)

    def place(**given):
        noted.clear()
        args = TrainingArguments(**given)
        with warnings.catch_warnings():
            Processes(args, torch.device("cpu")).wrapped(torch.nn.Linear(1, 1), args)
        return dict(noted)

    return place


# ---- precision, memory, devices


@CHECKS.of("bf16", "fp16")
def _(run):
    kinds = []

    class Look(Trainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            kinds.append(model.head(torch.zeros(1, 8)).dtype)
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    run(Look, max_steps=1)
    run(Look, bf16=True, max_steps=1)
    # the first scale is too large for these gradients: the steps that find it leave the weights alone
    trainer = run(Look, fp16=True, max_steps=20)
    assert kinds[:3] == [torch.float32, torch.bfloat16, torch.float16]
    assert trainer.scaler.get_scale() > 1
    assert all(torch.isfinite(parameter).all() for parameter in trainer.model.parameters())
    assert not torch.equal(trainer.model.head.weight, run(Look, max_steps=1, learning_rate=0).model.head.weight)


@CHECKS.of("tf32")
def _(run):
    seen = []

    class Look(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))

    before = (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)
    for given in (None, True, False):
        run(callbacks=[Look], max_steps=1, tf32=given)
    assert seen == [before, (True, True), (False, False)]
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == before


@CHECKS.of("gradient_checkpointing", "gradient_checkpointing_kwargs")
def _(run, make_trainer):
    asked = []

    class Look(TinyClassifier):
        def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs=None):
            asked.append(gradient_checkpointing_kwargs)

    run(model=Look)
    run(model=Look, gradient_checkpointing=True)
    run(model=Look, gradient_checkpointing=True, gradient_checkpointing_kwargs={"use_reentrant": False})
    assert asked == [None, {"use_reentrant": False}]
    with pytest.raises(InputError, match="gradient_checkpointing_enable"):
        make_trainer(
            {"gradient_checkpointing": True}, model=torch.nn.Linear(1, 1), train_dataset=[{"input": [1.0]}]
        ).train()


@CHECKS.of("torch_compile", "torch_compile_backend", "torch_compile_mode")
def _(run, monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "compile", lambda model, **options: asked.append(options) or model)
    run()
    run(torch_compile=True)
    run(torch_compile_backend="eager")
    run(torch_compile_mode="reduce-overhead")
    assert asked == [
        {"backend": "inductor", "mode": None}, {"backend": "eager", "mode": None},
        {"backend": "inductor", "mode": "reduce-overhead"},
    ]  # fmt: skip


@CHECKS.of("torch_empty_cache_steps")
def _(make_trainer, monkeypatch):
    emptied = []
    for given in ({}, {"torch_empty_cache_steps": 2}):
        trainer = make_trainer(given)
        monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(trainer.state.global_step))  # noqa: B023
        trainer.device = torch.device("cuda")
        for step in (1, 2, 3, 4):
            trainer.state.global_step = step
            trainer.log_evaluate_save()
    assert emptied == [2, 4]


@CHECKS.of("use_cpu")
def _(make_trainer, monkeypatch):
    monkeypatch.setattr(setup, "best_device", lambda: torch.device("meta"))
    assert make_trainer({"use_cpu": True}).device.type == "cpu"
    trainer = make_trainer({"use_cpu": False})
    assert trainer.device.type == trainer.model.head.weight.device.type == "meta"


# ---- data


@CHECKS.of("dataloader_num_workers", "dataloader_persistent_workers")
def _(make_trainer):
    def processes(**given):
        def collate(rows):
            return {"process": torch.tensor([os.getpid()]), "input_ids": torch.zeros(len(rows), 2)}

        batches = make_trainer(given, data_collator=collate).get_train_dataloader()
        return {int(batch["process"]) for _ in range(2) for batch in batches}

    assert processes() == {os.getpid()}
    assert len(processes(dataloader_num_workers=1) - {os.getpid()}) == 2
    assert len(processes(dataloader_num_workers=1, dataloader_persistent_workers=True) - {os.getpid()}) == 1


@CHECKS.of("dataloader_prefetch_factor")
def _(make_trainer):
    given = {"dataloader_num_workers": 1, "dataloader_prefetch_factor": 5, "per_device_train_batch_size": 1}
    batches = iter(make_trainer(given).get_train_dataloader())
    assert batches._tasks_outstanding == 5


@CHECKS.of("dataloader_pin_memory")
def _(make_trainer):
    for given, pinned in (({}, True), ({"dataloader_pin_memory": False}, False)):
        trainer = make_trainer(given)
        assert not trainer.get_train_dataloader().pin_memory  # for the CPU there is nothing to gain
        trainer.device = torch.device("cuda")
        assert trainer.get_train_dataloader().pin_memory is pinned


@CHECKS.of("dataloader_drop_last")
def _(run):
    assert run(dataloader_drop_last=True).state.global_step == 2


@CHECKS.of("remove_unused_columns")
def _(make_trainer):
    seen = []

    def collate(rows):
        seen.append(set(rows[0]))
        return {"input_ids": torch.tensor([[2, 3]] * len(rows)), "labels": torch.tensor([0] * len(rows))}

    make_trainer({"remove_unused_columns": False, "max_steps": 1}, data_collator=collate).train()
    assert seen == [{"text", "input_ids", "label"}]


@CHECKS.of("label_names")
def _(make_trainer):
    rows = Dataset.from_list(examples(4))
    assert make_trainer({"label_names": ["attention_mask"]}).predict(rows).label_ids.shape[0] == 4


@CHECKS.of("group_by_length", "length_column_name")
def _(make_trainer):
    def first(rows, **given):
        batches = make_trainer({"per_device_train_batch_size": 4, **given}, train_dataset=rows).get_train_dataloader()
        return next(iter(batches.picks)).rows

    rows = Dataset.from_list(examples())
    lengths = [len(ids) for ids in rows["input_ids"]]
    by_length = first(rows, group_by_length=True)
    assert lengths[by_length[0]] == max(lengths)
    assert by_length != first(rows)
    contrary = rows.add_column("how_long", [100 - length for length in lengths])
    shortest = first(contrary, group_by_length=True, length_column_name="how_long")
    assert lengths[shortest[0]] == min(lengths)


# ---- several processes


@CHECKS.of("ddp_backend", "ddp_timeout")
def _(several):
    assert several()["backend"] == several(ddp_backend="gloo")["backend"] == "gloo"
    assert several(ddp_timeout=60)["timeout"] == timedelta(seconds=60)
    with pytest.raises(ValueError, match="ddp_backend='nccl' is for GPUs"):
        several(ddp_backend="nccl")


@CHECKS.of("ddp_find_unused_parameters", "ddp_bucket_cap_mb", "ddp_broadcast_buffers")
def _(several):
    assert not several()["find_unused_parameters"]
    assert several(ddp_find_unused_parameters=True)["find_unused_parameters"]
    assert several(ddp_bucket_cap_mb=5)["bucket_cap_mb"] == 5
    buffers = several(ddp_broadcast_buffers=False)
    assert buffers.get("forward_sync_buffers", buffers.get("broadcast_buffers")) is False


@CHECKS.of("fsdp", "fsdp_config")
def _(several, monkeypatch, tmp_path):
    spread = []
    monkeypatch.setattr(fsdp, "shard", lambda model, how, *rest: spread.append(how) or model)
    monkeypatch.setattr(Processes, "_make_same", lambda *_: None)
    (tmp_path / "fsdp.json").write_text('{"cpu_offload": true}', encoding="utf-8")
    for given in (
        {}, {"fsdp": "full_shard"}, {"fsdp": "shard_grad_op"}, {"fsdp": True, "fsdp_config": {"min_num_params": 10}},
        {"fsdp": "full_shard", "fsdp_config": str(tmp_path / "fsdp.json")},
    ):  # fmt: skip
        args = TrainingArguments(**given)
        Processes(args, torch.device("cpu")).placed(torch.nn.Linear(1, 1), args) if given else several()
    assert [(how.release, how.smallest, how.offload) for how in spread] == [
        (True, 0, False), (False, 0, False), (True, 10, False), (True, 0, True),
    ]  # fmt: skip


@CHECKS.each()
def test_every_argument_does_something(check, request):
    carry_out(check, request)
