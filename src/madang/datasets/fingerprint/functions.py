"""Functions, methods and modules: their code and everything they use."""

import functools
import importlib
import importlib.util
import sys
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from madang.datasets.fingerprint.code import PLACE, Use, read, shape, uses
from madang.datasets.fingerprint.objects import namespace
from madang.datasets.fingerprint.packages import found, installed, is_compiled, named, version
from madang.datasets.fingerprint.walk import Parts, RefusedError, Same, Steps

_MISSING = object()
# what decorators leave on a function; what they wrapped is among its variables
_NOT_STATE = {"__wrapped__", "__type_params__"}


def called(function: Any) -> str:
    """A function in the words of an error."""
    name = str(getattr(function, "__qualname__", "?")).rpartition("<locals>.")[2]
    return "a lambda" if name == "<lambda>" else f"function `{name}`"


def function(value: FunctionType) -> Steps:
    """A function by its code, defaults, enclosing variables, and the globals and modules it uses."""
    compiled = value.__dict__.get("_torchdynamo_orig_callable")
    if compiled is not None:
        return Same((yield compiled, ""))
    home = value.__globals__.get("__name__") or ""
    foreign = isinstance(home, str) and installed(home)
    if foreign and found(value.__module__, value.__qualname__) is value:
        return b"function" + named(value, value.__module__, value.__qualname__)
    if foreign and home == "functools" and hasattr(value, "registry"):
        return (yield from _single_dispatch(value))
    who = called(value)
    parts = [b"function", (yield value.__code__, "")]
    parts.append((yield value.__defaults__, f"the default arguments of {who}"))
    parts.append((yield from namespace(value.__kwdefaults__ or {}, f"the default of {{}} of {who}")))
    state = {name: item for name, item in value.__dict__.items() if name not in _NOT_STATE}
    parts.append((yield from namespace(state, f"the attribute {{}} of {who}")))
    if foreign:
        # made by an installed package, a decorator say: what it uses there, the version stands for
        parts.append(version(home).encode())
    parts.append((yield from _surroundings(value, who, only_around=foreign)))
    return b"".join(parts)


def _surroundings(value: FunctionType, who: str, *, only_around: bool) -> Parts:
    """The values of names that a function takes from outside."""
    around = dict(zip(value.__code__.co_freevars, value.__closure__ or (), strict=True))
    parts: list[bytes] = []
    for use in sorted(uses(value.__code__)):
        told = f"{use.kind} {use.name} {use.level} {'.'.join(use.attributes)}".encode("utf-8", "backslashreplace")
        if use.kind == "around":
            item, where = _content(around[use.name]), f"the variable `{use.name}` that {who} takes from around it"
        elif only_around:
            continue
        elif use.kind == "global":
            item, where = _global(value, use.name), f"the global `{use.name}` used by {who}"
        else:
            item, where = _imported(value, use), f"the module `{use.name}` imported by {who}"
        for name in use.attributes:
            # of an own module only what is used counts; of any other value, all of it
            if not isinstance(item, ModuleType) or _is_installed(item):
                break
            item, where = _attribute(item, name), f"`{'.'.join((use.name, *use.attributes))}` used by {who}"
        parts += [told, b"\0", b"missing" if item is _MISSING else (yield item, where)]
    return b"around %d:" % len(parts) + b"".join(parts)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that gets its value later
        return _MISSING


def _global(value: FunctionType, name: str) -> Any:
    if name in value.__globals__:
        return value.__globals__[name]
    builtins = value.__globals__.get("__builtins__", {})
    known = builtins if isinstance(builtins, dict) else vars(builtins)
    return known.get(name, _MISSING)


def _attribute(module: ModuleType, name: str) -> Any:
    try:
        return getattr(module, name, _MISSING)
    except Exception as error:  # a module may compute its attributes, and fail
        raise RefusedError(f"`{module.__name__}.{name}` cannot be read ({type(error).__name__}: {error})") from error


