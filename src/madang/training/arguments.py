"""The familiar training arguments. One that is accepted does something; any other is an error naming the nearest."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from madang.errors import InputError, unknown_name
from madang.training.optimizer import OPTIMIZERS
from madang.training.schedule import SCHEDULES

# older spellings and what they are called here
SPELLINGS = {
    "evaluation_strategy": "eval_strategy",
    "per_gpu_train_batch_size": "per_device_train_batch_size",
    "per_gpu_eval_batch_size": "per_device_eval_batch_size",
    "no_cuda": "use_cpu",
    "activation_checkpointing": "gradient_checkpointing",
}
STRATEGIES = ("no", "steps", "epoch")


class _Spelled(type):
    """Translates older spellings and refuses unknown names, for TrainingArguments and for dataclasses made from it."""

    def __call__(cls, *positional: Any, **given: Any) -> Any:
        known = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        for old, new in SPELLINGS.items():
            if old in given:
                value = given.pop(old)
                if given.setdefault(new, value) != value:
                    raise InputError(f"{old}={value!r} and {new}={given[new]!r} are two spellings of one argument.")
        for name in given:
            if name not in known:
                raise unknown_name("training argument", name, [*known, *SPELLINGS])
        return super().__call__(*positional, **given)


@dataclass
class TrainingArguments(metaclass=_Spelled):
    """How to train: what `Trainer` does, in numbers and names.

    Sizes and lengths: batch sizes are examples per device and micro-batch; an optimizer step sees
    `per_device_train_batch_size * gradient_accumulation_steps` examples. `logging_steps`, `eval_steps` and
    `save_steps` count optimizer steps, or are a fraction of all steps when below 1; so does `warmup_steps`.
    """

    output_dir: str = "trainer_output"
    """Folder for checkpoints and for `save_model`."""
    overwrite_output_dir: bool = False
    """Old checkpoints in `output_dir` are expected: do not mention them before training."""

    num_train_epochs: float = 3.0
    max_steps: int = -1
    """Stop after this many optimizer steps, however many epochs that takes; -1 means `num_train_epochs` decides."""
    per_device_train_batch_size: int = 8
    per_device_eval_batch_size: int = 8
    gradient_accumulation_steps: int = 1

    learning_rate: float = 5e-5
    weight_decay: float = 0.0
    """Applied to matrices only, never to biases and norms."""
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    """Longer gradients are shortened to this length; 0 leaves them."""
    optim: str = "adamw_torch_fused"
    lr_scheduler_type: str = "linear"
    warmup_ratio: float = 0.0
    """Part of all steps during which the learning rate rises; `warmup_steps` goes before it."""
    warmup_steps: float = 0

    eval_strategy: str = "no"
    eval_steps: float | None = None
    """With eval_strategy="steps"; as often as `logging_steps` when not given."""
    logging_strategy: str = "steps"
    logging_steps: float = 500
    logging_first_step: bool = False
    save_strategy: str = "steps"
    save_steps: float = 500
    save_total_limit: int | None = None
    """Keep only this many of the newest checkpoints."""

    seed: int = 42
    data_seed: int | None = None
    """For the order of the examples; `seed` when not given."""
    bf16: bool = False
    """Compute in bfloat16 where that is safe (autocast), keep weights as they are."""
    gradient_checkpointing: bool = False
    use_cpu: bool = False

    dataloader_num_workers: int = 0
    dataloader_drop_last: bool = False
    remove_unused_columns: bool = True
    label_names: list[str] | None = None
    """Columns that are labels, for models that do not say it themselves."""
    group_by_length: bool = False
    """Texts of similar length share a batch."""

    disable_tqdm: bool = False
    """No bar and no table; metrics are printed as dicts."""
    run_name: str | None = None
    """Shown beside the progress bar and kept in checkpoints."""
    report_to: str | list[str] | None = "none"
    push_to_hub: bool = False
    """Upload model and tokenizer when training has ended."""
    hub_model_id: str | None = None
    """Repository `push_to_hub` writes to; named after `output_dir` when not given."""

    def __post_init__(self) -> None:
        self._check_choices()
        self._check_numbers()
        if self.eval_strategy == "steps" and self.eval_steps is None:
            self.eval_steps = self.logging_steps

    def _check_choices(self) -> None:
        for name in ("eval_strategy", "logging_strategy", "save_strategy"):
            # the original has an enum here; its members are strings with another repr
            chosen = str(getattr(getattr(self, name), "value", getattr(self, name)))
            if chosen not in STRATEGIES:
                raise unknown_name(name, chosen, STRATEGIES)
            setattr(self, name, chosen)
        self.lr_scheduler_type = str(getattr(self.lr_scheduler_type, "value", self.lr_scheduler_type))
        if self.lr_scheduler_type not in SCHEDULES:
            raise unknown_name("lr_scheduler_type", self.lr_scheduler_type, SCHEDULES)
        self.optim = str(getattr(self.optim, "value", self.optim))
        if self.optim not in OPTIMIZERS:
            raise unknown_name("optim", self.optim, OPTIMIZERS)
        if self.report_to not in ("none", [], ["none"], None):
            raise InputError(
                f"report_to={self.report_to!r}: this version reports to nobody else; use report_to='none'."
            )

    def _check_numbers(self) -> None:
        for name in ("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps"):
            if int(getattr(self, name)) < 1:
                raise InputError(f"{name} is at least 1, not {getattr(self, name)}.")
        for name in (
            "learning_rate",
            "weight_decay",
            "max_grad_norm",
            "warmup_steps",
            "dataloader_num_workers",
            "adam_epsilon",
        ):
            setattr(self, name, _number(name, getattr(self, name)))
            if getattr(self, name) < 0:
                raise InputError(f"{name} is not negative, but {getattr(self, name)} was given.")
        for name in ("eval_steps", "logging_steps", "save_steps"):
            if getattr(self, name) is not None and not _number(name, getattr(self, name)) > 0:
                raise InputError(f"{name} is above 0, but {getattr(self, name)} was given.")
        if not 0 <= self.warmup_ratio <= 1:
            raise InputError(f"warmup_ratio is a part of all steps, 0 to 1, not {self.warmup_ratio}.")
        if self.max_steps <= 0 and self.num_train_epochs <= 0:
            raise InputError(f"nothing to train: num_train_epochs={self.num_train_epochs}, max_steps={self.max_steps}.")

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

    def steps(self, name: str, total: int) -> int:
        """`logging_steps`, `eval_steps` or `save_steps` in optimizer steps, of `total` in all."""
        value = getattr(self, name)
        return max(1, int(-(-value * total // 1)) if value < 1 else int(value))

    def get_warmup_steps(self, num_training_steps: int) -> int:
        """How many optimizer steps the learning rate rises, of `num_training_steps` in all."""
        if self.warmup_steps >= 1:
            return int(self.warmup_steps)
        return int(-(-num_training_steps * (self.warmup_steps or self.warmup_ratio) // 1))

    def to_dict(self) -> dict[str, Any]:
        """All arguments by name."""
        return dataclasses.asdict(self)


def _number(name: str, value: Any) -> Any:
    """YAML and JSON files turn `5e-5` into text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise InputError(f"{name} is a number, not {value!r}.") from None
    return value
