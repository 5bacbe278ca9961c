"""A new vocabulary for a known kind of tokenizer: everything stays as it is, only the tokens are learned from texts."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, Tokenizer, pre_tokenizers, trainers

from madang.errors import InputError
from madang.tokenizers.special import ROLES, as_special, read_token

if TYPE_CHECKING:
    from madang.tokenizers.tokenizer import PreTrainedTokenizerFast

TRAINERS: dict[str, Any] = {
    "BPE": trainers.BpeTrainer,
    "Unigram": trainers.UnigramTrainer,
    "WordLevel": trainers.WordLevelTrainer,
    "WordPiece": trainers.WordPieceTrainer,
}


def train_new(
    tokenizer: "PreTrainedTokenizerFast",
    texts: Iterable[Any],
    vocab_size: int,
    length: int | None,
    new_special_tokens: list[Any] | None,
    renamed: Mapping[str, str] | None,
    options: dict[str, Any],
) -> "PreTrainedTokenizerFast":
    """See `PreTrainedTokenizerFast.train_new_from_iterator`."""
    renamed = dict(renamed or {})
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    kind = content["model"]["type"]
    processor, added = content.pop("post_processor"), content.pop("added_tokens")
    special = [_named(token, renamed) for token in added if token["special"]]
    special += [as_special(token) for token in map(read_token, new_special_tokens or []) if token is not None]
    unknown = content["model"].get("unk_token")
    if unknown is not None:
        unknown = content["model"]["unk_token"] = renamed.get(unknown, unknown)
    _forget(content["model"], unknown)
    backend = Tokenizer.from_str(json.dumps(content))
    backend.train_from_iterator(
        texts,
        trainer=_trainer(kind, content["model"], backend, vocab_size, special, unknown, options),
        length=length,
    )
    backend.add_tokens([_named(token, renamed) for token in added if not token["special"]])
    if processor is not None:
        content = json.loads(backend.to_str())
        content["post_processor"] = _with_ids(processor, backend, renamed)
        backend = Tokenizer.from_str(json.dumps(content))
    return type(tokenizer)._from_backend(backend, _settings(tokenizer, new_special_tokens, renamed))


def _named(token: Mapping[str, Any], renamed: Mapping[str, str]) -> AddedToken:
    flags = {name: token[name] for name in ("single_word", "lstrip", "rstrip", "normalized", "special")}
    return AddedToken(renamed.get(token["content"], token["content"]), **flags)


def _forget(model: dict[str, Any], unknown: str | None) -> None:
    """Empty a model's vocabulary; what is left is only enough to be read."""
    if model["type"] == "Unigram":
        kept = model["vocab"][model["unk_id"]] if model.get("unk_id") is not None else None
        model["vocab"], model["unk_id"] = ([kept], 0) if kept else ([], None)
    else:
        model["vocab"] = {} if unknown is None else {unknown: 0}
    if model["type"] == "BPE":
        model["merges"] = []


def _trainer(
    kind: str,
    model: Mapping[str, Any],
    backend: Tokenizer,
    vocab_size: int,
    special: list[AddedToken],
    unknown: str | None,
    options: dict[str, Any],
) -> Any:
    if kind not in TRAINERS:
        raise InputError(f"a {kind} tokenizer cannot be trained; known kinds: {sorted(TRAINERS)}.")
    given: dict[str, Any] = {"vocab_size": vocab_size, "special_tokens": special}
    if kind in ("BPE", "WordPiece") and model.get("continuing_subword_prefix") is not None:
        given["continuing_subword_prefix"] = model["continuing_subword_prefix"]
    if kind in ("BPE", "WordPiece") and model.get("end_of_word_suffix") is not None:
        given["end_of_word_suffix"] = model["end_of_word_suffix"]
    if kind == "Unigram" and unknown is None and model["vocab"]:
        given["unk_token"] = model["vocab"][0][0]
    # every byte has to have a token, whether the texts show it or not
    if kind in ("BPE", "Unigram") and _is_byte_level(backend):
        given["initial_alphabet"] = pre_tokenizers.ByteLevel.alphabet()
    return TRAINERS[kind](**{**given, **options})


def _is_byte_level(backend: Tokenizer) -> bool:
    return backend.pre_tokenizer is not None and b"ByteLevel" in backend.pre_tokenizer.__getstate__()


def _with_ids(processor: dict[str, Any], backend: Tokenizer, renamed: Mapping[str, str]) -> dict[str, Any]:
    """A post-processor's JSON with the new names and ids of its special tokens."""
    if processor["type"] == "Sequence":
        return {**processor, "processors": [_with_ids(part, backend, renamed) for part in processor["processors"]]}
    changed = dict(processor)
    for role in ("cls", "sep"):
        if role in processor:
            name = renamed.get(processor[role][0], processor[role][0])
            changed[role] = [name, _id(backend, name)]
    if processor["type"] == "TemplateProcessing":
        names = {old: renamed.get(old, old) for old in processor["special_tokens"]}
        changed["special_tokens"] = {
            new: {"id": new, "ids": [_id(backend, new)], "tokens": [new]} for new in names.values()
        }
        for template in ("single", "pair"):
            changed[template] = [
                {"SpecialToken": {**item["SpecialToken"], "id": names[item["SpecialToken"]["id"]]}}
                if "SpecialToken" in item
                else item
                for item in processor[template]
            ]
    return changed


def _id(backend: Tokenizer, name: str) -> int:
    found = backend.token_to_id(name)
    if found is None:
        raise InputError(
            f"the new vocabulary has no {name!r}, which is put around every text; name it in new_special_tokens."
        )
    return found


def _settings(
    tokenizer: "PreTrainedTokenizerFast", new_special_tokens: list[Any] | None, renamed: Mapping[str, str]
) -> dict[str, Any]:
    settings: dict[str, Any] = dict(tokenizer.init_kwargs)
    for role in ROLES:
        token = getattr(tokenizer, role)
        settings[role] = None if token is None else renamed.get(token, token)
    extra = [renamed.get(token, token) for token in tokenizer.additional_special_tokens]
    settings["additional_special_tokens"] = [*extra, *(new_special_tokens or [])]
    for name in (
        "model_max_length",
        "padding_side",
        "truncation_side",
        "model_input_names",
        "clean_up_tokenization_spaces",
        "chat_template",
        "pad_token_type_id",
    ):
        settings[name] = getattr(tokenizer, name)
    return settings
