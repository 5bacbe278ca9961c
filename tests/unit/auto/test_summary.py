"""A model as a tree."""

import pytest

from madang.auto import AutoModelForSequenceClassification, LoadingWarning
from madang.testing import tiny_model


def test_body_and_head_are_shown_with_shapes_counts_and_origin(tmp_path):
    tiny_model("bert").save_pretrained(tmp_path)
    with pytest.warns(LoadingWarning):
        model = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    text = model.summary()
    lines = text.splitlines()
    assert lines[0].startswith(f"BertForSequenceClassification  {model.num_parameters():,} parameters")
    assert str(tmp_path) in lines[0]
    head = next(line for line in lines if "head:" in line)
    body = next(line for line in lines if "body:" in line)
    assert "new, untrained" in head
    assert "untrained" not in body
    assert "61×24" in text
    assert "0-1 (each)" in text, "blocks that look alike are shown once"


def test_the_counts_of_a_level_add_up():
    model = tiny_model("bert")
    lines = model.summary(depth=1).splitlines()
    assert len(lines) == 2
    assert f"{model.num_parameters():,}" in lines[1]
    assert len(model.summary(depth=2).splitlines()) > 2


def test_frozen_parameters_are_told():
    model = tiny_model("bert", "sequence-classification")
    for parameter in model.body.parameters():
        parameter.requires_grad_(False)
    assert f"{model.num_parameters(only_trainable=True):,} trained" in model.summary()
