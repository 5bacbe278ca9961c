"""Several datasets as one: one after the other, side by side, or taking turns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from madang.datasets.cast import cast
from madang.datasets.dataset import Dataset
from madang.datasets.features import Features, aligned, arrow_type
from madang.datasets.frame import Frame, StoredColumn, joined
from madang.datasets.recipe import Recipe
from madang.errors import InputError, WrongTypeError

STRATEGIES = ("first_exhausted", "all_exhausted", "all_exhausted_without_replacement")


def concatenate_datasets(dsets: Sequence[Any], info: Any = None, split: Any = None, axis: int = 0) -> Any:
    """The rows of all datasets, one after the other (`axis=0`), or their columns side by side (`axis=1`).

    Columns of the same name hold the same feature; one that is missing somewhere is empty there. Streams
    (IterableDataset) are joined as streams.
    """
    if _are_streams(dsets, "concatenate"):
        from madang.datasets import stream

        return stream.concatenate(dsets, axis, info, split)
    if axis not in (0, 1):
        raise InputError(f"axis is 0 (rows) or 1 (columns), not {axis!r}.")
    made = _beside(dsets) if axis == 1 else _below([dataset for dataset in dsets if len(dataset)] or dsets[:1])
    made.split, made._info = split or dsets[0].split, info or _merged(dsets)
    return made


def interleave_datasets(
    datasets: Sequence[Any],
    probabilities: Sequence[float] | None = None,
    seed: int | None = None,
    info: Any = None,
    split: Any = None,
    stopping_strategy: str = "first_exhausted",
) -> Any:
    """Rows of all datasets in turns, or each from a dataset drawn with `probabilities` (the same for the same seed).

    It ends with the first dataset that has no more rows (`first_exhausted`), or when all had their last row once:
    earlier ones start anew (`all_exhausted`) or are left out (`all_exhausted_without_replacement`).
    """
    if stopping_strategy not in STRATEGIES:
        raise InputError(f"stopping_strategy is one of {', '.join(STRATEGIES)}, not {stopping_strategy!r}.")
    if _are_streams(datasets, "interleave"):
        from madang.datasets import stream

        return stream.interleave(datasets, probabilities, seed, stopping_strategy, info, split)
    lengths = [len(dataset) for dataset in datasets]
    offsets = np.cumsum([0, *lengths[:-1]])
    if probabilities is None:
        places = _in_turns(lengths, stopping_strategy)
    else:
        _check_probabilities(probabilities, lengths, stopping_strategy)
        places = _drawn(lengths, probabilities, seed, stopping_strategy)
    rows = np.array([offsets[source] + place for source, place in places], dtype=np.int64)
    made = _below(datasets).select(rows)
    made.split, made._info = split or datasets[0].split, info or made._info
    return made


def _in_turns(lengths: list[int], strategy: str) -> list[tuple[int, int]]:
    """(dataset, row) one after the other."""
    if strategy == "first_exhausted":
        return [(source, turn) for turn in range(min(lengths)) for source in range(len(lengths))]
    if strategy == "all_exhausted":
        if not min(lengths):
            raise InputError("all_exhausted starts a dataset anew when it ends, which an empty one cannot.")
        turns = [(source, turn) for turn in range(max(lengths)) for source in range(len(lengths))]
        return [(source, turn % lengths[source]) for source, turn in turns]
    return [(s, turn) for turn in range(max(lengths)) for s, length in enumerate(lengths) if turn < length]


def _drawn(
    lengths: list[int], probabilities: Sequence[float], seed: int | None, strategy: str
) -> list[tuple[int, int]]:
    """(dataset, row) with the dataset drawn each time, a thousand draws at once as the datasets package does."""
    random = np.random.default_rng(seed)
    places: list[tuple[int, int]] = []
    reached = [0] * len(lengths)
    # what is never drawn is not waited for
    ended = [not length and part > 0 for length, part in zip(lengths, probabilities, strict=True)]
    without_replacement = strategy == "all_exhausted_without_replacement"
    enough = any if strategy == "first_exhausted" else all
    while True:
        for source in random.choice(len(lengths), size=1000, p=probabilities):
            if enough(ended):
                return places
            if without_replacement and ended[source]:
                continue
            places.append((int(source), reached[source]))
            reached[source] += 1
            if reached[source] >= lengths[source]:
                ended[source] = True
                reached[source] = reached[source] if without_replacement else 0


def _check_probabilities(probabilities: Sequence[float], lengths: Sequence[int], strategy: str) -> None:
    if len(probabilities) != len(lengths):
        raise InputError(f"there are {len(probabilities)} probabilities for {len(lengths)} datasets.")
    if strategy == "all_exhausted_without_replacement":
        return
    for place, (part, length) in enumerate(zip(probabilities, lengths, strict=True)):
        if part > 0 and not length:
            raise InputError(f"dataset {place} is drawn with probability {part}, but has no rows to draw.")
        if part == 0 and strategy == "all_exhausted":
            raise InputError(f"dataset {place} has the probability 0, so all_exhausted would wait for it for ever.")


def _are_streams(datasets: Sequence[Any], verb: str) -> bool:
    """Whether all are streams; all must be of one kind."""
    from madang.datasets.dictionary import DatasetDict
    from madang.datasets.stream import IterableDataset, IterableDatasetDict

    if not datasets:
        raise InputError(f"Unable to {verb} an empty list of datasets.")
    for place, dataset in enumerate(datasets):
        if isinstance(dataset, (DatasetDict, IterableDatasetDict)):
            raise InputError(
                f"Expected a list of Dataset objects or a list of IterableDataset objects, but element at position "
                f"{place} is a {type(dataset).__name__}. Choose one of its splits: {list(dataset)}."
            )
        if not isinstance(dataset, (Dataset, IterableDataset)):
            raise WrongTypeError(
                f"Expected a list of Dataset objects or a list of IterableDataset objects, but element at position "
                f"{place} is a {type(dataset).__name__}."
            )
    kinds = {isinstance(dataset, IterableDataset) for dataset in datasets}
    if len(kinds) > 1:
        raise InputError(f"Unable to {verb} a Dataset with an IterableDataset: make all of one kind.")
    return kinds.pop()


def _below(dsets: Sequence[Dataset]) -> Dataset:
    features = aligned([dataset.features for dataset in dsets])
    columns = {name: joined([_as(dataset, name, feature) for dataset in dsets]) for name, feature in features.items()}
    recipe = Recipe(dsets[0]._recipe, "concatenate", others=[dataset._fingerprint for dataset in dsets[1:]])
    frame = Frame(columns, sum(map(len, dsets)))
    look = dsets[0]._format if all(dataset._format == dsets[0]._format for dataset in dsets) else None
    return Dataset(frame, dsets[0]._info, dsets[0].split, fingerprint=recipe, features=features, format=look)


def _as(dataset: Dataset, name: str, feature: Any) -> StoredColumn:
    """A column stored as `feature`; an empty one where the dataset has none."""
    if name not in dataset.column_names:
        return StoredColumn(pa.chunked_array([pa.nulls(len(dataset), arrow_type(feature))]))
    stored = dataset._frame.column(name)
    if stored.values.type.equals(arrow_type(feature)):
        return stored
    return StoredColumn(cast(stored.values, feature, name), stored.rows)


def _merged(dsets: Sequence[Dataset]) -> Any:
    """What is known of all parts, where anything is."""
    if all(dataset._info is None for dataset in dsets):
        return None
    from madang.datasets.info import DatasetInfo

    return DatasetInfo.from_merge([dataset._info for dataset in dsets])


def _beside(dsets: Sequence[Dataset]) -> Dataset:
    columns: dict[str, StoredColumn] = {}
    features = Features()
    for dataset in dsets:
        twice = sorted(set(columns) & set(dataset.column_names))
        if twice:
            raise InputError(f"The table can't have duplicated columns but columns {twice} are duplicated.")
        if len(dataset) != len(dsets[0]):
            raise InputError(f"Number of rows must match in all datasets, but they have {[len(d) for d in dsets]}.")
        columns.update(dataset._frame.columns)
        features.update(dataset.features)
    recipe = Recipe(dsets[0]._recipe, "beside", others=[dataset._fingerprint for dataset in dsets[1:]])
    frame = Frame(columns, len(dsets[0]))
    return Dataset(
        frame, dsets[0]._info, dsets[0].split, fingerprint=recipe, features=features, format=dsets[0]._format
    )
