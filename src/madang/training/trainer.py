"""The familiar Trainer: it translates arguments and offers places to override; `loop.train` does the training."""

import contextlib
import functools
import inspect
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from madang.errors import InputError
from madang.notices import notice
from madang.ops.devices import best_device
from madang.training import data, loop, prediction, saving
from madang.training.arguments import TrainingArguments
from madang.training.callbacks import (
    Callbacks,
    FlowCallback,
    PrinterCallback,
    ProgressCallback,
    TrainerControl,
    TrainerState,
)
from madang.training.collate import DataCollatorWithPadding, default_data_collator
from madang.training.optimizer import make_optimizer, parameter_groups
from madang.training.results import EvalPrediction, PredictionOutput, TrainOutput
from madang.training.schedule import get_scheduler
from madang.training.seed import set_seed

_REPOSITORY = re.compile(r"^[\w.-]+/[\w.-]+$")


class Trainer:
    """Trains, evaluates and applies a model.

    >>> trainer = Trainer(model, TrainingArguments("out"), train_dataset=train, tokenizer=tokenizer)  # doctest: +SKIP
    >>> trainer.train(), trainer.evaluate(test)  # doctest: +SKIP

    Columns the model does not take are left out, `label` becomes `labels`, texts are padded batch by batch when there
    is a tokenizer. Loss and gradient are means over targets: the same for any batch size that makes the same steps.

    To change what happens, override a method: `compute_loss`, `training_step`, `prediction_step`, `create_optimizer`,
    `create_scheduler`, `get_train_dataloader`, `get_eval_dataloader`, `log`; or pass callbacks.
    """

    def __init__(
        self,
        model: nn.Module | None = None,
        args: TrainingArguments | None = None,
        data_collator: Callable[[list[Any]], Any] | None = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        tokenizer: Any = None,
        model_init: Callable[[], nn.Module] | None = None,
        compute_metrics: Callable[[EvalPrediction], Mapping[str, Any]] | None = None,
        callbacks: Iterable[Any] | None = None,
        optimizers: tuple[Any, Any] = (None, None),
        preprocess_logits_for_metrics: Callable[[Any, Any], Any] | None = None,
        *,
        processing_class: Any = None,
    ) -> None:
        self.args = args if args is not None else TrainingArguments()
        if (model is None) == (model_init is None):
            raise InputError("give either a model or model_init, a function that makes one.")
        self.processing_class = processing_class if processing_class is not None else tokenizer
        self.train_dataset, self.eval_dataset = train_dataset, eval_dataset
        self.compute_metrics, self.preprocess_logits_for_metrics = compute_metrics, preprocess_logits_for_metrics
        self.model_init = model_init
        self.optimizer, self.lr_scheduler = optimizers
        if data_collator is None:
            padding = self.processing_class is not None and hasattr(self.processing_class, "pad")
            data_collator = DataCollatorWithPadding(self.processing_class) if padding else default_data_collator
        self.data_collator = data_collator
        self.device = self._choose_device()
        if model_init is not None:
            set_seed(self.args.seed)
            model = model_init()
        assert model is not None
        self.model: Any = model.to(self.device)
        self.label_names = data.label_names(self.model, self.args.label_names)

        self.state = TrainerState(run_name=self.args.run_name, train_batch_size=self.args.per_device_train_batch_size)
        self.control = TrainerControl()
        self.meter = loop.Meter()
        self.gradient_norm: Tensor | None = None
        self._step_targets: int | None = None
        progress = PrinterCallback if self.args.disable_tqdm else ProgressCallback
        self.callbacks = Callbacks([FlowCallback, *(callbacks or ()), progress])
        self.fire("on_init_end")

    @property
    def tokenizer(self) -> Any:
        """The older name of `processing_class`."""
        return self.processing_class

    # ---- training

    def train(self, resume_from_checkpoint: str | bool | None = None) -> TrainOutput:
        """Train as the arguments say; returns (global_step, training_loss, metrics)."""
        if resume_from_checkpoint:
            raise InputError(
                "this version cannot resume: its checkpoints hold the model, but not the optimizer's state. To train "
                "on from the weights alone, load the model from a checkpoint's folder with from_pretrained."
            )
        set_seed(self.args.seed)
        if self.model_init is not None:
            self.model = self.model_init().to(self.device)
            self.optimizer = self.lr_scheduler = None
        self._say_what_may_surprise()
        batches = self.get_train_dataloader()
        plan = loop.Plan.of(self.args, batches)
        self.state = TrainerState(
            max_steps=plan.steps,
            num_train_epochs=plan.epochs,
            train_batch_size=self.args.per_device_train_batch_size,
            run_name=self.args.run_name,
        )
        vars(self.control).update(vars(TrainerControl()))
        self.meter = loop.Meter()
        if self.args.gradient_checkpointing:
            self._checkpoint_gradients()
        self.create_optimizer_and_scheduler(plan.steps)
        self._train_batches = batches
        result = loop.train(self, batches, plan)
        if self.args.push_to_hub:
            self.push_to_hub()
        return result

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: int | None = None) -> Tensor:
        """Forward and backward of one micro-batch; returns its share of the step's loss.

        `num_items_in_batch` is the number of targets in all micro-batches of this optimizer step.
        """
        model.train()
        inputs = self.prepare_inputs(inputs)
        targets = num_items_in_batch if num_items_in_batch is not None else self._step_targets
        with self.autocast():
            if targets is None:
                loss = self.compute_loss(model, inputs)
            elif _takes(self.compute_loss, "num_items_in_batch"):
                loss = self.compute_loss(model, inputs, num_items_in_batch=targets)
            else:  # an override that gives the mean of its own micro-batch
                loss = self.compute_loss(model, inputs) * (self.count_targets([inputs]) / targets)
        loss.backward()
        detached: Tensor = loss.detach()
        return detached

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: int | None = None
    ) -> Any:
        """The loss of a batch, or (loss, outputs).

        With `num_items_in_batch` it is the sum over this batch's targets divided by that number; without, the mean over
        its own. An override that takes the argument must do the same; one that does not gets it done for it.
        """
        counts = num_items_in_batch is not None and callable(getattr(model, "count_targets", None))
        outputs = model(**inputs, num_items_in_batch=num_items_in_batch) if counts else model(**inputs)
        loss = prediction.loss_of(outputs, inputs, model)
        if num_items_in_batch is not None and not counts:
            loss = loss * (self.count_targets([inputs]) / num_items_in_batch)
        return (loss, outputs) if return_outputs else loss

    def call_training_step(self, model: Any, inputs: dict[str, Any], targets: int) -> Tensor:
        """`training_step`, with the number of targets where it (perhaps an older override) takes it."""
        self._step_targets = max(1, targets)
        if _takes(self.training_step, "num_items_in_batch"):
            return self.training_step(model, inputs, num_items_in_batch=self._step_targets)
        return self.training_step(model, inputs)

    def count_targets(self, batches: Iterable[Any]) -> int:
        """How many targets the loss of these batches averages over: the model counts, or else examples do."""
        count = getattr(self.model, "count_targets", None)
        total = 0
        for batch in batches:
            labelled = isinstance(batch, Mapping) and any(batch.get(name) is not None for name in self.label_names)
            total += int(count(batch)) if count is not None and labelled else prediction.batch_size(batch)
        return total

    def check_loss(self, loss: Tensor) -> None:
        """Stop before a loss that is no number spoils the weights (on the CPU, where looking costs nothing)."""
        if loss.device.type == "cpu" and not torch.isfinite(loss):
            raise InputError(
                f"the loss became {float(loss)} at step {self.state.global_step + 1}; the weights are those of the "
                "step before. Lower learning_rate, or look for labels or weights that are not finite."
            )

    def clip_gradients(self) -> Tensor | None:
        """Shorten the gradient to `max_grad_norm`; returns how long it was."""
        if not self.args.max_grad_norm:
            return None
        return nn.utils.clip_grad_norm_(self.model.parameters(), self.args.max_grad_norm)

    def create_optimizer_and_scheduler(self, num_training_steps: int) -> None:
        """Both, where the trainer was not given them."""
        self.create_optimizer()
        self.create_scheduler(num_training_steps, self.optimizer)

    def create_optimizer(self, model: Any = None) -> Any:
        """The optimizer that `optim` names, with weight decay on matrices only."""
        if self.optimizer is None:
            args = self.args
            groups = parameter_groups(model if model is not None else self.model, args.weight_decay)
            if not groups:
                raise InputError(
                    f"{type(self.model).__name__} has no parameter that requires a gradient: nothing to train."
                )
            betas = (args.adam_beta1, args.adam_beta2)
            self.optimizer = make_optimizer(args.optim, groups, args.learning_rate, betas, args.adam_epsilon)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The learning rate's schedule that `lr_scheduler_type` names."""
        if self.lr_scheduler is None:
            self.lr_scheduler = get_scheduler(
                self.args.lr_scheduler_type,
                optimizer if optimizer is not None else self.optimizer,
                num_warmup_steps=self.args.get_warmup_steps(num_training_steps),
                num_training_steps=num_training_steps,
            )
        return self.lr_scheduler

    # ---- evaluating

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Loss, metrics and speed on a dataset (`eval_dataset` of the trainer when not given); logged and returned.

        A dict of datasets is evaluated one by one, under `<prefix>_<name>_…`.
        """
        dataset = eval_dataset if eval_dataset is not None else self.eval_dataset
        if isinstance(dataset, dict):
            results: dict[str, float] = {}
            for name, part in dataset.items():
                results.update(self.evaluate(part, ignore_keys, f"{metric_key_prefix}_{name}"))
            return results
        began = time.perf_counter()
        batches = self.get_eval_dataloader(dataset)
        passed = prediction.go_through(self, batches, keep=self.compute_metrics is not None)
        metrics = self._metrics(passed, began, metric_key_prefix)
        self.log(dict(metrics))
        metrics["epoch"] = self.state.epoch
        self.fire("on_evaluate", metrics=metrics, eval_dataloader=batches)
        return metrics

    def predict(
        self, test_dataset: Any, ignore_keys: list[str] | None = None, metric_key_prefix: str = "test"
    ) -> PredictionOutput:
        """(predictions, label_ids, metrics) for every row, in order; label_ids is None where there are none."""
        began = time.perf_counter()
        batches = self.get_test_dataloader(test_dataset)
        passed = prediction.go_through(self, batches, keep=True)
        metrics = self._metrics(passed, began, metric_key_prefix)
        self.fire("on_predict", metrics=metrics, eval_dataloader=batches)
        return PredictionOutput(passed.predictions, passed.labels, metrics)

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[Tensor | None, Any, Any]:
        """(loss, logits, labels) of one batch; each None where there is none or it is not asked for."""
        inputs = self.prepare_inputs(inputs)
        labels = [inputs[name] for name in self.label_names if inputs.get(name) is not None]
        loss = None
        with torch.no_grad(), self.autocast():
            if labels:
                loss, outputs = self.compute_loss(model, inputs, return_outputs=True)
            else:
                outputs = model(**inputs)
        if prediction_loss_only:
            return loss, None, None
        logits = prediction.predictions_of(outputs, after_loss=bool(labels))
        return loss, logits, labels[0] if len(labels) == 1 else (tuple(labels) or None)

    def _metrics(self, passed: prediction.Passed, began: float, prefix: str) -> dict[str, float]:
        metrics: dict[str, float] = {}
        if passed.loss is not None:
            metrics[f"{prefix}_loss"] = passed.loss
        if self.compute_metrics is not None and passed.predictions is not None and passed.labels is not None:
            computed = self.compute_metrics(EvalPrediction(passed.predictions, passed.labels))
            for name, value in computed.items():
                plain = value.item() if hasattr(value, "item") and getattr(value, "size", 1) == 1 else value
                metrics[name if name.startswith(f"{prefix}_") else f"{prefix}_{name}"] = plain
        return metrics | loop.speed(prefix, began, passed.examples, passed.batches)

    # ---- data

    def get_train_dataloader(self) -> Any:
        """Batches to train on, in an order that the seed and the epoch decide."""
        if self.train_dataset is None:
            raise InputError("training needs train_dataset.")
        dataset, args = self.train_dataset, self.args
        seed = args.seed if args.data_seed is None else args.data_seed
        sampler = None
        if hasattr(dataset, "__len__"):
            if len(dataset) == 0:
                raise InputError("train_dataset is empty.")
            lengths = data.text_lengths(dataset) if args.group_by_length else None
            sampler = data.EpochSampler(len(dataset), seed, args.per_device_train_batch_size, lengths)
        return self._loader(dataset, args.per_device_train_batch_size, sampler, args.dataloader_drop_last)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """Batches to evaluate, in order."""
        dataset = eval_dataset if eval_dataset is not None else self.eval_dataset
        if dataset is None:
            raise InputError("evaluating needs a dataset: pass one to evaluate(), or eval_dataset= to the Trainer.")
        return self._loader(dataset, self.args.per_device_eval_batch_size)

    def get_test_dataloader(self, test_dataset: Any) -> Any:
        """Batches to predict, in order."""
        return self._loader(test_dataset, self.args.per_device_eval_batch_size)

    def _loader(self, dataset: Any, batch_size: int, sampler: Any = None, drop_last: bool = False) -> Any:
        return data.loader(
            dataset,
            self.data_collator,
            batch_size=batch_size,
            model=self.model,
            labels=self.label_names,
            drop_unused=self.args.remove_unused_columns,
            sampler=sampler,
            drop_last=drop_last,
            workers=int(self.args.dataloader_num_workers),
            seed=self.args.seed,
        )

    def prepare_inputs(self, inputs: Any) -> Any:
        """A batch on the model's device, its labels under the name the model takes.

        Of what tokenizers add unasked (masks, types), a model gets what it takes.
        """
        inputs = _moved(inputs, self.device)
        if isinstance(inputs, dict):
            for other in ("label", "label_ids"):  # from collators of the user's own
                if other in inputs and "labels" in self.label_names and "labels" not in inputs:
                    inputs["labels"] = inputs.pop(other)
            taken = data.input_names(self.model)
            if taken is not None and self.args.remove_unused_columns:
                for name in ("attention_mask", "token_type_ids", "special_tokens_mask"):
                    if name not in taken:
                        inputs.pop(name, None)
        return inputs

    # ---- saving and telling

    def log(self, logs: dict[str, Any], start_time: float | None = None) -> None:
        """Keep numbers in `state.log_history`, with epoch and step, and tell the callbacks."""
        logs = {**logs, "epoch": self.state.epoch}
        self.state.log_history.append({**logs, "step": self.state.global_step})
        self.fire("on_log", logs=logs)

    def log_evaluate_save(self) -> None:
        """Do what the flags of `control` ask for, and clear them."""
        control = self.control
        if control.should_log and (mean := self.meter.recent_mean()) is not None:
            logs = {"loss": mean, "learning_rate": self.lr_scheduler.get_last_lr()[0]}
            if self.gradient_norm is not None:
                logs["grad_norm"] = float(self.gradient_norm)
            self.meter.restart()
            self.log(logs)
        if control.should_evaluate:
            self.evaluate()
        if control.should_save:
            saving.save_checkpoint(self)
            self.fire("on_save")
        control.should_log = control.should_evaluate = control.should_save = False

    def save_model(self, output_dir: str | Path | None = None) -> None:
        """Model and tokenizer in `output_dir` (by default that of the arguments), as `from_pretrained` reads them."""
        saving.save_model(Path(output_dir or self.args.output_dir), self.model, self.processing_class)

    def push_to_hub(
        self,
        repo_id: str | None = None,
        *,
        commit_message: str = "End of training",
        private: bool | None = None,
        token: str | bool | None = None,
        revision: str | None = None,
        create_pr: bool = False,
    ) -> str:
        """Upload model and tokenizer as one commit, say to which repository, and return the commit's address.

        The first argument is the repository, "owner/name"; anything else there is taken as the commit message, and the
        repository is `hub_model_id` of the arguments, or called like `output_dir`.
        """
        if repo_id is not None and not _REPOSITORY.match(repo_id):
            commit_message, repo_id = repo_id, None
        repository = repo_id or self.args.hub_model_id or Path(self.args.output_dir).resolve().name
        from madang.client import push_saved

        self.fire("on_push_begin")
        address = push_saved(
            lambda folder: saving.save_model(folder, self.model, self.processing_class),
            repository,
            commit_message=commit_message,
            private=private,
            token=token,
            revision=revision,
            create_pr=create_pr,
        )
        sys.stdout.write(f"The model is now in the repository {repository}: {address}\n")
        return address

    def fire(self, event: str, **told: Any) -> None:
        """Call an event of all callbacks."""
        told.setdefault("eval_dataloader", None)
        self.callbacks.fire(
            event,
            self.args,
            self.state,
            self.control,
            model=self.model,
            tokenizer=self.processing_class,
            processing_class=self.processing_class,
            optimizer=self.optimizer,
            lr_scheduler=self.lr_scheduler,
            train_dataloader=getattr(self, "_train_batches", None),
            meter=self.meter,
            **told,
        )

    def add_callback(self, callback: Any) -> None:
        """Add a callback, or an instance of a callback class."""
        self.callbacks.add(callback)

    def remove_callback(self, callback: Any) -> None:
        """Take out a callback, or the first of a class."""
        self.callbacks.remove(callback)

    def pop_callback(self, callback: Any) -> Any:
        """Like `remove_callback`, and return it."""
        return self.callbacks.remove(callback)

    # ---- inside

    def autocast(self) -> Any:
        """Where bfloat16 is used, as `bf16` says."""
        if not self.args.bf16:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def _choose_device(self) -> torch.device:
        return torch.device("cpu") if self.args.use_cpu else best_device()

    def _checkpoint_gradients(self) -> None:
        enable = getattr(self.model, "gradient_checkpointing_enable", None)
        if enable is None:
            raise InputError(
                f"gradient_checkpointing=True, but {type(self.model).__name__} has no gradient_checkpointing_enable()."
            )
        enable()

    def _say_what_may_surprise(self) -> None:
        dtype = next(
            (parameter.dtype for parameter in self.model.parameters() if parameter.requires_grad), torch.float32
        )
        if dtype in (torch.bfloat16, torch.float16) and not self.args.bf16:
            notice(
                f"training in {str(dtype).removeprefix('torch.')}, because the model was loaded so: small updates are "
                "lost. Load it with dtype='float32' (and pass bf16=True for speed)."
            )
        old = saving.checkpoints(Path(self.args.output_dir))
        if old and self.args.save_strategy != "no" and not self.args.overwrite_output_dir:
            sys.stdout.write(
                f"{self.args.output_dir} already holds {old[-1].name} of an earlier run; checkpoints of the same steps "
                "will be replaced. (overwrite_output_dir=True leaves out this line.)\n"
            )


def _moved(inputs: Any, device: torch.device) -> Any:
    if isinstance(inputs, Tensor):
        return inputs.to(device, non_blocking=True)
    if isinstance(inputs, Mapping):
        return {name: _moved(value, device) for name, value in inputs.items()}
    if isinstance(inputs, (list, tuple)):
        return type(inputs)(_moved(value, device) for value in inputs)
    return inputs


def _takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a function has a parameter of that name, or takes any."""
    return _declares(getattr(function, "__func__", function), name)


@functools.cache
def _declares(function: Callable[..., Any], name: str) -> bool:
    parameters = inspect.signature(function).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
