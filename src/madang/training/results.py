"""What training, evaluating and predicting give back."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple


class TrainOutput(NamedTuple):
    """What `Trainer.train` returns."""

    global_step: int
    training_loss: float
    metrics: dict[str, float]


class PredictionOutput(NamedTuple):
    """What `Trainer.predict` returns: numpy arrays (a tuple of them where the model gives several), and metrics."""

    predictions: Any
    label_ids: Any
    metrics: dict[str, float] | None


class EvalLoopOutput(NamedTuple):
    """What `Trainer.evaluation_loop` returns; predictions and labels are None where nobody needed them."""

    predictions: Any
    label_ids: Any
    metrics: dict[str, float] | None
    num_samples: int | None


@dataclass
class EvalPrediction:
    """What `compute_metrics` gets. `logits, labels = prediction` unpacks it; all are numpy arrays.

    `inputs` (the model's main input) and `losses` (each row has its batch's loss) are there, and come third and fourth
    when unpacking, where `include_for_metrics` asks for them.
    """

    predictions: Any
    label_ids: Any
    inputs: Any = None
    losses: Any = None

    def _elements(self) -> tuple[Any, ...]:
        more = (self.inputs, self.losses)
        return (self.predictions, self.label_ids, *(value for value in more if value is not None))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._elements())

    def __len__(self) -> int:
        return len(self._elements())

    def __getitem__(self, place: int) -> Any:
        return self._elements()[place]
