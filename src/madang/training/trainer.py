"""The familiar Trainer: it translates arguments and offers places to override; `loop.train` does the training."""

import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from madang import client
from madang.errors import InputError, MadangError, UnknownNameError, unknown_name
from madang.notices import notice
from madang.training import checkpointing, loop, saving, seed
from madang.training.callbacks import TrainerControl, states_of
from madang.training.card import model_card, write_card
from madang.training.curve import draw_curve
from madang.training.early_stopping import EarlyStoppingCallback
from madang.training.learning import Learning
from madang.training.loop import Plan, Position
from madang.training.memory import Memory
from madang.training.results import TrainOutput
from madang.training.search import default_objective, default_space, search

_REPOSITORY = re.compile(r"^[\w.-]+/[\w.-]+$")


class Trainer(Learning):
    """Trains, evaluates and applies a model.

    >>> trainer = Trainer(model, TrainingArguments("out"), train_dataset=train, tokenizer=tokenizer)  # doctest: +SKIP
    >>> trainer.train(), trainer.evaluate(test)  # doctest: +SKIP

    Columns the model does not take are left out, `label` becomes `labels`, texts are padded batch by batch when there
    is a tokenizer. Loss and gradient are means over targets: the same for any batch size that makes the same steps.

    To change what happens, override a method: `compute_loss`, `training_step`, `prediction_step`, `create_optimizer`,
    `create_scheduler`, `get_train_dataloader`, `get_eval_dataloader`, `log`; or pass callbacks.
    """

    plan = Plan(steps=0, epochs=0, batches_per_epoch=1, accumulation=1)
    memory: Memory

    def train(
        self,
        resume_from_checkpoint: str | bool | None = None,
        trial: Any = None,
        ignore_keys_for_eval: list[str] | None = None,
        *,
        model_path: str | None = None,
    ) -> TrainOutput:
        """Train as the arguments say; returns (global_step, training_loss, metrics).

        `resume_from_checkpoint` is a checkpoint's folder, or True for the newest in the output folder: training goes on
        from there as if it had never stopped. `trial` is what `model_init` gets in a search of hyper-parameters.
        """
        wanted = next(
            (w for w in (resume_from_checkpoint, model_path) if w is not None), self.args.resume_from_checkpoint
        )
        output = Path(self.args.output_dir)
        if self.processes.is_main:
            checkpointing.clean_up(output)
        self.processes.wait()
        folder = checkpointing.find(wanted, output) if wanted else None
        seed.enable_full_determinism(self.args.seed) if self.args.full_determinism else seed.set_seed(self.args.seed)
        if self.model_init is not None:
            self._take_model(None, trial)
        if self.processes.is_main:
            self._say_what_may_surprise(resuming=folder is not None)
        self._begin()
        self.processes.draw_apart(self.args.seed)
        start = checkpointing.restore(self, folder) if folder is not None else Position()
        with self._learning():
            self._check_evaluation()
            self._check_metric()
            self.control.should_evaluate = self.args.eval_on_start and folder is None
            return loop.train(self, self.plan, start)

    def _begin(self) -> None:
        """Everything fresh: batches, plan, state, optimizer."""
        self.train_batches = self.get_train_dataloader()
        self.plan = Plan.of(self.args, self.train_batches)
        self.state = self.new_state(max_steps=self.plan.steps, num_train_epochs=self.plan.epochs)
        vars(self.control).update(vars(TrainerControl()))
        self.meter, self.memory, self.position = loop.Meter(), Memory(self), Position()
        self.resuming = self._first_bad_step = None
        if self.args.gradient_checkpointing:
            self._checkpoint_gradients()
        self.model_wrapped = self.processes.wrapped(self._compiled(), self.args)
        self.optimizer, self.lr_scheduler = self.given_optimizers
        self.create_optimizer_and_scheduler(self.plan.steps)
        if self.args.fp16:
            self.scaler = torch.amp.GradScaler(self.device.type)

    # ---- telling, evaluating and saving on the way

    def log_evaluate_save(self) -> None:
        """Do what the flags of `control` ask for, and clear them."""
        control, args = self.control, self.args
        if control.should_log or control.should_evaluate or control.should_save:
            self._look_up_bad_step()
        if control.should_log and self.meter.recent_mean() is not None:
            self._log_step()
        if control.should_evaluate:
            metrics = self.evaluate()
            if isinstance(self.lr_scheduler, ReduceLROnPlateau):
                self.lr_scheduler.step(metrics[self._metric_name()])
            if self._is_best(metrics) and (args.save_strategy == "best" or args.load_best_model_at_end):
                control.should_save = True
        if control.should_save:
            self._save_checkpoint()
        control.should_log = control.should_evaluate = control.should_save = False
        every = args.torch_empty_cache_steps
        if every and self.state.global_step % every == 0 and self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _log_step(self) -> None:
        logs = {"loss": self._over_processes(self.meter.recent_mean() or 0.0)}
        if self.gradient_norm is not None:
            logs["grad_norm"] = float(self.gradient_norm)
        logs["learning_rate"] = self.lr_scheduler.get_last_lr()[0]
        self.meter.restart()
        self.log(logs)

    def _over_processes(self, value: float) -> float:
        """The mean of a number over all processes."""
        return float(self.processes.total(value)) / self.processes.count

    def training_metrics(self, began: float, steps: int) -> dict[str, float]:
        """What a training that has ended logs: speed and the mean loss of all its steps."""
        self._look_up_bad_step()
        examples = self.processes.total(self.meter.examples)
        metrics = loop.speed("train", began, examples, steps)
        if self.args.include_num_input_tokens_seen != "no":
            metrics["train_tokens_per_second"] = round(self.state.num_input_tokens_seen / metrics["train_runtime"], 3)
        metrics["train_loss"] = self._over_processes(self.meter.whole_mean())
        metrics = dict(self.processes.told(metrics))  # each has a clock of its own
        self.log(metrics)
        return metrics

    def _metric_name(self) -> str:
        name = self.args.metric_for_best_model or "loss"
        return name if name.startswith("eval_") else f"eval_{name}"

    def _is_best(self, metrics: Mapping[str, Any]) -> bool:
        """Whether this evaluation is the best so far by `metric_for_best_model`; then it is remembered."""
        if self.args.metric_for_best_model is None:
            return False
        name, best, state = self._metric_name(), self.state.best_metric, self.state
        if name not in metrics:
            raise UnknownNameError(f"the evaluation gave no {name!r}, only {', '.join(sorted(metrics))}.")
        value = metrics[name]
        better = best is None or (value > best if self.args.greater_is_better else value < best)
        if better:
            state.best_metric, state.best_global_step = value, state.global_step
        return better

    def _check_evaluation(self) -> None:
        """Whether there is something to evaluate, where evaluations are asked for."""
        args = self.args
        own = not all(
            getattr(type(self), name).__module__.startswith("madang.") for name in ("evaluate", "get_eval_dataloader")
        )
        if self.eval_dataset is None and (args.eval_strategy != "no" or args.eval_on_start) and not own:
            asking = f"eval_strategy={args.eval_strategy!r}" if args.eval_strategy != "no" else "eval_on_start=True"
            raise InputError(f"{asking} asks for evaluations, and there is no eval_dataset: give the Trainer one.")

    def _check_metric(self) -> None:
        """Whether evaluations will give the number that decides which model is best: asked before time is spent."""
        args, plateau = self.args, isinstance(self.lr_scheduler, ReduceLROnPlateau)
        if args.eval_strategy == "no" and not args.eval_on_start:
            if args.load_best_model_at_end or args.save_strategy == "best" or plateau:
                raise InputError(
                    "which model is best is found by evaluating: set eval_strategy to 'epoch' or 'steps', not 'no'"
                )
            return
        if args.metric_for_best_model is None and not plateau:
            return
        try:
            names = self.names_of_metrics()
        except (ValueError, ZeroDivisionError) as error:
            if isinstance(error, MadangError):
                raise
            # some scores cannot be had from so few rows
            notice(f"{self._metric_name()} cannot be had from the first batch alone; training begins: {error}")
            return
        if names is not None and self._metric_name() not in names:
            raise UnknownNameError(
                f"metric_for_best_model={self.args.metric_for_best_model!r} is no number that evaluating gives. "
                f"There are: {', '.join(sorted(names))}."
            )

    def _save_checkpoint(self, *unused: Any) -> None:
        args, state = self.args, self.state
        output = Path(args.output_dir)
        if state.best_global_step == state.global_step and state.best_metric is not None:
            state.best_model_checkpoint = str(output / f"checkpoint-{state.global_step}")
        state.stateful_callbacks = states_of([self.control, *self.callbacks.list])
        newest = checkpointing.save_checkpoint(self)
        if self.processes.is_main:
            best = state.best_model_checkpoint if args.load_best_model_at_end or args.save_strategy == "best" else None
            checkpointing.remove_outdated(output, args.save_total_limit, newest, best)
        self.fire("on_save")

    def load_best(self) -> None:
        """The weights of the best evaluation, into the model."""
        best = self.state.best_model_checkpoint
        if best is None or not Path(best).is_dir():
            notice("load_best_model_at_end: there was no evaluation, so the weights are those of the last step.")
            return
        checkpointing.read_weights(self, Path(best))

    def restore_callbacks(self) -> None:
        """Give callbacks the state that the checkpoint kept."""
        for name, kept in self.state.stateful_callbacks.items():
            states = kept if isinstance(kept, list) else [kept]
            there = [callback for callback in self.callbacks.list if type(callback).__name__ == name]
            for callback, state in zip(there, states, strict=False):
                vars(callback).update(state["attributes"])
                if self.args.restore_callback_states_from_checkpoint:
                    vars(callback).update(state["args"])
            if name == EarlyStoppingCallback.__name__ and self.args.restore_callback_states_from_checkpoint:
                for state in states[len(there) :]:
                    self.add_callback(EarlyStoppingCallback.from_state(state))

    def save_model(self, output_dir: str | Path | None = None, _internal_call: bool = False) -> None:
        """Model and tokenizer in `output_dir` (by default that of the arguments), as `from_pretrained` reads them."""
        weights = self.processes.weights(self.model)
        if self.processes.is_main:
            saving.save_model(Path(output_dir or self.args.output_dir), self.model, self.processing_class, weights)

    def save_state(self) -> None:
        """`trainer_state.json` in the output folder."""
        if self.processes.is_main:
            self.state.save_to_json(str(Path(self.args.output_dir) / "trainer_state.json"))

    def create_model_card(
        self,
        language: str | Sequence[str] | None = None,
        license: str | None = None,  # noqa: A002  the key's name in every card
        tags: str | Sequence[str] = (),
        model_name: str | None = None,
        finetuned_from: str | None = None,
        tasks: str | Sequence[str] | None = None,
        dataset_tags: str | Sequence[str] | None = None,
        dataset: str | Sequence[str] | None = None,
        dataset_args: str | Sequence[str] | None = None,
        *,
        folder: str | Path | None = None,
    ) -> None:
        """Write README.md: what the model is, its metrics, how it was trained, how to use it; and its curve.

        Into the output folder, or another one. Of a README.md that is there, what people wrote stays.
        """
        target = Path(folder or self.args.output_dir)
        target.mkdir(parents=True, exist_ok=True)
        latest = {name: value for entry in self.state.log_history for name, value in entry.items()}
        card = model_card(
            name=model_name or self.args.hub_model_id or Path(self.args.output_dir).resolve().name,
            model=self.model,
            args=self.args,
            state=self.state,
            metrics={name: value for name, value in latest.items() if name.startswith("eval_")},
            tags=[*([tags] if isinstance(tags, str) else tags), *([tasks] if isinstance(tasks, str) else tasks or ())],
            curve=self._drawn(target / "curve.png"),
            language=language,
            license=license,
            base_model=finetuned_from,
            dataset_name=dataset or dataset_tags,
        )
        write_card(target, card)

    def _drawn(self, path: Path) -> bool:
        """Whether there is a picture of the training at `path` now; without matplotlib there is none."""
        try:
            return draw_curve(self.state.log_history, path) is not None
        except InputError:
            return False

    def to_script(self, path: str | Path) -> Path:
        """Write what `train()` would do now as a plain PyTorch program, with its data in a folder beside it.

        It trains without a Trainer, every step to be read from top to bottom, and ends with the same weights. What
        cannot be written out (overridden methods, callbacks of your own, …) is an InputError that lists all of it.
        """
        from madang.training.script import write_script

        return write_script(self, path)

    def push_to_hub(
        self,
        repo_id: str | None = None,
        *,
        commit_message: str = "End of training",
        private: bool | None = None,
        token: str | bool | None = None,
        revision: str | None = None,
        create_pr: bool = False,
        **card: Any,
    ) -> str:
        """Upload model, tokenizer and card as one commit, say to which repository, and return the commit's address.

        The first argument is the repository, "owner/name"; anything else there is taken as the commit message, and the
        repository is `hub_model_id` of the arguments, or called like `output_dir`. `card`: as `create_model_card`. Of
        several processes all call it, the main one uploads, and the others get "".
        """
        if repo_id is not None and not _REPOSITORY.match(repo_id):
            commit_message, repo_id = repo_id, None
        repository = repo_id or self.args.hub_model_id or Path(self.args.output_dir).resolve().name
        weights = self.processes.weights(self.model)
        if not self.processes.is_main:
            return ""
        self.fire("on_push_begin")
        address = client.push_saved(
            lambda folder: self._save_with_card(folder, {"model_name": repository, **card}, weights),
            repository,
            commit_message=commit_message,
            private=private if private is not None else self.args.hub_private_repo,
            token=token if token is not None else self.args.hub_token,
            revision=revision if revision is not None else self.args.hub_revision,
            create_pr=create_pr,
        )
        sys.stdout.write(f"The model is now in the repository {repository}: {address}\n")
        return address

    def _save_with_card(self, folder: Path, card: dict[str, Any], weights: saving.Weights) -> None:
        saving.save_model(folder, self.model, self.processing_class, weights)
        own = Path(self.args.output_dir) / "README.md"
        if own.is_file():  # what people wrote there goes along
            shutil.copy(own, folder / own.name)
        self.create_model_card(**card, folder=folder)

    def hyperparameter_search(
        self,
        hp_space: Callable[[Any], dict[str, Any]] | None = None,
        compute_objective: Callable[[dict[str, float]], Any] | None = None,
        n_trials: int = 20,
        direction: str | list[str] = "minimize",
        backend: str | None = "optuna",
        hp_name: Callable[[Any], str] | None = None,
        **options: Any,
    ) -> Any:
        """The best training arguments found in `n_trials` trainings, as a BestRun (run_id, objective, hyperparameters).

        `hp_space(trial)` gives the arguments of one training, `compute_objective(metrics)` what is to be minimised (or
        maximised, as `direction` says; a list of directions for several numbers). Other options go to Optuna:
        `study_name`, `storage`, `sampler`, `pruner`, `timeout`, …
        """
        if str(getattr(backend, "value", backend or "optuna")) != "optuna":
            raise unknown_name("backend of hyperparameter_search", str(backend), ["optuna"])
        return search(
            self,
            space=hp_space or default_space,
            objective=compute_objective or default_objective,
            trials=n_trials,
            direction=direction,
            name_of=hp_name,
            options=options,
        )

    # ---- inside

    def _say_what_may_surprise(self, *, resuming: bool) -> None:
        dtype = next(
            (parameter.dtype for parameter in self.model.parameters() if parameter.requires_grad), torch.float32
        )
        if dtype in (torch.bfloat16, torch.float16) and not self.args.bf16:
            notice(
                f"training in {str(dtype).removeprefix('torch.')}, because the model was loaded so: small updates are "
                "lost. Load it with dtype='float32' (and pass bf16=True for speed)."
            )
        old = checkpointing.checkpoints(Path(self.args.output_dir))
        if old and not resuming and self.args.save_strategy != "no" and not self.args.overwrite_output_dir:
            sys.stdout.write(
                f"{self.args.output_dir} already holds {old[-1].name} of an earlier run; checkpoints of the same steps "
                "will be replaced. (overwrite_output_dir=True leaves out this line.)\n"
            )
