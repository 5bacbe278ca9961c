import gc
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from madang.errors import InputError
from madang.training import gathered
from madang.training.gathered import Gathered, joined_nested


@pytest.fixture(params=["memory", "file"])
def where(request, monkeypatch):
    """The same in memory and in a file."""
    monkeypatch.setattr(gathered, "IN_MEMORY", 10**9 if request.param == "memory" else 20)
    return request.param


def test_batches_of_one_width_follow_one_another(where):
    kept, batches = Gathered(), [torch.randn(3, 5), torch.randn(2, 5), torch.randn(1, 5)]
    for batch in batches:
        kept.add(batch)
    joined = kept.joined()
    np.testing.assert_array_equal(joined, torch.cat(batches).numpy())
    assert isinstance(joined, np.memmap) == (where == "file")


def test_shorter_batches_are_filled_up_on_every_axis(where):
    kept = Gathered()
    kept.add(torch.ones(2, 3, 4))
    kept.add(torch.zeros(1, 5, 2))
    joined = np.asarray(kept.joined())
    assert joined.shape == (3, 5, 4)
    assert (joined[:2, :3] == 1).all()
    assert (joined[2, :, :2] == 0).all()
    assert (joined[:2, 3:] == -100).all()
    assert (joined[2, :, 2:] == -100).all()


def test_the_filler_can_be_another(where):
    kept = Gathered(filler=7)
    kept.add(torch.tensor([[1, 2]]))
    kept.add(torch.tensor([[1, 2, 3]]))
    assert kept.joined().tolist() == [[1, 2, 7], [1, 2, 3]]


def test_types_are_joined_to_one_that_holds_them_all(where):
    kept = Gathered()
    kept.add(torch.tensor([[True, False]] * 9))
    kept.add(torch.tensor([[True]]))
    assert kept.joined()[-1].tolist() == [1, -100]
    mixed = Gathered()
    mixed.add(torch.arange(9))
    mixed.add(torch.tensor([0.5]))
    assert mixed.joined().tolist() == [*range(9), 0.5]


def test_nested_outputs_keep_their_form(where):
    kept = Gathered()
    for rows in (2, 3):
        kept.add((torch.ones(rows, 4), {"deep": [torch.zeros(rows), torch.full((rows, 2), 5)]}))
    first, named = kept.joined()
    assert first.shape == (5, 4)
    assert named["deep"][0].shape == (5,)
    assert named["deep"][1].tolist() == [[5, 5]] * 5


def test_half_precision_becomes_float32():
    kept = Gathered()
    kept.add(torch.tensor([1.5], dtype=torch.bfloat16))
    assert kept.joined().dtype == np.float32


def test_a_number_per_batch_is_kept():
    kept = Gathered()
    kept.add(torch.tensor(1.0))
    kept.add(torch.tensor(2.0))
    assert kept.joined().tolist() == [1, 2]


def test_nothing_gives_nothing():
    kept = Gathered()
    kept.add(None)
    assert kept.joined() is None


def test_batches_of_another_form_are_refused():
    kept = Gathered()
    kept.add((torch.ones(2), torch.ones(2)))
    with pytest.raises(InputError, match="gave 1 arrays and those before it 2"):
        kept.add((torch.ones(2),))
    other = Gathered()
    other.add(torch.ones(2))
    other.add(torch.ones(2, 2))
    with pytest.raises(InputError, match="cannot be joined"):
        other.joined()


def test_what_is_in_a_file_can_be_changed_in_place(monkeypatch):
    monkeypatch.setattr(gathered, "IN_MEMORY", 0)
    kept = Gathered()
    kept.add(torch.tensor([[1, -100], [2, 3]]))
    labels = kept.joined()
    labels[labels == -100] = 0
    assert labels.tolist() == [[1, 0], [2, 3]]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_files_are_gone_with_their_arrays(monkeypatch, tmp_path):
    monkeypatch.setattr(gathered, "IN_MEMORY", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    kept = Gathered()
    kept.add(torch.ones(4, 3))
    kept.add(torch.ones(4, 2))
    joined = kept.joined()
    del kept
    gc.collect()

    def open_files():
        maps = Path("/proc/self/maps").read_text(encoding="utf-8")
        return maps.count(str(tmp_path)) + sum(
            os.path.realpath(f"/proc/self/fd/{number}").startswith(str(tmp_path))
            for number in os.listdir("/proc/self/fd")
        )

    assert open_files()
    assert not list(tmp_path.iterdir())  # no name, so nothing stays behind whatever happens
    del joined
    gc.collect()
    assert not open_files()


def test_parts_of_several_processes_are_joined():
    first = (np.ones((2, 3)), {"ids": np.ones((2, 1), dtype=int)})
    second = (np.zeros((1, 4)), {"ids": np.ones((1, 2), dtype=int)})
    logits, named = joined_nested([first, second], 9)
    assert logits.tolist() == [[1, 1, 1, 9], [1, 1, 1, 9], [0, 0, 0, 0]]
    assert named["ids"].tolist() == [[1, 9], [1, 9], [1, 1]]
