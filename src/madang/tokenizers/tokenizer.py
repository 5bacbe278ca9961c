"""The tokenizer: text to ids and back, on the Rust `tokenizers` package."""

import copy
import os
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from tokenizers import AddedToken, Tokenizer

from madang.errors import InputError, unknown_name
from madang.tokenizers import assembling, chat, saving, training
from madang.tokenizers.build import adjust, build, read_json
from madang.tokenizers.calling import Asked, encode_texts
from madang.tokenizers.content import content_digest
from madang.tokenizers.decoding import checked_ids, clean_up
from madang.tokenizers.encoding import BatchEncoding
from madang.tokenizers.inputs import read_texts
from madang.tokenizers.names import ANY, Kind
from madang.tokenizers.options import NO_LIMIT, SIDES, resolve
from madang.tokenizers.padding import as_rows, tensor_type
from madang.tokenizers.special import ROLES, Token, as_special, read_token
from madang.tokenizers.template import Template, template_between, template_of
from madang.tokenizers.vocabulary import Vocabulary


class PreTrainedTokenizerFast(Vocabulary):
    """Turns texts into the numbers a model reads, and back.

    >>> tokenizer = AutoTokenizer.from_pretrained("klue/roberta-base")
    >>> batch = tokenizer(["첫 번째 문장", "두 번째 문장"], padding=True, return_tensors="pt")
    >>> tokenizer.batch_decode(batch["input_ids"], skip_special_tokens=True)

    How texts are split is in `tokenizer.json` (or is built from `vocab.txt`, or `vocab.json` and `merges.txt`) and
    never depends on the class. One tokenizer may be used by several threads.

    Settings that every tokenizer takes: the special tokens (`pad_token=` and so on), `additional_special_tokens`,
    `model_max_length`, `padding_side`, `truncation_side`, `model_input_names`, `chat_template`, and
    `clean_up_tokenization_spaces` (True unless said otherwise: decoding removes the blank before punctuation).
    """

    kind: ClassVar[Kind] = ANY
    slow_name: ClassVar[str] = "PreTrainedTokenizerFast"
    is_fast = True

    def __init__(
        self,
        vocab_file: str | os.PathLike[str] | None = None,
        merges_file: str | os.PathLike[str] | None = None,
        *,
        tokenizer_file: str | os.PathLike[str] | None = None,
        tokenizer_object: Tokenizer | None = None,
        **settings: Any,
    ) -> None:
        if tokenizer_object is not None:
            backend = copy.deepcopy(tokenizer_object)
        elif tokenizer_file is not None:
            backend = read_json(tokenizer_file)
        elif vocab_file is not None:
            backend = build(self.kind.name, vocab_file, merges_file, settings)
        else:
            raise InputError(
                f"{type(self).__name__} needs tokenizer_file=, tokenizer_object= or vocab_file=; "
                "to load a saved tokenizer use from_pretrained(folder or 'owner/name')."
            )
        if vocab_file is None or tokenizer_file is not None or tokenizer_object is not None:
            adjust(backend, settings)
        self._set_up(backend, settings)

    @classmethod
    def from_pretrained(cls, name_or_path: str | os.PathLike[str], *arguments: Any, **options: Any) -> Any:
        """Load from a folder or a repository; see `AutoTokenizer.from_pretrained`, which also finds the class."""
        from madang.tokenizers.auto import load

        return load(name_or_path, *arguments, as_class=cls, **options)

    @classmethod
    def _from_backend(cls, backend: Tokenizer, settings: dict[str, Any]) -> "PreTrainedTokenizerFast":
        """A tokenizer around a Rust one that is used as it is."""
        made = cls.__new__(cls)
        made._set_up(backend, settings)
        return made

    def _set_up(self, backend: Tokenizer, settings: Mapping[str, Any]) -> None:
        settings = dict(settings)
        self._lock = threading.Lock()
        self._changes = 0
        self._warned: set[str] = set()
        self.backend_tokenizer = backend
        # padding and truncation belong to a call; what the file says of them is only kept for saving
        self._stored_truncation, self._stored_padding = backend.truncation, backend.padding
        backend.no_truncation()
        backend.no_padding()
        self.name_or_path = str(settings.pop("name_or_path", ""))
        limit = settings.pop("model_max_length", settings.pop("max_len", None))
        self.model_max_length: int = NO_LIMIT if limit is None else int(limit)
        stored_side = (self._stored_padding or {}).get("direction", self.kind.padding_side)
        self.padding_side: str = _side(settings.pop("padding_side", None) or stored_side)
        stored_side = (self._stored_truncation or {}).get("direction", "right")
        self.truncation_side: str = _side(settings.pop("truncation_side", None) or stored_side)
        self.model_input_names = list(settings.pop("model_input_names", None) or self.kind.input_names)
        clean_up = settings.pop("clean_up_tokenization_spaces", None)
        self.clean_up_tokenization_spaces = True if clean_up is None else bool(clean_up)
        self.chat_template: str | dict[str, str] | None = chat.read_template(settings.pop("chat_template", None))
        stored_type = (self._stored_padding or {}).get("pad_type_id", self.kind.pad_token_type_id)
        self.pad_token_type_id: int = int(settings.pop("pad_token_type_id", stored_type))
        self._set_special(settings)
        self.init_kwargs = settings

    def _set_special(self, settings: dict[str, Any]) -> None:
        backend = self.backend_tokenizer
        self._special: dict[str, Token] = {}
        self._named: dict[str, Token] = {}
        self._additional: list[Token] = []
        for role in ROLES:
            if role in settings:
                setattr(self, role, settings.pop(role))
            elif role in self.kind.special_tokens and backend.token_to_id(self.kind.special_tokens[role]) is not None:
                setattr(self, role, self.kind.special_tokens[role])
        stored = (self._stored_padding or {}).get("pad_token")
        if self.pad_token is None and stored is not None and backend.token_to_id(stored) is not None:
            self.pad_token = stored
        extra = settings.pop("extra_special_tokens", None) or []
        if isinstance(extra, Mapping):
            self._named = {name: token for name, value in extra.items() if (token := read_token(value)) is not None}
            extra = []
        self.additional_special_tokens = [*(settings.pop("additional_special_tokens", None) or []), *extra]
        decoder = settings.pop("added_tokens_decoder", None) or {}
        tokens = [
            token for _, value in sorted(decoder.items(), key=lambda item: int(item[0])) if (token := _added(value))
        ]
        known = {token.content for token in backend.get_added_tokens_decoder().values()}
        self._add([token for token in tokens if token.content not in known])
        known = {token.content for token in backend.get_added_tokens_decoder().values()}
        self._add([as_special(t) for t in self.all_special_tokens_extended if as_special(t).content not in known])

    def __getattr__(self, name: str) -> Any:
        # tokens that only this model has: image_token, image_token_id
        named = self.__dict__.get("_named", {})
        if name in named:
            return as_special(named[name]).content
        if name.removesuffix("_id") in named:
            return self.backend_tokenizer.token_to_id(getattr(self, name.removesuffix("_id")))
        raise AttributeError(f"{type(self).__name__} has no {name!r}")

    @property
    def _tokenizer(self) -> Tokenizer:
        # the name under which other packages reach for the Rust tokenizer
        backend: Tokenizer = self.backend_tokenizer
        return backend

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def __madang_key__(self) -> tuple[str, dict[str, Any]]:
        """What identifies this tokenizer to the cache of datasets: all its results depend on, nothing of its use."""
        own = {"_lock", "_changes", "_warned", "_template_read", "backend_tokenizer", "name_or_path"}
        settings = {name: value for name, value in self.__dict__.items() if name not in own}
        return content_digest(self.backend_tokenizer), settings

    # text -> ids

    def __call__(
        self,
        text: Any = None,
        text_pair: Any = None,
        text_target: Any = None,
        text_pair_target: Any = None,
        add_special_tokens: bool = True,
        padding: Any = False,
        truncation: Any = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: Any = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
        **unknown: Any,
    ) -> BatchEncoding:
        """Encode one text, many texts, pairs of texts, or texts already split into words.

        `text` and `text_pair` are a str or any sequence of str (list, tuple, numpy array, dataset column, …); `text`
        may also be a list of pairs. With `is_split_into_words=True` a list of str is one text.

        `padding`: True or "longest" (of this batch), "max_length", False. `truncation`: True or "longest_first",
        "only_first", "only_second", False; texts are cut to `max_length` tokens, `model_max_length` when not given.
        `return_overflowing_tokens=True` gives what was cut as further rows, `stride` tokens of each repeated in the
        next, and `overflow_to_sample_mapping`. `return_tensors`: "pt", "np" or None for lists.

        Returns a BatchEncoding with `input_ids` and, where this model has them, `token_type_ids` and `attention_mask`;
        `labels` when `text_target` is given beside `text`.

        Raises InputError for what is not a text (naming its place), for padding without a pad token, and for tensors of
        texts of different lengths.
        """
        if unknown.pop("pad_to_max_length", False):
            padding = "max_length"
        if unknown:
            raise unknown_name("tokenizer argument", next(iter(unknown)), _ARGUMENTS)
        if text is None and text_target is None:
            raise InputError("nothing to tokenize: `text` is None. Pass a text, a list of texts, or text_target=.")
        to_pad, to_cut = resolve(
            padding=padding,
            truncation=truncation,
            max_length=max_length,
            stride=stride,
            multiple=pad_to_multiple_of,
            padding_side=padding_side or self.padding_side,
            truncation_side=self.truncation_side,
            limit=self.model_max_length,
            verbose=verbose,
        )
        if to_pad is not None:
            self._require_pad_token()
        names = self.model_input_names
        asked = Asked(
            padding=to_pad,
            truncation=to_cut,
            special_tokens=add_special_tokens,
            words=is_split_into_words,
            types="token_type_ids" in names if return_token_type_ids is None else return_token_type_ids,
            mask="attention_mask" in names if return_attention_mask is None else return_attention_mask,
            special_mask=return_special_tokens_mask,
            offsets=return_offsets_mapping,
            length=return_length,
            overflow=return_overflowing_tokens,
            tensors=tensor_type(return_tensors),
        )
        warn_over = self.model_max_length if verbose and max_length is None and to_cut is None else None
        if text is None:
            return encode_texts(
                self, read_texts(text_target, text_pair_target, words=asked.words), asked, warn_over=warn_over
            )
        batch = encode_texts(self, read_texts(text, text_pair, words=asked.words), asked, warn_over=warn_over)
        if text_target is not None:
            targets = read_texts(text_target, text_pair_target, words=asked.words)
            batch["labels"] = encode_texts(self, targets, asked, warn_over=warn_over)["input_ids"]
        return batch

    def encode_plus(self, text: Any, text_pair: Any = None, **options: Any) -> BatchEncoding:
        """The older name of calling the tokenizer on one text (or one pair)."""
        return self(text, text_pair, **options)

    def batch_encode_plus(self, batch_text_or_text_pairs: Any, **options: Any) -> BatchEncoding:
        """The older name of calling the tokenizer on a list of texts (or of pairs)."""
        return self(batch_text_or_text_pairs, **options)

    def prepare_seq2seq_batch(
        self,
        src_texts: Any,
        tgt_texts: Any = None,
        max_length: int | None = None,
        max_target_length: int | None = None,
        padding: Any = "longest",
        return_tensors: Any = None,
        truncation: Any = True,
        **options: Any,
    ) -> BatchEncoding:
        """Kept for older scripts: calling the tokenizer on sources, and on targets for `labels`."""
        options |= {"padding": padding, "return_tensors": return_tensors, "truncation": truncation}
        batch = self(src_texts, max_length=max_length, **options)
        if tgt_texts is not None:
            length = max_length if max_target_length is None else max_target_length
            batch["labels"] = self(tgt_texts, max_length=length, **options)["input_ids"]
        return batch

    def encode(self, text: Any, text_pair: Any = None, **options: Any) -> Any:
        """The ids of one text (or one pair), special tokens included; takes what calling the tokenizer takes."""
        return self(text, text_pair, **options)["input_ids"]

    def tokenize(self, text: Any, pair: Any = None, add_special_tokens: bool = False, **options: Any) -> list[str]:
        """The tokens of one text as str, by default without the special ones."""
        return self(text, pair, add_special_tokens=add_special_tokens, verbose=False, **options).tokens()

    @contextmanager
    def as_target_tokenizer(self) -> Iterator[None]:
        """Kept for older scripts; `text_target=` says the same in the call."""
        yield

    def _require_pad_token(self) -> None:
        if self.pad_token_id is not None:
            return
        if self.pad_token is not None:
            raise InputError(
                f"the padding token {self.pad_token!r} is not in the vocabulary. Add it with "
                f"tokenizer.add_special_tokens({{'pad_token': {self.pad_token!r}}}) and resize the model's embeddings."
            )
        hint = f"tokenizer.pad_token = tokenizer.eos_token (here {self.eos_token!r})" if self.eos_token else ""
        raise InputError(
            "padding was asked for, but this tokenizer has no padding token. "
            f"Set one: {hint or 'tokenizer.pad_token = a token of the vocabulary'}, or add a new one with "
            "tokenizer.add_special_tokens({'pad_token': '[PAD]'}) and resize the model's embeddings."
        )

    def _warn_once(self, subject: str, message: str) -> None:
        # one warning a tokenizer: the numbers differ from batch to batch, the advice does not
        if subject not in self._warned:
            self._warned.add(subject)
            warnings.warn(message, stacklevel=4)

    # ids -> ids

    def pad(
        self,
        encoded_inputs: Any,
        padding: Any = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: Any = None,
        verbose: bool = True,
    ) -> BatchEncoding:
        """Make encoded texts equally long: a BatchEncoding, a dict of lists, or a list of dicts (rows of a dataset).

        `input_ids`, `attention_mask`, `token_type_ids` and `special_tokens_mask` are filled up; `attention_mask` is
        made when it is missing; all other keys are kept as they are. Tensors in give tensors out unless
        `return_tensors` says otherwise.
        """
        return assembling.pad(
            self,
            encoded_inputs,
            padding,
            max_length,
            pad_to_multiple_of,
            padding_side,
            return_attention_mask,
            return_tensors,
        )

    def prepare_for_model(
        self, ids: Sequence[int], pair_ids: Sequence[int] | None = None, **options: Any
    ) -> BatchEncoding:
        """Add special tokens to ready ids, cut and pad them; takes the options of calling the tokenizer."""
        return assembling.prepare_for_model(self, ids, pair_ids, **options)

    def truncate_sequences(
        self,
        ids: list[int],
        pair_ids: list[int] | None = None,
        num_tokens_to_remove: int = 0,
        truncation_strategy: Any = "longest_first",
        stride: int = 0,
    ) -> tuple[list[int], list[int] | None, list[int]]:
        """Take `num_tokens_to_remove` ids away from one or two texts; returns both and the ids taken, `stride` more."""
        return assembling.truncate_sequences(
            ids, pair_ids, num_tokens_to_remove, truncation_strategy, stride, self.truncation_side
        )

    @property
    def _template(self) -> Template:
        processor = self.backend_tokenizer.post_processor
        state = None if processor is None else processor.__getstate__()
        cached = self.__dict__.get("_template_read")
        if cached is None or cached[0] != state:
            cached = self.__dict__["_template_read"] = (state, template_of(self.backend_tokenizer))
        found: Template = cached[1]
        return found

    def build_inputs_with_special_tokens(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """The ids of one text or a pair with the special tokens in place."""
        return self._template.join(token_ids_0, token_ids_1).ids

    def create_token_type_ids_from_sequences(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """The token types that go with `build_inputs_with_special_tokens`."""
        return self._template.join(token_ids_0, token_ids_1).type_ids

    def get_special_tokens_mask(
        self,
        token_ids_0: Sequence[int],
        token_ids_1: Sequence[int] | None = None,
        already_has_special_tokens: bool = False,
    ) -> list[int]:
        """1 where a special token is or would be added, 0 for the text's own tokens."""
        if already_has_special_tokens:
            special = set(self.all_special_ids)
            return [int(number in special) for number in token_ids_0]
        return self._template.join(token_ids_0, token_ids_1).special_mask

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """How many special tokens a text (or a pair) gets."""
        return int(self.backend_tokenizer.num_special_tokens_to_add(pair))

    @property
    def max_len_single_sentence(self) -> int:
        """Tokens of its own that one text may have."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=False)

    @property
    def max_len_sentences_pair(self) -> int:
        """Tokens of their own that the two texts of a pair may have together."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=True)

    @property
    def add_bos_token(self) -> bool:
        """Whether every text begins with `bos_token`; settable."""
        ends = self._template.ends()
        return ends is not None and self.bos_token_id is not None and ends[0] == (self.bos_token_id,)

    @add_bos_token.setter
    def add_bos_token(self, value: bool) -> None:
        if value != self.add_bos_token:
            self._set_ends(bos=value, eos=self.add_eos_token)

    @property
    def add_eos_token(self) -> bool:
        """Whether every text ends with `eos_token`; settable."""
        ends = self._template.ends()
        return ends is not None and self.eos_token_id is not None and ends[1] == (self.eos_token_id,)

    @add_eos_token.setter
    def add_eos_token(self, value: bool) -> None:
        if value != self.add_eos_token:
            self._set_ends(bos=self.add_bos_token, eos=value)

    def _set_ends(self, *, bos: bool, eos: bool) -> None:
        ends = self._template.ends()
        own = {self.bos_token_id, self.eos_token_id}
        if ends is None or not {*ends[0], *ends[1]} <= own:
            around = " ".join(self.tokenize("", add_special_tokens=True))
            raise InputError(
                f"this tokenizer puts other special tokens around texts ({around}); add_bos_token and add_eos_token "
                "are for tokenizers that put nothing else there."
            )
        for wanted, role in ((bos, "bos_token"), (eos, "eos_token")):
            if wanted and getattr(self, f"{role}_id") is None:
                raise InputError(f"add_{role}=True, but this tokenizer has no {role}; pass {role}=.")
        self._changes += 1
        first, last = self.bos_token if bos else None, self.eos_token if eos else None
        self.backend_tokenizer.post_processor = template_between(self.backend_tokenizer, first, last)

    # ids -> text

    def decode(
        self,
        token_ids: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        **_: Any,
    ) -> Any:
        """The text of ids (a list, array or tensor); of a list of lists, the list of texts.

        `clean_up_tokenization_spaces` removes the blank before punctuation and in English contractions; not given, the
        tokenizer's own setting counts.
        """
        ids = as_rows(token_ids)
        if isinstance(ids, int):
            ids = [ids]
        clean = (
            self.clean_up_tokenization_spaces if clean_up_tokenization_spaces is None else clean_up_tokenization_spaces
        )
        if ids and isinstance(ids[0], list):
            texts = self.backend_tokenizer.decode_batch(checked_ids(ids), skip_special_tokens=skip_special_tokens)
            return [self.clean_up_tokenization(text) for text in texts] if clean else texts
        text = self.backend_tokenizer.decode(checked_ids([ids])[0], skip_special_tokens=skip_special_tokens)
        return self.clean_up_tokenization(text) if clean else text

    def batch_decode(self, sequences: Any, skip_special_tokens: bool = False, **options: Any) -> list[str]:
        """The texts of many rows of ids."""
        rows = as_rows(sequences)
        if rows and isinstance(rows[0], int):
            rows = [[number] for number in rows]
        return list(self.decode(rows, skip_special_tokens, **options)) if rows else []

    @staticmethod
    def clean_up_tokenization(out_string: str) -> str:
        """English text without the blanks that splitting put before punctuation and contractions."""
        return clean_up(out_string)

    def apply_chat_template(self, conversation: Any, *arguments: Any, **options: Any) -> Any:
        """Write a conversation, or several, the way this model was trained to read it, and encode the text.

        `conversation` is a list of {"role", "content"}. Options: `add_generation_prompt` ends with the beginning of an
        answer; `continue_final_message` leaves the last message open; `tools` are JSON schemas, or functions with type
        hints and a docstring; `documents`; `chat_template` is a template, or the name of one of several; `padding`,
        `truncation`, `max_length` and `return_tensors` as in a call; `return_assistant_tokens_mask` adds
        `assistant_masks`, 1 where a {% generation %} block wrote. Any other option reaches the template by its name.

        Returns the ids (a list, or a tensor), the text with `tokenize=False`, or a BatchEncoding with
        `return_dict=True`; `return_dict` is False unless you say so, whatever the release you come from.

        The template is somebody else's program; it runs in a sandbox. Raises InputError with its words when it refuses
        the conversation, or when there is no template.
        """
        return chat.apply(self, conversation, *arguments, **options)

    def get_chat_template(self, chat_template: str | None = None, tools: Any = None) -> str:
        """The Jinja template that `apply_chat_template` would use."""
        return chat.choose(self.chat_template, chat_template, tools)

    # files

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], *, push_to_hub: bool = False, **options: Any
    ) -> tuple[str, ...]:
        """Write this tokenizer's files into a folder; other libraries read them too. Returns their paths.

        With `push_to_hub=True` also uploads them to `repo_id=` (the folder's name when not given).
        """
        prefix = options.pop("filename_prefix", None)
        options.pop("legacy_format", None)
        paths = saving.save(self, save_directory, prefix)
        if push_to_hub:
            repo_id = options.pop("repo_id", None) or os.path.basename(os.path.normpath(save_directory))
            self.push_to_hub(repo_id, **options)
        elif options:
            raise unknown_name("argument", next(iter(options)), ("push_to_hub", "repo_id", "filename_prefix"))
        return paths

    def save_vocabulary(
        self, save_directory: str | os.PathLike[str], filename_prefix: str | None = None
    ) -> tuple[str, ...]:
        """Write only the vocabulary files (`vocab.txt`, or `vocab.json` and `merges.txt`), where the model has such."""
        return saving.save_vocabulary(self, save_directory, filename_prefix)

    def push_to_hub(self, repo_id: str, *, commit_message: str = "Upload tokenizer", **options: Any) -> str:
        """Upload this tokenizer's files to a repository, made when it is not there; returns the commit's address."""
        from madang.client import push_saved

        return push_saved(self.save_pretrained, repo_id, commit_message=commit_message, **options)

    def train_new_from_iterator(
        self,
        text_iterator: Iterable[Any],
        vocab_size: int,
        length: int | None = None,
        new_special_tokens: list[Any] | None = None,
        special_tokens_map: dict[str, str] | None = None,
        **trainer_options: Any,
    ) -> "PreTrainedTokenizerFast":
        """A tokenizer that works like this one, its vocabulary learned from texts.

        `text_iterator` gives texts or lists of texts, `length` how many (for the progress bar). `special_tokens_map`
        renames special tokens, old -> new. Further options go to the Rust trainer (`min_frequency`, …).
        """
        return training.train_new(
            self, text_iterator, vocab_size, length, new_special_tokens, special_tokens_map, trainer_options
        )

    def __repr__(self) -> str:
        added = "".join(f"\n\t{number}: {token!r}," for number, token in self.added_tokens_decoder.items())
        return (
            f"{type(self).__name__}(name_or_path={self.name_or_path!r}, vocab_size={self.vocab_size}, "
            f"model_max_length={self.model_max_length}, is_fast=True, padding_side={self.padding_side!r}, "
            f"truncation_side={self.truncation_side!r}, special_tokens={self.special_tokens_map}, "
            f"clean_up_tokenization_spaces={self.clean_up_tokenization_spaces}, added_tokens_decoder={{{added}\n}})"
        )


_ARGUMENTS = tuple(
    name for name in PreTrainedTokenizerFast.__call__.__code__.co_varnames[1:20] if name not in ("self", "unknown")
)


def _added(value: Any) -> AddedToken | None:
    if isinstance(value, Mapping):
        value = read_token({"special": False, **value})
    return AddedToken(value) if isinstance(value, str) else value


def _side(side: Any) -> str:
    if side not in SIDES:
        raise unknown_name("side", str(side), SIDES)
    return str(side)
