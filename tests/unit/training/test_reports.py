import json
import sys
from types import ModuleType, SimpleNamespace

import pytest

from madang.errors import InputError, UnknownNameError
from madang.training import reports
from madang.training.callbacks import TrainerState
from madang.training.reports import REPORTERS, Reporter, installed_reporters, reporters
from madang.training.reports.reporter import plain_numbers, sorted_by_kind
from tests.unit.training.firing import Run


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def trained(run, steps=3):
    """Log every step and evaluate the last."""
    run.begin()
    for _ in range(steps):
        run.step()
        run.log(loss=1 / run.state.global_step, learning_rate=0.5)
    run.evaluate(eval_loss=0.25, eval_accuracy=0.75)
    run.end()


class TestNames:
    def test_each_gets_its_reporter_once(self):
        assert [one.name for one in reporters(["jsonl", "none", "jsonl"])] == ["jsonl"]
        assert [one.name for one in reporters("jsonl")] == ["jsonl"]
        assert reporters("none") == reporters([]) == reporters(None) == []

    def test_all_are_those_that_are_installed(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "wandb", ModuleType("wandb"))
        assert {"jsonl", "tensorboard", "wandb"} <= {one.name for one in reporters("all")}
        assert "mlflow" not in installed_reporters()

    @pytest.mark.parametrize("name", ["comet_ml", "clearml", "tensorbord"])
    def test_others_are_an_error_that_names_those_there_are(self, name):
        with pytest.raises(UnknownNameError, match="jsonl, mlflow, tensorboard, wandb, 'all', 'none'"):
            reporters([name])

    def test_one_that_is_not_installed_is_an_error_that_says_how_to_get_it(self, monkeypatch):
        with pytest.raises(InputError, match="pip install mlflow"):
            reporters("mlflow")
        monkeypatch.setattr(reports.TensorBoardReporter, "package", "no_such_package")
        with pytest.raises(InputError, match=r"pip install 'madang\[reports\]'"):
            reporters("tensorboard")

    def test_names_and_classes_agree(self):
        assert all(reporter.name == name for name, reporter in REPORTERS.items())


class TestNumbers:
    def test_kinds_stand_before_a_slash(self):
        logged = {"loss": 1.0, "eval_loss": 2.0, "test_f1": 3.0, "evaluation": 4.0, "grad_norm": 5.0}
        assert list(sorted_by_kind(logged)) == [
            "train/loss", "eval/loss", "test/f1", "train/evaluation", "train/grad_norm",
        ]  # fmt: skip

    def test_only_numbers_are_reported(self):
        import torch

        assert plain_numbers({"a": torch.tensor(1.5), "b": "text", "c": 2, "d": torch.ones(2)}) == {"a": 1.5, "c": 2}


class Failing(Reporter):
    name = "nowhere"

    def __init__(self, where):
        super().__init__()
        self.where, self.calls, self.working = where, [], False

    def _maybe(self, what):
        self.calls.append(what)
        if what == self.where and not self.working:
            raise OSError("No space left on device")

    def begin(self, args, state, model, start):
        self._maybe("begin")

    def write(self, state, numbers):
        self._maybe("write")

    def end(self, state):
        self._maybe("end")


class TestFailures:
    @pytest.mark.parametrize("where", ["begin", "write", "end"])
    def test_are_told_once_and_training_goes_on(self, tmp_path, where):
        run = Run(tmp_path, [Failing(where)])
        with pytest.warns(UserWarning, match="reporting to nowhere failed .*No space left") as told:
            trained(run)
        assert len(told) == 1

    def test_after_three_in_a_row_it_is_left_alone(self, tmp_path):
        failing = Failing("write")
        with pytest.warns(UserWarning, match="training goes on"):
            trained(Run(tmp_path, [failing]), steps=10)
        assert failing.calls == ["begin", "write", "write", "write", "end"]

    def test_what_works_again_goes_on(self, tmp_path):
        failing = Failing("begin")
        run = Run(tmp_path, [failing])
        with pytest.warns(UserWarning, match="training goes on"):
            run.begin()
        failing.working = True
        run.log(loss=1.0)
        assert failing.calls == ["begin", "begin", "write"]

    def test_other_processes_report_nothing(self, tmp_path):
        reporter = Failing("nothing")
        run = Run(tmp_path, [reporter])
        run.state.is_world_process_zero = False
        trained(run)
        assert reporter.calls == []


