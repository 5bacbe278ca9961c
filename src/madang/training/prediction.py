"""Going through a dataset without learning: exact losses, and what a model answers, on its way to whoever scores it."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import nn
from torch.utils.data.distributed import DistributedSampler

from madang.errors import InputError
from madang.training.gathered import Gathered, joined_nested, leaves, mapped, to_numpy
from madang.training.loaders import RowLoader, Spare, StreamLoader
from madang.training.scoring import Rows

if TYPE_CHECKING:
    from madang.training.evaluating import Evaluating

__all__ = ["Gathered", "Passed", "go_through"]

# what a model computes on the way; its answers are all the rest
_INSIDE = ("hidden_state", "hidden_states", "attentions", "past_key_values")


class Receiver(Protocol):
    """Takes what the batches gave, one after the other."""

    def add(self, rows: Rows) -> None:
        """One batch of all processes."""


@dataclass
class Passed:
    """What one pass over a dataset gave, on all processes together."""

    loss: float | None
    examples: int
    labelled: bool
    """Whether the batches had labels."""


@dataclass
class FirstBatch:
    """A loader that stops after its first batch."""

    loader: Any

    def __iter__(self) -> Iterator[Any]:
        for batch in self.loader:
            yield batch
            return

    def __len__(self) -> int:
        return 1

    def __getattr__(self, name: str) -> Any:
        if name == "loader":  # while being copied
            raise AttributeError(name)
        return getattr(self.loader, name)


def go_through(
    trainer: "Evaluating",
    batches: Iterable[Any],
    receivers: list[Receiver] | None,
    *,
    ignore_keys: list[str] | None = None,
    needs_labels: bool = False,
    only_classes: bool = False,
) -> Passed:
    """Evaluate every batch; its loss is counted, and what the model answers goes to the receivers.

    The loss is the mean over all targets, however they are cut into batches. It is added up where it was computed and
    read once, at the end: without receivers (None) nothing makes a GPU wait, and no answer leaves it. Of logits,
    `only_classes` keeps which one is the largest.
    """
    processes, shared = trainer.processes, _is_shared(batches)
    passage = None if receivers is None else _Passage(trainer, receivers, _order_of(batches), only_classes)
    # Apple's GPUs know no float64
    total = torch.zeros(
        (), dtype=torch.float32 if trainer.device.type == "mps" else torch.float64, device=trainer.device
    )
    targets = examples = 0
    labelled = False
    trainer.model.eval()
    in_step = processes.count > 1 and isinstance(getattr(batches, "loader", batches), StreamLoader)
    for batch in processes.in_step(iter(batches)) if in_step else batches:
        spare = batch is None or isinstance(batch, Spare)
        weight = 0 if spare else trainer.count_targets([batch])  # on the CPU, where the batch still is
        loss = logits = labels = None
        if batch is not None:
            loss, logits, labels = trainer.prediction_step(
                trainer.model, batch, prediction_loss_only=receivers is None, ignore_keys=ignore_keys
            )
        if loss is not None and weight:
            loss = torch.as_tensor(loss, device=total.device).detach().mean().to(total.dtype)
            total += loss * weight
            targets += weight
        if passage is not None:
            if needs_labels and labels is None and not spare:
                raise _no_labels(trainer, batch)
            labelled = labelled or labels is not None
            passage.add(None if spare else Rows(logits, labels, _main_input(trainer, batch), loss), batch)
        examples += 0 if spare else batch_size(batch)
        trainer.fire("on_prediction_step", eval_dataloader=batches)
    if passage is not None:
        passage.flush()
    sums = torch.tensor([float(total), targets, examples, labelled], dtype=torch.float64)
    found = (processes.total(sums) if shared else sums).tolist()
    if not found[2]:
        raise InputError("there is nothing to evaluate: the dataset gave no batch, so it is empty.")
    return Passed(found[0] / found[1] if found[1] else None, int(found[2]), bool(found[3]))


class _Passage:
    """Takes what batches give from the device, from all processes, in the order of the dataset, to the receivers."""

    def __init__(self, trainer: "Evaluating", receivers: list[Receiver], order: str | None, only_classes: bool) -> None:
        self._trainer, self._receivers, self._order = trainer, receivers, order
        self._only_classes = only_classes
        self._every = int(trainer.args.eval_accumulation_steps or 1)
        self._asked = trainer.args.include_for_metrics
        self._waiting: list[Rows | None] = []

    def add(self, rows: Rows | None, batch: Any) -> None:
        """One batch's; None for a spare one, whose rows do not count."""
        if rows is not None:
            answers = rows.predictions
            if answers is not None and self._trainer.preprocess_logits_for_metrics is not None:
                answers = self._trainer.preprocess_logits_for_metrics(answers, rows.labels)
            elif answers is not None and self._only_classes:
                answers = mapped(lambda logits: logits.argmax(-1), answers)
            losses = None
            if "loss" in self._asked and rows.losses is not None:
                losses = rows.losses.float().repeat(batch_size(batch))
            rows = Rows(answers, rows.labels, rows.inputs if "inputs" in self._asked else None, losses)
        self._waiting.append(rows)
        if len(self._waiting) >= self._every:
            self.flush()

    def flush(self) -> None:
        """Off the device with all that waits."""
        waiting, self._waiting = self._waiting, []
        for rows in waiting:
            here = None if rows is None else Rows(*(None if value is None else to_numpy(value) for value in rows))
            together = self._of_all_processes(here)
            if together is not None:
                for receiver in self._receivers:
                    receiver.add(together)

    def _of_all_processes(self, rows: Rows | None) -> Rows | None:
        if self._order is None or self._trainer.processes.count == 1:
            return rows
        parts = [part for part in self._trainer.processes.gathered(rows) if part is not None]
        if len(parts) < 2:
            return parts[0] if parts else None
        fillers = (self._trainer.prediction_filler, *[-100] * 3)
        whole = [
            None if values[0] is None else joined_nested(list(values), filler)
            for values, filler in zip(zip(*parts, strict=True), fillers, strict=True)
        ]
        if self._order == "in turn":  # row by row from one process after the other
            sizes = [len(leaves(next(value for value in part if value is not None))[0]) for part in parts]
            turns = np.argsort(np.concatenate([np.arange(size) for size in sizes]), kind="stable")
            whole = [None if value is None else mapped(lambda array: array[turns], value) for value in whole]
        return Rows(*whole)


