"""A table of examples that is read as it comes."""

from madang.datasets.stream.output import Output


class IterableDataset(Output):
    """A table of examples that need not fit on this machine: rows are read, and changed, while one iterates.

    >>> data = IterableDataset.from_dict({"title": ["goal!", "rates rise"]}).map(lambda row: {"n": len(row["title"])})
    >>> next(iter(data))
    {'title': 'goal!', 'n': 5}

    The verbs are those of Dataset, but nothing happens before rows are read, and reading begins at once. It can stop
    anywhere and go on there (`state_dict`, `load_state_dict`). A torch DataLoader takes it; its workers share out the
    shards.
    """
