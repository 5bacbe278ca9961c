import pytest
import torch

from madang.datasets import Dataset
from madang.training import Trainer, TrainingArguments, set_seed
from tests.unit.training.tiny import TinyClassifier, TinyTokenizer, examples


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def make_trainer(tmp_path):
    """A trainer over a tiny model; `given` are training arguments, the rest goes to the Trainer."""

    def make(given=None, cls=Trainer, **parts):
        arguments = {"output_dir": str(tmp_path / "out"), "save_strategy": "no", "num_train_epochs": 1, "use_cpu": True}
        if "model_init" not in parts and "model" not in parts:
            set_seed(0)
            parts["model"] = TinyClassifier()
        parts.setdefault("train_dataset", Dataset.from_list(examples()))
        parts.setdefault("tokenizer", TinyTokenizer())
        return cls(args=TrainingArguments(**{**arguments, "disable_tqdm": True, **(given or {})}), **parts)

    return make


@pytest.fixture
def run(make_trainer):
    """The trainer after training on 20 rows: 3 steps of 8, 8 and 4 by default."""

    def trained(cls=Trainer, model=TinyClassifier, callbacks=(), **given):
        set_seed(0)
        trainer = make_trainer({"learning_rate": 0.1, **given}, cls, model=model(), callbacks=callbacks)
        trainer.eval_dataset = trainer.train_dataset.take(10)
        trainer.train()
        return trainer

    return trained
