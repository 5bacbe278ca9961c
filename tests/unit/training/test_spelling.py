"""The names that training arguments have had elsewhere: each is accepted, or refused with a reason."""

import pytest

from madang.errors import InputError, UnknownNameError
from madang.training import TrainingArguments
from madang.training.spelling import ACCELERATOR, FIXED, RENAMED

# every argument of transformers 4.40.1 with its default
OF_4_40 = {
    "output_dir": "out", "overwrite_output_dir": False, "do_train": False, "do_eval": False, "do_predict": False,
    "evaluation_strategy": "no", "prediction_loss_only": False, "per_device_train_batch_size": 8,
    "per_device_eval_batch_size": 8, "per_gpu_train_batch_size": None, "per_gpu_eval_batch_size": None,
    "gradient_accumulation_steps": 1, "eval_accumulation_steps": None, "eval_delay": 0, "learning_rate": 5e-05,
    "weight_decay": 0.0, "adam_beta1": 0.9, "adam_beta2": 0.999, "adam_epsilon": 1e-08, "max_grad_norm": 1.0,
    "num_train_epochs": 3.0, "max_steps": -1, "lr_scheduler_type": "linear", "lr_scheduler_kwargs": {},
    "warmup_ratio": 0.0, "warmup_steps": 0, "log_level": "passive", "log_level_replica": "warning",
    "log_on_each_node": True, "logging_dir": None, "logging_strategy": "steps", "logging_first_step": False,
    "logging_steps": 500, "logging_nan_inf_filter": True, "save_strategy": "steps", "save_steps": 500,
    "save_total_limit": None, "save_safetensors": True, "save_on_each_node": False, "save_only_model": False,
    "no_cuda": False, "use_cpu": False, "use_mps_device": False, "seed": 42, "data_seed": None,
    "jit_mode_eval": False, "use_ipex": False, "bf16": False, "fp16": False, "fp16_opt_level": "O1",
    "half_precision_backend": "auto", "bf16_full_eval": False, "fp16_full_eval": False, "tf32": None,
    "local_rank": -1, "ddp_backend": None, "tpu_num_cores": None, "tpu_metrics_debug": False, "debug": "",
    "dataloader_drop_last": False, "eval_steps": None, "dataloader_num_workers": 0,
    "dataloader_prefetch_factor": None, "past_index": -1, "run_name": None, "disable_tqdm": None,
    "remove_unused_columns": True, "label_names": None, "load_best_model_at_end": False,
    "metric_for_best_model": None, "greater_is_better": None, "ignore_data_skip": False, "fsdp": "",
    "fsdp_min_num_params": 0, "fsdp_config": None, "fsdp_transformer_layer_cls_to_wrap": None,
    "accelerator_config": None, "deepspeed": None, "label_smoothing_factor": 0.0, "optim": "adamw_torch",
    "optim_args": None, "adafactor": False, "group_by_length": False, "length_column_name": "length",
    "report_to": None, "ddp_find_unused_parameters": None, "ddp_bucket_cap_mb": None, "ddp_broadcast_buffers": None,
    "dataloader_pin_memory": True, "dataloader_persistent_workers": False, "skip_memory_metrics": True,
    "use_legacy_prediction_loop": False, "push_to_hub": False, "resume_from_checkpoint": None, "hub_model_id": None,
    "hub_strategy": "every_save", "hub_token": None, "hub_private_repo": False, "hub_always_push": False,
    "gradient_checkpointing": False, "gradient_checkpointing_kwargs": None, "include_inputs_for_metrics": False,
    "eval_do_concat_batches": True, "fp16_backend": "auto", "push_to_hub_model_id": None,
    "push_to_hub_organization": None, "push_to_hub_token": None, "mp_parameters": "", "auto_find_batch_size": False,
    "full_determinism": False, "torchdynamo": None, "ray_scope": "last", "ddp_timeout": 1800,
    "torch_compile": False, "torch_compile_backend": None, "torch_compile_mode": None, "dispatch_batches": None,
    "split_batches": None, "include_tokens_per_second": False, "include_num_input_tokens_seen": False,
    "neftune_noise_alpha": None, "optim_target_modules": None,
}  # fmt: skip
# what 5.23 has besides, or with another default, and what it has no longer
NEW_IN_5_23 = {
    "output_dir": None, "lr_scheduler_kwargs": None, "optim": "adamw_torch_fused",
    "average_tokens_across_devices": True, "activation_checkpointing": None,
    "activation_checkpointing_kwargs": None, "gradient_checkpointing": None, "use_liger_kernel": False,
    "liger_kernel_config": None, "use_cache": False, "torch_empty_cache_steps": None,
    "include_num_input_tokens_seen": "no", "report_to": "none", "project": "huggingface", "trackio_space_id": None,
    "trackio_bucket_id": None, "trackio_static_space_id": None, "eval_strategy": "no", "eval_on_start": False,
    "eval_use_gather_object": False, "include_for_metrics": [], "batch_eval_metrics": False,
    "enable_jit_checkpoint": False, "hub_private_repo": None, "hub_revision": None,
    "restore_callback_states_from_checkpoint": False, "parallelism_config": None,
    "dataloader_multiprocessing_context": None, "dataloader_in_order": True, "train_sampling_strategy": "random",
    "ddp_static_graph": None, "fsdp": None,
}  # fmt: skip
GONE_IN_5_23 = (
    "overwrite_output_dir", "evaluation_strategy", "per_gpu_train_batch_size", "per_gpu_eval_batch_size",
    "warmup_ratio", "logging_dir", "save_safetensors", "no_cuda", "use_mps_device", "jit_mode_eval", "use_ipex",
    "fp16_opt_level", "half_precision_backend", "tpu_num_cores", "tpu_metrics_debug", "past_index",
    "fsdp_min_num_params", "fsdp_transformer_layer_cls_to_wrap", "adafactor", "group_by_length",
    "use_legacy_prediction_loop", "include_inputs_for_metrics", "fp16_backend", "push_to_hub_model_id",
    "push_to_hub_organization", "push_to_hub_token", "mp_parameters", "torchdynamo", "ray_scope",
    "dispatch_batches", "split_batches", "include_tokens_per_second",
)  # fmt: skip
OF_5_23 = {name: value for name, value in {**OF_4_40, **NEW_IN_5_23}.items() if name not in GONE_IN_5_23}