class TestJsonLines:
    def test_every_log_is_a_line_at_once(self, tmp_path):
        run = Run(tmp_path, reporters("jsonl"))
        run.begin()
        for step in range(1, 4):
            run.step()
            run.log(loss=float(step))
            assert lines(tmp_path) == run.state.log_history

    def test_going_on_keeps_each_step_once(self, tmp_path):
        run = Run(tmp_path, reporters("jsonl"))
        trained(run, steps=5)
        kept = [entry for entry in run.state.log_history if entry["step"] <= 3]
        assert len(lines(tmp_path)) == 6
        again = Run(tmp_path, reporters("jsonl"))
        again.state = TrainerState(global_step=3, log_history=list(kept))
        again.begin()
        assert lines(tmp_path) == kept
        again.step()
        again.log(loss=0.5)
        assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3, 4]

    def test_another_training_begins_anew(self, tmp_path):
        trained(Run(tmp_path, reporters("jsonl")), steps=5)
        run = Run(tmp_path, reporters("jsonl"))
        trained(run, steps=1)
        assert lines(tmp_path) == run.state.log_history

    def test_an_evaluation_on_its_own_is_added(self, tmp_path):
        trained(Run(tmp_path, reporters("jsonl")), steps=2)
        Run(tmp_path, reporters("jsonl")).evaluate(eval_loss=0.125)
        assert [line.get("eval_loss") for line in lines(tmp_path)] == [None, None, 0.25, 0.125]

    def test_what_a_full_disk_refused_is_written_later(self, tmp_path):
        run = Run(tmp_path / "out", reporters("jsonl"))
        run.begin()
        (tmp_path / "out" / "metrics.jsonl").unlink()
        (tmp_path / "out" / "metrics.jsonl").mkdir()  # nothing can be written to it, not even by root
        run.step()
        with pytest.warns(UserWarning, match="reporting to jsonl failed"):
            run.log(loss=1.0)
        (tmp_path / "out" / "metrics.jsonl").rmdir()
        run.log(loss=2.0)
        assert [line["loss"] for line in lines(tmp_path / "out")] == [1.0, 2.0]

    def test_lines_are_json_for_every_reader(self, tmp_path):
        run = Run(tmp_path, reporters("jsonl"))
        run.begin()
        run.log(loss=float("nan"), grad_norm=float("inf"), note="한글\n", eval_list=[1])
        text = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8")
        assert text.count("\n") == 1
        assert "NaN" not in text
        assert "한글" in text
        assert lines(tmp_path)[0]["loss"] is None


