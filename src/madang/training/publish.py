"""Uploading to a hub while a model learns, as `hub_strategy` says."""

import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from madang.client import push_folder
from madang.notices import notice
from madang.training.callbacks import TrainerCallback, TrainerControl, TrainerState

if TYPE_CHECKING:
    from madang.training.arguments import TrainingArguments
    from madang.training.trainer import Trainer

# what a checkpoint holds besides the model
_TRAINING_FILES = (
    "optimizer*", "scheduler*", "scaler*", "rng_state*", "position*", "trainer_state.json", "training_args.*",
)  # fmt: skip


class PublishCallback(TrainerCallback):
    """Uploads the model when training has ended ("end"), and before that after every save ("every_save"), together with
    the whole checkpoint as `last-checkpoint` ("checkpoint") or under its own name ("all_checkpoints").

    After a save a thread uploads while training goes on. A save that comes while it is at it is left out, unless
    `hub_always_push` puts it in the queue. What fails before the end is told, and training goes on; what fails at the
    end is an error.
    """

    def __init__(self, trainer: "Trainer", upload: Callable[..., str] = push_folder) -> None:
        self._trainer, self._upload = trainer, upload
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="publish")
        self._under_way: list[Future[None]] = []
        self._left_out: Path | None = None  # the newest checkpoint, when no upload was begun for it

    def on_save(self, args: "TrainingArguments", state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if args.hub_strategy == "end" or not state.is_world_process_zero:
            return
        self._tell_failures(wait=False)
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if self._under_way and not args.hub_always_push:
            self._left_out = checkpoint
            return
        self._left_out = None
        try:
            copy = _linked(checkpoint)
        except OSError as error:
            notice(f"{checkpoint} is not uploaded: {error}")
            return
        self._trainer.fire("on_push_begin")
        message = f"Training in progress, step {state.global_step}"
        self._under_way.append(self._thread.submit(self._publish, args, copy, checkpoint.name, message))

    def on_train_end(
        self, args: "TrainingArguments", state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._tell_failures(wait=True)
        left_out, self._left_out = self._left_out, None
        # every process takes part: a model that is spread over them is put together first
        self._trainer.push_to_hub(commit_message="End of training")
        if left_out is not None and left_out.is_dir():
            self._push_checkpoint(args, left_out, left_out.name, "End of training, checkpoint")

    def _publish(self, args: "TrainingArguments", copy: Path, name: str, message: str) -> None:
        """In the thread: the model, then the checkpoint."""
        try:
            self._push(args, copy, commit_message=message, ignore=_TRAINING_FILES)
            self._push_checkpoint(args, copy, name, f"{message}, checkpoint")
        finally:
            shutil.rmtree(copy, ignore_errors=True)

    def _push_checkpoint(self, args: "TrainingArguments", folder: Path, name: str, message: str) -> None:
        if args.hub_strategy == "checkpoint":
            # of the checkpoint before, nothing stays
            self._push(args, folder, commit_message=message, path_in_repo="last-checkpoint", delete=("*",))
        elif args.hub_strategy == "all_checkpoints":
            self._push(args, folder, commit_message=message, path_in_repo=name)

    def _push(self, args: "TrainingArguments", folder: Path, **options: Any) -> None:
        repository = args.hub_model_id or Path(args.output_dir).resolve().name
        where = {"private": args.hub_private_repo, "token": args.hub_token, "revision": args.hub_revision}
        self._upload(folder, repository, **where, **options)

    def _tell_failures(self, *, wait: bool) -> None:
        """Forget the uploads that are done, after saying which of them failed."""
        for upload in [upload for upload in self._under_way if wait or upload.done()]:
            self._under_way.remove(upload)
            error = upload.exception()
            if error is not None:
                notice(f"an upload failed, training goes on ({type(error).__name__}): {error}")


def _linked(folder: Path) -> Path:
    """A copy beside `folder` that takes no room where the disk knows links: the original may be removed meanwhile."""
    copy = Path(tempfile.mkdtemp(prefix=".publishing-", dir=folder.parent))
    try:
        shutil.copytree(folder, copy, copy_function=_link_or_copy, dirs_exist_ok=True)
    except OSError:
        shutil.rmtree(copy, ignore_errors=True)
        raise
    return copy


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
