"""What all pipelines share: how they are called, how options are read, and what runs around the model."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, ClassVar

import torch
from torch import Tensor

from madang.errors import InputError, unknown_name
from madang.ops.devices import place
from madang.pipelines.batching import Batch, Filling, batches
from madang.pipelines.inputs import (
    AT_ONCE,
    Chunk,
    in_chunks,
    is_many,
    is_source,
    list_in_chunks,
    read_many,
    read_source,
)
from madang.pipelines.loading import check_model

# tokenizers and models write numbers of this size when there is no limit
LARGE = int(1e20)


class Pipeline(ABC):
    """A model and its tokenizer as one function.

    `pipe(text)` answers one text. `pipe(texts)` answers a sequence in memory (list, tuple, array, Series, dataset
    column) with a list in the same order. Any other source (generator, dataset) is read as it goes and answered by a
    generator; it reads ahead by up to 1024 examples, or what comes within a tenth of a second; with `batch_size=1` by
    none.

    Inside, texts are tokenized many at once, sorted by length and run in batches of a good size, so that neither the
    order of the texts nor `batch_size` changes an answer by more than rounding.
    """

    task: ClassVar[str]
    auto: ClassVar[str]  # the class that loads its models
    heads: ClassVar[tuple[str, ...]] = ()  # heads it can use, any when empty
    unused_parts: ClassVar[tuple[str, ...]] = ()  # beginnings of names of parameters that play no part in answers
    columns: ClassVar[tuple[str, ...]] = ("text",)  # columns it reads of a dataset's rows, the first one is needed
    options_class: ClassVar[type[Any]]
    framework = "pt"

    def __init__(
        self, model: Any, tokenizer: Any, *, device: Any = None, batch_size: int | None = None, **options: Any
    ) -> None:
        self.model = check_model(type(self), model)
        if tokenizer is None:
            raise InputError(f"{type(self).__name__} needs a tokenizer: pass tokenizer=.")
        self.tokenizer = tokenizer
        if device is not None:
            self.model.to(place(device))
        self.batch_size = _checked_size(batch_size)
        self.defaults = dict(options)
        self.read_options({})  # an unknown option is an error now, not at the first call

    # calling ---------------------------------------------------------------------------------------------------

    def __call__(
        self, inputs: Any, *, batch_size: int | None = None, num_workers: int | None = None, **options: Any
    ) -> Any:
        """Answer one input, many, or a source; options given here win over those of the pipeline."""
        chosen = self.read_options(options)
        size = _checked_size(batch_size) or self.batch_size
        if self.is_one(inputs):
            return self._answered(Chunk([inputs]), chosen, size)[0]
        if is_many(inputs):
            return [
                answer for chunk in list_in_chunks(read_many(inputs)) for answer in self._answered(chunk, chosen, size)
            ]
        if is_source(inputs):
            ahead = 1 if size == 1 else max(size or 0, AT_ONCE)
            return self._answers(in_chunks(read_source(inputs, self.columns), ahead), chosen, size)
        raise InputError(f"the input is {_described(inputs)}; expected a text, a list of texts, or a source of texts.")

    def is_one(self, inputs: Any) -> bool:
        """Whether `inputs` is one example, not many."""
        return isinstance(inputs, (str, Mapping))

    @abstractmethod
    def answer(self, chunk: Chunk, options: Any, size: int | None) -> list[Any]:
        """The answers to the examples of `chunk`, in order."""

    def _answers(self, chunks: Iterable[Chunk], options: Any, size: int | None) -> Iterator[Any]:
        for chunk in chunks:
            yield from self._answered(chunk, options, size)

    def _answered(self, chunk: Chunk, options: Any, size: int | None) -> list[Any]:
        with answering(self.model):
            return self.answer(chunk, options, size)

    def predict(self, inputs: Any, **options: Any) -> Any:
        """The same as calling it, under the name that scikit-learn uses."""
        return self(inputs, **options)

    transform = predict

    # options ---------------------------------------------------------------------------------------------------

    def read_options(self, given: Mapping[str, Any]) -> Any:
        """The pipeline's own options with `given` over them; an unknown name is an error that lists those there are."""
        merged = self.translate({**self.defaults, **given})
        known = [field.name for field in fields(self.options_class)]
        for name in merged:
            if name not in known:
                raise unknown_name(f"option of {self.task}", name, [*known, *self.older_options, "batch_size"])
        return self.options_class(**merged)

    older_options: ClassVar[tuple[str, ...]] = ()

    def translate(self, options: dict[str, Any]) -> dict[str, Any]:
        """Older spellings of options in today's words."""
        return options

    # around the model ------------------------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        return self.model.device

    @property
    def labels(self) -> dict[int, str]:
        """The name of each class."""
        return self.model.config.id2label or {}

    @property
    def limit(self) -> int | None:
        """The most tokens that model and tokenizer take, None when neither says."""
        limits = [self.model.maximum_length, self.tokenizer.model_max_length]
        known = [int(limit) for limit in limits if limit is not None and limit < LARGE]
        return min(known, default=None)

    @property
    def filling(self) -> Filling:
        """What padding is made of. It is masked, so any known id will do; some bodies and heads look for their own."""
        found = self.model.config.pad_token_id
        ids = found if found is not None else self.tokenizer.pad_token_id
        return Filling(0 if ids is None else int(ids), self.tokenizer.pad_token_type_id)

    def batches(self, columns: Mapping[str, Any], size: int | None) -> Iterator[Batch]:
        """Batches of those columns that are inputs of the model."""
        known = {name: columns[name] for name in ("input_ids", "token_type_ids") if name in columns}
        if "token_type_ids" not in self.model.input_names:
            known.pop("token_type_ids", None)
        return batches(known, self.filling, self.device, size)

    def cutting(self, truncation: Any, max_length: int | None) -> dict[str, Any]:
        """Tokenizer settings: cut texts to `max_length` or what the model takes, where either argument asks for it."""
        asked = truncation not in (None, False, "do_not_truncate") or max_length is not None
        limits = [limit for limit in (max_length, self.limit) if limit is not None]
        if not asked or not limits:
            return {"truncation": False}
        return {"truncation": truncation or True, "max_length": min(limits)}

    def encode(self, texts: list[str], chunk: Chunk, **settings: Any) -> dict[str, list[list[int]]]:
        """The columns of `texts`, none of which is longer than the model can read."""
        if not texts:
            return {"input_ids": []}
        made = self.tokenizer(texts, return_attention_mask=False, verbose=False, **settings)
        self.check_lengths(made["input_ids"], chunk, advice="Pass truncation=True to cut what is too long.")
        return dict(made)

    def check_lengths(self, ids: list[list[int]], chunk: Chunk, *, advice: str) -> None:
        """An error for the first text that has no token, or more than the model has positions for."""
        longest = self.model.maximum_length
        for index, row in enumerate(ids):
            if not row:
                raise InputError(f"{chunk.name(index)} has no tokens; each needs at least one. Leave empty texts out.")
            if longest is not None and len(row) > longest:
                raise InputError(
                    f"{chunk.name(index)} has {len(row)} tokens; this model has positions for {longest}. {advice}"
                )

    def checked(self, found: Tensor) -> Tensor:
        """What the model gave, float32; NaN in it is an error that says where it comes from."""
        if bool(found.isnan().any()):
            model, held = self.model, self.model.state_dict()
            broken = [
                step.stored
                for step in model.naming.steps(model)
                if any(bool(held[name].isnan().any()) for name in step.parameters)
            ]
            if broken:
                reason = f"these parameters hold NaN: {', '.join(broken[:12])}. Load a checkpoint that is whole"
            else:
                reason = f"numbers grew too large for {model.dtype} on the way. Load it with dtype='float32'"
            raise InputError(f"this {type(model).__name__} gives NaN (not a number) instead of answers: {reason}.")
        return found.float()

    # keeping ---------------------------------------------------------------------------------------------------

    def save_pretrained(self, save_directory: str | os.PathLike[str], **options: Any) -> None:
        """Write model and tokenizer into one folder; `pipeline(task, model=folder)` opens it again."""
        self.model.save_pretrained(save_directory, **options)
        self.tokenizer.save_pretrained(save_directory)

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Write model and tokenizer into the repository `repo_id`; returns the last commit's address."""
        self.model.push_to_hub(repo_id, **options)
        address: str = self.tokenizer.push_to_hub(repo_id, **options)
        return address

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(task={self.task!r}, model={type(self.model).__name__}, device={str(self.device)!r})"
        )


@contextmanager
def answering(model: Any) -> Iterator[None]:
    """No gradients and no dropout inside; afterwards the model trains again if it did before."""
    was_training = model.training
    if was_training:
        model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        if was_training:
            model.train()


def _checked_size(size: int | None) -> int | None:
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise InputError(f"batch_size={size!r}: expected a positive number of texts.")
    return size


def _described(value: Any) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"
