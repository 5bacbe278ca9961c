"""Classes and their instances."""

import copyreg
import enum
import functools
import re
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

from madang.datasets.fingerprint.packages import found, installed, is_compiled, named
from madang.datasets.fingerprint.walk import Parts, RefusedError

# of a class: where it stands, what Python makes of the rest, and what has no use when it is called
_NOT_CONTENT = {
    "__abstractmethods__",
    "__annotate__",
    "__annotate_func__",
    "__annotations__",
    "__annotations_cache__",
    "__classdictcell__",
    "__conditional_annotations__",
    "__dataclass_fields__",
    "__dict__",
    "__doc__",
    "__firstlineno__",
    "__module__",
    "__orig_bases__",
    "__parameters__",
    "__qualname__",
    "__static_attributes__",
    "__type_params__",
    "__weakref__",
    "_abc_impl",
}
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_HEAP = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class made while the program runs


def namespace(values: Mapping[str, Any], where: str) -> Parts:
    """Values by their names, in whatever order they came; `where` has {} for the name. For `yield from`."""
    parts = [b"names %d:" % len(values)]
    for name in sorted(values, key=str):
        parts.append((yield name, ""))
        parts.append((yield values[name], where.replace("{}", f"`{name}`")))
    return b"".join(parts)


def identified(value: Any, identify: Callable[[Any], object]) -> Parts:
    """An object whose class, or the user, says what identifies it."""
    kind = yield type(value), "its class"
    try:
        content = identify(value)
    except Exception as error:
        raise _refused(value, error) from error
    return b"identified" + kind + (yield content, f"what identifies a {type(value).__name__}")


def of_class(value: type) -> Parts:
    """A class of an installed package by name and version; the user's by what is in it."""
    home = value.__module__ if isinstance(value.__module__, str) else ""
    is_static = not value.__flags__ & _HEAP
    if is_static or (installed(home) and found(home, value.__qualname__) is value):
        return b"class" + named(value, home, value.__qualname__)
    if isinstance(value, enum.EnumMeta):
        return (yield from _enum(value))
    who = f"class `{value.__qualname__}`"
    content = {name: item for name, item in vars(value).items() if _is_content(name)}
    parts = [b"class", value.__name__.encode("utf-8", "backslashreplace")]
    parts.append((yield type(value), f"the metaclass of {who}"))
    parts.append((yield value.__bases__, f"the bases of {who}"))
    parts.append((yield from namespace(content, f"the attribute {{}} of {who}")))
    parts.append((yield _annotations(value), ""))
    fields = vars(value).get("__dataclass_fields__")
    for name, field in (fields or {}).items():
        told = (field.default, field.default_factory, dict(field.metadata), field.init, field.repr, field.compare)
        parts.append((yield name, ""))
        parts.append((yield told, f"the field `{name}` of {who}"))
    return b"".join(parts)


def _is_content(name: str) -> bool:
    return name not in _NOT_CONTENT and not name.startswith("__pydantic_")


def _annotations(value: type) -> dict[str, str]:
    """Types of fields as text: some libraries act on them."""
    try:
        known = vars(value).get("__annotations__") or getattr(value, "__annotations__", {})
    except Exception:  # names that do not exist yet
        return {}
    return {
        name: kind.__qualname__ if isinstance(kind, type) else _ADDRESS.sub("", str(kind))
        for name, kind in known.items()
    }


def _enum(value: Any) -> Parts:
    who = f"class `{value.__qualname__}`"
    parts = [b"enum", value.__name__.encode("utf-8", "backslashreplace")]
    parts.append((yield value.__bases__, f"the bases of {who}"))
    for name, one in value.__members__.items():
        parts.append((yield name, ""))
        parts.append((yield one._value_, f"the member `{name}` of {who}"))
    own = {
        name: item
        for name, item in vars(value).items()
        if _is_content(name) and name not in value.__members__ and not _is_enum_part(name, item)
    }
    parts.append((yield from namespace(own, f"the attribute {{}} of {who}")))
    return b"".join(parts)


def _is_enum_part(name: str, item: Any) -> bool:
    """What the enum module itself puts into a class: tables of its members, and functions of its own."""
    if name.startswith("_") and not name.startswith("__") and name.endswith("_") and not callable(item):
        return True
    return (isinstance(item, enum.property) and item.fget is None) or installed(getattr(item, "__module__", None) or "")


def member(value: enum.Enum) -> Parts:
    """A member of an enum by its name; a combination of flags by its value."""
    parts = [b"member", (yield type(value), "its class"), (yield value._name_, "")]
    if value._name_ not in type(value).__members__:
        parts.append((yield value._value_, "the value of an enum"))
    return b"".join(parts)


def instance(value: Any, without: Collection[str] = ()) -> Parts:
    """Any other object: by how it would be pickled, which is its class and what it holds, some attributes left out."""
    kind = type(value)
    reduce = copyreg.dispatch_table.get(kind)
    try:
        told = reduce(value) if reduce is not None else kind.__reduce_ex__(value, 4)  # type: ignore[call-arg]
    except Exception as error:
        raise _refused(value, error) from error
    if isinstance(told, str):
        return (yield from _by_name(value, told))
    make, arguments, state, items, pairs, *_ = (*told, None, None, None, None)
    who = f"a {kind.__qualname__}"
    parts = [b"object", (yield make, f"what makes {who}"), (yield arguments, f"what makes {who}")]
    if make is not copyreg.__newobj__:  # type: ignore[attr-defined]
        parts.append((yield kind, "its class"))
    for each in state if isinstance(state, tuple) and len(state) == 2 else (state,):
        if isinstance(each, dict) and all(isinstance(name, str) for name in each):
            kept = {name: item for name, item in each.items() if name not in without and not _is_memory(kind, name)}
            parts.append((yield from namespace(kept, f"the attribute {{}} of {who}")))
        else:
            parts.append((yield each, f"the state of {who}"))
    parts.append((yield None if items is None else list(items), f"the items of {who}"))
    parts.append((yield None if pairs is None else dict(pairs), f"the items of {who}"))
    return b"".join(parts)


def _is_memory(kind: type, name: str) -> bool:
    """Whether an attribute only remembers what a `cached_property` gave."""
    return any(isinstance(vars(base).get(name), functools.cached_property) for base in kind.__mro__)


def _by_name(value: Any, name: str) -> Parts:
    """An object that says it is a global of that name."""
    kind = type(value)
    homes = [getattr(value, "__module__", None), kind.__module__, kind.__module__.partition(".")[0]]
    home = next((at for at in homes if isinstance(at, str) and found(at, name) is value), None)
    if home is not None and (installed(home) or is_compiled(sys.modules[home])):
        return b"global" + named(value, home, name)
    inner = getattr(value, "__wrapped__", getattr(value, "py_func", None))
    if inner is not None:
        made = yield kind, "its class"
        return b"wrapped" + made + (yield inner, "what it wraps")
    state = getattr(value, "__dict__", None)
    if not isinstance(state, dict) or (home is None and kind.__module__ != "typing"):
        raise RefusedError(f"{_kind_name(value)} says it is the global {name!r}, but no module has it")
    made = yield kind, "its class"
    content = {key: item for key, item in state.items() if key != "__module__"}
    return b"global" + name.encode() + made + (yield from namespace(content, f"the attribute {{}} of {name}"))


def _kind_name(value: Any) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"a value of type {name}"


def _refused(value: Any, error: Exception) -> RefusedError:
    reason = str(error) or type(error).__name__
    return RefusedError(f"{_kind_name(value)} cannot be recognised in another run ({reason})")
