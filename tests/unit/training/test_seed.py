import random

import numpy as np
import torch

from madang.training.seed import chance, drawing_from, enable_full_determinism, epoch_seed, restore_chance, set_seed


def drawn():
    """A number from each generator."""
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_a_seed_repeats_what_every_generator_draws():
    set_seed(3)
    first = drawn()
    set_seed(3)
    assert drawn() == first
    set_seed(4)
    assert drawn() != first


def test_seeds_of_any_size_will_do():
    set_seed(2**40)
    assert all(0 <= number < 1 for number in drawn())


def test_chance_goes_on_where_it_was_kept_also_through_a_file(tmp_path):
    set_seed(1)
    random.gauss(0, 1), np.random.randn()  # both keep a second number for next time
    kept = chance()
    torch.save(kept, tmp_path / "chance.pt")
    expected = drawn(), random.gauss(0, 1), np.random.randn()
    for state in (kept, torch.load(tmp_path / "chance.pt", weights_only=True)):
        set_seed(9)
        restore_chance(state)
        assert (drawn(), random.gauss(0, 1), np.random.randn()) == expected


def test_drawing_from_a_seed_leaves_chance_outside_alone():
    set_seed(5)
    expected = drawn()
    set_seed(5)
    with drawing_from(7):
        inside = drawn()
    assert drawn() == expected
    set_seed(7)
    assert drawn() == inside


def test_epochs_and_batches_have_seeds_of_their_own():
    seeds = {epoch_seed(seed, epoch, batch) for seed in (0, 1) for epoch in (0, 1, 2) for batch in (None, 0, 1)}
    assert len(seeds) == 18
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert epoch_seed(1, 2, 3) == epoch_seed(1, 2, 3)


def test_full_determinism_refuses_kernels_that_are_not(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    for name in ("deterministic", "benchmark"):
        monkeypatch.setattr(torch.backends.cudnn, name, getattr(torch.backends.cudnn, name))
    try:
        enable_full_determinism(3)
        first = drawn()
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.deterministic
    finally:
        torch.use_deterministic_algorithms(False)
    set_seed(3)
    assert drawn() == first
