"""Finding a tokenizer's files and class: `AutoTokenizer.from_pretrained`."""

import json
import os
from typing import Any

from tokenizers import AddedToken, Tokenizer

from madang.client import Source, open_source
from madang.errors import CheckpointError, ConfigError, InputError, MissingFileError, unknown_name
from madang.tokenizers.build import BPE_FILES, ROBERTA_LIKE, SUPPORTED, WORDPIECE, adjust, build, read_json
from madang.tokenizers.names import BY_MODEL_TYPE, GENERAL, KINDS, kind_name, named_tokenizer_class
from madang.tokenizers.special import ROLES
from madang.tokenizers.tokenizer import PreTrainedTokenizerFast

# files of tokenizers that cannot be built from here
OTHER_FILES = (
    "spm.model",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "source.spm",
    "vocab.spm",
    "tiktoken.model",
)

# keys of tokenizer_config.json that only say how a file was written or found
NOT_SETTINGS = {
    "tokenizer_class",
    "tokenizer_file",
    "vocab_file",
    "merges_file",
    "special_tokens_map_file",
    "backend",
    "is_local",
}

# keys that the vocabulary files need and tokenizer.json already holds
SPLITTING = {"do_lower_case", "strip_accents", "tokenize_chinese_chars", "add_prefix_space"}


class AutoTokenizer:
    """Loads the tokenizer that belongs to a model, whatever its family."""

    def __init__(self) -> None:
        raise InputError(
            "AutoTokenizer is not made directly; use AutoTokenizer.from_pretrained(folder or 'owner/name')."
        )

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        subfolder: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        tokenizer_type: str | None = None,
        use_fast: bool = True,
        **overrides: Any,
    ) -> PreTrainedTokenizerFast:
        """Load from a folder, or from the repository `owner/name` at `revision`.

        `tokenizer.json` is used as it is; without one, the tokenizer is built from `vocab.txt` (BERT and its kin) or
        `vocab.json` and `merges.txt` (GPT-2, RoBERTa and theirs). The class, which only decides what is printed and
        which inputs are returned, comes from tokenizer_config.json, else config.json.

        `overrides` win over the files: `padding_side`, `truncation_side`, `model_max_length`, `pad_token`,
        `add_prefix_space`, `do_lower_case` and whatever else a tokenizer takes. There is one kind of tokenizer, so
        `use_fast=False` gives the same. Code from a repository is never run.

        Raises MissingFileError when there is no such folder or repository, or it has no tokenizer files, ConfigError
        when it has files of a kind that cannot be read, and CheckpointError naming a damaged file.
        """
        return load(
            pretrained_model_name_or_path,
            revision=revision,
            subfolder=subfolder,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            tokenizer_type=tokenizer_type,
            use_fast=use_fast,
            **overrides,
        )


# what from_pretrained of other libraries takes and has no meaning here
IGNORED = (
    "trust_remote_code",
    "force_download",
    "resume_download",
    "proxies",
    "config",
    "use_auth_token",
    "code_revision",
    "legacy",
)


def load(
    name_or_path: str | os.PathLike[str],
    *,
    as_class: type[PreTrainedTokenizerFast] | None = None,
    revision: str | None = None,
    subfolder: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    tokenizer_type: str | None = None,
    use_fast: bool = True,
    **overrides: Any,
) -> PreTrainedTokenizerFast:
    """See `AutoTokenizer.from_pretrained`; `as_class` is used instead of the class the files name."""
    token = overrides.pop("use_auth_token", None) or token
    for name in IGNORED:
        overrides.pop(name, None)
    path = os.fspath(name_or_path)
    if os.path.isfile(path):
        made = as_class or PreTrainedTokenizerFast
        if path.endswith(".json"):
            return made(tokenizer_file=path, name_or_path=path, **overrides)
        return made(path, name_or_path=path, **overrides)
    source = open_source(
        path,
        revision=revision,
        subfolder=subfolder,
        token=token,
        cache_dir=cache_dir,
        local_files_only=local_files_only,
    )
    declared = read_object(source, "tokenizer_config.json")
    config = read_object(source, "config.json")
    chosen = as_class or _class(declared, config, tokenizer_type)
    settings = _settings(source, declared)
    if source.path("tokenizer.json") is None:
        if as_class is None and tokenizer_type is None:
            _refuse_unknown(source, declared.get("tokenizer_class") or config.get("tokenizer_class"))
        backend = _built(source, chosen.kind.name, config, {**settings, **overrides})
    else:
        adjusted = {name: overrides[name] for name in SPLITTING if name in overrides}
        backend = read_json(source.require("tokenizer.json"))
        adjust(backend, adjusted)
    if "model_input_names" not in settings and chosen.kind.name == "PreTrained":
        by_type = BY_MODEL_TYPE.get(str(config.get("model_type")))
        if by_type is not None:
            settings["model_input_names"] = list(KINDS[by_type].input_names)
    ends = {name: overrides.pop(name) for name in ("add_bos_token", "add_eos_token") if name in overrides}
    tokenizer = chosen._from_backend(backend, {**settings, "name_or_path": path, **overrides})
    for name, wanted in ends.items():
        setattr(tokenizer, name, wanted)
    return tokenizer


