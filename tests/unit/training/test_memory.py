"""When memory runs out: an error that helps, or batches cut into pieces that give the same numbers."""

import pytest
import torch

from madang.datasets import Dataset
from madang.errors import InputError, OutOfMemoryError
from madang.testing import tiny_model
from madang.training.memory import cut
from tests.unit.training.tiny import TinyClassifier, TinyTagger, examples, tagged


class Narrow:
    """A model for which a batch of more than two rows is too much."""

    error: BaseException = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    def forward(self, *given, **inputs):
        if len(inputs["input_ids"]) > self.room:
            raise self.error
        return super().forward(*given, **inputs)


def narrow(model, room=2, error=Narrow.error):
    """The same model with little memory."""
    model.__class__ = type(type(model).__name__, (Narrow, type(model)), {"room": room, "error": error})
    return model


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
    ids=["device", "allocator", "python"],
)
def test_what_lowers_it_is_told(make_trainer, error):
    model = TinyClassifier()
    with pytest.raises(OutOfMemoryError) as told:
        make_trainer(model=narrow(model, error=error)).train()
    message = str(told.value)
    for words in (
        "memory ran out at step 1, with 8 example(s) at a time", "per_device_train_batch_size=4",
        "gradient_accumulation_steps=2", "auto_find_batch_size=True", "gradient_checkpointing=True", "bf16=True",
    ):  # fmt: skip
        assert words in message


def test_what_is_done_already_is_not_suggested(make_trainer):
    given = {"auto_find_batch_size": True, "gradient_checkpointing": True, "bf16": True}
    with pytest.warns(UserWarning, match="cut into"), pytest.raises(OutOfMemoryError) as told:
        make_trainer(given, model=narrow(TinyClassifier(), room=0)).train()
    assert not any(name in str(told.value) for name in given)


def test_other_errors_stay_what_they_are(make_trainer):
    with pytest.raises(RuntimeError, match=r"^shapes do not fit$"):
        make_trainer(model=narrow(TinyClassifier(), error=RuntimeError("shapes do not fit"))).train()


def weights(trainer):
    return torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])


@pytest.mark.filterwarnings("ignore:out of memory")
@pytest.mark.parametrize("model_type", ["bert", "gpt2"])
@pytest.mark.parametrize("task", ["sequence-classification", "token-classification", "language"])
def test_cutting_batches_gives_the_same_weights(make_trainer, model_type, task):
    if task == "language":
        task = {"bert": "masked-language", "gpt2": "causal-language"}[model_type]
    whole_text = task == "sequence-classification"
    rows = Dataset.from_list(examples(14) if whole_text else tagged(14))
    results = []
    for room in (99, 2):
        model = tiny_model(model_type, task, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
                           embd_pdrop=0.0, attn_pdrop=0.0, resid_pdrop=0.0, classifier_dropout=0.0)  # fmt: skip
        given = {"auto_find_batch_size": True, "learning_rate": 1e-3, "optim": "sgd"}
        trainer = make_trainer(given, model=narrow(model, room), train_dataset=rows)
        trainer.train()
        results.append(weights(trainer))
    assert trainer.memory.parts == 4
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-6)


def test_batches_that_cannot_be_cut_are_told(make_trainer):
    def collate(rows):
        return {"input_ids": torch.zeros(8, 2, dtype=torch.long), "labels": torch.zeros(3, dtype=torch.long)}

    trainer = make_trainer({"auto_find_batch_size": True}, model=narrow(TinyTagger()), data_collator=collate)
    with (
        pytest.warns(UserWarning, match="cut into"),
        pytest.raises(InputError, match=r"one row per example\. Lower"),
    ):
        trainer.train()


def test_a_batch_is_cut_into_neighbouring_rows():
    batch = {"input_ids": torch.arange(10).view(5, 2), "labels": torch.arange(5)}
    pieces = cut(batch, 2)
    assert [piece["labels"].tolist() for piece in pieces] == [[0, 1, 2], [3, 4]]
    assert [len(piece["input_ids"]) for piece in cut(batch, 8)] == [1] * 5
    assert cut(batch, 1) == [batch]
