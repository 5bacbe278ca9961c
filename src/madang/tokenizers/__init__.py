"""Text to ids and back, on the Rust `tokenizers` package. Needs no torch until tensors are asked for."""

from typing import Any

from tokenizers import AddedToken

from madang.tokenizers.auto import AutoTokenizer
from madang.tokenizers.encoding import BatchEncoding, CharSpan, TokenSpan
from madang.tokenizers.names import named_tokenizer_class
from madang.tokenizers.tokenizer import PreTrainedTokenizerFast

PreTrainedTokenizer = PreTrainedTokenizerBase = PreTrainedTokenizerFast

__all__ = [
    "AddedToken",
    "AutoTokenizer",
    "BatchEncoding",
    "CharSpan",
    "PreTrainedTokenizer",
    "PreTrainedTokenizerBase",
    "PreTrainedTokenizerFast",
    "TokenSpan",
    "named_tokenizer_class",
]


def __getattr__(name: str) -> Any:
    # BertTokenizerFast and its kin are made when first asked for; pickles find them here, too
    found = named_tokenizer_class(name) if not name.startswith("_") else None
    if found is None:
        raise AttributeError(f"madang.tokenizers has no {name!r}")
    return found
