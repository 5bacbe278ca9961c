"""How a model is adapted: the familiar options of LoRA, and their file."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from madang.checkpoints.config import read_json
from madang.client import Source
from madang.errors import ConfigError, InputError, unknown_name
from madang.writing import write_text

ADAPTER_CONFIG = "adapter_config.json"
# the adapted model's config.json, with the names of its classes; under that name itself others would look for weights
ADAPTED_CONFIG = "adapted_model_config.json"
ALL_LINEAR = "all-linear"
BIASES = ("none", "all", "lora_only")

# what files and programs say besides, and nothing here depends on
WITHOUT_EFFECT = {
    "auto_mapping",
    "peft_type",  # read before: anything but LORA is refused
    "peft_version",
    "runtime_config",
    "megatron_core",
    "qalora_group_size",
    # how first values were found; they are in the file
    "eva_config",
    "corda_config",
    "loftq_config",
    "lora_ga_config",
}
# options of the published format that would change numbers: fine while they ask for nothing
UNSUPPORTED = (
    "alora_invocation_tokens",
    "arrow_config",
    "ensure_weight_tying",
    "kasa_config",
    "layer_replication",
    "lora_bias",
    "megatron_config",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_dora",
    "use_qalora",
    "velora_config",
)


class TaskType(StrEnum):
    """What the adapted model is for, in the words of adapter_config.json."""

    SEQ_CLS = "SEQ_CLS"
    SEQ_2_SEQ_LM = "SEQ_2_SEQ_LM"
    CAUSAL_LM = "CAUSAL_LM"
    TOKEN_CLS = "TOKEN_CLS"
    QUESTION_ANS = "QUESTION_ANS"
    FEATURE_EXTRACTION = "FEATURE_EXTRACTION"


# modules that these tasks train as a whole
HEADS = {
    TaskType.SEQ_CLS: ("classifier", "score"),
    TaskType.TOKEN_CLS: ("classifier", "score"),
    TaskType.QUESTION_ANS: ("qa_outputs",),
}


class _KnownOptions(type):
    """Refuses options that nobody knows, or that are known elsewhere but not here."""

    def __call__(cls, **options: Any) -> Any:
        known = {option.name for option in fields(cls)}  # type: ignore[arg-type]
        for name in sorted(options.keys() - known):
            value = options.pop(name)
            if name in WITHOUT_EFFECT or (name in UNSUPPORTED and not value):
                continue
            if name in UNSUPPORTED:
                raise InputError(f"LoraConfig: {name}={value!r} is not supported; leave it out.")
            raise unknown_name("option of LoraConfig", name, known)
        return super().__call__(**options)


@dataclass(kw_only=True)
class LoraConfig(metaclass=_KnownOptions):
    """Options of LoRA (Hu et al. 2021), under their published names.

    A projection W becomes W + scale * B A, with A (r, in) and B (out, r); scale is `lora_alpha / r`, or with
    `use_rslora` `lora_alpha / sqrt(r)` (Kalajdzievski 2023). Modules are named as in published files.

    Example:
        >>> LoraConfig(r=16, lora_alpha=32, target_modules=["query", "value"], task_type="SEQ_CLS")
    """

    r: int = 8
    """How many rows A has: the rank of every change."""
    lora_alpha: float = 8
    target_modules: list[str] | str | None = None
    """Endings of modules' names, a regular expression for whole names, or "all-linear": all but the last projection.
    None means the queries and values of every attention."""
    exclude_modules: list[str] | str | None = None
    """Endings or a regular expression: left out in any case."""
    lora_dropout: float = 0.0
    """Dropout before A."""
    bias: str = "none"
    """Which of the model's own biases learn too: "none", "all", or "lora_only", those of the changed projections."""
    modules_to_save: list[str] | None = None
    """Endings of modules that are trained and saved as a whole, in addition to a new head."""
    use_rslora: bool = False
    fan_in_fan_out: bool = False
    """Whether the base model's file holds its matrices (in, out); set when the adapter is put on a model."""
    layers_to_transform: list[int] | int | None = None
    """Only these layers, counted from 0."""
    layers_pattern: list[str] | str | None = None
    """What stands before the number of a layer in names; the first number counts when not given."""
    rank_pattern: dict[str, int] = field(default_factory=dict)
    """Another `r` for modules whose names end in the key, a regular expression."""
    alpha_pattern: dict[str, float] = field(default_factory=dict)
    init_lora_weights: bool | str = True
    """True: B is 0, so nothing changes at first. "gaussian": the same with A normal. False: both are random."""
    task_type: str | None = None
    """One of TaskType; SEQ_CLS, TOKEN_CLS and QUESTION_ANS train the head as a whole."""
    base_model_name_or_path: str | None = None
    """The model to put it on; by default the one it was made with."""
    revision: str | None = None
    """The revision of that model."""
    inference_mode: bool = False

    def __post_init__(self) -> None:
        if self.task_type is not None:
            name = str(self.task_type).rpartition(".")[2].upper()
            if name not in list(TaskType):
                raise unknown_name("task_type", str(self.task_type), TaskType)
            self.task_type = name
        if self.bias not in BIASES:
            raise unknown_name("bias of LoraConfig", str(self.bias), BIASES)
        if self.init_lora_weights not in (True, False, "gaussian"):
            raise InputError(
                f"init_lora_weights={self.init_lora_weights!r} is not supported: True, False or 'gaussian' is."
            )
        for rank in (self.r, *self.rank_pattern.values()):
            if not isinstance(rank, int) or rank < 1:
                raise InputError(f"r={rank!r}: a rank is a whole number from 1 on.")
        if not 0 <= self.lora_dropout < 1:
            raise InputError(f"lora_dropout={self.lora_dropout!r} is not in [0, 1).")
        self.target_modules, self.exclude_modules = _names(self.target_modules), _names(self.exclude_modules)
        self.modules_to_save = None if self.modules_to_save is None else list(self.modules_to_save)
        if self.layers_to_transform is not None and isinstance(self.target_modules, str):
            raise InputError("layers_to_transform goes with a list of target_modules; write the layers into the text.")

    def rank(self, module: str) -> int:
        """`r` for the module with this published name."""
        return int(_by_pattern(self.rank_pattern, module, self.r))

    def scale(self, module: str) -> float:
        """What B A is multiplied by for the module with this published name."""
        rank = self.rank(module)
        alpha = float(_by_pattern(self.alpha_pattern, module, self.lora_alpha))
        return alpha / (math.sqrt(rank) if self.use_rslora else rank)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """From the content of an adapter_config.json; what it asks for and is not possible is a ConfigError."""
        kind = str(values.get("peft_type", "LORA")).rpartition(".")[2].upper()
        if kind != "LORA":
            raise ConfigError(f"{ADAPTER_CONFIG} describes an adapter of the kind {kind}; only LORA is supported.")
        known = {option.name for option in fields(cls)}
        # newer files have keys that nobody here knows: they may be there, as long as they ask for nothing
        given = {key: value for key, value in values.items() if key in known or value}
        given = {key: value for key, value in given.items() if value is not None}
        if given.get("init_lora_weights") in ("eva", "orthogonal"):
            given["init_lora_weights"] = True  # these leave the base model as it was, and the values are in the file
        try:
            return cls(**given)
        except ValueError as error:
            raise ConfigError(f"{ADAPTER_CONFIG} asks for what is not possible here: {error}") from error

    @classmethod
    def from_source(cls, source: Source) -> Self:
        """From the adapter_config.json of a folder or a repository."""
        return cls.from_dict(read_json(source.require(ADAPTER_CONFIG)))

    def to_dict(self) -> dict[str, Any]:
        """As it is saved."""
        values = {**asdict(self), "peft_type": "LORA", "auto_mapping": None}
        if self.exclude_modules is None:
            del values["exclude_modules"]  # readers of 2024 do not know the key
        return values

    def save_pretrained(self, folder: Path) -> None:
        """Write adapter_config.json into `folder`."""
        values = {**self.to_dict(), "inference_mode": True}
        write_text(folder / ADAPTER_CONFIG, json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def _names(given: Any) -> list[str] | str | None:
    return given if given is None or isinstance(given, str) else list(given)


def _by_pattern(patterns: Mapping[str, Any], module: str, otherwise: Any) -> Any:
    return next(
        (value for key, value in patterns.items() if re.fullmatch(rf"(.*\.)?({key})", module) is not None), otherwise
    )
