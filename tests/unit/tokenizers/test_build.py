"""Tokenizers put together from vocabulary files."""

from pathlib import Path

import pytest

from madang.errors import CheckpointError, ConfigError
from madang.tokenizers import AutoTokenizer, named_tokenizer_class
from tests.unit.tokenizers.conftest import write_json


def test_a_vocabulary_gives_wordpiece_with_the_template_of_bert(bert_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    assert tokenizer("Hellos, x", "a").tokens() == ["[CLS]", "hello", "##s", ",", "[UNK]", "[SEP]", "a", "[SEP]"]
    assert tokenizer("a", "b")["token_type_ids"] == [0, 0, 0, 1, 1]
    assert tokenizer.tokenize("a[MASK]b") == ["a", "[MASK]", "b"]
    assert tokenizer.all_special_ids == [1, 3, 0, 2, 4]


def test_lower_casing_accents_and_chinese_characters_follow_the_config(tmp_path: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "e", "é", "É", "E", "中", "文", "中文"]
    (tmp_path / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    write_json(tmp_path / "config.json", {"model_type": "bert"})

    def tokens(**declared: object) -> list[str]:
        write_json(tmp_path / "tokenizer_config.json", declared)
        return AutoTokenizer.from_pretrained(tmp_path).tokenize("É 中文")

    assert tokens() == ["e", "中", "文"]
    assert tokens(do_lower_case=False) == ["É", "中", "文"]
    assert tokens(do_lower_case=True, strip_accents=False) == ["é", "中", "文"]
    assert tokens(do_lower_case=False, strip_accents=True) == ["E", "中", "文"]
    assert tokens(do_lower_case=False, tokenize_chinese_chars=False) == ["É", "中文"]


def test_special_tokens_of_another_name_are_used(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(["<p>", "<u>", "<c>", "<e>", "<m>", "a"]), encoding="utf-8")
    special = {
        "pad_token": "<p>",
        "unk_token": "<u>",
        "cls_token": "<c>",
        "sep_token": {"content": "<e>"},
        "mask_token": "<m>",
    }
    write_json(tmp_path / "special_tokens_map.json", special)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, tokenizer_type="bert")
    assert tokenizer("a z").tokens() == ["<c>", "a", "<u>", "<e>"]


def test_a_vocabulary_without_the_special_tokens_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("a\nb\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"has no \['\[UNK\]', '\[CLS\]', '\[SEP\]'\]"):
        AutoTokenizer.from_pretrained(tmp_path)


def test_vocabulary_and_merges_give_byte_level_bpe(gpt2_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(gpt2_folder)
    assert tokenizer.tokenize("hell hehe") == ["hell", "Ġhe", "he"]
    assert tokenizer("he")["input_ids"] == [256]
    text = "한글 é\n  x😀"
    assert tokenizer.decode(tokenizer.encode(text), clean_up_tokenization_spaces=False) == text


def test_roberta_has_its_template_and_a_mask_that_takes_the_blank_before_it(roberta_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(roberta_folder)
    ids = tokenizer("he <mask>.")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["<s>", "he", "<mask>", ".", "</s>"]
    assert tokenizer("he", "ll", return_token_type_ids=True)["token_type_ids"] == [0] * 6
    assert tokenizer.pad_token_id == 1
    assert tokenizer("he he", return_offsets_mapping=True)["offset_mapping"][2:4] == [(3, 3), (3, 5)]


def test_file_names_of_the_first_gpt2_are_known(tmp_path: Path, gpt2_folder: Path) -> None:
    (tmp_path / "encoder.json").write_bytes((gpt2_folder / "vocab.json").read_bytes())
    (tmp_path / "vocab.bpe").write_bytes((gpt2_folder / "merges.txt").read_bytes())
    assert AutoTokenizer.from_pretrained(tmp_path).tokenize("hell") == ["hell"]


def test_classes_take_vocabulary_files_themselves(bert_folder: Path, gpt2_folder: Path) -> None:
    bert_class, gpt2_class = named_tokenizer_class("BertTokenizer"), named_tokenizer_class("GPT2TokenizerFast")
    assert bert_class is not None
    assert gpt2_class is not None
    bert = bert_class(bert_folder / "vocab.txt", do_lower_case=False)
    assert bert.tokenize("A a") == ["[UNK]", "a"]
    gpt2 = gpt2_class(str(gpt2_folder / "vocab.json"), str(gpt2_folder / "merges.txt"))
    assert gpt2.tokenize("hell") == ["hell"]
    assert bert_class.from_pretrained(str(bert_folder / "vocab.txt")).tokenize("a") == ["a"]
    with pytest.raises(ConfigError, match="its merges file is needed"):
        gpt2_class(gpt2_folder / "vocab.json")
    t5 = named_tokenizer_class("T5Tokenizer")
    assert t5 is not None
    with pytest.raises(ConfigError, match="a T5 tokenizer cannot be built"):
        t5(bert_folder / "vocab.txt")


@pytest.mark.parametrize(
    ("vocabulary", "merges", "message"),
    [
        ("{", "a b", r"vocab\.json cannot be read as a vocabulary"),
        ("[1]", "a b", r"vocab\.json is not a vocabulary"),
        ('{"a": 0}', "#version: 0.2\na b c", r"merges\.txt line 2 is 'a b c'"),
        ('{"a": 0}', "a b", "do not belong together"),
    ],
)
def test_damaged_vocabularies_are_named(tmp_path: Path, vocabulary: str, merges: str, message: str) -> None:
    (tmp_path / "vocab.json").write_text(vocabulary, encoding="utf-8")
    (tmp_path / "merges.txt").write_text(merges, encoding="utf-8")
    with pytest.raises(CheckpointError, match=message):
        AutoTokenizer.from_pretrained(tmp_path, tokenizer_type="gpt2")


def test_a_vocabulary_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes(b"[PAD]\n\xff\n")
    with pytest.raises(CheckpointError, match=r"vocab\.txt cannot be read"):
        AutoTokenizer.from_pretrained(tmp_path)


def test_a_mask_the_vocabulary_lacks_is_no_reason_to_refuse_it(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[UNK]\n[CLS]\n[SEP]\na\n", encoding="utf-8")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, tokenizer_type="bert")
    assert tokenizer("a")["input_ids"] == [1, 3, 2]
    assert (tokenizer.mask_token, tokenizer.pad_token) == (None, None)


def test_opt_puts_its_begin_token_first(tmp_path: Path, roberta_folder: Path) -> None:
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((roberta_folder / name).read_bytes())
    special = {"bos_token": {"content": "</s>"}, "eos_token": "</s>", "unk_token": "</s>", "pad_token": "<pad>"}
    write_json(
        tmp_path / "tokenizer_config.json", {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, **special}
    )
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer("he", "ll").tokens() == ["</s>", "he", "ll"]
    assert tokenizer.add_bos_token
    tokenizer.save_pretrained(tmp_path / "saved")
    assert AutoTokenizer.from_pretrained(tmp_path / "saved")("he", "ll").tokens() == ["</s>", "he", "ll"]


@pytest.mark.parametrize("name", ["BertJapaneseTokenizer", "PhobertTokenizer", "RoFormerTokenizer"])
def test_a_vocabulary_of_another_way_to_split_is_not_taken_for_bert(
    tmp_path: Path, bert_folder: Path, name: str
) -> None:
    (tmp_path / "vocab.txt").write_bytes((bert_folder / "vocab.txt").read_bytes())
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": name})
    with pytest.raises(ConfigError, match=f"{name.removesuffix('Tokenizer')}.* cannot be built .*Supported"):
        AutoTokenizer.from_pretrained(tmp_path)


def test_merges_of_another_way_to_split_are_not_taken_for_gpt2(tmp_path: Path, gpt2_folder: Path) -> None:
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((gpt2_folder / name).read_bytes())
    write_json(tmp_path / "config.json", {"model_type": "clip"})
    with pytest.raises(ConfigError, match="a CLIP tokenizer cannot be built"):
        AutoTokenizer.from_pretrained(tmp_path)
