"""Where tensors live: devices from what people write."""

from collections.abc import Mapping
from typing import Any

import torch

from madang.errors import InputError


def place(device: Any, default: torch.device | None = None) -> torch.device:
    """A torch device from what people write: -1, 0, "cuda:1", "cpu", "auto", a torch device, a map naming only one.

    "auto" is the best there is; None is `default`, or the CPU.
    """
    if isinstance(device, Mapping):
        if len(set(map(str, device.values()))) != 1:
            raise InputError(f"device_map spreads the model over {dict(device)}; name one device for all of it.")
        device = next(iter(device.values()))
    if device is None:
        return default or torch.device("cpu")
    if isinstance(device, str) and device == "auto":
        return best_device()
    if isinstance(device, int) and not isinstance(device, bool):
        if device < 0:
            return torch.device("cpu")
        kind = best_device().type
        if kind == "cpu":
            raise InputError(
                f"device={device} is the number of a GPU, but torch sees none here. Pass device=-1 or 'cpu'."
            )
        return torch.device(kind, device)
    try:
        return torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"device={device!r} is no device: pass -1 or 'cpu', a GPU's number, or a name like 'cuda:0'."
        ) from error


def best_device() -> torch.device:
    """A GPU if torch sees one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
