"""Older names of training arguments, and those whose one possible value says nothing new."""

from collections.abc import Iterable
from typing import Any

from madang.errors import InputError, unknown_name

# older name -> what it is called here; the value keeps its meaning
RENAMED = {
    "evaluation_strategy": "eval_strategy",
    "per_gpu_train_batch_size": "per_device_train_batch_size",
    "per_gpu_eval_batch_size": "per_device_eval_batch_size",
    "no_cuda": "use_cpu",
    "activation_checkpointing": "gradient_checkpointing",
    "activation_checkpointing_kwargs": "gradient_checkpointing_kwargs",
    "push_to_hub_token": "hub_token",
    "push_to_hub_model_id": "hub_model_id",
    "torchdynamo": "torch_compile_backend",
    "include_tokens_per_second": "include_num_input_tokens_seen",
}

# arguments of other releases that switch on what is always so here, or off what does not exist here: any other value
# is refused, because it would be accepted without effect
FIXED: dict[str, tuple[Any, ...]] = {
    "save_safetensors": (True,),
    "average_tokens_across_devices": (True,),
    "fp16_backend": ("auto",),
    "half_precision_backend": ("auto", "cpu_amp", "cuda_amp"),
    "fp16_opt_level": ("O1",),
    "logging_nan_inf_filter": (True, False),  # a loss that is no number ends the training here
    "skip_memory_metrics": (True,),
    "use_liger_kernel": (False,),
    "use_mps_device": (True, False),  # the best device there is is taken anyway
    "use_ipex": (False,),
    "jit_mode_eval": (False,),
    "use_legacy_prediction_loop": (False,),
    "past_index": (-1,),
    "tpu_num_cores": (None,),
    "tpu_metrics_debug": (False,),
    "debug": ("", [], None),
    "deepspeed": (None,),
    "mp_parameters": ("",),
    "ray_scope": ("last",),
    "local_rank": (-1, 0),  # torchrun tells it through the environment
    "_n_gpu": (-1, 0, 1),
    "log_level_replica": ("warning", "passive"),
    "log_on_each_node": (True, False),  # the main process alone prints
    "save_on_each_node": (False,),
    "eval_do_concat_batches": (True,),
    "eval_use_gather_object": (True, False),  # predictions of any kind are gathered
    "optim_target_modules": (None,),
    "liger_kernel_config": (None,),
    "use_cache": (False, None),
    "project": ("huggingface",),
    "trackio_space_id": (None, "trackio"),
    "trackio_bucket_id": (None,),
    "trackio_static_space_id": (None,),
    "enable_jit_checkpoint": (False,),
    "parallelism_config": (None,),
    "dataloader_multiprocessing_context": (None,),
    "dataloader_in_order": (True,),
    "ddp_static_graph": (None, False),
}
# the same for what accelerator_config holds
ACCELERATOR: dict[str, tuple[Any, ...]] = {
    "dispatch_batches": (None, False),
    "split_batches": (None, False),
    "even_batches": (True,),
    "use_seedable_sampler": (True, False),  # the order of rows depends on the seed alone, always
    "non_blocking": (True, False),  # batches are moved without waiting, always
    "gradient_accumulation_kwargs": (None,),
    "use_configured_state": (None, False),
}


def translated(given: dict[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """The arguments under today's names; two spellings that disagree, and unknown names, are errors."""
    known = list(known)
    result = dict(given)
    for old, new in RENAMED.items():
        if old in result and old not in known:
            _put(result, new, result.pop(old), old)
    _take_apart(result, known)
    for name, possible in {**FIXED, **ACCELERATOR}.items():
        if name in result and name not in known and (value := result.pop(name)) not in possible:
            raise InputError(
                f"{name}={value!r} would have no effect here; leave it out"
                f"{f' (only {possible[0]!r} is what happens)' if possible[0] not in (None, '', False) else ''}."
            )
    for name in result:
        if name not in known:
            raise unknown_name("training argument", name, [*known, *RENAMED])
    return result


def _take_apart(result: dict[str, Any], known: list[str]) -> None:
    """Older arguments that are values of newer ones."""
    if "adafactor" in result and "adafactor" not in known and result.pop("adafactor"):
        _put(result, "optim", "adafactor", "adafactor")
    if "include_inputs_for_metrics" in result and result.pop("include_inputs_for_metrics"):
        result["include_for_metrics"] = sorted({"inputs", *result.get("include_for_metrics", [])})
    for old in ("fsdp_min_num_params", "fsdp_transformer_layer_cls_to_wrap"):
        if value := result.pop(old, None):
            result["fsdp_config"] = {**(result.get("fsdp_config") or {}), old.removeprefix("fsdp_"): value}
    options = result.pop("accelerator_config", None) or {}
    for name in options:
        if name not in ACCELERATOR:
            raise unknown_name("part of accelerator_config", name, ACCELERATOR)
    result.update(options)
    if owner := result.pop("push_to_hub_organization", None):
        if not result.get("hub_model_id"):
            raise InputError(f"push_to_hub_organization={owner!r} needs a name in it: hub_model_id='{owner}/…'.")
        if "/" not in result["hub_model_id"]:
            result["hub_model_id"] = f"{owner}/{result['hub_model_id']}"
    if "train_sampling_strategy" in result and "train_sampling_strategy" not in known:
        strategy = str(getattr(result["train_sampling_strategy"], "value", result.pop("train_sampling_strategy")))
        if strategy not in ("random", "group_by_length"):
            raise unknown_name("train_sampling_strategy", strategy, ("random", "group_by_length"))
        if strategy == "group_by_length":
            result["group_by_length"] = True


def _put(result: dict[str, Any], name: str, value: Any, spelling: str) -> None:
    if value is None or (value is False and name in result):  # an older name that was left as it was
        return
    if result.setdefault(name, value) != value:
        raise InputError(f"{spelling}={value!r} and {name}={result[name]!r} are two spellings of one argument.")
