"""Texts to ids and back, as the tutorial does it."""

import copy
import json
import pickle
import threading
import warnings
from pathlib import Path

import numpy
import pytest

from madang.errors import InputError, UnknownNameError
from madang.tokenizers import AutoTokenizer, PreTrainedTokenizerFast
from tests.shared_data import shared
from tests.unit.tokenizers.conftest import klue_backend

TEXT = "토크나이저는 텍스트를 토큰 단위로 나눈다"
IDS = [0, 9157, 7461, 2190, 2259, 8509, 2138, 1793, 2855, 5385, 2200, 20950, 2]
FIRST, SECOND = [0, 1656, 1141, 3135, 6265, 2], [0, 864, 1141, 3135, 6265, 2]
PAIR = [0, 1656, 1141, 3135, 6265, 2, 864, 1141, 3135, 6265, 2]


def test_tutorial_one_text(klue: PreTrainedTokenizerFast) -> None:
    batch = klue(TEXT)
    assert str(batch) == str({"input_ids": IDS, "token_type_ids": [0] * 13, "attention_mask": [1] * 13})
    tokens = [
        "[CLS]",
        "토크",
        "##나이",
        "##저",
        "##는",
        "텍스트",
        "##를",
        "토",
        "##큰",
        "단위",
        "##로",
        "나눈다",
        "[SEP]",
    ]
    assert klue.convert_ids_to_tokens(batch["input_ids"]) == tokens
    assert klue.decode(batch["input_ids"]) == f"[CLS] {TEXT} [SEP]"
    assert klue.decode(batch["input_ids"], skip_special_tokens=True) == TEXT


def test_tutorial_several_texts_and_pairs(klue: PreTrainedTokenizerFast) -> None:
    batch = klue(["첫 번째 문장", "두 번째 문장"])
    assert batch["input_ids"] == [FIRST, SECOND]
    assert batch["token_type_ids"] == [[0] * 6] * 2
    pair = klue([["첫 번째 문장", "두 번째 문장"]])
    assert pair == {"input_ids": [PAIR], "token_type_ids": [[0] * 11], "attention_mask": [[1] * 11]}
    assert klue.batch_decode(batch["input_ids"]) == ["[CLS] 첫 번째 문장 [SEP]", "[CLS] 두 번째 문장 [SEP]"]
    assert klue.batch_decode(pair["input_ids"]) == ["[CLS] 첫 번째 문장 [SEP] 두 번째 문장 [SEP]"]


def test_tutorial_bert_has_types_and_roberta_has_none(roberta_folder: Path) -> None:
    bert = PreTrainedTokenizerFast(tokenizer_object=klue_backend(second_type=1))
    assert bert([["첫 번째 문장", "두 번째 문장"]])["token_type_ids"] == [[0] * 6 + [1] * 5]
    roberta = AutoTokenizer.from_pretrained(roberta_folder)
    batch = roberta([["he", "ll"]])
    assert list(batch) == ["input_ids", "attention_mask"]
    assert roberta.convert_ids_to_tokens(batch["input_ids"][0]) == ["<s>", "he", "</s>", "</s>", "ll", "</s>"]


def test_tutorial_padding(klue: PreTrainedTokenizerFast) -> None:
    batch = klue(["첫 번째 문장은 짧다.", "두 번째 문장은 첫 번째 문장 보다 더 길다."], padding="longest")
    short = [0, 1656, 1141, 3135, 6265, 2073, 1599, 2062, 18, 2]
    assert batch["input_ids"][0] == short + [1] * 6
    assert batch["input_ids"][1] == [
        0,
        864,
        1141,
        3135,
        6265,
        2073,
        1656,
        1141,
        3135,
        6265,
        3632,
        831,
        647,
        2062,
        18,
        2,
    ]
    assert batch["attention_mask"] == [[1] * 10 + [0] * 6, [1] * 16]
    full = klue(["첫 번째 문장"], padding="max_length", truncation=True)
    assert len(full["input_ids"][0]) == 512


def test_printing_shows_class_size_and_special_tokens(klue: PreTrainedTokenizerFast) -> None:
    shown = repr(klue)
    assert shown.startswith("BertTokenizerFast(name_or_path=")
    for part in (
        "vocab_size=20951",
        "model_max_length=512",
        "is_fast=True",
        "padding_side='right'",
        "'cls_token': '[CLS]'",
    ):
        assert part in shown


