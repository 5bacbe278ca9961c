"""One reading of every way in which people name a device."""

import pytest
import torch

from madang.errors import InputError
from madang.ops.devices import best_device, place


def test_devices_are_read_in_every_spelling():
    assert place(None) == place(-1) == place("cpu") == place({"": "cpu"}) == torch.device("cpu")
    assert place(None, default=torch.device("meta")).type == "meta"
    assert place("auto") == place({"body": "auto"}) == best_device()


@pytest.mark.parametrize(
    ("wrong", "said"), [("gpu", "no device"), ({}, "spreads"), ({"body": "cpu", "head": "meta"}, "spreads")]
)
def test_what_names_no_single_device_is_refused(wrong, said):
    with pytest.raises(InputError, match=said):
        place(wrong)


def test_a_gpu_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match="torch sees none"):
        place(0)