def _is_shared(batches: Any) -> bool:
    """Whether each process has a part of the rows; a loader of the user's own may give all of them to everybody."""
    return _order_of(batches) is not None


def _order_of(batches: Any) -> str | None:
    """How rows are dealt: "in parts" of each batch, "in turn", or not at all (None)."""
    loader = getattr(batches, "loader", batches)
    if isinstance(loader, RowLoader):
        return "in parts"
    if isinstance(loader, StreamLoader) or isinstance(getattr(loader, "sampler", None), DistributedSampler):
        return "in turn"
    return None


def _main_input(trainer: "Evaluating", batch: Any) -> Any:
    """What the model reads: texts, images or sounds, one row per example."""
    if "inputs" not in trainer.args.include_for_metrics:
        return None
    family = getattr(trainer.model, "family", None)
    name = getattr(family, "main_input", None) or getattr(trainer.model, "main_input_name", "input_ids")
    if name in batch:
        return batch[name]
    first = next((key for key in batch if key not in trainer.label_names), None)
    return None if first is None else batch[first]


def _no_labels(trainer: "Evaluating", batch: Any) -> InputError:
    names = ", ".join(map(repr, trainer.label_names))
    return InputError(
        f"compute_metrics compares predictions with labels, but the batches have no {names}: they hold "
        f"{sorted(batch)}. Does the dataset have that column? Where labels are called otherwise, say so with "
        "label_names=[…]; without labels use trainer.predict(dataset)."
    )


