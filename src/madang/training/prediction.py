"""Going through a dataset without learning: exact losses, predictions on the CPU."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from madang.errors import InputError

if TYPE_CHECKING:
    from madang.training.trainer import Trainer

IGNORED = -100


@dataclass
class Passed:
    """What one pass over a dataset gave."""

    predictions: Any
    labels: Any
    loss: float | None
    examples: int
    batches: int


def go_through(trainer: "Trainer", batches: Iterable[Any], *, keep: bool) -> Passed:
    """Evaluate every batch. The loss is the mean over all targets, however they are cut into batches.

    Predictions leave the device batch by batch and are dropped at once unless `keep`.
    """
    loss_sum, targets, examples, count = 0.0, 0, 0, 0
    predictions, labels = Gathered(), Gathered()
    trainer.model.eval()
    for batch in batches:
        weight = trainer.count_targets([batch])
        loss, logits, expected = trainer.prediction_step(trainer.model, batch, prediction_loss_only=not keep)
        if loss is not None and weight:
            loss_sum += float(loss) * weight
            targets += weight
        if keep and logits is not None and trainer.preprocess_logits_for_metrics is not None:
            logits = trainer.preprocess_logits_for_metrics(logits, expected)
        if keep:
            predictions.add(logits)
            labels.add(expected)
        examples += batch_size(batch)
        count += 1
        trainer.fire("on_prediction_step", eval_dataloader=batches)
    loss_mean = loss_sum / targets if targets else None
    return Passed(predictions.joined(), labels.joined(), loss_mean, examples, count)


class Gathered:
    """Arrays (or tuples of arrays) of one batch after the other, joined at the end.

    Batches of texts differ in length; shorter ones are filled with -100 at the end of their second axis.
    """

    def __init__(self) -> None:
        self._parts: list[Any] = []

    def add(self, tensors: Any) -> None:
        """One batch's tensor, or tuple of tensors; None is left out."""
        if tensors is not None:
            self._parts.append(to_numpy(tensors))

    def joined(self) -> Any:
        """All batches as one array or tuple of arrays; None when there were none."""
        if not self._parts:
            return None
        if isinstance(self._parts[0], tuple):
            return tuple(_join([part[place] for part in self._parts]) for place in range(len(self._parts[0])))
        return _join(self._parts)


def _join(arrays: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    arrays = [np.atleast_1d(array) for array in arrays]
    if arrays[0].ndim < 2 or len({array.shape[1] for array in arrays}) == 1:
        return np.concatenate(arrays)
    width = max(array.shape[1] for array in arrays)
    joined = np.full((sum(map(len, arrays)), width, *arrays[0].shape[2:]), IGNORED, dtype=arrays[0].dtype)
    row = 0
    for array in arrays:
        joined[row : row + len(array), : array.shape[1]] = array
        row += len(array)
    return joined


def to_numpy(tensors: Any) -> Any:
    """Tensors as numpy arrays on the CPU; half precision, which numpy does not know, as float32."""
    if isinstance(tensors, (tuple, list)):
        return tuple(to_numpy(tensor) for tensor in tensors)
    if not isinstance(tensors, torch.Tensor):
        return np.asarray(tensors)
    tensors = tensors.detach()
    return (tensors.float() if tensors.dtype in (torch.bfloat16, torch.float16) else tensors).cpu().numpy()


def predictions_of(outputs: Any, *, after_loss: bool) -> Any:
    """The part of a model's outputs that is its answer: what is called logits; of plain tuples, all but the loss."""
    if isinstance(outputs, Mapping) or hasattr(outputs, "keys"):
        named = {name: outputs[name] for name in outputs.keys() if name != "loss" and outputs[name] is not None}  # noqa: SIM118
        chosen = [value for name, value in named.items() if name.endswith("logits")] or list(named.values())
    elif isinstance(outputs, (tuple, list)):
        chosen = list(outputs[1:] if after_loss else outputs)
    else:
        chosen = [] if after_loss else [outputs]
    chosen = [value for value in chosen if isinstance(value, torch.Tensor)]
    return chosen[0] if len(chosen) == 1 else (tuple(chosen) or None)


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
    values = batch.values() if hasattr(batch, "values") else batch if isinstance(batch, (tuple, list)) else [batch]
    return next((len(value) for value in values if isinstance(value, torch.Tensor) and value.dim()), 1)
