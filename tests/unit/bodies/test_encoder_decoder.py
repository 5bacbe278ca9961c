"""A body of two."""

import pytest
import torch

from madang.errors import InputError
from madang.testing import tiny_inputs, tiny_model


def test_the_source_is_read_once():
    model = tiny_model("t5")
    inputs = tiny_inputs(model)
    with torch.no_grad():
        wanted = model(**inputs).last_hidden_state
        read = model.body.encoder(inputs["input_ids"], inputs["attention_mask"])
        calls = []
        model.body.encoder.register_forward_hook(lambda *called: calls.append(called))
        found = model(encoder_outputs=read, decoder_input_ids=inputs["decoder_input_ids"]).last_hidden_state
    assert torch.equal(found, wanted)
    assert not calls


def test_a_decoder_needs_something_to_read():
    model = tiny_model("t5")
    with pytest.raises(InputError, match="decoder_input_ids"):
        model(input_ids=torch.tensor([[5, 1]]))


def test_labels_are_read_moved_by_one():
    model = tiny_model("t5", "sequence-to-sequence-language")
    inputs = tiny_inputs(model)
    labels = inputs.pop("labels")
    moved = torch.cat((torch.zeros(2, 1).long(), labels[:, :-1].clamp(min=0)), 1)
    with torch.no_grad():
        torch.testing.assert_close(
            model(**inputs, labels=labels).logits, model(**inputs, decoder_input_ids=moved).logits
        )
