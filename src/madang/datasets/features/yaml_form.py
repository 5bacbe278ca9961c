"""Features as the README of a dataset lists them: `- name: label`, `dtype: {class_label: {names: {'0': no}}}`."""

import re
from collections.abc import Mapping
from typing import Any

from madang.datasets.features.lists import LargeList, List, Sequence
from madang.datasets.features.storage import KINDS, from_json, to_json
from madang.datasets.features.value import Value
from madang.errors import InputError, unknown_name

_LISTS = {"list": List, "large_list": LargeList, "sequence": Sequence}


def to_yaml(features: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One dict per column: its name and what it holds."""
    return [{"name": name, **_described(feature)} for name, feature in features.items()]


def from_yaml(columns: list[dict[str, Any]]) -> dict[str, Any]:
    """What `to_yaml`, or any version of the datasets package, listed."""
    return {str(column["name"]): _feature({k: v for k, v in column.items() if k != "name"}) for column in columns}


def _described(feature: Any) -> dict[str, Any]:
    if isinstance(feature, Mapping):
        return {"struct": to_yaml(feature)}
    given = to_json(feature)
    kind = given.pop("_type")
    if kind == "Value":
        return dict(given)
    if isinstance(feature, (List, LargeList)):
        given.pop("feature")
        inner = _described(feature.feature)
        # {"dtype": "int32"} is said as "int32", {"struct": [...]} as [...]
        short = inner[next(iter(inner))] if list(inner) in (["dtype"], ["struct"]) else inner
        return {_snake(kind): short, **given}
    if kind == "ClassLabel":
        given["names"] = {str(number): name for number, name in enumerate(given["names"])}
    return {"dtype": {_snake(kind): given} if given else _snake(kind)}


def _feature(given: Any) -> Any:
    if given is None:
        return Value("null")  # `dtype: null` without quotes
    if isinstance(given, str):
        return _named(given)
    if isinstance(given, list):
        return from_yaml(given)
    if not isinstance(given, Mapping):
        raise InputError(f"a feature in YAML is a name, a list or a mapping, not {given!r}.")
    if not given:
        return {}
    for word, kind in _LISTS.items():
        if word in given:
            return kind(_feature(given[word]), **{k: v for k, v in given.items() if k != word})
    if "struct" in given:
        return _feature(given["struct"])
    if "dtype" in given:
        feature = _feature(given["dtype"])
        return Value(feature.dtype, id=given["id"]) if isinstance(feature, Value) and "id" in given else feature
    word, options = next(iter(given.items()))
    options = dict(options or {})
    if word == "class_label" and isinstance(options.get("names"), Mapping):
        options["names"] = _names(options["names"])
    return from_json({**options, "_type": _kind(word)})


def _named(word: str) -> Any:
    try:
        return Value(word)
    except ValueError:
        if word not in _words():
            raise
    return from_json({"_type": _kind(word)})


def _names(given: Mapping[Any, Any]) -> list[str]:
    """Class names by number; every number from 0 must be there."""
    by_number = {int(number): str(name) for number, name in given.items()}
    missing = sorted(set(range(max(by_number, default=-1) + 1)) - set(by_number))
    if missing:
        raise InputError(f"the names of a class_label are numbered from 0 without a gap; missing: {missing}.")
    return [by_number[number] for number in sorted(by_number)]


def _kind(word: str) -> str:
    words = _words()
    if word not in words:
        raise unknown_name("feature type", word, words)
    return words[word]


def _words() -> dict[str, str]:
    return {_snake(kind): kind for kind in KINDS}


def _snake(name: str) -> str:
    """`ClassLabel` as `class_label`, `Array2D` as `array2_d`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
