import math

import pytest
import torch
from torch import nn

from madang.errors import InputError
from madang.testing import tiny_inputs, tiny_model
from madang.training.neftune import with_noise

WITHOUT_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def a_model(model_type="bert", task="body", **changes):
    changes = {**WITHOUT_DROPOUT, **changes} if model_type == "bert" else changes
    return tiny_model(model_type, task, **changes).train()


def noise_of(model, inputs, alpha):
    """What was added to the looked-up vectors, by text: [(L, E), …]."""
    table, seen = model.get_input_embeddings(), []
    handle = with_noise(model, alpha)
    # runs after the hook that adds noise, so it sees what the body gets
    look = table.register_forward_hook(lambda module, given, vectors: seen.append(vectors - module.weight[given[0]]))
    model(**inputs)
    look.remove()
    handle.remove()
    return seen


def by_length(noise, lengths):
    """Packed noise (N, E) text by text; bodies pack shorter texts first."""
    return dict(zip(sorted(lengths), noise.split(sorted(lengths)), strict=True))


def test_noise_is_as_large_as_the_length_of_its_own_text_says():
    model = a_model(max_position_embeddings=300)
    (noise,) = noise_of(model, tiny_inputs(model, (3, 200, 50)), alpha=5)
    for length, part in by_length(noise, (3, 200, 50)).items():
        largest = 5 / math.sqrt(length * 24)
        assert largest * 0.85 < part.abs().max() <= largest, length
        assert part.std().item() == pytest.approx(largest / math.sqrt(3), rel=0.15)
        assert abs(part.mean().item()) < 0.3 * largest


def test_padding_does_not_change_how_large_noise_is():
    model = a_model()
    inputs = tiny_inputs(model, (7, 4))
    torch.manual_seed(0)
    (packed,) = noise_of(model, inputs, alpha=5)
    model.set_attn_implementation("eager")
    (padded,) = noise_of(model, inputs, alpha=5)
    assert padded.shape == (2, 7, 24)
    for length, part in by_length(packed, (7, 4)).items():
        largest = 5 / math.sqrt(length * 24)
        row = padded[0 if length == 7 else 1, :length]
        assert largest * 0.9 < part.abs().max() <= largest
        assert largest * 0.9 < row.abs().max() <= largest


def test_without_a_mask_the_whole_width_is_text():
    model = a_model()
    (noise,) = noise_of(model, {"input_ids": torch.randint(4, 61, (2, 6))}, alpha=5)
    assert 0.9 < noise.abs().max() * math.sqrt(6 * 24) / 5 <= 1


def test_both_sides_of_an_encoder_decoder_get_noise_of_their_own():
    model = a_model("t5", "sequence-to-sequence-language", dropout_rate=0.0)
    source, answer = noise_of(model, tiny_inputs(model, (7, 5)), alpha=5)
    assert source.shape == (12, 24)  # packed
    assert 0.9 < source.abs().max() * math.sqrt(5 * 24) / 5 <= 1
    assert answer.shape == (2, 6, 24)
    assert 0.9 < answer.abs().max() * math.sqrt(6 * 24) / 5 <= 1


def test_noise_is_there_in_training_only_and_goes_with_its_handle():
    model = a_model(task="sequence-classification", classifier_dropout=0.0)
    inputs = tiny_inputs(model)
    plain = model(**inputs).logits
    handle = with_noise(model, 5.0)
    noisy, again = model(**inputs).logits, model(**inputs).logits
    assert not torch.equal(noisy, plain)
    assert not torch.equal(noisy, again)
    assert torch.equal(model.eval()(**inputs).logits, plain)
    assert not torch.equal(model.train()(**inputs).logits, plain)
    handle.remove()
    assert torch.equal(model(**inputs).logits, plain)
    assert not [m for m in model.modules() if m._forward_hooks or m._forward_pre_hooks]


def test_the_seed_decides_the_noise_and_gradients_pass_it():
    model = a_model(task="sequence-classification", classifier_dropout=0.0)
    with_noise(model, 5.0)
    losses = []
    for _ in range(2):
        torch.manual_seed(3)
        losses.append(model(**tiny_inputs(model)).loss)
    losses[0].backward()
    assert losses[0] == losses[1]
    assert model.get_input_embeddings().weight.grad.abs().sum() > 0


def test_half_precision_stays_half_precision():
    model = a_model().to(torch.bfloat16)
    (noise,) = noise_of(model, tiny_inputs(model), alpha=5)
    assert noise.dtype == torch.bfloat16
    assert noise.abs().max() > 0


def test_a_text_without_tokens_is_not_divided_by():
    model = a_model()
    inputs = tiny_inputs(model, (5, 0))
    inputs.pop("token_type_ids")
    assert torch.isfinite(model(**inputs).last_hidden_state).all()
    with_noise(model, 5.0)
    assert torch.isfinite(model(**inputs).last_hidden_state).all()


class Foreign(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(9, 16)

    def get_input_embeddings(self):
        return self.table

    def forward(self, ids):
        return self.table(ids)


def test_a_model_of_somebody_else_gets_noise_for_the_width_of_the_batch():
    model, ids = Foreign(), torch.zeros(2, 8, dtype=torch.long)
    plain = model(ids)
    with_noise(model, 5.0)
    assert 0.9 < (model(ids) - plain).abs().max() * math.sqrt(8 * 16) / 5 <= 1


def test_what_cannot_have_noise_is_refused():
    with pytest.raises(InputError, match="ViTModel looks up no tokens"):
        with_noise(tiny_model("vit"), 5.0)
    with pytest.raises(InputError, match="Linear looks up no tokens"):
        with_noise(nn.Linear(2, 2), 5.0)
    with pytest.raises(InputError, match="above 0, but -1"):
        with_noise(a_model(), -1)
