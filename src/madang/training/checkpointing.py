"""Checkpoints: everything that decides the rest of a training, written aside and then swapped in.

`checkpoint-<step>` holds the model and tokenizer as `from_pretrained` reads them, and beside them `optimizer.pt`,
`scheduler.pt`, `scaler.pt` (float16), `rng_state.pth`, `trainer_state.json`, `training_args.json`, `position.pt`: how
far the epoch is, what its beginning was and where a stream stood. A killed process leaves the folder before as it was.
"""

import errno
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from madang.errors import CheckpointError, MissingFileError
from madang.training import optimizer_state, saving, seed
from madang.training.callbacks import TrainerState
from madang.training.distributed.fsdp import whole_values
from madang.training.loop import Position
from madang.writing import write_text

if TYPE_CHECKING:
    from madang.training.trainer import Trainer

_CHECKPOINT = re.compile(r"^checkpoint-(\d+)$")
_UNFINISHED = re.compile(r"^\.(checkpoint-\d+)\.(part|old)$")


def save_checkpoint(trainer: "Trainer") -> Path:
    """Write `checkpoint-<step>` into the output folder, there whole or not at all; outdated ones are removed after.

    Every process takes part; the main one writes.
    """
    output, processes = Path(trainer.args.output_dir), trainer.processes
    final = output / f"checkpoint-{trainer.state.global_step}"
    pieces = _of_all_processes(trainer)
    weights, optimizer = processes.weights(trainer.model), None
    if not trainer.args.save_only_model:
        optimizer = processes.whole(optimizer_state.published(trainer.model, trainer.optimizer))
    trouble = None
    if processes.is_main:
        try:
            _write(trainer, final, {**pieces, "weights": weights, "optimizer": optimizer})
        except OSError as error:
            trouble = _reason(error, final, checkpoints(output))
    trouble = processes.told(trouble)
    if trouble is not None:
        raise CheckpointError(trouble)
    return final


def _of_all_processes(trainer: "Trainer") -> dict[str, Any]:
    """What only the processes themselves know: their chance, their losses, and where their share of the data is."""
    own = {
        "meter": trainer.meter.state(),
        "chance": seed.chance(),
        "epoch_chance": trainer.epoch_chance,
        "loader": trainer.train_batches.state_dict() if hasattr(trainer.train_batches, "state_dict") else None,
    }
    gathered = trainer.processes.gathered(own)
    return {name: [each[name] for each in gathered] for name in own}


def _write(trainer: "Trainer", final: Path, pieces: dict[str, Any]) -> None:
    part = final.parent / f".{final.name}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        saving.save_model(part, trainer.model, trainer.processing_class, pieces["weights"])
        saving.save_state(part, trainer.model, pieces["weights"])
        if not trainer.args.save_only_model:
            _write_states(trainer, part, pieces)
        write_text(part / "trainer_state.json", trainer.state.to_json())
        trainer.args.save_to_json(part / "training_args.json")
        for file in part.iterdir():
            with open(file, "rb") as opened:
                os.fsync(opened.fileno())
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    _swap_in(part, final)


def _write_states(trainer: "Trainer", part: Path, pieces: dict[str, Any]) -> None:
    torch.save(pieces["optimizer"], part / "optimizer.pt")
    torch.save(trainer.lr_scheduler.state_dict(), part / "scheduler.pt")
    if trainer.scaler is not None:
        torch.save(trainer.scaler.state_dict(), part / "scaler.pt")
    for rank, chance in enumerate(pieces["chance"]):
        torch.save(chance, part / _chance_file(rank, len(pieces["chance"])))
    position = {
        "epoch": trainer.position.epoch,
        "batches": trainer.position.batches,
        "rows_per_batch": trainer.args.per_device_train_batch_size * trainer.processes.count,
        "rows_per_step": trainer.rows_per_step,
        "rows": trainer.number_of_rows,
        "parts": trainer.memory.parts,
        "meter": pieces["meter"],
        "epoch_chance": pieces["epoch_chance"],
        "loader": pieces["loader"],
    }
    torch.save(position, part / "position.pt")


def _chance_file(rank: int, processes: int) -> str:
    return "rng_state.pth" if processes == 1 else f"rng_state_{rank}.pth"


def _swap_in(part: Path, final: Path) -> None:
    old = final.parent / f".{final.name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    part.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def _reason(error: OSError, final: Path, earlier: list[Path]) -> str:
    what = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else str(error)
    kept = f"; the last good one is {earlier[-1]}" if earlier else ""
    free = shutil.disk_usage(final.parent).free // 10**6 if final.parent.is_dir() else 0
    return (
        f"{final} could not be written: {what} ({free:,} MB are free){kept}. Make room (save_total_limit keeps fewer, "
        "save_only_model makes them smaller) and go on with train(resume_from_checkpoint=True)."
    )


def remove_outdated(output: Path, limit: int | None, newest: Path, best: str | None) -> None:
    """All but `limit` checkpoints go, the oldest first; the `newest`, and the `best` where there is one, stay.

    Those of later steps than the newest are from a training before this one, and older than all others.
    """
    if limit is None:
        return
    found = checkpoints(output)
    later = found[found.index(newest) + 1 :]
    kept = {newest, *(path for path in found if best is not None and path.resolve() == Path(best).resolve())}
    by_age = [path for path in [*later, *found[: found.index(newest)]] if path not in kept]
    room = max(0, int(limit) - len(kept))
    for outdated in by_age[: max(0, len(by_age) - room)]:
        gone = output / f".{outdated.name}.old"
        outdated.rename(gone)  # no half checkpoint carries the name of one
        shutil.rmtree(gone, ignore_errors=True)