def read_object(source: Source, filename: str) -> dict[str, Any]:
    """The JSON object of a file, empty when there is no such file."""
    path = source.path(filename)
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} holds a {type(found).__name__}; expected a JSON object.")
    return found


def _class(
    declared: dict[str, Any], config: dict[str, Any], tokenizer_type: str | None
) -> type[PreTrainedTokenizerFast]:
    """The asked type, else the class that tokenizer_config.json names, else that of config.json, else by model type."""
    if tokenizer_type is not None:
        if tokenizer_type not in BY_MODEL_TYPE:
            raise unknown_name("tokenizer type", tokenizer_type, BY_MODEL_TYPE)
        return _named(f"{BY_MODEL_TYPE[tokenizer_type]}Tokenizer")
    for named in (declared.get("tokenizer_class"), config.get("tokenizer_class")):
        if isinstance(named, str) and kind_name(named) is not None:
            return _named(named)
        if isinstance(named, str):
            return PreTrainedTokenizerFast
    by_type = BY_MODEL_TYPE.get(str(config.get("model_type")))
    return _named(f"{by_type}Tokenizer") if by_type is not None else PreTrainedTokenizerFast


def _named(name: str) -> type[PreTrainedTokenizerFast]:
    found = named_tokenizer_class(name)
    assert found is not None
    return found


def _settings(source: Source, declared: dict[str, Any]) -> dict[str, Any]:
    """What the files say beside the vocabulary: special tokens, limits, the chat template."""
    settings = {name: value for name, value in declared.items() if name not in NOT_SETTINGS}
    # older repositories name the special tokens only here, and where both do, this file was written with the tokens
    if "added_tokens_decoder" not in settings:
        known = {*ROLES, "additional_special_tokens", "extra_special_tokens"}
        listed = read_object(source, "special_tokens_map.json")
        settings |= {name: value for name, value in listed.items() if name in known}
    template = source.path("chat_template.jinja")
    if template is not None:
        settings["chat_template"] = template.read_text(encoding="utf-8")
    settings.pop("name_or_path", None)
    return settings


def _refuse_unknown(source: Source, name: Any) -> None:
    """A class of its own way to split (by a dictionary, say) must not be taken for BERT because of a vocab.txt."""
    if name is not None and name not in GENERAL and kind_name(str(name)) is None:
        raise ConfigError(
            f"{source.folder or source.name} has no tokenizer.json and asks for a {name}, which cannot be built here. "
            f"Supported: {SUPPORTED}."
        )


def _built(source: Source, kind: str, config: dict[str, Any], settings: dict[str, Any]) -> Tokenizer:
    """The Rust tokenizer put together from vocabulary files."""
    words = source.path("vocab.txt")
    if words is not None and (kind in WORDPIECE or kind == "PreTrained"):
        if config.get("type_vocab_size") == 1:
            # a body that knows one token type only: klue's RoBERTa with a BERT tokenizer
            settings = {**settings, "second_type_id": 0}
        return _with_added(source, build(kind, words, None, settings))
    for vocab_name, merges_name in BPE_FILES:
        vocabulary, merges = source.path(vocab_name), source.path(merges_name)
        if vocabulary is not None and merges is not None:
            return _with_added(source, build(_bpe_kind(kind, config), vocabulary, merges, settings))
    place = str(source.folder or source.name)
    others = [name for name in OTHER_FILES if source.path(name) is not None]
    if words is not None:
        raise ConfigError(f"{words}: a {kind} tokenizer cannot be built from this file. Supported: {SUPPORTED}.")
    if others:
        raise ConfigError(
            f"{place} has its tokenizer only as {others[0]!r}, which cannot be read yet. Supported: {SUPPORTED}. "
            "Save it once as tokenizer.json with the library it was made with."
        )
    raise MissingFileError(f"{place} has no tokenizer. Looked for: {SUPPORTED}.")


def _bpe_kind(kind: str, config: dict[str, Any]) -> str:
    if kind != "PreTrained":
        return kind
    by_type = BY_MODEL_TYPE.get(str(config.get("model_type")), "GPT2")
    return by_type if by_type in ROBERTA_LIKE else "GPT2"


def _with_added(source: Source, backend: Tokenizer) -> Tokenizer:
    """Add what added_tokens.json lists, in the order of the ids it gives."""
    listed = read_object(source, "added_tokens.json")
    for content, number in sorted(listed.items(), key=lambda item: int(item[1])):
        if backend.token_to_id(content) is None:
            backend.add_tokens([AddedToken(content, normalized=False)])
        if backend.token_to_id(content) != number:
            raise CheckpointError(
                f"{source.path('added_tokens.json')} gives {content!r} the id {number}, but here it is "
                f"{backend.token_to_id(content)}; the vocabulary and added_tokens.json do not belong together."
            )
    return backend
