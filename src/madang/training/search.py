"""Searching hyper-parameters: train with some, look how well it went, choose the next. Optuna chooses."""

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from madang.errors import InputError, unknown_name
from madang.training.callbacks import TrainerCallback

if TYPE_CHECKING:
    from madang.training.trainer import Trainer

Objective = Callable[[dict[str, float]], float | Sequence[float]]
_NOT_SCORES = ("_loss", "_runtime", "_per_second", "epoch")


class BestRun(NamedTuple):
    """The best of a search, or a list of them where several things were optimised at once."""

    run_id: str
    objective: float | list[float]
    hyperparameters: dict[str, Any]
    run_summary: Any = None


def default_space(trial: Any) -> dict[str, Any]:
    """Learning rate, epochs, batch size and seed within the bounds that are usual for fine-tuning."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-6, 1e-4, log=True),
        "num_train_epochs": trial.suggest_int("num_train_epochs", 1, 5),
        "seed": trial.suggest_int("seed", 1, 40),
        "per_device_train_batch_size": trial.suggest_categorical("per_device_train_batch_size", [4, 8, 16, 32, 64]),
    }


def default_objective(metrics: Mapping[str, float]) -> float:
    """The sum of what `compute_metrics` gives; the loss where that is all there is."""
    scores = [value for name, value in metrics.items() if not name.endswith(_NOT_SCORES)]
    return sum(scores) if scores else metrics["eval_loss"]


def search(
    trainer: "Trainer",
    *,
    space: Callable[[Any], dict[str, Any]],
    objective: Objective,
    trials: int,
    direction: str | Sequence[str],
    name_of: Callable[[Any], str] | None,
    options: dict[str, Any],
) -> BestRun | list[BestRun]:
    """Train `trials` times, each from a fresh model in a folder of its own; afterwards the arguments are as before."""
    optuna = _optuna()
    if trainer.model_init is None:
        raise InputError("a search trains many times from the beginning: give the Trainer model_init=, not a model.")
    if trainer.eval_dataset is None:
        raise InputError("a search compares evaluations: give the Trainer an eval_dataset.")
    if trainer.processes.count > 1:
        raise InputError("a search runs in one process; start it without torchrun.")
    before, several = trainer.args, not isinstance(direction, str)
    running = {name: options.pop(name) for name in ("timeout", "n_jobs", "gc_after_trial", "catch") if name in options}
    chosen = {"directions": list(direction)} if several else {"direction": direction}
    study = optuna.create_study(**chosen, **options)

    def run(trial: Any) -> Any:
        watching = _Watching(trial, objective, several)
        trainer.args = _arguments(before, space(trial), name_of(trial) if name_of else f"run-{trial.number}")
        trainer.add_callback(watching)
        try:
            trainer.train(trial=trial)
            return watching.value if watching.value is not None else objective(dict(trainer.evaluate()))
        finally:
            trainer.remove_callback(watching)
            trainer.args = before

    study.optimize(run, n_trials=trials, **running)
    if several:
        return [BestRun(str(best.number), best.values, best.params, study) for best in study.best_trials]
    best = study.best_trial
    return BestRun(str(best.number), best.value, best.params, study)


class _Watching(TrainerCallback):
    """Tells Optuna how each evaluation went; a run that promises nothing ends early."""

    def __init__(self, trial: Any, objective: Objective, several: bool) -> None:
        self._trial, self._objective, self._several = trial, objective, several
        self.value: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        state.is_hyper_param_search, state.trial_params = True, dict(self._trial.params)
        state.trial_name = Path(args.output_dir).name

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.value = self._objective(dict(kwargs["metrics"]))
        if not self._several:  # Optuna prunes by one number
            self._trial.report(self.value, step=state.global_step)
            if self._trial.should_prune():
                raise _optuna().TrialPruned()


def _arguments(before: Any, given: Mapping[str, Any], name: str) -> Any:
    """The arguments of one run: those of the trainer with some others, in a folder of its own."""
    args = copy.deepcopy(before)
    for argument, value in given.items():
        if not hasattr(args, argument):
            raise unknown_name("training argument", argument, vars(args))
        setattr(args, argument, value)
    args.output_dir, args.run_name = str(Path(before.output_dir) / name), name
    args.__post_init__()
    return args


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ImportError("hyperparameter_search needs Optuna: pip install 'madang[search]'") from error
    return optuna
