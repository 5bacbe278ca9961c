"""One step of learning: the next batches, forward and backward, the optimizer. The places people override."""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from madang.errors import ConfigError, InputError, TrainingError
from madang.training import checkpointing, seed
from madang.training.distributed.fsdp import full
from madang.training.evaluating import Evaluating
from madang.training.loaders import RowLoader, Spare, length_of, tell_epoch
from madang.training.loop import Position
from madang.training.neftune import with_noise
from madang.training.optimizer import make_optimizer, parameter_groups, parse_options
from madang.training.schedule import get_scheduler
from madang.training.used_rows import UsedRowsAdamW, clip_gradient, learning_by_rows, tables_by_rows


class Learning(Evaluating):
    """What `loop.train` asks for at each optimizer step."""

    scaler: Any = None
    resuming: dict[str, Any] | None = None
    """What a checkpoint said of the epoch in which training goes on, until that epoch has begun."""
    epoch_chance: dict[str, Any] | None = None
    """The state of all generators when the current epoch began."""
    position = Position()
    _step_targets: Any = None
    _first_bad_step: Tensor | None = None

    def batches_of(self, epoch: int, start: Position) -> Iterator[Any]:
        """The batches of an epoch; of the one in which training goes on, those that are left."""
        loader, skip = self.train_batches, start.batches if epoch == start.epoch else 0
        resuming, self.resuming = self.resuming, None
        if resuming is not None and resuming["epoch_chance"] is not None:
            seed.restore_chance(resuming["epoch_chance"])
        self.epoch_chance = seed.chance()
        tell_epoch(loader, epoch)
        batches = self._from_batch(loader, skip, resuming)
        if resuming is not None and resuming["chance"] is not None:
            seed.restore_chance(resuming["chance"])
        if self.processes.count > 1 and length_of(loader) is None:
            return self.processes.in_step(batches)
        return batches

    def _from_batch(self, loader: Any, skip: int, resuming: dict[str, Any] | None) -> Iterator[Any]:
        """The loader's batches from number `skip` on; one that cannot begin there makes those before, for nothing."""
        if isinstance(loader, RowLoader):
            loader.start_at(skip)
            return iter(loader)
        place = None if resuming is None else resuming["loader"]
        if place is not None and getattr(loader, "can_go_on", hasattr(loader, "load_state_dict")):
            loader.load_state_dict(place)
            return iter(loader)
        batches: Iterator[Any] = iter(loader)
        for _ in range(skip):
            next(batches, None)
        return batches

    def targets_of_step(self, micro_batches: list[Any]) -> Any:
        """The number of targets of an optimizer step, on all processes, as each of them divides by it.

        Gradients are averaged over processes; with an equal share of the number of targets the average is the mean.
        """
        processes = self.processes.count
        total = self.processes.total(self.count_targets(micro_batches))
        return max(1, total) if processes == 1 else max(1, total) / processes

    def call_training_step(self, inputs: dict[str, Any], targets: Any) -> Tensor:
        """`training_step`, with the number of targets where it (perhaps an older override) takes it."""
        self._step_targets, spare = targets, isinstance(inputs, Spare)
        if spare:  # takes part in what the processes do together, and weighs nothing
            self._step_targets = float("inf")
        if self.args.include_num_input_tokens_seen != "no":
            self._count_tokens(inputs)
        told = {"num_items_in_batch": self._step_targets} if _takes(self.training_step, "num_items_in_batch") else {}
        try:
            return self.training_step(self.model_wrapped, inputs, **told)
        except (ConfigError, InputError) as error:
            error.args = (f"{error} (At step {self.state.global_step + 1}.)",)
            raise

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Forward and backward of one micro-batch; returns its share of the step's loss.

        `num_items_in_batch` is the number of targets in all micro-batches of this optimizer step.
        """
        model.train()
        inputs = self.prepare_inputs(inputs)
        targets = num_items_in_batch if num_items_in_batch is not None else self._step_targets
        with self.autocast():
            if targets is None:
                loss = self.compute_loss(model, inputs)
            elif _takes(self.compute_loss, "num_items_in_batch"):
                loss = self.compute_loss(model, inputs, num_items_in_batch=targets)
            else:  # an override that gives the mean of its own micro-batch
                loss = self.compute_loss(model, inputs) * (self.count_targets([inputs]) / targets)
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()
        detached: Tensor = loss.detach()
        return detached

    def check_loss(self, loss: Tensor, epoch: int, batches: int) -> None:
        """Stop before a loss that is no number spoils the weights.

        Looking would make the program wait for a GPU; there the step is noted, and looked up before anything is logged,
        evaluated or saved.
        """
        if loss.device.type == "cpu":
            if not torch.isfinite(loss):
                raise self._bad_loss(self.state.global_step + 1, float(loss), epoch, batches)
            return
        step = torch.where(torch.isfinite(loss), float("inf"), float(self.state.global_step + 1))
        self._first_bad_step = step if self._first_bad_step is None else torch.minimum(self._first_bad_step, step)

    def _look_up_bad_step(self) -> None:
        if self._first_bad_step is not None and torch.isfinite(self._first_bad_step):
            raise self._bad_loss(int(self._first_bad_step), float("nan"), self.position.epoch, None)

    def _bad_loss(self, step: int, loss: float, epoch: int, batches: int | None) -> TrainingError:
        where = ""
        if batches is not None:
            last = batches + self.args.gradient_accumulation_steps
            where = f", batch {batches + 1}" + (f" to {last}" if last > batches + 1 else "") + f" of epoch {epoch + 1}"
            picks = getattr(self.train_batches, "picks", None)
            if picks is not None:
                rows = [row for number in range(batches, min(last, len(picks))) for row in picks.pick(number).rows]
                where += f" (rows {', '.join(map(str, rows[:16]))}{', …' if len(rows) > 16 else ''} of train_dataset)"
        kept = checkpointing.checkpoints(Path(self.args.output_dir))
        return TrainingError(
            f"the loss became {loss} at step {step}{where}. Lower learning_rate, or look for labels, inputs or weights "
            f"that are not finite. {f'{kept[-1]} is the last checkpoint before it.' if kept else ''}".rstrip()
        )

    def clip_gradients(self) -> Tensor | None:
        """Shorten the gradient to `max_grad_norm`; returns how long it was."""
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        if not self.args.max_grad_norm:
            return None
        return full(clip_gradient(self.model.parameters(), self.args.max_grad_norm))

    def step_optimizer(self) -> bool:
        """Change the weights; False when nothing changed, because float16's scale was too large for the gradients."""
        if self.scaler is None:
            self.optimizer.step()
            return True
        before = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return bool(self.scaler.get_scale() >= before)

    def step_scheduler(self) -> None:
        """The learning rate of the next step; a schedule that waits for a plateau is told at evaluations instead."""
        if not isinstance(self.lr_scheduler, ReduceLROnPlateau):
            self.lr_scheduler.step()

    def create_optimizer_and_scheduler(self, num_training_steps: int) -> None:
        """Both, where the trainer was not given them."""
        self.create_optimizer()
        self.create_scheduler(num_training_steps, self.optimizer)

    def create_optimizer(self, model: Any = None) -> Any:
        """The optimizer that `optim` names, with weight decay on matrices only."""
        if self.optimizer is None:
            args = self.args
            groups = parameter_groups(model if model is not None else self.model, args.weight_decay)
            if not groups:
                raise InputError(
                    f"{type(self.model).__name__} has no parameter that requires a gradient: nothing to train."
                )
            if self.optimizer_cls_and_kwargs is not None:
                make, options = self.optimizer_cls_and_kwargs
                self.optimizer = make(groups, **options)
                return self.optimizer
            betas, options = (args.adam_beta1, args.adam_beta2), parse_options(args.optim_args)
            self.optimizer = make_optimizer(
                args.optim, groups, args.learning_rate, betas, args.adam_epsilon, options,
                by_rows=bool(tables_by_rows(self)),
            )  # fmt: skip
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The learning rate's schedule that `lr_scheduler_type` names."""
        if self.lr_scheduler is None:
            self.lr_scheduler = get_scheduler(
                self.args.lr_scheduler_type,
                optimizer if optimizer is not None else self.optimizer,
                num_warmup_steps=self.args.get_warmup_steps(num_training_steps),
                num_training_steps=num_training_steps,
                scheduler_specific_kwargs=self.args.lr_scheduler_kwargs,
            )
        return self.lr_scheduler

    def _count_tokens(self, inputs: Any) -> None:
        ids, mask = inputs.get("input_ids"), inputs.get("attention_mask")
        if ids is not None:
            real = self.args.include_num_input_tokens_seen == "non_padding" and mask is not None
            count = int(mask.sum()) if real else ids.numel()
            self.state.num_input_tokens_seen += self.processes.total(0 if isinstance(inputs, Spare) else count)

    def _compiled(self) -> Any:
        if not self.args.torch_compile:
            return self.model
        return torch.compile(
            self.model, backend=self.args.torch_compile_backend or "inductor", mode=self.args.torch_compile_mode
        )

    @contextlib.contextmanager
    def _learning(self) -> Iterator[None]:
        """What is so only while training: noise, smoothed labels, the precision of products, sparse gradients."""
        args = self.args
        head: Any = getattr(self.model, "head", None)
        if args.label_smoothing_factor and not getattr(head, "can_smooth", False):
            raise InputError(
                f"label_smoothing_factor shares each target among classes, and {type(self.model).__name__} has no head "
                "whose loss is a cross entropy over classes."
            )
        noise = with_noise(self.model, args.neftune_noise_alpha) if args.neftune_noise_alpha else None
        products, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        before = products.allow_tf32, cudnn.allow_tf32
        tables = tables_by_rows(self) if isinstance(self.optimizer, UsedRowsAdamW) else []
        try:
            if args.tf32 is not None:
                products.allow_tf32 = cudnn.allow_tf32 = args.tf32
            if args.label_smoothing_factor:
                head.smoothing = args.label_smoothing_factor
            with learning_by_rows(self.model, tables):
                yield
        finally:
            products.allow_tf32, cudnn.allow_tf32 = before
            if args.label_smoothing_factor:
                head.smoothing = 0.0
            if noise is not None:
                noise.remove()

    def _checkpoint_gradients(self) -> None:
        enable = getattr(self.model, "gradient_checkpointing_enable", None)
        if enable is None:
            raise InputError(
                f"gradient_checkpointing=True, but {type(self.model).__name__} has no gradient_checkpointing_enable()."
            )
        options = self.args.gradient_checkpointing_kwargs
        enable(**({"gradient_checkpointing_kwargs": options} if options else {}))


def _takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a function has a parameter of that name, or takes any."""
    return _declares(getattr(function, "__func__", function), name)


@functools.cache
def _declares(function: Callable[..., Any], name: str) -> bool:
    parameters = inspect.signature(function).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
