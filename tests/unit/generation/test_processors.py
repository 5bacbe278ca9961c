"""What happens to logits before a token is chosen."""

import torch

from madang.generation import GenerationConfig
from madang.generation.processors import not_before, processors, repetition_penalty, temperature, top_k, top_p

IDS = torch.tensor([[0, 2]])


def kept(logits):
    """Which tokens can still be chosen."""
    return torch.isfinite(logits)[0].nonzero().flatten().tolist()


def test_temperature_divides():
    assert temperature(2.0)(IDS, torch.tensor([[2.0, -4.0]])).tolist() == [[1.0, -2.0]]


def test_top_k_keeps_the_k_largest():
    logits = torch.tensor([[0.1, 5.0, 3.0, 4.0]])
    assert kept(top_k(2)(IDS, logits)) == [1, 3]
    assert kept(top_k(99)(IDS, logits)) == [0, 1, 2, 3]


def test_top_p_keeps_the_fewest_that_reach_the_share():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    assert kept(top_p(0.4)(IDS, logits)) == [0]
    assert kept(top_p(0.6)(IDS, logits)) == [0, 1]
    assert kept(top_p(0.9)(IDS, logits)) == [0, 1, 2]
    shuffled = logits[:, [2, 0, 3, 1]]
    assert kept(top_p(0.6)(IDS, shuffled)) == [1, 3]


def test_what_is_kept_keeps_its_logit():
    logits = torch.randn(3, 20)
    for process in (top_k(5), top_p(0.5)):
        found = process(IDS, logits)
        finite = torch.isfinite(found)
        assert torch.equal(found[finite], logits[finite])


def test_repeated_tokens_lose_whatever_their_sign():
    found = repetition_penalty(2.0)(IDS, torch.tensor([[4.0, 4.0, -4.0]]))
    assert found.tolist() == [[2.0, 4.0, -8.0]]


def test_the_end_is_forbidden_until_the_length():
    process, logits = not_before(3, [1]), torch.zeros(1, 3)
    assert kept(process(IDS, logits)) == [0, 2]
    assert kept(process(torch.zeros(1, 3), logits)) == [0, 1, 2]


def test_only_what_is_asked_for_is_done():
    assert processors(GenerationConfig(), 4, [1]) == []
    assert len(processors(GenerationConfig(do_sample=True), 4, [1])) == 1, "top_k is 50 unless told otherwise"
    assert processors(GenerationConfig(do_sample=True, top_k=0), 4, [1]) == []
    assert processors(GenerationConfig(temperature=0.5, top_p=0.5), 4, [1]) == [], "greedy needs none of them"
    assert processors(GenerationConfig(min_new_tokens=2), 4, []) == []
    assert len(processors(GenerationConfig(min_length=9, repetition_penalty=1.2), 4, [1])) == 2
