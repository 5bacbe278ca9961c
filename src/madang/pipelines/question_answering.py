"""question-answering: the answer to a question as a span of a text."""

# B windows of a batch  T tokens  L tokens of the longest answer
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from tokenizers import Encoding
from torch import Tensor
from torch.nn.functional import pad

from madang.errors import InputError
from madang.pipelines.inputs import Chunk, is_many, not_a_text, read_many
from madang.pipelines.task import Pipeline

WINDOW = 384  # tokens, where nothing else is asked for: answers are near to what tells them
OVERLAP = 128


@dataclass(frozen=True)
class Options:
    """What a call may choose; see QuestionAnsweringPipeline."""

    top_k: int = 1
    max_answer_len: int = 15
    max_seq_len: int | None = None
    doc_stride: int | None = None
    max_question_len: int | None = None
    handle_impossible_answer: bool = False
    align_to_words: bool = True
    padding: Any = None

    def __post_init__(self) -> None:
        for name in ("top_k", "max_answer_len", "max_seq_len", "max_question_len"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise InputError(f"{name}={value!r}: expected a number of at least 1.")
        if self.doc_stride is not None and self.doc_stride < 0:
            raise InputError(f"doc_stride={self.doc_stride!r}: expected a number of tokens.")


@dataclass(frozen=True)
class Window:
    """A question and a part of its context, as the model reads them."""

    example: int
    ids: list[int]
    types: list[int] | None
    encoding: Encoding


class QuestionAnsweringPipeline(Pipeline):
    """Finds the answer to a question in a text: `{"score", "start", "end", "answer"}`, characters of the context.

    `pipe(question=…, context=…)`, `pipe(question, context)`, `pipe({"question": …, "context": …})`, or lists of
    these; one question may go with many contexts and the other way round. One example, alone or in a list, is
    answered by a dict (a list of dicts with `top_k` above 1), several by a list. Of dataset rows, `question` and
    `context` are read.

    A context that is too long is read in windows of `max_seq_len` tokens (384, or the model's limit), the question in
    each, overlapping by `doc_stride` tokens (128). An answer has at most `max_answer_len` tokens and is widened to
    whole words unless `align_to_words=False`. `handle_impossible_answer=True` lets "" be an answer. A question of
    more than `max_question_len` tokens is cut when that is given. `padding` is accepted and makes no difference.
    """

    task = "question-answering"
    auto = "AutoModelForQuestionAnswering"
    heads = ("question-answering",)
    columns = ("context", "question")
    options_class = Options
    older_options: ClassVar[tuple[str, ...]] = ("topk",)

    def __call__(self, *examples: Any, question: Any = None, context: Any = None, **options: Any) -> Any:
        """Answer one example, many, or a source of them."""
        inputs = _read_call(examples, question, context, options)
        answers = super().__call__(inputs, **options)
        return answers[0] if isinstance(inputs, list) and len(inputs) == 1 else answers

    def translate(self, options: dict[str, Any]) -> dict[str, Any]:
        """topk as top_k; None as not given."""
        older = options.pop("topk", None)
        if older is not None:
            options.setdefault("top_k", older)
        return {name: value for name, value in options.items() if value is not None}

    def answer(self, chunk: Chunk, options: Options, size: int | None) -> list[Any]:
        """A dict an example, or a list of dicts."""
        if not chunk.items:
            return []
        pairs = [_question_and_context(chunk, index, item) for index, item in enumerate(chunk.items)]
        windows = self._windows(chunk, pairs, options)
        columns = {"input_ids": [window.ids for window in windows], "token_type_ids": [w.types for w in windows]}
        if windows[0].types is None:
            del columns["token_type_ids"]
        # by window: its best answers, and how likely it is that there is none
        found: list[tuple[list[dict[str, Any]], float]] = [([], 1.0)] * len(windows)
        for batch in self.batches(columns, size):
            chosen = [windows[row] for row in batch.rows]
            start, end, allowed = self._probabilities(self.model(**batch.inputs), chosen)
            nothing = (start[:, 0] * end[:, 0]).tolist()
            allowed[:, 0] = False  # the first token stands for "no answer" and is none itself
            spans = best_spans(start, end, allowed, options.max_answer_len, options.top_k)
            for row, window, its, null in zip(batch.rows, chosen, spans, nothing, strict=True):
                context = pairs[window.example][1]
                found[row] = ([self._answer(window.encoding, span, context, options) for span in its], null)
        parts: list[list[tuple[list[dict[str, Any]], float]]] = [[] for _ in pairs]
        for window, result in zip(windows, found, strict=True):
            parts[window.example].append(result)
        return [_best(part, options) for part in parts]

    @property
    def _question_first(self) -> bool:
        # families that pad on the left were taught with the question at the end
        return bool(self.tokenizer.padding_side == "right")

    def _windows(self, chunk: Chunk, pairs: list[tuple[str, str]], options: Options) -> list[Window]:
        """Each example as windows that hold the whole question and a part of the context."""
        tokenizer = self.tokenizer
        limits = [limit for limit in (options.max_seq_len or WINDOW, self.limit) if limit is not None]
        length, special = min(limits), tokenizer.num_special_tokens_to_add(pair=True)
        questions = self._cut_questions([question for question, _ in pairs], options.max_question_len)
        rows = tokenizer(questions, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
        by_stride: dict[int, list[int]] = {}
        for index, row in enumerate(rows):
            room = length - special - len(row)
            if room < 1:
                raise InputError(
                    f"the question of {chunk.name(index)} has {len(row)} tokens; a window has {length}, "
                    f"{special} of them special, so nothing is left for the context. "
                    "Pass max_question_len to cut it, or a larger max_seq_len."
                )
            stride = min(length // 2, OVERLAP) if options.doc_stride is None else options.doc_stride
            by_stride.setdefault(min(stride, room - 1), []).append(index)
        windows = []
        for stride, indices in by_stride.items():
            first, second = [questions[i] for i in indices], [pairs[i][1] for i in indices]
            if not self._question_first:
                first, second = second, first
            made = tokenizer(
                first,
                second,
                truncation="only_second" if self._question_first else "only_first",
                max_length=length,
                stride=stride,
                return_overflowing_tokens=True,
                return_attention_mask=False,
                verbose=False,
            )
            types = made.get("token_type_ids", [None] * len(made["input_ids"]))
            for row, origin in enumerate(made["overflow_to_sample_mapping"]):
                windows.append(Window(indices[origin], made["input_ids"][row], types[row], made.encodings[row]))
        return windows

    def _cut_questions(self, questions: list[str], most: int | None) -> list[str]:
        if most is None:
            return questions
        encodings = self.tokenizer(questions, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [
            question if len(offsets) <= most else question[: offsets[most - 1][1]]
            for question, offsets in zip(questions, encodings["offset_mapping"], strict=True)
        ]

    def _probabilities(self, outputs: Any, windows: list[Window]) -> tuple[Tensor, Tensor, Tensor]:
        """Where the answer starts and ends, each (B, T), and the tokens it may have, (B, T) bool.

        Tokens of the context share the probability with those that stand for "no answer".
        """
        width = outputs.start_logits.shape[1]
        context, none = int(self._question_first), self.tokenizer.cls_token_id
        rows = [
            [
                owner == context or token == none
                for owner, token in zip(window.encoding.sequence_ids, window.ids, strict=True)
            ]
            for window in windows
        ]
        allowed = torch.tensor([row + [False] * (width - len(row)) for row in rows])
        logits = (self.checked(outputs.start_logits).cpu(), self.checked(outputs.end_logits).cpu())
        start, end = (found.masked_fill(~allowed, -10000.0).softmax(-1) for found in logits)
        return start, end, allowed

    def _answer(
        self, encoding: Encoding, span: tuple[float, int, int], context: str, options: Options
    ) -> dict[str, Any]:
        score, first, last = span
        start, end = encoding.offsets[first][0], encoding.offsets[last][1]
        if options.align_to_words:
            chars = [self._word_span(encoding, place) for place in (first, last)]
            if chars[0] is not None and chars[1] is not None:
                start, end = chars[0][0], chars[1][1]
        return {"score": score, "start": start, "end": end, "answer": context[start:end]}

    def _word_span(self, encoding: Encoding, place: int) -> tuple[int, int] | None:
        """The characters of the word that the token at `place` is from."""
        word = encoding.token_to_word(place)
        return None if word is None else encoding.word_to_chars(word, int(self._question_first))


def best_spans(
    start: Tensor, end: Tensor, allowed: Tensor, longest: int, count: int
) -> list[list[tuple[float, int, int]]]:
    """For each row of (B, T) probabilities its `count` best spans of at most `longest` tokens: (score, first, last)."""
    longest = min(longest, start.shape[1])
    ends = pad(end, (0, longest - 1)).unfold(1, longest, 1)  # (B, T, L)
    both = allowed[:, :, None] & pad(allowed, (0, longest - 1)).unfold(1, longest, 1)
    scores = (start[:, :, None] * ends).masked_fill(~both, -1.0).flatten(1)
    best, places = scores.topk(min(count, scores.shape[1]), dim=1)
    return [
        [
            (score, place // longest, place // longest + place % longest)
            for score, place in zip(row, its, strict=True)
            if score >= 0
        ]
        for row, its in zip(best.tolist(), places.tolist(), strict=True)
    ]


def _best(windows: list[tuple[list[dict[str, Any]], float]], options: Options) -> Any:
    """The best answers of an example over all its windows."""
    answers = [answer for its, _ in windows for answer in its]
    if options.handle_impossible_answer or not answers:
        score = min(null for _, null in windows) if options.handle_impossible_answer else 0.0
        answers.append({"score": score, "start": 0, "end": 0, "answer": ""})
    answers = sorted(answers, key=lambda answer: answer["score"], reverse=True)[: options.top_k]
    return answers[0] if len(answers) == 1 else answers


def _read_call(examples: tuple[Any, ...], question: Any, context: Any, options: dict[str, Any]) -> Any:
    """What was passed, as one list of examples or a source."""
    for name in ("X", "data"):  # how scikit-learn and Keras call it
        if name in options:
            examples = (*examples, options.pop(name))
    if question is not None or context is not None:
        if question is None or context is None or len(examples) > 0:
            raise InputError("pass both question= and context=, and nothing beside them.")
        return _joined(question, context)
    if len(examples) == 2 and all(isinstance(part, str) for part in examples):
        return [{"question": examples[0], "context": examples[1]}]
    if not examples:
        raise InputError("nothing was asked: pass question= and context=, or {'question': …, 'context': …}.")
    if len(examples) > 1:
        return list(examples)
    if isinstance(examples[0], Mapping) or hasattr(examples[0], "question_text"):
        return [examples[0]]
    return read_many(examples[0]) if is_many(examples[0]) else examples[0]


def _joined(question: Any, context: Any) -> list[dict[str, Any]]:
    """Questions with their contexts; one of a kind goes with all of the other."""
    questions = [question] if isinstance(question, str) else read_many(question)
    contexts = [context] if isinstance(context, str) else read_many(context)
    if isinstance(question, str):
        questions = questions * len(contexts)
    elif isinstance(context, str):
        contexts = contexts * len(questions)
    if len(questions) != len(contexts):
        raise InputError(f"{len(questions)} questions and {len(contexts)} contexts; every question needs its context.")
    return [{"question": q, "context": c} for q, c in zip(questions, contexts, strict=True)]


def _question_and_context(chunk: Chunk, index: int, item: Any) -> Any:
    """The two texts of an example; further keys (id, answers, …) are of no use here. -> (question, context)"""
    expected = "{'question': …, 'context': …}"
    if isinstance(item, Mapping):
        found = item.get("question"), item.get("context")
    elif hasattr(item, "question_text") and hasattr(item, "context_text"):
        found = item.question_text, item.context_text
    else:
        raise not_a_text(chunk, index, item, expected)
    for name, text in zip(("question", "context"), found, strict=True):
        if not isinstance(text, str) or not text:
            shown = "missing" if text is None else "empty" if text == "" else f"of type {type(text).__name__}"
            raise InputError(f"the {name} of {chunk.name(index)} is {shown}; expected {expected} with a text for both.")
    return found
