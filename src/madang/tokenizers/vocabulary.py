"""The tokens a tokenizer knows: their ids, and adding to them."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from tokenizers import AddedToken

from madang.errors import unknown_name
from madang.tokenizers.padding import as_rows
from madang.tokenizers.special import ROLES, SpecialTokens, as_special, read_token


class Vocabulary(SpecialTokens):
    """Token <-> id, and what is added to the vocabulary a tokenizer came with."""

    # counts what was added, so that results made later know whether they still can be
    _changes: int

    @property
    def vocab_size(self) -> int:
        """Tokens of the vocabulary, without those added later; `len(tokenizer)` counts all."""
        return int(self.backend_tokenizer.get_vocab_size(with_added_tokens=False))

    def __len__(self) -> int:
        return int(self.backend_tokenizer.get_vocab_size(with_added_tokens=True))

    def __bool__(self) -> bool:
        return True

    def get_vocab(self) -> dict[str, int]:
        """Every token, added ones too -> its id."""
        return dict(self.backend_tokenizer.get_vocab(with_added_tokens=True))

    @property
    def vocab(self) -> dict[str, int]:
        """The same as `get_vocab()`."""
        return self.get_vocab()

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """Id -> AddedToken of all tokens that are found whole in a text."""
        return dict(sorted(self.backend_tokenizer.get_added_tokens_decoder().items()))

    @property
    def added_tokens_encoder(self) -> dict[str, int]:
        """The same, token -> id."""
        return {token.content: number for number, token in self.added_tokens_decoder.items()}

    def get_added_vocab(self) -> dict[str, int]:
        """The same as `added_tokens_encoder`."""
        return self.added_tokens_encoder

    @property
    def decoder(self) -> Any:
        """The Rust decoder."""
        return self.backend_tokenizer.decoder

    def add_tokens(self, new_tokens: Any, special_tokens: bool = False) -> int:
        """Add tokens (str or AddedToken, one or many) to the vocabulary; returns how many were new.

        Resize the model's embeddings to `len(tokenizer)` afterwards.
        """
        tokens = [new_tokens] if isinstance(new_tokens, (str, AddedToken)) else list(new_tokens)
        read = [token for token in map(read_token, tokens) if token is not None]
        if special_tokens:
            return self._add([as_special(token) for token in read])
        return self._add([AddedToken(token) if isinstance(token, str) else token for token in read])

    def add_special_tokens(
        self, special_tokens_dict: Mapping[str, Any], replace_additional_special_tokens: bool = True
    ) -> int:
        """Give roles their tokens, adding to the vocabulary what is new; returns how many were added.

        Keys: `pad_token`, `cls_token`, … and `additional_special_tokens` (a list; `extra_special_tokens` is the same).
        """
        listed = ("additional_special_tokens", "extra_special_tokens")
        added = 0
        for role, value in special_tokens_dict.items():
            if role in listed:
                tokens = [token for token in map(read_token, value) if token is not None]
                kept = [] if replace_additional_special_tokens else self._additional
                self._additional = [*kept, *(token for token in tokens if token not in kept)]
            elif role in ROLES:
                tokens = [token for token in [read_token(value)] if token is not None]
                setattr(self, role, value)
            else:
                raise unknown_name("special token", role, (*ROLES, *listed))
            added += self._add([as_special(token) for token in tokens])
        return added

    def sanitize_special_tokens(self) -> int:
        """Add every special token that the vocabulary does not have yet; returns how many there were."""
        return self._add([as_special(token) for token in self.all_special_tokens_extended])

    def _add(self, tokens: list[AddedToken]) -> int:
        if not tokens:
            return 0
        before = len(self)
        self._changes += 1
        # the Rust tokenizer has a door for each kind; ids follow the order of `tokens`
        for special, group in groupby(tokens, key=lambda token: token.special):
            (self.backend_tokenizer.add_special_tokens if special else self.backend_tokenizer.add_tokens)(list(group))
        return len(self) - before

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        """The id of a token, or the list of those of many; a token nobody knows has the unknown token's id."""
        if tokens is None:
            return None
        if isinstance(tokens, str):
            found = self.backend_tokenizer.token_to_id(tokens)
            return self.unk_token_id if found is None else found
        return [self.convert_tokens_to_ids(token) for token in tokens]

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """The token of an id, or the list of those of many (a list, array or tensor)."""
        ids = as_rows(ids)
        if isinstance(ids, int):
            return self.backend_tokenizer.id_to_token(ids)
        special = set(self.all_special_ids) if skip_special_tokens else ()
        return [self.backend_tokenizer.id_to_token(int(number)) for number in ids if number not in special]

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """The text that tokens stand for."""
        decoder = self.backend_tokenizer.decoder
        return str(decoder.decode(tokens)) if decoder is not None else " ".join(tokens)
