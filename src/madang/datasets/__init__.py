"""Tables of examples on Arrow: made from anything, changed by a few verbs, read quickly. No torch needed."""

from madang.datasets.column import Column
from madang.datasets.combine import concatenate_datasets
from madang.datasets.dataset import Dataset
from madang.datasets.dictionary import DatasetDict
from madang.datasets.features import ClassLabel, Features, LargeList, List, Sequence, Value
from madang.datasets.load import load_dataset

__all__ = [
    "ClassLabel",
    "Column",
    "Dataset",
    "DatasetDict",
    "Features",
    "LargeList",
    "List",
    "Sequence",
    "Value",
    "concatenate_datasets",
    "load_dataset",
]
