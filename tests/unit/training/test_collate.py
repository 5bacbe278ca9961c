import pytest
import torch

from madang.errors import InputError
from madang.training import (
    DataCollatorForLanguageModeling,
    DataCollatorForSeq2Seq,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    default_data_collator,
)
from tests.unit.training.tiny import TinyTokenizer

TEXTS = [{"input_ids": [1, 5, 6, 0]}, {"input_ids": [1, 7]}]  # 0 ends a text and is the padding as well


class TestDefault:
    def test_rows_are_stacked_labels_renamed_and_texts_left_out(self):
        batch = default_data_collator(
            [{"input_ids": [1, 2], "label": 1, "text": "a"}, {"input_ids": [3, 4], "label": 0, "text": "b"}]
        )
        assert {name: tensor.tolist() for name, tensor in batch.items()} == {
            "input_ids": [[1, 2], [3, 4]],
            "labels": [1, 0],
        }
        assert batch["labels"].dtype == torch.int64

    def test_floats_tensors_and_arrays(self):
        import numpy as np

        rows = [{"label_ids": 0.5, "t": torch.ones(2), "n": np.arange(2)} for _ in range(3)]
        batch = default_data_collator(rows)
        assert (batch["labels"].dtype, batch["t"].shape, batch["n"].shape) == (torch.float32, (3, 2), (3, 2))

    def test_different_lengths_are_explained(self):
        with pytest.raises(InputError, match=r"'input_ids' has rows of different lengths \(2, 4\).*tokenizer="):
            default_data_collator(TEXTS)


class TestPadding:
    def test_texts_reach_the_longest(self):
        batch = DataCollatorWithPadding(TinyTokenizer())([{**row, "label": place} for place, row in enumerate(TEXTS)])
        assert batch["input_ids"].tolist() == [[1, 5, 6, 0], [1, 7, 0, 0]]
        assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
        assert batch["labels"].tolist() == [0, 1]

    @pytest.mark.parametrize("side", ["right", "left"])
    def test_labels_of_tokens_and_other_columns_follow_the_texts(self, side):
        rows = [{**row, "labels": row["input_ids"], "position_ids": row["input_ids"]} for row in TEXTS]
        batch = DataCollatorWithPadding(TinyTokenizer(side), pad_to_multiple_of=3)(rows)
        real = [1, 7]
        expected = [*real, *[-100] * 4] if side == "right" else [*[-100] * 4, *real]
        assert batch["labels"][1].tolist() == expected
        assert batch["position_ids"][1].tolist() == [0 if label == -100 else label for label in expected]

    def test_labels_of_another_number_than_tokens_are_refused(self):
        with pytest.raises(InputError, match="1 labels for 4"):
            DataCollatorForTokenClassification(TinyTokenizer())([{**TEXTS[0], "labels": [1]}])

    def test_the_label_of_padding_can_be_chosen(self):
        collate = DataCollatorForTokenClassification(TinyTokenizer(), label_pad_token_id=-7)
        batch = collate([{**row, "labels": row["input_ids"]} for row in TEXTS])
        assert batch["labels"].tolist() == [[1, 5, 6, 0], [1, 7, -7, -7]]


class TestLanguageModeling:
    @pytest.mark.parametrize("masked", [True, False])
    @pytest.mark.parametrize("side", ["right", "left"])
    def test_a_causal_model_learns_to_end_though_padding_is_the_same_token(self, side, masked):
        rows = [{**row, "attention_mask": [1] * len(row["input_ids"])} for row in TEXTS] if masked else TEXTS
        batch = DataCollatorForLanguageModeling(TinyTokenizer(side), mlm=False)(rows)
        short = [1, 7, -100, -100] if side == "right" else [-100, -100, 1, 7]
        assert batch["labels"].tolist() == [[1, 5, 6, 0], short]

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

    def test_masking_needs_a_mask_token(self):
        tokenizer = TinyTokenizer()
        tokenizer.mask_token_id = None
        with pytest.raises(InputError, match="mlm=False"):
            DataCollatorForLanguageModeling(tokenizer)


def test_sequence_to_sequence_labels_have_a_length_of_their_own():
    rows = [{**TEXTS[0], "labels": [3]}, {**TEXTS[1], "labels": [4, 5, 6, 7, 8]}]
    batch = DataCollatorForSeq2Seq(TinyTokenizer())(rows)
    assert batch["input_ids"].shape == (2, 4)
    assert batch["labels"].tolist() == [[3, -100, -100, -100, -100], [4, 5, 6, 7, 8]]
    assert rows[0]["labels"] == [3]
    assert DataCollatorForSeq2Seq(TinyTokenizer(), pad_to_multiple_of=4)(rows)["labels"].shape == (2, 8)
