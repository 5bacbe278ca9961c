"""Seeds of shuffles for which the user gave none: drawn once, and told by a saved state."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from madang.datasets.stream.shuffle import Shuffle
from madang.datasets.stream.stage import Stage
from madang.datasets.stream.together import InTurns


def drawn_seed() -> int:
    """A seed from numpy's global state, which advances: what `np.random.seed` fixes stays fixed."""
    return int(np.random.randint(0, 2**31 - 1))


def seeds_of(stage: Stage) -> list[int]:
    """The seeds that were drawn, from the last stage back to the first."""
    own = [stage.seed] if isinstance(stage, (Shuffle, InTurns)) and stage.drawn else []
    return own + [seed for part in stage.parts for seed in seeds_of(part)]


def agreed(stage: Stage) -> Stage:
    """The same for several machines: a seed that each drew for itself would share out some rows twice, others never."""
    count = len(seeds_of(stage))
    return _settled(stage, [0] * count, drawn=False) if count else stage


def with_seeds(stage: Stage, seeds: Sequence[int]) -> Stage:
    """The same stages with these instead of those that were drawn."""
    return _settled(stage, list(seeds))


def _settled(stage: Stage, left: list[int], *, drawn: bool = True) -> Stage:
    if not left:
        return stage
    if isinstance(stage, (Shuffle, InTurns)) and stage.drawn:
        stage = replace(stage, seed=left.pop(0), drawn=drawn)
    return stage.with_parts([_settled(part, left, drawn=drawn) for part in stage.parts]) if stage.parts else stage
