"""One object, read in every way."""

import copy
import pickle

import pytest

from madang.auto import ModelOutput


@pytest.fixture
def output():
    return ModelOutput(loss=1.5, logits="x")


def test_it_is_read_by_attribute_name_index_and_slice(output):
    assert output.loss == output["loss"] == output[0] == 1.5
    assert output[-1] == "x"
    assert output[:2] == (1.5, "x")
    assert tuple(output.values()) == output.to_tuple() == (1.5, "x")
    assert list(output) == ["loss", "logits"]
    assert dict(**output) == {"loss": 1.5, "logits": "x"}


def test_what_was_not_computed_is_none_by_attribute_only(output):
    assert output.attentions is None
    assert "attentions" not in output
    with pytest.raises(KeyError):
        _ = output["attentions"]
    with pytest.raises(IndexError):
        _ = output[2]


def test_what_no_model_gives_is_an_error(output):
    with pytest.raises(AttributeError, match=r"logit.*loss, logits"):
        _ = output.logit
    assert not hasattr(output, "shape")


def test_it_can_be_set_copied_and_pickled(output):
    output.pooler_output = 3
    assert output["pooler_output"] == 3
    for other in (copy.deepcopy(output), copy.copy(output), pickle.loads(pickle.dumps(output))):
        assert type(other) is ModelOutput
        assert other.to_tuple() == output.to_tuple()
