"""A model in a folder, and out of it again into the same model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from madang.errors import CheckpointError
from madang.writing import write_file

PLAIN = "model.safetensors"
STATE = "state.safetensors"


Weights = Mapping[str, Tensor] | None  # of a model that is spread over processes: put together; None: the model's own


def save_model(folder: Path, model: nn.Module, tokenizer: Any, weights: Weights = None) -> None:
    """Model and tokenizer as `from_pretrained` reads them; a plain torch module as `model.safetensors`."""
    folder.mkdir(parents=True, exist_ok=True)
    save: Any = getattr(model, "save_pretrained", None)
    if save is not None:
        save(folder, **({} if weights is None else {"state_dict": weights}))
    else:
        _save_plainly(folder / PLAIN, model, weights)
    if tokenizer is not None and hasattr(tokenizer, "save_pretrained"):
        tokenizer.save_pretrained(folder)


def save_state(folder: Path, model: nn.Module, weights: Weights = None) -> None:
    """What `read_model` needs beside what `save_model` wrote: the weights of models that save themselves in their own
    way, as they are."""
    if hasattr(model, "save_pretrained") and not hasattr(model, "naming"):
        _save_plainly(folder / STATE, model, weights)


def _save_plainly(path: Path, model: nn.Module, weights: Weights) -> None:
    from safetensors.torch import save_file
    from safetensors.torch import save_model as save_tensors

    if weights is None:
        write_file(path, lambda part: save_tensors(model, str(part)))
        return
    # a tensor that has several names is written under the first
    names = {id(tensor): name for name, tensor in reversed([*weights.items()])}
    tensors = {name: weights[name].contiguous() for name in names.values()}
    write_file(path, lambda part: save_file(tensors, str(part)))


def read_model(folder: Path, model: nn.Module) -> None:
    """Give the model's parameters the values that `save_model` wrote; they stay the objects an optimizer knows.

    Raises CheckpointError when the folder holds another model.
    """
    if getattr(model, "adapter", None) is not None:  # what was saved is the adapter; the rest never changed
        load_adapter: Any = model.load_adapter
        load_adapter(folder)
        return
    naming = getattr(model, "naming", None)
    if naming is not None:
        from madang.checkpoints.load import refill
        from madang.checkpoints.tensors import open_stored
        from madang.client import open_source

        refill(model, naming, open_stored(open_source(folder)), source=str(folder))
        return
    path = next((folder / name for name in (STATE, PLAIN) if (folder / name).is_file()), None)
    if path is None:
        raise CheckpointError(f"{folder} holds no {PLAIN}, so there are no weights to go on from.")
    from safetensors import safe_open
    from safetensors.torch import load_model

    with safe_open(str(path), framework="pt") as file:
        found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    wrong = [name for name, shape in found.items() if expected.get(name) != shape]
    if wrong:
        raise CheckpointError(
            f"{folder} is a checkpoint of another model: {len(wrong)} of its {len(found)} tensors do not fit this "
            f"{type(model).__name__} ({', '.join(wrong[:4])}{', …' if len(wrong) > 4 else ''})."
        )
    try:
        load_model(model, str(path))
    except RuntimeError as error:
        raise CheckpointError(f"{folder} is a checkpoint of another model: {error}") from error
