import torch

from madang.training import TrainerCallback
from madang.training.callbacks import EVENTS
from madang.training.loop import Meter, steps


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


def test_micro_batches_are_grouped_and_counted():
    assert list(steps("abcde", 2)) == [(2, ["a", "b"]), (4, ["c", "d"]), (5, ["e"])]


def test_the_meter_averages_since_the_restart_and_over_all():
    meter = Meter()
    assert meter.recent_mean() is None
    for loss in (1.0, 3.0):
        meter.add(torch.tensor(loss), examples=2)
    assert meter.recent_mean() == 2
    meter.restart()
    meter.add(torch.tensor(8.0), examples=2)
    assert (meter.recent_mean(), meter.whole_mean(), meter.totals(), meter.examples) == (8, 4, (12, 3), 6)
