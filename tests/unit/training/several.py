"""Trainings that the tests of several processes compare: the same program runs alone and under torchrun.

`torchrun --nproc-per-node 2 -m tests.unit.training.several FOLDER` goes through all of them; each process writes what
came of them into `FOLDER/<processes>-<rank>.json`, the main one the weights into `FOLDER/<name>-<processes>.pt`.
"""

import hashlib
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from madang.datasets import Dataset
from madang.errors import InputError
from madang.testing import tiny_model
from madang.training import DataCollatorForTokenClassification, Trainer, TrainerCallback, TrainingArguments, set_seed
from tests.unit.training.tiny import TinyClassifier, TinyTagger, TinyTokenizer, examples, tagged

COUNT, RANK = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
SHARDED = "full_shard auto_wrap"


class Routed(nn.Module):
    """Its loss is a mean; rows decide through which of two layers a batch goes, and a third one is never used."""

    def __init__(self):
        super().__init__()
        self.embed = nn.EmbeddingBag(11, 6)
        self.layers = nn.ModuleList(nn.Linear(6, 3) for _ in range(3))

    def forward(self, input_ids, labels=None):
        hidden, few = self.embed(input_ids), input_ids[:, :1] % 3 == 0
        logits = torch.where(few, self.layers[0](hidden), 0.0)
        if not few.all():
            logits = torch.where(few, logits, self.layers[1](hidden))
        return (logits,) if labels is None else (F.cross_entropy(logits, labels), logits)


class Dropping(TinyTagger):
    """Keeps the first mask of its dropout."""

    mask = None

    def forward(self, input_ids, **inputs):
        kept = F.dropout(torch.ones(40))
        self.mask = kept.tolist() if self.mask is None and self.training else self.mask
        return super().forward(input_ids, **inputs)


class ForeignStream(torch.utils.data.IterableDataset):
    """A stream that is not ours."""

    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return iter(self.rows)


class CountingExchanges(TrainerCallback):
    """Counts how often DDP exchanges gradients."""

    def on_train_begin(self, args, state, control, **kwargs):
        self.times = 0

        def exchange(_, bucket):
            self.times += bucket.is_last()
            summed = torch.distributed.all_reduce(bucket.buffer().div_(COUNT), async_op=True).get_future()
            return summed.then(lambda done: done.value()[0])

        if isinstance(self.trainer.model_wrapped, nn.parallel.DistributedDataParallel):
            self.trainer.model_wrapped.register_comm_hook(None, exchange)


def texts(count):
    return Dataset.from_list(examples(count))


def tokens(count):
    return Dataset.from_list(tagged(count))


def of_one_length(count):
    return Dataset.from_list([{**row, "input_ids": (row["input_ids"] * 4)[:4]} for row in examples(count)])


def repeated(count):
    """Texts for a language model."""
    return Dataset.from_list([{**row, "labels": row["input_ids"]} for row in tagged(count)])


def bert():
    return tiny_model(
        "bert", "token-classification", num_labels=3, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )


def bert_with_dropout():
    return tiny_model("bert", "token-classification", num_labels=3)


def gpt2():
    """Its head is its embedding."""
    return tiny_model("gpt2", "causal-language", resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)


