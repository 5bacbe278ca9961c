"""fill-mask: one gap and several, chosen words."""

import pytest
import torch

from madang.errors import InputError
from madang.pipelines import FillMaskPipeline
from tests.unit.pipelines import tiny

KEYS = {"score", "token", "token_str", "sequence"}


@pytest.fixture(scope="module")
def fill(words):
    return FillMaskPipeline(tiny.bert("ForMaskedLM"), words)


def test_scores_are_those_of_the_whole_model(fill, words):
    text = "the [MASK] sat on the mat"
    encoded = words(text, return_tensors="pt")
    gap = encoded["input_ids"][0].tolist().index(words.mask_token_id)
    expected = fill.model(**encoded).logits[0, gap].softmax(-1).topk(5)
    answers = fill(text)
    assert all(set(answer) == KEYS for answer in answers)
    assert [answer["token"] for answer in answers] == expected.indices.tolist()
    assert [answer["score"] for answer in answers] == pytest.approx(expected.values.tolist(), abs=1e-5)
    assert all("[" not in answer["sequence"] for answer in answers)


def test_several_gaps_are_filled_each_by_itself(fill):
    first, second = fill("the [MASK] sat on [MASK]", top_k=2)
    assert len(first) == len(second) == 2
    assert all(answer["sequence"].count("[MASK]") == 1 for answer in [*first, *second])


def test_texts_with_different_numbers_of_gaps_in_one_batch(fill):
    texts = ["the [MASK] sat", "[MASK] [MASK] a", "Rivers run to the [MASK]"]
    for together, alone in zip(fill(texts, top_k=3), [fill(text, top_k=3) for text in texts], strict=True):
        flat = together if isinstance(together[0], dict) else [one for gap in together for one in gap]
        other = alone if isinstance(alone[0], dict) else [one for gap in alone for one in gap]
        assert [one["sequence"] for one in flat] == [one["sequence"] for one in other]
        assert [one["score"] for one in flat] == pytest.approx([one["score"] for one in other], abs=1e-5)


def test_a_list_of_one_is_answered_like_the_text(fill):
    assert fill(["the [MASK] sat"]) == fill("the [MASK] sat")


def test_targets_limit_the_answers(fill):
    answers = fill("the [MASK] sat", targets=["cat", "the"])
    assert {answer["token_str"] for answer in answers} == {"cat", "the"}
    assert len(fill("the [MASK] sat", targets="cat")) == 1


def test_a_target_that_is_no_token_is_replaced_with_a_warning(fill):
    with pytest.warns(UserWarning, match="'catdog' is no token"):
        assert len(fill("the [MASK] sat", targets=["catdog"])) == 1
    with pytest.warns(UserWarning, match="has no token"), pytest.raises(InputError, match="none of them"):
        fill("the [MASK] sat", targets=[" "])


def test_a_text_without_a_gap_is_named(fill):
    with pytest.raises(InputError, match=r"input 1 has no gap: write \[MASK\]"):
        fill(["the [MASK] sat", "the cat sat"])
    with pytest.raises(InputError, match="has no gap"):
        fill("the cat " * 40 + "[MASK]", truncation=True)


def test_a_long_text_must_be_cut(fill):
    with pytest.raises(InputError, match="positions for 64"):
        fill("[MASK]" + " the cat" * 40)
    assert len(fill("[MASK]" + " the cat" * 40, tokenizer_kwargs={"truncation": True})) == 5


def test_a_tokenizer_without_a_mask_token_is_refused(pieces):
    with pytest.raises(InputError, match="no mask token"):
        FillMaskPipeline(tiny.bert("ForMaskedLM"), pieces)


def test_the_head_sees_the_gaps_only(fill, monkeypatch):
    seen = []
    forward = fill.model.head.forward
    monkeypatch.setattr(fill.model.head, "forward", lambda states: seen.append(states.tokens.shape) or forward(states))
    fill(["the [MASK] sat on the mat", "[MASK] [MASK]"])
    assert seen == [torch.Size([3, 1, 24])]
