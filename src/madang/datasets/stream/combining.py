"""Several streams as one: what `concatenate_datasets` and `interleave_datasets` do with streams."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from madang.datasets.features import Features, aligned, arrow_type
from madang.datasets.formats import Format
from madang.datasets.stream.columns import Typed
from madang.datasets.stream.rows import Node, nodes
from madang.datasets.stream.seeds import agreed, drawn_seed
from madang.datasets.stream.stage import Stage
from madang.datasets.stream.together import After, Beside, InTurns
from madang.errors import InputError, unknown_name

if TYPE_CHECKING:
    from madang.datasets.stream import IterableDataset

STOPPING = ("first_exhausted", "all_exhausted", "all_exhausted_without_replacement")


def concatenate(
    datasets: "Sequence[IterableDataset]", axis: int = 0, info: Any = None, split: Any = None
) -> "IterableDataset":
    """The rows of all streams one after the other (`axis=0`), or their columns side by side (`axis=1`).

    Columns of the same name hold the same feature; one that a stream lacks is empty there.
    """
    known = _resolved(datasets)
    if axis == 1:
        names = [name for dataset in known for name in dataset.features or ()]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"The table can't have duplicated columns but columns {twice} are duplicated.")
        features = Features({name: f for dataset in known for name, f in (dataset.features or {}).items()})
        each = [dataset.features or Features() for dataset in known]
        columns = tuple(tuple(one) for one in each)
        kinds = tuple(tuple(arrow_type(feature) for feature in one.values()) for one in each)
        stages, node = _below_nodes(known)
        return _made(datasets, _above(Beside(tuple(stages), columns, kinds), node), features, info, split)
    if axis != 0:
        raise InputError(f"axis is 0 (rows) or 1 (columns), not {axis!r}.")
    features = aligned([dataset.features or Features() for dataset in known])
    stages, node = _below_nodes(known)
    typed = tuple(_typed(stage, features) for stage in stages)
    return _made(datasets, _above(After(typed), node), features, info, split)


def interleave(
    datasets: "Sequence[IterableDataset]",
    probabilities: Sequence[float] | None = None,
    seed: int | None = None,
    stopping_strategy: str = "first_exhausted",
    info: Any = None,
    split: Any = None,
) -> "IterableDataset":
    """Rows of the streams in turn, or drawn with `probabilities`, until one is through, or until all are."""
    if stopping_strategy not in STOPPING:
        raise unknown_name("stopping strategy", stopping_strategy, STOPPING)
    if probabilities is not None:
        if len(probabilities) != len(datasets):
            raise InputError(f"there are {len(probabilities)} probabilities for {len(datasets)} datasets.")
        if abs(sum(probabilities) - 1) > 1e-6 or min(probabilities) < 0:
            raise InputError(f"probabilities must be 0 or more and add up to 1, but they are {list(probabilities)}.")
        if min(probabilities) == 0 and stopping_strategy != "first_exhausted":
            raise InputError(
                f"a dataset of probability 0 is never through, so {stopping_strategy!r} would never stop. Leave it out."
            )
    known = _resolved(datasets)
    features = aligned([dataset.features or Features() for dataset in known])
    stages, node = _below_nodes(known)
    typed = tuple(_typed(stage, features) for stage in stages)
    drawn = seed is None and probabilities is not None
    stage = InTurns(
        typed,
        None if probabilities is None else tuple(probabilities),
        drawn_seed() if drawn else abs(int(seed or 0)),
        stopping_strategy,
        drawn,
    )
    return _made(datasets, _above(stage, node), features, info, split)


def _typed(stage: Stage, features: Features) -> Stage:
    return Typed(stage, features, guessed=isinstance(stage, Typed) and stage.guessed)


def _resolved(datasets: "Sequence[IterableDataset]") -> "list[IterableDataset]":
    if not datasets:
        raise InputError("there is nothing to put together: the list of datasets is empty.")
    return [dataset._resolve_features() for dataset in datasets]


def _below_nodes(datasets: "Sequence[IterableDataset]") -> tuple[list[Stage], Node | None]:
    """The stages before they were shared out among machines: what is put together is shared out as a whole."""
    shared = [nodes(dataset._stage) for dataset in datasets]
    if any(one != shared[0] for one in shared):
        raise InputError(
            "datasets that are put together must be identically split_by_node: split them all for the same rank and "
            "world_size, or put them together first and split the result."
        )
    tops = [_without_guess(dataset._stage) for dataset in datasets]
    if not all(isinstance(top, Node) for top in tops):
        return [dataset._stage for dataset in datasets], None
    below = []
    for dataset, top in zip(datasets, tops, strict=True):
        assert isinstance(top, Node)
        guessed = dataset._stage if dataset._stage is not top else None
        below.append(replace(guessed, upstream=top.upstream) if isinstance(guessed, Typed) else top.upstream)
    first = tops[0]
    return below, first if isinstance(first, Node) else None


def _without_guess(stage: Stage) -> Stage:
    return stage.upstream if isinstance(stage, Typed) and stage.guessed else stage


def _above(stage: Stage, node: Node | None) -> Stage:
    return stage if node is None else replace(node, upstream=agreed(stage))


def _made(
    datasets: "Sequence[IterableDataset]", stage: Stage, features: Features, info: Any, split: Any
) -> "IterableDataset":
    formats = [dataset._format for dataset in datasets]
    same = formats[0] if all(one == formats[0] for one in formats) else Format()
    first = datasets[0]
    told = info if info is not None else first._info and first._info.copy()
    return type(first)(stage, told, split if split is not None else first.split, features=features, format=same)
