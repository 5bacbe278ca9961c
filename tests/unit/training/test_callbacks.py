import json

import pytest

from madang.errors import CheckpointError, InputError
from madang.training.callbacks import (
    Callbacks,
    ExportableState,
    FlowCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    states_of,
)
from madang.training.early_stopping import EarlyStoppingCallback
from madang.training.progress import PrinterCallback, ProgressCallback
from tests.unit.training.firing import Run


def asked(folder, steps=10, per_epoch=5, **given):
    """The steps at which logging, evaluating and saving were asked for."""
    run = Run(folder, [FlowCallback], **given)
    run.state.max_steps = steps
    seen = {"log": [], "evaluate": [], "save": []}

    def note():
        for what, at in seen.items():
            if getattr(run.control, f"should_{what}"):
                at.append(run.state.global_step)
                setattr(run.control, f"should_{what}", False)

    for step in range(1, steps + 1):
        run.step()
        run.state.epoch = step / per_epoch
        note()
        if step % per_epoch == 0:
            run.fire("on_epoch_end")
            note()
    assert run.control.should_training_stop
    return seen


class TestFlow:
    def test_steps_are_counted_and_the_last_is_evaluated_and_saved(self, tmp_path):
        given = dict(eval_strategy="steps", eval_steps=4, logging_steps=3, save_steps=6, logging_first_step=True)
        assert asked(tmp_path, **given) == {"log": [1, 3, 6, 9], "evaluate": [4, 8, 10], "save": [6, 10]}

    def test_a_last_step_that_is_due_anyway_is_asked_for_once(self, tmp_path):
        seen = asked(tmp_path, eval_strategy="steps", eval_steps=5, save_steps=5, logging_strategy="no")
        assert seen == {"log": [], "evaluate": [5, 10], "save": [5, 10]}

    def test_parts_of_all_steps(self, tmp_path):
        seen = asked(tmp_path, eval_strategy="steps", eval_steps=0.5, logging_steps=0.2, save_steps=0.3)
        assert seen == {"log": [2, 4, 6, 8, 10], "evaluate": [5, 10], "save": [3, 6, 9, 10]}

    def test_epochs(self, tmp_path):
        strategies = dict.fromkeys(("eval_strategy", "save_strategy", "logging_strategy"), "epoch")
        assert asked(tmp_path, **strategies) == {"log": [5, 10], "evaluate": [5, 10], "save": [5, 10]}

    @pytest.mark.parametrize("strategy", ["no", "best"])
    def test_other_strategies_ask_for_no_save(self, tmp_path, strategy):
        assert asked(tmp_path, save_strategy=strategy, save_steps=1, logging_steps=100)["save"] == []

    def test_no_evaluation_before_the_delay(self, tmp_path):
        assert asked(tmp_path, eval_strategy="steps", eval_steps=2, eval_delay=5)["evaluate"] == [6, 8, 10]
        assert asked(tmp_path, eval_strategy="epoch", eval_delay=1.5)["evaluate"] == [10]
        assert asked(tmp_path, eval_strategy="steps", eval_steps=3, eval_delay=11)["evaluate"] == []


class TestState:
    def test_comes_back_from_its_file(self, tmp_path):
        state = TrainerState(epoch=1.5, global_step=3, best_metric=0.5, log_history=[{"loss": 1.0, "step": 3}])
        state.save_to_json(tmp_path / "trainer_state.json")
        assert TrainerState.load_from_json(tmp_path / "trainer_state.json") == state

    def test_reads_files_of_others(self, tmp_path):
        theirs = {
            "epoch": 2.0, "global_step": 8, "total_flos": 1e9, "log_history": [], "trial_name": None,
            "stateful_callbacks": None, "save_steps": 500, "eval_steps": None, "a_field_of_2030": 1,
        }  # fmt: skip
        (tmp_path / "state.json").write_text(json.dumps(theirs), encoding="utf-8")
        state = TrainerState.load_from_json(tmp_path / "state.json")
        assert (state.epoch, state.global_step, state.stateful_callbacks, state.eval_steps) == (2.0, 8, {}, None)

    def test_has_no_field_that_others_do_not_know(self):
        # those of transformers, whose constructor is given all that is in the file
        known = {
            "epoch", "global_step", "max_steps", "logging_steps", "eval_steps", "save_steps", "train_batch_size",
            "num_train_epochs", "num_input_tokens_seen", "total_flos", "log_history", "best_metric",
            "best_global_step", "best_model_checkpoint", "is_local_process_zero", "is_world_process_zero",
            "is_hyper_param_search", "trial_name", "trial_params", "stateful_callbacks",
        }  # fmt: skip
        assert set(json.loads(TrainerState(run_name="first").to_json())) <= known

    @pytest.mark.parametrize("content", ["{", "[]", None])
    def test_a_file_that_is_none_is_an_error(self, tmp_path, content):
        if content is not None:
            (tmp_path / "state.json").write_text(content, encoding="utf-8")
        with pytest.raises(CheckpointError, match=r"state\.json"):
            TrainerState.load_from_json(tmp_path / "state.json")

    def test_takes_callbacks_for_their_states(self):
        state = TrainerState(stateful_callbacks=[TrainerControl(should_save=True), PrinterCallback()])
        assert list(state.stateful_callbacks) == ["TrainerControl"]
        assert state.stateful_callbacks["TrainerControl"]["args"]["should_save"] is True

    def test_control_comes_back_from_its_state(self):
        control = TrainerControl(should_training_stop=True)
        assert TrainerControl.from_state(control.state()) == control