def test_expected_results_of_bert(real_bert: PreTrainedTokenizerFast) -> None:
    folder = shared("tokenizers/bert-base-uncased")
    for case in json.loads((folder / "tokenizer_tests.json").read_text(encoding="utf-8"))[
        "google-bert/bert-base-uncased"
    ]:
        batch = real_bert(case["input"])
        assert batch["input_ids"] == case["encoded"]["input_ids"]
        assert batch["attention_mask"] == case["encoded"]["attention_mask"]
        assert real_bert.decode(batch["input_ids"]) == case["decoded_with_special"]
        assert real_bert.decode(batch["input_ids"], skip_special_tokens=True) == case["decoded_without_special"]
    questions = json.loads((folder / "question_tokens_part1.json").read_text(encoding="utf-8"))
    expected = json.loads((folder / "tokenized_questions_part1.json").read_text(encoding="utf-8"))
    assert real_bert([item["original"] for item in questions], add_special_tokens=False)["input_ids"] == expected
    for item in questions[:50]:
        assert real_bert.tokenize(item["original"]) == item["wordpiece"]


def test_expected_results_of_gpt2(real_gpt2: PreTrainedTokenizerFast) -> None:
    folder = shared("tokenizers/gpt2")
    cases = json.loads(shared("tokenizers/bert-base-uncased/tokenizer_tests.json").read_text(encoding="utf-8"))
    for case in cases["distilgpt2"]:
        assert real_gpt2(case["input"])["input_ids"] == case["encoded"]["input_ids"]
        assert real_gpt2.decode(case["encoded"]["input_ids"]) == case["decoded_with_special"]
    texts = (folder / "ggml-vocab-gpt-2.gguf.inp").read_text(encoding="utf-8").split("\n__ggml_vocab_test__\n")
    lines = (folder / "ggml-vocab-gpt-2.gguf.out").read_text(encoding="utf-8").split("\n")
    assert real_gpt2(texts)["input_ids"] == [[int(number) for number in line.split()] for line in lines[: len(texts)]]
    long = json.loads((folder / "gpt2_encoded_tokens.json").read_text(encoding="utf-8"))
    assert real_gpt2.encode(long["text"]) == long["token_ids"]
    assert real_gpt2.tokenize(long["text"]) == long["bpe_tokens"]


def test_both_forms_of_gpt2_give_the_same_ids(real_gpt2: PreTrainedTokenizerFast) -> None:
    other = PreTrainedTokenizerFast(tokenizer_file=shared("tokenizers/gpt2/gpt2.json"))
    texts = shared("movie-reviews/rt-polarity.neg").read_text(encoding="cp1252").splitlines()[:500]
    assert real_gpt2(texts)["input_ids"] == other(texts)["input_ids"]


def test_padding_without_a_padding_token_says_how_to_set_one(gpt2: PreTrainedTokenizerFast) -> None:
    with pytest.raises(InputError, match=r"tokenizer\.pad_token = tokenizer\.eos_token"):
        gpt2(["a", "hello"], padding=True)
    gpt2.pad_token = gpt2.eos_token
    batch = gpt2(["a", "hello"], padding=True)
    assert batch["attention_mask"] == [[1, 0], [1, 1]]
    assert batch["input_ids"][0][1] == gpt2.eos_token_id
    gpt2.pad_token = "<nowhere>"
    with pytest.raises(InputError, match=r"'<nowhere>' is not in the vocabulary"):
        gpt2(["a", "hello"], padding=True)


def test_a_text_over_the_limit_brings_one_warning(bert: PreTrainedTokenizerFast) -> None:
    with pytest.warns(UserWarning, match=r"50 tokens, more than the 40"):
        bert("a " * 48)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bert(["a " * 60])


def test_no_warning_when_cut_or_when_a_length_was_given(bert: PreTrainedTokenizerFast) -> None:
    assert len(bert("a " * 60, truncation=True)["input_ids"]) == 40
    assert len(bert("a " * 60, truncation=True, max_length=50)["input_ids"]) == 50


def test_max_length_alone_cuts(bert: PreTrainedTokenizerFast) -> None:
    assert len(bert("a " * 60, max_length=5)["input_ids"]) == 5


def test_truncation_without_any_limit_warns_and_cuts_nothing(gpt2: PreTrainedTokenizerFast) -> None:
    assert gpt2.model_max_length == int(1e30)
    with pytest.warns(UserWarning, match="truncation=True has no effect"):
        assert len(gpt2("a" * 3000, truncation=True)["input_ids"]) == 3000


def test_text_target_gives_labels_beside_a_text_and_inputs_alone(bert: PreTrainedTokenizerFast) -> None:
    batch = bert("a b", text_target="c")
    assert batch["labels"] == bert("c")["input_ids"]
    assert bert(text_target=["c"]) == bert(["c"])
    with bert.as_target_tokenizer():
        assert bert("c") == bert(text_target="c")


def test_nothing_to_tokenize_and_unknown_arguments_are_errors(bert: PreTrainedTokenizerFast) -> None:
    with pytest.raises(InputError, match="nothing to tokenize"):
        bert()
    with pytest.raises(UnknownNameError, match="Did you mean 'padding'"):
        bert("a", pading=True)
    with pytest.raises(UnknownNameError, match="'longest'"):
        bert("a", padding="longst")


