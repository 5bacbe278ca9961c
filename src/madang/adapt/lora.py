"""LoRA (Hu et al. 2021): a frozen projection W learns a change of low rank, W + scale * B A.

A model is adapted by swapping children: bodies and heads know nothing of it.
"""

# N packed tokens  E width that is read  O width that is written  R rank
from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from madang.adapt.adaptable import Adaptable, Adapter
from madang.adapt.config import LoraConfig
from madang.adapt.targets import Projection, chosen, is_inside, whole_modules
from madang.blocks.layers import Linear
from madang.checkpoints.load import Naming
from madang.checkpoints.names import Fused, Ignore, Rename
from madang.errors import InputError


class LoraLinear(Linear):
    """base(x) + scale * B(A(dropout(x))). It has the base's own weight and bias, under the same names.

    Projections that are one in published files share their A.
    """

    def __init__(self, base: nn.Linear, reduce: nn.Linear, scale: float, dropout: float) -> None:
        super().__init__(base.in_features, base.out_features, bias=base.bias is not None, device="meta")
        self.weight, self.bias = base.weight, base.bias
        self.lora_A = reduce  # (R, E)
        self.lora_B = nn.Linear(reduce.out_features, base.out_features, bias=False, **_kind(base))  # (O, R)
        self.lora_dropout = nn.Dropout(dropout)
        self.scale, self.enabled = scale, True
        self.train(base.training)

    def forward(self, x: Tensor) -> Tensor:
        """(…, E) -> (…, O)."""
        y: Tensor = super().forward(x)
        if not self.enabled:
            return y
        change = self.lora_B(self.lora_A(self.lora_dropout(x.to(self.lora_A.weight.dtype))))
        changed: Tensor = y + self.scale * change
        return changed.to(y.dtype)

    def merged(self) -> Tensor:
        """The weight with the change added, in the weight's dtype: (O, E)."""
        # float32 at least: a small change would be rounded away before it is added
        change = self.scale * (self.lora_B.weight @ self.lora_A.weight)
        return (self.weight.to(change.dtype) + change).to(self.weight.dtype)

    def extra_repr(self) -> str:
        """For printing."""
        return f"{super().extra_repr()}, rank={self.lora_A.out_features}, scale={self.scale:g}"


def attach(model: Adaptable, config: LoraConfig) -> Adaptable:
    """Put a new adapter on `model`, the same object, and freeze everything else but its new head; returns the model.

    Matrices of the adapter are float32 also where the model is in half precision: small updates would be lost.
    Raises InputError when the model has an adapter already, and for modules it does not have.
    """
    put_on(model, config, strict=True)
    return model


def get_peft_model(model: Adaptable, peft_config: LoraConfig) -> Adaptable:
    """The familiar name of `attach`.

    Example:
        >>> model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, task_type="SEQ_CLS"))
        >>> model.print_trainable_parameters()
    """
    return attach(model, peft_config)


def put_on(model: Adaptable, config: LoraConfig, *, strict: bool) -> Adapter:
    """Swap the projections that `config` names; with `strict`, each of its names must fit one."""
    if not isinstance(model, Adaptable):
        raise InputError(
            f"adapters are put on models of this library (AutoModel…, BertModel, …); found a {type(model).__name__}."
        )
    if not isinstance(config, LoraConfig):
        raise InputError(f"a LoraConfig is expected; found a {type(config).__name__}.")
    if model.adapter is not None:
        raise InputError("the model has an adapter already; merge_and_unload() or unload() takes it off.")
    config = copy.deepcopy(config)
    config.base_model_name_or_path = config.base_model_name_or_path or model.name_or_path or None
    config.modules_to_save = whole_modules(model, config, strict=strict) or None
    targets = chosen(model, config, strict=strict)
    config.fan_in_fan_out = any(target.transposed for target in targets)
    names = _learning_with_it(model, config, targets)
    for target in targets:
        _swap_in(model, target, config)
    before = {name: model.get_parameter(name).detach().clone() for name in names}
    model.adapter = Adapter(config, [part for target in targets for part in target.parts], before)
    set_trainable(model, not config.inference_mode)
    return model.adapter


