"""Blocks of a stream as users and their functions see them."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from madang.datasets import lazy
from madang.datasets.features import Features, arrow_type, from_arrow_type
from madang.datasets.formats import Format, View
from madang.datasets.stream.block import Block
from madang.datasets.values import feature_of, to_arrow
from madang.errors import InputError, MadangError


class Look:
    """A format at work on blocks whose columns hold what is `known` of them."""

    def __init__(self, format: Format, known: Mapping[str, Any]) -> None:  # noqa: A002
        self.format, self.known = format, known
        self._known = {name: (feature, arrow_type(feature)) for name, feature in known.items()}
        self._views: dict[Any, View] = {}

    @property
    def is_table(self) -> bool:
        """Whether rows come out as tables."""
        return self.format.kind in ("pandas", "polars", "arrow")

    def view(self, arrays: Mapping[str, pa.Array]) -> View:
        """The view of these columns; what is known of one counts only if it is stored that way."""
        key = tuple((name, array.type) for name, array in arrays.items())
        if key not in self._views:
            features = {}
            for name, array in arrays.items():
                feature, kind = self._known.get(name, (None, None))
                if feature is not None and kind == array.type:
                    features[name] = feature
                elif isinstance(array.type, pa.BaseExtensionType):
                    features[name] = from_arrow_type(array.type)
            if len(self._views) > 100:
                self._views.clear()
            self._views[key] = View(self.format, features)
        return self._views[key]

    def rows(self, block: Block) -> list[Any]:
        """Each row on its own."""
        if block.objects is None:
            return self.view(block.arrays).rows(block.arrays, block.count)
        if self.format.kind is not None:
            return [row for piece in block.alike() for row in self._rows_alike(piece)]
        if not block.arrays:
            return block.objects
        under = self.view(block.arrays).rows(block.arrays, block.count)
        return [{**row, **over} for row, over in zip(under, block.objects, strict=True)]

    def _rows_alike(self, block: Block) -> list[Any]:
        if self.is_table or self.format.kind == "custom":
            arrays = stored(block, self)
            return self.view(arrays).rows(arrays, block.count)
        columns = self.columns(block)
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def batch(self, block: Block) -> Any:
        """All rows together: a dict of columns, or a table."""
        if block.objects is None:
            return self.view(block.arrays).batch(block.arrays)
        if self.is_table or self.format.kind == "custom":
            arrays = stored(block, self)
            return self.view(arrays).batch(arrays)
        return self.columns(block)

    def columns(self, block: Block) -> dict[str, Any]:
        """The values of each column, in this format."""
        return {name: self.column(block, name) for name in block.names if self.format.shows(name)}

    def column(self, block: Block, name: str) -> Any:
        """The values of a column, in this format: what functions returned as it is, if it is such already."""
        if block.objects is None or not any(name in row for row in block.objects):
            return self.view(block.arrays).column(block.arrays[name], name)
        values = values_of(block, name, self)
        if self.format.kind is None:
            return values
        try:
            array = to_arrow(values, name)
            return View(self.format, {}).column(array, name)
        except (MadangError, pa.ArrowException, TypeError, ValueError):
            return values  # things this format has no form for

    def given(self, block: Block) -> lazy.Block:
        """The block as functions get it: columns are converted when they are touched."""
        if block.objects is None:
            return lazy.Block(block.arrays, block.count, self.view(block.arrays))
        if self.is_table or self.format.kind == "custom":
            arrays = stored(block, self)
            return lazy.Block(arrays, block.count, self.view(arrays))
        return _Given(block, self)


class _Given(lazy.Block):
    """A block some of whose columns are objects: these stand as None among its arrays."""

    def __init__(self, block: Block, look: Look) -> None:
        super().__init__(block.arrays, block.count, look.view(block.arrays))
        self._block, self._look = block, look
        objects = [name for name in block.written if look.format.shows(name)]
        self.arrays = {**self.arrays, **dict.fromkeys(objects)}

    def column(self, name: str) -> Any:
        """The values of a column."""
        if name not in self.touched and name in self.arrays and self.arrays[name] is None:
            self.touched[name] = self._look.column(self._block, name)
        return super().column(name)


def values_of(block: Block, name: str, look: Look) -> list[Any]:
    """The values of a column as Python objects, those that functions returned as they are."""
    assert block.objects is not None
    if all(name in row for row in block.objects):
        return [row[name] for row in block.objects]
    if name not in block.arrays:
        return [row.get(name) for row in block.objects]
    under = look.view(block.arrays).python(block.arrays[name], name)
    return [row.get(name, value) for row, value in zip(block.objects, under, strict=True)]


def stored(block: Block, look: Look, features: Mapping[str, Any] | None = None) -> dict[str, pa.Array]:
    """All columns as Arrow arrays; objects as `features` says, else as their values tell."""
    arrays = dict(block.arrays)
    for name in block.written:
        values = values_of(block, name, look)
        feature = (features or {}).get(name)
        try:
            arrays[name] = to_arrow(values, name, feature_of(values) if feature is None else feature)
        except (pa.ArrowException, TypeError) as error:
            raise InputError(
                f"column {name!r} holds values that Arrow cannot store ({type(values[0]).__name__}): {error}. Return "
                "numbers, texts, lists, arrays or images from `map`, or give its features=."
            ) from error
    return arrays


def features_of(block: Block, known: Mapping[str, Any]) -> Features:
    """What the columns of a block hold, by what is known of them and by their values."""
    look = Look(Format(), known)
    view = look.view(block.arrays)
    features = Features()
    arrays = stored(block, look)
    written = set(block.written)
    for name, array in arrays.items():
        if name in written:
            feature = feature_of(values_of(block, name, look))
        else:
            feature = view.features.get(name, known.get(name) if name in view.features else None)
        features[name] = from_arrow_type(array.type) if feature is None else feature
    return features
