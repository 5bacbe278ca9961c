"""Texts of different lengths in one batch."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from madang.errors import InputError
from madang.tokenizers.tokenizer import PreTrainedTokenizerFast
from madang.training.collate import (
    DataCollatorForMultipleChoice,
    DataCollatorForSeq2Seq,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
)
from tests.unit.training.tiny import TinyTokenizer

TEXTS = [{"input_ids": [1, 5, 6, 0]}, {"input_ids": [1, 7]}]  # 0 ends a text and is the padding as well


def real_tokenizer(side="right", **settings):
    """One of our own: the collator pads for it, without asking."""
    words = {"[PAD]": 0, "[MASK]": 1, "a": 2}
    settings = {"pad_token": "[PAD]", "mask_token": "[MASK]", "padding_side": side, **settings}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel(words)), **settings)


def lists(batch):
    return {name: value.tolist() for name, value in batch.items()}


class TestPadding:
    def test_texts_reach_the_longest(self):
        batch = DataCollatorWithPadding(TinyTokenizer())([{**row, "label": place} for place, row in enumerate(TEXTS)])
        assert batch["input_ids"].tolist() == [[1, 5, 6, 0], [1, 7, 0, 0]]
        assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
        assert batch["labels"].tolist() == [0, 1]

    @pytest.mark.parametrize("side", ["right", "left"])
    @pytest.mark.parametrize("tokenizer", [TinyTokenizer, real_tokenizer])
    def test_labels_of_tokens_and_other_columns_follow_the_texts(self, tokenizer, side):
        rows = [{**row, "labels": row["input_ids"], "position_ids": row["input_ids"]} for row in TEXTS]
        batch = DataCollatorWithPadding(tokenizer(side), pad_to_multiple_of=3)(rows)
        real = [1, 7]
        expected = [*real, *[-100] * 4] if side == "right" else [*[-100] * 4, *real]
        assert batch["labels"][1].tolist() == expected
        assert batch["position_ids"][1].tolist() == [0 if label == -100 else label for label in expected]

    @pytest.mark.parametrize("make", [list, np.array, torch.tensor])
    @pytest.mark.parametrize("side", ["right", "left"])
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"padding": "longest", "pad_to_multiple_of": 8},
            {"padding": "max_length", "max_length": 6},
            {"padding": "max_length", "max_length": 6, "pad_to_multiple_of": 4},
        ],
    )
    def test_the_fast_way_gives_what_the_tokenizer_gives(self, make, side, options):
        tokenizer = real_tokenizer(side, model_input_names=["input_ids", "attention_mask", "token_type_ids"])
        names = ("input_ids", "attention_mask", "token_type_ids", "special_tokens_mask")
        plain = [dict.fromkeys(names, row["input_ids"]) for row in TEXTS]
        for kept in (names, names[:1], names[::2]):
            rows = [{name: make(row[name]) for name in kept} for row in plain]
            slow = tokenizer.pad([{name: row[name] for name in kept} for row in plain], **options, return_tensors="pt")
            for kind in ("pt", "np"):
                found = DataCollatorWithPadding(tokenizer, **options, return_tensors=kind)(rows)
                assert lists(found) == lists(slow)
                assert {str(value.dtype).removeprefix("torch.") for value in found.values()} == {"int64"}

    def test_a_users_own_way_of_padding_is_kept(self):
        class Own(PreTrainedTokenizerFast):
            def pad(self, encodings, **options):
                batch = super().pad(encodings, **options)
                batch["boxes"] = torch.full((*batch["input_ids"].shape, 4), 7)
                return batch

        own = Own(tokenizer_object=Tokenizer(WordLevel({"[PAD]": 0})), pad_token="[PAD]")
        assert DataCollatorWithPadding(own)(TEXTS)["boxes"].shape == (2, 4, 4)
        patched, calls = real_tokenizer(), []
        before = patched.pad
        patched.pad = lambda *given, **options: calls.append(given) or before(*given, **options)
        DataCollatorWithPadding(patched)(TEXTS)
        assert len(calls) == 1

    def test_columns_that_a_tokenizer_names_go_through_its_padding(self):
        seen = []

        class Own(TinyTokenizer):
            model_input_names = ("input_ids", "attention_mask", "boxes")

            def pad(self, encodings, **options):
                seen.append(sorted(encodings))
                return super().pad({"input_ids": encodings["input_ids"]}, **options)

        DataCollatorWithPadding(Own())([{**row, "boxes": row["input_ids"], "label": 1} for row in TEXTS])
        assert seen == [["boxes", "input_ids"]]

    def test_without_a_padding_token_only_texts_of_one_length_make_a_batch(self):
        tokenizer = real_tokenizer(pad_token=None)
        assert DataCollatorWithPadding(tokenizer)(TEXTS[:1] * 2)["input_ids"].shape == (2, 4)
        with pytest.raises(InputError, match="no padding token"):
            DataCollatorWithPadding(tokenizer)(TEXTS)

    def test_not_padding_needs_equal_lengths(self):
        for padding in (False, "do_not_pad"):
            collate = DataCollatorWithPadding(real_tokenizer(), padding)
            assert collate(TEXTS[:1] * 2)["input_ids"].shape == (2, 4)
            with pytest.raises(InputError, match="padding=True"):
                collate(TEXTS)

    def test_a_vector_of_classes_is_no_label_per_token(self):
        rows = [{**row, "label": [0.0, 1.0, 1.0]} for row in TEXTS]
        assert DataCollatorWithPadding(real_tokenizer())(rows)["labels"].tolist() == [[0.0, 1.0, 1.0]] * 2
        for make in (list, np.array, torch.tensor):
            rows = [{"input_ids": [1, 5, 6], "label": make([0.0, 1.0, 1.0])}]
            batch = DataCollatorWithPadding(real_tokenizer(), pad_to_multiple_of=8)(rows)
            assert batch["labels"].tolist() == [[0.0, 1.0, 1.0]]

    def test_a_mask_of_another_length_is_an_error(self):
        with pytest.raises(InputError, match="'attention_mask' has 1 values in row 0"):
            DataCollatorWithPadding(real_tokenizer())([{"input_ids": [1, 2], "attention_mask": [1]}])


class TestTokenClassification:
    def test_labels_of_another_number_than_tokens_are_refused(self):
        with pytest.raises(InputError, match="1 labels for 4"):
            DataCollatorForTokenClassification(TinyTokenizer())([{**TEXTS[0], "labels": [1]}])
        with pytest.raises(InputError, match="no list of labels for 4"):
            DataCollatorForTokenClassification(TinyTokenizer())([{**TEXTS[0], "labels": 1}])

    def test_the_label_of_padding_can_be_chosen(self):
        collate = DataCollatorForTokenClassification(TinyTokenizer(), label_pad_token_id=-7)
        for name in ("labels", "label"):
            batch = collate([{**row, name: row["input_ids"]} for row in TEXTS])
            assert batch["labels"].tolist() == [[1, 5, 6, 0], [1, 7, -7, -7]]

    def test_rows_to_predict_have_no_labels(self):
        assert "labels" not in DataCollatorForTokenClassification(TinyTokenizer())(TEXTS)


class TestSequenceToSequence:
    ROWS = ({**TEXTS[0], "labels": [3]}, {**TEXTS[1], "labels": [4, 5, 6, 7, 0]})

    def test_labels_have_a_length_of_their_own(self):
        batch = DataCollatorForSeq2Seq(TinyTokenizer())(self.ROWS)
        assert batch["input_ids"].shape == (2, 4)
        # 0 ends the text, and pads
        assert batch["labels"].tolist() == [[3, -100, -100, -100, -100], [4, 5, 6, 7, 0]]
        assert self.ROWS[0]["labels"] == [3]

    @pytest.mark.parametrize("make", [list, np.array, torch.tensor])
    def test_widths_and_sides(self, make):
        rows = [{name: make(value) for name, value in row.items()} for row in self.ROWS]
        assert DataCollatorForSeq2Seq(TinyTokenizer(), pad_to_multiple_of=4)(rows)["labels"].shape == (2, 8)
        wide = DataCollatorForSeq2Seq(TinyTokenizer(), padding="max_length", max_length=7, label_pad_token_id=-1)
        assert wide(rows)["labels"].tolist()[0] == [3, -1, -1, -1, -1, -1, -1]
        left = DataCollatorForSeq2Seq(real_tokenizer("left"), return_tensors="np")(rows)
        assert left["labels"].tolist()[0] == [-100] * 4 + [3]
        assert isinstance(left["labels"], np.ndarray)

    def test_rows_to_predict_have_no_labels(self):
        assert "labels" not in DataCollatorForSeq2Seq(TinyTokenizer())(TEXTS)
        assert "labels" not in DataCollatorForSeq2Seq(TinyTokenizer())([{**row, "labels": None} for row in TEXTS])

    def test_without_padding_labels_must_have_one_length(self):
        rows = [{**TEXTS[0], "labels": [1]}, {**TEXTS[0], "labels": [1, 2]}]
        with pytest.raises(InputError, match="'labels' has rows of different lengths"):
            DataCollatorForSeq2Seq(real_tokenizer(), padding=False)(rows)

    def test_a_model_that_can_makes_the_inputs_of_its_decoder(self):
        class Model:
            def prepare_decoder_input_ids_from_labels(self, labels):
                return labels + 1

        batch = DataCollatorForSeq2Seq(TinyTokenizer(), Model())(self.ROWS)
        assert torch.equal(batch["decoder_input_ids"], batch["labels"] + 1)
        assert "decoder_input_ids" not in DataCollatorForSeq2Seq(TinyTokenizer(), Model())(TEXTS)


class TestMultipleChoice:
    @pytest.mark.parametrize("make", [lambda row: row, lambda row: [torch.tensor(part) for part in row]])
    @pytest.mark.parametrize("name", ["label", "labels"])
    def test_choices_are_padded_together(self, make, name):
        rows = [
            {"input_ids": make([[1, 2], [3]]), "text": ["a", "b"], "weight": 0.5, name: 1},
            {"input_ids": make([[4, 5, 6], [7]]), "text": ["a", "b"], "weight": 0.5, name: 0},
        ]
        batch = DataCollatorForMultipleChoice(real_tokenizer("left"))(rows)
        assert batch["input_ids"].tolist() == [[[0, 1, 2], [0, 0, 3]], [[4, 5, 6], [0, 0, 7]]]
        assert batch["attention_mask"].tolist() == [[[0, 1, 1], [0, 0, 1]], [[1, 1, 1], [0, 0, 1]]]
        assert batch["labels"].tolist() == [1, 0]
        assert batch["weight"].tolist() == [0.5, 0.5]
        assert "text" not in batch

    def test_rows_need_as_many_choices_as_the_others(self):
        collate = DataCollatorForMultipleChoice(real_tokenizer())
        with pytest.raises(InputError, match="have 1 to 2 choices"):
            collate([{"input_ids": [[1]]}, {"input_ids": [[1], [2]]}])
        with pytest.raises(InputError, match=r"list of texts .* in every row"):
            collate(TEXTS)
        assert "labels" not in collate([{"input_ids": [[1], [2]]}])