VALUES = {
    "evaluation_strategy": "epoch", "per_gpu_train_batch_size": 3, "per_gpu_eval_batch_size": 3, "no_cuda": True,
    "activation_checkpointing": True, "activation_checkpointing_kwargs": {"use_reentrant": False},
    "push_to_hub_token": "secret", "push_to_hub_model_id": "kim/ynat", "torchdynamo": "eager",
    "include_tokens_per_second": True,
}  # fmt: skip


@pytest.mark.parametrize("arguments", [OF_4_40, OF_5_23], ids=["4.40.1", "5.23"])
def test_all_arguments_of_other_releases_are_known(arguments):
    ours = TrainingArguments(output_dir="out")
    for name, value in arguments.items():
        changed = {} if name == "optim" else {name: value}
        assert TrainingArguments(**{"output_dir": "out", **changed}).seed == ours.seed, name
    # and all at once: a file that holds every argument, old and new names beside each other
    assert TrainingArguments(**arguments).learning_rate == 5e-5


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_older_name_means_the_same(old, new):
    value = VALUES[old]
    by_old, by_new = TrainingArguments(**{old: value}), TrainingArguments(**{new: value})
    assert by_old == by_new != TrainingArguments()
    assert TrainingArguments(**{old: None}) == TrainingArguments()  # left as it was there


def test_two_spellings_that_disagree_are_an_error():
    with pytest.raises(InputError, match="evaluation_strategy='epoch' and eval_strategy='steps' are two spellings"):
        TrainingArguments(evaluation_strategy="epoch", eval_strategy="steps")
    assert TrainingArguments(evaluation_strategy="epoch", eval_strategy="epoch").eval_strategy == "epoch"
    assert TrainingArguments(no_cuda=False, use_cpu=True).use_cpu


@pytest.mark.parametrize(("name", "possible"), {**FIXED, **ACCELERATOR}.items())
def test_what_would_have_no_effect_is_refused_and_what_happens_anyway_accepted(name, possible):
    for value in possible:
        assert TrainingArguments(**{name: value}) == TrainingArguments()
    with pytest.raises(InputError, match=rf"{name}='something else' would have no effect here; leave it out"):
        TrainingArguments(**{name: "something else"})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"adafactor": True}, {"optim": "adafactor"}),
        ({"adafactor": False}, {}),
        ({"include_inputs_for_metrics": True}, {"include_for_metrics": ["inputs"]}),
        (
            {"include_inputs_for_metrics": True, "include_for_metrics": ["loss"]},
            {"include_for_metrics": ["inputs", "loss"]},
        ),
        ({"train_sampling_strategy": "group_by_length"}, {"group_by_length": True}),
        ({"train_sampling_strategy": "random"}, {}),
        ({"push_to_hub_organization": "kim", "push_to_hub_model_id": "ynat"}, {"hub_model_id": "kim/ynat"}),
        ({"push_to_hub_organization": "kim", "hub_model_id": "lee/ynat"}, {"hub_model_id": "lee/ynat"}),
        (
            {"fsdp_min_num_params": 9, "fsdp": "full_shard"},
            {"fsdp": "full_shard", "fsdp_config": {"min_num_params": 9}},
        ),
        ({"accelerator_config": {"split_batches": False, "even_batches": True}}, {}),
        ({"include_num_input_tokens_seen": True}, {"include_num_input_tokens_seen": "all"}),
        ({"warmup_ratio": 0.1, "warmup_steps": 0}, {"warmup_ratio": 0.1}),
    ],
)
def test_older_arguments_become_values_of_newer_ones(old, new):
    assert TrainingArguments(**old) == TrainingArguments(**new)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"learing_rate": 1}, r"unknown training argument 'learing_rate'. Did you mean 'learning_rate'\?"),
        ({"evaluation_stratagy": "epoch"}, "Did you mean 'evaluation_strategy'"),
        (
            {"train_sampling_strategy": "sequential"},
            "unknown train_sampling_strategy 'sequential'.*group_by_length, random",
        ),
        ({"accelerator_config": {"even_batchs": True}}, "Did you mean 'even_batches'"),
        ({"push_to_hub_organization": "kim"}, "needs a name in it: hub_model_id='kim/…'"),
        ({"adafactor": True, "optim": "sgd"}, "two spellings"),
    ],
)
def test_what_is_not_known_is_told_with_the_nearest(given, message):
    with pytest.raises((UnknownNameError, InputError), match=message):
        TrainingArguments(**given)


def test_names_of_others_are_ours_where_somebody_made_them_ours():
    import dataclasses

    @dataclasses.dataclass
    class Mine(TrainingArguments):
        project: str = "theirs"

    assert Mine(project="mine").project == "mine"
