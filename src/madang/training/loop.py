"""The training loop. Everything training does is on this page, in the order in which it happens.

An optimizer step is made of one or more micro-batches (gradient accumulation). Their losses are sums over targets,
divided by the number of targets of the whole step: however a step is cut into micro-batches, and however long their
texts are, the gradient is that of one big batch.
"""

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch

from madang.errors import InputError
from madang.training.prediction import batch_size
from madang.training.results import TrainOutput

if TYPE_CHECKING:
    from madang.training.arguments import TrainingArguments
    from madang.training.trainer import Trainer


def train(trainer: "Trainer", batches: Iterable[Any], plan: "Plan") -> TrainOutput:
    """Train `trainer.model` for `plan.steps` optimizer steps; callbacks fire where `fire` names them."""
    model, optimizer, schedule = trainer.model, trainer.optimizer, trainer.lr_scheduler
    state, control, fire, meter = trainer.state, trainer.control, trainer.fire, trainer.meter
    began = time.perf_counter()
    fire("on_train_begin")
    optimizer.zero_grad()

    for epoch in range(plan.epochs):
        tell_epoch(batches, epoch)
        fire("on_epoch_begin")
        for batches_done, micro_batches in steps(batches, plan.accumulation):
            fire("on_step_begin")
            targets = trainer.count_targets(micro_batches)
            loss = torch.zeros((), device=trainer.device)
            for place, batch in enumerate(micro_batches, start=1):
                loss += trainer.call_training_step(model, batch, targets)  # forward and backward: gradients add up
                if place < len(micro_batches):
                    fire("on_substep_end")
            trainer.check_loss(loss)

            trainer.gradient_norm = trainer.clip_gradients()
            fire("on_pre_optimizer_step")
            optimizer.step()
            fire("on_optimizer_step")
            schedule.step()
            optimizer.zero_grad()

            meter.add(loss, sum(map(batch_size, micro_batches)))
            state.global_step += 1
            state.epoch = epoch + batches_done / plan.batches_per_epoch
            fire("on_step_end")
            trainer.log_evaluate_save()  # whichever of these the callbacks asked for
            if control.should_epoch_stop or control.should_training_stop or state.global_step >= plan.steps:
                break
        control.should_epoch_stop = False
        fire("on_epoch_end")
        trainer.log_evaluate_save()
        if control.should_training_stop or state.global_step >= plan.steps:
            break

    metrics = speed("train", began, meter.examples, state.global_step)
    metrics["train_loss"] = meter.whole_mean()
    trainer.log(metrics)
    fire("on_train_end")
    return TrainOutput(state.global_step, metrics["train_loss"], {**metrics, "epoch": state.epoch})


@dataclass(frozen=True)
class Plan:
    """How long to train."""

    steps: int
    epochs: int
    batches_per_epoch: int
    accumulation: int

    @classmethod
    def of(cls, args: "TrainingArguments", batches: Any) -> "Plan":
        """From the arguments and the number of batches in an epoch."""
        accumulation = args.gradient_accumulation_steps
        if not hasattr(batches, "__len__") or not _has_length(batches):
            if args.max_steps <= 0:
                raise InputError(
                    "the training data do not say how long they are, so `max_steps` must say how long to train."
                )
            return cls(args.max_steps, args.max_steps, args.max_steps * accumulation, accumulation)
        per_epoch = len(batches)
        if per_epoch == 0:
            raise InputError(
                "the training data hold no batch: the dataset is empty, or shorter than a batch with drop_last."
            )
        steps_per_epoch = math.ceil(per_epoch / accumulation)
        wanted = args.max_steps if args.max_steps > 0 else math.ceil(args.num_train_epochs * steps_per_epoch)
        return cls(wanted, math.ceil(wanted / steps_per_epoch), per_epoch, accumulation)


def _has_length(batches: Any) -> bool:
    try:
        len(batches)
    except TypeError:  # a DataLoader over an iterable dataset has the method, but no answer
        return False
    return True


def steps(batches: Iterable[Any], accumulation: int) -> Iterator[tuple[int, list[Any]]]:
    """The micro-batches of one optimizer step after the other, with how many batches of the epoch they complete."""
    source, done = iter(batches), 0
    while micro_batches := list(islice(source, accumulation)):
        done += len(micro_batches)
        yield done, micro_batches


def tell_epoch(batches: Any, epoch: int) -> None:
    """Let a sampler or dataset that orders examples by epoch know which one comes."""
    for part in (batches, getattr(batches, "sampler", None), getattr(batches, "dataset", None)):
        tell = getattr(part, "set_epoch", None)
        if tell is not None:
            tell(epoch)


class Meter:
    """Averages losses on their device (reading an average is what waits for it) and counts examples."""

    def __init__(self) -> None:
        self._recent: Any = 0.0
        self._earlier = 0.0
        self._recent_steps = self._earlier_steps = 0
        self.examples = 0

    def add(self, loss: torch.Tensor, examples: int) -> None:
        """One step's loss, and how many examples it saw."""
        self.examples += examples
        self._recent = self._recent + loss
        self._recent_steps += 1

    def recent_mean(self) -> float | None:
        """The average since the last `restart`; None when there was no step."""
        return float(self._recent) / self._recent_steps if self._recent_steps else None

    def restart(self) -> None:
        """Begin a new average."""
        self._earlier += float(self._recent)
        self._earlier_steps += self._recent_steps
        self._recent, self._recent_steps = 0.0, 0

    def totals(self) -> tuple[float, int]:
        """The sum of all steps' losses, and how many steps there were."""
        return self._earlier + float(self._recent), self._earlier_steps + self._recent_steps

    def whole_mean(self) -> float:
        """The average over all steps."""
        total, steps = self.totals()
        return total / max(1, steps)


def speed(prefix: str, began: float, examples: int, steps: int) -> dict[str, float]:
    """Seconds since `began`, and examples and steps per second."""
    seconds = time.perf_counter() - began
    return {
        f"{prefix}_runtime": round(seconds, 4),
        f"{prefix}_samples_per_second": round(examples / seconds, 3),
        f"{prefix}_steps_per_second": round(steps / seconds, 3),
    }
