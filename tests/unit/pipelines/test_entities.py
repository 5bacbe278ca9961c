"""From classes of tokens to entities, worked out by hand."""

import numpy as np
import pytest

from madang.pipelines.entities import Tokens, find_entities

LABELS = {0: "O", 1: "B-PER", 2: "I-PER"}
#         Ada           Love          ##lace         met            Bob
SCORES = [[0.1, 0.8, 0.1], [0.2, 0.1, 0.7], [0.55, 0.1, 0.35], [0.9, 0.0, 0.1], [0.0, 0.6, 0.4]]
TOKENS = Tokens(
    ["Ada", "Love", "##lace", "met", "Bob"],
    [(0, 3), (4, 8), (8, 12), (13, 16), (17, 20)],
    [1, 2, 3, 4, 5],
    [False, False, True, False, False],
    np.array(SCORES),
)


def joined(words):
    return " ".join(words).replace(" ##", "")


def found(strategy, tokens=TOKENS, ignored=("O",), labels=LABELS):
    return find_entities(tokens, strategy, labels, ignored, joined)


def spans(entities):
    return [(entity["start"], entity["end"]) for entity in entities]


def test_none_gives_every_token_that_is_not_ignored():
    assert found("none") == [
        {"entity": "B-PER", "score": 0.8, "index": 1, "word": "Ada", "start": 0, "end": 3},
        {"entity": "I-PER", "score": 0.7, "index": 2, "word": "Love", "start": 4, "end": 8},
        {"entity": "B-PER", "score": 0.6, "index": 5, "word": "Bob", "start": 17, "end": 20},
    ]


def test_simple_may_cut_a_word():
    assert found("simple") == [
        {"entity_group": "PER", "score": pytest.approx(0.75), "word": "Ada Love", "start": 0, "end": 8},
        {"entity_group": "PER", "score": 0.6, "word": "Bob", "start": 17, "end": 20},
    ]


def test_first_lets_the_first_token_decide():
    assert spans(found("first")) == [(0, 12), (17, 20)]
    assert found("first")[0]["score"] == pytest.approx(0.75)


def test_max_lets_the_surest_token_decide():
    surer = Tokens(TOKENS.words, TOKENS.spans, TOKENS.numbers, TOKENS.continues, TOKENS.scores.copy())
    surer.scores[2] = [0.9, 0.05, 0.05]
    assert spans(found("max", surer)) == [(0, 3), (17, 20)]


def test_average_lets_the_mean_decide():
    assert found("average")[0]["score"] == pytest.approx((0.8 + (0.7 + 0.35) / 2) / 2)
    other = Tokens(TOKENS.words, TOKENS.spans, TOKENS.numbers, TOKENS.continues, TOKENS.scores.copy())
    other.scores[2] = [0.9, 0.0, 0.1]
    assert spans(found("average", other)) == [(0, 3), (17, 20)]


def test_b_begins_a_new_entity():
    scores = np.array([[0, 1.0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    tokens = Tokens(["a", "b", "c"], [(0, 1), (2, 3), (4, 5)], [0, 1, 2], [False] * 3, scores)
    assert spans(found("simple", tokens)) == [(0, 1), (2, 5)]


def test_labels_without_b_and_i_go_together():
    scores = np.array([[0, 1.0], [0, 1.0], [1.0, 0]])
    tokens = Tokens(["a", "b", "c"], [(0, 1), (2, 3), (4, 5)], [0, 1, 2], [False] * 3, scores)
    entities = found("simple", tokens, ignored=(), labels={0: "LOC", 1: "PER"})
    assert [(entity["entity_group"], entity["start"], entity["end"]) for entity in entities] == [
        ("PER", 0, 3),
        ("LOC", 4, 5),
    ]


@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
def test_no_token_is_no_entity(strategy):
    assert found(strategy, Tokens([], [], [], [], np.zeros((0, 3)))) == []