def checkpoints(output: Path) -> list[Path]:
    """The checkpoints in a folder, the one of the earliest step first."""
    if not output.is_dir():
        return []
    found = [(int(match.group(1)), path) for path in output.iterdir() if (match := _CHECKPOINT.match(path.name))]
    return [path for _, path in sorted(found)]


def clean_up(output: Path) -> None:
    """Remove what a killed process left half written, and put back what it had moved aside."""
    for path in list(output.iterdir()) if output.is_dir() else []:
        if match := _UNFINISHED.match(path.name):
            whole = output / match.group(1)
            if match.group(2) == "old" and not whole.exists() and (path / "trainer_state.json").is_file():
                path.rename(whole)
            else:
                shutil.rmtree(path, ignore_errors=True)


def find(wanted: str | bool | os.PathLike[str], output: Path) -> Path:
    """The checkpoint that `resume_from_checkpoint` means: a folder, or the newest of the output folder."""
    if wanted is True:
        found = checkpoints(output)
        if not found:
            raise MissingFileError(f"no checkpoint to go on from: {output} has no folder checkpoint-<step>.")
        return found[-1]
    folder = Path(os.fspath(wanted))  # type: ignore[arg-type]
    if not (folder / "trainer_state.json").is_file():
        near = checkpoints(folder)
        hint = f" It has checkpoints in it: {near[-1]}, for example." if near else ""
        raise MissingFileError(f"{folder} is no checkpoint: it has no trainer_state.json.{hint}")
    return folder


def read_weights(trainer: "Trainer", folder: Path) -> None:
    """The weights of a checkpoint, into the trainer's model."""
    with whole_values(trainer.model):
        saving.read_model(folder, trainer.model)


def restore(trainer: "Trainer", folder: Path) -> Position:
    """Weights, optimizer, schedule and state of a checkpoint, into the trainer; where to go on."""
    missing = [name for name in ("optimizer.pt", "scheduler.pt") if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(
            f"{folder} has no {' and no '.join(missing)}: it was saved with save_only_model, or by another program. "
            "Its weights can be loaded with from_pretrained, as the beginning of a new training."
        )
    position = _read(folder / "position.pt") if (folder / "position.pt").is_file() else {}
    _check_same_training(trainer, folder, position)
    read_weights(trainer, folder)
    optimizer_state.restore(trainer.model, trainer.optimizer, _read(folder / "optimizer.pt"))
    trainer.lr_scheduler.load_state_dict(_read(folder / "scheduler.pt"))
    if trainer.scaler is not None and (folder / "scaler.pt").is_file():
        trainer.scaler.load_state_dict(_read(folder / "scaler.pt"))
    kept, now = TrainerState.load_from_json(folder / "trainer_state.json"), trainer.state
    for name in ("epoch", "global_step", "log_history", "best_metric", "best_model_checkpoint", "best_global_step",
                 "num_input_tokens_seen", "stateful_callbacks"):  # fmt: skip
        setattr(now, name, getattr(kept, name))
    trainer.restore_callbacks()
    if not position:
        return trainer.plan.position(now.global_step)
    trainer.memory.parts = position["parts"]
    trainer.meter.restore(_own_meter(trainer, position["meter"]))
    if trainer.args.ignore_data_skip:
        return Position(position["epoch"], 0)
    trainer.resuming = _own(trainer, folder, position)
    rows = position["batches"] * position["rows_per_batch"]
    return Position(position["epoch"], -(-rows // (trainer.args.per_device_train_batch_size * trainer.processes.count)))


def _own(trainer: "Trainer", folder: Path, position: dict[str, Any]) -> dict[str, Any]:
    """What this process needs to go on within an epoch: its chance, now and when the epoch began, and its place."""
    rank, processes = trainer.processes.rank, len(position["epoch_chance"])
    if processes != trainer.processes.count:
        # another number of processes: rows go on where they were, what they draw cannot
        return {"chance": None, "epoch_chance": None, "loader": None}
    return {
        "chance": _read(folder / _chance_file(rank, processes)),
        "epoch_chance": position["epoch_chance"][rank],
        "loader": position["loader"][rank],
    }


def _own_meter(trainer: "Trainer", meters: list[dict[str, Any]]) -> dict[str, Any]:
    """What this process counted; after another number of processes, its part of what they counted together."""
    processes = trainer.processes
    if len(meters) == processes.count:
        return meters[processes.rank]
    examples, steps = sum(meter["examples"] for meter in meters), ("recent_steps", "earlier_steps")
    means = {name: sum(meter[name] for meter in meters) / len(meters) for name in ("recent", "earlier")}
    own = examples // processes.count + (processes.rank < examples % processes.count)
    return {**means, **{name: meters[0][name] for name in steps}, "examples": own}


def _check_same_training(trainer: "Trainer", folder: Path, position: dict[str, Any]) -> None:
    """The rest of an epoch means something only for the same rows in steps of the same size."""
    together = trainer.args.per_device_train_batch_size * trainer.processes.count
    for name, now, what in (
        ("rows_per_step", trainer.rows_per_step, "examples per optimizer step"),
        ("rows", trainer.number_of_rows, "training rows"),
        # texts of similar length were put together in batches of that size
        *([("rows_per_batch", together, "examples per batch")] if trainer.args.group_by_length else []),
    ):
        if name in position and position[name] != now and not trainer.args.ignore_data_skip:
            raise CheckpointError(
                f"{folder} was made with {position[name]} {what}, and now there are {now}: the rest of its epoch "
                "cannot be told. Resume with the same data and batch size x accumulation x processes, or pass "
                "ignore_data_skip=True to begin the epoch anew."
            )


def _read(path: Path) -> Any:
    """A file of tensors and plain values; one that could run code is refused."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
