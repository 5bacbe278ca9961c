"""What happens to the logits of the next token before one is chosen: functions (B, V) -> (B, V)."""

# B batch  T tokens so far  V vocabulary
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from madang.errors import InputError
from madang.generation.config import GenerationConfig

# takes the tokens so far (B, T) and the logits (B, V)
Processor = Callable[[Tensor, Tensor], Tensor]


def repetition_penalty(penalty: float) -> Processor:
    """Tokens already there become less likely: logits divided by `penalty`, multiplied where negative.

    Keskar et al. 2019 (CTRL), section 4.1.
    """

    def process(ids: Tensor, logits: Tensor) -> Tensor:
        seen = logits.gather(1, ids)
        return logits.scatter(1, ids, torch.where(seen < 0, seen * penalty, seen / penalty))

    return process


def not_before(length: int, ends: list[int]) -> Processor:
    """No end before the text has `length` tokens."""

    def process(ids: Tensor, logits: Tensor) -> Tensor:
        if ids.shape[1] >= length:
            return logits
        return logits.index_fill(1, torch.tensor(ends, device=logits.device), -torch.inf)

    return process


def temperature(value: float) -> Processor:
    """Above 1 bolder, below 1 more careful."""
    return lambda ids, logits: logits / value


def top_k(number: int) -> Processor:
    """Only the `number` most likely tokens."""

    def process(ids: Tensor, logits: Tensor) -> Tensor:
        least = logits.topk(min(number, logits.shape[-1])).values[:, -1:]
        return logits.masked_fill(logits < least, -torch.inf)

    return process


def top_p(share: float) -> Processor:
    """Only the most likely tokens that together reach the probability `share` (Holtzman et al. 2019)."""

    def process(ids: Tensor, logits: Tensor) -> Tensor:
        ascending, order = logits.sort(descending=False)
        dropped = ascending.softmax(-1).cumsum(-1) <= 1 - share
        dropped[:, -1] = False  # the most likely one always stays
        return logits.masked_fill(dropped.scatter(1, order, dropped), -torch.inf)

    return process


def processors(config: GenerationConfig, prompt: int, ends: list[int]) -> list[Processor]:
    """The processors that `config` asks for, in the usual order; `prompt` is the length of the text before."""
    chosen: list[Processor] = []
    if config.repetition_penalty != 1.0:
        if config.repetition_penalty <= 0:
            raise InputError(f"repetition_penalty={config.repetition_penalty} must be above 0; 1 changes nothing.")
        chosen.append(repetition_penalty(config.repetition_penalty))
    least = max(config.min_length or 0, prompt + (config.min_new_tokens or 0))
    if least > prompt and ends:
        chosen.append(not_before(least, ends))
    if not config.do_sample:
        return chosen
    if config.temperature is not None and config.temperature != 1.0:
        if config.temperature <= 0:
            raise InputError(
                f"temperature={config.temperature} must be above 0; for the likeliest text use do_sample=False."
            )
        chosen.append(temperature(config.temperature))
    if config.top_k:
        chosen.append(top_k(config.top_k))
    if config.top_p is not None and config.top_p < 1.0:
        if config.top_p <= 0:
            raise InputError(f"top_p={config.top_p} must lie above 0 and at most at 1.")
        chosen.append(top_p(config.top_p))
    return chosen
