"""The digest of what a Rust tokenizer does."""

import gc

import pytest
from tokenizers import Tokenizer, models, normalizers, trainers

from madang.tokenizers import content
from madang.tokenizers.content import content_digest


def made(*words):
    vocabulary = {word: number for number, word in enumerate(["[UNK]", *words])}
    return Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))


def test_padding_and_truncation_are_no_part_of_it():
    used = made("a", "b")
    used.enable_padding(length=4, pad_token='","added_tokens":')
    used.enable_truncation(3)
    assert content_digest(used) == content_digest(made("a", "b")) != content_digest(made("a", "c"))


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.add_tokens(["c"]),
        lambda t: t.add_special_tokens(["a"]),
        lambda t: setattr(t, "normalizer", normalizers.Lowercase()),
        lambda t: setattr(t, "encode_special_tokens", True),
        lambda t: setattr(t, "model", models.WordLevel({"[UNK]": 0, "a": 1, "c": 2}, unk_token="[UNK]")),
        lambda t: t.train_from_iterator(["x y"], trainers.WordLevelTrainer(show_progress=False)),
    ],
)
def test_changes_are_noticed(change):
    tokenizer = made("a", "b")
    before = content_digest(tokenizer)
    change(tokenizer)
    assert content_digest(tokenizer) != before


def test_nothing_is_kept_of_a_tokenizer_that_is_gone():
    before = len(content._known)
    tokenizer = made("a", "b")
    content_digest(tokenizer)
    assert len(content._known) == before + 1
    del tokenizer
    gc.collect()
    assert len(content._known) == before
