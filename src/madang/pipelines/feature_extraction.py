"""feature-extraction: the hidden states of a text's tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from madang.pipelines.batching import Batch
from madang.pipelines.inputs import Chunk, texts_of
from madang.pipelines.task import Pipeline
from madang.tokenizers.padding import tensor_type


@dataclass(frozen=True)
class Options:
    """What a call may choose; see FeatureExtractionPipeline."""

    truncation: Any = None
    max_length: int | None = None
    add_special_tokens: bool = True
    return_tensors: Any = None
    padding: Any = None


class FeatureExtractionPipeline(Pipeline):
    """Gives the body's last hidden states: for a text of T tokens (special ones included) a nested list [1][T][hidden].

    `return_tensors=True` (or "pt") gives a tensor (1, T, hidden) on the processor instead, "np" a numpy array. Any
    model will do: a head is not asked, and of an encoder-decoder the encoder is. A text of more tokens than the model
    has positions for is an error unless `truncation=True` cuts it. `padding` is accepted and makes no difference.
    """

    task = "feature-extraction"
    auto = "AutoModel"
    unused_parts = ("pooler.",)
    options_class = Options
    older_options: ClassVar[tuple[str, ...]] = ("tokenize_kwargs",)

    def translate(self, options: dict[str, Any]) -> dict[str, Any]:
        """tokenize_kwargs unpacked."""
        return {**(options.pop("tokenize_kwargs", None) or {}), **options}

    def answer(self, chunk: Chunk, options: Options, size: int | None) -> list[Any]:
        """One nested list, tensor or array a text."""
        settings = self.cutting(options.truncation, options.max_length)
        columns = self.encode(texts_of(chunk), chunk, add_special_tokens=options.add_special_tokens, **settings)
        kind = tensor_type("pt" if options.return_tensors is True else options.return_tensors)
        answers: list[Any] = [None] * len(chunk.items)
        for batch in self.batches(columns, size):
            hidden = self._hidden(batch).cpu()
            for place, row in enumerate(batch.rows):
                found = hidden[place, : len(columns["input_ids"][row])][None]  # (1, T, hidden)
                if kind is None:
                    answers[row] = found.tolist()
                else:  # a copy, so that one text does not keep the memory of its whole batch
                    answers[row] = found.clone() if kind == "pt" else found.float().numpy().copy()
        return answers

    def _hidden(self, batch: Batch) -> Tensor:
        """(B, T, hidden)."""
        body = getattr(self.model.body, "encoder", self.model.body)
        inputs = {name: value for name, value in batch.inputs.items() if name in body.input_names}
        hidden: Tensor = body(**inputs, plain=self.model.attn_implementation == "eager").padded()
        return self.checked(hidden).to(hidden.dtype)
