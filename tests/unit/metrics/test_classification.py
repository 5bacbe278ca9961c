import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.errors import InputError, UnknownNameError
from madang.metrics import accuracy, confusion_matrix, f1, matthews, precision, recall

TRUE = [0, 0, 0, 1, 1, 2]
PREDICTED = [0, 0, 1, 1, 2, 2]
pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)


def naive(rows, kind):
    """Right, and all that count, by going through the rows class by class."""
    classes = sorted({c for row in rows for c in row})
    scores = []
    for c in classes:
        right = sum(t == p == c for t, p in rows)
        predicted, true = sum(p == c for _, p in rows), sum(t == c for t, _ in rows)
        if kind == "precision":
            scores.append(right / predicted if predicted else 0.0)
        elif kind == "recall":
            scores.append(right / true if true else 0.0)
        else:
            scores.append(2 * right / (predicted + true))
    weights = [sum(t == c for t, _ in rows) / len(rows) for c in classes]
    return sum(scores) / len(scores), sum(s * w for s, w in zip(scores, weights, strict=True))


def test_scores_computed_by_hand():
    assert accuracy(TRUE, PREDICTED) == pytest.approx(4 / 6)
    assert precision(TRUE, PREDICTED) == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    assert recall(TRUE, PREDICTED) == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert f1(TRUE, PREDICTED, average=None) == pytest.approx([4 / 5, 1 / 2, 2 / 3])
    assert f1(TRUE, PREDICTED, average="weighted") == pytest.approx((3 * 4 / 5 + 2 * 1 / 2 + 2 / 3) / 6)
    assert f1(TRUE, PREDICTED, average="micro") == pytest.approx(4 / 6)


def test_confusion_matrix_has_true_classes_in_rows():
    assert confusion_matrix(TRUE, PREDICTED).tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]


def test_confusion_matrix_takes_classes_in_a_given_order():
    assert confusion_matrix(["b", "a"], ["b", "b"], classes=["b", "a", "c"]).tolist() == [
        [1, 0, 0],
        [1, 0, 0],
        [0, 0, 0],
    ]


def test_confusion_matrix_names_classes_that_are_not_listed():
    with pytest.raises(InputError, match=r"\[7\] occur"):
        confusion_matrix([0, 7], [0, 0], classes=[0, 1])


def test_matthews_of_two_classes_is_the_phi_coefficient():
    true, predicted = [1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 1, 0]
    assert matthews(true, predicted) == pytest.approx((2 * 3 - 1 * 1) / np.sqrt(3 * 3 * 4 * 4))
    assert matthews([1, 0], [1, 0]) == 1
    assert matthews([1, 0], [0, 1]) == -1
    assert matthews([1, 0, 1], [1, 1, 1]) == 0


@given(pairs)
def test_scores_equal_the_naive_count(rows):
    true, predicted = zip(*rows, strict=True)
    for score, kind in ((precision, "precision"), (recall, "recall"), (f1, "f1")):
        macro, weighted = naive(rows, kind)
        assert score(true, predicted, average="macro") == pytest.approx(macro)
        assert score(true, predicted, average="weighted") == pytest.approx(weighted)
        assert score(true, predicted, average="micro") == pytest.approx(accuracy(true, predicted))


@given(pairs)
def test_matthews_is_symmetric_and_bounded(rows):
    true, predicted = zip(*rows, strict=True)
    assert matthews(true, predicted) == pytest.approx(matthews(predicted, true))
    assert -1.0000001 <= matthews(true, predicted) <= 1.0000001


def test_logits_in_place_of_classes_are_refused_with_the_fix():
    with pytest.raises(InputError, match="argmax"):
        accuracy([0, 1], [[0.1, 0.9], [0.3, 0.7]])


def test_nothing_to_score_is_refused():
    with pytest.raises(InputError, match="no row"):
        accuracy([], [])


def test_an_unknown_average_names_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'macro'"):
        f1([0, 1], [0, 1], average="makro")
