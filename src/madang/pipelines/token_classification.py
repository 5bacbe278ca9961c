"""token-classification: names of people, places and the like in a text."""

# B texts of a batch  T tokens  C classes
from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

from madang.errors import InputError, WrongTypeError, unknown_name
from madang.pipelines.entities import STRATEGIES, Tokens, find_entities
from madang.pipelines.inputs import Chunk, not_a_text
from madang.pipelines.task import Pipeline


@dataclass(frozen=True)
class Options:
    """What a call may choose; see TokenClassificationPipeline."""

    aggregation_strategy: str = "none"
    ignore_labels: Collection[str] = ("O",)
    stride: int | None = None
    is_split_into_words: bool = False
    delimiter: str = " "

    def __post_init__(self) -> None:
        if self.aggregation_strategy not in STRATEGIES:
            raise unknown_name("aggregation_strategy", self.aggregation_strategy, STRATEGIES)
        if isinstance(self.ignore_labels, str):
            raise WrongTypeError(f"ignore_labels={self.ignore_labels!r} is one str; expected a list of labels.")


class TokenClassificationPipeline(Pipeline):
    """Finds entities: for each text a list of dicts, where `start` and `end` are characters of the text as it was
    passed.

    `aggregation_strategy="none"` gives one dict a token: `entity`, `score`, `index`, `word`, `start`, `end`. The
    others put tokens together and give `entity_group`, `score`, `word`, `start`, `end`: "simple" puts neighbours of
    the same label together, "first", "average" and "max" let all tokens of a word have one label first. Labels in
    `ignore_labels` are left out. `grouped_entities=True` is the older spelling of "simple".

    Nothing is cut: a text that is too long for the model is read in windows that overlap by `stride` tokens (by default
    a quarter of a window), and each token gets the answer of the window in which it has more text around it.

    With `is_split_into_words=True` an input is a list of words; `start` and `end` then count in
    `delimiter.join(words)`.
    """

    task = "token-classification"
    auto = "AutoModelForTokenClassification"
    heads = ("token-classification",)
    options_class = Options
    older_options: ClassVar[tuple[str, ...]] = ("grouped_entities", "ignore_subwords")

    def translate(self, options: dict[str, Any]) -> dict[str, Any]:
        """grouped_entities and ignore_subwords in terms of aggregation_strategy."""
        grouped, words = options.pop("grouped_entities", None), options.pop("ignore_subwords", None)
        if grouped is not None or words is not None:
            strategy = ("first" if words else "simple") if grouped else "none"
            options.setdefault("aggregation_strategy", strategy)
        chosen = options.get("aggregation_strategy")
        if chosen is not None:
            options["aggregation_strategy"] = str(getattr(chosen, "value", chosen)).lower()
        return {name: value for name, value in options.items() if value is not None}

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Find the entities of a text, of many texts, or of a source of texts."""
        split = {**self.defaults, **options}.get("is_split_into_words", False)
        if split and isinstance(inputs, (list, tuple)) and inputs and isinstance(inputs[0], str):
            return super().__call__([inputs], **options)[0]
        return super().__call__(inputs, **options)

    def answer(self, chunk: Chunk, options: Options, size: int | None) -> list[Any]:
        """A list of entities a text."""
        texts = [_text(chunk, index, options) for index in range(len(chunk.items))]
        if not texts:
            return []
        windows = self._windows([text.given for text in texts], options)
        readable = [window for window in windows if window.ids]
        columns = {"input_ids": [window.ids for window in readable], "token_type_ids": [w.types for w in readable]}
        if readable and readable[0].types is None:
            del columns["token_type_ids"]
        parts: list[dict[int, tuple[Window, NDArray[Any]]]] = [{} for _ in texts]
        for batch in self.batches(columns, size):
            scores = self.checked(self.model(**batch.inputs).logits).softmax(-1).cpu().numpy()  # (B, T, C)
            for place, row in enumerate(batch.rows):
                window = readable[row]
                parts[window.text][window.number] = (window, scores[place])
        return [
            find_entities(
                self._tokens([found[number] for number in sorted(found)], text),
                options.aggregation_strategy,
                self.labels,
                options.ignore_labels,
                self.tokenizer.convert_tokens_to_string,
            )
            for found, text in zip(parts, texts, strict=True)
        ]

    def _windows(self, given: list[Any], options: Options) -> list[Window]:
        """Every text as windows of no more tokens than the model takes."""
        limit, settings, stride = self.limit, {}, 0
        if limit is not None:
            room = limit - self.tokenizer.num_special_tokens_to_add()
            stride = room // 4 if options.stride is None else options.stride
            if not 0 <= stride < room:
                raise InputError(
                    f"stride={stride}: expected 0 to {room - 1}; a window has room for {room} tokens of text."
                )
            settings = {"truncation": True, "max_length": limit, "stride": stride, "return_overflowing_tokens": True}
        made = self.tokenizer(
            given,
            is_split_into_words=options.is_split_into_words,
            return_offsets_mapping=True,
            return_attention_mask=False,
            verbose=False,
            **settings,
        )
        origins = made.get("overflow_to_sample_mapping", list(range(len(given))))
        types = made.get("token_type_ids", [None] * len(origins))
        rows: list[list[int]] = [[] for _ in given]
        for row, origin in enumerate(origins):
            rows[origin].append(row)
        windows = []
        for text, its in enumerate(rows):
            if self.tokenizer.truncation_side == "left":
                its.reverse()  # the first window was the text's end
            for number, row in enumerate(its):
                encoding = made.encodings[row]
                own = [place for place, special in enumerate(encoding.special_tokens_mask) if not special]
                # the overlap is shared out: the first half belongs to the window before
                start = 0 if number == 0 else stride // 2
                end = len(own) if number == len(its) - 1 else len(own) - (stride - stride // 2)
                windows.append(Window(text, number, made["input_ids"][row], types[row], encoding, own[start:end]))
        return windows

    def _tokens(self, parts: list[tuple[Window, NDArray[Any]]], text: Text) -> Tokens:
        """All tokens of a text, put together from its windows."""
        words: list[str] = []
        spans: list[tuple[int, int]] = []
        continues: list[bool] = []
        prefix = getattr(self.tokenizer.backend_tokenizer.model, "continuing_subword_prefix", None)
        unknown = self.tokenizer.unk_token_id
        before: int | None = None  # the word of the token before
        for window, _ in parts:
            tokens, offsets, word_ids = window.encoding.tokens, window.encoding.offsets, window.encoding.word_ids
            for place in window.own:
                word_id = word_ids[place]
                base = 0 if text.starts is None or word_id is None else text.starts[word_id]
                start, end = offsets[place][0] + base, offsets[place][1] + base
                if prefix:
                    continues.append(tokens[place].startswith(prefix))
                else:
                    # some tokenizers take the whole text for one word, so a blank between two tokens counts too
                    blank = any(map(str.isspace, text.whole[spans[-1][1] if spans else 0 : start + 1]))
                    continues.append(word_id is not None and word_id == before and not blank)
                words.append(text.whole[start:end] if window.ids[place] == unknown else tokens[place])
                spans.append((start, end))
                before = word_id
        first = parts[0][0].own[0] if words else 0
        scores = np.concatenate([scores[window.own] for window, scores in parts]) if words else np.zeros((0, 1))
        return Tokens(words, spans, list(range(first, first + len(words))), continues, scores)


@dataclass(frozen=True)
class Window:
    """Part of a text, as the model reads it. `own` are the places of the tokens whose answer is taken from here."""

    text: int
    number: int
    ids: list[int]
    types: list[int] | None
    encoding: Encoding
    own: list[int]


@dataclass(frozen=True)
class Text:
    """What was passed, the text that spans count in, and where each of its words starts there (for words)."""

    given: Any
    whole: str
    starts: list[int] | None = None


def _text(chunk: Chunk, index: int, options: Options) -> Text:
    item = chunk.items[index]
    if not options.is_split_into_words:
        if not isinstance(item, str):
            raise not_a_text(chunk, index, item)
        return Text(item, item)
    if not isinstance(item, (list, tuple)) or not all(isinstance(word, str) for word in item):
        raise not_a_text(chunk, index, item, "a list of words (is_split_into_words=True)")
    starts, end = [], 0
    for word in item:
        starts.append(end)
        end += len(word) + len(options.delimiter)
    return Text(list(item), options.delimiter.join(item), starts)
