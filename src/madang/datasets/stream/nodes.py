"""One dataset for several machines that train together: each gets its own rows."""

from dataclasses import replace
from typing import Any

from madang.datasets.stream.reading import Reading
from madang.datasets.stream.rows import Node
from madang.datasets.stream.seeds import agreed
from madang.datasets.stream.verbs import check_nodes
from madang.errors import InputError

STRATEGIES = ("auto", "shards", "examples")


def split_dataset_by_node(dataset: Any, rank: int, world_size: int, strategy: str = "auto") -> Any:
    """What machine `rank` of `world_size` reads of a dataset: a Dataset's neighbouring rows, a share of a stream's.

    A stream is shared out by shards if their number can be divided by `world_size`; else every machine reads all of
    it and keeps every `world_size`-th row. `strategy` "shards" or "examples" does the one or the other in any case.
    Workers of a DataLoader split the machine's share further. All machines must shuffle alike: a shuffle without a seed
    takes 0 here.
    """
    if strategy not in STRATEGIES:
        raise InputError(f"Invalid strategy {strategy!r}: it must be one of {list(STRATEGIES)}.")
    if not 0 <= rank < world_size:
        raise InputError(f"rank must be from 0 to world_size-1, but it is {rank} and world_size is {world_size}.")
    if not isinstance(dataset, Reading):
        if strategy != "auto":
            raise InputError(
                f"Map-style datasets only support strategy='auto', not {strategy!r}: any of their rows can be read."
            )
        return dataset.shard(num_shards=world_size, index=rank, contiguous=True)
    stage = dataset._stage
    if isinstance(stage, Node):  # shared out twice: among machines, then within each
        if strategy not in ("auto", stage.strategy):
            raise InputError(f"Cannot change the strategy from {stage.strategy!r} to {strategy!r}.")
        node = replace(stage, rank=world_size * stage.rank + rank, world_size=world_size * stage.world_size)
    else:
        node = Node(agreed(stage), rank, world_size, strategy)
    check_nodes(node)
    return dataset._with(node, dataset._features)
