"""Functions and classes as text: the source itself, with everything it needs, so that a copy never differs."""

import ast
import inspect
import re
import symtable
import sys
import textwrap
from types import ModuleType
from typing import Any

from madang.errors import InputError

WIDTH = 120


class Sources:
    """The definitions of a program and the imports they need, in an order in which they can stand."""

    def __init__(self) -> None:
        self.definitions: dict[str, str] = {}
        self.imports: dict[str, str] = {}

    def use(self, thing: Any) -> str:
        """The name of a function or class of the user's in the program; it is imported, or else defined there."""
        if not is_importable(thing):
            return self.define(thing)
        self.imports[thing.__name__] = _import_of(thing, thing.__name__)
        return str(thing.__name__)

    def define(self, thing: Any) -> str:
        """Write out a function or class, and first what it needs; returns its name.

        Raises InputError for what has no source of its own or holds values of the function it was made in.
        """
        name: str = getattr(thing, "__name__", type(thing).__name__)
        if name in self.definitions:
            return name
        if not inspect.isfunction(thing) and not inspect.isclass(thing):
            raise InputError(f"{name} is a {type(thing).__name__}, not a function")
        if getattr(inspect.unwrap(thing), "__closure__", None):
            raise InputError(f"{name} holds values of the function it was made in")
        try:
            source = textwrap.dedent(inspect.getsource(thing)).strip()
        except (OSError, TypeError):
            raise InputError(f"{name} has no source that can be read") from None
        if not source.startswith(("def ", "class ", "@")):
            raise InputError(f"{name} has no name of its own (a lambda)")
        module = sys.modules[thing.__module__]
        for used in global_names(source):
            if used != name and hasattr(module, used):
                self._need(used, module)
        self.definitions[name] = source
        return name

    def _need(self, name: str, module: ModuleType) -> None:
        value = getattr(module, name)
        if inspect.ismodule(value):
            self.imports[name] = _import_of_module(value, name)
        elif _is_written_out(value):
            self.define(value)
        elif getattr(value, "__module__", None) and getattr(value, "__name__", getattr(value, "_name", None)) == name:
            self.imports[name] = _import_of(value, name)
        elif name not in self.definitions:
            self.definitions[name] = self._constant(name, value, module)

    def _constant(self, name: str, value: Any, module: ModuleType) -> str:
        if not module.__name__.startswith("madang."):
            if not _is_literal(value):
                raise InputError(f"it needs {name}, which is a {type(value).__name__} and no literal")
            return f"{name} = {value!r}"
        text = inspect.getsource(module)
        for node in ast.parse(text).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == name:
                source = ast.get_source_segment(text, node) or ""
                for used in global_names(source) - {name}:
                    if hasattr(module, used):
                        self._need(used, module)
                return source
        raise InputError(f"{name} of {module.__name__} is not written as one assignment")


def is_importable(thing: Any) -> bool:
    """Whether another program finds it by the name of its module."""
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", "<")
    return (
        module not in (None, "__main__") and "<" not in name and "." not in name and hasattr(sys.modules[module], name)
    )


def global_names(source: str) -> set[str]:
    """The names a piece of code takes from the module it stands in."""
    found: set[str] = set()
    waiting = [symtable.symtable(source, "source", "exec")]
    while waiting:
        table = waiting.pop()
        waiting += table.get_children()
        top = table.get_type() == "module"
        found |= {s.get_name() for s in table.get_symbols() if s.is_referenced() and (top or s.is_global())}
    return found


def _is_written_out(value: Any) -> bool:
    if not inspect.isfunction(value) and not inspect.isclass(value):
        return False
    return value.__module__.startswith("madang.training.") or not is_importable(value)


def _is_literal(value: Any) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError):
        return False


def _import_of_module(module: ModuleType, name: str) -> str:
    parent, _, leaf = module.__name__.rpartition(".")
    said = leaf if name == leaf else f"{leaf} as {name}"
    return f"from {parent} import {said}" if parent else f"import {said}"


def _import_of(value: Any, name: str) -> str:
    """From the outermost package that has it: torch.optim, not torch.optim.optimizer."""
    module: str = value.__module__
    while "." in module and getattr(sys.modules.get(module.rpartition(".")[0]), name, None) is value:
        module = module.rpartition(".")[0]
    return f"from {module} import {name}"


def import_lines(imports: dict[str, str]) -> str:
    """Import statements in the customary order: the standard library, a blank line, everything else."""
    parts: list[list[str]] = [[], []]
    names: dict[str, set[str]] = {}
    for statement in imports.values():
        found = re.fullmatch(r"from (\S+) import (.+)", statement)
        if found:
            names.setdefault(found[1], set()).add(found[2])
        else:
            parts[_is_foreign(statement.split()[1])].append(statement)
    parts = [sorted(part) for part in parts]
    for module in sorted(names, key=str.lower):
        line = f"from {module} import {', '.join(sorted(names[module], key=_place))}"
        if len(line) > WIDTH:
            inside = "".join(f"    {name},\n" for name in sorted(names[module], key=_place))
            line = f"from {module} import (\n{inside})"
        parts[_is_foreign(module)].append(line)
    return "\n\n".join("\n".join(part) for part in parts if part)


def _is_foreign(module: str) -> bool:
    return module.partition(".")[0] not in sys.stdlib_module_names


def _place(name: str) -> tuple[int, str]:
    """Constants, classes, functions."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2), name


def call(function: str, arguments: list[str], before: str = "") -> str:
    """`function(arguments)` on one line if it fits after `before`, or with one argument on each line."""
    line = f"{function}({', '.join(arguments)})"
    if len(before) + len(line) <= WIDTH:
        return line
    indent = before[: len(before) - len(before.lstrip())]
    inside = f"{indent}    {', '.join(arguments)}"
    if len(inside) <= WIDTH:
        return f"{function}(\n{inside}\n{indent})"
    return f"{function}(\n" + "".join(f"{indent}    {argument},\n" for argument in arguments) + f"{indent})"
