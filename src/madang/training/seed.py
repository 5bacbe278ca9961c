"""Making chance repeatable."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def set_seed(seed: int, deterministic: bool = False) -> None:
    """Seed Python, numpy and torch (every device), so that the same program draws the same numbers again."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    if deterministic:
        torch.use_deterministic_algorithms(True)


def enable_full_determinism(seed: int, warn_only: bool = False) -> None:
    """Seed everything and allow only kernels that give the same bits every time."""
    import os

    # cuBLAS sums in a fixed order only with a workspace of its own
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    set_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def epoch_seed(seed: int, epoch: int, batch: int | None = None) -> int:
    """A seed for one epoch's order of rows, or for one of its batches, a function of nothing else.

    Epoch 7 can be repeated without 0 to 6, and its batch 100 without the 99 before it.
    """
    # from 1: a last number 0 would be as good as none
    place = [seed % 2**63, epoch] if batch is None else [seed % 2**63, epoch, batch + 1]
    return int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0] >> np.uint64(1))


def chance() -> dict[str, Any]:
    """The state of every generator of random numbers, as plain values that `restore_chance` takes."""
    version, words, gauss = random.getstate()
    name, key, *rest = np.random.get_state(legacy=True)
    state: dict[str, Any] = {
        "python": (version, words, gauss),
        "numpy": (
            str(name),
            np.asarray(key).tolist(),
            *(value.item() if hasattr(value, "item") else value for value in rest),
        ),
        "cpu": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def restore_chance(state: dict[str, Any]) -> None:
    """Set every generator to what `chance` found."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    name, key, *rest = state["numpy"]
    np.random.set_state((name, np.asarray(key, dtype=np.uint32), *rest))
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])


@contextmanager
def drawing_from(seed: int) -> Iterator[None]:
    """Inside, chance on the CPU begins at `seed`; afterwards it goes on as if nothing had been drawn."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    # the generator itself: torch.manual_seed would reseed the devices as well
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
