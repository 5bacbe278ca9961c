"""What a written program cannot do, and what it leaves out because nothing learned depends on it."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from madang.training.arguments import TrainingArguments
from madang.training.callbacks import FlowCallback
from madang.training.early_stopping import EarlyStoppingCallback
from madang.training.loaders import RowLoader
from madang.training.progress import PrinterCallback, ProgressCallback
from madang.training.publish import PublishCallback
from madang.training.reports.reporter import Reporter

if TYPE_CHECKING:
    from madang.training.trainer import Trainer

# Arguments the program follows.
WRITTEN = frozenset({
    "num_train_epochs", "max_steps", "per_device_train_batch_size", "per_device_eval_batch_size",
    "gradient_accumulation_steps", "learning_rate", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon",
    "max_grad_norm", "optim", "optim_args", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_ratio",
    "warmup_steps", "label_smoothing_factor", "neftune_noise_alpha", "eval_strategy", "eval_steps",
    "eval_delay", "eval_on_start", "logging_strategy", "logging_steps", "logging_first_step",
    "load_best_model_at_end", "metric_for_best_model", "greater_is_better", "seed", "data_seed",
    "full_determinism", "bf16", "fp16", "tf32", "gradient_checkpointing", "gradient_checkpointing_kwargs",
    "torch_compile", "torch_compile_backend", "torch_compile_mode", "use_cpu", "dataloader_drop_last",
    "remove_unused_columns", "label_names", "group_by_length", "length_column_name", "prediction_loss_only",
})  # fmt: skip
# Arguments that change nothing about what is learned.
WITHOUT_EFFECT = frozenset({
    "output_dir", "overwrite_output_dir", "do_train", "do_eval", "do_predict", "log_level", "logging_dir",
    "disable_tqdm", "run_name", "report_to", "include_num_input_tokens_seen", "save_strategy", "save_steps",
    "save_total_limit", "save_only_model", "ignore_data_skip", "restore_callback_states_from_checkpoint",
    "torch_empty_cache_steps", "dataloader_num_workers", "dataloader_pin_memory",
    "dataloader_persistent_workers", "dataloader_prefetch_factor", "ddp_backend", "ddp_timeout",
    "ddp_find_unused_parameters", "ddp_bucket_cap_mb", "ddp_broadcast_buffers", "fsdp_config", "push_to_hub",
    "hub_model_id", "hub_strategy", "hub_token", "hub_private_repo", "hub_always_push", "hub_revision",
    "eval_accumulation_steps",
})  # fmt: skip
# Arguments the program has no place for, and why.
REFUSED = {
    "auto_find_batch_size": "how batches are cut depends on the memory there is",
    "fsdp": "the program runs in one process",
    "resume_from_checkpoint": "the program begins at the first step",
}
REFUSED_IN_EVALUATION = {
    "batch_eval_metrics": "the program computes metrics once, over all predictions",
    "include_for_metrics": "metrics get predictions and labels only",
    "bf16_full_eval": "the program evaluates in the precision it trains in",
    "fp16_full_eval": "the program evaluates in the precision it trains in",
}
_OURS = (FlowCallback, ProgressCallback, PrinterCallback, Reporter, PublishCallback, EarlyStoppingCallback)
_EVALUATING = {
    "evaluate",
    "predict",
    "prediction_step",
    "get_eval_dataloader",
    "get_test_dataloader",
    "names_of_metrics",
}
_SAVING = {"save_model", "save_state", "push_to_hub", "to_script", "is_world_process_zero", "is_local_process_zero"}


def problems(trainer: "Trainer") -> list[str]:
    """Everything about this trainer that a program cannot be written for, a sentence each."""
    args, found = trainer.args, []
    asked = changed(args)
    refused = REFUSED | (REFUSED_IN_EVALUATION if evaluates(trainer) else {})
    found += [f"{name}: {why}" for name, why in refused.items() if name in asked]
    found += [f"{name}(): overridden in {where}" for name, where in _overridden(trainer)]
    found += [
        f"{type(callback).__name__}: a callback of your own"
        for callback in trainer.callbacks.list
        if type(callback) not in _OURS and not isinstance(callback, Reporter)
    ]
    if sum(isinstance(callback, EarlyStoppingCallback) for callback in trainer.callbacks.list) > 1:
        found.append("EarlyStoppingCallback: there are several")
    if not any(isinstance(callback, FlowCallback) for callback in trainer.callbacks.list):
        found.append("FlowCallback: it was removed")
    if trainer.given_optimizers != (None, None):
        found.append("optimizers: objects that were made elsewhere; name one by optim or optimizer_cls_and_kwargs")
    if evaluates(trainer) and getattr(args, "predict_with_generate", False):
        found.append("predict_with_generate: the program evaluates by the loss and by logits")
    if trainer.processes.count > 1:
        found.append(f"{trainer.processes.count} processes: the program runs in one")
    return found


def of_data(loader: Any, name: str) -> list[str]:
    """The same about a dataset's batches."""
    if not isinstance(loader, RowLoader):
        return [f"{name}: it is a stream, which cannot be put beside the program; make it a Dataset"]
    if hasattr(loader.rows, "set_epoch"):
        return [f"{name}: its rows depend on the epoch"]
    kind = (getattr(loader.rows, "format", None) or {}).get("type")
    if kind == "custom":
        return [f"{name}: its rows are made by a transform when they are asked for; apply it with map()"]
    return []


def changed(args: TrainingArguments) -> set[str]:
    """The arguments that are not as they are by default."""
    usual = TrainingArguments()
    return {field.name for field in fields(usual) if getattr(args, field.name, None) != getattr(usual, field.name)}


def evaluates(trainer: "Trainer") -> bool:
    """Whether there is an evaluation on the way."""
    return trainer.args.eval_strategy != "no" or trainer.args.eval_on_start


def left_out(trainer: "Trainer") -> list[str]:
    """What the Trainer does besides, in words."""
    args, found = trainer.args, ["the progress bar and reports"]
    if args.save_strategy != "no":
        found.append("checkpoints")
    if args.push_to_hub:
        found.append("the upload to a hub")
    if args.dataloader_num_workers:
        found.append("worker processes (batches are the same without)")
    if args.include_num_input_tokens_seen != "no":
        found.append("the count of tokens")
    return found


def _overridden(trainer: "Trainer") -> list[tuple[str, str]]:
    """Methods of the Trainer that somebody else wrote, and where."""
    from madang.training.trainer import Trainer

    harmless = _SAVING | (set() if evaluates(trainer) else _EVALUATING)
    ours = {name for name in dir(Trainer) if callable(getattr(Trainer, name)) and not name.startswith("__")}
    found = []
    own = type(trainer).__mro__[: type(trainer).__mro__.index(Trainer)]
    for cls in (cls for cls in own if not cls.__module__.startswith("madang.")):
        found += [(name, cls.__name__) for name in vars(cls) if name in ours - harmless]
    return found + [(name, "this object") for name in vars(trainer) if name in ours - harmless]
