"""A Rust tokenizer from files: `tokenizer.json` as it is, or put together from the vocabularies of older models."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from madang.errors import CheckpointError, ConfigError, InputError
from madang.tokenizers.names import KINDS, Kind

# families of each building plan
WORDPIECE = {
    "Bert",
    "ConvBert",
    "DistilBert",
    "Electra",
    "Funnel",
    "LayoutLM",
    "Lxmert",
    "MPNet",
    "MobileBert",
    "Splinter",
    "SqueezeBert",
}
GPT2_LIKE = {"GPT2", "CodeGen", "GPTNeoX"}
ROBERTA_LIKE = {"Roberta", "Bart", "LED", "Longformer", "Mvp", "Blenderbot"}
BYTE_LEVEL = {"Deberta", *GPT2_LIKE, *ROBERTA_LIKE}
# their mask stands for a word together with the blank before it
MASK_TAKES_BLANK = {"Deberta", "MPNet", *ROBERTA_LIKE}
SUPPORTED = "tokenizer.json (any), vocab.txt (BERT and its kin), vocab.json with merges.txt (GPT-2, RoBERTa and theirs)"

# the file names of a vocabulary and its merges, the usual ones first
BPE_FILES = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))


def read_json(path: str | os.PathLike[str]) -> Tokenizer:
    """The tokenizer of a `tokenizer.json`. Raises CheckpointError naming the file when it cannot be read."""
    path = Path(path)
    try:
        return Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    except Exception as error:
        raise CheckpointError(
            f"{path} is not a tokenizer that the installed `tokenizers` package can read ({error}). "
            "It may be damaged (download or copy it again) or be written by a newer release (upgrade `tokenizers`)."
        ) from error


def build(
    kind: str,
    vocab_file: str | os.PathLike[str],
    merges_file: str | os.PathLike[str] | None,
    settings: Mapping[str, Any],
) -> Tokenizer:
    """The tokenizer of family `kind` (`Bert`, `GPT2`, …; `PreTrained` when unknown) from its vocabulary files.

    `settings`: `do_lower_case`, `strip_accents`, `tokenize_chinese_chars`, `add_prefix_space`, `add_bos_token`, the
    special tokens, and `second_type_id`, the token type of a pair's second text.
    """
    if kind in BYTE_LEVEL and merges_file is None:
        raise ConfigError(f"{vocab_file} alone does not make a byte-level tokenizer; its merges file is needed too.")
    if merges_file is not None and kind in {"PreTrained", *BYTE_LEVEL}:
        return _byte_level(kind, Path(vocab_file), Path(merges_file), settings)
    if merges_file is None and kind in {"PreTrained", *WORDPIECE}:
        return _wordpiece(kind, Path(vocab_file), settings)
    raise ConfigError(f"{vocab_file}: a {kind} tokenizer cannot be built from this file. Supported: {SUPPORTED}.")


def _special(kind: Kind, settings: Mapping[str, Any]) -> dict[str, str]:
    """Role -> token as text, from the settings and, where they are silent, the family."""
    named = {role: settings.get(role) or token for role, token in kind.special_tokens.items()}
    return {role: _text(token) for role, token in named.items()}


def _require(path: Path, vocabulary: Mapping[str, int], tokens: list[str]) -> None:
    missing = [token for token in tokens if token not in vocabulary]
    if missing:
        raise ConfigError(f"{path} has no {missing}, which every text needs; name others with cls_token= and so on.")


def _add_special(tokenizer: Tokenizer, kind: str, special: Mapping[str, str], vocabulary: Mapping[str, int]) -> None:
    """Let the special tokens that the vocabulary has be found whole in any text."""
    mask = special.get("mask_token") if kind in MASK_TAKES_BLANK else None
    known = sorted({token for token in special.values() if token in vocabulary}, key=vocabulary.__getitem__)
    tokens = [AddedToken(token, lstrip=token == mask, normalized=False, special=True) for token in known]
    tokenizer.add_special_tokens(tokens)


def _text(token: Any) -> str:
    if isinstance(token, Mapping):
        return str(token["content"])
    return token if isinstance(token, str) else str(token.content)


def _wordpiece(kind: str, path: Path, settings: Mapping[str, Any]) -> Tokenizer:
    vocabulary = _read_lines(path)
    special = _special(KINDS.get(kind, KINDS["Bert"]), settings)
    start, end = special["cls_token"], special["sep_token"]
    _require(path, vocabulary, [special["unk_token"], start, end])
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=special["unk_token"], max_input_chars_per_word=100))
    strip = settings.get("strip_accents")
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=bool(settings.get("tokenize_chinese_chars", True)),
        strip_accents=strip,
        lowercase=bool(settings.get("do_lower_case", True)),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    second = int(settings.get("second_type_id", 1))
    first = 2 if kind == "Funnel" else 0
    between = f"{end}:0 {end}:0" if kind == "MPNet" else f"{end}:0"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start}:{first} $A:0 {end}:0",
        pair=f"{start}:{first} $A:0 {between} $B:{second} {end}:{second}",
        special_tokens=[(start, vocabulary[start]), (end, vocabulary[end])],
    )
    _add_special(tokenizer, kind, special, vocabulary)
    return tokenizer


def _byte_level(kind: str, vocab_path: Path, merges_path: Path, settings: Mapping[str, Any]) -> Tokenizer:
    vocabulary, merges = _read_vocabulary(vocab_path), _read_merges(merges_path)
    try:
        tokenizer = Tokenizer(models.BPE(vocabulary, merges, fuse_unk=False))
    except Exception as error:
        raise CheckpointError(f"{vocab_path} and {merges_path} do not belong together: {error}") from error
    prefix = bool(settings.get("add_prefix_space", False))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.decoder = decoders.ByteLevel()
    special = _special(KINDS.get(kind, KINDS["GPT2"]), settings)
    start, end = special.get("cls_token", ""), special.get("sep_token", "")
    if kind in ROBERTA_LIKE:
        _require(vocab_path, vocabulary, [start, end])
        tokenizer.post_processor = processors.RobertaProcessing(
            (end, vocabulary[end]), (start, vocabulary[start]), trim_offsets=True, add_prefix_space=prefix
        )
    elif kind == "Deberta":
        _require(vocab_path, vocabulary, [start, end])
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{start}:0 $A:0 {end}:0",
            pair=f"{start}:0 $A:0 {end}:0 $B:1 {end}:1",
            special_tokens=[(start, vocabulary[start]), (end, vocabulary[end])],
        )
    elif settings.get("add_bos_token"):
        # OPT: a begin token, once, before a text and before a pair
        begin = special["bos_token"]
        _require(vocab_path, vocabulary, [begin])
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{begin}:0 $A:0", pair=f"{begin}:0 $A:0 $B:1", special_tokens=[(begin, vocabulary[begin])]
        )
    else:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    _add_special(tokenizer, kind, special, vocabulary)
    return tokenizer


def _read_lines(path: Path) -> dict[str, int]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read as a vocabulary (one token a line, UTF-8): {error}") from error
    if lines and not lines[-1]:
        lines.pop()
    return {line.rstrip("\r"): number for number, line in enumerate(lines)}


def _read_vocabulary(path: Path) -> dict[str, int]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as a vocabulary (JSON, token to id): {error}") from error
    if not isinstance(found, dict) or not all(isinstance(number, int) for number in found.values()):
        raise CheckpointError(f"{path} is not a vocabulary: expected a JSON object of token to id.")
    return found


def _read_merges(path: Path) -> list[tuple[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read as merges: {error}") from error
    merges = []
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r")
        if not line or (number == 1 and line.startswith("#version")):
            continue
        parts = line.split(" ")
        if len(parts) != 2:
            raise CheckpointError(f"{path} line {number} is {line!r}; expected two tokens with one blank between.")
        merges.append((parts[0], parts[1]))
    return merges


NORMALIZER = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}


def adjust(backend: Tokenizer, overrides: Mapping[str, Any]) -> None:
    """Change how a finished tokenizer splits, because the caller said so: `do_lower_case=`, `add_prefix_space=`, ….

    Raises InputError when the tokenizer has no place for it. What configuration files say never comes here.
    """
    for name, attribute in NORMALIZER.items():
        if name not in overrides:
            continue
        if not isinstance(backend.normalizer, normalizers.BertNormalizer):
            found = type(backend.normalizer).__name__
            raise InputError(
                f"{name}= has no effect on this tokenizer: its normalizer is {found}, not the one of BERT."
            )
        setattr(backend.normalizer, attribute, overrides[name])
    if "add_prefix_space" in overrides:
        _set_prefix_space(backend, bool(overrides["add_prefix_space"]))


def _set_prefix_space(backend: Tokenizer, prefix: bool) -> None:
    state = json.loads(backend.to_str()) if backend.pre_tokenizer is None else None
    if state is None:
        state = json.loads(backend.pre_tokenizer.__getstate__())
        changed = _change_prefix_space(state, prefix)
        if changed:
            fresh = pre_tokenizers.ByteLevel()
            fresh.__setstate__(json.dumps(state).encode())
            backend.pre_tokenizer = fresh
            return
    raise InputError(
        "add_prefix_space= has no effect on this tokenizer: it does not split bytes the way of GPT-2 or RoBERTa."
    )


def _change_prefix_space(state: Any, prefix: bool) -> bool:
    """Set it wherever it is in a pre-tokenizer's state; whether there was such a place."""
    if state["type"] == "ByteLevel":
        state["add_prefix_space"] = prefix
        return True
    if state["type"] == "Metaspace":
        state["prepend_scheme"] = "always" if prefix else "never"
        return True
    changed = [_change_prefix_space(part, prefix) for part in state.get("pretokenizers", [])]
    return any(changed)


def describe(backend: Tokenizer) -> dict[str, Any]:
    """The settings that vocabulary files do not hold, read back from a tokenizer: what `build` needs to make it."""
    found: dict[str, Any] = {}
    normalizer = backend.normalizer
    if isinstance(normalizer, normalizers.BertNormalizer):
        found = {name: getattr(normalizer, attribute) for name, attribute in NORMALIZER.items()}
    if isinstance(backend.pre_tokenizer, pre_tokenizers.ByteLevel):
        found["add_prefix_space"] = backend.pre_tokenizer.add_prefix_space
    return found
