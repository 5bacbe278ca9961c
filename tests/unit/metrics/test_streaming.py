import numpy as np
import pytest

from madang import metrics
from madang.errors import InputError
from madang.metrics import ClassScores

drawn = np.random.default_rng(0)
LABELS = drawn.integers(0, 4, 97)
LOGITS = drawn.normal(size=(97, 4))


def in_batches(scores, size, predictions=LOGITS, labels=LABELS):
    for start in range(0, len(labels), size):
        scores.add_batch(predictions=predictions[start : start + size], references=labels[start : start + size])
    return scores.compute()


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize("size", [1, 10, 97])
def test_batches_give_the_scores_of_the_whole(size, average):
    found = in_batches(ClassScores("accuracy", "f1", "precision", "recall", "matthews", average=average), size)
    predicted = LOGITS.argmax(-1)
    assert found == {
        "accuracy": pytest.approx(metrics.accuracy(LABELS, predicted)),
        "f1": pytest.approx(metrics.f1(LABELS, predicted, average)),
        "precision": pytest.approx(metrics.precision(LABELS, predicted, average)),
        "recall": pytest.approx(metrics.recall(LABELS, predicted, average)),
        "matthews": pytest.approx(metrics.matthews(LABELS, predicted)),
    }


def test_ignored_labels_are_left_out_and_shapes_may_be_any():
    labels = np.array([[1, -100], [2, 0]])
    scores = ClassScores("accuracy")
    scores.add_batch(predictions=np.array([[1, 1], [2, 2]]), references=labels)
    assert scores.compute() == {"accuracy": pytest.approx(2 / 3)}


def test_computing_begins_anew():
    scores = ClassScores()
    assert in_batches(scores, 10) == in_batches(scores, 97)
    with pytest.raises(InputError, match="nothing to score"):
        scores.compute()


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(ValueError, match="Did you mean 'accuracy'"):
        ClassScores("acuracy")
    with pytest.raises(InputError, match=r"\(3,\) and \(2,\)"):
        ClassScores().add_batch(predictions=[1, 2, 3], references=[1, 2])
