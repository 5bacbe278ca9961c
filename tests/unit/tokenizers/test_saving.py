"""What save_pretrained writes."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

import madang.client
from madang.errors import UnknownNameError
from madang.tokenizers import AutoTokenizer, PreTrainedTokenizerFast, named_tokenizer_class


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("fixture", ["klue_folder", "bert_folder", "gpt2_folder", "roberta_folder", "minilm_folder"])
def test_what_is_saved_loads_as_it_was(fixture: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    before = AutoTokenizer.from_pretrained(request.getfixturevalue(fixture))
    before.save_pretrained(tmp_path / "new" / "folder")
    after = AutoTokenizer.from_pretrained(tmp_path / "new" / "folder")
    texts = ["hello , it ' s a b.", "첫 번째 문장은 짧다.", "", "É <mask> [MASK]"]
    assert after(texts, texts) == before(texts, texts)
    assert repr(after).partition(", vocab_size")[2] == repr(before).partition(", vocab_size")[2]
    assert after.model_input_names == before.model_input_names
    after.save_pretrained(tmp_path / "again")
    for path in sorted((tmp_path / "again").iterdir()):
        assert path.read_bytes() == (tmp_path / "new" / "folder" / path.name).read_bytes(), path.name


def test_the_class_is_a_published_name(
    tmp_path: Path, klue: PreTrainedTokenizerFast, gpt2: PreTrainedTokenizerFast
) -> None:
    klue.save_pretrained(tmp_path)
    assert read(tmp_path / "tokenizer_config.json")["tokenizer_class"] == "BertTokenizer"
    gpt2.save_pretrained(tmp_path)
    assert read(tmp_path / "tokenizer_config.json")["tokenizer_class"] == "GPT2Tokenizer"


def test_a_class_that_would_split_otherwise_is_not_named(tmp_path: Path, gpt2: PreTrainedTokenizerFast) -> None:
    llama = named_tokenizer_class("LlamaTokenizer")
    assert llama is not None
    llama(tokenizer_object=gpt2.backend_tokenizer).save_pretrained(tmp_path)
    config = read(tmp_path / "tokenizer_config.json")
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert config["model_input_names"] == ["input_ids", "attention_mask"]


def test_the_config_says_what_the_normalizer_does(tmp_path: Path, klue: PreTrainedTokenizerFast) -> None:
    klue.save_pretrained(tmp_path)
    config = read(tmp_path / "tokenizer_config.json")
    assert (config["do_lower_case"], config["strip_accents"], config["tokenize_chinese_chars"]) == (False, None, True)


def test_vocabulary_files_build_the_same_tokenizer(
    tmp_path: Path, bert: PreTrainedTokenizerFast, gpt2: PreTrainedTokenizerFast, roberta_folder: Path
) -> None:
    for number, tokenizer in enumerate((bert, gpt2, AutoTokenizer.from_pretrained(roberta_folder))):
        folder = tmp_path / str(number)
        tokenizer.save_pretrained(folder)
        (folder / "tokenizer.json").unlink()
        texts = ["hello he, it's a b.", "É"]
        assert AutoTokenizer.from_pretrained(folder)(texts, texts) == tokenizer(texts, texts)


def test_merges_are_written_as_older_releases_read_them(tmp_path: Path, gpt2: PreTrainedTokenizerFast) -> None:
    gpt2.save_pretrained(tmp_path)
    assert read(tmp_path / "tokenizer.json")["model"]["merges"] == ["h e", "l l", "he ll", "Ġ he"]
    assert (tmp_path / "merges.txt").read_text(encoding="utf-8") == "#version: 0.2\nh e\nl l\nhe ll\nĠ he\n"


def test_merges_of_tokens_with_blanks_stay_pairs(tmp_path: Path) -> None:
    backend = Tokenizer(models.BPE({"a": 0, " ": 1, "a ": 2}, [("a", " ")]))
    PreTrainedTokenizerFast(tokenizer_object=backend).save_pretrained(tmp_path)
    assert read(tmp_path / "tokenizer.json")["model"]["merges"] == [["a", " "]]
    assert AutoTokenizer.from_pretrained(tmp_path).tokenize("a ") == ["a "]


def test_the_padding_and_truncation_of_the_file_stay_in_the_file(tmp_path: Path, minilm_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(minilm_folder)
    tokenizer(["a", "b c"], padding=True, truncation=True, max_length=3)
    tokenizer.save_pretrained(tmp_path)
    before, after = read(minilm_folder / "tokenizer.json"), read(tmp_path / "tokenizer.json")
    assert after["padding"] == before["padding"]
    assert after["truncation"]["max_length"] == before["truncation"]["max_length"]
    assert tokenizer.backend_tokenizer.padding is None


def test_tokens_settings_and_templates_are_kept(tmp_path: Path, bert: PreTrainedTokenizerFast) -> None:
    bert.add_tokens(["<plain>", AddedToken("<left>", lstrip=True)])
    bert.add_special_tokens({"bos_token": "<s>", "additional_special_tokens": ["<turn>"]})
    bert.padding_side = "left"
    bert.chat_template = "{{ messages[0].content }}"
    bert.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.added_tokens_decoder == bert.added_tokens_decoder
    assert (loaded.bos_token_id, loaded.additional_special_tokens, loaded.padding_side) == (
        bert.bos_token_id,
        ["<turn>"],
        "left",
    )
    assert loaded.model_max_length == 40
    assert loaded.chat_template == bert.chat_template
    assert read(tmp_path / "added_tokens.json")["<plain>"] == 23
    assert read(tmp_path / "special_tokens_map.json")["additional_special_tokens"] == ["<turn>"]


def test_settings_nobody_here_needs_are_passed_on(tmp_path: Path, bert_folder: Path) -> None:
    AutoTokenizer.from_pretrained(bert_folder, never_split=["x"], something=None).save_pretrained(tmp_path)
    assert read(tmp_path / "tokenizer_config.json")["never_split"] == ["x"]


def test_several_chat_templates_and_named_tokens_are_kept(tmp_path: Path, bert: PreTrainedTokenizerFast) -> None:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bert.backend_tokenizer,
        chat_template=[{"name": "default", "template": "a"}, {"name": "tool_use", "template": "b"}],
        extra_special_tokens={"image_token": "<image>"},
    )
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.chat_template == {"default": "a", "tool_use": "b"}
    assert loaded.image_token_id == tokenizer.image_token_id == 23


def test_files_of_an_earlier_save_that_no_longer_hold_are_removed(tmp_path: Path, bert_folder: Path) -> None:
    first = AutoTokenizer.from_pretrained(bert_folder, chat_template="old")
    first.add_tokens(["<old>"])
    first.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(bert_folder).save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.chat_template is None
    assert not (tmp_path / "added_tokens.json").exists()


def test_a_save_that_fails_leaves_the_files_as_they_were(
    tmp_path: Path, bert_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    tokenizer.save_pretrained(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    tokenizer.add_tokens(["<new>"])
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="no space left"):
        tokenizer.save_pretrained(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_vocabulary_with_holes_is_not_written_as_lines(tmp_path: Path) -> None:
    backend = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 5}, unk_token="[UNK]"))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.Whitespace(), decoders.WordPiece()
    paths = PreTrainedTokenizerFast(tokenizer_object=backend).save_pretrained(tmp_path)
    assert not any(path.endswith("vocab.txt") for path in paths)


def test_a_prefix_is_put_before_every_name(tmp_path: Path, bert: PreTrainedTokenizerFast) -> None:
    paths = bert.save_pretrained(tmp_path, filename_prefix="mine")
    assert {Path(path).name for path in paths} == {path.name for path in tmp_path.iterdir()}
    assert all(Path(path).name.startswith("mine-") for path in paths)
    assert [Path(path).name for path in bert.save_vocabulary(tmp_path)] == ["vocab.txt"]


def test_pushing_hands_the_files_to_the_client(
    bert: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls: list[tuple[str, dict[str, Any]]] = []

    def push(save: Any, repo_id: str, **options: Any) -> str:
        save(tmp_path / "sent")
        calls.append((repo_id, options))
        return "address"

    monkeypatch.setattr(madang.client, "push_saved", push)
    assert bert.push_to_hub("me/mine", private=True) == "address"
    assert calls == [("me/mine", {"commit_message": "Upload tokenizer", "private": True})]
    assert (tmp_path / "sent" / "tokenizer.json").exists()
    bert.save_pretrained(tmp_path / "folder", push_to_hub=True)
    assert calls[1][0] == "folder"
    with pytest.raises(UnknownNameError, match="Did you mean 'push_to_hub'"):
        bert.save_pretrained(tmp_path, push_to_hb=True)
