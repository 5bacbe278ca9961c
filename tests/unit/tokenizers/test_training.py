"""A new vocabulary for a known kind of tokenizer."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from madang.errors import InputError
from madang.tokenizers import AutoTokenizer, PreTrainedTokenizerFast

TEXTS = ["마당에서 모두가 만난다", "마당은 넓다", "모두의 마당", "the yard is wide", "they meet in the yard"] * 4


def test_wordpiece_keeps_special_tokens_and_template(bert: PreTrainedTokenizerFast) -> None:
    new = bert.train_new_from_iterator(TEXTS, 120)
    assert type(new) is type(bert)
    assert new.all_special_tokens == bert.all_special_tokens
    assert new.model_max_length == 40
    tokens = new("yard", "the yard").tokens()
    assert tokens == ["[CLS]", "yard", "[SEP]", "the", "yard", "[SEP]"]
    assert new("yard", "the")["token_type_ids"] == [0, 0, 0, 1, 1]
    assert bert.tokenize("yard") == ["[UNK]"]


def test_byte_level_knows_every_byte(gpt2: PreTrainedTokenizerFast) -> None:
    new = gpt2.train_new_from_iterator([TEXTS[:10], TEXTS[10:]], 300, length=2)
    assert len(new) <= 300
    assert new.eos_token == "<|endoftext|>"
    assert new.decode(new.encode("ñ 한글 😀")) == "ñ 한글 😀"
    assert len(new.tokenize("마당")) < 6


def test_roberta_gets_new_ids_in_its_template(roberta_folder: Path) -> None:
    old = AutoTokenizer.from_pretrained(roberta_folder)
    new = old.train_new_from_iterator(TEXTS, 320)
    assert new("yard", "the").tokens()[:1] == ["<s>"]
    ids = new("yard")["input_ids"]
    assert (ids[0], ids[-1]) == (new.cls_token_id, new.sep_token_id)
    assert new.build_inputs_with_special_tokens([7]) == [new.cls_token_id, 7, new.sep_token_id]


def test_tokens_can_be_renamed_and_added(bert: PreTrainedTokenizerFast) -> None:
    bert.add_tokens(["plain"])
    new = bert.train_new_from_iterator(
        TEXTS, 120, new_special_tokens=["<turn>"], special_tokens_map={"[CLS]": "<s>", "[UNK]": "<unk>"}
    )
    assert new("the").tokens() == ["<s>", "the", "[SEP]"]
    assert (new.cls_token, new.unk_token) == ("<s>", "<unk>")
    assert new.tokenize("☃<turn>") == ["<unk>", "<turn>"]
    assert new.additional_special_tokens == ["<turn>"]
    assert new.convert_tokens_to_ids("plain") not in (None, new.unk_token_id)


def test_unigram_is_trained_too() -> None:
    backend = Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0)], unk_id=0, byte_fallback=False))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    old = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")
    new = old.train_new_from_iterator(TEXTS, 60)
    assert new.decode(new.encode("the yard")) == "the yard"
    assert new.convert_tokens_to_ids("<unk>") == new.unk_token_id


def test_a_trained_tokenizer_saves_and_loads(tmp_path: Path, gpt2: PreTrainedTokenizerFast) -> None:
    new = gpt2.train_new_from_iterator(TEXTS, 300)
    new.save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path)(TEXTS) == new(TEXTS)


def test_options_reach_the_trainer(gpt2: PreTrainedTokenizerFast) -> None:
    rare = gpt2.train_new_from_iterator(TEXTS, 1000, min_frequency=1000)
    assert rare.vocab_size == 257


def test_a_tokenizer_without_a_template_stays_without(bert: PreTrainedTokenizerFast) -> None:
    bert.backend_tokenizer.post_processor = None
    assert bert.train_new_from_iterator(TEXTS, 120).build_inputs_with_special_tokens([1]) == [1]


def test_a_kind_nobody_can_train_is_refused(monkeypatch: pytest.MonkeyPatch, bert: PreTrainedTokenizerFast) -> None:
    monkeypatch.setattr("madang.tokenizers.training.TRAINERS", {})
    with pytest.raises(InputError, match="a WordPiece tokenizer cannot be trained"):
        bert.train_new_from_iterator(TEXTS, 100)
