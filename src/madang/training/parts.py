"""Whether the parts a trainer was given are what they should be: asked before anything is done with them."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from madang.errors import WrongTypeError
from madang.training.arguments import TrainingArguments


def check_parts(model: Any, args: Any, data_collator: Any, compute_metrics: Any, callbacks: Any) -> None:
    """Refuse what cannot be a model, arguments, a collator, a metric or a list of callbacks."""
    if isinstance(model, type):
        raise WrongTypeError(
            f"model is the class {model.__name__}, not a model of it: {model.__name__}.from_pretrained(…) loads one. "
            "A function that makes one is given as model_init."
        )
    if model is not None and not isinstance(model, nn.Module):
        hint = " AutoModelForSequenceClassification.from_pretrained(…), for example, loads one."
        raise WrongTypeError(f"model is {_described(model)}; expected a torch module.{hint * isinstance(model, str)}")
    if args is not None and not isinstance(args, TrainingArguments):
        raise WrongTypeError(f"args is {_described(args)}; expected TrainingArguments(…).")
    if data_collator is not None and not callable(data_collator):
        raise WrongTypeError(
            f"data_collator is {_described(data_collator)}; expected a function that makes a batch of a list of rows."
        )
    if compute_metrics is not None and not callable(compute_metrics) and not hasattr(compute_metrics, "add_batch"):
        raise WrongTypeError(
            f"compute_metrics is {_described(compute_metrics)}; expected a function of predictions and labels that "
            'returns a dict such as {"accuracy": 0.5}.'
        )
    if callbacks is not None and not isinstance(callbacks, Iterable):
        raise WrongTypeError(f"callbacks is {_described(callbacks)}; expected a list: callbacks=[…].")


def check_dataset(dataset: Any, name: str) -> None:
    """Refuse what holds no rows."""
    if isinstance(dataset, Mapping):
        splits = ", ".join(map(str, dataset))
        raise WrongTypeError(
            f"{name} is a {type(dataset).__name__} with {splits or 'nothing in it'}; expected one dataset, such as "
            f"dataset[{next(iter(dataset), 'train')!r}]."
        )
    if isinstance(dataset, (str, bytes)):
        raise WrongTypeError(f"{name} is the text {dataset!r}; expected a dataset: load_dataset(…) loads one.")
    if isinstance(dataset, DataLoader):
        raise WrongTypeError(
            f"{name} is a DataLoader; expected the dataset itself. To make batches in another way, override "
            "get_train_dataloader or get_eval_dataloader."
        )
    kind = type(dataset)
    if kind.__module__.startswith("pandas"):
        raise WrongTypeError(f"{name} is a {kind.__name__} of pandas; Dataset.from_pandas(…) makes a dataset of it.")
    if not hasattr(kind, "__iter__") and not hasattr(kind, "__getitem__"):
        raise WrongTypeError(f"{name} is {_described(dataset)}; expected a dataset, or a list of dicts.")


def _described(value: Any) -> str:
    return f"{value!r:.40} ({type(value).__name__})"
