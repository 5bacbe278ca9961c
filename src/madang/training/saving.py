"""Models and checkpoints on disk: written aside, then swapped in."""

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from madang.writing import write_file, write_text

if TYPE_CHECKING:
    from madang.training.trainer import Trainer

_CHECKPOINT = re.compile(r"^checkpoint-(\d+)$")


def save_model(folder: Path, model: nn.Module, tokenizer: Any) -> None:
    """Model and tokenizer as `from_pretrained` reads them; a plain torch module as `model.safetensors`."""
    folder.mkdir(parents=True, exist_ok=True)
    save: Any = getattr(model, "save_pretrained", None)
    if save is not None:
        save(folder)
    else:
        from safetensors.torch import save_model as save_tensors

        write_file(folder / "model.safetensors", lambda part: save_tensors(model, str(part)))
    if tokenizer is not None and hasattr(tokenizer, "save_pretrained"):
        tokenizer.save_pretrained(folder)


def save_checkpoint(trainer: "Trainer") -> Path:
    """`checkpoint-<step>` in the output folder: the model, the tokenizer, where training stood, the arguments.

    A checkpoint is there whole or not at all; the oldest beyond `save_total_limit` are removed afterwards.
    """
    output = Path(trainer.args.output_dir)
    final = output / f"checkpoint-{trainer.state.global_step}"
    part = output / f".{final.name}.part"
    shutil.rmtree(part, ignore_errors=True)
    save_model(part, trainer.model, trainer.processing_class)
    write_text(part / "trainer_state.json", trainer.state.to_json())
    write_text(part / "training_args.json", json.dumps(trainer.args.to_dict(), indent=2, default=str) + "\n")
    if final.exists():
        old = output / f".{final.name}.old"
        shutil.rmtree(old, ignore_errors=True)
        final.rename(old)
        part.rename(final)
        shutil.rmtree(old)
    else:
        part.rename(final)
    if trainer.args.save_total_limit is not None:
        kept = max(1, trainer.args.save_total_limit)
        for outdated in [path for path in checkpoints(output) if path != final][: -(kept - 1) or None]:
            shutil.rmtree(outdated)
    return final


def checkpoints(output: Path) -> list[Path]:
    """The checkpoints in a folder, the one of the earliest step first."""
    if not output.is_dir():
        return []
    found = [(int(match.group(1)), path) for path in output.iterdir() if (match := _CHECKPOINT.match(path.name))]
    return [path for _, path in sorted(found)]
