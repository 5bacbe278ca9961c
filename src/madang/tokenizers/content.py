"""What a Rust tokenizer does, as a short text that is the same for equal tokenizers in every process."""

import json
import re
from hashlib import blake2b
from typing import Any
from weakref import WeakKeyDictionary

from tokenizers import Tokenizer

# tokens looked up to notice that a vocabulary was exchanged for another of the same size
_SAMPLES = 256
# what to_str() begins with: settings of the last call, which are no part of the tokenizer
_SETTINGS = re.compile(r',"(?:truncation|padding)":')

_known: "WeakKeyDictionary[Tokenizer, tuple[Any, str]]" = WeakKeyDictionary()


def content_digest(backend: Tokenizer) -> str:
    """32 hexadecimal digits for the vocabulary and all parts of `backend`, padding and truncation left out.

    Writing a vocabulary down takes 10 ms and more, so the answer is remembered for as long as `backend` lives and every
    part of it that can be looked at quickly is as it was.
    """
    signature = _signature(backend)
    known = _known.get(backend)
    if known is not None and known[0] == signature:
        return known[1]
    found = blake2b(_written(backend).encode("utf-8", "surrogatepass"), digest_size=16)
    found.update(repr(signature[-1]).encode())
    digest = found.hexdigest()
    _known[backend] = (signature, digest)
    return digest


def _signature(backend: Tokenizer) -> tuple[Any, ...]:
    size = backend.get_vocab_size(with_added_tokens=False)
    model = backend.model
    settings = ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback")
    parts = (backend.normalizer, backend.pre_tokenizer, backend.post_processor, backend.decoder)
    return (
        size,
        type(model).__name__,
        tuple(str(getattr(model, name, None)) for name in (*settings, "max_input_chars_per_word", "ignore_merges")),
        tuple(part if part is None else part.__getstate__() for part in parts),
        tuple(backend.id_to_token(number) for number in range(0, size, max(1, size // _SAMPLES))),
        tuple((number, repr(token)) for number, token in sorted(backend.get_added_tokens_decoder().items())),
        # not written by to_str()
        getattr(backend, "encode_special_tokens", False),
    )


def _written(backend: Tokenizer) -> str:
    """tokenizer.json without the settings of the last call."""
    text: str = backend.to_str()
    begin = text.find(',"added_tokens":')
    head = text[:begin] if begin >= 0 else ""
    if not head.startswith('{"version":') or not _SETTINGS.search(head):
        content = json.loads(text)
        content["padding"] = content["truncation"] = None
        return json.dumps(content)
    return text[begin:]
