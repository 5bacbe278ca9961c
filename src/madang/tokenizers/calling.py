"""From texts to a BatchEncoding: one call of the Rust tokenizer, then only the columns that were asked for."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from tokenizers import Encoding, pre_tokenizers

from madang.errors import InputError
from madang.tokenizers.encoding import BatchEncoding
from madang.tokenizers.inputs import Texts, bad_unicode
from madang.tokenizers.options import Padding, Truncation
from madang.tokenizers.padding import pad_array, pad_rows, to_tensor

if TYPE_CHECKING:
    from madang.tokenizers.tokenizer import PreTrainedTokenizerFast


@dataclass(frozen=True)
class Asked:
    """What one call wants: how to encode, and which columns to give."""

    padding: Padding | None
    truncation: Truncation | None
    special_tokens: bool
    words: bool
    types: bool
    mask: bool
    special_mask: bool
    offsets: bool
    length: bool
    overflow: bool
    tensors: str | None


@contextmanager
def uncollected() -> Iterator[None]:
    """Make many lists without Python looking through them for cycles every 700th time: a tenth of a large call."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def encode_texts(
    tokenizer: "PreTrainedTokenizerFast", texts: Texts, asked: Asked, *, warn_over: int | None
) -> BatchEncoding:
    """Encode `texts` as `asked`; a text of more than `warn_over` tokens brings a warning."""
    # Many whole texts are wanted for their ids; skipping offsets then saves a seventh of the time and, as the
    # encodings are dropped, most of the memory. They are made again if somebody asks where a token came from.
    lean = not (texts.single or asked.words or asked.offsets or asked.overflow)
    if texts.pairs and tokenizer.backend_tokenizer.post_processor is None:
        lean = False  # without offsets, and nothing to set them afterwards, the Rust tokenizer forgets the token types
    if asked.words and _joins_words(tokenizer):
        tokenizer._warn_once(
            "words",
            "words given apart are encoded without the blank before them, unlike the words of running text. "
            "Load this tokenizer with add_prefix_space=True.",
        )
    encodings = run(tokenizer, texts, asked, exact=not lean)
    origin: list[int] = []
    if asked.overflow:
        origin = [index for index, encoding in enumerate(encodings) for _ in range(1 + len(encoding.overflowing))]
        encodings = list(chain.from_iterable([encoding, *encoding.overflowing] for encoding in encodings))
    with uncollected():
        return _batch(tokenizer, texts, asked, encodings, origin, lean=lean, warn_over=warn_over)


def _batch(
    tokenizer: "PreTrainedTokenizerFast",
    texts: Texts,
    asked: Asked,
    encodings: list[Encoding],
    origin: list[int],
    *,
    lean: bool,
    warn_over: int | None,
) -> BatchEncoding:
    """The columns of `encodings`; `origin` says which text each is from, `lean` that they have ids only."""
    rows = [encoding.ids for encoding in encodings]
    longest = max(map(len, rows), default=0)
    if warn_over is not None and longest > warn_over:
        tokenizer._warn_once(
            "too long",
            f"a text has {longest} tokens, more than the {warn_over} this model takes (model_max_length). "
            "Pass truncation=True to cut it; the model cannot use it as it is.",
        )
    target = asked.padding.target(longest) if asked.padding is not None else 0
    data = _columns(tokenizer, texts, asked, encodings, rows, longest, target)
    if asked.overflow:
        data["overflow_to_sample_mapping"] = (
            origin if asked.tensors is None else to_tensor(origin, asked.tensors, "origin")
        )
    if texts.single and asked.tensors is None and not asked.overflow:
        data = {key: column[0] if isinstance(column[0], list) else column for key, column in data.items()}
    if lean:
        known: Any = _later(tokenizer, texts, asked, target)
    else:
        known = _padded(tokenizer, encodings, asked.padding, target)
    return BatchEncoding(data, known, n_sequences=2 if texts.pairs else 1)


def _joins_words(tokenizer: "PreTrainedTokenizerFast") -> bool:
    split = tokenizer.backend_tokenizer.pre_tokenizer
    return isinstance(split, pre_tokenizers.ByteLevel) and not split.add_prefix_space


