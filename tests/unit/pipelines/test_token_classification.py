"""token-classification: spans in the text as it was passed, for every kind of tokenizer, however long the text."""

import pytest
import torch

from madang.errors import InputError, UnknownNameError, WrongTypeError
from madang.pipelines import TokenClassificationPipeline
from tests.unit.pipelines import tiny

ADA, CAT, SEOUL = tiny.SENTENCES[:3]


@pytest.fixture(scope="module")
def find(words):
    return TokenClassificationPipeline(
        tiny.bert("ForTokenClassification", id2label=tiny.LABELS), words, ignore_labels=[]
    )


@pytest.fixture(scope="module")
def find_pieces(pieces):
    return TokenClassificationPipeline(
        tiny.gpt2("ForTokenClassification", id2label=tiny.LABELS), pieces, ignore_labels=[]
    )


@pytest.mark.parametrize("text", [ADA, SEOUL, f"  {CAT}\n{SEOUL}"])
def test_spans_are_those_of_the_tokens_in_the_text(find, text):
    for token in find(text):
        assert text[token["start"] : token["end"]] == token["word"].removeprefix("##")


@pytest.mark.parametrize("strategy", ["first", "average", "max"])
def test_no_entity_cuts_a_word(find, find_pieces, strategy):
    for pipe in (find, find_pieces):
        for text in (ADA, SEOUL, CAT):
            for entity in pipe(text, aggregation_strategy=strategy):
                start, end = entity["start"], entity["end"]
                inside = text[start - 1 : start + 1], text[end - 1 : end + 1]
                assert not any(len(two) == 2 and two.isalpha() for two in inside), (entity, text)


def test_byte_level_words_end_at_punctuation_and_keep_their_characters(find_pieces):
    text = "Babbage's café, 서울에서."
    model, tokenizer = find_pieces.model, find_pieces.tokenizer
    labels = {i: f"B-{i}" for i in range(5)}  # every word is an entity
    model.config.id2label = labels
    try:
        entities = TokenClassificationPipeline(model, tokenizer)(text, aggregation_strategy="first")
    finally:
        model.config.id2label = tiny.LABELS
    assert [entity["word"].strip() for entity in entities] == ["Babbage", "'s", "café", ",", "서울에서", "."]
    assert [text[entity["start"] : entity["end"]].strip() for entity in entities] == [
        entity["word"].strip() for entity in entities
    ]


def test_many_texts_are_answered_like_each_alone(find):
    texts = [ADA, "a", CAT, SEOUL, CAT[:9]]
    for together, alone in zip(find(texts), [find(text) for text in texts], strict=True):
        assert [token["entity"] for token in together] == [token["entity"] for token in alone]
        assert [token["score"] for token in together] == pytest.approx([token["score"] for token in alone], abs=1e-5)


def test_a_long_text_is_read_to_its_end(find, words):
    text = " ".join([ADA, CAT, SEOUL] * 4)
    tokens = find(text)
    ids = words(text, verbose=False)["input_ids"]
    assert len(ids) > 4 * 64
    assert [token["index"] for token in tokens] == list(range(1, len(ids) - 1))
    assert [words.convert_tokens_to_ids(token["word"]) for token in tokens] == ids[1:-1]
    assert all(text[token["start"] : token["end"]] == token["word"].removeprefix("##") for token in tokens)


@pytest.mark.parametrize("stride", [0, 1, 7, 40])
def test_every_overlap_gives_each_token_once(find, stride):
    text = " ".join([ADA, CAT] * 6)
    starts = [token["start"] for token in find(text, stride=stride)]
    assert starts == sorted(set(starts))
    assert starts == [token["start"] for token in find(text)]


def test_a_token_in_the_overlap_is_answered_where_more_text_is_around_it(find, words):
    text = " ".join([CAT] * 12)
    windows = words(text, truncation=True, max_length=64, stride=30, return_overflowing_tokens=True)
    second = torch.tensor(windows["input_ids"][1:2])
    expected = find.model(second).logits[0].softmax(-1).max(-1).values[1:-1].tolist()
    scores = [token["score"] for token in find(text, stride=30)]
    # the second window has 62 tokens of text from the 33rd on; the first 15 and the last 15 belong to its neighbours
    assert scores[32 + 15 : 32 + 47] == pytest.approx(expected[15:47], abs=1e-5)


def test_windows_of_a_decoder_without_special_tokens(find_pieces, pieces):
    text = " ".join([ADA, SEOUL] * 2)
    tokens = find_pieces(text)
    assert len(pieces(text, verbose=False)["input_ids"]) > 96
    assert [token["index"] for token in tokens] == list(range(len(tokens)))
    assert tokens[-1]["end"] == len(text)


def test_a_tokenizer_that_cuts_at_the_left_gives_the_same_order(find, words):
    import copy

    text = " ".join([ADA, CAT] * 6)
    other = copy.deepcopy(words)
    other.truncation_side = "left"
    starts = [token["start"] for token in TokenClassificationPipeline(find.model, other, ignore_labels=[])(text)]
    assert starts == [token["start"] for token in find(text)]


def test_an_unknown_token_is_shown_as_it_stands_in_the_text(find):
    assert "☃" in [token["word"] for token in find("the ☃ sat")]


def test_words_can_be_passed_ready(find):
    words = ["Ada", "Lovelace", "met", "Babbage"]
    joined = " ".join(words)
    assert find(words, is_split_into_words=True) == find(joined)
    assert find([words, words[:2]], is_split_into_words=True)[1] == find("Ada Lovelace")
    spans = [(token["start"], token["end"]) for token in find(words, is_split_into_words=True, delimiter="__")]
    assert all("__".join(words)[start:end].isalpha() for start, end in spans)


def test_older_spellings(find):
    assert find(ADA, grouped_entities=True) == find(ADA, aggregation_strategy="simple")
    assert find(ADA, grouped_entities=True, ignore_subwords=True) == find(ADA, aggregation_strategy="first")
    assert find(ADA, grouped_entities=False) == find(ADA)


def test_what_is_not_possible_is_an_error(find):
    with pytest.raises(UnknownNameError, match="Did you mean 'average'"):
        find(ADA, aggregation_strategy="avergae")
    with pytest.raises(InputError, match="stride=62: expected 0 to 61"):
        find(ADA, stride=62)
    with pytest.raises(WrongTypeError, match="list of labels"):
        find(ADA, ignore_labels="O")
    with pytest.raises(InputError, match="input 1 is None"):
        find([ADA, None])


def test_an_empty_text_has_no_entities(find, find_pieces):
    assert find(["", ADA])[0] == []
    assert find_pieces("") == []
    assert find([]) == []
