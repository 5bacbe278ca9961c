"""Reading a function's bytecode: what it does, wherever it is written, and which names from around it it uses."""

import dis
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Literal
from weakref import WeakKeyDictionary

_GLOBAL = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
_AROUND = {"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"}
_ATTRIBUTE = {"LOAD_ATTR", "LOAD_METHOD"}
_CHANGED = {"STORE_ATTR", "DELETE_ATTR"}
# say where a module is, which makes no difference to what its functions do
PLACE = {"__builtins__", "__cached__", "__doc__", "__file__", "__loader__", "__name__", "__package__", "__path__"}


@dataclass(frozen=True, order=True)
class Use:
    """A name that code takes from outside, and the attributes it asks of it: `helpers.clean` is helpers, (clean,).

    `kind` is `global`, `around` (a variable of an enclosing function) or `import`; for the last, `name` is the module,
    `level` the number of dots before it, and `whole` says that the name means the module itself, not its top package.
    """

    kind: Literal["global", "around", "import"]
    name: str
    attributes: tuple[str, ...] = ()
    level: int = 0
    whole: bool = True


@dataclass(frozen=True)
class Reading:
    """One code object: its instructions without positions, the constants they load in that order, its uses."""

    instructions: bytes
    constants: tuple[object, ...]
    uses: frozenset[Use]


_READ: "WeakKeyDictionary[CodeType, Reading]" = WeakKeyDictionary()


def read(code: CodeType) -> Reading:
    """What `code` does and uses, nested functions not included (they are among its constants)."""
    reading = _READ.get(code)
    if reading is None:
        reading = _READ[code] = _read(code)
    return reading


def uses(code: CodeType) -> set[Use]:
    """What `code` and the functions inside it use from outside `code`."""
    found = {use for use in read(code).uses if use.kind != "around" or use.name in code.co_freevars}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= {use for use in uses(constant) if use.kind != "around" or use.name in code.co_freevars}
    return found


def _read(code: CodeType) -> Reading:
    instructions = list(dis.get_instructions(code))
    constant_codes, content, constants = set(dis.hasconst), bytearray(), []
    for one in instructions:
        argument = one.arg or 0
        if one.opcode in constant_codes:
            # by value: a docstring comes first among the constants and moves the numbers of all others
            constants.append(code.co_consts[argument])
            argument = 0
        content += b"%d,%d;" % (one.opcode, argument)
    return Reading(bytes(content), tuple(constants), frozenset(_uses(code, instructions)))


def _uses(code: CodeType, instructions: list[dis.Instruction]) -> Iterator[Use]:
    imported: dict[str, Use] = {}
    for place, one in enumerate(instructions):
        kind: Literal["global", "around"] | None = None
        if one.opname in _GLOBAL and one.argval not in PLACE:
            kind = "global"
        elif one.opname in _AROUND:
            kind = "around"
        if kind is not None:
            attributes = _attributes(instructions, place)
            if attributes is not None:
                yield Use(kind, one.argval, attributes)
        if one.opname == "IMPORT_NAME":
            for name, use in _imported(code, instructions, place):
                if name is None or name in code.co_cellvars or name in imported:
                    yield use
                else:
                    imported[name] = use
    yield from _local(imported, instructions)


def _attributes(instructions: list[dis.Instruction], place: int) -> tuple[str, ...] | None:
    """The attributes asked one after the other of what is loaded at `place`; None when one is only set."""
    names: list[str] = []
    for one in instructions[place + 1 :]:
        if one.opname in _ATTRIBUTE:
            names.append(one.argval)
        elif one.opname in _CHANGED and not names:
            return None
        elif one.opname not in ("PUSH_NULL", "CACHE"):
            break
    return tuple(names)


def _imported(code: CodeType, instructions: list[dis.Instruction], place: int) -> Iterator[tuple[str | None, Use]]:
    """What an import inside a function brings: the local name (None when it is not clear), and what it stands for."""
    module = instructions[place].argval
    listed = _constant(code, instructions[place - 1])
    level = _constant(code, instructions[place - 2])
    level = level if isinstance(level, int) else 0
    whole = bool(listed)
    after = instructions[place + 1 :]
    stored = after[0] if after else None
    if stored is not None and stored.opname.startswith("STORE_") and isinstance(stored.argval, str):
        name = stored.argval if stored.opname in ("STORE_FAST", "STORE_NAME") else None
        yield name, Use("import", module, (), level, whole)
        return
    count = len(listed) if isinstance(listed, tuple) else 0
    for number, one in enumerate(after):
        if one.opname == "IMPORT_FROM":
            following = after[number + 1] if number + 1 < len(after) else None
            name = None
            if following is not None and following.opname in ("STORE_FAST", "STORE_NAME"):
                name = following.argval
            yield name, Use("import", module, (one.argval,), level, whole)
            count -= 1
        elif one.opname == "IMPORT_NAME":
            break
        if count == 0 and whole:
            return
    if not whole and not any(one.opname == "IMPORT_FROM" for one in after[:4]):
        yield None, Use("import", module, (), level, whole)


def _constant(code: CodeType, one: dis.Instruction) -> object:
    if one.opcode in dis.hasconst:
        return code.co_consts[one.arg or 0]
    return one.argval  # small numbers have an instruction of their own since Python 3.14


def _local(imported: dict[str, Use], instructions: list[dis.Instruction]) -> Iterator[Use]:
    """What is used of modules that were imported into local names."""
    for name, use in imported.items():
        for place, one in enumerate(instructions):
            if not one.opname.startswith(("LOAD_FAST", "LOAD_NAME")) and "_LOAD_FAST" not in one.opname:
                continue
            if one.argval == name:
                attributes = _attributes(instructions, place)
                if attributes is not None:
                    yield Use("import", use.name, use.attributes + attributes, use.level, use.whole)
            elif isinstance(one.argval, tuple) and name in one.argval:
                yield use


def shape(code: CodeType) -> bytes:
    """What calling `code` looks like, and its variables."""
    told = (
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
    )
    return repr(told).encode("utf-8", "backslashreplace") + code.co_exceptiontable
