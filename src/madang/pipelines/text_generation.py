"""text-generation: how a text, or a conversation, goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import torch

from madang.errors import InputError, unknown_name
from madang.generation.config import DEFAULTS, ONLY, GenerationConfig
from madang.notices import notice
from madang.pipelines.batching import Filling, batches, cut
from madang.pipelines.inputs import Chunk, not_a_text
from madang.pipelines.task import Pipeline

NEW_TOKENS = 256  # where neither the call nor the model's generation_config.json says
TEXTS = 8  # continued together where batch_size is not given; each keeps a cache of its own


@dataclass(frozen=True)
class Options:
    """What a call may choose; see TextGenerationPipeline. `generate` holds the options of `model.generate`."""

    return_full_text: bool = True
    return_tensors: bool = False
    clean_up_tokenization_spaces: bool | None = None
    skip_special_tokens: bool = True
    prefix: str = ""
    add_special_tokens: bool = True
    stop_sequence: str | None = None
    handle_long_generation: str | None = None
    truncation: Any = None
    continue_final_message: bool | None = None
    tools: Any = None
    documents: Any = None
    tokenizer_encode_kwargs: dict[str, Any] = field(default_factory=dict)
    generate: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Prompt:
    """A text to continue: what was passed, its tokens, and how many are to follow."""

    given: Any
    ids: list[int]
    room: int


class TextGenerationPipeline(Pipeline):
    """Continues texts: `[{"generated_text": …}]` for each, with `num_return_sequences` dicts.

    An input is a text, or a conversation (`[{"role": "user", "content": …}, …]`), which is written by the tokenizer's
    chat template and answered by the conversation with one message more; one that ends with an assistant's message is
    continued within it. `return_full_text=False` gives the new text alone, `return_tensors=True` token ids.

    All options of `model.generate` are options here: `max_new_tokens` (256 when nobody says), `do_sample`,
    `temperature` and so on; without them the model's generation_config.json counts. Texts of different lengths run
    together, padded on the left; `batch_size` says how many (8). A prompt that leaves no room for new tokens is an
    error unless `truncation=True` (or `handle_long_generation="hole"`) cuts it at its beginning.
    """

    task = "text-generation"
    auto = "AutoModelForCausalLM"
    heads = ("causal-language",)
    options_class = Options
    older_options: ClassVar[tuple[str, ...]] = ("return_text",)

    # options ---------------------------------------------------------------------------------------------------

    def read_options(self, given: Mapping[str, Any]) -> Options:
        """The pipeline's own options, and those of generate apart."""
        merged = {**self.defaults, **given}
        if not merged.pop("return_text", True):
            merged.setdefault("return_tensors", True)
        own = {item.name for item in fields(Options)} - {"generate"}
        chosen = {name: merged.pop(name) for name in list(merged) if name in own and merged[name] is not None}
        for name in merged:
            if name in own:
                continue
            if name not in DEFAULTS and name not in ONLY and name not in ("generator", "generation_config"):
                raise unknown_name(f"option of {self.task}", name, [*own, *DEFAULTS, *ONLY, "batch_size"])
        hole = chosen.get("handle_long_generation")
        if hole not in (None, "hole"):
            raise unknown_name("handle_long_generation", str(hole), ("hole",))
        generate = {name: value for name, value in merged.items() if name not in own}
        self._config(generate)  # an option that is not possible is an error now
        return Options(**chosen, generate=generate)

    def _config(self, generate: Mapping[str, Any]) -> GenerationConfig:
        """All that generate is told: the call's options over the task's over those of the model."""
        generate = {name: value for name, value in generate.items() if name != "generator"}
        found = generate.pop("generation_config", None) or self.model.generation_config
        config: GenerationConfig = found or GenerationConfig.from_model(self.model.config, {})
        specific = (self.model.config.other.get("task_specific_params") or {}).get(self.task, {})
        config = config.with_options({name: value for name, value in specific.items() if name in DEFAULTS})
        return config.with_options(generate)

    # calling ---------------------------------------------------------------------------------------------------

    def is_one(self, inputs: Any) -> bool:
        """A text or a conversation."""
        return super().is_one(inputs) or _is_chat(inputs)

    def answer(self, chunk: Chunk, options: Options, size: int | None) -> list[Any]:
        """A list of dicts a text."""
        config = self._config(options.generate)
        if options.stop_sequence is not None:
            config = config.with_options({"eos_token_id": self._stop_token(options.stop_sequence)})
        encoded = [self._encode(chunk, index, options) for index in range(len(chunk.items))]
        prompts = [self._fitted(chunk, index, *encoded[index], config, options) for index in range(len(encoded))]
        answers: list[Any] = [None] * len(prompts)
        for rows in self._together(prompts, config, size):
            made = self._continued([prompts[row] for row in rows], config, options.generate.get("generator"))
            for row, sequences in zip(rows, made, strict=True):
                answers[row] = [self._read(prompts[row], new, options) for new in sequences]
        return answers

    # before the model ------------------------------------------------------------------------------------------

    def _encode(self, chunk: Chunk, index: int, options: Options) -> tuple[Any, list[int]]:
        """What was passed, and its tokens."""
        item = getattr(chunk.items[index], "messages", chunk.items[index])
        if _is_chat(item):
            unfinished = _is_unfinished(item, options)
            ids = self.tokenizer.apply_chat_template(
                item,
                tools=options.tools,
                documents=options.documents,
                add_generation_prompt=not unfinished,
                continue_final_message=unfinished,
                **options.tokenizer_encode_kwargs,
            )
        elif isinstance(item, str):
            settings = {"add_special_tokens": options.add_special_tokens, **options.tokenizer_encode_kwargs}
            ids = self.tokenizer(options.prefix + item, verbose=False, **settings)["input_ids"]
        else:
            raise not_a_text(chunk, index, item, "a text (str) or a conversation (a list of messages)")
        return item, list(ids) or self._beginning(chunk, index)

    def _beginning(self, chunk: Chunk, index: int) -> list[int]:
        """The token that texts begin with, for a prompt that has none."""
        for number in (self.model.config.bos_token_id, self.tokenizer.bos_token_id):
            if number is not None:
                return [int(number)]
        raise InputError(
            f"{chunk.name(index)} has no tokens, and this model no token that begins a text. Write something."
        )

    def _fitted(
        self, chunk: Chunk, index: int, given: Any, ids: list[int], config: GenerationConfig, options: Options
    ) -> Prompt:
        """The prompt with the number of tokens that follow, cut at its beginning where that is asked for."""
        wanted = config.max_new_tokens
        if wanted is None:
            unsaid = config.max_length == DEFAULTS["max_length"] and "max_length" not in options.generate
            wanted = NEW_TOKENS if unsaid else config.max_length - len(ids)
        elif wanted < 1:
            raise InputError(f"max_new_tokens={wanted}: at least one token must be asked for.")
        longest = self.model.maximum_length
        if longest is not None and (options.handle_long_generation == "hole" or options.truncation):
            if wanted >= longest:
                raise InputError(f"{wanted} new tokens do not fit into the {longest} positions of this model.")
            ids = ids[max(0, len(ids) + wanted - longest) :]
        room = wanted if longest is None else min(wanted, longest - len(ids))
        if room < 1:
            limit = (
                f"this model has positions for {longest}"
                if longest == len(ids) + room
                else f"max_length is {config.max_length}"
            )
            raise InputError(
                f"{chunk.name(index)} has {len(ids)} tokens and {limit}, so nothing can follow. "
                "Pass max_new_tokens, and truncation=True to cut its beginning."
            )
        if room < wanted and config.max_new_tokens is not None:
            notice(
                f"{chunk.name(index)}: this model has positions for {longest} tokens, so {room} are added, "
                f"not {wanted}."
            )
        return Prompt(given, ids, room)

    def _together(self, prompts: list[Prompt], config: GenerationConfig, size: int | None) -> Iterator[list[int]]:
        """Which prompts run in one batch: of similar length, and with the same number of tokens to follow."""
        # a penalty counts the tokens before it, and padding would be among them
        exact = config.repetition_penalty != 1.0
        groups: dict[tuple[int, int], list[int]] = {}
        for row, prompt in enumerate(prompts):
            groups.setdefault((prompt.room, len(prompt.ids) if exact else 0), []).append(row)
        for rows in groups.values():
            for chosen in cut([len(prompts[row].ids) for row in rows], size or TEXTS, 0):
                yield [rows[place] for place in chosen]

    # the model and after ---------------------------------------------------------------------------------------

    def _continued(
        self, prompts: list[Prompt], config: GenerationConfig, generator: torch.Generator | None
    ) -> list[list[list[int]]]:
        """For each prompt its continuations: token ids without padding, up to and with the token that ends a text."""
        filling = Filling(self.filling.ids, side="left")
        (batch,) = batches({"input_ids": [prompt.ids for prompt in prompts]}, filling, self.device, len(prompts))
        ends = config.eos_token_id
        ends = [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
        limits = {"max_new_tokens": prompts[0].room}
        if config.pad_token_id is None and ends:
            limits["pad_token_id"] = ends[0]
        ids = self.model.generate(
            batch.inputs["input_ids"],
            attention_mask=batch.inputs["attention_mask"],
            generation_config=config.with_options(limits),
            generator=generator,
        )
        new = ids[:, batch.inputs["input_ids"].shape[1] :].tolist()
        copies = len(new) // len(prompts)
        made: list[list[list[int]]] = [[] for _ in prompts]
        for place, row in enumerate(batch.rows):
            made[row] = [_ended(sequence, ends) for sequence in new[place * copies : (place + 1) * copies]]
        return made

    def _read(self, prompt: Prompt, new: list[int], options: Options) -> dict[str, Any]:
        if options.return_tensors:
            return {"generated_token_ids": [*prompt.ids, *new]}
        text = self._new_text(prompt, new, options)
        if not options.return_full_text:
            return {"generated_text": text}
        if isinstance(prompt.given, str):
            return {"generated_text": prompt.given + text}
        messages = list(prompt.given)
        if _is_unfinished(messages, options):
            return {"generated_text": [*messages[:-1], {**messages[-1], "content": messages[-1]["content"] + text}]}
        return {"generated_text": [*messages, {"role": "assistant", "content": text}]}

    def _new_text(self, prompt: Prompt, new: list[int], options: Options) -> str:
        """The text of all tokens without that of the prompt: new tokens decoded alone may lose their first blank."""
        settings = {
            "skip_special_tokens": options.skip_special_tokens,
            "clean_up_tokenization_spaces": options.clean_up_tokenization_spaces,
        }
        before, everything = self.tokenizer.batch_decode([prompt.ids, [*prompt.ids, *new]], **settings)
        if everything.startswith(before):
            return str(everything[len(before) :])
        return str(self.tokenizer.decode(new, **settings))

    def _stop_token(self, text: str) -> int:
        ids = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        if len(ids) != 1:
            raise InputError(
                f"stop_sequence={text!r} is {len(ids)} tokens of this vocabulary; stopping is possible at one token."
            )
        return int(ids[0])


def _is_chat(inputs: Any) -> bool:
    """Whether `inputs` is one conversation: a list of messages."""
    inputs = getattr(inputs, "messages", inputs)
    return isinstance(inputs, (list, tuple)) and bool(inputs) and isinstance(inputs[0], Mapping)


def _is_unfinished(messages: Any, options: Options) -> bool:
    """Whether the last message is to be continued rather than answered."""
    if options.continue_final_message is not None:
        return options.continue_final_message
    return bool(messages[-1].get("role") == "assistant")


def _ended(ids: list[int], ends: list[int]) -> list[int]:
    """`ids` up to and with the first that ends a text."""
    return next((ids[: place + 1] for place, token in enumerate(ids) if token in ends), ids)
