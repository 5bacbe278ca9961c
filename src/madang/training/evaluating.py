"""Evaluating and predicting: going through a dataset without learning."""

import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from madang.errors import InputError, WrongTypeError, unknown_name
from madang.training import loop, prediction
from madang.training.callbacks import Callbacks
from madang.training.gathered import IGNORED
from madang.training.loaders import length_of
from madang.training.results import EvalLoopOutput, PredictionOutput
from madang.training.scoring import AllAtOnce, Rows, named, streaming, wants_classes
from madang.training.seed import chance, restore_chance
from madang.training.setup import Setup

EVALUATION, PREDICTION = "Evaluation", "Prediction"


class Evaluating(Setup):
    """What a trainer does with a model that is not learning."""

    prediction_filler = IGNORED
    """What fills up predictions of batches that are shorter than others."""

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Loss, metrics and speed on a dataset (`eval_dataset` of the trainer when not given); logged and returned.

        A dict of datasets (a DatasetDict is one) is evaluated one by one, under `<prefix>_<name>_…`; a text names one
        of the trainer's.
        """
        dataset = self._dataset_to_evaluate(eval_dataset)
        if isinstance(dataset, Mapping):
            results: dict[str, float] = {}
            for name, part in dataset.items():
                results.update(self.evaluate(part, ignore_keys, f"{metric_key_prefix}_{name}"))
            return results
        began = time.perf_counter()
        batches = self.get_eval_dataloader(dataset)
        output = self._evaluation(batches, ignore_keys, metric_key_prefix)
        metrics = self._with_speed(output, batches, began, metric_key_prefix)
        self.log(dict(metrics))
        metrics["epoch"] = self.state.epoch
        self.fire("on_evaluate", metrics=metrics, eval_dataloader=batches)
        return metrics

    def predict(
        self, test_dataset: Any, ignore_keys: list[str] | None = None, metric_key_prefix: str = "test"
    ) -> PredictionOutput:
        """(predictions, label_ids, metrics) for every row, in order; label_ids is None where there are none.

        Predictions that are large lie in a temporary file, not in memory: they are a np.memmap then.
        """
        began = time.perf_counter()
        batches = self.get_test_dataloader(test_dataset)
        output = self.evaluation_loop(batches, PREDICTION, ignore_keys=ignore_keys, metric_key_prefix=metric_key_prefix)
        metrics = self._with_speed(output, batches, began, metric_key_prefix)
        self.fire("on_predict", metrics=metrics, eval_dataloader=batches)
        return PredictionOutput(output.predictions, output.label_ids, metrics)

    def _evaluation(self, batches: Any, ignore_keys: list[str] | None, prefix: str) -> EvalLoopOutput:
        # without a function that asks for them, no prediction needs to be kept
        loss_only = True if self.compute_metrics is None else None
        return self.evaluation_loop(batches, EVALUATION, loss_only, ignore_keys, prefix)

    def evaluation_loop(
        self,
        dataloader: Any,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """Go through the batches: (predictions, label_ids, metrics, num_samples). `evaluate` and `predict` use it.

        `prediction_loss_only`: nothing but the loss (None: as the arguments say). An "Evaluation", unlike a
        "Prediction", needs predictions for `compute_metrics` alone; where that adds up by itself, none are kept.
        """
        args, compute = self.args, self.compute_metrics
        loss_only = args.prediction_loss_only if prediction_loss_only is None else prediction_loss_only
        adding = None if loss_only else streaming(compute, by_batch=args.batch_eval_metrics)
        for_metrics = compute is not None and description == EVALUATION
        keeps = not loss_only and (self.processes.is_main and adding is None if for_metrics else True)
        kept = AllAtOnce(self.prediction_filler) if keeps else None
        receivers: list[Any] = [each for each in (adding if self.processes.is_main else None, kept) if each is not None]
        with prediction.in_precision(self.model, self.evaluation_dtype):
            passed = prediction.go_through(
                self,
                dataloader,
                None if loss_only else receivers,
                ignore_keys=ignore_keys,
                needs_labels=for_metrics and not loss_only,
                # less to take from the device, when nobody else wants the logits
                only_classes=adding is not None and kept is None and self.wants_classes,
            )
        metrics: dict[str, Any] = {} if passed.loss is None else {f"{metric_key_prefix}_loss": passed.loss}
        if compute is not None and not loss_only and passed.labelled:
            if adding is not None:
                metrics |= self._on_main(lambda: named(adding.computed(), metric_key_prefix))
            else:
                metrics |= self._on_main(lambda: named(kept.computed(compute), metric_key_prefix))  # type: ignore[union-attr]
        rows = Rows(None, None) if kept is None else kept.rows()
        return EvalLoopOutput(rows.predictions, rows.labels, metrics, passed.examples)

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[Tensor | None, Any, Any]:
        """(loss, logits, labels) of one batch; each None where there is none or it is not asked for."""
        counted = self._counted(inputs)
        inputs = self._in_evaluation_precision(self.prepare_inputs(inputs))
        labels = [inputs[name] for name in self.label_names if inputs.get(name) is not None]
        loss = None
        with torch.no_grad(), self.autocast():
            if labels:
                loss, outputs = self.compute_loss(model, inputs, return_outputs=True, **counted)
            else:
                outputs = model(**inputs)
                if isinstance(outputs, Mapping) and isinstance(outputs.get("loss"), Tensor):
                    loss = outputs["loss"]  # of a model that learns without labels
        if prediction_loss_only:
            return loss, None, None
        if ignore_keys is None:
            ignore_keys = getattr(getattr(self.model, "config", None), "keys_to_ignore_at_inference", None)
        logits = prediction.predictions_of(outputs, after_loss=bool(labels), ignore_keys=ignore_keys)
        return loss, logits, labels[0] if len(labels) == 1 else (tuple(labels) or None)

    @property
    def wants_classes(self) -> bool:
        """Whether the most likely class is all that `compute_metrics` asks of the logits."""
        return wants_classes(self.compute_metrics)

    @property
    def evaluation_dtype(self) -> torch.dtype | None:
        """What `bf16_full_eval` and `fp16_full_eval` make of the weights; None leaves them."""
        if not (self.args.bf16_full_eval or self.args.fp16_full_eval):
            return None
        if self.args.fsdp:
            raise InputError(
                "bf16_full_eval and fp16_full_eval do not go with fsdp, whose weights are spread; use bf16."
            )
        return torch.bfloat16 if self.args.bf16_full_eval else torch.float16

    def _in_evaluation_precision(self, inputs: Any) -> Any:
        """Images and sounds as the weights are, labels as they came."""
        dtype = self.evaluation_dtype
        if dtype is None:
            return inputs
        return {
            name: value.to(dtype)
            if isinstance(value, Tensor) and value.is_floating_point() and name not in self.label_names
            else value
            for name, value in inputs.items()
        }

    def _counted(self, inputs: Any) -> dict[str, Any]:
        """The number of targets for a `compute_loss_func`: on a GPU, counting there would make the loop wait."""
        if (
            self.compute_loss_func is None
            or "num_items_in_batch" not in inspect.signature(self.compute_loss).parameters
        ):
            return {}
        return {"num_items_in_batch": max(1, self.count_targets([inputs]))}

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The loss of a batch, or (loss, outputs).

        With `num_items_in_batch` it is the sum over this batch's targets divided by that number; without, the mean over
        its own. An override that takes the argument must do the same; one that does not gets it done for it.
        """
        if not isinstance(inputs, Mapping):
            raise WrongTypeError(
                f"the data_collator made a {type(inputs).__name__}; expected a dict of tensors under the names of the "
                "model's inputs. For batches of another kind, override compute_loss."
            )
        if self.compute_loss_func is not None:
            return self._given_loss(model, inputs, return_outputs, num_items_in_batch)
        counts = num_items_in_batch is not None and callable(getattr(self.model, "count_targets", None))
        outputs = model(**inputs, num_items_in_batch=num_items_in_batch) if counts else model(**inputs)
        loss = prediction.loss_of(outputs, inputs, self.model)
        if num_items_in_batch is not None and not counts:
            loss = loss * (self.count_targets([inputs]) / num_items_in_batch)
        return (loss, outputs) if return_outputs else loss

    def _given_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool, targets: Any) -> Any:
        """`compute_loss_func(outputs, labels, num_items_in_batch)`: the function divides by the number of targets."""
        assert self.compute_loss_func is not None
        labels = [inputs[name] for name in self.label_names if inputs.get(name) is not None]
        without = {name: value for name, value in inputs.items() if name not in self.label_names}
        # an encoder-decoder makes its decoder's input of the labels
        decodes = "decoder_input_ids" in (getattr(self.model, "input_names", None) or ())
        outputs = model(**(inputs if decodes else without))
        if targets is None:
            targets = self.count_targets([inputs])
        loss = self.compute_loss_func(
            outputs, labels[0] if len(labels) == 1 else tuple(labels), num_items_in_batch=targets
        )
        return (loss, outputs) if return_outputs else loss

    def names_of_metrics(self) -> set[str] | None:
        """The names that `evaluate` will give, found by evaluating the first batch of each dataset in silence.

        None where a subclass has an `evaluate` of its own: only calling it would tell. Neither chance nor the model's
        mode are changed. An error of `compute_metrics` is raised here, before time is spent.
        """
        if not type(self).evaluate.__module__.startswith("madang."):
            return None
        dataset = self._dataset_to_evaluate(None)
        names: set[str] = set()
        for name, part in dataset.items() if isinstance(dataset, Mapping) else [("", dataset)]:
            prefix = f"eval_{name}" if name else "eval"
            with self._trying():
                output = self._evaluation(prediction.FirstBatch(self.get_eval_dataloader(part)), None, prefix)
            names |= {*(output.metrics or {}), *loop.speed(prefix, time.perf_counter() - 1, 1, 1)}
        return names

    @contextmanager
    def _trying(self) -> Iterator[None]:
        """Inside, nobody is told anything; afterwards everything is as it was."""
        random, callbacks, history = chance(), self.callbacks, len(self.state.log_history)
        modes = [(module, module.training) for module in self.model.modules()]
        self.callbacks = Callbacks([])
        try:
            yield
        except Exception as error:
            error.add_note(
                "This happened before training: the first batch of the evaluation data was tried, to see which numbers "
                "evaluating gives."
            )
            raise
        finally:
            self.callbacks = callbacks
            del self.state.log_history[history:]
            for module, mode in modes:
                module.training = mode
            restore_chance(random)

    def _dataset_to_evaluate(self, given: Any) -> Any:
        dataset = given if given is not None else self.eval_dataset
        if not isinstance(dataset, str):
            return dataset
        if not isinstance(self.eval_dataset, Mapping):
            raise InputError(
                f"evaluate({dataset!r}) names one of several datasets, but the Trainer's eval_dataset is no dict."
            )
        if dataset not in self.eval_dataset:
            raise unknown_name("evaluation dataset", dataset, self.eval_dataset)
        return self.eval_dataset[dataset]

    def _with_speed(self, output: EvalLoopOutput, batches: Any, began: float, prefix: str) -> dict[str, Any]:
        """The metrics and how quick all processes were together; the same dict for each of them."""
        examples = output.num_samples or 0
        together = self.args.per_device_eval_batch_size * self.processes.count
        steps = length_of(batches) or -(-examples // together)
        metrics: dict[str, Any] = {**(output.metrics or {}), **loop.speed(prefix, began, examples, steps)}
        return dict(self.processes.told(metrics))

    def _on_main(self, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What the main process computes; where it fails there, all stop."""
        found, failure = None, None
        if self.processes.is_main:
            try:
                found = compute()
            except Exception as error:
                failure = error
        found, failed = self.processes.told((found, failure is not None))
        if failure is not None:
            raise failure
        if failed:
            raise InputError("compute_metrics failed on the main process, which says why.")
        return dict(found or {})
