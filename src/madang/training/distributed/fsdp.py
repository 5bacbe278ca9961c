"""Spreading one model over all processes: parameters, gradients and the optimizer's state (FSDP2 of torch).

Each block of the body is a unit: its parameters are put together just before it computes and let go after. What lies
between (embeddings, head) belongs to the whole model's unit. Zhao et al. 2023, arXiv 2304.11277.
"""

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from madang.bodies.stack import Stack
from madang.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from madang.training.arguments import TrainingArguments

WAYS = ("full_shard", "shard_grad_op", "auto_wrap", "offload")
OPTIONS = ("reshard_after_forward", "cpu_offload", "transformer_layer_cls_to_wrap", "min_num_params")
# said in many files, and never otherwise here
_ALWAYS = {"version": 2, "sync_module_states": True, "use_orig_params": True, "state_dict_type": "FULL_STATE_DICT"}
_ELSEWHERE = {"activation_checkpointing": "gradient_checkpointing=True", "mixed_precision": "bf16=True or fp16=True"}


@dataclass(frozen=True)
class Sharding:
    """How a model is spread, as `fsdp` and `fsdp_config` say it."""

    release: bool = True
    """Whether a block lets the others' parameters go after its forward (and asks for them again on the way back)."""
    offload: bool = False
    """Whether parameters, gradients and optimizer live in the CPU's memory."""
    blocks: tuple[str, ...] = ()
    """Classes of the modules that are units; when empty, the blocks of the body."""
    smallest: int = 0
    """Blocks with fewer parameters stay in the unit around them."""

    @classmethod
    def of(cls, args: "TrainingArguments") -> "Sharding | None":
        """From the arguments; None where they do not ask for it."""
        ways, config = _ways(args.fsdp), args.fsdp_config
        if not ways:
            if config:
                raise ConfigError(
                    "fsdp_config says how a model is spread, and fsdp does not ask for it: fsdp='full_shard'."
                )
            return None
        assert config is None or isinstance(config, dict)
        options = _options(config or {})
        blocks = options.get("transformer_layer_cls_to_wrap") or ()
        return cls(
            release=bool(options.get("reshard_after_forward", "shard_grad_op" not in ways)),
            offload=bool(options.get("cpu_offload", "offload" in ways)),
            blocks=tuple(blocks.split(",") if isinstance(blocks, str) else blocks),
            smallest=int(options.get("min_num_params") or 0),
        )


def _ways(given: Any) -> set[str]:
    if given is True:
        return {"full_shard"}
    words = given.split() if isinstance(given, str) else [str(getattr(word, "value", word)) for word in given or ()]
    for word in words:
        if word not in WAYS:
            raise unknown_name("way of fsdp", word, WAYS)
    if words and len({"full_shard", "shard_grad_op"}.intersection(words)) != 1:
        raise ConfigError(f"fsdp={' '.join(words)!r}: say full_shard or shard_grad_op, one of them.")
    return set(words)


def _options(config: Mapping[str, Any]) -> dict[str, Any]:
    options = {name.removeprefix("fsdp_"): value for name, value in config.items()}
    for name, value in list(options.items()):
        if name in _ALWAYS:
            if value != _ALWAYS[name]:
                raise ConfigError(f"fsdp_config: {name} is always {_ALWAYS[name]!r} here, not {value!r}.")
            del options[name]
        elif name in _ELSEWHERE:
            raise ConfigError(f"fsdp_config: {name} is said by the training argument {_ELSEWHERE[name]}.")
        elif name not in OPTIONS:
            raise unknown_name("option of fsdp_config", name, OPTIONS)
    return options


