"""Users' values on their way into storage and back: class names to numbers, images to files, and the reverse."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import pyarrow as pa

from madang.datasets.features.audio import Audio, Sound
from madang.datasets.features.image import Image, is_pil_image
from madang.datasets.features.lists import LargeList, List
from madang.datasets.features.storage import from_arrow_type
from madang.datasets.features.translation import Translation
from madang.datasets.features.value import Value
from madang.errors import InputError, WrongTypeError

Change = Callable[[Any], Any]


def encoder(feature: Any) -> Change | None:
    """What makes one user's value (never None) storable; None where Arrow takes such values as they are."""
    if isinstance(feature, Mapping):
        members = {name: change for name, inner in feature.items() if (change := encoder(inner)) is not None}
        lists = bool(feature) and all(isinstance(inner, (List, LargeList)) for inner in feature.values())
        return _struct_encoder(members, list(feature) if lists else []) if members or lists else None
    if isinstance(feature, (List, LargeList)):
        return _each(encoder(feature.feature))
    if isinstance(feature, (Value, Translation)) or not hasattr(feature, "encode_example"):
        return None
    return cast(Change, feature.encode_example)


def decoder(feature: Any) -> Change | None:
    """What makes users' values of stored ones (never None); None where these are what users see."""
    if isinstance(feature, Mapping):
        members = {name: change for name, inner in feature.items() if (change := decoder(inner)) is not None}
        return _members(members) if members else None
    if isinstance(feature, (List, LargeList)):
        return _each(decoder(feature.feature))
    if not hasattr(feature, "decode_example") or not getattr(feature, "decode", True):
        return None
    return cast(Change, feature.decode_example)


def _each(change: Change | None) -> Change | None:
    if change is None:
        return None
    return lambda values: [None if value is None else change(value) for value in values]


def _members(changes: Mapping[str, Change]) -> Change:
    def change(struct: Mapping[str, Any]) -> dict[str, Any]:
        changed = dict(struct)
        for name, inner in changes.items():
            if changed.get(name) is not None:
                changed[name] = inner(changed[name])
        return changed

    return change


def _struct_encoder(changes: Mapping[str, Change], lists: list[str]) -> Change:
    """`lists`: the members of a struct that holds nothing but lists. It may be given as a list of structs, as the
    older Sequence of a dict was."""
    change = _members(changes) if changes else lambda struct: struct

    def encode(struct: Any) -> Any:
        if lists and isinstance(struct, (list, tuple)):
            struct = {name: [row.get(name) for row in struct] for name in lists}
        if not isinstance(struct, Mapping):
            raise WrongTypeError(f"expected a dict with {sorted({*changes, *lists})}, found {struct!r}.")
        return change(struct)

    return encode


def encode_value(value: Any, feature: Any) -> Any:
    """A value as `feature` stores it, in the form Python shows Arrow's values; plain values change their type too.

    `"5"` becomes 5 in an integer column and 5 becomes `"5"` in a text column; a struct gets all its members.
    """
    if value is None:
        return None
    if isinstance(feature, Mapping):
        change = _struct_encoder({}, list(feature) if encoder(feature) is not None else [])
        struct = change(value)
        return {name: encode_value(struct.get(name), inner) for name, inner in feature.items()}
    if isinstance(feature, (List, LargeList)):
        return [encode_value(inner, feature.feature) for inner in value]
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    return feature.encode_example(value) if hasattr(feature, "encode_example") else value


def decode_value(value: Any, feature: Any, tokens: Mapping[str, Any] | None = None) -> Any:
    """A stored value as users see it. `tokens` open files of private repositories, by repository id."""
    if value is None:
        return None
    if isinstance(feature, Mapping):
        return {name: decode_value(value[name], inner, tokens) for name, inner in feature.items() if name in value}
    if isinstance(feature, (List, LargeList)):
        if decoder(feature.feature) is None:
            return value
        return [decode_value(inner, feature.feature, tokens) for inner in value]
    if decoder(feature) is None:
        return value
    return feature.decode_example(value, token_per_repo_id=tokens)


def inferred(value: Any) -> Any:
    """The feature of a value Arrow cannot make anything of: a PIL image, a decoded sound, also inside lists and dicts.

    None when Arrow can.
    """
    if is_pil_image(value):
        return Image()
    if isinstance(value, Sound) or type(value).__module__.startswith("torchcodec"):
        return Audio()
    if isinstance(value, (list, tuple)):
        first = next((inner for inner in value if inner is not None), None)
        inner = None if first is None else inferred(first)
        return None if inner is None else List(inner)
    if isinstance(value, Mapping):
        members = {name: inferred(inner) for name, inner in value.items()}
        if any(inner is not None for inner in members.values()):
            return {name: members[name] or _seen_by_arrow(inner) for name, inner in value.items()}
    return None


def _seen_by_arrow(value: Any) -> Any:
    value = value.tolist() if isinstance(value, np.ndarray) else value
    try:
        return from_arrow_type(pa.array([value]).type)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InputError(f"no type fits {value!r}: {error}. Say which with `features=`.") from error
