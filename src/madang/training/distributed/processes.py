"""A process's place among those that train together, and what they tell one another."""

import atexit
import contextlib
import datetime
import inspect
import logging
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from madang.errors import ConfigError, InputError, unknown_name
from madang.notices import notice
from madang.training.distributed import fsdp, streams

if TYPE_CHECKING:
    from madang.training.arguments import TrainingArguments

# numbers and small objects travel between the CPUs: asking how many targets there are does not wait for a GPU
_BACKENDS = {"nccl": "cpu:gloo,cuda:nccl", "gloo": "gloo"}
_PLACE = (("RANK", "0"), ("LOCAL_RANK", "0"), ("WORLD_SIZE", "1"))


class Processes:
    """This process's place among those that train together."""

    def __init__(self, args: "TrainingArguments", device: torch.device) -> None:
        self.rank, self.local_rank, self.count = (int(os.environ.get(name, default)) for name, default in _PLACE)
        self.device = device
        self._sharding = fsdp.Sharding.of(args)
        self._all_used = False  # whether it is known that every parameter has a gradient
        if self.count == 1:
            if self._sharding is not None:
                notice("fsdp: one process alone has nobody to share the model with. Start several with torchrun.")
            return
        if not self.is_main:  # what is to be noticed, the main process says
            logging.getLogger("madang").setLevel(logging.ERROR)
        if device.type == "cuda":
            self.device = _own_gpu(self.local_rank)
        if args.auto_find_batch_size:
            raise ConfigError(
                "auto_find_batch_size is for one process: when memory runs out on one of several, the others already "
                "wait for its gradient. Lower per_device_train_batch_size and raise gradient_accumulation_steps."
            )
        if not dist.is_initialized():
            _begin(args, self.device)

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes, prints and reports."""
        return self.rank == 0

    @property
    def is_main_here(self) -> bool:
        """Whether this is the first process on its machine."""
        return self.local_rank == 0

    # ---- the model

    def placed(self, model: nn.Module, args: "TrainingArguments", optimizer: Any = None) -> nn.Module:
        """The model on its device; on all processes the main one's weights, spread over them where `fsdp` says so.

        `optimizer`: one that was made before, which is too early for a model that is to be spread.
        """
        if self.count == 1:
            return model.to(self.device)
        if self._sharding is None:
            model = model.to(self.device)
            self._make_same(model)
            return model
        if optimizer is not None:
            raise InputError(
                "fsdp puts other parameters into the model, which an optimizer made before does not know. Instead of "
                "optimizers=, pass optimizer_cls_and_kwargs=(class, arguments), or override create_optimizer."
            )
        if getattr(args, "predict_with_generate", False):
            raise ConfigError(
                "predict_with_generate with fsdp: texts end at different tokens on different processes, and one would "
                "wait for the others' weights for ever. Train without fsdp, or evaluate without predict_with_generate."
            )
        self._make_same(model)
        precision = torch.bfloat16 if args.bf16 else torch.float16 if args.fp16 else None
        fsdp.shard(model, self._sharding, self.device, self.count, precision)
        if args.ddp_find_unused_parameters:
            fsdp.expect_unused(model)
        return model

    def _make_same(self, model: nn.Module) -> None:
        """Drawn fresh (a new head), weights differ from process to process: the main one's count."""
        with torch.no_grad():
            for tensor in (*model.parameters(), *model.buffers()):
                if not fsdp.is_sharded(tensor):
                    dist.broadcast(tensor.data, src=0)

    def wrapped(self, model: nn.Module, args: "TrainingArguments") -> nn.Module:
        """The model whose gradients are averages over all processes."""
        if self.count == 1 or self._sharding is not None:
            return model
        self._all_used = bool(args.ddp_find_unused_parameters)
        options: dict[str, Any] = {"find_unused_parameters": self._all_used, "bucket_cap_mb": args.ddp_bucket_cap_mb}
        if args.ddp_broadcast_buffers is not None:
            names = inspect.signature(nn.parallel.DistributedDataParallel).parameters
            # its name since torch 2.13
            name = "forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers"
            options[name] = args.ddp_broadcast_buffers
        if self.device.type == "cuda":
            options["device_ids"] = [self.device.index]
        return nn.parallel.DistributedDataParallel(model, **options)

    @contextlib.contextmanager
    def syncing(self, model: Any, wanted: bool) -> Iterator[None]:
        """Around forward and backward: whether gradients are exchanged. Only a step's last micro-batch needs it."""
        if self.count == 1:
            yield
        elif self._sharding is not None:
            model.set_requires_gradient_sync(wanted)
            yield
        elif not wanted:
            with model.no_sync():
                yield
        else:
            with _unused_explained():
                yield
                if not self._all_used:
                    _check_all_used(model.module)
                    self._all_used = True

    def draw_apart(self, seed: int) -> None:
        """From here on torch draws other numbers on every process: their dropout falls on different rows.

        The order of rows does not change, it has seeds of its own; nor do Python's and numpy's generators, by which
        models may choose layers, all processes the same ones.
        """
        if self.rank:
            torch.manual_seed(seed + self.rank)

    def weights(self, model: nn.Module) -> dict[str, Tensor] | None:
        """The weights of a model that is spread over the processes, put together on the main one; else None.

        All processes must ask.
        """
        return fsdp.weights(model, keep=self.is_main) if self.count > 1 and fsdp.is_sharded(model) else None

    def whole(self, tree: Any) -> Any:
        """A tree of dicts and lists with its spread tensors put together, likewise."""
        return fsdp.whole(tree, keep=self.is_main)

    # ---- talking

    def total(self, number: Any) -> Any:
        """The sum of a number (or tensor) over all processes."""
        if self.count == 1:
            return number
        if isinstance(number, Tensor):
            summed = number.detach().clone()
            dist.all_reduce(summed)
            return summed
        exact = torch.tensor(number, dtype=torch.int64 if isinstance(number, int) else torch.float64)
        dist.all_reduce(exact)
        return type(number)(exact.item())

    def gathered(self, value: Any) -> list[Any]:
        """Every process's value, in the order of their ranks; values may be anything that can be pickled."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value)
        return values

    def told(self, value: Any) -> Any:
        """The main process's value."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def wait(self) -> None:
        """Go on when every process has come here."""
        self.total(0)

    # ---- data

    def share_of_stream(self, dataset: Any) -> Any:
        """What this process reads of a dataset that can only be read from its beginning."""
        return dataset if self.count == 1 else streams.share(dataset, self.rank, self.count)

    def in_step(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Batches until every process has run out; one that has none left meanwhile gets spares."""
        return batches if self.count == 1 else streams.in_step(batches, self)


def _own_gpu(local_rank: int) -> torch.device:
    found = torch.cuda.device_count()
    if local_rank >= found:
        raise InputError(
            f"there are {found} GPU(s) on this machine and more processes than that: start torchrun with "
            f"--nproc-per-node {found}, or pass use_cpu=True."
        )
    device = torch.device("cuda", local_rank)
    torch.cuda.set_device(device)
    return device


def _begin(args: "TrainingArguments", device: torch.device) -> None:
    """Meet the other processes, and part from them when the program ends."""
    backend = args.ddp_backend or ("nccl" if device.type == "cuda" else "gloo")
    if backend not in _BACKENDS:
        raise unknown_name("ddp_backend", backend, _BACKENDS)
    if backend == "nccl" and device.type != "cuda":
        raise ConfigError(
            "ddp_backend='nccl' is for GPUs, and this training is on the CPU: leave it out, or say 'gloo'."
        )
    dist.init_process_group(
        _BACKENDS[backend],
        timeout=datetime.timedelta(seconds=args.ddp_timeout),
        device_id=device if backend == "nccl" else None,
    )
    atexit.register(_part)


def _part() -> None:
    # after an error the others may be waiting for this process: it must end at once, so that torchrun ends them
    if dist.is_initialized() and getattr(sys, "last_exc", None) is None:
        dist.destroy_process_group()


def _check_all_used(model: nn.Module) -> None:
    """DDP waits for the gradient of every parameter; one that gets none is an error, but only in the next step."""
    unused = [name for name, each in model.named_parameters() if each.requires_grad and each.grad is None]
    if unused:
        raise InputError(_unused_parameters(f"{len(unused)} parameters ({', '.join(unused[:4])}, …)"))


@contextlib.contextmanager
def _unused_explained() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if "find_unused_parameters" not in str(error):
            raise
        raise InputError(_unused_parameters("some parameters")) from error


def _unused_parameters(which: str) -> str:
    return (
        f"{which} took no part in the loss of a step, and the processes wait for their gradients. If that is as it "
        "should be, pass ddp_find_unused_parameters=True: such parameters are then looked for at every step."
    )
