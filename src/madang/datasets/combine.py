"""Several datasets as one."""

from collections.abc import Sequence

import pyarrow as pa

from madang.datasets.cast import cast
from madang.datasets.dataset import Dataset
from madang.datasets.features import Features, Value, arrow_type
from madang.datasets.frame import Frame, StoredColumn
from madang.errors import InputError


def concatenate_datasets(dsets: Sequence[Dataset], axis: int = 0) -> Dataset:
    """The rows of all datasets, one after the other (`axis=0`), or their columns side by side (`axis=1`).

    Columns of the same name hold the same feature; one that is missing somewhere is empty there.
    """
    if not dsets:
        raise InputError("there is nothing to concatenate: the list of datasets is empty.")
    if axis == 1:
        return _beside(dsets)
    if axis != 0:
        raise InputError(f"axis is 0 (rows) or 1 (columns), not {axis!r}.")
    features = _aligned(dsets)
    columns = {name: StoredColumn(_stacked(dsets, name, feature)) for name, feature in features.items()}
    return Dataset(Frame(columns, sum(map(len, dsets))), features, dsets[0].split, dsets[0]._format)


def _aligned(dsets: Sequence[Dataset]) -> Features:
    features = Features()
    for dataset in dsets:
        for name, feature in dataset.features.items():
            known = features.get(name)
            if known is None or known == Value("null"):
                features[name] = feature
            elif feature not in (known, Value("null")):
                raise InputError(
                    f"The features can't be aligned because the key {name} holds {known!r} in one dataset and "
                    f"{feature!r} in another. `cast_column({name!r}, …)` makes them agree."
                )
    return features


def _stacked(dsets: Sequence[Dataset], name: str, feature: object) -> pa.ChunkedArray:
    chunks = []
    for dataset in dsets:
        if name in dataset.column_names:
            chunks += cast(dataset._frame.column(name).whole(), feature, name).chunks
        else:
            chunks.append(pa.nulls(len(dataset), arrow_type(feature)))
    return pa.chunked_array(chunks, arrow_type(feature))


def _beside(dsets: Sequence[Dataset]) -> Dataset:
    columns: dict[str, StoredColumn] = {}
    features = Features()
    for dataset in dsets:
        twice = sorted(set(columns) & set(dataset.column_names))
        if twice:
            raise InputError(f"The table can't have duplicated columns but columns {twice} are duplicated.")
        columns.update(dataset._frame.columns)
        features.update(dataset.features)
    return Dataset(Frame(columns, len(dsets[0])), features, dsets[0].split, dsets[0]._format)
