"""text-classification: the shapes of answers, functions, pairs, long texts."""

import math

import pytest

from madang.errors import InputError, UnknownNameError
from madang.pipelines import TextClassificationPipeline
from tests.unit.pipelines import tiny

ADA, CAT = tiny.SENTENCES[:2]


def labels_of(answers):
    return [answer["label"] for answer in answers]


def test_one_text_is_answered_by_a_list_of_one(classify):
    (answer,) = classify(ADA)
    assert set(answer) == {"label", "score"}
    assert classify([ADA]) == [answer]
    assert classify({"text": ADA}) == answer


def test_top_k_gives_the_best_first(classify):
    everything = classify(ADA, top_k=None)
    assert len(everything) == 3
    assert [one["score"] for one in everything] == sorted((one["score"] for one in everything), reverse=True)
    assert sum(one["score"] for one in everything) == pytest.approx(1)
    assert labels_of(classify([ADA], top_k=2)[0]) == labels_of(everything)[:2]
    assert len(classify(ADA, top_k=99)) == 3


def test_return_all_scores_keeps_the_order_of_the_classes(classify):
    (answer,) = classify(ADA, return_all_scores=True)
    assert labels_of(answer) == ["LABEL_0", "LABEL_1", "LABEL_2"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"num_labels": 3}, "softmax"),
        ({"num_labels": 3, "problem_type": "multi_label_classification"}, "sigmoid"),
        ({"num_labels": 1}, "sigmoid"),
        ({"num_labels": 1, "problem_type": "regression"}, "none"),
        ({"num_labels": 2, "problem_type": "regression"}, "none"),
    ],
)
def test_the_function_follows_from_the_kind_of_problem(words, values, expected):
    pipe = TextClassificationPipeline(tiny.bert("ForSequenceClassification", **values), words)
    assert pipe(ADA, top_k=None) == pipe(ADA, top_k=None, function_to_apply=expected)
    raw = {one["label"]: one["score"] for one in pipe(ADA, top_k=None, function_to_apply="none")}
    made = {one["label"]: one["score"] for one in pipe(ADA, top_k=None, function_to_apply="SIGMOID")}
    assert made == {label: pytest.approx(1 / (1 + math.exp(-score)), abs=1e-6) for label, score in raw.items()}


def test_an_unknown_function_and_a_wrong_top_k_are_errors(classify):
    with pytest.raises(UnknownNameError, match="Did you mean 'softmax'"):
        classify(ADA, function_to_apply="sofmax")
    with pytest.raises(InputError, match="top_k=0"):
        classify(ADA, top_k=0)


def test_pairs_and_texts_may_be_mixed(classify):
    pair = {"text": ADA, "text_pair": CAT}
    mixed = classify([CAT, pair, {"text": CAT}, pair], function_to_apply="none")
    assert [one["score"] for one in mixed] == pytest.approx(
        [classify([one], function_to_apply="none")[0]["score"] for one in (CAT, pair, CAT, pair)], abs=1e-5
    )
    assert mixed[1]["score"] != pytest.approx(classify([ADA], function_to_apply="none")[0]["score"], abs=1e-5)


def test_pairs_as_they_were_once_written(classify):
    assert classify([[[ADA, CAT]]]) == [classify({"text": ADA, "text_pair": CAT})]


@pytest.mark.parametrize("wrong", [[ADA, CAT], ("a", "b", "c"), {"text_pair": CAT}, {"text": ADA, "text_pair": 3}])
def test_what_is_neither_text_nor_pair_is_named_with_its_place(classify, wrong):
    with pytest.raises(InputError, match=r"input 1 is .*expected a text \(str\), or \{'text'"):
        classify([ADA, wrong])


def test_a_wrong_key_of_a_pair_is_an_error(classify):
    with pytest.raises(InputError, match="'textpair'"):
        classify({"text": ADA, "textpair": CAT})


def test_a_text_that_is_too_long_says_the_limit_and_how_to_cut_it(classify):
    with pytest.raises(
        InputError, match=r"input 1 has \d+ tokens; this model has positions for 64. Pass truncation=True"
    ):
        classify([ADA, CAT * 20])


def test_truncation_cuts_to_what_model_and_tokenizer_take(classify, words):
    assert classify([CAT * 20], truncation=True) == classify([CAT * 30], truncation=True)
    cut = classify([CAT], truncation=True, max_length=6, function_to_apply="none")
    assert cut[0]["score"] == pytest.approx(
        classify([words.decode(words(CAT)["input_ids"][1:5])], function_to_apply="none")[0]["score"], abs=1e-5
    )
    assert classify([CAT], tokenizer_kwargs={"truncation": True, "max_length": 6})[0]["label"] == cut[0]["label"]


def test_a_decoder_without_padding_token_sorts_batches(pieces):
    pipe = TextClassificationPipeline(tiny.gpt2("ForSequenceClassification", num_labels=3), pieces)
    together = pipe(tiny.SENTENCES[:5], function_to_apply="none")
    alone = [pipe([text], function_to_apply="none")[0] for text in tiny.SENTENCES[:5]]
    assert labels_of(together) == labels_of(alone)
    assert [one["score"] for one in together] == pytest.approx([one["score"] for one in alone], abs=1e-4)


def test_a_text_without_tokens_is_named(pieces):
    pipe = TextClassificationPipeline(tiny.gpt2("ForSequenceClassification", num_labels=3), pieces)
    with pytest.raises(InputError, match="input 1 has no tokens"):
        pipe(["a", ""])
