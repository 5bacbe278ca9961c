"""What holds for every pipeline: order, laziness, batch sizes, options, the model's state."""

import pytest
import torch

from madang import Dataset, pipeline
from madang.errors import InputError, UnknownNameError
from madang.pipelines import TextClassificationPipeline
from madang.pipelines.inputs import AT_ONCE
from tests.unit.pipelines import tiny


def close(answers, others):
    assert [answer["label"] for answer in answers] == [other["label"] for other in others]
    assert [answer["score"] for answer in answers] == pytest.approx([other["score"] for other in others], abs=1e-5)


def test_answers_come_in_the_order_of_the_texts_and_equal_those_one_by_one(classify, texts):
    close(classify(texts), [classify(text)[0] for text in texts])


@pytest.mark.parametrize("size", [1, 7, 64])
def test_the_batch_size_changes_no_answer(classify, texts, size):
    close(classify(texts, batch_size=size), classify(texts))


def test_more_texts_than_one_chunk_keep_their_order(classify):
    many = [tiny.SENTENCES[i % 6][: 1 + i % 9] for i in range(AT_ONCE + 30)]
    close(classify(many)[AT_ONCE:], classify(many[AT_ONCE:]))


def test_every_sequence_is_answered_by_a_list(classify, texts):
    column = Dataset.from_dict({"title": texts})["title"]
    for given in (tuple(texts), column):
        answers = classify(given)
        assert isinstance(answers, list)
        close(answers, classify(texts))


def test_no_text_gives_no_answer(classify):
    assert classify([]) == []
    assert list(classify(iter([]))) == []


def test_a_generator_is_read_as_it_goes(classify):
    read = []

    def endless():
        while True:
            read.append(1)
            yield tiny.SENTENCES[1]

    answers = classify(endless())
    assert read == []
    assert next(answers)["label"].startswith("LABEL_")
    assert 0 < len(read) <= AT_ONCE


def test_with_batch_size_one_a_source_is_not_read_ahead(classify):
    read = []
    source = (read.append(text) or text for text in tiny.SENTENCES)
    answers = classify(source, batch_size=1)
    next(answers)
    assert len(read) == 1


def test_a_dataset_is_answered_one_by_one(classify, texts):
    rows = Dataset.from_dict({"text": texts, "label": list(range(len(texts)))})
    close(list(classify(rows)), classify(texts))


def test_an_unknown_option_is_an_error_at_once(words, classify):
    with pytest.raises(UnknownNameError, match=r"unknown option of text-classification 'topk'.*Did you mean 'top_k'"):
        classify("a", topk=2)
    with pytest.raises(UnknownNameError, match="truncate"):
        TextClassificationPipeline(classify.model, words, truncate=True)


def test_options_of_a_call_win_over_those_of_the_pipeline(classify, words):
    pipe = TextClassificationPipeline(classify.model, words, top_k=2)
    assert len(pipe(["a"])[0]) == 2
    assert len(pipe(["a"], top_k=3)[0]) == 3
    assert len(pipe(["a"])[0]) == 2


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "8"])
def test_a_batch_size_that_is_none_is_an_error(classify, size):
    with pytest.raises(InputError, match="batch_size"):
        classify(["a"], batch_size=size)


@pytest.mark.parametrize("wrong", [None, 3, b"a"])
def test_what_is_no_input_is_an_error(classify, wrong):
    with pytest.raises(InputError, match="the input is"):
        classify(wrong)


def test_a_missing_value_is_named_with_its_place(classify):
    with pytest.raises(InputError, match="input 2 is None"):
        classify(["a", "b", None])
    with pytest.raises(InputError, match="input 1 is None"):
        list(classify(iter(["a", None])))


def test_a_model_in_training_answers_without_dropout_and_trains_on(words):
    model = tiny.bert("ForSequenceClassification", num_labels=3, hidden_dropout_prob=0.5)
    pipe = TextClassificationPipeline(model, words)
    calm = pipe(tiny.SENTENCES)
    model.train()
    assert pipe(tiny.SENTENCES) == calm
    assert model.training
    encoded = words(tiny.SENTENCES[:2], padding=True, return_tensors="pt")
    model(**encoded, labels=torch.tensor([0, 1])).loss.backward()
    assert all(parameter.grad is not None for parameter in model.head.parameters())


def test_a_pipeline_without_a_tokenizer_is_an_error(classify):
    with pytest.raises(InputError, match="needs a tokenizer"):
        TextClassificationPipeline(classify.model, None)


def test_what_a_pipeline_saves_opens_again(classify, tmp_path):
    classify.save_pretrained(tmp_path / "saved")
    again = pipeline("text-classification", model=tmp_path / "saved")
    assert again(tiny.SENTENCES) == classify(tiny.SENTENCES)


def test_half_precision_answers_plain_numbers(words):
    pipe = TextClassificationPipeline(tiny.bert("ForSequenceClassification", num_labels=3).to(torch.bfloat16), words)
    (answer,) = pipe("the cat sat", top_k=None)[:1]
    assert isinstance(answer["score"], float)
    assert sum(one["score"] for one in pipe("the cat sat", top_k=None)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("task", "given"),
    [
        ("text-classification", "the cat"),
        ("token-classification", "the cat"),
        ("question-answering", [{"question": "who", "context": "the cat"}]),
        ("fill-mask", "the [MASK]"),
        ("feature-extraction", "the cat"),
    ],
)
def test_nan_in_the_weights_is_an_error_that_names_them(words, task, given):
    names = {
        "text-classification": "ForSequenceClassification",
        "token-classification": "ForTokenClassification",
        "question-answering": "ForQuestionAnswering",
        "fill-mask": "ForMaskedLM",
        "feature-extraction": "",
    }
    model = tiny.bert(names[task])
    with torch.no_grad():
        model.body.blocks[1].feed_forward.up.bias.fill_(float("nan"))
    with pytest.raises(InputError, match=r"hold NaN: (bert\.)?encoder\.layer\.1\.intermediate\.dense\.bias"):
        pipeline(task, model=model, tokenizer=words)(given)
