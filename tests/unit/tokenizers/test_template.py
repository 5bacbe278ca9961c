"""The special tokens around texts, read from each kind of Rust post-processor."""

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from madang.errors import InputError
from madang.tokenizers import AutoTokenizer, PreTrainedTokenizerFast
from madang.tokenizers.template import template_between
from tests.unit.tokenizers.conftest import klue_backend, write_json

ENDS = (("[SEP]", 2), ("[CLS]", 0))
PROCESSORS = {
    "none": None,
    "byte level": processors.ByteLevel(),
    "bert": processors.BertProcessing(*ENDS),
    "roberta": processors.RobertaProcessing(*ENDS),
    "template": processors.TemplateProcessing(
        single="$A:0 [SEP]:1 [CLS]:2",
        pair="$A:0 [SEP]:0 $B:1 [SEP]:1 [CLS]:2",
        special_tokens=[("[SEP]", 2), ("[CLS]", 0)],
    ),
    "sequence": processors.Sequence([processors.ByteLevel(), processors.BertProcessing(*ENDS)]),
}


@pytest.mark.parametrize("processor", PROCESSORS.values(), ids=PROCESSORS)
def test_joining_ids_gives_what_the_rust_tokenizer_gives(processor: Any) -> None:
    backend = klue_backend()
    backend.post_processor = processor
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    for first, second in (("첫 번째", None), ("첫 번째", "두")):
        batch = tokenizer(first, second, return_special_tokens_mask=True)
        ids = tokenizer.encode(first, add_special_tokens=False)
        more = None if second is None else tokenizer.encode(second, add_special_tokens=False)
        assert tokenizer.build_inputs_with_special_tokens(ids, more) == batch["input_ids"]
        assert tokenizer.create_token_type_ids_from_sequences(ids, more) == batch["token_type_ids"]
        assert tokenizer.get_special_tokens_mask(ids, more) == batch["special_tokens_mask"]
        assert tokenizer([first] if second is None else [(first, second)])["token_type_ids"] == [
            batch["token_type_ids"]
        ]


def test_a_new_post_processor_counts_from_then_on(klue: PreTrainedTokenizerFast) -> None:
    assert klue.build_inputs_with_special_tokens([5]) == [0, 5, 2]
    klue.backend_tokenizer.post_processor = PROCESSORS["template"]
    assert klue.build_inputs_with_special_tokens([5]) == [5, 2, 0]
    assert klue(["첫"])["token_type_ids"] == [[0, 1, 2]]


@pytest.fixture
def llama_folder(tmp_path: Path) -> Path:
    """A tokenizer.json that puts a begin token before every text, as Llama's does."""
    backend = Tokenizer(models.BPE({"<unk>": 0, "<s>": 1, "</s>": 2, "a": 3, "b": 4}, [], unk_token="<unk>"))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.WhitespaceSplit(), decoders.Fuse()
    backend.post_processor = template_between(backend, "<s>", None)
    backend.save(str(tmp_path / "tokenizer.json"))
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True})
    return tmp_path


def test_begin_and_end_tokens_follow_the_argument_and_the_attribute(llama_folder: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(llama_folder)
    assert tokenizer("a")["input_ids"] == [1, 3]
    assert (tokenizer.add_bos_token, tokenizer.add_eos_token) == (True, False)
    tokenizer.add_eos_token = True
    assert tokenizer("a", "b")["input_ids"] == [1, 3, 2, 1, 4, 2]
    assert tokenizer(["a"])["input_ids"] == [[1, 3, 2]]
    tokenizer.add_bos_token = False
    assert tokenizer("a")["input_ids"] == [3, 2]
    tokenizer.save_pretrained(tmp_path / "saved")
    again = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert again("a")["input_ids"] == [3, 2]
    asked = AutoTokenizer.from_pretrained(llama_folder, add_eos_token=True, add_bos_token=False)
    assert asked("a")["input_ids"] == [3, 2]


def test_begin_tokens_of_a_tokenizer_with_other_ends_are_refused(
    klue: PreTrainedTokenizerFast, llama_folder: Path
) -> None:
    klue.bos_token = "[MASK]"
    with pytest.raises(InputError, match="puts other special tokens around texts"):
        klue.add_bos_token = True
    llama = AutoTokenizer.from_pretrained(llama_folder, eos_token=None)
    with pytest.raises(InputError, match="has no eos_token"):
        llama.add_eos_token = True