def set_trainable(model: Adaptable, trainable: bool = True) -> None:
    """Let the adapter learn, or nothing at all."""
    adapter = _adapter(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(trainable and (name in adapter.before or is_adapters(adapter, name)))


def is_adapters(adapter: Adapter, parameter: str) -> bool:
    """Whether the parameter with this name of the model's is one of the adapter's matrices."""
    module, _, rest = parameter.rpartition(".lora_")
    return rest in ("A.weight", "B.weight") and module in adapter.layers


def with_adapter(naming: Naming) -> Naming:
    """The names on disk of an adapted model: beside every projection its A and its B, (R, E) and (O, R)."""
    entries: dict[str, str | Rename | Ignore] = {}
    for disk, entry in naming.table.items():
        if isinstance(entry, Ignore):
            continue
        parts = (entry,) if isinstance(entry, str) else entry.targets
        entries[f"{disk}.lora_A"] = f"{parts[0]}.lora_A"
        entries[f"{disk}.lora_B"] = Fused(*(f"{part}.lora_B" for part in parts))
    return replace(naming, table={**naming.table, **entries})


def merge(model: Adaptable, *, safe: bool = False) -> None:
    """Add the changes to the matrices and take the adapter off."""
    adapter = _adapter(model)
    with torch.no_grad():
        merged = {path: _layer(model, path).merged() for path in adapter.layers}
    broken = [path for path, weight in merged.items() if safe and not weight.isfinite().all()]
    if broken:
        raise InputError(
            f"merging would give numbers that are not finite, in {', '.join(broken)}. Nothing was changed."
        )
    for path, weight in merged.items():
        layer = _layer(model, path)
        layer.weight = nn.Parameter(weight)
    _swap_out(model, adapter)


def remove(model: Adaptable) -> None:
    """Take the adapter off, and give the parameters that learned with it their earlier values."""
    adapter = _adapter(model)
    _exchange(model, adapter)
    _swap_out(model, adapter)


@contextmanager
def disabled(model: Adaptable) -> Iterator[None]:
    """Inside the block `model` answers as without its adapter."""
    adapter = _adapter(model)
    if not _layer(model, adapter.layers[0]).enabled:  # a block in a block
        yield
        return
    _switch(model, adapter, False)
    try:
        yield
    finally:
        _switch(model, adapter, True)


def _adapter(model: Adaptable) -> Adapter:
    if model.adapter is None:
        raise InputError("the model has no adapter; get_peft_model(model, LoraConfig(…)) puts one on.")
    return model.adapter


def _layer(model: Adaptable, path: str) -> LoraLinear:
    layer = model.get_submodule(path)
    assert isinstance(layer, LoraLinear)
    return layer


def _swap_in(model: Adaptable, target: Projection, config: LoraConfig) -> None:
    first = model.get_submodule(target.parts[0])
    assert isinstance(first, nn.Linear)
    # torch's own first values are those of the paper's code
    reduce = nn.Linear(first.in_features, config.rank(target.name), bias=False, **_kind(first))
    if config.init_lora_weights == "gaussian":
        nn.init.normal_(reduce.weight, std=1 / reduce.out_features)
    for path in target.parts:
        base = model.get_submodule(path)
        assert isinstance(base, nn.Linear)
        layer = LoraLinear(base, reduce, config.scale(target.name), config.lora_dropout)
        if config.init_lora_weights is not False:
            nn.init.zeros_(layer.lora_B.weight)
        model.set_submodule(path, layer)


def _kind(base: nn.Linear) -> dict[str, torch.device | torch.dtype]:
    """Where and in which dtype an adapter's matrices are: beside the base, in float32 at least."""
    return {"device": base.weight.device, "dtype": torch.promote_types(base.weight.dtype, torch.float32)}


def _learning_with_it(model: Adaptable, config: LoraConfig, targets: list[Projection]) -> list[str]:
    """Names of the model's own parameters that learn too: whole modules, and biases where asked for."""
    changed = {f"{part}.bias" for target in targets for part in target.parts}
    return [
        name
        for step in model.naming.steps(model)
        for name in step.parameters
        if is_inside(config.modules_to_save or (), step.stored)
        or (config.bias == "all" and step.stored.endswith(".bias"))
        or (config.bias == "lora_only" and name in changed)
    ]


def _swap_out(model: Adaptable, adapter: Adapter) -> None:
    """Plain projections in place of the adapted, which they share their parameters with."""
    for path in adapter.layers:
        layer = _layer(model, path)
        plain = Linear(layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta")
        plain.weight, plain.bias = layer.weight, layer.bias
        model.set_submodule(path, plain.train(layer.training))
    model.adapter = None
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.is_floating_point())


def _switch(model: Adaptable, adapter: Adapter, enabled: bool) -> None:
    for path in adapter.layers:
        _layer(model, path).enabled = enabled
    _exchange(model, adapter)


def _exchange(model: Adaptable, adapter: Adapter) -> None:
    """Exchange the values of parameters that learn too with those before; done twice, everything is as it was."""
    for name, before in adapter.before.items():
        parameter = model.get_parameter(name)
        adapter.before[name] = parameter.data
        parameter.data = before.to(device=parameter.device, dtype=parameter.dtype)
