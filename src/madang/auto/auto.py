"""AutoConfig, AutoModel and AutoModelFor…: one call for every family, chosen by the model_type in config.json."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from madang.auto.classes import model_class
from madang.auto.loading import NO_EFFECT, config_values
from madang.auto.model import Model
from madang.auto.registry import MODEL_TYPES, family
from madang.checkpoints.config import SOURCE_OPTIONS, Config
from madang.client import Source, open_source
from madang.errors import ConfigError, InputError, unknown_name


class AutoConfig:
    """The config of any model."""

    def __init__(self) -> None:
        raise InputError(
            "AutoConfig is not made but loaded: AutoConfig.from_pretrained('…') or AutoConfig.for_model('bert')."
        )

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **options: Any) -> Config:
        """The config in a folder or a repository; options that are keys of it override the file's."""
        where = {key: options.pop(key) for key in SOURCE_OPTIONS if key in options}
        options = {key: value for key, value in options.items() if key not in NO_EFFECT}
        source = open_source(pretrained_model_name_or_path, **where)
        values = config_values(source, where)
        config = family(model_type_of(values, source)).config
        return config.from_dict(values, **{"_name_or_path": os.fspath(pretrained_model_name_or_path), **options})

    @classmethod
    def for_model(cls, model_type: str, **values: Any) -> Config:
        """A config of the given type with `values` over the defaults."""
        return family(model_type).config(**values)


def model_type_of(values: dict[str, Any], source: Source) -> str:
    """What config.json calls the type of the model; a missing one is an error that lists the known."""
    found = values.get("model_type")
    if not isinstance(found, str):
        raise ConfigError(
            f"the config.json of {source.name} has no model_type, so nothing says how to build the model. "
            f"Add one of: {', '.join(sorted(MODEL_TYPES))}."
        )
    return found


class AutoModel:
    """The body of any model, without a head."""

    task: ClassVar[str] = "body"

    def __init__(self) -> None:
        raise InputError(f"{type(self).__name__} is not made but loaded: {type(self).__name__}.from_pretrained('…').")

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *positional: Any,
        config: Config | str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> Any:
        """Load from a folder or a hub, with the config found there unless another (or the place of one) is given.

        Takes revision, subfolder, token, cache_dir, local_files_only; dtype (or torch_dtype); num_labels, id2label,
        label2id and any other key of config.json; ignore_mismatched_sizes, output_loading_info, attn_implementation.

        Example:
            >>> model = AutoModelForSequenceClassification.from_pretrained("klue/roberta-base", num_labels=7)
        """
        if positional:
            raise InputError("from_pretrained takes one name or path; everything else needs its name.")
        if isinstance(config, (str, os.PathLike)):
            config = AutoConfig.from_pretrained(config)
        if config is None:
            where = {key: options[key] for key in SOURCE_OPTIONS if key in options}
            source = open_source(pretrained_model_name_or_path, **where)
            model_type = model_type_of(config_values(source, where), source)
            pretrained_model_name_or_path = source  # opened once: one request, one commit for config and weights
        else:
            model_type = config.model_type
        return cls.class_for(model_type).from_pretrained(pretrained_model_name_or_path, config=config, **options)

    @classmethod
    def from_config(cls, config: Config, **options: Any) -> Model:
        """A model with fresh weights."""
        return cls.class_for(config.model_type).from_config(config, **options)

    @classmethod
    def class_for(cls, model_type: str) -> type[Model]:
        """The class for this model type; a type without such a head is an error that lists those with one."""
        if cls.task not in family(model_type).recipes:
            able = [name for name in sorted(MODEL_TYPES) if cls.task in family(name).recipes]
            raise unknown_name(f"model_type for {cls.__name__}", model_type, able)
        return model_class(model_type, cls.task)


class AutoModelForSequenceClassification(AutoModel):
    """Any body with a head that sorts whole texts (or gives them numbers)."""

    task = "sequence-classification"


class AutoModelForTokenClassification(AutoModel):
    """Any body with a head that sorts tokens."""

    task = "token-classification"


class AutoModelForQuestionAnswering(AutoModel):
    """Any body with a head that finds the answer in a text."""

    task = "question-answering"


class AutoModelForMultipleChoice(AutoModel):
    """Any body with a head that chooses between texts."""

    task = "multiple-choice"


class AutoModelForMaskedLM(AutoModel):
    """Any body with a head that fills gaps."""

    task = "masked-language"


class AutoModelForCausalLM(AutoModel):
    """Any body with a head that continues texts."""

    task = "causal-language"


class AutoModelForSeq2SeqLM(AutoModel):
    """Any encoder-decoder with a head that answers with a text."""

    task = "sequence-to-sequence-language"


class AutoModelForImageClassification(AutoModel):
    """Any image body with a head that sorts images."""

    task = "image-classification"
