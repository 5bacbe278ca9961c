"""Labels of which a part is spread over all classes."""

import pytest
import torch
from torch.nn import functional

from madang.errors import InputError
from madang.ops.losses import IGNORED, cross_entropy
from madang.testing import tiny_inputs, tiny_model

SMOOTHED = [
    ("bert", "masked-language"),
    ("bert", "token-classification"),
    ("bert", "sequence-classification"),
    ("bert", "multiple-choice"),
    ("gpt2", "causal-language"),
    ("t5", "sequence-to-sequence-language"),
    ("vit", "image-classification"),
]


def test_a_smoothed_label_gives_every_class_its_part():
    logits, labels = torch.randn(2, 5, 7), torch.randint(0, 7, (2, 5))
    labels[1, 2:] = IGNORED
    wanted = 0.0
    for row, place in [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 1)]:
        minus_log = -logits[row, place].log_softmax(-1)
        wanted += 0.9 * minus_log[labels[row, place]] + 0.1 * minus_log.mean()
    torch.testing.assert_close(cross_entropy(logits, labels, 0.1), wanted)
    torch.testing.assert_close(
        cross_entropy(logits, labels, 0.1) / 7,
        functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), label_smoothing=0.1),
    )


@pytest.mark.parametrize(("model_type", "task"), SMOOTHED)
def test_a_head_smooths_the_targets_of_its_loss_in_training_only(model_type, task):
    model = tiny_model(model_type, task)
    inputs = tiny_inputs(model)
    plain = model(**inputs)
    model.head.train()  # the body stays, without dropout
    for part in model.head.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    assert model.head.can_smooth
    assert model.head.smoothing == 0
    model.head.smoothing = 0.2
    logits, labels = plain.logits, inputs["labels"]
    if task == "causal-language":
        logits, labels = logits[:, :-1], labels[:, 1:]
    wanted = functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), label_smoothing=0.2)
    torch.testing.assert_close(model(**inputs).loss, wanted)
    model.eval()
    assert torch.equal(model(**inputs).loss, plain.loss)
    model.head.train().smoothing = 0.0
    assert torch.equal(model(**inputs).loss, plain.loss)


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        ("question-answering", {}),
        ("sequence-classification", {"problem_type": "regression"}),
        ("sequence-classification", {"problem_type": "multi_label_classification"}),
        ("sequence-classification", {"num_labels": 1}),
    ],
)
def test_a_head_without_classes_refuses(task, changes):
    head = tiny_model("bert", task, **changes).head
    assert not head.can_smooth
    with pytest.raises(InputError, match="no classes here"):
        head.smoothing = 0.1
    head.smoothing = 0.0  # nothing is always fine


def test_labels_that_say_several_classes_are_refused_when_they_come():
    model = tiny_model("bert", "sequence-classification")
    model.head.smoothing = 0.1
    with pytest.raises(InputError, match="multi_label_classification, where label smoothing has no meaning"):
        model(**{**tiny_inputs(model), "labels": torch.ones(2, 4)})


def test_a_part_is_between_nothing_and_all():
    head = tiny_model("bert", "masked-language").head
    with pytest.raises(InputError, match=r"0 to 1, not 1\.5"):
        head.smoothing = 1.5
