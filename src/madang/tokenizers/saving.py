"""A tokenizer's files, written so that the releases people have, old and new, read equal ids from them."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

from madang.tokenizers.build import BYTE_LEVEL, GPT2_LIKE, WORDPIECE, describe
from madang.tokenizers.options import LARGE, NO_LIMIT
from madang.tokenizers.special import ROLES, written
from madang.writing import write_text

if TYPE_CHECKING:
    from madang.tokenizers.tokenizer import PreTrainedTokenizerFast

# classes that the reference gives the begin and end tokens the config says, whatever tokenizer.json has
ENDS = {"CodeLlama", "Cohere", "Gemma", "Llama"}


def save(
    tokenizer: "PreTrainedTokenizerFast", folder: str | os.PathLike[str], prefix: str | None = None
) -> tuple[str, ...]:
    """Write tokenizer.json, tokenizer_config.json, special_tokens_map.json and the vocabulary; returns the paths."""
    root, start = Path(folder), f"{prefix}-" if prefix else ""
    files = {
        "tokenizer_config.json": _json(dict(sorted(_config(tokenizer).items()))),
        "special_tokens_map.json": _json(_special_tokens(tokenizer)),
        **_vocabulary(tokenizer),
    }
    added = {t: i for t, i in tokenizer.added_tokens_encoder.items() if i >= tokenizer.vocab_size}
    if added:
        files["added_tokens.json"] = _json(added)
    if isinstance(tokenizer.chat_template, str):
        files["chat_template.jinja"] = tokenizer.chat_template
    # last: whoever finds a tokenizer.json finds the others, too
    files["tokenizer.json"] = _tokenizer_json(tokenizer)
    for name, text in files.items():
        write_text(root / f"{start}{name}", text)
    for name in ("added_tokens.json", "chat_template.jinja"):
        if name not in files:
            (root / f"{start}{name}").unlink(missing_ok=True)
    return tuple(str(root / f"{start}{name}") for name in files)


def save_vocabulary(
    tokenizer: "PreTrainedTokenizerFast", folder: str | os.PathLike[str], prefix: str | None = None
) -> tuple[str, ...]:
    """Write vocab.txt, or vocab.json and merges.txt; nothing where the model has another kind of vocabulary."""
    paths = []
    for name, text in _vocabulary(tokenizer).items():
        path = Path(folder) / (f"{prefix}-{name}" if prefix else name)
        write_text(path, text)
        paths.append(str(path))
    return tuple(paths)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _special_tokens(tokenizer: "PreTrainedTokenizerFast") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for role in ROLES:
        if getattr(tokenizer, role) is not None:
            found[role] = _flagged(tokenizer, getattr(tokenizer, role))
    if tokenizer.additional_special_tokens:
        found["additional_special_tokens"] = [
            _flagged(tokenizer, token) for token in tokenizer.additional_special_tokens
        ]
    return found


def _flagged(tokenizer: "PreTrainedTokenizerFast", content: str) -> Any:
    """The token with the flags it has in the Rust tokenizer; as a plain str when they are the usual ones."""
    number = tokenizer.backend_tokenizer.token_to_id(content)
    known: AddedToken | None = tokenizer.backend_tokenizer.get_added_tokens_decoder().get(number)
    if known is None or not (known.lstrip or known.rstrip or known.normalized or known.single_word):
        return content
    return written(known)


def _config(tokenizer: "PreTrainedTokenizerFast") -> dict[str, Any]:
    kind, class_name = tokenizer.kind, _class_name(tokenizer)
    special = tokenizer.special_tokens_map_extended
    config: dict[str, Any] = {
        # settings this library has no use for stay as they were
        **{name: value for name, value in tokenizer.init_kwargs.items() if _is_json(value)},
        **{role: getattr(tokenizer, role) for role in ROLES},
        **describe(tokenizer.backend_tokenizer),
        "added_tokens_decoder": {
            str(number): {**written(token), "special": token.special}
            for number, token in tokenizer.added_tokens_decoder.items()
        },
        "clean_up_tokenization_spaces": tokenizer.clean_up_tokenization_spaces,
        "model_max_length": tokenizer.model_max_length if tokenizer.model_max_length < LARGE else NO_LIMIT,
        "padding_side": tokenizer.padding_side,
        "truncation_side": tokenizer.truncation_side,
        "tokenizer_class": class_name,
    }
    if tokenizer.additional_special_tokens:
        config["additional_special_tokens"] = tokenizer.additional_special_tokens
    if tokenizer._named:
        config["extra_special_tokens"] = {
            name: special[name] if isinstance(special[name], str) else special[name].content
            for name in tokenizer._named
        }
    if class_name == "PreTrainedTokenizerFast" or tuple(tokenizer.model_input_names) != kind.input_names:
        config["model_input_names"] = list(tokenizer.model_input_names)
    if kind.name in ENDS:
        config |= {"add_bos_token": tokenizer.add_bos_token, "add_eos_token": tokenizer.add_eos_token}
    if tokenizer.pad_token_type_id != kind.pad_token_type_id:
        config["pad_token_type_id"] = tokenizer.pad_token_type_id
    if isinstance(tokenizer.chat_template, str):
        config["chat_template"] = tokenizer.chat_template
    elif tokenizer.chat_template is not None:
        config["chat_template"] = [{"name": n, "template": t} for n, t in tokenizer.chat_template.items()]
    return config


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def _class_name(tokenizer: "PreTrainedTokenizerFast") -> str:
    """The published class under which every release splits texts as this tokenizer does.

    The reference builds some classes anew around the vocabulary; where tokenizer.json holds something else than the
    class would build, the general class is named, which reads the file as it is.
    """
    backend, kind = tokenizer.backend_tokenizer, tokenizer.kind.name
    model, split = backend.model, backend.pre_tokenizer
    if kind in WORDPIECE:
        same = (
            isinstance(model, models.WordPiece)
            and isinstance(backend.normalizer, normalizers.BertNormalizer)
            and isinstance(split, pre_tokenizers.BertPreTokenizer)
        )
    elif kind in BYTE_LEVEL:
        same = isinstance(model, models.BPE) and isinstance(split, pre_tokenizers.ByteLevel)
        same = same and backend.normalizer is None
        if kind in GPT2_LIKE:
            same = same and isinstance(backend.post_processor, processors.ByteLevel | None)
    elif kind == "Whisper":
        same = isinstance(split, pre_tokenizers.ByteLevel)
    else:
        same = not isinstance(split, pre_tokenizers.ByteLevel | pre_tokenizers.Sequence)
    return tokenizer.slow_name if same else "PreTrainedTokenizerFast"


def _vocabulary(tokenizer: "PreTrainedTokenizerFast") -> dict[str, str]:
    """The files of older releases: vocab.txt, or vocab.json and merges.txt."""
    backend = tokenizer.backend_tokenizer
    vocabulary = sorted(backend.get_vocab(with_added_tokens=False).items(), key=lambda item: item[1])
    if isinstance(backend.model, models.WordPiece):
        # a line is an id, so a vocabulary with holes cannot be written this way
        if [number for _, number in vocabulary] != list(range(len(vocabulary))):
            return {}
        return {"vocab.txt": "".join(f"{token}\n" for token, _ in vocabulary)}
    if isinstance(backend.model, models.BPE) and isinstance(backend.pre_tokenizer, pre_tokenizers.ByteLevel):
        merges = [_merge(merge) for merge in json.loads(backend.to_str())["model"]["merges"]]
        listed = "#version: 0.2\n" + "".join(f"{first} {second}\n" for first, second in merges)
        return {"vocab.json": json.dumps(dict(vocabulary), ensure_ascii=False), "merges.txt": listed}
    return {}


def _merge(merge: str | list[str]) -> tuple[str, str]:
    first, second = merge.split(" ") if isinstance(merge, str) else merge
    return first, second


def _tokenizer_json(tokenizer: "PreTrainedTokenizerFast") -> str:
    """tokenizer.json with the padding and truncation it came with, in the form that older `tokenizers` read as well."""
    with tokenizer._lock:
        backend: Tokenizer = tokenizer.backend_tokenizer
        try:
            if tokenizer._stored_truncation is not None:
                backend.enable_truncation(**tokenizer._stored_truncation)
            if tokenizer._stored_padding is not None:
                backend.enable_padding(**tokenizer._stored_padding)
            content = json.loads(backend.to_str())
        finally:
            backend.no_truncation()
            backend.no_padding()
    merges = content["model"].get("merges")
    # `tokenizers` before 0.20 reads merges as "a b" only; a token with a blank in it has no such form
    if merges and not any(" " in part for merge in merges if not isinstance(merge, str) for part in merge):
        content["model"]["merges"] = [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]
    return json.dumps(content, ensure_ascii=False, indent=2)
