"""question-answering: call styles, windows, spans in the context."""

import pytest
import torch

from madang import Dataset
from madang.errors import InputError
from madang.pipelines import QuestionAnsweringPipeline
from madang.pipelines.question_answering import best_spans
from tests.unit.pipelines import tiny

ADA, CAT, SEOUL = tiny.SENTENCES[:3]
WHO = "who met Charles"


@pytest.fixture(scope="module")
def ask(words):
    return QuestionAnsweringPipeline(tiny.bert("ForQuestionAnswering"), words)


def test_all_ways_of_asking_are_the_same(ask):
    answer = ask(question=WHO, context=ADA)
    assert set(answer) == {"score", "start", "end", "answer"}
    assert answer["answer"] == ADA[answer["start"] : answer["end"]]
    example = {"question": WHO, "context": ADA}
    assert ask(example) == ask([example]) == ask(WHO, ADA) == ask(data=example) == answer
    assert ask(question=[WHO], context=[ADA]) == answer


def test_several_examples_are_answered_by_a_list_in_order(ask):
    alone = [ask(question=WHO, context=text) for text in (ADA, CAT, SEOUL)]
    for answers in (
        ask(question=WHO, context=[ADA, CAT, SEOUL]),
        ask([{"question": WHO, "context": text} for text in (ADA, CAT, SEOUL)]),
        list(ask(Dataset.from_dict({"id": [1, 2, 3], "question": [WHO] * 3, "context": [ADA, CAT, SEOUL]}))),
        list(ask({"question": WHO, "context": text} for text in (ADA, CAT, SEOUL))),
    ):
        assert [answer["answer"] for answer in answers] == [answer["answer"] for answer in alone]
        assert [answer["score"] for answer in answers] == pytest.approx([a["score"] for a in alone], abs=1e-5)
    assert len(ask(question=[WHO, CAT], context=ADA)) == 2


def test_a_long_context_is_read_in_windows_and_spans_count_in_the_whole(ask):
    long = " ".join([CAT] * 8 + [ADA])
    answers = ask(question=WHO, context=long, top_k=20)
    assert all(long[one["start"] : one["end"]] == one["answer"] for one in answers)
    assert len({one["start"] for one in answers}) > 3
    assert max(one["end"] for one in ask(question=WHO, context=long, top_k=200)) > len(long) - len(ADA)


def test_answers_are_no_longer_than_asked(ask, words):
    for one in ask(question=WHO, context=ADA, top_k=9, max_answer_len=1, align_to_words=False):
        assert len(words(one["answer"], add_special_tokens=False)["input_ids"]) >= 1
        assert one["end"] - one["start"] <= max(len(token) for token in words.get_vocab())


def test_answers_are_whole_words_unless_asked_otherwise(ask):
    for one in ask(question=WHO, context=CAT, top_k=9):
        assert f" {one['answer']} " in f" {CAT} "


def test_no_answer_can_be_an_answer(ask):
    answers = ask(question=WHO, context=ADA, top_k=1000, handle_impossible_answer=True)
    (none,) = [one for one in answers if one["answer"] == ""]
    assert (none["start"], none["end"]) == (0, 0)
    assert "" not in [one["answer"] for one in ask(question=WHO, context=ADA, top_k=1000)]


def test_a_context_without_tokens_has_the_empty_answer(ask):
    assert ask(question=WHO, context=" ") == {"score": 0.0, "start": 0, "end": 0, "answer": ""}


def test_a_question_that_fills_the_window_is_named(ask):
    with pytest.raises(InputError, match=r"the question of input 1 has \d+ tokens.*max_question_len"):
        ask(question=[WHO, CAT * 5], context=ADA)
    assert ask(question=[WHO, CAT * 5], context=ADA, max_question_len=8)[1]["answer"]


def test_a_small_room_for_the_context_lessens_the_overlap(ask):
    answer = ask(question=WHO, context=ADA, max_seq_len=22, doc_stride=20, top_k=50)
    assert all(ADA[one["start"] : one["end"]] == one["answer"] for one in answer)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"question": WHO}, "both question= and context="),
        ({"question": [WHO, WHO], "context": [ADA] * 3}, "2 questions and 3 contexts"),
        ({"data": [{"question": WHO}]}, "the context of input 0 is missing"),
        (
            {"data": [{"question": WHO, "context": ADA}, {"question": "", "context": ADA}]},
            "question of input 1 is empty",
        ),
        ({"data": [WHO]}, "input 0 is of type str"),
        ({}, "nothing was asked"),
        ({"question": WHO, "context": ADA, "top_k": 0}, "top_k=0"),
        ({"question": WHO, "context": ADA, "max_answer_len": -1}, "max_answer_len=-1"),
    ],
)
def test_what_is_missing_or_wrong_is_said(ask, call, said):
    with pytest.raises(InputError, match=said):
        ask(**call)


def test_best_spans_are_those_of_all_pairs():
    torch.manual_seed(3)
    start, end = torch.rand(2, 9), torch.rand(2, 9)
    allowed = torch.rand(2, 9) > 0.3
    for row, spans in enumerate(best_spans(start, end, allowed, 4, 5)):
        everything = [
            (float(start[row, first] * end[row, last]), first, last)
            for first in range(9)
            for last in range(first, min(first + 4, 9))
            if allowed[row, first] and allowed[row, last]
        ]
        expected = sorted(everything, reverse=True)[:5]
        assert [span[1:] for span in spans] == [span[1:] for span in expected]
        assert [span[0] for span in spans] == pytest.approx([span[0] for span in expected])


def test_where_nothing_is_allowed_there_is_no_span():
    one = torch.ones(1, 4)
    assert best_spans(one, one, torch.zeros(1, 4, dtype=torch.bool), 3, 2) == [[]]
