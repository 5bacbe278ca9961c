"""Filters that need no Python: a function that only compares one column with a constant is left to Arrow.

`lambda row: row["label"] == 1`, or `lambda label: label == 1` with `input_columns="label"`, is recognised in the
function's bytecode, where nothing else can hide: no call, no attribute, so no side effect. Whatever is not recognised
is called row by row, as any other function.
"""

import dis
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import pyarrow as pa

# operator -> its name in pyarrow.compute, and what an empty cell answers (None: Python would raise)
_OPERATORS: Mapping[str, tuple[str, bool | None]] = {
    "==": ("equal", False),
    "!=": ("not_equal", True),
    "<": ("less", None),
    "<=": ("less_equal", None),
    ">": ("greater", None),
    ">=": ("greater_equal", None),
}
_LOADS = {"LOAD_FAST", "LOAD_FAST_BORROW"}
_SILENT = {"RESUME", "CACHE", "COPY_FREE_VARS", "NOP", "PRECALL", "NOT_TAKEN"}
_UNKNOWN = object()


@dataclass(frozen=True)
class Comparison:
    """`column <operator> constant`, for every row."""

    column: str
    operator: str
    constant: Any

    def on(self, values: pa.ChunkedArray) -> pa.ChunkedArray | None:
        """Yes or no for every value; None where Python's answer could be another, or an error."""
        if not _comparable(values.type, self.constant):
            return None
        import pyarrow.compute as pc

        name, when_empty = _OPERATORS[self.operator]
        if values.null_count and when_empty is None:
            return None
        answers = getattr(pc, name)(values, pa.scalar(self.constant))
        return answers.fill_null(when_empty) if values.null_count else answers


def comparison(function: Callable[..., Any], input_columns: Sequence[str] | None) -> Comparison | None:
    """The comparison that is all that `function` does, or None."""
    if not isinstance(function, FunctionType) or function.__code__.co_argcount != 1:
        return None
    if function.__code__.co_kwonlyargcount:
        return None
    if function.__code__.co_flags & 0x2AC:  # *args, **kwargs, generators, coroutines
        return None
    steps = [step for step in dis.get_instructions(function) if step.opname not in _SILENT]
    if not steps or steps[0].opname not in _LOADS or steps[-1].opname not in ("RETURN_VALUE", "RETURN_CONST"):
        return None
    rest = steps[1:-1]
    column: Any = input_columns[0] if input_columns is not None and len(input_columns) == 1 else None
    if input_columns is None:
        if len(rest) != 4 or not _is_subscript(rest[1]):
            return None
        column, rest = _constant(rest[0], function), rest[2:]
    if len(rest) != 2 or not isinstance(column, str) or rest[1].opname != "COMPARE_OP":
        return None
    constant = _constant(rest[0], function)
    sign = rest[1].argrepr.removeprefix("bool(").removesuffix(")")
    if sign not in _OPERATORS or constant is _UNKNOWN:
        return None
    return Comparison(column, sign, constant)


def _is_subscript(step: dis.Instruction) -> bool:
    return step.opname == "BINARY_SUBSCR" or (step.opname == "BINARY_OP" and step.argrepr == "[]")


def _constant(step: dis.Instruction, function: FunctionType) -> Any:
    """The value that an instruction loads, of the function's own or from around it."""
    if step.opname in ("LOAD_CONST", "LOAD_SMALL_INT"):
        return step.argval
    if step.opname == "LOAD_GLOBAL":
        return function.__globals__.get(step.argval, _UNKNOWN)
    if step.opname == "LOAD_DEREF" and step.argval in function.__code__.co_freevars:
        cell = (function.__closure__ or ())[function.__code__.co_freevars.index(step.argval)]
        try:
            return cell.cell_contents
        except ValueError:  # nothing in it yet
            return _UNKNOWN
    return _UNKNOWN


def _comparable(kind: pa.DataType, constant: Any) -> bool:
    """Whether Arrow compares values of a type with a constant as Python does."""
    if type(constant) is bool:
        return bool(pa.types.is_boolean(kind))
    if type(constant) is int:  # Arrow has no type that holds all of int64 and uint64
        return bool(pa.types.is_integer(kind)) and kind != pa.uint64() and -(2**63) <= constant < 2**63
    if type(constant) is float:
        return bool(pa.types.is_float64(kind))
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return type(constant) is str and bool(is_text) and not any("\ud800" <= letter <= "\udfff" for letter in constant)
