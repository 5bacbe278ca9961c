"""Ready ids made into what a model takes: special tokens added, cut, padded. No text is read here."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from madang.errors import InputError
from madang.tokenizers.encoding import BatchEncoding
from madang.tokenizers.options import Padding, padding_strategy, resolve, truncation_strategy
from madang.tokenizers.padding import as_rows, collect, found_tensor_type, pad_array, pad_rows, tensor_type, to_tensor

if TYPE_CHECKING:
    from madang.tokenizers.tokenizer import PreTrainedTokenizerFast


def pad(
    tokenizer: "PreTrainedTokenizerFast",
    encoded: Any,
    padding: Any,
    max_length: int | None,
    multiple: int | None,
    padding_side: str | None,
    return_attention_mask: bool | None,
    return_tensors: Any,
) -> BatchEncoding:
    """See `PreTrainedTokenizerFast.pad`."""
    data = collect(encoded)
    name = tokenizer.model_input_names[0]
    if not data:
        return BatchEncoding({})
    if name not in data:
        raise InputError(f"nothing to pad: expected the key {name!r}, found {sorted(map(str, data))}.")
    kind = tensor_type(return_tensors) or found_tensor_type(data[name])
    rows = as_rows(data[name])
    single = bool(rows) and not isinstance(rows[0], list)
    if single:
        rows, data = [rows], {key: [value] for key, value in data.items()}
    to_pad, _ = resolve(
        padding=padding,
        truncation=False,
        max_length=max_length,
        stride=0,
        multiple=multiple,
        padding_side=padding_side or tokenizer.padding_side,
        truncation_side="right",
        limit=tokenizer.model_max_length,
        verbose=padding_strategy(padding) == "max_length",
    )
    if to_pad is not None:
        tokenizer._require_pad_token()
    data[name] = rows
    wants_mask = (
        "attention_mask" in tokenizer.model_input_names if return_attention_mask is None else return_attention_mask
    )
    if wants_mask and "attention_mask" not in data:
        data["attention_mask"] = [[1] * len(row) for row in rows]
    longest = max(map(len, rows), default=0)
    filled = {key: _column(tokenizer, key, value, to_pad, longest, rows, kind) for key, value in data.items()}
    if single and kind is None:
        filled = {key: value[0] for key, value in filled.items()}
    return BatchEncoding(filled)


def _column(
    tokenizer: "PreTrainedTokenizerFast",
    key: str,
    value: Any,
    padding: Padding | None,
    longest: int,
    rows: list[list[int]],
    kind: str | None,
) -> Any:
    """One column, filled up where its padding is known, as a list or a tensor."""
    fills: dict[str, Any] = {
        tokenizer.model_input_names[0]: tokenizer.pad_token_id,
        "token_type_ids": tokenizer.pad_token_type_id,
        "attention_mask": 0,
        "special_tokens_mask": 1,
    }
    if padding is not None and key in fills:
        values = as_rows(value)
        for index, (row, ids) in enumerate(zip(values, rows, strict=True)):
            if len(row) != len(ids):
                raise InputError(f"{key}[{index}] has {len(row)} items, but its text has {len(ids)} tokens.")
        target = padding.target(longest)
        if kind is not None and target >= longest:
            return to_tensor(pad_array(values, target, fills[key], padding.side), kind, key)
        value = pad_rows(values, target, fills[key], padding.side)
    return value if kind is None else to_tensor(_stackable(value), kind, key)


def _stackable(value: Any) -> Any:
    return as_rows(value) if found_tensor_type(value) is not None and isinstance(value, (list, tuple)) else value


def prepare_for_model(
    tokenizer: "PreTrainedTokenizerFast",
    ids: Sequence[int],
    pair_ids: Sequence[int] | None = None,
    *,
    add_special_tokens: bool = True,
    padding: Any = False,
    truncation: Any = None,
    max_length: int | None = None,
    stride: int = 0,
    pad_to_multiple_of: int | None = None,
    padding_side: str | None = None,
    return_tensors: Any = None,
    return_token_type_ids: bool | None = None,
    return_attention_mask: bool | None = None,
    return_overflowing_tokens: bool = False,
    return_special_tokens_mask: bool = False,
    return_length: bool = False,
    verbose: bool = True,
    prepend_batch_axis: bool = False,
) -> BatchEncoding:
    """See `PreTrainedTokenizerFast.prepare_for_model`."""
    first, second = list(as_rows(ids)), None if pair_ids is None else list(as_rows(pair_ids))
    _, cut = resolve(
        padding=padding,
        truncation=truncation,
        max_length=max_length,
        stride=stride,
        multiple=pad_to_multiple_of,
        padding_side=padding_side or tokenizer.padding_side,
        truncation_side=tokenizer.truncation_side,
        limit=tokenizer.model_max_length,
        verbose=verbose,
    )
    template, names = tokenizer._template, tokenizer.model_input_names
    special = template.count(pair=second is not None) if add_special_tokens else 0
    total = len(first) + len(second or ()) + special
    data: dict[str, Any] = {}
    if cut is not None and total > cut.max_length:
        first, second, taken = truncate_sequences(
            first, second, total - cut.max_length, cut.strategy, cut.stride, cut.side
        )
        if return_overflowing_tokens:
            data = {"overflowing_tokens": taken, "num_truncated_tokens": total - cut.max_length}
    joined = template.join(first, second, special=add_special_tokens)
    data["input_ids"] = joined.ids
    if return_token_type_ids or (return_token_type_ids is None and "token_type_ids" in names):
        data["token_type_ids"] = joined.type_ids
    if return_special_tokens_mask:
        data["special_tokens_mask"] = joined.special_mask
    if verbose and cut is None and max_length is None and total > tokenizer.model_max_length:
        tokenizer._warn_once(
            "too long", f"a text has {total} tokens, more than the {tokenizer.model_max_length} this model takes."
        )
    batch = tokenizer.pad(data, padding, max_length, pad_to_multiple_of, padding_side, return_attention_mask)
    if return_length:
        batch["length"] = len(batch["input_ids"])
    return batch.convert_to_tensors(return_tensors, prepend_batch_axis)


def truncate_sequences(
    ids: list[int],
    pair_ids: list[int] | None,
    remove: int,
    truncation: Any,
    stride: int,
    side: str,
) -> tuple[list[int], list[int] | None, list[int]]:
    """See `PreTrainedTokenizerFast.truncate_sequences`; longest_first takes token after token from the longer text."""
    strategy = truncation_strategy(truncation)
    if remove <= 0 or strategy == "do_not_truncate":
        return ids, pair_ids, []
    if strategy == "only_second" and pair_ids is None:
        raise InputError("truncation='only_second' needs a pair; there is only one text.")
    if pair_ids is None or strategy == "only_first":
        kept, taken = _cut(ids, remove, stride, side)
        return kept, pair_ids, taken
    if strategy == "only_second":
        kept, taken = _cut(pair_ids, remove, stride, side)
        return ids, kept, taken
    first, second = len(ids), len(pair_ids)
    for _ in range(min(remove, first + second)):
        if first > second:
            first -= 1
        else:
            second -= 1
    # both texts lose tokens, so no single stretch was cut off that could be given back
    return _keep(ids, first, side), _keep(pair_ids, second, side), []


def _cut(ids: list[int], remove: int, stride: int, side: str) -> tuple[list[int], list[int]]:
    if remove >= len(ids):
        raise InputError(
            f"cannot remove {remove} tokens from a text of {len(ids)}; raise max_length or truncate the other text."
        )
    window = min(len(ids), stride + remove)
    return _keep(ids, len(ids) - remove, side), ids[-window:] if side == "right" else ids[:window]


def _keep(ids: list[int], count: int, side: str) -> list[int]:
    return ids[:count] if side == "right" else ids[len(ids) - count :]