def test_older_names_call_the_same(bert: PreTrainedTokenizerFast) -> None:
    assert bert.encode_plus("a", "b") == bert("a", "b")
    assert bert.batch_encode_plus([("a", "b")]) == bert([("a", "b")])
    assert bert.encode("a", "b") == bert("a", "b")["input_ids"]
    assert bert.encode("a", add_special_tokens=False) == [5]
    assert bert("a", padding="max_length", max_length=9) == bert("a", pad_to_max_length=True, max_length=9)


def test_decode_takes_numbers_lists_arrays_and_batches(bert: PreTrainedTokenizerFast) -> None:
    assert bert.decode(5) == "a"
    assert bert.decode([5, 6]) == "a b"
    assert bert.decode(numpy.array([5, 6])) == "a b"
    assert bert.decode([[5], [6]]) == ["a", "b"]
    assert bert.batch_decode(numpy.array([[5, 6], [7, 0]]), skip_special_tokens=True) == ["a b", "c"]
    assert bert.batch_decode([5, 6]) == ["a", "b"]
    assert bert.decode([]) == ""
    assert bert.batch_decode([]) == []


def test_decode_takes_torch_tensors(bert: PreTrainedTokenizerFast) -> None:
    torch = pytest.importorskip("torch")
    assert bert.batch_decode(torch.tensor([[5, 6], [7, 0]]), skip_special_tokens=True) == ["a b", "c"]
    assert bert.decode(torch.tensor(5)) == "a"
    assert bert.convert_ids_to_tokens(torch.tensor([5, 6])) == ["a", "b"]


def test_decoding_ignored_labels_says_what_to_replace(bert: PreTrainedTokenizerFast) -> None:
    with pytest.raises(InputError, match="-100"):
        bert.batch_decode([[5, -100]])


def test_cleaning_up_is_the_default_and_can_be_turned_off(bert_folder: Path, gpt2_folder: Path) -> None:
    gpt2 = AutoTokenizer.from_pretrained(gpt2_folder)
    ids = gpt2("hell , it 's .")["input_ids"]
    assert gpt2.decode(ids) == "hell, it's."
    assert gpt2.decode(ids, clean_up_tokenization_spaces=False) == "hell , it 's ."
    plain = AutoTokenizer.from_pretrained(gpt2_folder, clean_up_tokenization_spaces=False)
    assert plain.batch_decode([ids]) == ["hell , it 's ."]


def test_copies_and_pickles_work_alike_and_apart(klue: PreTrainedTokenizerFast) -> None:
    klue.pad_token = "[MASK]"
    for twin in (copy.deepcopy(klue), pickle.loads(pickle.dumps(klue))):
        assert type(twin) is type(klue)
        assert twin(["첫", "첫 둘"], padding=True) == klue(["첫", "첫 둘"], padding=True)
        twin.add_tokens("새말")
        assert len(twin) == len(klue) + 1


def test_no_call_changes_the_next_one(klue: PreTrainedTokenizerFast) -> None:
    texts = ["첫 번째 문장", "첫"]
    before = klue(texts)
    klue(texts, padding="max_length", max_length=20, truncation=True)
    klue(texts, truncation=True, max_length=3, return_overflowing_tokens=True)
    assert klue(texts) == before
    assert klue.backend_tokenizer.truncation is None
    assert klue.backend_tokenizer.padding is None
    with pytest.raises(InputError):
        klue(texts, truncation="only_second", max_length=3)
    assert klue.backend_tokenizer.truncation is None


def test_threads_with_different_truncation_and_padding_do_not_mix(klue: PreTrainedTokenizerFast) -> None:
    texts = ["첫 번째 문장은 짧다."] * 40
    wrong: list[object] = []

    def work(length: int) -> None:
        for _ in range(30):
            options = {"truncation": True, "padding": "max_length", "max_length": length} if length else {}
            sizes = {len(row) for row in klue(texts, **options)["input_ids"]}
            if sizes != {length or 10}:
                wrong.append((length, sizes))

    threads = [threading.Thread(target=work, args=(length,)) for length in (0, 4, 7, 15)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_direct_construction_needs_a_file_or_an_object() -> None:
    with pytest.raises(InputError, match="tokenizer_file=, tokenizer_object= or vocab_file="):
        PreTrainedTokenizerFast()


def test_an_object_given_is_copied() -> None:
    backend = klue_backend()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>")
    assert tokenizer.pad_token_id == 20951
    assert backend.token_to_id("<pad>") is None


def test_an_unknown_side_is_an_error(klue_folder: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'left'"):
        AutoTokenizer.from_pretrained(klue_folder, padding_side="letf")


def test_a_batch_for_translation_as_older_scripts_make_it(bert: PreTrainedTokenizerFast) -> None:
    batch = bert.prepare_seq2seq_batch(["a b c"], ["d e f"], max_length=4, max_target_length=3)
    assert batch["input_ids"] == [[2, 5, 6, 3]]
    assert batch["labels"] == [[2, 8, 3]]
