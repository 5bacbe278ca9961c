"""The familiar training arguments. One that is accepted does something; any other is an error naming the nearest."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from madang.errors import InputError, unknown_name
from madang.training.optimizer import OPTIMIZERS
from madang.training.schedule import SCHEDULES
from madang.training.spelling import translated
from madang.writing import write_text

STRATEGIES = ("no", "steps", "epoch")
HUB_STRATEGIES = ("end", "every_save", "checkpoint", "all_checkpoints")
LOG_LEVELS = ("passive", "debug", "info", "warning", "error", "critical")
FOR_METRICS = ("inputs", "loss")
SECRET = ("hub_token",)


class _Spelled(type):
    """Translates older spellings and refuses unknown names, for TrainingArguments and for dataclasses made from it."""

    def __call__(cls, *positional: Any, **given: Any) -> Any:
        return super().__call__(*positional, **translated(given, [field.name for field in dataclasses.fields(cls)]))  # type: ignore[arg-type]


@dataclass
class TrainingArguments(metaclass=_Spelled):
    """How to train: what `Trainer` does, in numbers and names.

    Sizes and lengths: batch sizes are examples per device and micro-batch; an optimizer step sees
    `per_device_train_batch_size * gradient_accumulation_steps` examples on each process. `logging_steps`, `eval_steps`
    and `save_steps` count optimizer steps, or are a fraction of all steps when below 1; so does `warmup_steps`.
    """

    output_dir: str = "trainer_output"
    """Folder for checkpoints, reports and `save_model`."""
    overwrite_output_dir: bool = False
    """Old checkpoints in `output_dir` are expected: do not mention them before training."""
    do_train: bool = True
    do_eval: bool = True
    do_predict: bool = False
    """Which of the three `madang train` does; a program of your own calls the methods it wants."""

    # how long, in which portions
    num_train_epochs: float = 3.0
    max_steps: int = -1
    """Stop after this many optimizer steps, however many epochs that takes; -1 means `num_train_epochs` decides."""
    per_device_train_batch_size: int = 8
    per_device_eval_batch_size: int = 8
    gradient_accumulation_steps: int = 1
    auto_find_batch_size: bool = False
    """When memory runs out, cut every batch in halves and accumulate their gradients: slower, the same numbers."""

    # the optimizer and its learning rate
    learning_rate: float = 5e-5
    weight_decay: float = 0.0
    """Applied to matrices only, never to biases and norms."""
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    """Longer gradients are shortened to this length; 0 leaves them."""
    optim: str = "adamw_torch_fused"
    optim_args: str | dict[str, Any] | None = None
    """More arguments of the optimizer, a dict or "name=value,name=value"."""
    lr_scheduler_type: str = "linear"
    lr_scheduler_kwargs: dict[str, Any] = field(default_factory=dict)
    """More arguments of the schedule: {"num_cycles": 2}, {"min_lr_rate": 0.1}, …"""
    warmup_ratio: float = 0.0
    """Part of all steps during which the learning rate rises; `warmup_steps` goes before it."""
    warmup_steps: float = 0

    # what is learned
    label_smoothing_factor: float = 0.0
    """This part of every target is shared among all classes. In training only; the evaluation's loss stays plain."""
    neftune_noise_alpha: float | None = None
    """Noise on the embeddings in training (Jain et al. 2023)."""

    # evaluating
    eval_strategy: str = "no"
    eval_steps: float | None = None
    """With eval_strategy="steps"; as often as `logging_steps` when not given."""
    eval_delay: float = 0
    """No evaluation before this many epochs (or steps, as `eval_strategy` counts)."""
    eval_on_start: bool = False
    prediction_loss_only: bool = False
    eval_accumulation_steps: int | None = None
    """Predictions leave the device after this many batches; after every batch when not given."""
    batch_eval_metrics: bool = False
    """`compute_metrics` is called for each batch, with `compute_result=True` for the last: no prediction is kept."""
    include_for_metrics: list[str] = field(default_factory=list)
    """What `compute_metrics` gets besides predictions and labels: "inputs", "loss"."""
    bf16_full_eval: bool = False
    fp16_full_eval: bool = False
    """Evaluate with the weights themselves in half precision."""

    # telling
    log_level: str = "passive"
    """How much the logger "madang" tells: "debug", "info", "warning", "error", "critical"; "passive" leaves it so."""
    logging_strategy: str = "steps"
    logging_steps: float = 500
    logging_first_step: bool = False
    logging_dir: str | None = None
    """Where TensorBoard's files go; `runs` in `output_dir` when not given."""
    disable_tqdm: bool = False
    """No bar and no table; metrics are printed as dicts."""
    run_name: str | None = None
    """Shown beside the progress bar, kept in checkpoints, and the run's name in reports."""
    report_to: str | list[str] | None = None
    """"tensorboard", "jsonl", "wandb", "mlflow", several of them, "all" that are installed, or "none"."""
    include_num_input_tokens_seen: bool | str = "no"
    """Count the tokens trained on: "all", or without padding "non_padding"."""

    # saving
    save_strategy: str = "steps"
    """"steps", "epoch", "best" (whenever `metric_for_best_model` improves), or "no"."""
    save_steps: float = 500
    save_total_limit: int | None = None
    """Keep only this many checkpoints: the newest, and the best when `load_best_model_at_end`."""
    save_only_model: bool = False
    """Checkpoints without the state of the optimizer: smaller, and training cannot go on from them."""
    load_best_model_at_end: bool = False
    metric_for_best_model: str | None = None
    """Name of an evaluation's number, with or without `eval_`; the loss when not given."""
    greater_is_better: bool | None = None
    """When not given: yes, unless the metric is a loss."""
    resume_from_checkpoint: str | bool | None = None
    """A checkpoint to go on from, or True for the newest in `output_dir`; `train()` may say it too."""
    ignore_data_skip: bool = False
    """When going on, begin the epoch anew with its first batch instead of where the checkpoint was."""
    restore_callback_states_from_checkpoint: bool = False
    """When going on, give callbacks the state they had."""

    # chance
    seed: int = 42
    data_seed: int | None = None
    """For the order of the examples; `seed` when not given."""
    full_determinism: bool = False
    """Only kernels that give the same bits every time: slower on GPUs, and an error where there is none."""

    # precision, memory, devices
    bf16: bool = False
    """Compute in bfloat16 where that is safe (autocast), keep weights as they are."""
    fp16: bool = False
    """The same in float16; the loss is scaled so that small gradients do not vanish."""
    tf32: bool | None = None
    """Whether float32 products may be rounded to 10 bits on GPUs that can."""
    gradient_checkpointing: bool = False
    """Work activations out a second time instead of keeping them."""
    gradient_checkpointing_kwargs: dict[str, Any] | None = None
    torch_compile: bool = False
    torch_compile_backend: str | None = None
    torch_compile_mode: str | None = None
    torch_empty_cache_steps: int | None = None
    """Give unused device memory back every so many steps."""
    use_cpu: bool = False

    # data
    dataloader_num_workers: int = 0
    dataloader_drop_last: bool = False
    dataloader_pin_memory: bool = True
    """Batches lie in memory that a GPU can read directly; without effect on the CPU alone."""
    dataloader_persistent_workers: bool = False
    dataloader_prefetch_factor: int | None = None
    remove_unused_columns: bool = True
    label_names: list[str] | None = None
    """Columns that are labels, for models that do not say it themselves."""
    group_by_length: bool = False
    """Texts of similar length share a batch."""
    length_column_name: str = "length"
    """A column that holds the lengths already."""

    # several processes, started by torchrun
    ddp_backend: str | None = None
    """"nccl" or "gloo"; when not given, the one for the device."""
    ddp_timeout: int = 1800
    """Seconds after which a process that does not answer ends the training."""
    ddp_find_unused_parameters: bool | None = None
    ddp_bucket_cap_mb: int | None = None
    ddp_broadcast_buffers: bool | None = None
    fsdp: bool | str | list[str] = ""
    """"full_shard": parameters, gradients and optimizer state are spread over the processes (FSDP2)."""
    fsdp_config: dict[str, Any] | str | None = None
    """Options of FSDP, a dict or a JSON file: {"cpu_offload": true}, …"""

    # the hub
    push_to_hub: bool = False
    """Upload model, tokenizer and card as `hub_strategy` says."""
    hub_model_id: str | None = None
    """Repository `push_to_hub` writes to; named after `output_dir` when not given."""
    hub_strategy: str = "every_save"
    hub_token: str | None = None
    hub_private_repo: bool | None = None
    hub_always_push: bool = False
    """Begin an upload although the one before is not done."""
    hub_revision: str | None = None

    def __post_init__(self) -> None:
        self.output_dir = str(self.output_dir)
        self._check_choices()
        self._check_numbers()
        self._check_precision()
        self._fill_in()

    def _check_choices(self) -> None:
        # the original has enums here; their members are strings with another repr
        for name in ("eval_strategy", "logging_strategy"):
            self._choose(name, STRATEGIES)
        self._choose("save_strategy", (*STRATEGIES, "best"))
        self._choose("hub_strategy", HUB_STRATEGIES)
        self._choose("log_level", LOG_LEVELS)
        self._choose("lr_scheduler_type", SCHEDULES)
        self._choose("optim", OPTIMIZERS)
        self.lr_scheduler_kwargs = _options("lr_scheduler_kwargs", self.lr_scheduler_kwargs)
        for name in self.include_for_metrics:
            if name not in FOR_METRICS:
                raise unknown_name("value of include_for_metrics", name, FOR_METRICS)
        if isinstance(self.include_num_input_tokens_seen, bool):
            self.include_num_input_tokens_seen = "all" if self.include_num_input_tokens_seen else "no"
        self._choose("include_num_input_tokens_seen", ("no", "all", "non_padding"))

    def _choose(self, name: str, known: Any) -> None:
        chosen = str(getattr(getattr(self, name), "value", getattr(self, name)))
        if chosen not in known:
            raise unknown_name(name, chosen, known)
        setattr(self, name, chosen)

    def _check_numbers(self) -> None:
        for name in ("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps"):
            setattr(self, name, int(_number(name, getattr(self, name))))
            if getattr(self, name) < 1:
                raise InputError(f"{name} is at least 1, not {getattr(self, name)}.")
        for name in (
            "learning_rate", "weight_decay", "max_grad_norm", "warmup_steps", "dataloader_num_workers", "adam_epsilon",
            "label_smoothing_factor", "eval_delay", "ddp_timeout",
        ):  # fmt: skip
            setattr(self, name, _number(name, getattr(self, name)))
            if getattr(self, name) < 0:
                raise InputError(f"{name} is not negative, but {getattr(self, name)} was given.")
        self.dataloader_num_workers = int(self.dataloader_num_workers)
        for name in (
            "eval_steps", "logging_steps", "save_steps", "save_total_limit", "neftune_noise_alpha",
            "eval_accumulation_steps", "torch_empty_cache_steps",
        ):  # fmt: skip
            if getattr(self, name) is not None:
                setattr(self, name, _number(name, getattr(self, name)))
                if not getattr(self, name) > 0:
                    raise InputError(f"{name} is above 0, but {getattr(self, name)} was given.")
        self.num_train_epochs = _number("num_train_epochs", self.num_train_epochs)
        self.max_steps = int(_number("max_steps", self.max_steps))
        if not 0 <= _number("warmup_ratio", self.warmup_ratio) <= 1:
            raise InputError(f"warmup_ratio is a part of all steps, 0 to 1, not {self.warmup_ratio}.")
        if self.label_smoothing_factor >= 1:
            raise InputError(f"label_smoothing_factor is below 1, but {self.label_smoothing_factor} was given.")
        if self.max_steps <= 0 and self.num_train_epochs <= 0:
            raise InputError(f"nothing to train: num_train_epochs={self.num_train_epochs}, max_steps={self.max_steps}.")

    def _check_precision(self) -> None:
        for one, other in (("bf16", "fp16"), ("bf16_full_eval", "fp16_full_eval")):
            if getattr(self, one) and getattr(self, other):
                raise InputError(f"{one} and {other} are two precisions for the same computation; choose one.")
        if self.dataloader_num_workers == 0:
            for name in ("dataloader_prefetch_factor", "dataloader_persistent_workers"):
                if getattr(self, name):
                    raise InputError(f"{name} is about worker processes; set dataloader_num_workers to 1 or more.")

    def _fill_in(self) -> None:
        if self.eval_strategy == "steps" and self.eval_steps is None:
            self.eval_steps = self.logging_steps
        if self.torch_compile_backend is not None or self.torch_compile_mode is not None:
            self.torch_compile = True
        if self.metric_for_best_model is None and (self.load_best_model_at_end or self.save_strategy == "best"):
            self.metric_for_best_model = "loss"
        if self.metric_for_best_model is not None and self.greater_is_better is None:
            self.greater_is_better = not self.metric_for_best_model.endswith("loss")
        named = [self.report_to] if isinstance(self.report_to, str) else [*(self.report_to or [])]
        self.report_to = [] if named == ["none"] else named
        if isinstance(self.fsdp_config, str):
            self.fsdp_config = json.loads(Path(self.fsdp_config).read_text(encoding="utf-8"))

    # what older code reads

    @property
    def evaluation_strategy(self) -> str:
        """The older name of `eval_strategy`."""
        return self.eval_strategy

    @property
    def train_batch_size(self) -> int:
        """Examples per micro-batch in training."""
        return self.per_device_train_batch_size

    @property
    def eval_batch_size(self) -> int:
        """Examples per batch in evaluation."""
        return self.per_device_eval_batch_size

    @property
    def data_order_seed(self) -> int:
        """What decides the order of the examples."""
        return self.seed if self.data_seed is None else self.data_seed

    def steps(self, name: str, total: int) -> int:
        """`logging_steps`, `eval_steps` or `save_steps` in optimizer steps, of `total` in all."""
        value = getattr(self, name)
        return max(1, int(-(-value * total // 1)) if value < 1 else int(value))

    def get_warmup_steps(self, num_training_steps: int) -> int:
        """How many optimizer steps the learning rate rises, of `num_training_steps` in all."""
        if self.warmup_steps >= 1:
            return int(self.warmup_steps)
        return int(-(-num_training_steps * (self.warmup_steps or self.warmup_ratio) // 1))

    # files

    def to_dict(self) -> dict[str, Any]:
        """All arguments by name; secrets are left out."""
        return {
            name: f"<{name.upper()}>" if name in SECRET and value is not None else value
            for name, value in dataclasses.asdict(self).items()
        }

    def to_json_string(self) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=2, default=str) + "\n"

    def save_to_json(self, path: str | Path) -> None:
        """Write `to_json_string` to a file."""
        write_text(path, self.to_json_string())

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Self:
        """From `to_dict`, in any spelling this class accepts."""
        return cls(**{name: value for name, value in given.items() if name not in SECRET})


def _number(name: str, value: Any) -> Any:
    """YAML and JSON files turn `5e-5` into text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise InputError(f"{name} is a number, not {value!r}.") from None
    return value


def _options(name: str, value: Any) -> dict[str, Any]:
    """A dict, or one written as JSON."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise InputError(f"{name} is a dict or a JSON object: got {value!r}.")
    return dict(value or {})