class Counter(TrainerCallback, ExportableState):
    def __init__(self, start=0):
        self.start, self.count = start, 0

    def state(self):
        return {"args": {"start": self.start}, "attributes": {"count": self.count}}


class TestCallbacks:
    def test_are_added_and_taken_out(self):
        callbacks = Callbacks([PrinterCallback])
        taken = callbacks.remove(PrinterCallback)
        assert isinstance(taken, PrinterCallback)
        callbacks.add(ProgressCallback)
        assert isinstance(callbacks.remove(ProgressCallback), ProgressCallback)
        assert callbacks.remove(ProgressCallback) is None

    def test_what_is_none_is_refused(self):
        with pytest.raises(InputError, match="is no callback"):
            Callbacks([3])

    def test_the_control_that_one_returns_counts(self, tmp_path):
        class Stop(TrainerCallback):
            def on_step_end(self, args, state, control, **kwargs):
                return TrainerControl(should_training_stop=True)

        run = Run(tmp_path, [Stop])
        run.step()
        assert run.control.should_training_stop

    def test_states_go_into_the_checkpoint_by_class_name_and_order(self):
        callbacks = [Counter(1), PrinterCallback(), Counter(2), EarlyStoppingCallback(3), TrainerControl()]
        callbacks[0].count, callbacks[3].early_stopping_patience_counter = 5, 2
        kept = json.loads(json.dumps(states_of(callbacks)))
        assert list(kept) == ["Counter", "EarlyStoppingCallback", "TrainerControl"]
        first, second = (Counter.from_state(state) for state in kept["Counter"])
        assert (first.start, first.count, second.start, second.count) == (1, 5, 2, 0)
        stopping = EarlyStoppingCallback.from_state(kept["EarlyStoppingCallback"])
        assert (stopping.early_stopping_patience, stopping.early_stopping_patience_counter) == (3, 2)


def stopped_at(folder, values, callback, name="eval_loss", **given):
    """The step after whose evaluation training was to stop."""
    run = Run(folder, [callback], eval_strategy="steps", **given)
    run.begin()
    for value in values:
        run.step()
        run.evaluate(**{name: value})
        if run.control.should_training_stop:
            break
    run.end()
    return run.state.global_step if run.control.should_training_stop else None


