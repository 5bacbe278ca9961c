"""What a tokenizer returns: a dict of columns that also knows which token came from which characters."""

from collections import UserDict
from collections.abc import Callable
from typing import Any, NamedTuple

from tokenizers import Encoding

from madang.errors import InputError
from madang.tokenizers.padding import tensor_type, to_tensor

# what knows a batch's encodings: the encodings themselves, or how to make them when somebody asks
Encodings = list[Encoding] | Callable[[], list[Encoding]] | None


class BatchEncoding(UserDict[str, Any]):
    """Encoded texts: a mapping (`batch["input_ids"]`), readable as attributes (`batch.input_ids`).

    `tokens`, `word_ids`, `char_to_token` and the like say where each token came from. The encodings behind them may be
    made only when first asked for: many texts encoded at once are usually wanted for their ids alone.

    Indices: `batch_or_token_index` alone means the token (word, character) of the first text; with a second number the
    first one is the text's.
    """

    def __init__(
        self,
        data: dict[str, Any] | None = None,
        encoding: Encodings | Encoding = None,
        tensor_type: Any = None,
        prepend_batch_axis: bool = False,
        n_sequences: int | None = None,
    ) -> None:
        super().__init__(data)
        self._encodings: Encodings = [encoding] if isinstance(encoding, Encoding) else encoding
        self._n_sequences = n_sequences
        self.convert_to_tensors(tensor_type, prepend_batch_axis)

    @property
    def encodings(self) -> list[Encoding] | None:
        """One `tokenizers.Encoding` a row, or None for a batch that no tokenizer made."""
        if callable(self._encodings):
            self._encodings = self._encodings()
        return self._encodings

    @property
    def is_fast(self) -> bool:
        """Whether `encodings` are there."""
        return self._encodings is not None

    @property
    def n_sequences(self) -> int | None:
        """1 for single texts, 2 for pairs, None when unknown."""
        if self._n_sequences is None and self._encodings:
            self._n_sequences = self._known()[0].n_sequences
        return self._n_sequences

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return self.data[key]
        if isinstance(key, int):
            return self._known()[key]
        if isinstance(key, slice):
            return {name: column[key] for name, column in self.data.items()}
        raise InputError(f"a BatchEncoding is indexed by a name, a number or a slice, not by {type(key).__name__}.")

    def __getattr__(self, name: str) -> Any:
        if name != "data" and name in self.__dict__.get("data", ()):
            return self.data[name]
        raise AttributeError(f"{type(self).__name__} has no {name!r}; it holds {sorted(self.__dict__.get('data', ()))}")

    def __getstate__(self) -> dict[str, Any]:
        # making the encodings needs the tokenizer; they travel made
        return {"data": self.data, "_encodings": self.encodings, "_n_sequences": self._n_sequences}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __or__(self, other: Any) -> Any:
        return {**self.data, **other}

    def copy(self) -> "BatchEncoding":
        """A batch of the same columns that can be changed on its own."""
        return BatchEncoding(dict(self.data), self._encodings, n_sequences=self._n_sequences)

    __copy__ = copy

    def to(self, device: Any = None, *, non_blocking: bool = False) -> "BatchEncoding":
        """Move every tensor to `device` (a torch device, its name or its number); returns this batch. Lists stay."""
        for name, value in self.data.items():
            if hasattr(value, "to") and callable(value.to):
                self.data[name] = value.to(device=device, non_blocking=non_blocking)
        return self

    def convert_to_tensors(self, tensor_type: Any = None, prepend_batch_axis: bool = False) -> "BatchEncoding":
        """Turn every column into a `"pt"` or `"np"` tensor; integers become int64. Returns this batch.

        Raises InputError when the rows of a column differ in length.
        """
        kind = _kind(tensor_type)
        if kind is None:
            return self
        for name, value in self.data.items():
            self.data[name] = to_tensor([value] if prepend_batch_axis else value, kind, name)
        return self

    # where tokens came from

    def _known(self) -> list[Encoding]:
        found = self.encodings
        if found is None:
            raise InputError(
                "this batch was not made by a tokenizer, so it does not know its tokens, words and characters."
            )
        return found

    def tokens(self, batch_index: int = 0) -> list[str]:
        """The tokens of one row, special ones and padding included."""
        return self._known()[batch_index].tokens

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """For each token the number of its word; None for special tokens and padding."""
        return self._known()[batch_index].word_ids

    def words(self, batch_index: int = 0) -> list[int | None]:
        """The older name of `word_ids`."""
        return self.word_ids(batch_index)

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """For each token 0 or 1, the text of the pair it is from; None for special tokens and padding."""
        return self._known()[batch_index].sequence_ids

    def _place(self, first: int, second: int | None) -> tuple[Encoding, int]:
        batch, index = (0, first) if second is None else (first, second)
        known = self._known()
        encoding = known[batch]
        return encoding, index + len(encoding) if index < 0 else index

    def token_to_sequence(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """0 or 1: which text of the pair a token is from."""
        encoding, index = self._place(batch_or_token_index, token_index)
        return encoding.token_to_sequence(index)

    def token_to_word(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """The number of a token's word."""
        encoding, index = self._place(batch_or_token_index, token_index)
        return encoding.token_to_word(index)

    def word_to_tokens(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> "TokenSpan | None":
        """The half-open span of tokens a word became; None when it became none."""
        encoding, index = self._place(batch_or_word_index, word_index)
        span = encoding.word_to_tokens(index, sequence_index)
        return TokenSpan(*span) if span is not None else None

    def token_to_chars(self, batch_or_token_index: int, token_index: int | None = None) -> "CharSpan | None":
        """The half-open span of characters a token came from; None for a special token."""
        encoding, index = self._place(batch_or_token_index, token_index)
        span = encoding.token_to_chars(index)
        return CharSpan(*span) if span is not None else None

    def char_to_token(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """The token that a character went into; None for a blank between tokens."""
        encoding, index = self._place(batch_or_char_index, char_index)
        return encoding.char_to_token(index, sequence_index)

    def word_to_chars(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> "CharSpan":
        """The half-open span of a word's characters in its text."""
        encoding, index = self._place(batch_or_word_index, word_index)
        span = encoding.word_to_chars(index, sequence_index)
        if span is None:
            raise InputError(f"there is no word {index} in text {sequence_index} of this row.")
        return CharSpan(*span)

    def char_to_word(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """The number of the word a character is in; None for a blank."""
        encoding, index = self._place(batch_or_char_index, char_index)
        return encoding.char_to_word(index, sequence_index)


class CharSpan(NamedTuple):
    """Characters `start` to `end` (not included) of a text."""

    start: int
    end: int


class TokenSpan(NamedTuple):
    """Tokens `start` to `end` (not included) of a row."""

    start: int
    end: int


def _kind(asked: Any) -> str | None:
    return tensor_type(asked)
