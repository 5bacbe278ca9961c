"""Texts as their own labels."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from madang.errors import InputError
from madang.tokenizers.tokenizer import PreTrainedTokenizerFast
from madang.training.collate import DataCollatorForLanguageModeling, DataCollatorForWholeWordMask
from tests.unit.training.tiny import TinyTokenizer

TEXTS = [{"input_ids": [1, 5, 6, 0]}, {"input_ids": [1, 7]}]  # 0 ends a text and is the padding as well


def with_pieces(*pieces):
    """A tokenizer that knows [PAD] 0, [MASK] 1, and these from 2 on."""
    words = {piece: number for number, piece in enumerate(("[PAD]", "[MASK]", *pieces))}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel(words)), pad_token="[PAD]", mask_token="[MASK]")


class TestCausal:
    @pytest.mark.parametrize("masked", [True, False])
    @pytest.mark.parametrize("side", ["right", "left"])
    def test_a_model_learns_to_end_though_padding_is_the_same_token(self, side, masked):
        rows = [{**row, "attention_mask": [1] * len(row["input_ids"])} for row in TEXTS] if masked else TEXTS
        batch = DataCollatorForLanguageModeling(TinyTokenizer(side), mlm=False)(rows)
        short = [1, 7, -100, -100] if side == "right" else [-100, -100, 1, 7]
        assert batch["labels"].tolist() == [[1, 5, 6, 0], short]

    def test_padding_that_rows_already_have_is_told_by_the_mask(self):
        rows = [{"input_ids": [1, 5, 0, 0], "attention_mask": [1, 1, 1, 0]}] * 2
        batch = DataCollatorForLanguageModeling(TinyTokenizer(), mlm=False)(rows)
        assert batch["labels"].tolist() == [[1, 5, 0, -100]] * 2

    @pytest.mark.parametrize("make", [list, np.array, torch.tensor])
    def test_plain_ids_are_rows_too(self, make):
        batch = DataCollatorForLanguageModeling(TinyTokenizer(), mlm=False, pad_to_multiple_of=3)(
            [make(row["input_ids"]) for row in TEXTS]
        )
        assert batch["labels"].tolist() == [[1, 5, 6, 0, -100, -100], [1, 7, -100, -100, -100, -100]]

    def test_other_columns_stay_and_old_labels_go(self):
        rows = [{**row, "labels": [3], "token_type_ids": row["input_ids"], "text": "a"} for row in TEXTS]
        tokenizer = with_pieces("a", "b", "c", "d", "e", "f")
        batch = DataCollatorForLanguageModeling(tokenizer, mlm=False, return_tensors="np")(rows)
        assert sorted(batch) == ["attention_mask", "input_ids", "labels", "token_type_ids"]
        assert isinstance(batch["labels"], np.ndarray)

    def test_rows_without_texts_are_an_error(self):
        with pytest.raises(InputError, match=r"expected a column 'input_ids', found \['a'\]"):
            DataCollatorForLanguageModeling(TinyTokenizer(), mlm=False)([{"a": 1}])


class TestMasked:
    def test_masked_tokens_are_labels_and_special_ones_are_never_masked(self):
        torch.manual_seed(0)
        rows = [{"input_ids": [1, *[7] * 200, 0]} for _ in range(20)] + [{"input_ids": [1, 7, 0]}]
        batch = DataCollatorForLanguageModeling(TinyTokenizer(), mlm_probability=0.3)(rows)
        ids, labels = batch["input_ids"], batch["labels"]
        chosen = labels != -100
        assert set(labels[chosen].tolist()) == {7}
        assert 0.25 < chosen[:20].float().mean() < 0.35
        assert (labels[:, 0] == -100).all()
        assert (labels[20, 2:] == -100).all()
        shares = [(ids[chosen] == 10).float().mean(), (ids[chosen] == 7).float().mean()]
        assert 0.75 < shares[0] < 0.87
        assert 0.07 < shares[1] < 0.16
        assert (ids[~chosen] == torch.tensor([*[[1, *[7] * 200, 0]] * 20, [1, 7, *[0] * 200]])[~chosen]).all()

    def test_a_given_special_tokens_mask_decides(self):
        rows = [{"input_ids": [7, 7, 7], "special_tokens_mask": [1, 0, 1]}]
        batch = DataCollatorForLanguageModeling(TinyTokenizer(), mlm_probability=1.0)(rows)
        assert batch["labels"].tolist() == [[-100, 7, -100]]
        assert "special_tokens_mask" not in batch

    def test_hidden_padding_is_never_chosen(self):
        rows = [{"input_ids": [7, 7, 7], "attention_mask": [1, 1, 0]}]
        batch = DataCollatorForLanguageModeling(TinyTokenizer(), mlm_probability=1.0)(rows)
        assert batch["labels"].tolist() == [[7, 7, -100]]

    @pytest.mark.parametrize(("masked", "random"), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (0.5, 0.5)])
    def test_the_shares_can_be_chosen(self, masked, random):
        torch.manual_seed(0)
        collate = DataCollatorForLanguageModeling(
            TinyTokenizer(), mlm_probability=1.0, mask_replace_prob=masked, random_replace_prob=random
        )
        ids = collate([[7] * 4000])["input_ids"]
        # one of eleven random tokens is the mask, and one is 7
        assert abs((ids == 10).float().mean() - masked - random / 11) < 0.03
        assert abs((ids == 7).float().mean() - (1 - masked - random) - random / 11) < 0.03

    def test_chance_is_torchs_own_or_that_of_the_seed(self):
        def draw(collate):
            return collate([[7] * 50] * 2)["labels"].tolist()

        common, seeded = DataCollatorForLanguageModeling(TinyTokenizer()), []
        torch.manual_seed(1)
        first = draw(common)
        assert draw(common) != first
        torch.manual_seed(1)
        assert draw(common) == first
        for start in (5, 6):
            torch.manual_seed(start)
            own = DataCollatorForLanguageModeling(TinyTokenizer(), seed=3)
            seeded.append([draw(own), draw(own)])
            before = torch.get_rng_state()
            draw(own)
            assert torch.equal(torch.get_rng_state(), before)
        assert seeded[0] == seeded[1]
        assert seeded[0][0] != seeded[0][1]

    def test_wrong_shares_are_refused(self):
        tokenizer = TinyTokenizer()
        for options, said in [
            ({"mlm_probability": 1.5}, "mlm_probability=1.5"),
            ({"mlm_probability": True}, "whole_word_mask by its name"),
            ({"mask_replace_prob": -0.1}, "mask_replace_prob=-0.1"),
            ({"mask_replace_prob": 0.8, "random_replace_prob": 0.3}, "not be more than 1"),
            ({"mlm": False, "whole_word_mask": True}, "nothing is hidden"),
        ]:
            with pytest.raises(InputError, match=said):
                DataCollatorForLanguageModeling(tokenizer, **options)
        tokenizer.mask_token_id = None
        with pytest.raises(InputError, match="mlm=False"):
            DataCollatorForLanguageModeling(tokenizer)


def words_hidden(tokenizer, row, draws=60, **options):
    """Each set of places that was hidden together, over many draws."""
    torch.manual_seed(0)
    collate = DataCollatorForWholeWordMask(tokenizer, mlm_probability=0.5, **options)
    return [tuple((collate([row])["labels"][0] != -100).nonzero().flatten().tolist()) for _ in range(draws)]


def assert_words(seen, *words):
    """Every word was hidden as a whole, each at some time and not always."""
    for word in words:
        parts = [len(set(word) & set(places)) for places in seen]
        assert set(parts) == {0, len(word)}
    assert {place for places in seen for place in places} == {place for word in words for place in word}


class TestWholeWords:
    def test_pieces_that_go_on(self):
        tokenizer = with_pieces("학교", "##에서", "##는", "책")
        seen = words_hidden(tokenizer, {"input_ids": [0, 2, 3, 4, 5, 2, 3, 0]})
        assert_words(seen, (1, 2, 3), (4,), (5, 6))

    @pytest.mark.parametrize("mark", ["▁", "Ġ"])
    def test_pieces_that_begin(self, mark):
        tokenizer = with_pieces(f"{mark}the", "re", f"{mark}is", "##", "a")
        seen = words_hidden(tokenizer, {"input_ids": [0, 6, 2, 3, 3, 4, 0, 3, 3]})
        # the first of a text begins a word without a mark
        assert_words(seen, (1,), (2, 3, 4), (5,), (7, 8))

    def test_numbers_of_words_are_surest(self):
        row = {"input_ids": [0, 2, 2, 2, 0, 2, 2], "word_ids": [None, 0, 0, 1, None, 0, 0]}
        seen = words_hidden(with_pieces("a", "##b"), row)
        assert_words(seen, (1, 2), (3,), (5, 6))

    def test_offsets_where_pieces_say_nothing(self):
        offsets = [(0, 0), (0, 2), (2, 5), (6, 7), (7, 8), (0, 0)]
        row = {"input_ids": [0, 2, 2, 2, 2, 0], "offset_mapping": offsets}
        assert_words(words_hidden(with_pieces("a", "b"), row), (1, 2), (3, 4))
        assert_words(words_hidden(with_pieces("a", "##b"), row), (1,), (2,), (3,), (4,))

    def test_a_tokenizer_that_cannot_tell_is_an_error(self):
        for tokenizer in (with_pieces("a", "b"), TinyTokenizer()):
            with pytest.raises(InputError, match=r"no mark of it.*'word_ids'"):
                DataCollatorForWholeWordMask(tokenizer)([[2, 2]])

    def test_a_given_special_tokens_mask_ends_words(self):
        row = {"input_ids": [2, 3, 3, 3], "special_tokens_mask": [0, 0, 1, 0]}
        assert_words(words_hidden(with_pieces("a", "##b"), row), (0, 1), (3,))

    def test_tokens_added_later_are_words(self):
        tokenizer = with_pieces("a", "##b")
        collate = DataCollatorForWholeWordMask(tokenizer, mlm_probability=1.0)
        collate([[2, 3]])
        tokenizer.add_tokens(["new"])
        assert (collate([[2, 3, 4, 4]])["labels"] != -100).all()

    def test_padding_on_the_left(self):
        tokenizer = with_pieces("a", "##b")
        tokenizer.padding_side = "left"
        rows = [{"input_ids": [2, 3, 2, 3], "word_ids": [0, 0, 0, 0]}, {"input_ids": [3, 3], "word_ids": [0, 0]}]
        torch.manual_seed(0)
        collate = DataCollatorForWholeWordMask(tokenizer, mlm_probability=0.5)
        seen = {tuple((row != -100).tolist()) for _ in range(30) for row in collate(rows)["labels"]}
        assert seen == {(True,) * 4, (False,) * 4, (False, False, True, True)}

    def test_as_many_tokens_are_hidden_as_by_single_tokens(self):
        torch.manual_seed(0)
        collate = DataCollatorForLanguageModeling(with_pieces("a", "##b"), whole_word_mask=True)
        batch = collate([[2, 3, 3, 2] * 100] * 20)
        chosen = batch["labels"] != -100
        assert 0.13 < chosen.float().mean() < 0.17
        assert 0.75 < (batch["input_ids"][chosen] == 1).float().mean() < 0.87