def drawn(folder):
    """(step, value) of every scalar in the files of a folder, and the names of texts."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    files = EventAccumulator(str(folder))
    files.Reload()
    tags = files.Tags()
    return {name: [(event.step, event.value) for event in files.Scalars(name)] for name in tags["scalars"]}, tags


class TestTensorBoard:
    def test_scalars_and_hyper_parameters_can_be_read_back(self, tmp_path):
        run = Run(tmp_path, reporters("tensorboard"), run_name="kim/first try", hub_token="hf_secret")
        run.model.config = SimpleNamespace(to_dict=lambda: {"hidden_size": 8})
        trained(run)
        scalars, tags = drawn(tmp_path / "runs" / "first try")
        assert scalars["train/loss"] == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]
        assert scalars["train/learning_rate"] == [(1, 0.5), (2, 0.5), (3, 0.5)]
        assert scalars["eval/accuracy"] == [(3, 0.75)]
        assert tags["tensors"] == ["arguments/text_summary", "config/text_summary"]
        content = b"".join(file.read_bytes() for file in (tmp_path / "runs" / "first try").iterdir())
        assert b"per_device_train_batch_size" in content
        assert b"hf_secret" not in content

    def test_going_on_draws_each_step_once(self, tmp_path):
        trained(Run(tmp_path, reporters("tensorboard")), steps=5)
        again = Run(tmp_path, reporters("tensorboard"))
        again.state = TrainerState(global_step=2, max_steps=10)
        trained(again, steps=2)
        (folder,) = (tmp_path / "runs").iterdir()
        assert [step for step, _ in drawn(folder)[0]["train/loss"]] == [1, 2, 3, 4]

    def test_another_training_gets_a_folder_of_its_own(self, tmp_path):
        for _ in range(2):
            trained(Run(tmp_path, reporters("tensorboard"), run_name="base"), steps=1)
        assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["base", "base-2"]

    def test_logging_dir_is_used_as_it_is(self, tmp_path):
        run = Run(tmp_path / "out", reporters("tensorboard"), logging_dir=str(tmp_path / "logs"), run_name="a")
        trained(run, steps=1)
        assert drawn(tmp_path / "logs")[0]["train/loss"] == [(1, 1.0)]
        assert not (tmp_path / "out" / "runs").exists()

    def test_what_is_evaluated_afterwards_is_added(self, tmp_path):
        run = Run(tmp_path, reporters("tensorboard"), run_name="a")
        trained(run, steps=2)
        run.log(test_f1=0.5)
        run.callbacks.list[0].end(run.state)
        assert drawn(tmp_path / "runs" / "a")[0]["test/f1"] == [(2, 0.5)]


class StandInWandb(ModuleType):
    """What the reporter uses of wandb."""

    def __init__(self):
        super().__init__("wandb")
        self.run, self.inits, self.logged, self.finished = None, [], [], 0
        self.config = SimpleNamespace(update=self._update)
        self.configured = {}

    def init(self, **options):
        self.inits.append(options)
        self.run = SimpleNamespace(finish=self._finish)
        return self.run

    def define_metric(self, name, **options):
        pass

    def log(self, values):
        self.logged.append(values)

    def _update(self, values, allow_val_change):
        self.configured |= values

    def _finish(self):
        self.run = None
        self.finished += 1


class TestWandb:
    @pytest.fixture
    def wandb(self, monkeypatch):
        wandb = StandInWandb()
        monkeypatch.setitem(sys.modules, "wandb", wandb)
        return wandb

    def test_a_run_is_begun_and_told(self, tmp_path, wandb):
        run = Run(tmp_path, reporters("wandb"), run_name="first", hub_token="hf_secret", learning_rate=0.125)
        trained(run, steps=1)
        assert wandb.inits == [{"name": "first"}]
        assert wandb.configured["learning_rate"] == 0.125
        assert "hf_secret" not in map(str, wandb.configured.values())
        assert wandb.logged[0] == {
            "train/loss": 1.0, "train/learning_rate": 0.5, "train/epoch": 0.25, "train/global_step": 1,
        }  # fmt: skip
        assert wandb.logged[1]["eval/accuracy"] == 0.75

    def test_the_next_training_is_a_run_of_its_own(self, tmp_path, wandb):
        run = Run(tmp_path, reporters("wandb"))
        trained(run, steps=1)
        run.log(test_f1=0.5)
        assert (len(wandb.inits), wandb.finished) == (1, 0)
        trained(run, steps=1)
        assert (len(wandb.inits), wandb.finished) == (2, 1)

    def test_a_run_of_the_users_own_is_left_open(self, tmp_path, wandb):
        wandb.run = SimpleNamespace()
        trained(Run(tmp_path, reporters("wandb")), steps=1)
        assert (wandb.inits, wandb.finished, len(wandb.logged)) == ([], 0, 2)


class StandInMLflow(ModuleType):
    """What the reporter uses of mlflow; like a server it refuses large requests and changed parameters."""

    def __init__(self):
        super().__init__("mlflow")
        self.exceptions = SimpleNamespace(MlflowException=type("MlflowException", (Exception,), {}))
        self.active, self.started, self.ended, self.params, self.metrics = None, [], 0, {}, []

    def active_run(self):
        return self.active

    def start_run(self, run_id=None, run_name=None):
        self.started.append(run_id or run_name)
        self.active = SimpleNamespace(info=SimpleNamespace(run_id=run_id or f"id-{len(self.started)}"))
        return self.active

    def end_run(self):
        self.active = None
        self.ended += 1

    def log_params(self, values):
        assert len(values) <= 100
        assert all(len(value) <= 500 for value in values.values())
        if any(self.params.get(name, value) != value for name, value in values.items()):
            raise self.exceptions.MlflowException("changing parameters is not allowed")
        self.params |= values

    def log_metrics(self, values, step):
        self.metrics.append((step, values))


class TestMLflow:
    @pytest.fixture
    def mlflow(self, monkeypatch):
        mlflow = StandInMLflow()
        monkeypatch.setitem(sys.modules, "mlflow", mlflow)
        return mlflow

    def test_a_run_is_begun_told_and_ended(self, tmp_path, mlflow):
        run = Run(tmp_path, reporters("mlflow"), run_name="first", hub_token="hf_secret")
        run.model.config = SimpleNamespace(to_dict=lambda: {"id2label": dict.fromkeys(range(99), "label" * 9)})
        trained(run, steps=1)
        assert (mlflow.started, mlflow.ended) == (["first"], 1)
        assert mlflow.params["run_name"] == "first"
        assert "hf_secret" not in mlflow.params.values()
        assert mlflow.metrics == [
            (1, {"loss": 1.0, "learning_rate": 0.5, "epoch": 0.25}),
            (1, {"eval_loss": 0.25, "eval_accuracy": 0.75, "epoch": 0.25}),
        ]

    def test_what_is_evaluated_afterwards_is_added_to_its_run(self, tmp_path, mlflow):
        run = Run(tmp_path, reporters("mlflow"), run_name="first")
        trained(run, steps=1)
        run.log(**{"eval_정확도": 0.5, "eval_f1 (macro)": 0.25})
        assert mlflow.started == ["first", "id-1"]
        assert list(mlflow.metrics[-1][1]) == ["eval_정확도", "eval_f1 _macro_", "epoch"]

    def test_a_run_of_the_users_own_is_left_open(self, tmp_path, mlflow):
        mlflow.start_run(run_name="mine")
        for rate in (0.1, 0.2):  # the second time its parameters cannot be changed
            trained(Run(tmp_path, reporters("mlflow"), learning_rate=rate), steps=1)
        assert (mlflow.started, mlflow.ended, len(mlflow.metrics)) == (["mine"], 0, 4)
