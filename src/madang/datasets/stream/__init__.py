"""Tables that are read as they come. A stream is a chain of stages (stage.py) over blocks of rows (block.py).

Stages: source · columns · each (map, filter by row) · batches (by batch) · grouping (batch) · rows (take, skip, repeat,
node) · shuffle · together (concatenate, interleave). `look` shows blocks to users and to their functions.

IterableDataset has a file for each thing that can be done with it, each building on the one before:
reading → making → verbs → output → dataset.
"""

from madang.datasets.stream.combining import concatenate, interleave
from madang.datasets.stream.dataset import IterableDataset
from madang.datasets.stream.dictionary import IterableDatasetDict
from madang.datasets.stream.nodes import split_dataset_by_node
from madang.datasets.stream.reading import IterableColumn

__all__ = [
    "IterableColumn",
    "IterableDataset",
    "IterableDatasetDict",
    "concatenate",
    "interleave",
    "split_dataset_by_node",
]
