"""Madang: one interface for every transformer model, its data, its training and its hub.

Public names are loaded on first use, so that `import madang` costs next to nothing and no torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# public name -> the module that defines it
_HOME = {
    "AutoConfig": "madang.auto",
    "AutoModel": "madang.auto",
    "AutoModelForCausalLM": "madang.auto",
    "AutoModelForImageClassification": "madang.auto",
    "AutoModelForMaskedLM": "madang.auto",
    "AutoModelForMultipleChoice": "madang.auto",
    "AutoModelForQuestionAnswering": "madang.auto",
    "AutoModelForSeq2SeqLM": "madang.auto",
    "AutoModelForSequenceClassification": "madang.auto",
    "AutoModelForTokenClassification": "madang.auto",
    "AutoTokenizer": "madang.tokenizers",
    "BatchEncoding": "madang.tokenizers",
    "AddedToken": "madang.tokenizers",
    "PreTrainedTokenizer": "madang.tokenizers",
    "PreTrainedTokenizerFast": "madang.tokenizers",
    "Dataset": "madang.datasets",
    "DatasetDict": "madang.datasets",
    "ClassLabel": "madang.datasets",
    "Features": "madang.datasets",
    "Value": "madang.datasets",
    "Column": "madang.datasets",
    "List": "madang.datasets",
    "LargeList": "madang.datasets",
    "Sequence": "madang.datasets",
    "Array2D": "madang.datasets",
    "Array3D": "madang.datasets",
    "Array4D": "madang.datasets",
    "Array5D": "madang.datasets",
    "Audio": "madang.datasets",
    "Image": "madang.datasets",
    "IterableDataset": "madang.datasets",
    "IterableDatasetDict": "madang.datasets",
    "Json": "madang.datasets",
    "Translation": "madang.datasets",
    "TranslationVariableLanguages": "madang.datasets",
    "concatenate_datasets": "madang.datasets",
    "get_dataset_config_names": "madang.datasets",
    "get_dataset_split_names": "madang.datasets",
    "interleave_datasets": "madang.datasets",
    "load_dataset": "madang.datasets",
    "load_dataset_builder": "madang.datasets",
    "load_from_disk": "madang.datasets",
    "GenerationConfig": "madang.generation",
    "LoraConfig": "madang.adapt",
    "PeftModel": "madang.adapt",
    "TaskType": "madang.adapt",
    "get_peft_model": "madang.adapt",
    "Trainer": "madang.training",
    "TrainingArguments": "madang.training",
    "Seq2SeqTrainer": "madang.training",
    "Seq2SeqTrainingArguments": "madang.training",
    "TrainerCallback": "madang.training",
    "TrainerControl": "madang.training",
    "TrainerState": "madang.training",
    "EvalPrediction": "madang.training",
    "DataCollatorWithPadding": "madang.training",
    "DataCollatorForTokenClassification": "madang.training",
    "DataCollatorForLanguageModeling": "madang.training",
    "DataCollatorForSeq2Seq": "madang.training",
    "default_data_collator": "madang.training",
    "AdamW": "madang.training",
    "get_scheduler": "madang.training",
    "get_constant_schedule_with_warmup": "madang.training",
    "get_cosine_schedule_with_warmup": "madang.training",
    "get_linear_schedule_with_warmup": "madang.training",
    "DefaultDataCollator": "madang.training",
    "DataCollatorForWholeWordMask": "madang.training",
    "DataCollatorForMultipleChoice": "madang.training",
    "DataCollatorWithFlattening": "madang.training",
    "EarlyStoppingCallback": "madang.training",
    "ProgressCallback": "madang.training",
    "PrinterCallback": "madang.training",
    "Adafactor": "madang.training",
    "SchedulerType": "madang.training",
    "enable_full_determinism": "madang.training",
    "get_constant_schedule": "madang.training",
    "get_cosine_with_hard_restarts_schedule_with_warmup": "madang.training",
    "get_polynomial_decay_schedule_with_warmup": "madang.training",
    "get_inverse_sqrt_schedule": "madang.training",
    "get_wsd_schedule": "madang.training",
    "get_cosine_with_min_lr_schedule_with_warmup": "madang.training",
    "get_reduce_on_plateau_schedule": "madang.training",
    "set_seed": "madang.training",
    "pipeline": "madang.pipelines",
    "login": "madang.client",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    try:
        if name in _HOME:
            return getattr(import_module(_HOME[name]), name)
        if name.endswith(("Tokenizer", "TokenizerFast")):
            from madang.tokenizers import named_tokenizer_class

            if (tokenizer := named_tokenizer_class(name)) is not None:
                return tokenizer
        if name[:1].isupper():  # submodules such as madang.settings are asked for here too, and must not load models
            # BertModel, RobertaForSequenceClassification, … are drawn from the families' tables
            from madang.auto.classes import named_class

            found = named_class(name)
            if found is not None:
                return found
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(f"madang.{name} needs torch, which is not installed: pip install 'madang[torch]'") from error
    from madang.errors import nearest

    raise AttributeError(f"madang has no {name!r}.{nearest(name, __all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
