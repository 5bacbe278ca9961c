import pytest
import torch

from madang.errors import InputError
from madang.training import TrainerCallback, TrainingArguments
from madang.training.callbacks import EVENTS
from madang.training.loop import Meter, Plan, Position, steps


class Recorder(TrainerCallback):
    def __init__(self):
        self.seen = []


def _record(event):
    def method(self, args, state, control, **told):
        self.seen.append((event.removeprefix("on_"), state.global_step))

    return method


for _event in EVENTS:
    setattr(Recorder, _event, _record(_event))


def test_events_fire_in_the_order_of_the_loop(make_trainer):
    recorder = Recorder()
    given = {
        "per_device_train_batch_size": 7,
        "gradient_accumulation_steps": 2,
        "eval_strategy": "epoch",
        "logging_steps": 1,
    }
    trainer = make_trainer(given, callbacks=[recorder])
    trainer.eval_dataset = trainer.train_dataset.take(3)
    trainer.train()
    assert recorder.seen == [
        ("init_end", 0), ("train_begin", 0), ("epoch_begin", 0),
        ("step_begin", 0), ("substep_end", 0), ("pre_optimizer_step", 0), ("optimizer_step", 0), ("step_end", 1),
        ("log", 1),
        ("step_begin", 1), ("pre_optimizer_step", 1), ("optimizer_step", 1), ("step_end", 2), ("log", 2),
        ("epoch_end", 2), ("prediction_step", 2), ("log", 2), ("evaluate", 2), ("log", 2), ("train_end", 2),
    ]  # fmt: skip


def test_micro_batches_are_grouped():
    assert list(steps("abcde", 2)) == [["a", "b"], ["c", "d"], ["e"]]


def test_the_meter_averages_since_the_restart_and_over_all():
    meter = Meter()
    assert meter.recent_mean() is None
    for loss in (1.0, 3.0):
        meter.add(torch.tensor(loss), examples=2)
    assert meter.recent_mean() == 2
    meter.restart()
    meter.add(torch.tensor(8.0), examples=2)
    assert (meter.recent_mean(), meter.whole_mean(), meter.totals(), meter.examples) == (8, 4, (12, 3), 6)


def test_the_meter_goes_on_where_it_was():
    meter, again = Meter(), Meter()
    for loss in (1.0, 3.0):
        meter.add(torch.tensor(loss), examples=2)
    again.restore(meter.state())
    for each in (meter, again):
        each.add(torch.tensor(5.0), examples=2)
    assert (again.recent_mean(), again.totals(), again.examples) == (meter.recent_mean(), meter.totals(), 6)


@pytest.mark.parametrize(
    ("given", "batches", "plan"),
    [
        ({"num_train_epochs": 2}, 5, (10, 2)),
        ({"num_train_epochs": 1.5}, 5, (8, 2)),
        ({"num_train_epochs": 2, "gradient_accumulation_steps": 2}, 5, (6, 2)),
        ({"max_steps": 7}, 5, (7, 2)),
        ({"max_steps": 7}, None, (7, 7)),
    ],
)
def test_the_plan_counts_steps_and_epochs(given, batches, plan):
    source = range(batches) if batches is not None else iter(())
    made = Plan.of(TrainingArguments(**given), source)
    assert (made.steps, made.epochs) == plan


def test_a_step_is_somewhere_in_an_epoch():
    plan = Plan(steps=6, epochs=2, batches_per_epoch=5, accumulation=2)
    assert [plan.position(step) for step in (0, 2, 3, 4)] == [
        Position(0, 0), Position(0, 4), Position(1, 0), Position(1, 2),
    ]  # fmt: skip


def test_data_without_a_batch_or_an_end_are_told():
    with pytest.raises(InputError, match="hold no batch: the dataset is empty, or shorter than a batch with drop_last"):
        Plan.of(TrainingArguments(), [])
    with pytest.raises(InputError, match="`max_steps` must say how long"):
        Plan.of(TrainingArguments(), iter(()))
