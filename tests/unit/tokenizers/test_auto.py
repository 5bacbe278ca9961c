"""Finding a tokenizer's class and files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from madang.errors import CheckpointError, ConfigError, InputError, MissingFileError, UnknownNameError
from madang.tokenizers import AutoTokenizer
from tests.shared_data import shared
from tests.unit.tokenizers.conftest import klue_backend, write_json


def test_a_roberta_body_may_have_a_bert_tokenizer(klue_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(klue_folder)
    assert type(tokenizer).__name__ == "BertTokenizerFast"
    assert tokenizer.model_input_names == ["input_ids", "token_type_ids", "attention_mask"]
    assert tokenizer.model_max_length == 512
    roles = ("cls_token", "pad_token", "sep_token", "unk_token", "mask_token")
    assert [getattr(tokenizer, role + "_id") for role in roles] == [0, 1, 2, 3, 4]


def test_tokenizer_config_names_the_class_before_config_and_model_type(tmp_path: Path) -> None:
    klue_backend().save(str(tmp_path / "tokenizer.json"))
    write_json(tmp_path / "config.json", {"model_type": "roberta"})
    assert type(AutoTokenizer.from_pretrained(tmp_path)).__name__ == "RobertaTokenizerFast"
    write_json(tmp_path / "config.json", {"model_type": "roberta", "tokenizer_class": "ElectraTokenizerFast"})
    assert type(AutoTokenizer.from_pretrained(tmp_path)).__name__ == "ElectraTokenizerFast"
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer"})
    assert type(AutoTokenizer.from_pretrained(tmp_path)).__name__ == "BertTokenizerFast"


@pytest.mark.parametrize(
    "name", ["BertTokenizer", "LlamaTokenizerFast", "TokenizersBackend", "GPT2Tokenizer", "NobodysTokenizer"]
)
def test_ids_never_depend_on_the_class(tmp_path: Path, name: str) -> None:
    klue_backend(second_type=1).save(str(tmp_path / "tokenizer.json"))
    write_json(
        tmp_path / "tokenizer_config.json", {"tokenizer_class": name, "do_lower_case": True, "add_prefix_space": True}
    )
    texts = ["첫 번째 문장은 짧다.", "토크나이저는 A b", "", " [SEP] 둘"]
    expected = [encoding.ids for encoding in Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode_batch(texts)]
    assert AutoTokenizer.from_pretrained(tmp_path)(texts)["input_ids"] == expected


def test_a_class_nobody_knows_with_a_known_model_type_gives_its_inputs(tmp_path: Path) -> None:
    klue_backend().save(str(tmp_path / "tokenizer.json"))
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "TokenizersBackend"})
    write_json(tmp_path / "config.json", {"model_type": "llama"})
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert type(tokenizer).__name__ == "PreTrainedTokenizerFast"
    assert list(tokenizer("문장")) == ["input_ids", "attention_mask"]


def test_a_vocabulary_for_a_body_with_one_token_type_gives_type_0_only(tmp_path: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "첫", "둘"]
    (tmp_path / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    config = {"model_type": "roberta", "tokenizer_class": "BertTokenizer", "type_vocab_size": 1}
    write_json(tmp_path / "config.json", config)
    batch = AutoTokenizer.from_pretrained(tmp_path, do_lower_case=False)("첫", "둘")
    assert batch == {"input_ids": [2, 5, 3, 6, 3], "token_type_ids": [0] * 5, "attention_mask": [1] * 5}
    write_json(tmp_path / "config.json", {**config, "type_vocab_size": 2})
    assert AutoTokenizer.from_pretrained(tmp_path)("첫", "둘")["token_type_ids"] == [0, 0, 0, 1, 1]


def test_arguments_win_over_files(klue_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(
        klue_folder, padding_side="left", truncation_side="left", model_max_length=7, pad_token="[MASK]"
    )
    batch = tokenizer(["첫", "첫 번째 문장은 짧다."], padding=True, truncation=True)
    assert batch["input_ids"][0] == [4, 4, 4, 4, 0, 1656, 2]
    assert batch["input_ids"][1] == [0, 6265, 2073, 1599, 2062, 18, 2]


def test_an_argument_changes_lower_casing_and_the_file_alone_does_not(tmp_path: Path, klue_folder: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((klue_folder / "tokenizer.json").read_bytes())
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "do_lower_case": True})
    assert not AutoTokenizer.from_pretrained(tmp_path).backend_tokenizer.normalizer.lowercase
    assert AutoTokenizer.from_pretrained(tmp_path, do_lower_case=True).backend_tokenizer.normalizer.lowercase


def test_lower_casing_a_byte_level_tokenizer_is_refused(tmp_path: Path, gpt2_folder: Path) -> None:
    AutoTokenizer.from_pretrained(gpt2_folder).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="do_lower_case= has no effect"):
        AutoTokenizer.from_pretrained(tmp_path, do_lower_case=True)


def test_add_prefix_space_is_an_argument(tmp_path: Path, gpt2_folder: Path) -> None:
    AutoTokenizer.from_pretrained(gpt2_folder).save_pretrained(tmp_path)
    for folder in (gpt2_folder, tmp_path):
        plain, spaced = (AutoTokenizer.from_pretrained(folder, add_prefix_space=space) for space in (False, True))
        assert plain.tokenize("hell") == ["hell"]
        assert spaced.tokenize("hell") == ["Ġ", "hell"]


def test_a_subfolder_is_read(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    klue_backend().save(str(tmp_path / "deep" / "tokenizer.json"))
    assert AutoTokenizer.from_pretrained(tmp_path, subfolder="deep")("첫")["input_ids"] == [0, 1656, 2]


def test_use_fast_false_and_trust_remote_code_are_accepted(klue_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(klue_folder, use_fast=False, trust_remote_code=True)
    assert tokenizer.is_fast


def test_a_tokenizer_type_chooses_the_class_and_an_unknown_one_is_named(bert_folder: Path) -> None:
    assert type(AutoTokenizer.from_pretrained(bert_folder, tokenizer_type="electra")).__name__ == "ElectraTokenizerFast"
    with pytest.raises(UnknownNameError, match="Did you mean 'roberta'"):
        AutoTokenizer.from_pretrained(bert_folder, tokenizer_type="reberta")


def test_a_folder_with_a_sentencepiece_model_only_says_what_is_supported(tmp_path: Path) -> None:
    (tmp_path / "spm.model").write_bytes(b"\n")
    write_json(tmp_path / "config.json", {"model_type": "deberta-v2"})
    with pytest.raises(ConfigError, match=r"'spm\.model'.*Supported: tokenizer\.json .any., vocab\.txt"):
        AutoTokenizer.from_pretrained(tmp_path)


def test_a_folder_without_a_tokenizer_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="has no tokenizer"):
        AutoTokenizer.from_pretrained(tmp_path)
    with pytest.raises(MissingFileError, match="nowhere"):
        AutoTokenizer.from_pretrained(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "config.json", "special_tokens_map.json"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    klue_backend().save(str(tmp_path / "tokenizer.json"))
    path = tmp_path / name
    path.write_text(path.read_text(encoding="utf-8")[:100] if path.exists() else '{"half', encoding="utf-8")
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        AutoTokenizer.from_pretrained(tmp_path)


def test_added_tokens_of_an_old_repository_get_their_ids(tmp_path: Path, bert_folder: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes((bert_folder / "vocab.txt").read_bytes())
    size = len((tmp_path / "vocab.txt").read_text(encoding="utf-8").splitlines())
    write_json(tmp_path / "added_tokens.json", {"<two>": size + 1, "<one>": size})
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, tokenizer_type="bert")
    assert tokenizer.convert_tokens_to_ids(["<one>", "<two>"]) == [size, size + 1]
    assert tokenizer.tokenize("a<two>b") == ["a", "<two>", "b"]
    write_json(tmp_path / "added_tokens.json", {"<one>": size + 5})
    with pytest.raises(CheckpointError, match="do not belong together"):
        AutoTokenizer.from_pretrained(tmp_path, tokenizer_type="bert")


def test_special_tokens_only_the_config_knows_are_added_behind_the_vocabulary(tmp_path: Path) -> None:
    klue_backend().save(str(tmp_path / "tokenizer.json"))
    declared = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": {"__type": "AddedToken", "content": "[PAD]", "lstrip": False},
        "additional_special_tokens": ["<a>"],
        "added_tokens_decoder": {
            "20952": {"content": "<word>", "special": False, "lstrip": True},
            "20951": {"content": "<turn>", "special": True},
        },
        "extra_special_tokens": {"image_token": "<image>"},
    }
    write_json(tmp_path / "tokenizer_config.json", declared)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer.convert_tokens_to_ids(["<turn>", "<word>", "<image>", "<a>"]) == [20951, 20952, 20953, 20954]
    assert tokenizer.image_token == "<image>"
    assert tokenizer.image_token_id == 20953
    assert not tokenizer.added_tokens_decoder[20952].special
    assert tokenizer.added_tokens_decoder[20952].lstrip
    assert tokenizer.decode([20951, 1656, 20952, 20954], skip_special_tokens=True) == "첫 <word>"


def test_what_a_class_assumes_is_not_added_when_the_vocabulary_lacks_it(tmp_path: Path) -> None:
    klue_backend().save(str(tmp_path / "tokenizer.json"))
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "LlamaTokenizer"})
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert len(tokenizer) == 20951
    assert tokenizer.bos_token is None


def test_loading_and_tokenizing_needs_no_torch_and_no_hub_client(klue_folder: Path) -> None:
    program = (
        "import sys, madang\n"
        f"tokenizer = madang.AutoTokenizer.from_pretrained({str(klue_folder)!r})\n"
        "tokenizer(['첫 번째', '둘'], padding=True); tokenizer.decode([0, 1656])\n"
        "print([name for name in ('torch', 'huggingface_hub', 'pandas', 'jinja2', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_real_minilm_ids(minilm_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(minilm_folder)
    assert type(tokenizer).__name__ == "BertTokenizerFast"
    assert tokenizer("Hello, world!") == {
        "input_ids": [101, 7592, 1010, 2088, 999, 102],
        "token_type_ids": [0] * 6,
        "attention_mask": [1] * 6,
    }


def test_the_padding_and_truncation_a_file_holds_are_no_defaults(minilm_folder: Path) -> None:
    stored = json.loads((minilm_folder / "tokenizer.json").read_text(encoding="utf-8"))
    assert stored["padding"] is not None
    tokenizer = AutoTokenizer.from_pretrained(minilm_folder)
    assert len(tokenizer("a")["input_ids"]) == 3
    assert len(tokenizer("a " * 200)["input_ids"]) == 202


def test_koelectra_from_its_real_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes(shared("tokenizers/koelectra-base/vocab.txt").read_bytes())
    write_json(tmp_path / "tokenizer_config.json", {"do_lower_case": False, "model_max_length": 512})
    write_json(tmp_path / "config.json", {"model_type": "electra"})
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert type(tokenizer).__name__ == "ElectraTokenizerFast"
    ids = tokenizer("한국어 ELECTRA를 공유합니다.")["input_ids"]
    assert ids == [2, 18429, 41, 6240, 15229, 6204, 20894, 5689, 12622, 10690, 18, 3]
