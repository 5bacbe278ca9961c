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


@dataclass
class EvalPrediction:
    """What `compute_metrics` gets. `logits, labels = prediction` unpacks it; all are numpy arrays."""

    predictions: Any
    label_ids: Any

    def __iter__(self) -> Iterator[Any]:
        return iter((self.predictions, self.label_ids))

    def __getitem__(self, place: int) -> Any:
        return (self.predictions, self.label_ids)[place]
