"""What a trainer is given, and what is chosen for it where nothing was given: model, device, batches, callbacks."""

import contextlib
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.utils.data import SequentialSampler

from madang.errors import InputError, unknown_name
from madang.ops.devices import best_device
from madang.ops.packing import mask_on
from madang.training import columns, loop, prediction
from madang.training.arguments import TrainingArguments
from madang.training.callbacks import Callbacks, FlowCallback, TrainerControl, TrainerState
from madang.training.collate import DataCollatorWithPadding, default_data_collator
from madang.training.distributed import Processes
from madang.training.loaders import RowLoader, Spare, StreamLoader
from madang.training.order import EpochSampler, Picks, text_lengths
from madang.training.parts import check_dataset, check_parts
from madang.training.progress import PrinterCallback, ProgressCallback
from madang.training.publish import PublishCallback
from madang.training.reports import reporters
from madang.training.seed import set_seed

_MASKS = ("attention_mask", "decoder_attention_mask")

if TYPE_CHECKING:
    from madang.training.trainer import Trainer


class Setup:
    """The parts of a trainer, and the batches that its datasets become."""

    def __init__(
        self,
        model: nn.Module | None = None,
        args: TrainingArguments | None = None,
        data_collator: Callable[[list[Any]], Any] | None = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        tokenizer: Any = None,
        model_init: Callable[..., nn.Module] | None = None,
        compute_metrics: Callable[..., Mapping[str, Any]] | None = None,
        callbacks: Iterable[Any] | None = None,
        optimizers: tuple[Any, Any] = (None, None),
        preprocess_logits_for_metrics: Callable[[Any, Any], Any] | None = None,
        *,
        processing_class: Any = None,
        compute_loss_func: Callable[..., Tensor] | None = None,
        optimizer_cls_and_kwargs: tuple[type, dict[str, Any]] | None = None,
        **unknown: Any,
    ) -> None:
        for name in unknown:
            raise unknown_name(f"argument of {type(self).__name__}", name, inspect.signature(Setup).parameters)
        check_parts(model, args, data_collator, compute_metrics, callbacks)
        self.args = args if args is not None else TrainingArguments()
        if self.args.log_level != "passive":
            logging.getLogger("madang").setLevel(self.args.log_level.upper())
        if (model is None) == (model_init is None):
            raise InputError("give either a model or model_init, a function that makes one.")
        self.processing_class = processing_class if processing_class is not None else tokenizer
        self.train_dataset, self.eval_dataset = train_dataset, eval_dataset
        self.compute_metrics, self.preprocess_logits_for_metrics = compute_metrics, preprocess_logits_for_metrics
        self.compute_loss_func, self.optimizer_cls_and_kwargs = compute_loss_func, optimizer_cls_and_kwargs
        self.given_optimizers = optimizers
        self.optimizer, self.lr_scheduler = optimizers
        if data_collator is None:
            padding = self.processing_class is not None and hasattr(self.processing_class, "pad")
            data_collator = DataCollatorWithPadding(self.processing_class) if padding else default_data_collator
        self.data_collator = data_collator
        self.processes = Processes(self.args, torch.device("cpu") if self.args.use_cpu else best_device())
        self.device = self.processes.device
        self.model_init = model_init
        self._take_model(model)

        self.state, self.control, self.meter = self.new_state(), TrainerControl(), loop.Meter()
        self.gradient_norm: Tensor | None = None
        self.train_batches: Any = None
        progress = PrinterCallback if self.args.disable_tqdm else ProgressCallback
        publishing = [PublishCallback(cast("Trainer", self))] if self.args.push_to_hub else []
        reports = reporters(self.args.report_to)
        self.callbacks = Callbacks([FlowCallback, *(callbacks or ()), *reports, *publishing, progress])
        self.fire("on_init_end")

    def _take_model(self, model: nn.Module | None, trial: Any = None) -> None:
        """The model on its device; made anew, from the seed, where there is a function that makes it."""
        if self.model_init is not None:
            set_seed(self.args.seed)
            # a function of one argument wants to know which training of a search this is
            told = (trial,) if len(inspect.signature(self.model_init).parameters) == 1 else ()
            model = self.model_init(*told)
        assert model is not None
        for parameter in model.parameters():
            # some files hold matrices turned (GPT-2's); torch's fused optimizers take their memory to be row by row
            if parameter.ndim == 2:
                parameter.data = parameter.data.contiguous()
        self.model: Any = self.processes.placed(model, self.args, self.given_optimizers[0])
        self.model_wrapped: Any = self.model
        self.label_names = columns.label_names(self.model, self.args.label_names)

    def new_state(self, **known: Any) -> TrainerState:
        """A state at the beginning of training."""
        return TrainerState(
            run_name=self.args.run_name,
            train_batch_size=self.args.per_device_train_batch_size,
            is_world_process_zero=self.processes.is_main,
            is_local_process_zero=self.processes.is_main_here,
            **known,
        )

    @property
    def tokenizer(self) -> Any:
        """The older name of `processing_class`."""
        return self.processing_class

    # ---- data

    def get_train_dataloader(self) -> Any:
        """Batches to train on, in an order that the seed and the epoch decide."""
        if self.train_dataset is None:
            raise InputError("training needs train_dataset.")
        check_dataset(self.train_dataset, "train_dataset")
        if hasattr(self.train_dataset, "__len__") and len(self.train_dataset) == 0:
            raise InputError("train_dataset is empty.")
        return self._loader(
            self.train_dataset,
            self.args.per_device_train_batch_size,
            sampler=self._get_train_sampler,
            drop_last=self.args.dataloader_drop_last,
        )

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        """In which order the rows come. People override it; any torch sampler of row numbers will do."""
        dataset = self.train_dataset if dataset is None else dataset
        lengths = text_lengths(dataset, self.args.length_column_name) if self.args.group_by_length else None
        together = self.args.per_device_train_batch_size * self.processes.count
        return EpochSampler(len(dataset), self.args.data_order_seed, together, lengths)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """Batches to evaluate, in order."""
        dataset = eval_dataset if eval_dataset is not None else self.eval_dataset
        if isinstance(dataset, str) and isinstance(self.eval_dataset, Mapping):
            dataset = self.eval_dataset[dataset]
        if dataset is None:
            raise InputError("evaluating needs a dataset: pass one to evaluate(), or eval_dataset= to the Trainer.")
        check_dataset(dataset, "eval_dataset")
        return self._loader(dataset, self.args.per_device_eval_batch_size)

    def get_test_dataloader(self, test_dataset: Any) -> Any:
        """Batches to predict, in order."""
        check_dataset(test_dataset, "test_dataset")
        return self._loader(test_dataset, self.args.per_device_eval_batch_size)

    def _loader(
        self, dataset: Any, batch_size: int, sampler: Callable[[Any], Any] = SequentialSampler, drop_last: bool = False
    ) -> Any:
        args, processes = self.args, self.processes
        source, collate = columns.prepared(
            dataset,
            self.model,
            self.data_collator,
            self.label_names,
            drop=args.remove_unused_columns,
            users=self._own_steps(),
        )
        options = {
            "num_workers": args.dataloader_num_workers,
            "persistent_workers": args.dataloader_persistent_workers,
            "prefetch_factor": args.dataloader_prefetch_factor,
            "pin_memory": args.dataloader_pin_memory and self.device.type == "cuda",
        }
        if not hasattr(source, "__len__") or not hasattr(source, "__getitem__"):
            share = processes.share_of_stream(source)
            seed = args.data_order_seed + processes.rank  # of what is drawn while batches are made
            return StreamLoader(share, collate, batch_size, seed=seed, drop_last=drop_last, **options)
        picks = Picks(
            sampler(dataset),
            batch_size,
            seed=args.data_order_seed,
            drop_last=drop_last,
            rank=processes.rank,
            processes=processes.count,
        )
        return RowLoader(source, collate, picks, **options)

    def _own_steps(self) -> list[Any]:
        """Methods that a subclass wrote itself: columns they ask the batch for are kept."""
        names = ("compute_loss", "training_step", "prediction_step", "prepare_inputs")
        return [getattr(self, name) for name in names if not getattr(type(self), name).__module__.startswith("madang.")]

    @property
    def number_of_rows(self) -> int | None:
        """How many rows there are to train on, None for streams."""
        return len(self.train_dataset) if hasattr(self.train_dataset, "__len__") else None

    @property
    def rows_per_step(self) -> int:
        """How many examples an optimizer step sees, on all processes together."""
        return self.args.per_device_train_batch_size * self.args.gradient_accumulation_steps * self.processes.count

    def prepare_inputs(self, inputs: Any) -> Any:
        """A batch on the model's device, its labels under the name the model takes.

        Of what tokenizers add unasked (masks, types), a model gets what it takes.
        """
        inputs = _moved(inputs, self.device)
        if isinstance(inputs, dict):
            for other in ("label", "label_ids"):  # from collators of the user's own
                if other in inputs and "labels" in self.label_names and "labels" not in inputs:
                    inputs["labels"] = inputs.pop(other)
            taken = columns.input_names(self.model)
            if taken is not None and self.args.remove_unused_columns:
                for name in ("attention_mask", "token_type_ids", "special_tokens_mask"):
                    if name not in taken:
                        inputs.pop(name, None)
        return inputs

    def count_targets(self, batches: Iterable[Any]) -> int:
        """How many targets the loss of these batches averages over: the model counts, or else examples do."""
        count = getattr(self.model, "count_targets", None)
        total = 0
        for batch in batches:
            if isinstance(batch, Spare):
                continue
            labelled = isinstance(batch, Mapping) and any(batch.get(name) is not None for name in self.label_names)
            total += int(count(batch)) if count is not None and labelled else prediction.batch_size(batch)
        return total

    def autocast(self) -> Any:
        """Where half precision is used, as `bf16` and `fp16` say."""
        if not self.args.bf16 and not self.args.fp16:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16 if self.args.bf16 else torch.float16)

    # ---- callbacks

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
            train_dataloader=self.train_batches,
            meter=self.meter,
            **told,
        )

    def log(self, logs: dict[str, Any], start_time: float | None = None) -> None:
        """Keep numbers in `state.log_history`, with epoch and step, and tell the callbacks."""
        logs = {**logs, "epoch": self.state.epoch}
        if self.args.include_num_input_tokens_seen != "no":
            logs["num_input_tokens_seen"] = self.state.num_input_tokens_seen
        self.state.log_history.append({**logs, "step": self.state.global_step})
        self.fire("on_log", logs=logs)

    def add_callback(self, callback: Any) -> None:
        """Add a callback, or an instance of a callback class."""
        self.callbacks.add(callback)

    def remove_callback(self, callback: Any) -> None:
        """Take out a callback, or the first of a class."""
        self.callbacks.remove(callback)

    def pop_callback(self, callback: Any) -> Any:
        """Like `remove_callback`, and return it."""
        return self.callbacks.remove(callback)

    def is_world_process_zero(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.processes.is_main

    def is_local_process_zero(self) -> bool:
        """Whether this is the first process on its machine."""
        return self.processes.is_main_here


def _moved(inputs: Any, device: torch.device) -> Any:
    if isinstance(inputs, Tensor):
        return inputs.to(device, non_blocking=True)
    if isinstance(inputs, Mapping):
        return {
            name: mask_on(device, value) if name in _MASKS and isinstance(value, Tensor) else _moved(value, device)
            for name, value in inputs.items()
        }
    if isinstance(inputs, (list, tuple)):
        return type(inputs)(_moved(value, device) for value in inputs)
    return inputs
