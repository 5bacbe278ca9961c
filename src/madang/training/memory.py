"""When memory runs out: a batch cut in halves gives the same gradient, and otherwise an error that helps."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from madang.errors import InputError, OutOfMemoryError
from madang.notices import notice
from madang.training.prediction import batch_size

if TYPE_CHECKING:
    from madang.training.trainer import Trainer

T = TypeVar("T")


class Memory:
    """Makes a step's micro-batches fit, if it may; `parts` is in how many pieces each is cut by now."""

    def __init__(self, trainer: "Trainer") -> None:
        self._trainer, self.parts = trainer, 1

    def fitting(self, micro_batches: list[Any], learn: Callable[[list[Any]], T]) -> T:
        """What `learn` gives for the micro-batches, cut into as many pieces as it takes to fit into memory."""
        while True:
            pieces = [piece for batch in micro_batches for piece in cut(batch, self.parts)]
            try:
                return learn(pieces)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                largest = max(map(batch_size, pieces))
                if not self._trainer.args.auto_find_batch_size or largest == 1:
                    raise self._error(largest, error) from error
            self._make_room()
            self.parts *= 2
            notice(f"out of memory: batches are cut into {self.parts} parts from here on; gradients stay the same.")

    def _make_room(self) -> None:
        self._trainer.optimizer.zero_grad()
        if self._trainer.device.type == "cuda":
            torch.cuda.empty_cache()

    def _error(self, largest: int, error: BaseException) -> OutOfMemoryError:
        args, step = self._trainer.args, self._trainer.state.global_step + 1
        remedies = [
            f"per_device_train_batch_size={max(1, args.per_device_train_batch_size // 2)} with "
            f"gradient_accumulation_steps={2 * args.gradient_accumulation_steps} (the same numbers)"
        ] * (largest > 1)
        remedies += ["auto_find_batch_size=True (does that by itself)"] * (
            largest > 1 and not args.auto_find_batch_size
        )
        remedies += ["gradient_checkpointing=True"] * (not args.gradient_checkpointing)
        remedies += ["bf16=True"] * (not args.bf16 and not args.fp16)
        remedies += ["shorter texts (truncation=True, max_length=…)", "optim='adafactor'"]
        said = str(error).splitlines() or [type(error).__name__]
        return OutOfMemoryError(
            f"memory ran out at step {step}, with {largest} example(s) at a time. What lowers it, the cheapest first: "
            f"{'; '.join(remedies)}. The checkpoints written so far are whole. ({said[0]})"
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch or the system had no memory left; the CPU's allocator says so only in its message."""
    said = str(error)
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in said


def cut(batch: Any, parts: int) -> list[Any]:
    """A batch in `parts` pieces of neighbouring rows, or as many as it has rows."""
    rows = batch_size(batch)
    if parts == 1 or rows == 1:
        return [batch]
    if not isinstance(batch, Mapping) or any(isinstance(x, torch.Tensor) and len(x) != rows for x in batch.values()):
        raise InputError(
            "auto_find_batch_size cuts batches into pieces, and this collator's batches are not dicts of tensors with "
            "one row per example. Lower per_device_train_batch_size instead."
        )
    size = -(-rows // parts)
    starts = range(0, rows, size)
    return [{name: value[start : start + size] for name, value in batch.items()} for start in starts]
