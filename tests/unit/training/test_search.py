import pytest

from madang.datasets import Dataset
from madang.errors import InputError, UnknownNameError
from madang.training import EarlyStoppingCallback
from tests.unit.training.tiny import TinyClassifier, examples

optuna = pytest.importorskip("optuna")
optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def searching(make_trainer):
    def make(given=None, **parts):
        rows = Dataset.from_list(examples(12))
        given = {"learning_rate": 0.1, "eval_strategy": "epoch", **(given or {})}
        return make_trainer(given, model_init=TinyClassifier, eval_dataset=rows, **parts)

    return make


def rates(trial):
    return {"learning_rate": trial.suggest_float("learning_rate", 1e-6, 0.2)}


def test_the_best_of_several_trainings_is_found(searching):
    trainer = searching()
    sampler = optuna.samplers.GridSampler({"learning_rate": [1e-6, 0.2, 1e-5]})
    best = trainer.hyperparameter_search(rates, n_trials=3, direction="minimize", sampler=sampler)
    assert best.hyperparameters == {"learning_rate": 0.2}
    losses = [trial.value for trial in best.run_summary.trials]
    assert best.objective == min(losses)
    assert len(set(losses)) == 3


def test_each_training_has_a_folder_and_the_arguments_are_as_before(searching, tmp_path):
    trainer = searching({"save_strategy": "epoch"})
    before = trainer.args.to_dict()
    trainer.hyperparameter_search(rates, n_trials=2, hp_name=lambda trial: f"try-{trial.number}")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["try-0", "try-1"]
    assert trainer.args.to_dict() == before


def test_model_init_may_look_at_the_trial(searching):
    seen = []

    def make(trial=None):
        if trial is not None:
            seen.append(trial.params["hidden"])
        return TinyClassifier(hidden=8 if trial is None else trial.params["hidden"])

    trainer = searching()
    trainer.model_init = make
    trainer.hyperparameter_search(lambda trial: {"seed": trial.suggest_categorical("hidden", [4, 6])}, n_trials=2)
    assert len(seen) == 2


def test_several_objectives_give_all_runs_that_no_other_beats(searching):
    trainer = searching(compute_metrics=lambda prediction: {"accuracy": 0.5})
    found = trainer.hyperparameter_search(
        rates, lambda metrics: (metrics["eval_loss"], metrics["eval_accuracy"]), 2, ["minimize", "maximize"]
    )
    assert all(len(run.objective) == 2 for run in found)


def test_a_run_that_promises_nothing_ends_early(searching):
    trainer = searching({"num_train_epochs": 3})
    pruner = optuna.pruners.ThresholdPruner(upper=0.0)
    with pytest.raises(ValueError, match="No trials are completed"):
        trainer.hyperparameter_search(rates, n_trials=1, pruner=pruner)
    assert trainer.state.global_step == 3


def test_it_works_with_early_stopping_and_without_evaluations_on_the_way(searching):
    assert searching(callbacks=[EarlyStoppingCallback(1)]).hyperparameter_search(rates, n_trials=1).objective > 0
    assert searching({"eval_strategy": "no"}).hyperparameter_search(rates, n_trials=1).objective > 0


def test_what_cannot_be_searched_is_explained(searching, make_trainer):
    with pytest.raises(InputError, match="model_init="):
        make_trainer(eval_dataset=Dataset.from_list(examples(4))).hyperparameter_search(n_trials=1)
    with pytest.raises(UnknownNameError, match="Did you mean 'learning_rate'"):
        searching().hyperparameter_search(lambda trial: {"learning_rat": 1}, n_trials=1)
    with pytest.raises(UnknownNameError, match="optuna"):
        searching().hyperparameter_search(backend="ray")
