"""fill-mask: which tokens fit into a gap."""

# M gaps of a batch  E hidden  V vocabulary
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from madang.blocks.context import States
from madang.errors import InputError
from madang.notices import notice
from madang.ops.packing import Padded
from madang.pipelines.batching import Batch
from madang.pipelines.inputs import Chunk, texts_of
from madang.pipelines.task import Pipeline


@dataclass(frozen=True)
class Options:
    """What a call may choose; see FillMaskPipeline."""

    top_k: int = 5
    targets: str | Sequence[str] | None = None
    truncation: Any = None
    max_length: int | None = None
    add_special_tokens: bool = True
    tokenizer_kwargs: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.top_k, bool) or not isinstance(self.top_k, int) or self.top_k < 1:
            raise InputError(f"top_k={self.top_k!r}: expected a positive number of tokens.")


class FillMaskPipeline(Pipeline):
    """Fills gaps: for each the best tokens, as `{"score", "token", "token_str", "sequence"}`.

    Gaps are written as the tokenizer's mask token ("[MASK]", "<mask>"). A text with one gap is answered by a list of
    `top_k` dicts, with several by a list of such lists, each gap filled by itself. `targets` limits the answers to
    these words; one that is no token is replaced by its first token, with a warning. A list of one text is answered
    like the text alone. A text of more tokens than the model has positions for is an error unless `truncation=True`
    cuts it.
    """

    task = "fill-mask"
    auto = "AutoModelForMaskedLM"
    heads = ("masked-language",)
    options_class = Options
    older_options: ClassVar[tuple[str, ...]] = ()

    def __init__(self, model: Any, tokenizer: Any, **options: Any) -> None:
        super().__init__(model, tokenizer, **options)
        if tokenizer.mask_token_id is None:
            raise InputError(
                "this tokenizer has no mask token, so there is no way to write a gap. Set tokenizer.mask_token."
            )

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Fill the gaps of a text, of many texts, or of a source of texts."""
        answer = super().__call__(inputs, **options)
        return answer[0] if isinstance(inputs, list) and len(inputs) == 1 else answer

    def translate(self, options: dict[str, Any]) -> dict[str, Any]:
        """tokenizer_kwargs unpacked."""
        return {**(options.pop("tokenizer_kwargs", None) or {}), **options}

    def answer(self, chunk: Chunk, options: Options, size: int | None) -> list[Any]:
        """A list of dicts a text, or a list of such lists for several gaps."""
        settings = self.cutting(options.truncation, options.max_length)
        columns = self.encode(texts_of(chunk), chunk, add_special_tokens=options.add_special_tokens, **settings)
        mask = self.tokenizer.mask_token_id
        gaps = [[place for place, token in enumerate(row) if token == mask] for row in columns["input_ids"]]
        for index, places in enumerate(gaps):
            if not places:
                raise InputError(
                    f"{chunk.name(index)} has no gap: write {self.tokenizer.mask_token} where a token is missing."
                )
        targets = None if options.targets is None else self._target_ids(options.targets)
        answers: list[Any] = [None] * len(gaps)
        for batch in self.batches(columns, size):
            scores = self._scores(batch, [gaps[row] for row in batch.rows])
            if targets is not None:
                scores = scores[:, targets]
            best, tokens = scores.topk(min(options.top_k, scores.shape[-1]))
            if targets is not None:
                tokens = targets[tokens]
            filled = iter(zip(best.tolist(), tokens.tolist(), strict=True))
            for row in batch.rows:
                found = [next(filled) for _ in gaps[row]]
                answers[row] = self._read(columns["input_ids"][row], gaps[row], found)
        return answers

    def _scores(self, batch: Batch, gaps: list[list[int]]) -> Tensor:
        """Probabilities (M, V) at the gaps of a batch, text after text.

        The projection onto the vocabulary is the dearest step of all, so the head sees the gaps only.
        """
        states = self.model.body(**batch.inputs, plain=self.model.attn_implementation == "eager")
        rows = torch.tensor([row for row, places in enumerate(gaps) for _ in places], device=self.device)
        columns = torch.tensor([place for places in gaps for place in places], device=self.device)
        tokens = states.padded()[rows, columns]  # (M, E)
        logits: Tensor = self.model.head(States(tokens[:, None], Padded(len(tokens), 1)))["logits"][:, 0]
        return self.checked(logits).softmax(-1)

    def _read(self, ids: list[int], gaps: list[int], found: list[tuple[list[float], list[int]]]) -> Any:
        single = len(gaps) == 1
        answers = []
        for gap, (scores, tokens) in zip(gaps, found, strict=True):
            sequences = [[*ids[:gap], token, *ids[gap + 1 :]] for token in tokens]
            # with several gaps the others must stay visible, and they are special tokens
            texts = self.tokenizer.batch_decode(sequences, skip_special_tokens=single)
            words = self.tokenizer.batch_decode([[token] for token in tokens])
            answers.append(
                [
                    {"score": score, "token": token, "token_str": word, "sequence": text}
                    for score, token, word, text in zip(scores, tokens, words, texts, strict=True)
                ]
            )
        return answers[0] if single else answers

    def _target_ids(self, targets: str | Sequence[str]) -> Tensor:
        words = [targets] if isinstance(targets, str) else list(targets)
        vocabulary = self.tokenizer.get_vocab()
        ids: list[int] = []
        for word in words:
            if word in vocabulary:
                ids.append(vocabulary[word])
                continue
            pieces = self.tokenizer(word, add_special_tokens=False, verbose=False)["input_ids"]
            if not pieces:
                notice(f"the target {word!r} has no token and is left out.")
                continue
            first = self.tokenizer.convert_ids_to_tokens(pieces[0])
            notice(f"the target {word!r} is no token of this vocabulary; its first token {first!r} stands for it.")
            ids.append(pieces[0])
        if not ids:
            raise InputError(
                f"targets={targets!r}: none of them has a token. Pass at least one word of the vocabulary."
            )
        return torch.tensor(list(dict.fromkeys(ids)), device=self.device)
