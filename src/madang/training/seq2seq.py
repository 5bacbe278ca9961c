"""Training models that answer a text with a text, and evaluating them by the texts they produce."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from madang.auto.model import Model
from madang.checkpoints.config import read_json
from madang.client import open_source
from madang.errors import InputError, MissingFileError
from madang.generation import GenerationConfig
from madang.generation.config import ONLY
from madang.training.arguments import TrainingArguments
from madang.training.gathered import IGNORED
from madang.training.results import PredictionOutput
from madang.training.trainer import Trainer


@dataclass
class Seq2SeqTrainingArguments(TrainingArguments):
    """`TrainingArguments` and how texts are produced when `Seq2SeqTrainer` evaluates and predicts."""

    sortish_sampler: bool = False
    """The older name of `group_by_length`."""
    predict_with_generate: bool = False
    """Evaluate and predict with `model.generate`: predictions are token ids, not logits."""
    generation_max_length: int | None = None
    """At most so many tokens, the first one (which starts every answer) included."""
    generation_num_beams: int | None = None
    generation_config: Any = None
    """A GenerationConfig, its values as a dict, or where one was saved: a folder, a JSON file or a repository."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.group_by_length = self.group_by_length or self.sortish_sampler
        for name in ("generation_max_length", "generation_num_beams"):
            value = getattr(self, name)
            if value is not None and (int(value) != value or value < 1):
                raise InputError(f"{name} is a whole number of at least 1, not {value!r}.")
        if self.predict_with_generate and self.generation_num_beams is not None:
            _refuse_beams(self.generation_num_beams, "generation_num_beams")

    def to_dict(self) -> dict[str, Any]:
        """All arguments by name; secrets are left out."""
        config = self.generation_config
        return super().to_dict() | {
            "generation_config": config.to_dict() if isinstance(config, GenerationConfig) else config
        }


class Seq2SeqTrainer(Trainer):
    """A Trainer that, with `predict_with_generate`, lets the model write its answers: `compute_metrics` gets token ids.

    Answers are filled up with the padding token, labels keep their -100. `evaluate` and `predict` take options of
    `generate` besides their own.
    """

    args: Seq2SeqTrainingArguments

    def __init__(self, *positional: Any, **given: Any) -> None:
        self._options: dict[str, Any] | None = None  # while evaluating: what `generate` gets
        super().__init__(*positional, **given)
        if self.args.predict_with_generate:
            self._checked({})

    def _take_model(self, *told: Any) -> None:
        if not isinstance(self.args, Seq2SeqTrainingArguments):
            raise InputError("Seq2SeqTrainer takes Seq2SeqTrainingArguments, which say how texts are produced.")
        super()._take_model(*told)
        if self.args.generation_config is not None:
            self.model.generation_config = _read(self.args.generation_config, self.model)

    def evaluate(
        self,
        eval_dataset: Any = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
        **options: Any,
    ) -> dict[str, float]:
        """As `Trainer.evaluate`; `options` are those of `generate`: max_length, max_new_tokens, do_sample, …"""
        before = self._take(options)
        try:
            return super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
        finally:
            self._options = before

    def predict(
        self,
        test_dataset: Any,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "test",
        **options: Any,
    ) -> PredictionOutput:
        """As `Trainer.predict`; `options` are those of `generate`. The predictions are token ids, (rows, longest)."""
        before = self._take(options)
        try:
            return super().predict(test_dataset, ignore_keys, metric_key_prefix)
        finally:
            self._options = before

    def prediction_step(
        self,
        model: Any,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
        **options: Any,
    ) -> tuple[Tensor | None, Any, Any]:
        """(loss, token ids, labels) of one batch. The loss is that of the labels, as in training."""
        if prediction_loss_only or not self.args.predict_with_generate:
            return super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
        inputs = self.prepare_inputs(inputs)
        loss = None
        if inputs.get("labels") is not None:
            loss, _, _ = super().prediction_step(model, inputs, True, ignore_keys)
        if not options:
            options = self._checked({}) if self._options is None else self._options
        with torch.no_grad(), self.autocast():
            written = self.model.generate(**self._to_read(inputs), **options)
        return loss, written, inputs.get("labels")

    @property
    def prediction_filler(self) -> int:  # type: ignore[override]
        """What fills up predictions: the padding token where they are token ids."""
        if not self.args.predict_with_generate:
            return IGNORED
        config = getattr(self.model, "config", None)
        known = (self.processing_class, getattr(self.model, "generation_config", None), config)
        for name in ("pad_token_id", "eos_token_id"):
            for each in known:
                token = getattr(each, name, None)
                if token is not None:
                    return int(token[0] if isinstance(token, (list, tuple)) else token)
        return 0  # as generate itself does

    def _to_read(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """What `generate` gets: all but the labels, and what a collator made of the labels for the decoder."""
        read = {name: value for name, value in inputs.items() if name not in self.label_names}
        begun, labels = read.get("decoder_input_ids"), inputs.get("labels")
        if begun is not None and labels is not None and begun.shape == labels.shape:
            read.pop("decoder_input_ids")
        if "decoder_input_ids" not in read:
            read.pop("decoder_attention_mask", None)
        return read

    def _take(self, options: dict[str, Any]) -> dict[str, Any] | None:
        """Use these options until the evaluation is done; returns those from before."""
        before = self._options
        if before is not None and not options:  # one of several datasets that are evaluated with the same options
            return before
        if options and not self.args.predict_with_generate:
            raise InputError(
                f"{', '.join(sorted(options))}: options of generate count only with predict_with_generate=True."
            )
        if self.args.predict_with_generate:
            self._options = self._checked(options)
        return before

    def _checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options over those of the arguments, refused before any batch when `generate` would."""
        chosen = {name: value for name, value in options.items() if value is not None}
        if not {"max_length", "max_new_tokens"} & set(chosen) and self.args.generation_max_length is not None:
            # a number of new tokens that the model came with would count more than max_length
            chosen |= {"max_length": int(self.args.generation_max_length), "max_new_tokens": None}
        if self.args.generation_num_beams is not None:
            chosen.setdefault("num_beams", int(self.args.generation_num_beams))
        if not hasattr(self.model, "generate"):
            raise InputError(
                f"predict_with_generate, but {type(self.model).__name__} has no generate(): load a model with "
                "AutoModelForSeq2SeqLM or AutoModelForCausalLM."
            )
        config = getattr(self.model, "generation_config", None)
        if config is None and isinstance(self.model, Model):
            config = GenerationConfig.from_model(self.model.config, {})
        _refuse_beams(chosen.get("num_beams", getattr(config, "num_beams", None)), "num_beams")
        if isinstance(config, GenerationConfig):
            config.with_options(chosen)
        return chosen


def _refuse_beams(number: int | None, name: str) -> None:
    if "num_beams" in ONLY and number not in ONLY["num_beams"]:
        raise InputError(
            f"{name}={number}: beam search is not there yet. Leave it out (the likeliest token each time), or pass "
            "do_sample=True to evaluate() and predict()."
        )


def _read(given: Any, model: Any) -> Any:
    """The generation config that the arguments name, over what the model's config says about its tokens."""
    if isinstance(given, (str, Path)):
        path = Path(given) if str(given).endswith(".json") else open_source(given).path("generation_config.json")
        if path is None or not path.is_file():
            raise MissingFileError(f"generation_config={str(given)!r}: there is no generation_config.json.")
        given = read_json(path)
    if isinstance(given, Mapping):
        return GenerationConfig.from_model(model.config, given)
    return given