def run(tokenizer: "PreTrainedTokenizerFast", texts: Texts, asked: Asked, *, exact: bool) -> list[Encoding]:
    """The Rust encodings of `texts`, cut as asked, not padded; without offsets and words unless `exact`."""
    backend, cut = tokenizer.backend_tokenizer, asked.truncation
    encode = backend.encode_batch if exact else backend.encode_batch_fast
    if cut is not None:
        _check_room(backend.num_special_tokens_to_add(texts.pairs) if asked.special_tokens else 0, cut)
    # truncation is a setting of the Rust object: nobody else may encode while it is on
    with tokenizer._lock:
        try:
            if cut is not None:
                backend.enable_truncation(cut.max_length, stride=cut.stride, strategy=cut.strategy, direction=cut.side)
            encodings: list[Encoding] = encode(
                texts.items, is_pretokenized=asked.words, add_special_tokens=asked.special_tokens
            )
            return encodings
        except BaseException as error:
            raise _explained(error, texts, cut) from error
        finally:
            if cut is not None:
                backend.no_truncation()


def _check_room(special: int, cut: Truncation) -> None:
    if cut.max_length < special:
        raise InputError(
            f"max_length={cut.max_length} leaves no room: {special} special tokens are added to each text."
        )
    if cut.stride and cut.stride >= cut.max_length - special:
        raise InputError(
            f"stride={cut.stride} has to be smaller than the {cut.max_length - special} tokens of text that "
            f"max_length={cut.max_length} leaves beside {special} special tokens."
        )


def _explained(error: BaseException, texts: Texts, cut: Truncation | None) -> BaseException:
    """What the Rust tokenizer said, in words that name the text or the argument."""
    if isinstance(error, KeyboardInterrupt):
        return error
    unicode_error = bad_unicode(texts.items)
    if unicode_error is not None:
        return unicode_error
    if cut is not None and "stride" in str(error):
        return InputError(
            f"stride={cut.stride} is too large: beside the text that truncation={cut.strategy!r} keeps whole, "
            f"max_length={cut.max_length} leaves the other one fewer tokens. Lower stride or raise max_length."
        )
    if cut is not None and "runcat" in str(error):
        return InputError(
            f"truncation={cut.strategy!r} cannot bring these texts to max_length={cut.max_length} tokens ({error}). "
            "Use truncation='longest_first', or a larger max_length."
        )
    return error


def _columns(
    tokenizer: "PreTrainedTokenizerFast",
    texts: Texts,
    asked: Asked,
    encodings: list[Encoding],
    rows: list[list[int]],
    longest: int,
    target: int,
) -> dict[str, Any]:
    """The asked columns in their familiar order, padded, as lists or tensors."""

    def column(key: str, values: list[list[Any]], fill: Any) -> Any:
        side = asked.padding.side if asked.padding is not None else "right"
        if (
            asked.tensors is not None
            and target >= longest
            and asked.padding is not None
            and not isinstance(fill, tuple)
        ):
            return to_tensor(pad_array(values, target, fill, side), asked.tensors, key)
        padded = pad_rows(values, target, fill, side) if asked.padding is not None else values
        return padded if asked.tensors is None else to_tensor(padded, asked.tensors, key)

    data = {"input_ids": column("input_ids", rows, tokenizer.pad_token_id if asked.padding is not None else 0)}
    if asked.types:
        if not texts.pairs and tokenizer._template.single_types_are_zero():
            types = [[0] * len(row) for row in rows]
        else:
            types = [encoding.type_ids for encoding in encodings]
        data["token_type_ids"] = column("token_type_ids", types, tokenizer.pad_token_type_id)
    if asked.mask:
        data["attention_mask"] = column("attention_mask", [[1] * len(row) for row in rows], 0)
    if asked.special_mask:
        masks = [encoding.special_tokens_mask for encoding in encodings]
        data["special_tokens_mask"] = column("special_tokens_mask", masks, 1)
    if asked.offsets:
        data["offset_mapping"] = column("offset_mapping", [encoding.offsets for encoding in encodings], (0, 0))
    if asked.length:
        lengths = [max(len(row), target) for row in rows]
        data["length"] = lengths if asked.tensors is None else to_tensor(lengths, asked.tensors, "length")
    return data


def _padded(
    tokenizer: "PreTrainedTokenizerFast", encodings: list[Encoding], padding: Padding | None, target: int
) -> list[Encoding]:
    if padding is not None:
        for encoding in encodings:
            encoding.pad(
                target,
                direction=padding.side,
                pad_id=tokenizer.pad_token_id,
                pad_type_id=tokenizer.pad_token_type_id,
                pad_token=tokenizer.pad_token,
            )
    return encodings


def _later(
    tokenizer: "PreTrainedTokenizerFast", texts: Texts, asked: Asked, target: int
) -> Callable[[], list[Encoding]]:
    """How to make the encodings of this call when they are asked for."""
    changes = tokenizer._changes

    def make() -> list[Encoding]:
        if tokenizer._changes != changes:
            raise InputError("the tokenizer got new tokens after it encoded this batch; encode the texts again.")
        return _padded(tokenizer, run(tokenizer, texts, asked, exact=True), asked.padding, target)

    return make
