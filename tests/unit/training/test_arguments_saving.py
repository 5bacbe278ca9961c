"""Saving, going on and publishing: every argument does something."""

import threading

import torch

from madang.training import Trainer, TrainerCallback, setup
from madang.training.early_stopping import EarlyStoppingCallback
from madang.training.publish import PublishCallback
from tests.unit.training.effects import Checks, carry_out

CHECKS = Checks()


# ---- saving and going on


@CHECKS.of("save_steps", "save_total_limit")
def _(run, tmp_path):
    def kept(name, **given):
        run(output_dir=str(tmp_path / name), save_strategy="steps", max_steps=5, **given)
        return sorted(path.name for path in (tmp_path / name).iterdir())

    assert kept("all", save_steps=2) == ["checkpoint-2", "checkpoint-4", "checkpoint-5"]
    assert kept("last", save_steps=2, save_total_limit=1) == ["checkpoint-5"]


@CHECKS.of("save_only_model")
def _(run, tmp_path):
    for given, there in (({}, True), ({"save_only_model": True}, False)):
        run(save_strategy="epoch", overwrite_output_dir=True, **given)
        assert (tmp_path / "out" / "checkpoint-3" / "optimizer.pt").exists() is there


class Told(Trainer):
    """Evaluates to what it is told, whatever the model: better, best, worse."""

    def evaluate(self, *_given, **_more):
        step = self.state.global_step
        metrics = {"eval_loss": [3.0, 1.0, 2.0][step - 1], "eval_f1": [0.5, 0.4, 0.3][step - 1]}
        self.log(dict(metrics))
        self.fire("on_evaluate", metrics=metrics)
        return metrics


@CHECKS.of("load_best_model_at_end", "metric_for_best_model", "greater_is_better")
def _(run):
    def best(**given):
        common = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "best", "overwrite_output_dir": True}
        return run(cls=Told, **common, **given).state

    assert (best().best_global_step, best().best_metric) == (2, 1.0)
    assert best(metric_for_best_model="f1").best_global_step == 1
    assert best(metric_for_best_model="f1", greater_is_better=False).best_global_step == 3

    def weights(**given):
        common = {
            "eval_strategy": "steps",
            "eval_steps": 1,
            "overwrite_output_dir": True,
            "lr_scheduler_type": "constant",
        }
        return run(cls=Told, **common, **given).model.head.weight

    assert torch.equal(weights(load_best_model_at_end=True), weights(max_steps=2))
    assert not torch.equal(weights(), weights(max_steps=2))


@CHECKS.of("resume_from_checkpoint", "ignore_data_skip")
def _(run, tmp_path):
    given = {"max_steps": 5, "save_strategy": "steps", "save_steps": 2, "overwrite_output_dir": True}
    whole = run(**given)
    began = []

    class Look(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            began.append(state.global_step)

    # step 5 is the second of the second epoch
    folder = str(tmp_path / "out" / "checkpoint-4")
    again = run(callbacks=[Look], resume_from_checkpoint=folder, **given)
    assert began == [4]
    assert torch.equal(again.model.head.weight, whole.model.head.weight)
    other = run(resume_from_checkpoint=folder, ignore_data_skip=True, **given)
    assert not torch.equal(other.model.head.weight, whole.model.head.weight)


@CHECKS.of("restore_callback_states_from_checkpoint")
def _(run, tmp_path):
    given = {
        "eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1, "max_steps": 2,
        "metric_for_best_model": "loss", "overwrite_output_dir": True,
    }  # fmt: skip
    run(callbacks=[EarlyStoppingCallback(early_stopping_patience=7)], **given)

    def patience(**more):
        mine = EarlyStoppingCallback(early_stopping_patience=9)
        folder = str(tmp_path / "out" / "checkpoint-1")
        run(callbacks=[mine], resume_from_checkpoint=folder, **given, **more)
        return mine.early_stopping_patience

    assert patience() == 9
    assert patience(restore_callback_states_from_checkpoint=True) == 7


# ---- the hub


class Hub:
    """Where models are pushed to, without a network: notes what came."""

    def __init__(self, monkeypatch):
        self.saves, self.ends = [], []
        self.open = threading.Event()
        self.open.set()
        monkeypatch.setattr(setup, "PublishCallback", lambda trainer: PublishCallback(trainer, upload=self.upload))
        monkeypatch.setattr("madang.client.push_saved", self.push)

    def upload(self, _folder, repository, **options):
        self.open.wait(10)
        self.saves.append((repository, options))

    def push(self, _save, repository, **options):
        self.ends.append((repository, options))
        return "address"


@CHECKS.of("push_to_hub", "hub_model_id", "hub_token", "hub_private_repo", "hub_revision")
def _(run, monkeypatch):
    hub = Hub(monkeypatch)
    run(hub_model_id="kim/ynat")
    assert not hub.ends
    run(push_to_hub=True, hub_strategy="end")
    run(
        push_to_hub=True, hub_strategy="end", hub_model_id="kim/ynat", hub_token="secret", hub_private_repo=True,
        hub_revision="try",
    )  # fmt: skip
    (here, plain), (there, told) = hub.ends
    assert (here, there) == ("out", "kim/ynat")
    wanted = {"token": "secret", "private": True, "revision": "try"}
    assert {name: told[name] for name in wanted} == wanted
    assert {name: plain[name] for name in wanted} == dict.fromkeys(wanted)


@CHECKS.of("hub_strategy", "hub_always_push")
def _(run, monkeypatch):
    def saved(**given):
        hub = Hub(monkeypatch)
        run(push_to_hub=True, hub_model_id="kim/ynat", save_strategy="steps", save_steps=1, overwrite_output_dir=True,
            hub_always_push=True, **given)  # fmt: skip
        return [options.get("path_in_repo", "") for _, options in hub.saves]

    assert saved(hub_strategy="end") == []
    assert saved(hub_strategy="every_save") == ["", "", ""]
    assert saved(hub_strategy="checkpoint") == ["", "last-checkpoint"] * 3
    assert saved(hub_strategy="all_checkpoints", max_steps=2) == ["", "checkpoint-1", "", "checkpoint-2"]

    hub = Hub(monkeypatch)
    hub.open.clear()

    class Open(TrainerCallback):
        def on_epoch_end(self, *_given, **_more):
            hub.open.set()

    # the first upload is still under way when the other two saves come
    run(callbacks=[Open], push_to_hub=True, save_strategy="steps", save_steps=1, overwrite_output_dir=True)
    assert len(hub.saves) == 1


@CHECKS.each()
def test_every_argument_does_something(check, request):
    carry_out(check, request)
