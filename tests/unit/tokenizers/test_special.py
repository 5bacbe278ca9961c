"""Special tokens by role."""

import pytest
from tokenizers import AddedToken

from madang.errors import InputError
from madang.tokenizers import PreTrainedTokenizerFast


def test_roles_read_as_text_and_id(bert: PreTrainedTokenizerFast) -> None:
    assert (bert.cls_token, bert.cls_token_id) == ("[CLS]", 2)
    assert (bert.bos_token, bert.bos_token_id) == (None, None)
    assert bert.special_tokens_map == {
        "unk_token": "[UNK]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
    }
    assert bert.all_special_tokens == ["[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"]


def test_roles_can_be_set_by_token_id_or_none(gpt2: PreTrainedTokenizerFast) -> None:
    gpt2.pad_token = gpt2.eos_token
    assert gpt2.pad_token_id == gpt2.eos_token_id == 260
    gpt2.pad_token_id = 0
    assert gpt2.pad_token == gpt2.convert_ids_to_tokens(0)
    gpt2.pad_token = None
    assert gpt2.pad_token_id is None
    gpt2.mask_token = AddedToken("<m>", lstrip=True)
    assert gpt2.mask_token == "<m>"
    assert gpt2.mask_token_id is None
    with pytest.raises(InputError, match="pad_token_id = 999: the vocabulary has 261"):
        gpt2.pad_token_id = 999
    with pytest.raises(InputError, match="a special token is 5"):
        gpt2.pad_token = 5


def test_one_token_in_several_roles_is_listed_once(gpt2: PreTrainedTokenizerFast) -> None:
    assert gpt2.all_special_tokens == ["<|endoftext|>"]
    assert gpt2.all_special_ids == [260]


def test_add_special_tokens_adds_what_is_new_and_sets_roles(gpt2: PreTrainedTokenizerFast) -> None:
    assert gpt2.add_special_tokens({"pad_token": "<pad>", "additional_special_tokens": ["<a>", "<b>"]}) == 3
    assert gpt2.add_special_tokens({"cls_token": "<pad>"}) == 0
    assert (gpt2.pad_token_id, gpt2.cls_token_id) == (261, 261)
    assert gpt2.additional_special_tokens == gpt2.extra_special_tokens == ["<a>", "<b>"]
    assert gpt2.additional_special_tokens_ids == [262, 263]
    assert gpt2.special_tokens_map["additional_special_tokens"] == ["<a>", "<b>"]
    gpt2.add_special_tokens({"extra_special_tokens": ["<c>", "<a>"]}, replace_additional_special_tokens=False)
    assert gpt2.additional_special_tokens == ["<a>", "<b>", "<c>"]
    assert gpt2.tokenize("he<b>he") == ["he", "<b>", "he"]
    assert gpt2.decode(gpt2.encode("he<b>he"), skip_special_tokens=True) == "hehe"
    with pytest.raises(ValueError, match="Did you mean 'pad_token'"):
        gpt2.add_special_tokens({"pad_tokn": "<pad>"})


def test_extended_views_keep_the_flags(bert: PreTrainedTokenizerFast) -> None:
    bert.mask_token = AddedToken("[MASK]", lstrip=True)
    assert bert.special_tokens_map_extended["mask_token"].lstrip
    assert bert.special_tokens_map["mask_token"] == "[MASK]"
    assert bert.all_special_tokens_extended[0] == "[UNK]"


def test_special_masks(bert: PreTrainedTokenizerFast) -> None:
    assert bert.get_special_tokens_mask([5, 6]) == [1, 0, 0, 1]
    assert bert.get_special_tokens_mask([5], [6]) == [1, 0, 1, 0, 1]
    assert bert.get_special_tokens_mask([2, 5, 3, 0], already_has_special_tokens=True) == [1, 0, 1, 1]


def test_sanitizing_adds_tokens_that_were_only_set(gpt2: PreTrainedTokenizerFast) -> None:
    gpt2.pad_token = "<pad>"
    assert gpt2.pad_token_id is None
    assert gpt2.sanitize_special_tokens() == 1
    assert gpt2.pad_token_id == 261
