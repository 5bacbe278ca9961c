"""Special tokens by their role: `pad_token`, `cls_token`, … and the ids they have."""

from collections.abc import Iterable, Mapping
from typing import Any

from tokenizers import AddedToken

from madang.errors import InputError

ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")

Token = str | AddedToken


def read_token(value: Any) -> Token | None:
    """A special token as files write it: a str, a dict with flags, or null."""
    if value is None or isinstance(value, (str, AddedToken)):
        return value
    if isinstance(value, Mapping) and "content" in value:
        flags = {name: bool(value[name]) for name in ("single_word", "lstrip", "rstrip", "normalized") if name in value}
        return AddedToken(value["content"], special=bool(value.get("special", True)), **flags)
    raise InputError(f"a special token is {value!r}; expected a str, an AddedToken, or a dict with 'content'.")


def written(token: Token) -> Any:
    """The same for a JSON file."""
    if isinstance(token, str):
        return token
    return {name: getattr(token, name) for name in ("content", "lstrip", "normalized", "rstrip", "single_word")}


def as_special(token: Token) -> AddedToken:
    """`token` as one that is found whole in any text and that decoding can skip."""
    if isinstance(token, str):
        return AddedToken(token, special=True, normalized=False)
    flags = {name: getattr(token, name) for name in ("single_word", "lstrip", "rstrip", "normalized")}
    return AddedToken(token.content, special=True, **flags)


class Role:
    """An attribute such as `pad_token`: reads as str (or None), is set to a str, an AddedToken or None."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, owner: Any, owner_type: type | None = None) -> Any:
        if owner is None:
            return self
        token = owner._special.get(self.name)
        return None if token is None else str(token) if isinstance(token, str) else token.content

    def __set__(self, owner: Any, value: Any) -> None:
        token = read_token(value)
        if token is None:
            owner._special.pop(self.name, None)
        else:
            owner._special[self.name] = token


class RoleId:
    """An attribute such as `pad_token_id`: the id, or None while the token is not set or not in the vocabulary."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, owner: Any, owner_type: type | None = None) -> Any:
        if owner is None:
            return self
        token = getattr(owner, self.name)
        return None if token is None else owner.backend_tokenizer.token_to_id(token)

    def __set__(self, owner: Any, value: Any) -> None:
        token = None
        if value is not None:
            token = owner.backend_tokenizer.id_to_token(int(value))
            if token is None:
                raise InputError(
                    f"{self.name}_id = {value!r}: the vocabulary has {len(owner)} tokens, none with this id."
                )
        setattr(owner, self.name, token)


class SpecialTokens:
    """What is special to a tokenizer: one token a role, any number of additional ones, and named ones of its model."""

    backend_tokenizer: Any
    _special: dict[str, Token]
    _additional: list[Token]
    _named: dict[str, Token]

    bos_token, bos_token_id = Role("bos_token"), RoleId("bos_token")
    eos_token, eos_token_id = Role("eos_token"), RoleId("eos_token")
    unk_token, unk_token_id = Role("unk_token"), RoleId("unk_token")
    sep_token, sep_token_id = Role("sep_token"), RoleId("sep_token")
    pad_token, pad_token_id = Role("pad_token"), RoleId("pad_token")
    cls_token, cls_token_id = Role("cls_token"), RoleId("cls_token")
    mask_token, mask_token_id = Role("mask_token"), RoleId("mask_token")

    @property
    def additional_special_tokens(self) -> list[str]:
        """Special tokens without a role, as str; settable."""
        return [str(token) if isinstance(token, str) else token.content for token in self._additional]

    @additional_special_tokens.setter
    def additional_special_tokens(self, tokens: Iterable[Any] | None) -> None:
        self._additional = [token for token in map(read_token, tokens or []) if token is not None]

    # the newer name of the same list
    extra_special_tokens = additional_special_tokens

    @property
    def additional_special_tokens_ids(self) -> list[int]:
        """The ids of `additional_special_tokens`."""
        return [self.backend_tokenizer.token_to_id(token) for token in self.additional_special_tokens]

    extra_special_tokens_ids = additional_special_tokens_ids

    @property
    def special_tokens_map(self) -> dict[str, Any]:
        """Every role that is set -> its token as str, and the additional ones as a list."""
        found: dict[str, Any] = {role: getattr(self, role) for role in ROLES if role in self._special}
        found |= {name: _content(token) for name, token in self._named.items()}
        if self._additional:
            found["additional_special_tokens"] = self.additional_special_tokens
        return found

    @property
    def special_tokens_map_extended(self) -> dict[str, Any]:
        """The same with the tokens as they were given, AddedToken where one was."""
        found: dict[str, Any] = {role: self._special[role] for role in ROLES if role in self._special} | self._named
        if self._additional:
            found["additional_special_tokens"] = list(self._additional)
        return found

    @property
    def all_special_tokens_extended(self) -> list[Token]:
        """Every special token once, as it was given."""
        tokens = [
            *(self._special[role] for role in ROLES if role in self._special),
            *self._named.values(),
            *self._additional,
        ]
        once: dict[str, Token] = {}
        for token in tokens:
            once.setdefault(_content(token), token)
        return list(once.values())

    @property
    def all_special_tokens(self) -> list[str]:
        """Every special token once, roles first."""
        return [_content(token) for token in self.all_special_tokens_extended]

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of `all_special_tokens`."""
        ids = map(self.backend_tokenizer.token_to_id, self.all_special_tokens)
        return [number for number in ids if number is not None]


def _content(token: Token) -> str:
    return token if isinstance(token, str) else str(token.content)
