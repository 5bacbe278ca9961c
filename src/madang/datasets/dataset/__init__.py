"""A table of examples. The class has a file for each thing that can be done with it, each building on the one before:

reading → making
        → columns → rows → changing (map, filter) → output
"""

from madang.datasets.dataset.making import Making
from madang.datasets.dataset.output import Output


class Dataset(Making, Output):
    """A table of examples: every row is a dict, every column has a type, and every step returns a new dataset.

    >>> data = Dataset.from_dict({"title": ["goal!", "rates rise"], "label": [1, 0]})
    >>> data[0]
    {'title': 'goal!', 'label': 1}
    >>> data.map(lambda row: {"length": len(row["title"])})["length"]
    Column([5, 10])

    Values stay in Arrow; they become Python objects when rows are read, and only those that are read.
    """


__all__ = ["Dataset"]
