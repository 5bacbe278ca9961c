"""Tokenizers: use does not change their key."""

import pickle

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from madang.datasets.fingerprint import key
from madang.tokenizers import PreTrainedTokenizerFast


def backend(lower=False, extra=()):
    words = ["[UNK]", "[PAD]", "hello", "world", "마당", *extra]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    if lower:
        made.normalizer = normalizers.Lowercase()
    return made


def tokenizer(**options):
    settings = {name: options.pop(name) for name in ("lower", "extra") if name in options}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend(**settings), unk_token="[UNK]", pad_token="[PAD]", model_max_length=16, **options
    )


class TestTokenizers:
    def test_use_does_not_change_the_key(self):
        used = tokenizer()

        def tokenize(batch):
            return used(batch["x"], truncation=True)

        fresh, fresh_function = key(used), key(tokenize)
        used(["hello world"] * 3, truncation=True, padding="max_length", max_length=8)
        with pytest.warns(UserWarning, match="more than"):
            used("hello " * 40)
        used.build_inputs_with_special_tokens([1])
        assert key(used) == fresh == key(tokenizer()) == key(pickle.loads(pickle.dumps(used)))
        assert key(tokenize) == fresh_function

    def test_the_folder_it_came_from_does_not_count(self, tmp_path):
        for name in ("a", "b"):
            tokenizer().save_pretrained(tmp_path / name)
        first, second = (PreTrainedTokenizerFast.from_pretrained(tmp_path / name) for name in ("a", "b"))
        assert key(first) == key(second)

    @pytest.mark.parametrize(
        "change",
        [
            lambda t: t.add_tokens(["new"]),
            lambda t: t.add_special_tokens({"cls_token": "hello"}),
            lambda t: setattr(t, "model_max_length", 5),
            lambda t: setattr(t, "padding_side", "left"),
            lambda t: setattr(t, "model_input_names", ["input_ids"]),
            lambda t: setattr(t.backend_tokenizer, "normalizer", normalizers.Lowercase()),
            lambda t: setattr(t.backend_tokenizer, "pre_tokenizer", pre_tokenizers.ByteLevel()),
            lambda t: setattr(t.backend_tokenizer, "model", backend(extra=["more"]).model),
            lambda t: setattr(t.backend_tokenizer, "model", models.WordLevel({"[UNK]": 0, "b": 1}, unk_token="[UNK]")),
        ],
    )
    def test_changing_it_changes_the_key(self, change):
        changed = tokenizer()
        fresh = key(changed)
        change(changed)
        assert key(changed) != fresh

    def test_other_tokenizers_have_other_keys(self):
        made = [tokenizer(), tokenizer(lower=True), tokenizer(extra=["a"]), tokenizer(truncation_side="left")]
        assert len({key(each) for each in made}) == len(made)

    def test_a_rust_tokenizer_by_itself_counts_with_what_its_owner_set(self):
        alone = backend()
        fresh = key(alone)
        alone.encode("hello world")
        assert key(alone) == fresh == key(backend())
        alone.enable_truncation(3)
        assert key(alone) != fresh
