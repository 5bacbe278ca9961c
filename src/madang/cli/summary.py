"""What the columns of a table hold, counted while its rows go by: `madang dataset stats`."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from madang.cli.tables import bars, cut, padded, printable, width_of
from madang.datasets.features.kinds import is_list, is_number, is_text

MOST_DISTINCT = 10_000  # distinct values that are told apart; beyond, there are "more than"
BINS = 64
SHOWN_BINS = 16


class Histogram:
    """Counts of numbers in bins that widen as larger and smaller numbers come: one pass, however many there are."""

    def __init__(self, *, whole: bool = False) -> None:
        self.start = self.width = 0.0
        self.whole = whole
        self.counts = np.zeros(BINS, np.int64)

    def add(self, numbers: np.ndarray[Any, Any]) -> None:
        """Count finite numbers."""
        if not len(numbers):
            return
        low, high = float(numbers.min()), float(numbers.max())
        if not self.width:
            self.start, self.width = low, (high - low) / BINS * 1.001 or max(abs(low) * 1e-9, 1e-9)
            if self.whole:  # a bin holds the same number of whole numbers as the next
                self.width = float((high - low) // BINS + 1)
        while low < self.start or high >= self.start + self.width * BINS:
            self._widen(down=low < self.start)
        places = ((numbers - self.start) / self.width).astype(np.int64).clip(0, BINS - 1)
        self.counts += np.bincount(places, minlength=BINS)

    def _widen(self, *, down: bool) -> None:
        """Twice the width; the bins there were become the upper or the lower half."""
        pairs = self.counts.reshape(-1, 2).sum(axis=1)
        empty = np.zeros(BINS // 2, np.int64)
        self.counts = np.concatenate([empty, pairs] if down else [pairs, empty])
        self.start -= self.width * BINS if down else 0
        self.width *= 2

    def bars(self) -> str:
        """A small picture, without the empty bins at both ends."""
        filled = np.flatnonzero(self.counts)
        if not len(filled):
            return ""
        counts = self.counts[filled[0] : filled[-1] + 1]
        counts = np.add.reduceat(counts, np.arange(0, len(counts), -(-len(counts) // SHOWN_BINS)))
        return bars(counts.tolist())


class Numbers:
    """Least, greatest and mean of numbers, and how they are spread."""

    def __init__(self, *, whole: bool) -> None:
        self.count, self.total, self.least, self.greatest = 0, 0.0, float("inf"), float("-inf")
        self.histogram = Histogram(whole=whole)

    def add(self, values: pa.ChunkedArray) -> None:
        """Count the values; empty cells, NaN and infinities are left out."""
        numbers = values.drop_null().cast(pa.float64(), safe=False).to_numpy()
        numbers = numbers[np.isfinite(numbers)]
        if len(numbers):
            self.count += len(numbers)
            self.total += float(numbers.sum())
            self.least = min(self.least, float(numbers.min()))
            self.greatest = max(self.greatest, float(numbers.max()))
            self.histogram.add(numbers)

    def told(self) -> dict[str, Any]:
        """The figures by name."""
        if not self.count:
            return {}
        return {"min": _plain(self.least), "max": _plain(self.greatest), "mean": self.total / self.count}

    def line(self, label: str = "") -> list[str]:
        """One line for people."""
        if not self.count:
            return []
        told = f"{_short(self.least)} … {_short(self.greatest)}, mean {_short(self.total / self.count)}"
        return [f"{label}{told}   {self.histogram.bars()}"]


class ColumnSummary:
    """One column: its type, empty cells, and what fits its type."""

    def __init__(self, name: str, feature: Any, kind: pa.DataType) -> None:
        self.name, self.feature = name, feature
        self.kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
        self.rows = self.nulls = 0
        whole = not pa.types.is_floating(self.kind) and not pa.types.is_decimal(self.kind)
        self.numbers = Numbers(whole=whole)  # of the values, or of the lengths of texts and lists
        self.values: Counter[Any] | None = Counter() if self._is_counted() else None
        self.earliest: Any = None
        self.latest: Any = None

    def _is_counted(self) -> bool:
        types = pa.types
        return types.is_boolean(self.kind) or is_text(self.kind) or types.is_integer(self.kind)

    def add(self, column: pa.ChunkedArray) -> None:
        """Count some rows."""
        if isinstance(column.type, pa.BaseExtensionType):
            column = pa.chunked_array([chunk.storage for chunk in column.chunks], self.kind)
        if is_text(self.kind):
            column = column.cast(pa.large_string())  # Arrow counts no letters of views
        self.rows += len(column)
        self.nulls += column.null_count
        if self.values is not None:
            for found in pc.value_counts(column.drop_null()).to_pylist():
                self.values[found["values"]] += found["counts"]
            if len(self.values) > MOST_DISTINCT:
                self.values = None
        if is_text(self.kind):
            self.numbers.add(pc.utf8_length(column))
        elif is_list(self.kind):
            self.numbers.add(pc.list_value_length(column))
        elif is_number(self.kind) or pa.types.is_decimal(self.kind):
            if not self._classes():
                self.numbers.add(column)
        elif pa.types.is_temporal(self.kind) and len(column.drop_null()):
            ends = pc.min_max(column)
            lowest, highest = ends["min"].as_py(), ends["max"].as_py()
            self.earliest = lowest if self.earliest is None else min(self.earliest, lowest)
            self.latest = highest if self.latest is None else max(self.latest, highest)

    def _classes(self) -> list[str] | None:
        return list(self.feature.names) if hasattr(self.feature, "int2str") else None

    def told(self) -> dict[str, Any]:
        """Everything by name, for `--json`."""
        found: dict[str, Any] = {"column": self.name, "type": repr(self.feature), "rows": self.rows}
        found["empty"] = self.nulls
        measured = self.numbers.told()
        found |= {f"length_{name}": value for name, value in measured.items()} if self._has_lengths() else measured
        if self.earliest is not None:
            found |= {"min": str(self.earliest), "max": str(self.latest)}
        if self.values is not None:
            found["distinct"] = len(self.values)
        if (counts := self._counts()) is not None:
            found["counts"] = dict(counts)
        return found

    def _has_lengths(self) -> bool:
        return is_text(self.kind) or is_list(self.kind)

    def _counts(self) -> list[tuple[str, int]] | None:
        """How often each value occurs, where there are few."""
        if self.values is None:
            return None
        classes = self._classes()
        if classes is not None:
            named = [(name, self.values.get(number, 0)) for number, name in enumerate(classes)]
            strange = sum(self.values.values()) - sum(count for _, count in named)
            return [*named, ("(no class)", strange)] if strange else named
        if pa.types.is_boolean(self.kind):
            return [(str(value).lower(), self.values.get(value, 0)) for value in (False, True)]
        few = len(self.values) <= 20 and len(self.values) * 5 <= self.rows
        return [(str(value), count) for value, count in self.values.most_common()] if few else None

    def lines(self, width: int) -> list[str]:
        """Some lines for people."""
        empty = f", {self.nulls:,} empty ({self.nulls / self.rows:.1%})" if self.nulls else ""
        kind = f"ClassLabel of {len(classes)}" if (classes := self._classes()) is not None else repr(self.feature)
        lines = [cut(f"{printable(self.name)}   {printable(kind)}{empty}", width)]
        inner = self.numbers.line("length " if self._has_lengths() else "")
        if self.earliest is not None:
            inner.append(f"{self.earliest} … {self.latest}")
        counts = self._counts()
        if counts is not None:
            inner += self._count_lines(counts, width - 2)
        elif self.values is not None:
            inner.append(f"{len(self.values):,} distinct values")
        elif self._is_counted():
            inner.append(f"more than {MOST_DISTINCT:,} distinct values")
        return [*lines, *(f"  {line}" for line in inner)]

    def _count_lines(self, counts: list[tuple[str, int]], width: int) -> list[str]:
        most = max((count for _, count in counts), default=0)
        names = [cut(printable(name), 30) for name, _ in counts]
        name_width, count_width = max(map(width_of, names), default=0), len(f"{most:,}")
        room = max(4, min(40, width - name_width - count_width - 12))
        lines = []
        for name, (_, count) in zip(names, counts, strict=True):
            share = count / self.rows if self.rows else 0
            bar = "█" * round(room * count / most) if most else ""
            lines.append(f"{padded(name, name_width)}  {count:>{count_width},}  {share:6.1%}  {bar}".rstrip())
        return lines


def summarise(dataset: Any, batch_size: int = 10_000) -> list[ColumnSummary]:
    """All columns of a table or stream, its rows read once and a batch at a time."""
    from madang.datasets.output import features_of, tables_of

    features = features_of(dataset)
    schema = features.arrow_schema
    columns = [ColumnSummary(field.name, features[field.name], field.type) for field in schema]
    for table in tables_of(dataset, batch_size):
        for column in columns:
            column.add(table[column.name])
    return columns


def _plain(number: float) -> float | int:
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _short(number: float) -> str:
    plain = _plain(number)
    return f"{plain:,}" if isinstance(plain, int) else f"{plain:,.4g}" if abs(plain) < 1e4 else f"{plain:,.1f}"
