"""Continuing texts, greedily or by drawing, with a cache of keys and values."""

# B batch  T tokens so far  V vocabulary
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from madang.blocks.context import Cache, States
from madang.errors import InputError
from madang.generation.config import GenerationConfig
from madang.generation.processors import processors
from madang.notices import notice
from madang.ops.packing import Padded


@torch.no_grad()
def generate(
    model: Any,
    inputs: Tensor | None = None,
    *,
    input_ids: Tensor | None = None,
    attention_mask: Tensor | None = None,
    generation_config: GenerationConfig | None = None,
    generator: torch.Generator | None = None,
    **options: Any,
) -> Tensor:
    """Continue the texts `input_ids` (B, T): -> (B, longer), the texts in front; an encoder-decoder's answers alone.

    Options (max_new_tokens, do_sample, temperature, top_k, top_p, repetition_penalty, min_new_tokens,
    num_return_sequences, eos_token_id, pad_token_id, …) win over the model's generation_config. Texts of different
    lengths come with an attention_mask that says where the padding is, on whichever side. After its end a text is
    filled with padding. `generator` makes draws repeatable.
    """
    ids = inputs if inputs is not None else input_ids
    options.pop("token_type_ids", None)  # some tokenizers make them for decoders, which have none
    config = (
        generation_config or model.generation_config or GenerationConfig.from_model(model.config, {})
    ).with_options(options)
    was_training = model.training
    model.eval()
    try:
        if model.config.is_encoder_decoder:
            return _answer(model, ids, attention_mask, config, generator)
        return _continue(model, _start(model, ids, config), attention_mask, config, generator, {})
    finally:
        model.train(was_training)


def _start(model: Any, ids: Tensor | None, config: GenerationConfig) -> Tensor:
    """The texts to continue; without any, one that holds the token all texts begin with."""
    if ids is None:
        if config.bos_token_id is None:
            raise InputError("generate needs input_ids: this model has no token that begins every text (bos_token_id).")
        return torch.full((1, 1), config.bos_token_id, device=model.device)
    if ids.ndim != 2 or ids.shape[1] == 0:
        raise InputError(
            f"input_ids must have the shape (texts, tokens) with at least one token; found {tuple(ids.shape)}."
        )
    return ids


def _answer(
    model: Any, ids: Tensor | None, mask: Tensor | None, config: GenerationConfig, generator: torch.Generator | None
) -> Tensor:
    """An encoder reads the texts once; the decoder starts from its start token."""
    if ids is None:
        raise InputError("an encoder-decoder needs input_ids to answer.")
    start = config.decoder_start_token_id
    start = config.bos_token_id if start is None else start
    if start is None:
        raise InputError("config.decoder_start_token_id is not set, so the answer has no beginning.")
    copies = config.num_return_sequences
    if copies > 1:
        ids, mask = ids.repeat_interleave(copies, 0), None if mask is None else mask.repeat_interleave(copies, 0)
    read = model.body.encoder(ids, mask)
    begun = torch.full((len(ids), 1), start, device=ids.device)
    return _continue(
        model, begun, None, config.with_options({"num_return_sequences": 1}), generator, {"encoder_outputs": read}
    )


def _continue(
    model: Any,
    ids: Tensor,
    mask: Tensor | None,
    config: GenerationConfig,
    generator: torch.Generator | None,
    fixed: dict[str, Any],
) -> Tensor:
    """Token after token until every text has ended or is long enough."""
    if config.num_return_sequences > 1:
        if not config.do_sample:
            raise InputError("num_return_sequences above 1 needs do_sample=True: greedy texts would all be the same.")
        ids = ids.repeat_interleave(config.num_return_sequences, 0)
        mask = None if mask is None else mask.repeat_interleave(config.num_return_sequences, 0)
    mask = None if mask is None or bool((mask != 0).all()) else mask
    given, prompt = ids, ids.shape[1]
    if mask is not None:
        ids, mask = _text_last(ids, mask)
    ends = _ends(config)
    filler = config.pad_token_id if config.pad_token_id is not None else (ends[0] if ends else 0)
    chain = processors(config, prompt, ends)
    cache = Cache() if config.use_cache else None
    running = torch.ones(len(ids), dtype=torch.bool, device=ids.device)
    for _ in range(_room(model, prompt, config)):
        logits = _next_logits(model, ids, mask, cache, fixed)
        for process in chain:
            logits = process(ids, logits)
        token = _drawn(logits, generator) if config.do_sample else logits.argmax(-1)
        token = torch.where(running, token, filler)
        ids = torch.cat((ids, token[:, None]), 1)
        if mask is not None:
            mask = torch.cat((mask, mask.new_ones(len(mask), 1)), 1)
        if ends:
            running = running & ~torch.isin(token, torch.tensor(ends, device=ids.device))
            if not bool(running.any()):
                break
    return torch.cat((given, ids[:, prompt:]), 1)


def _text_last(ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Each row with its padding moved to the left, so that the next token follows the text and not its padding."""
    order = (mask != 0).long().argsort(dim=1, stable=True)
    return ids.gather(1, order), mask.gather(1, order)


def _next_logits(model: Any, ids: Tensor, mask: Tensor | None, cache: Cache | None, fixed: dict[str, Any]) -> Tensor:
    """Logits (B, V) after the last token; with a cache only the tokens it has not seen are read."""
    seen = 0 if cache is None else cache.length
    if fixed:
        states = model.body(decoder_input_ids=ids[:, seen:], past_key_values=cache, **fixed)
    else:
        first = model.body.embed.number.first
        positions = None if mask is None else (mask.long().cumsum(1) - 1).clamp(min=0)[:, seen:] + first
        states = model.body(ids[:, seen:], mask, position_ids=positions, past_key_values=cache)
    # only the last token is asked about: the projection onto the vocabulary is the dearest there is
    last = states.layout.at(states.tokens, torch.full((len(ids),), ids.shape[1] - seen - 1, device=ids.device))
    answers = model.head(States(last[:, None], Padded(len(ids), 1)))
    logits: Tensor = answers["logits"][:, -1].float()
    return logits


def _drawn(logits: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(1)


def _ends(config: GenerationConfig) -> list[int]:
    end = config.eos_token_id
    return [] if end is None else list(end) if isinstance(end, (list, tuple)) else [int(end)]


def _room(model: Any, prompt: int, config: GenerationConfig) -> int:
    """How many tokens may be added, by the options and by the model's positions."""
    wanted = config.max_new_tokens
    if wanted is None:
        wanted = config.max_length - prompt
        if wanted <= 0:
            raise InputError(
                f"the text has {prompt} tokens already and max_length is {config.max_length}; pass max_new_tokens."
            )
    if wanted <= 0:
        raise InputError(f"max_new_tokens={wanted}: at least one token must be asked for.")
    longest = None if model.config.is_encoder_decoder else model.maximum_length
    if longest is not None and prompt + wanted > longest:
        if prompt >= longest:
            raise InputError(
                f"the text has {prompt} tokens; this model has positions for {longest}, so nothing can follow."
            )
        notice(f"this model has positions for {longest} tokens: {longest - prompt} are added, not {wanted}.")
        wanted = longest - prompt
    return int(wanted)