class TestEarlyStopping:
    def test_stops_after_so_many_evaluations_that_were_no_better(self, tmp_path):
        assert stopped_at(tmp_path, [3, 2, 2.5, 1.9, 2, 2, 2, 2], EarlyStoppingCallback(3)) == 7
        assert stopped_at(tmp_path, [3, 2, 1], EarlyStoppingCallback()) is None

    def test_the_threshold_is_about_each_evaluation(self, tmp_path):
        # every one is better than the best before it, none by enough
        assert stopped_at(tmp_path, [1, 0.95, 0.9, 0.85], EarlyStoppingCallback(3, 0.1)) == 4
        assert stopped_at(tmp_path, [1, 0.8, 0.6, 0.4], EarlyStoppingCallback(3, 0.1)) is None

    def test_which_way_is_better_follows_from_the_name(self, tmp_path):
        values = [0.5, 0.6, 0.7]
        watch = EarlyStoppingCallback(metric="accuracy")
        assert stopped_at(tmp_path, values, watch, "eval_accuracy") is None
        assert stopped_at(tmp_path, values, EarlyStoppingCallback(metric="eval_a_loss"), "eval_a_loss") == 2
        error_rate = EarlyStoppingCallback(metric="error", greater_is_better=False)
        assert stopped_at(tmp_path, values, error_rate, "eval_error") == 2

    def test_the_arguments_name_metric_and_way(self, tmp_path):
        given = dict(metric_for_best_model="error", greater_is_better=False)
        assert stopped_at(tmp_path, [0.5, 0.6], EarlyStoppingCallback(), "eval_error", **given) == 2
        given = dict(metric_for_best_model="eval_f1")
        assert stopped_at(tmp_path, [0.5, 0.6], EarlyStoppingCallback(), "eval_f1", **given) is None

    def test_what_is_no_number_is_no_better(self, tmp_path):
        nan = float("nan")
        assert stopped_at(tmp_path, [nan, nan, nan], EarlyStoppingCallback(2)) == 2
        assert stopped_at(tmp_path, [2, nan, 1], EarlyStoppingCallback(2)) is None

    def test_a_missing_metric_is_an_error_that_names_those_there_are(self, tmp_path):
        run = Run(tmp_path, [EarlyStoppingCallback(metric="f1")], eval_strategy="epoch")
        run.begin()
        run.evaluate(eval_loss=1.0, eval_accuracy=0.5)
        with pytest.raises(InputError, match=r"'eval_f1'.*It gives: eval_accuracy, eval_loss"):
            run.step()

    def test_a_missing_metric_at_the_very_end_costs_nothing(self, tmp_path):
        run = Run(tmp_path, [EarlyStoppingCallback(metric="f1")], eval_strategy="epoch")
        run.begin()
        run.evaluate(eval_loss=1.0)
        with pytest.warns(UserWarning, match="watches 'eval_f1'"):
            run.end()

    def test_one_of_several_datasets_may_be_watched(self, tmp_path):
        run = Run(tmp_path, [EarlyStoppingCallback(metric="eval_b_loss")], eval_strategy="epoch")
        run.begin()
        for _ in range(2):
            for name in "abc":
                run.evaluate(**{f"eval_{name}_loss": 1.0})
            assert run.control.should_training_stop == (run.state.global_step == 1)
            run.step()

    def test_without_evaluations_it_says_what_to_set(self, tmp_path):
        with pytest.raises(InputError, match="eval_strategy='epoch'"):
            Run(tmp_path, [EarlyStoppingCallback]).begin()

    def test_evaluations_outside_of_training_do_not_count(self, tmp_path):
        stopping = EarlyStoppingCallback()
        run = Run(tmp_path, [stopping], eval_strategy="epoch")
        for _ in range(3):
            run.evaluate(eval_loss=1.0)
        assert (stopping.early_stopping_patience_counter, stopping.best_metric) == (0, None)

    def test_a_second_training_begins_anew_and_one_that_goes_on_does_not(self, tmp_path):
        stopping = EarlyStoppingCallback(5)
        run = Run(tmp_path, [stopping], eval_strategy="epoch")
        run.begin()
        for loss in (1.0, 2.0, 3.0):
            run.evaluate(eval_loss=loss)
        run.end()
        run.state = TrainerState(global_step=3, best_metric=1.0)
        run.begin()
        assert (stopping.early_stopping_patience_counter, stopping.best_metric) == (2, 1.0)
        run.state = TrainerState()
        run.begin()
        assert (stopping.early_stopping_patience_counter, stopping.best_metric) == (0, None)

    def test_no_patience_at_all_is_refused(self):
        with pytest.raises(InputError, match="at least 1"):
            EarlyStoppingCallback(0)


def test_a_callback_is_told_the_parts_of_training(make_trainer):
    told = {}

    class Look(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            told.update(kwargs)

    trainer = make_trainer(callbacks=[Look()])
    trainer.train()
    assert told["model"] is trainer.model
    assert told["tokenizer"] is told["processing_class"] is trainer.tokenizer
    assert told["optimizer"] is trainer.optimizer
    assert told["lr_scheduler"] is trainer.lr_scheduler
    assert len(told["train_dataloader"]) == 3
