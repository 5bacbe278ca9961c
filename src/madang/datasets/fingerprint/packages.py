"""Whose code a module is: the user's own, which is looked into, or an installed package's, which has a version."""

import importlib.machinery
import importlib.metadata
import importlib.util
import os
import site
import sys
import sysconfig
from functools import cache, lru_cache
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import Any


def installed(name: str) -> bool:
    """Whether the module called `name` belongs to Python, to an installed package or to Madang, loaded or not.

    Scripts, notebooks and packages that are used from their own folder are the user's.
    """
    top = name.partition(".")[0]
    if top in ("madang", "builtins"):
        return True
    if not name or top == "__main__":
        return False
    return _is_installed(*_origin(name))


def version(name: str) -> str:
    """The version of the installed package that the module `name` belongs to."""
    top = name.partition(".")[0]
    if top == "builtins" or (top in sys.stdlib_module_names and top in sys.modules and installed(top)):
        return f"python {sys.version_info.major}.{sys.version_info.minor}"
    return _version(top)


def named(value: Any, module: str, name: str) -> bytes:
    """Bytes for something of an installed package by its name, and by its file when it is the user's compiled code."""
    told = version(module) if installed(module) else f"file {_file_digest(*_origin(module))}"
    return f"{type(value).__name__}\0{module}\0{name}\0{told}".encode("utf-8", "surrogatepass")


def found(module: str | None, name: str | None) -> Any:
    """What the loaded module holds under a dotted name; None when nothing."""
    value: Any = sys.modules.get(module or "")
    for part in (name or "").split("."):
        try:
            value = getattr(value, part, None)
        except Exception:  # a module may compute its attributes, and fail
            return None
    return value


@lru_cache(maxsize=4096)
def _is_installed(origin: str | None, folder: str | None) -> bool:
    if origin in ("built-in", "frozen"):
        return True
    place = origin or folder
    if place is None:
        return False
    path = os.path.realpath(place)
    parts = path.split(os.sep)
    return "site-packages" in parts or "dist-packages" in parts or path.startswith(_installation())


@cache
def _installation() -> tuple[str, ...]:
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    if site.ENABLE_USER_SITE:
        paths.add(site.getusersitepackages())
    return tuple(os.path.realpath(path) + os.sep for path in paths if path)


def _origin(name: str) -> tuple[str | None, str | None]:
    """The module's file, or `built-in`; and the folder of a package that has no file."""
    module = sys.modules.get(name)
    if module is None:
        # finding a module inside a package would import the package
        return _spec_origin(_spec(name.partition(".")[0]))
    return _module_origin(module)


def is_compiled(module: ModuleType) -> bool:
    """Whether a module is machine code, which only its file can stand for."""
    file = _module_origin(module)[0]
    return file is not None and file.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES))


def _module_origin(module: ModuleType) -> tuple[str | None, str | None]:
    """The same for a loaded module."""
    spec = module.__dict__.get("__spec__")
    file = module.__dict__.get("__file__")
    if file is not None:
        return str(file), None
    if spec is not None:
        return _spec_origin(spec)
    return None, next(iter(module.__dict__.get("__path__") or ()), None)


def _spec(top: str) -> importlib.machinery.ModuleSpec | None:
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return None


def _spec_origin(spec: importlib.machinery.ModuleSpec | None) -> tuple[str | None, str | None]:
    if spec is None:
        return None, None
    if spec.origin is not None:
        return spec.origin, None
    return None, next(iter(spec.submodule_search_locations or ()), None)


@cache
def _version(top: str) -> str:
    if top in sys.stdlib_module_names and _is_installed(*_origin(top)):
        return f"python {sys.version_info.major}.{sys.version_info.minor}"
    try:
        return importlib.metadata.version(top)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        pass
    # a package whose module is called differently: PIL is pillow
    listed = sorted(set(_distributions().get(top, ())))
    if listed:
        return " ".join(f"{name} {importlib.metadata.version(name)}" for name in listed)
    return f"file {_file_digest(*_origin(top))}"


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


def _file_digest(file: str | None, folder: str | None) -> str:
    if file is None or not os.path.isfile(file):
        return str(folder)
    stat = os.stat(file)
    return _content_digest(file, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=256)
def _content_digest(file: str, _changed: int, _size: int) -> str:
    return blake2b(Path(file).read_bytes(), digest_size=16).hexdigest()