@contextlib.contextmanager
def in_precision(model: nn.Module, dtype: torch.dtype | None) -> Iterator[None]:
    """Inside, the weights are copies of that type; afterwards they are the ones from before, to the bit."""
    kept: list[tuple[nn.Module, str, torch.Tensor]] = []
    copies: dict[int, torch.Tensor] = {}  # tied weights stay tied
    for module in model.modules() if dtype is not None else ():
        for name, tensor in chain(list(module._parameters.items()), list(module._buffers.items())):
            if tensor is None or not tensor.is_floating_point():
                continue
            kept.append((module, name, tensor))
            if id(tensor) not in copies:
                half = tensor.detach().to(dtype)
                is_parameter = isinstance(tensor, nn.Parameter)
                copies[id(tensor)] = nn.Parameter(half, requires_grad=False) if is_parameter else half
            setattr(module, name, copies[id(tensor)])
    try:
        yield
    finally:
        for module, name, tensor in kept:
            setattr(module, name, tensor)


def predictions_of(outputs: Any, *, after_loss: bool, ignore_keys: Iterable[str] | None = None) -> Any:
    """The part of a model's outputs that is its answer; of plain tuples, all but the loss.

    Of named outputs those in `ignore_keys` are left out; when it is None, what is computed on the way (hidden states,
    attentions, caches), unless there is nothing else.
    """
    if isinstance(outputs, Mapping) or hasattr(outputs, "keys"):
        given = {name: outputs[name] for name in outputs.keys() if name != "loss"}  # noqa: SIM118
        if ignore_keys is None:
            answers = {name: value for name, value in given.items() if not name.endswith(_INSIDE)}
        else:
            answers = {name: value for name, value in given.items() if name not in set(ignore_keys)}
        chosen = list((answers if answers or ignore_keys is not None else given).values())
    elif isinstance(outputs, (tuple, list)):
        chosen = list(outputs[1:] if after_loss else outputs)
    else:
        chosen = [] if after_loss else [outputs]
    chosen = [value for value in map(_only_tensors, chosen) if value is not None]
    return chosen[0] if len(chosen) == 1 else (tuple(chosen) or None)


def _only_tensors(value: Any) -> Any:
    """A tensor, or tuples and dicts of tensors; None where there is something else, a cache for instance."""
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, Mapping):
        return {
            name: part for name, part in zip(value, map(_only_tensors, value.values()), strict=True) if part is not None
        } or None
    if isinstance(value, (tuple, list)):
        return tuple(part for part in map(_only_tensors, value) if part is not None) or None
    return None


def loss_of(outputs: Any, inputs: Mapping[str, Any], model: Any) -> torch.Tensor:
    """The loss among a model's outputs, or an error that says what was given."""
    found = None
    if isinstance(outputs, Mapping) or hasattr(outputs, "keys"):
        found = outputs["loss"] if "loss" in outputs.keys() else None  # noqa: SIM118
    elif isinstance(outputs, (tuple, list)) and outputs:
        found = outputs[0]
    elif isinstance(outputs, torch.Tensor):
        found = outputs
    if isinstance(found, torch.Tensor) and found.numel() == 1:
        return found.reshape(())
    wanted = ", ".join(getattr(model, "label_names", None) or ["labels"])
    raise InputError(
        f"{type(model).__name__} returned no loss for the inputs {sorted(inputs)}. It computes one when it is given "
        f"{wanted}: does the dataset have that column? A model of your own returns the loss first, or override "
        "Trainer.compute_loss."
    )


def batch_size(batch: Any) -> int:
    """How many examples a batch holds."""
    values = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, (tuple, list)) else [batch]
    return next((len(value) for value in values if isinstance(value, torch.Tensor) and value.dim()), 1)
