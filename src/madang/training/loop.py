"""The training loop. Everything training does is on this page, in the order in which it happens.

An optimizer step is made of one or more micro-batches (gradient accumulation). Their losses are sums over targets,
divided by the number of targets of the whole step: however a step is cut into micro-batches, however long their texts
are and however many processes share it, the gradient is that of one big batch.
"""

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch

from madang.errors import InputError
from madang.training.loaders import Spare, length_of
from madang.training.prediction import batch_size
from madang.training.results import TrainOutput

if TYPE_CHECKING:
    from madang.training.arguments import TrainingArguments
    from madang.training.trainer import Trainer


def train(trainer: "Trainer", plan: "Plan", start: "Position") -> TrainOutput:
    """Train for `plan.steps` optimizer steps from `start` on; callbacks fire where `fire` names them."""
    state, control, fire, meter = trainer.state, trainer.control, trainer.fire, trainer.meter
    began, first_step = time.perf_counter(), state.global_step
    fire("on_train_begin")
    trainer.log_evaluate_save()  # an evaluation of the beginning, when the arguments ask for it
    trainer.optimizer.zero_grad()

    for epoch in range(start.epoch, plan.epochs):
        batches = trainer.batches_of(epoch, start)  # in an order that the seed and the epoch decide
        done, whole = start.batches if epoch == start.epoch else 0, True
        fire("on_epoch_begin")
        for micro_batches in steps(batches, plan.accumulation):
            fire("on_step_begin")
            targets = trainer.targets_of_step(micro_batches)  # on all processes together
            loss = trainer.memory.fitting(micro_batches, partial(accumulate, trainer, targets))
            trainer.check_loss(loss, epoch, done)

            trainer.gradient_norm = trainer.clip_gradients()
            fire("on_pre_optimizer_step")
            if trainer.step_optimizer():
                fire("on_optimizer_step")
                trainer.step_scheduler()
            trainer.optimizer.zero_grad()

            done += len(micro_batches)
            meter.add(loss, sum(batch_size(batch) for batch in micro_batches if not isinstance(batch, Spare)))
            state.global_step += 1
            state.epoch = epoch + done / plan.batches_per_epoch
            trainer.position = Position(epoch, done)
            fire("on_step_end")
            trainer.log_evaluate_save()  # whichever of these the callbacks asked for
            if control.should_epoch_stop or control.should_training_stop or state.global_step >= plan.steps:
                whole = control.should_epoch_stop or plan.is_whole_epoch(done)
                break
        if not done:
            raise InputError(f"the training data gave no batch at all in epoch {epoch + 1}.")
        control.should_epoch_stop = False
        trainer.position = Position(epoch + 1, 0) if whole else Position(epoch, done)
        fire("on_epoch_end")
        trainer.log_evaluate_save()
        if control.should_training_stop or state.global_step >= plan.steps:
            break

    if trainer.args.load_best_model_at_end:
        trainer.load_best()
    metrics = trainer.training_metrics(began, state.global_step - first_step)
    fire("on_train_end")
    return TrainOutput(state.global_step, metrics["train_loss"], {**metrics, "epoch": state.epoch})


def accumulate(trainer: "Trainer", targets: Any, micro_batches: list[Any]) -> torch.Tensor:
    """Forward and backward of a step's micro-batches, whose gradients add up; returns the step's loss."""
    loss = torch.zeros((), device=trainer.device)
    for place, batch in enumerate(micro_batches, start=1):
        last = place == len(micro_batches)
        with trainer.processes.syncing(trainer.model_wrapped, last):
            loss += trainer.call_training_step(batch, targets)
        if not last:
            trainer.fire("on_substep_end")
    return loss


@dataclass(frozen=True)
class Position:
    """How far training is: epochs done, and batches of the next one."""

    epoch: int = 0
    batches: int = 0


@dataclass(frozen=True)
class Plan:
    """How long to train."""

    steps: int
    epochs: int
    batches_per_epoch: int
    accumulation: int
    sized: bool = True
    """Whether the data say how many batches an epoch has."""

    @classmethod
    def of(cls, args: "TrainingArguments", batches: Any) -> "Plan":
        """From the arguments and the number of batches in an epoch."""
        accumulation, per_epoch = args.gradient_accumulation_steps, length_of(batches)
        if per_epoch is None:
            if args.max_steps <= 0:
                raise InputError(
                    "the training data do not say how long they are, so `max_steps` must say how long to train."
                )
            return cls(args.max_steps, args.max_steps, args.max_steps * accumulation, accumulation, sized=False)
        if per_epoch == 0:
            raise InputError(
                "the training data hold no batch: the dataset is empty, or shorter than a batch with drop_last."
            )
        steps_per_epoch = math.ceil(per_epoch / accumulation)
        wanted = args.max_steps if args.max_steps > 0 else math.ceil(args.num_train_epochs * steps_per_epoch)
        return cls(wanted, math.ceil(wanted / steps_per_epoch), per_epoch, accumulation)

    def is_whole_epoch(self, batches: int) -> bool:
        """Whether so many batches are all of an epoch."""
        return self.sized and batches >= self.batches_per_epoch

    def position(self, step: int) -> Position:
        """Where training is after so many optimizer steps, when nothing ended an epoch early."""
        steps_per_epoch = math.ceil(self.batches_per_epoch / self.accumulation)
        return Position(step // steps_per_epoch, step % steps_per_epoch * self.accumulation)


def steps(batches: Iterable[Any], accumulation: int) -> Iterator[list[Any]]:
    """The micro-batches of one optimizer step after the other."""
    source = iter(batches)
    while micro_batches := list(islice(source, accumulation)):
        yield micro_batches


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

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: averages go on where they were."""
        return {"recent": float(self._recent), "recent_steps": self._recent_steps, "earlier": self._earlier,
                "earlier_steps": self._earlier_steps, "examples": self.examples}  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._recent, self._recent_steps = state["recent"], state["recent_steps"]
        self._earlier, self._earlier_steps = state["earlier"], state["earlier_steps"]
        self.examples = state["examples"]


def speed(prefix: str, began: float, examples: int, steps: int) -> dict[str, float]:
    """Seconds since `began`, and examples and steps per second."""
    seconds = time.perf_counter() - began
    return {
        f"{prefix}_runtime": round(seconds, 4),
        f"{prefix}_samples_per_second": round(examples / seconds, 3),
        f"{prefix}_steps_per_second": round(steps / seconds, 3),
    }
