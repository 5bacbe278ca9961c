"""Which way of going through belongs to which kind of value."""

import enum
import functools
import re
import types
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from madang.datasets.fingerprint import functions, libraries, objects
from madang.datasets.fingerprint.walk import Apart, Parts, Steps, scalar

_Kind = Callable[[Any], Steps]

_registered: dict[type, Callable[[Any], object]] = {}


def register(kind: type, identify: Callable[[Any], object]) -> None:
    """Say what identifies values of `kind` and its subclasses: `identify(value)` returns something that has a key.

    >>> register(Connection, lambda connection: connection.address)

    For classes of your own a method `__madang_key__(self)` says the same.
    """
    _registered[kind] = identify


def steps_of(value: Any) -> Steps:
    """The generator that goes through `value`."""
    kind = type(value)
    exact = _EXACT.get(kind)
    if exact is not None:
        return exact(value)
    for base in kind.__mro__ if _registered else ():
        if base in _registered:
            return objects.identified(value, _registered[base])
    if hasattr(kind, "__madang_key__"):
        return objects.identified(value, kind.__madang_key__)
    return _kind(kind)(value)


def _kind(kind: type) -> _Kind:
    for base in kind.__mro__:
        top = base.__module__.partition(".")[0] if isinstance(base.__module__, str) else ""
        known = libraries.KNOWN.get(f"{top}:{base.__qualname__}")
        if known is not None:
            return known
    for base, steps in _WITH_SUBCLASSES:
        if issubclass(kind, base):
            return steps
    return objects.instance


def _list(value: list[Any]) -> Parts:
    parts = [b"list %d:" % len(value)]
    for place, item in enumerate(value):
        known = scalar(item)
        parts.append((yield item, f"item {place} of a list") if known is None else known)
    return b"".join(parts)


def _tuple(value: tuple[Any, ...]) -> Parts:
    parts = [b"tuple %d:" % len(value)]
    for place, item in enumerate(value):
        known = scalar(item)
        parts.append((yield item, f"item {place} of a tuple") if known is None else known)
    return b"".join(parts)


def _dict(value: dict[Any, Any]) -> Parts:
    # in its order: a function that goes through a dict sees it
    parts = [b"dict %d:" % len(value)]
    for name, item in list(value.items()):
        known = scalar(name)
        parts.append((yield name, "a key of a dict") if known is None else known)
        known = scalar(item)
        parts.append((yield item, f"the value of {name!r} in a dict") if known is None else known)
    return b"".join(parts)


def _set(value: Any) -> Parts:
    members: list[bytes] = []
    for item in value:
        known = scalar(item)
        members.append((yield Apart(item), "a member of a set") if known is None else known)
    return b"set %d:" % len(members) + b"".join(sorted(members))


def _set_subclass(value: Any) -> Parts:
    kind = yield type(value), "its class"
    content = yield (set if isinstance(value, set) else frozenset)(value), ""
    state = yield from objects.namespace(getattr(value, "__dict__", {}), "the attribute {} of a set")
    return b"set of" + kind + content + state


def _bytearray(value: Any) -> Parts:
    yield from ()
    return b"bytes %s:" % type(value).__name__.encode() + bytes(value)


def _range(value: Any) -> Parts:
    start = yield value.start, ""
    stop = yield value.stop, ""
    return type(value).__name__.encode() + start + stop + (yield value.step, "")


def _path(value: PurePath) -> Parts:
    kind = yield type(value), "the class of a path"
    return b"path" + kind + str(value).encode("utf-8", "surrogateescape")


def _pattern(value: "re.Pattern[Any]") -> Parts:
    return b"pattern %d:" % value.flags + (yield value.pattern, "")


def _by_text(value: Any) -> Parts:
    yield from ()
    return type(value).__name__.encode() + repr(value).encode("utf-8", "backslashreplace")


def _mapping_proxy(value: Any) -> Parts:
    return b"proxy" + (yield dict(value), "")


def _names(value: types.SimpleNamespace) -> Parts:
    return b"names" + (yield from objects.namespace(vars(value), "the attribute {} of a SimpleNamespace"))


def _property(value: property) -> Parts:
    return b"property" + (yield (value.fget, value.fset, value.fdel), "a property")


def _cached_property(value: Any) -> Parts:
    return b"cached property" + (yield value.func, "a cached property")


def _cell(value: types.CellType) -> Parts:
    try:
        content = value.cell_contents
    except ValueError:  # a name that gets its value later
        return b"empty cell"
    return b"cell" + (yield content, "")


def _items(value: Any) -> Parts:
    """Views of a dict."""
    return type(value).__name__.encode() + (yield list(value), "")


_EXACT: dict[type, _Kind] = {
    list: _list,
    tuple: _tuple,
    dict: _dict,
    set: _set,
    frozenset: _set,
    bytearray: _bytearray,
    memoryview: _bytearray,
    range: _range,
    slice: _range,
    type({}.keys()): _items,
    type({}.values()): _items,
    type({}.items()): _items,
    types.MappingProxyType: _mapping_proxy,
    types.SimpleNamespace: _names,
    types.CellType: _cell,
    types.EllipsisType: _by_text,
    types.NotImplementedType: _by_text,
    property: _property,
    functools.cached_property: _cached_property,
    staticmethod: functions.wrapped,
    classmethod: functions.wrapped,
    functools.partial: functions.partial,
    types.FunctionType: functions.function,
    types.CodeType: functions.code,
    types.MethodType: functions.method,
    types.BuiltinFunctionType: functions.builtin,
    types.MethodWrapperType: functions.builtin,
    types.MethodDescriptorType: functions.descriptor,
    types.WrapperDescriptorType: functions.descriptor,
    types.ClassMethodDescriptorType: functions.descriptor,
    types.GetSetDescriptorType: functions.descriptor,
    types.MemberDescriptorType: functions.descriptor,
    type(functools.lru_cache(lambda: None)): functions.cached,
}

_WITH_SUBCLASSES: tuple[tuple[type, _Kind], ...] = (
    (type, objects.of_class),
    (types.ModuleType, functions.module),
    (enum.Enum, objects.member),
    (PurePath, _path),
    (re.Pattern, _pattern),
    (set, _set_subclass),
    (frozenset, _set_subclass),
)
