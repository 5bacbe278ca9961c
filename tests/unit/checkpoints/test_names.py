"""The table of names, in both directions."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from madang.checkpoints.names import IGNORE, Doubled, Fused, Rename, Transposed, covered, ignored, modern, plan

TABLE = {
    "wte": "embed.tokens",
    "h.{i}.ln": "blocks.{i}.norm",
    "h.{i}.attn": Transposed(Fused("blocks.{i}.query", "blocks.{i}.key")),
    "h.{i}.experts.{j}.w": "blocks.{i}.experts.{j}.up",
    "head.bias": "output.bias",
    "head.decoder": "output",
    "h.{i}.mask": IGNORE,
}


def planned(*parameters):
    """disk name -> parameters."""
    return {step.stored: step.parameters for step in plan(TABLE, parameters)}


def test_a_name_without_its_last_part_covers_all_parameters_of_a_module():
    assert planned("embed.tokens.weight", "blocks.3.norm.bias") == {
        "wte.weight": ("embed.tokens.weight",),
        "h.3.ln.bias": ("blocks.3.norm.bias",),
    }


def test_a_complete_name_wins_over_its_module():
    assert planned("output.bias", "output.weight") == {
        "head.bias": ("output.bias",),
        "head.decoder.weight": ("output.weight",),
    }


def test_several_numbers_keep_their_places():
    assert planned("blocks.10.experts.2.up.weight") == {"h.10.experts.2.w.weight": ("blocks.10.experts.2.up.weight",)}


def test_fused_parts_are_gathered_in_the_order_of_the_table():
    assert planned("blocks.1.key.weight", "blocks.1.query.weight", "blocks.1.key.bias", "blocks.1.query.bias") == {
        "h.1.attn.weight": ("blocks.1.query.weight", "blocks.1.key.weight"),
        "h.1.attn.bias": ("blocks.1.query.bias", "blocks.1.key.bias"),
    }


def test_a_parameter_that_nothing_covers_is_a_mistake_in_the_table():
    with pytest.raises(KeyError, match="output2"):
        planned("output2.weight")


SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4)


@given(SHAPES, st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_transforms_are_undone_exactly(rows, columns):
    parts = [torch.randn(count, columns) for count in rows]
    shapes = [part.shape for part in parts]
    names = [f"p{number}" for number in range(len(rows))]
    for entry in (Fused(*names), Transposed(Fused(*names))):
        stored = entry.join(parts)
        assert stored.shape == entry.stored_shape(shapes)
        for part, back in zip(parts, entry.split(stored, shapes), strict=True):
            assert torch.equal(part, back)


def test_transposed_turns_matrices_and_leaves_vectors():
    entry = Transposed("x")
    assert entry.join([torch.randn(2, 5)]).shape == entry.stored_shape([torch.Size((2, 5))]) == (5, 2)
    assert entry.join([torch.randn(5)]).shape == (5,)
    assert entry.targets == ("x",)


def test_a_doubled_parameter_is_one_step():
    table = {"a.decoder.bias": Doubled("output.bias", "a.bias")}
    (step,) = plan(table, ["output.bias"])
    assert (step.stored, step.entry.other) == ("a.decoder.bias", "a.bias")


def test_ignored_and_covered_names():
    assert ignored(TABLE, "h.11.mask")
    assert not ignored(TABLE, "h.x.mask")
    assert not ignored(TABLE, "hh.1.mask")
    assert not ignored(TABLE, "h.1.mask.weight")
    assert covered(TABLE, "h.4.ln.weight")
    assert covered(TABLE, "head.bias")
    assert not covered(TABLE, "h.4.mask")
    assert not covered(TABLE, "h.4.other.weight")


def test_a_dot_in_a_name_is_a_dot():
    assert not ignored({"a.b": IGNORE}, "axb")


def test_old_spellings_of_norms_are_read_as_new():
    assert modern("a.LayerNorm.gamma") == "a.LayerNorm.weight"
    assert modern("a.LayerNorm.beta") == "a.LayerNorm.bias"
    assert modern("a.gamma.weight") == "a.gamma.weight"


def test_a_rename_is_one_tensor():
    tensor = torch.randn(3)
    assert Rename("x").split(tensor, [tensor.shape])[0] is tensor
