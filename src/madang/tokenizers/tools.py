"""The JSON schema of a Python function, as chat templates describe tools to a model."""

import inspect
import re
import types
import typing
from collections.abc import Callable
from typing import Any, Union

from madang.errors import InputError

JSON_NAMES = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    dict: "object",
    list: "array",
    type(None): "null",
}


def schema(function: Callable[..., Any]) -> dict[str, Any]:
    """Describe a function by its name, its type hints and its docstring (the text, then `Args:` with `name: words`).

    Raises InputError naming what is missing: every argument needs a type hint and a description.
    """
    if not callable(function):
        raise InputError(f"a tool is a function or its JSON schema; found {type(function).__name__}.")
    name, text = function.__name__, inspect.getdoc(function)
    if not text:
        raise InputError(f"the tool {name}() has no docstring; the model learns from it what the tool does.")
    about, arguments = _read_docstring(text)
    hints = typing.get_type_hints(function)
    properties, required = {}, []
    for argument, parameter in inspect.signature(function).parameters.items():
        if argument not in hints or argument not in arguments:
            missing = "type hint" if argument not in hints else "line under 'Args:'"
            raise InputError(f"the argument {argument!r} of the tool {name}() has no {missing}.")
        properties[argument] = {**_type(hints[argument]), "description": arguments[argument]}
        if parameter.default is inspect.Parameter.empty:
            required.append(argument)
    parameters = {"type": "object", "properties": properties, "required": required}
    return {"type": "function", "function": {"name": name, "description": about, "parameters": parameters}}


def _read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """The text before the sections, and argument -> description."""
    parts = re.split(r"^(Args|Arguments|Returns|Raises|Examples?|Yields):\s*$", text, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    listed = sections.get("Args", sections.get("Arguments", ""))
    found: dict[str, str] = {}
    for match in re.finditer(
        r"^\s+(\w+)(?:\s*\([^)]*\))?:\s*(.*(?:\n(?!\s+\w+(?:\s*\([^)]*\))?:).*)*)", listed, re.MULTILINE
    ):
        found[match[1]] = " ".join(match[2].split())
    return parts[0].strip(), found


def _type(hint: Any) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        rest = [_type(argument) for argument in arguments if argument is not type(None)]
        made = rest[0] if len(rest) == 1 else {"anyOf": rest}
        return {**made, "nullable": True} if type(None) in arguments else made
    if origin is typing.Literal:
        return {**_type(type(arguments[0])), "enum": list(arguments)}
    if origin is list and arguments:
        return {"type": "array", "items": _type(arguments[0])}
    if origin is dict and len(arguments) == 2:
        return {"type": "object", "additionalProperties": _type(arguments[1])}
    if hint is Any:
        return {}
    if (origin or hint) not in JSON_NAMES:
        raise InputError(
            f"the type {hint!r} has no JSON form; use str, int, float, bool, list, dict, Literal or a union of these."
        )
    return {"type": JSON_NAMES[origin or hint]}