@dataclass
class Training:
    """A training of `together` rows per micro-batch, on all processes together; the arguments under torchrun."""

    model: object
    rows: object
    together: int = 8
    given: dict = field(default_factory=dict)
    several: dict = field(default_factory=dict)
    cls: type = Trainer

    def trainer(self, folder, **more):
        set_seed(0)
        options = {"learning_rate": 0.01, "num_train_epochs": 2, "save_strategy": "no", "logging_steps": 1}
        options |= {"use_cpu": True, "disable_tqdm": True, "report_to": "none", **self.given, **more}
        options |= self.several if COUNT > 1 else {}
        args = TrainingArguments(str(folder), per_device_train_batch_size=self.together // COUNT, **options)
        model, rows, collator = self.model(), self.rows(), None
        if hasattr(model, "task") and model.task != "sequence-classification":
            collator = DataCollatorForTokenClassification(TinyTokenizer())
        return self.cls(model, args, collator, rows, eval_dataset=rows, processing_class=TinyTokenizer())


MIX = {"gradient_accumulation_steps": 3, "per_device_eval_batch_size": 4, "eval_strategy": "epoch"}
UNUSED = {"ddp_find_unused_parameters": True}
FIXED = {"max_steps": 4, "dataloader_drop_last": True}

TRAININGS = {
    "texts": Training(TinyClassifier, lambda: texts(22)),
    "targets": Training(TinyTagger, lambda: tokens(21), 4, MIX),
    "no row left": Training(TinyTagger, lambda: tokens(9)),
    "grouped": Training(TinyTagger, lambda: tokens(23), 4, {"group_by_length": True, "ddp_broadcast_buffers": False}),
    "unused": Training(Routed, lambda: of_one_length(22), 4, {"gradient_accumulation_steps": 2, **UNUSED}),
    "stream": Training(TinyTagger, lambda: tokens(21).to_iterable_dataset(), 4, {"max_steps": 12}),
    "foreign stream": Training(TinyTagger, lambda: ForeignStream(tagged(19)), 4, {"max_steps": 12}),
    "short stream": Training(TinyTagger, lambda: ForeignStream(tagged(1)), 4, {"max_steps": 2}),
    "bert": Training(bert, lambda: tokens(13), 4, MIX),
    "sharded": Training(bert, lambda: tokens(13), 4, MIX, {"fsdp": SHARDED}),
    "sharded, gradients only": Training(bert, lambda: tokens(13), 4, MIX, {"fsdp": "shard_grad_op"}),
    "sharded, tied": Training(gpt2, lambda: repeated(13), 4, MIX, {"fsdp": True}),
    "sharded, worked out again": Training(
        bert,
        lambda: tokens(13),
        4,
        {"gradient_checkpointing": True},
        {"fsdp": SHARDED, "fsdp_config": {"min_num_params": 9}},
    ),
    "sharded, plain module": Training(
        Routed,
        lambda: of_one_length(22),
        4,
        {**UNUSED, "optim": "sgd"},
        {"fsdp": "full_shard", "fsdp_config": {"transformer_layer_cls_to_wrap": "EmbeddingBag"}},
    ),
    **{
        f"sharded, {optimizer}": Training(bert, lambda: tokens(13), 4, {"optim": optimizer, **FIXED}, {"fsdp": SHARDED})
        for optimizer in ("sgd", "adafactor", "lion")
    },
}


SAVING = {"save_strategy": "steps", "save_steps": 3, "max_steps": 6}
DROPOUT = Training(bert_with_dropout, lambda: tokens(13), 4, SAVING)
DRY = Training(bert, lambda: tokens(13), 4, {**SAVING, "optim": "sgd"})
GROUPED = Training(TinyTagger, lambda: tokens(13), 4, {**SAVING, "group_by_length": True})
WAYS = {"ddp": {}, "fsdp": {"fsdp": SHARDED}} if COUNT > 1 else {"alone": {}}


def weights_of(trainer):
    spread = trainer.processes.weights(trainer.model)
    return trainer.model.state_dict() if spread is None else spread


def trained(trainer, folder, name, **how):
    """What was logged, and of the weights a digest of their bits; they themselves in a file."""
    trainer.train(**how)
    weights = weights_of(trainer)
    if RANK == 0:
        torch.save(weights, folder / f"{name}-{COUNT}.pt")
    bits = b"".join(tensor.contiguous().numpy().tobytes() for tensor in weights.values())
    return {"log": trainer.state.log_history, "bits": hashlib.sha256(bits).hexdigest()}


def train(name, folder):
    """One training, how often gradients were exchanged, and how it evaluates."""
    trainer = TRAININGS[name].trainer(folder / "out" / name)
    counting = CountingExchanges()
    counting.trainer = trainer
    trainer.add_callback(counting)
    found = trained(trainer, folder, name)
    return {**found, "exchanges": counting.times, "evaluation": trainer.evaluate()["eval_loss"]}


def stop_and_go_on(folder):
    """Trainings that were stopped in the middle of an epoch and gone on with, beside such that never stopped."""
    found = {}
    for way, options in WAYS.items():
        home = folder / f"dropout {way}"
        found[f"{way}, never stopped"] = trained(DROPOUT.trainer(home, **options), folder, f"{way}, never stopped")
        again = {"resume_from_checkpoint": str(home / "checkpoint-3")}
        found[f"{way}, stopped"] = trained(
            DROPOUT.trainer(folder / "again", **options), folder, f"{way}, stopped", **again
        )
        trained(DRY.trainer(folder / f"checkpoints {way}", **options), folder, f"dry {way}")
    GROUPED.trainer(folder / f"grouped {COUNT}").train()
    return found


def go_on(folder):
    """Go on from all checkpoints there are, in every way; the weights are left in files."""
    for source in ("alone", "ddp", "fsdp"):
        for way, options in WAYS.items() if (folder / f"checkpoints {source}").is_dir() else ():
            checkpoint = str(folder / f"checkpoints {source}" / "checkpoint-3")
            trainer = DRY.trainer(folder / "again", **options)
            trained(trainer, folder, f"{source} to {way}", resume_from_checkpoint=checkpoint)


def other_things(folder):
    found = {}
    trainer = Training(Dropping, lambda: tokens(8), given={"max_steps": 1}).trainer(folder / "mask")
    trainer.train()
    found["masks"] = trainer.processes.gathered(trainer.model.mask)

    set_seed(RANK)  # a head that each process draws for itself
    drawn = TinyTagger()
    trainer = Training(lambda: drawn, lambda: tokens(8)).trainer(folder / "drawn")
    found["drawn"] = trainer.processes.gathered(trainer.model.head.weight.tolist())

    best = {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 1, "save_strategy": "best"}
    best |= {"learning_rate": 0.1, "max_steps": 4, "data_seed": 5}
    trainer = Training(bert, lambda: tokens(13), 4, best, {"fsdp": SHARDED}).trainer(folder / f"best-{COUNT}")
    trainer.train()
    found["evaluations"] = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    found["best"] = trainer.evaluate()["eval_loss"]
    trainer.save_model(folder / f"saved-{COUNT}")

    try:
        Training(Routed, lambda: of_one_length(8), 4).trainer(folder / "unused").train()
    except InputError as error:
        found["unused"] = str(error)
    return found


def main(folder):
    found = {name: train(name, folder) for name in TRAININGS}
    found["stopping"] = stop_and_go_on(folder)
    go_on(folder)
    found["other"] = other_things(folder)
    (folder / f"{COUNT}-{RANK}.json").write_text(json.dumps(found), encoding="utf-8")


class Unlucky(Trainer):
    """The last process gets a loss that is no number."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        loss = super().compute_loss(model, inputs, num_items_in_batch=num_items_in_batch)
        late = RANK == COUNT - 1 and self.state.global_step == 1
        return loss * float("nan") if late else loss


def collate_badly(rows):
    if RANK == COUNT - 1:
        raise ValueError("this row cannot be collated")
    return DataCollatorForTokenClassification(TinyTokenizer())(rows)


def fail(kind, folder):
    """End as something goes wrong: a loss that is no number, a collator that fails, a process killed while it saves."""
    if kind == "nan":
        Training(TinyTagger, lambda: tokens(16), 4, cls=Unlucky).trainer(folder / "nan").train()
    elif kind == "collator":
        trainer = Training(TinyTagger, lambda: tokens(16), 4).trainer(folder / "collator")
        trainer.data_collator = collate_badly
        trainer.train()
    else:
        from madang.training import saving

        trainer = DRY.trainer(folder / "killed", **WAYS["fsdp"])
        write = saving.save_model

        def killed(path, *given):
            write(path, *given)
            if trainer.state.global_step == 6:
                os.kill(os.getpid(), 9)

        saving.save_model = killed
        trainer.train()


if __name__ == "__main__":
    torch.set_num_threads(1)
    where = Path(sys.argv[1])
    main(where) if len(sys.argv) == 2 else fail(sys.argv[2], where)