def _imported(value: FunctionType, use: Use) -> Any:
    """The module that an import inside a function brings. An own one is imported now: the function would do so, too."""
    name = use.name
    try:
        if use.level:
            name = importlib.util.resolve_name("." * use.level + name, str(value.__globals__.get("__package__") or ""))
        if installed(name):
            return ModuleType(name) if name not in sys.modules else sys.modules[name]
        module = importlib.import_module(name)
        for attribute in use.attributes[:1] if use.whole else ():
            if not hasattr(module, attribute) and hasattr(module, "__path__"):
                importlib.import_module(f"{name}.{attribute}")
    except ImportError:
        return _MISSING
    except Exception as error:
        raise RefusedError(f"the module {name!r} cannot be imported ({type(error).__name__}: {error})") from error
    return module if use.whole else sys.modules.get(name.partition(".")[0], module)


def _is_installed(value: ModuleType) -> bool:
    return installed(value.__name__)


def module(value: ModuleType) -> Parts:
    """An installed module by name and version; an own one, of which nobody knows what is used, by all it holds."""
    if _is_installed(value):
        return b"module" + named(value, value.__name__, "")
    if is_compiled(value):
        return b"module" + named(value, value.__name__, "")
    names = {name: item for name, item in vars(value).items() if name not in PLACE and name != "__spec__"}
    return b"module" + (yield from namespace(names, f"{{}} of module `{value.__name__}`"))


def code(value: CodeType) -> Parts:
    """What code does. Not: its name, its file, its lines, its docstring."""
    reading = read(value)
    parts = [b"code", shape(value), b"\0", reading.instructions, b"\0"]
    parts.append((yield reading.constants, ""))
    return b"".join(parts)


def method(value: MethodType) -> Parts:
    """A method with the object it belongs to; one that a module offers as its function, by name."""
    owner, name = value.__self__, value.__func__.__name__
    offered = _offered(value, type(owner).__module__, name)
    if offered is not None:
        return offered
    parts = [b"method", name.encode(), (yield value.__func__, "")]
    parts.append((yield owner, f"the object of the method `{name}`"))
    return b"".join(parts)


def _offered(value: Any, home: Any, name: str) -> bytes | None:
    """Bytes for `random.shuffle` and its like: methods of an object that only the module itself knows."""
    if isinstance(home, str) and installed(home) and found(home, name) == value:
        return b"function" + named(value, home, name)
    return None


def builtin(value: Any) -> Parts:
    """A function written in C, or a method of such an object."""
    owner = getattr(value, "__self__", None)
    if owner is None or isinstance(owner, ModuleType):
        home = value.__module__ or (owner.__name__ if owner is not None else "")
        # some have no module to tell them apart
        about = b"" if home else repr(value.__doc__).encode("utf-8", "backslashreplace")
        return b"function" + named(value, str(home), value.__qualname__) + about
    offered = _offered(value, type(owner).__module__, value.__name__)
    if offered is not None:
        return offered
    inner = yield owner, f"the object of the method `{value.__name__}`"
    return b"method" + str(value.__name__).encode() + inner


def descriptor(value: Any) -> Parts:
    """What C code or `__slots__` put into a class: the class says which one it is."""
    yield from ()
    kind = value.__objclass__
    name = f"{kind.__module__}.{kind.__qualname__}." if installed(kind.__module__) else ""
    return f"{type(value).__name__} {name}{value.__name__}".encode()


def wrapped(value: Any) -> Parts:
    """staticmethod and classmethod."""
    inner = yield value.__func__, ""
    return str(type(value).__name__).encode() + inner


def cached(value: Any) -> Parts:
    """`functools.cache` and `lru_cache`: what was called so far makes no difference."""
    home, name = value.__module__, value.__qualname__
    if isinstance(home, str) and installed(home) and found(home, name) is value:
        return b"function" + named(value, home, name)
    return b"cached" + (yield value.__wrapped__, "")


def partial(value: "functools.partial[Any]") -> Parts:
    """A function with some of its arguments."""
    parts = [b"partial", (yield value.func, "the function of a partial")]
    parts.append((yield value.args, "the arguments of a partial"))
    parts.append((yield from namespace(value.keywords, "the argument {} of a partial")))
    parts.append((yield from namespace(value.__dict__, "the attribute {} of a partial")))
    return b"".join(parts)


def _single_dispatch(value: Any) -> Parts:
    parts = [b"single dispatch"]
    for kind, chosen in value.registry.items():
        parts.append((yield kind, "a type of a singledispatch function"))
        parts.append((yield chosen, f"what a singledispatch function does with {kind.__name__}"))
    return b"".join(parts)
