"""Classes: names for people, numbers for models and files."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from madang.datasets.features.kinds import is_text
from madang.errors import InputError, WrongTypeError, unknown_name


@dataclass(init=False, repr=False)
class ClassLabel:
    """A class per row, stored as its number; -1 or an empty cell means "no label".

    Give the `names`, a `names_file` with one name a line, or only `num_classes` (the names are then "0", "1", …).

    >>> label = ClassLabel(names=["negative", "positive"])
    >>> label.int2str(1), label.str2int(["negative"])
    ('positive', [0])
    """

    names: list[str]
    id: str | None
    dtype: ClassVar[str] = "int64"
    pa_type: ClassVar[Any] = pa.int64()
    _type: ClassVar[str] = "ClassLabel"

    def __init__(
        self,
        num_classes: Any = None,
        names: list[str] | None = None,
        names_file: str | None = None,
        id: str | None = None,  # noqa: A002
    ) -> None:
        if isinstance(num_classes, (list, tuple)):  # ClassLabel(["a", "b"])
            num_classes, names = None, list(num_classes)
        if names_file is not None and names is not None:
            raise InputError("give a ClassLabel its names or a names_file, not both.")
        if names_file is not None:
            lines = Path(names_file).read_text(encoding="utf-8").splitlines()
            names = [line.strip() for line in lines if line.strip()]
        if names is None:
            if num_classes is None:
                raise InputError("a ClassLabel needs its names, a names_file, or at least num_classes.")
            names = [str(number) for number in range(num_classes)]
        if not isinstance(names, (list, tuple)):
            raise WrongTypeError(f"the names of classes come as a list, not as {type(names).__name__}.")
        self.names, self.id = [str(name) for name in names], id
        if num_classes is not None and num_classes != len(self.names):
            raise InputError(f"num_classes={num_classes}, but {len(self.names)} names were given.")
        self._numbers = {name: number for number, name in enumerate(self.names)}
        if len(self._numbers) < len(self.names):
            twice = sorted({name for name in self.names if self.names.count(name) > 1})
            raise InputError(f"class names must differ; more than once: {twice}.")

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.names)

    def __repr__(self) -> str:
        return f"ClassLabel(names={self.names})"

    def __call__(self) -> pa.DataType:
        """The Arrow type values are stored in."""
        return self.pa_type

    def arrow_type(self) -> pa.DataType:
        """The Arrow type values are stored in."""
        return self.pa_type

    def int2str(self, values: Any) -> Any:
        """The name of a class number, or the list of names of several."""
        if hasattr(values, "__index__") and not getattr(values, "ndim", 0):
            return self._names_of([int(values)])[0]
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise WrongTypeError(f"int2str takes a whole number or a list of those, not {values!r}.")
        return self._names_of(values)

    def _names_of(self, values: Iterable[Any]) -> list[str]:
        listed = values.tolist() if hasattr(values, "tolist") else list(values)
        names, top = self.names, len(self.names)
        try:
            found = [names[value] if 0 <= value < top else None for value in listed]
        except TypeError:
            wrong = next(value for value in listed if not hasattr(value, "__index__"))
            raise WrongTypeError(f"a class number is a whole number, not {wrong!r}.") from None
        if None in found:
            wrong = listed[found.index(None)]
            raise InputError(f"Invalid integer class label {wrong}: there are classes 0 to {top - 1}.")
        return found  # type: ignore[return-value]

    def str2int(self, values: Any) -> Any:
        """The number of a class name, or the list of numbers of several; digits stand for themselves."""
        if isinstance(values, str):
            return self._number(values)
        if not isinstance(values, Iterable):
            raise WrongTypeError(f"str2int takes a class name or a list of those, not {values!r}.")
        return [self._number(value) for value in values]

    def _number(self, name: Any) -> int:
        if not isinstance(name, str):
            raise WrongTypeError(f"a class name is a text, not {name!r}.")
        found = self._numbers.get(name, self._numbers.get(name.strip()))
        if found is not None:
            return found
        if name.strip().removeprefix("-").isdecimal() and -1 <= int(name) < len(self.names):
            return int(name)
        raise unknown_name("class (Invalid string class label)", name, self.names)

    def encode_example(self, value: Any) -> int:
        """The number to store for a class given by name or number; -1 stands for "no label"."""
        if isinstance(value, str):
            return self._number(value)
        if hasattr(value, "item"):
            value = value.item()
        if not isinstance(value, (int, float)) or value != (number := int(value)):
            raise WrongTypeError(f"a class is given by its name or number, not by {value!r}.")
        if not -1 <= number < len(self.names):
            raise InputError(f"Class label {number} is outside -1 (no label) to {len(self.names) - 1}.")
        return number

    def cast_storage(self, array: pa.Array) -> pa.Array:
        """Numbers or names as the int64 array that is stored; each distinct name is looked up once.

        Numbers below 0 mean "no label", in files of others not only -1.
        """
        if is_text(array.type):
            coded = array.dictionary_encode()
            numbers = [None if name is None else self._number(name) for name in coded.dictionary.to_pylist()]
            return pa.array(numbers, type=pa.int64()).take(coded.indices)
        array = array.cast(pa.int64())
        most = pc.max(array).as_py()
        if most is not None and most >= len(self.names):
            raise InputError(f"Class label {most} is outside 0 to {len(self.names) - 1}.")
        return array