def shard(
    model: nn.Module, sharding: Sharding, device: torch.device, count: int, precision: torch.dtype | None
) -> nn.Module:
    """Spread the model over `count` processes, in place. Its parameters become others: an optimizer comes after."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, MixedPrecisionPolicy, fully_shard

    if isinstance(model, FSDPModule):
        return model
    # nothing here changes an output in place, which the warning is about
    warnings.filterwarnings("ignore", "FSDP2-wrapped module")
    options: dict[str, Any] = {"mesh": init_device_mesh(device.type, (count,))}
    if precision is not None:
        # weights travel and compute in half precision; gradients are summed in float32
        options["mp_policy"] = MixedPrecisionPolicy(param_dtype=precision, reduce_dtype=torch.float32)
    if sharding.offload and device.type != "cpu":
        options["offload_policy"] = CPUOffloadPolicy()
    units = [each for each in blocks(model, sharding.blocks) if _size(each) >= sharding.smallest]
    for unit in units:
        fully_shard(unit, reshard_after_forward=sharding.release, **options)
    # the whole model's own parameters are the last of the forward and the first of the way back: they stay
    fully_shard(model, reshard_after_forward=False, **options)
    model.register_forward_hook(_let_go)
    for module in (*units, model):
        # torch made a class of another name; what is saved and said goes by the name people know
        made, known = type(module), type(module).__mro__[2]
        made.__name__, made.__qualname__, made.__module__ = known.__name__, known.__qualname__, known.__module__
    return model


def _let_go(model: nn.Module, inputs: Any, outputs: Any) -> None:
    """After a forward that no backward follows: what was put together would stay, in the place of the model's own."""
    from torch.distributed.fsdp import FSDPModule

    if not torch.is_grad_enabled():
        for module in model.modules():
            if isinstance(module, FSDPModule):
                module.reshard()


def expect_unused(model: Any) -> None:
    """Let processes differ in which parameters take part in a step: those without a gradient get zeros."""
    if not hasattr(model, "set_reduce_scatter_unused_params"):
        raise ConfigError(f"ddp_find_unused_parameters with fsdp needs a newer torch; this is {torch.__version__}.")
    model.set_reduce_scatter_unused_params(True)


def blocks(model: nn.Module, names: Iterable[str]) -> list[nn.Module]:
    """The modules of the classes called so; without names, the blocks of every stack in the model."""
    wanted = set(names)
    if not wanted:
        return [block for module in model.modules() if isinstance(module, Stack) for block in module.blocks]
    found = [module for module in model.modules() if type(module).__name__ in wanted and module is not model]
    known = sorted({type(module).__name__ for module in model.modules() if module is not model})
    for name in wanted - {type(module).__name__ for module in found}:
        raise unknown_name("transformer_layer_cls_to_wrap", name, known)
    return found


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def is_sharded(thing: Tensor | nn.Module) -> bool:
    """Whether a tensor, or any parameter of a module, is spread over processes."""
    if isinstance(thing, nn.Module):
        return any(is_sharded(parameter) for parameter in thing.parameters())
    return hasattr(thing, "full_tensor")


def whole(tree: Any, *, keep: bool) -> Any:
    """The tree with spread tensors put together on the CPU, one at a time; where not `keep`, empty ones instead."""
    if isinstance(tree, Mapping):
        return {name: whole(value, keep=keep) for name, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(whole(value, keep=keep) for value in tree)
    if not isinstance(tree, Tensor) or not is_sharded(tree):
        return tree
    together = full(tree)
    return together.cpu() if keep else together.new_empty(0)


def full(tensor: Tensor) -> Tensor:
    """A spread tensor put together, on every process."""
    together: Tensor = tensor.full_tensor() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]
    return together


def weights(model: nn.Module, *, keep: bool) -> dict[str, Tensor]:
    """The parameters and buffers of a spread model, whole; one with several names is the same tensor under each."""
    made: dict[int, Tensor] = {}
    state = model.state_dict(keep_vars=True)
    for tensor in state.values():
        if id(tensor) not in made:
            made[id(tensor)] = whole(tensor.detach(), keep=keep)
    return {name: made[id(tensor)] for name, tensor in state.items()}


def spread_like(parameter: Tensor, value: Any) -> Any:
    """A whole tensor of an optimizer's state as it goes with a spread parameter; anything else as it is."""
    if not isinstance(value, Tensor) or not value.ndim or not is_sharded(parameter):
        return value
    from torch.distributed.tensor import DTensor, Replicate, distribute_tensor

    assert isinstance(parameter, DTensor)
    # every process has read all of it, so nobody sends anything
    placements = parameter.placements if value.shape == parameter.shape else [Replicate()]
    return distribute_tensor(value.to(parameter.device), parameter.device_mesh, placements, src_data_rank=None)


@contextlib.contextmanager
def whole_values(model: nn.Module) -> Iterator[None]:
    """Inside, a whole tensor may be copied into a spread parameter: each process takes its part."""
    if not is_sharded(model):
        yield
        return
    from torch.distributed.tensor.experimental import implicit_replication

    with implicit_replication():
        yield
